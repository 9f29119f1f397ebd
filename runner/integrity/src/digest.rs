//! SHA-256 of a module, as text and back.

use sha2::{Digest as _, Sha256};

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-256 digest; give the 64 hexadecimal digits that `sha256sum` prints")]
pub struct DigestError(String);

/// Reads what `sha256sum` prints for a file, with or without `sha256:` before
/// it.
///
/// # Errors
/// Where it is anything else.
pub fn parse_digest(text: &str) -> Result<[u8; 32], DigestError> {
    let wrong = || DigestError(text.to_owned());
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    // Checked first: a number may begin with a sign.
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut digest = [0; 32];
    for (place, byte) in digest.iter_mut().enumerate() {
        let pair = &digits[2 * place..2 * place + 2];
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(digest)
}

/// As [`parse_digest`] reads it.
#[must_use]
pub fn shown_digest(digest: &[u8; 32]) -> String {
    hexadecimal(digest)
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn digest_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_should_be_read_as_it_is_printed() {
        // FIPS 180-2, B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(shown_digest(&digest_of(b"abc")), abc);
        for text in [abc.to_owned(), format!("sha256:{abc}"), abc.to_uppercase()] {
            assert_eq!(parse_digest(&text), Ok(digest_of(b"abc")), "{text}");
        }
        let signed = format!("+{}", &abc[1..]);
        let foreign = format!("ä{}", &abc[2..]);
        for text in ["", "sha256:", &abc[1..], &signed, &foreign, "sha512:ba"] {
            assert!(parse_digest(text).is_err(), "{text}");
        }
    }
}
