//! The sections that are a component's own, without those of the modules and
//! components inside of it. Knows nothing of what they mean.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// Each of them, a nested module or component as the one section that it is.
pub(crate) fn sections(wasm: &[u8]) -> impl Iterator<Item = wasmparser::Result<Payload<'_>>> {
    let mut depth = 0_u32;
    Parser::new(0).parse_all(wasm).filter(move |payload| {
        let outermost = depth == 0;
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            _ => {}
        }
        outermost || payload.is_err()
    })
}

/// Whether a component may be taken apart: it is valid, whatever it uses, and
/// all there. Without it no number in it means anything.
pub(crate) fn is_valid(wasm: &[u8]) -> bool {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    are_whole(wasm) && validator.validate_all(wasm).is_ok()
}

/// Whether the sections end where the file does. What validates a component
/// takes one for whole whose end is missing, if that begins in a nested one.
pub(crate) fn are_whole(wasm: &[u8]) -> bool {
    sections(wasm).all(|payload| match payload {
        Ok(
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            },
        ) => unchecked_range.end <= wasm.len(),
        // What else is wrong is for the compiler to say.
        _ => true,
    })
}
