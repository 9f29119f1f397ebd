//! The sections that are a component's own, without those of the modules and
//! components inside of it. Knows nothing of what they mean.

use wasmparser::{Parser, Payload};

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
