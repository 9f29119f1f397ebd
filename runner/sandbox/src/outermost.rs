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

/// Whether a file ends where no WebAssembly file does, in the middle of its
/// head or of a section: it may be the first part of one that is being copied.
#[must_use]
pub fn ends_early(wasm: &[u8]) -> bool {
    const HEAD: usize = 8;
    let magic = b"\0asm";
    if !wasm.starts_with(&magic[..magic.len().min(wasm.len())]) {
        return false;
    }
    let mut rest = match wasm.split_at_checked(HEAD) {
        Some((_, rest)) => rest,
        None => return true,
    };
    // WebAssembly core specification 5.5.2: a number, the length, the content.
    while let Some((_, section)) = rest.split_first() {
        match split_length(section) {
            Some((length, content)) => match content.get(length..) {
                Some(after) => rest = after,
                None => return true,
            },
            // Cut within the length; one that is longer is no length.
            None => return section.len() < LENGTH_BYTES,
        }
    }
    false
}

/// Bytes of the longest number of 32 bits in LEB128.
const LENGTH_BYTES: usize = 5;

fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = 1 + bytes
        .iter()
        .take(LENGTH_BYTES)
        .position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = bytes.split_at(end);
    let number = number.iter().rev().fold(0_usize, |number, byte| {
        number << 7 | usize::from(byte & 0x7f)
    });
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_file_should_end_where_it_may() {
        // A custom section of three bytes, and one of 200 whose length takes two.
        let mut wasm = b"\0asm\x0d\0\x01\0\x00\x03\x01aa".to_vec();
        wasm.extend(b"\x00\xc8\x01\x01b");
        wasm.resize(wasm.len() + 198, 0);
        let boundaries = [8, 13, wasm.len()];
        for end in 0..=wasm.len() {
            let early = !boundaries.contains(&end);
            assert_eq!(ends_early(&wasm[..end]), early, "{end}");
        }
        for other in [
            &b"hello"[..],
            b"\x7fELF",
            b"\0asm\x0d\0\x01\0\x00\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(!ends_early(other), "{other:?}");
        }
    }
}
