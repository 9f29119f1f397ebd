//! Whose signatures count: public Ed25519 keys, as `openssl pkey -pubout` writes
//! them (SubjectPublicKeyInfo of RFC 8410 in PEM, RFC 7468).

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::digest::{digest_of, hexadecimal};

/// What stands before the 32 bytes of every Ed25519 key (RFC 8410, section 4):
/// the form has no other part that could differ.
const PREFIX: [u8; 12] = [
    0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
];

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// Bytes that are read of a file; a key has about a hundred.
const LONGEST_FILE: u64 = 64 << 10;

/// A key whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    key: [u8; 32],
    id: KeyId,
}

/// What the log calls a key: the first 8 bytes of the SHA-256 of its DER form,
/// so what `openssl pkey -pubin -in FILE -outform DER | sha256sum` begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("the key {} cannot be read: {reason}", .file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// Whoever has this key can sign; it has no business where modules run.
    #[error(
        "{file} holds a private key; put the public one there, as `openssl pkey -pubout` writes \
         it, and keep the private one elsewhere"
    )]
    Private {
        /// Which.
        file: String,
    },
    /// Something else than one public Ed25519 key.
    #[error(
        "{file} holds no public Ed25519 key: {why}; `openssl genpkey -algorithm ed25519` makes \
         a private one and `openssl pkey -pubout` the public one to it"
    )]
    Malformed {
        /// Which.
        file: String,
        /// What it holds.
        why: &'static str,
    },
}

impl TrustedKey {
    /// Reads a file with one key in PEM.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(file: &Path) -> Result<Self, KeyError> {
        let text = read_text(file).map_err(|reason| KeyError::Unreadable {
            file: file.to_owned(),
            reason,
        })?;
        Self::parse(&text, &file.display().to_string())
    }

    /// The key of a text in PEM; `file` is what errors call it.
    ///
    /// # Errors
    /// [`KeyError`], but not that it cannot be read.
    pub fn parse(text: &str, file: &str) -> Result<Self, KeyError> {
        let malformed = |why| KeyError::Malformed {
            file: file.to_owned(),
            why,
        };
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyError::Private {
                file: file.to_owned(),
            });
        }
        let (_, inside) = text
            .split_once(BEGIN)
            .ok_or_else(|| malformed("it has no line BEGIN PUBLIC KEY"))?;
        let (inside, after) = inside
            .split_once(END)
            .ok_or_else(|| malformed("it has no line END PUBLIC KEY"))?;
        if after.contains(BEGIN) {
            return Err(malformed("it holds several keys, and one file is for one"));
        }
        let der = decoded(inside).ok_or_else(|| malformed("its text is not base64"))?;
        let key = der.strip_prefix(&PREFIX);
        let key = key.and_then(|key| <[u8; 32]>::try_from(key).ok());
        let key = key.ok_or_else(|| malformed("the key is of another kind"))?;
        Ok(TrustedKey {
            key,
            id: id_of(&der),
        })
    }

    /// What the log calls it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether its holder signed these bytes (RFC 8032, Ed25519 without
    /// prehash).
    pub(crate) fn confirms(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.key);
        key.verify(message, signature).is_ok()
    }
}

fn id_of(der: &[u8]) -> KeyId {
    let digest = digest_of(der);
    let mut id = [0; 8];
    id.copy_from_slice(&digest[..8]);
    KeyId(id)
}

fn read_text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let opened = std::fs::File::open(file)?;
    opened.take(LONGEST_FILE).read_to_string(&mut text)?;
    Ok(text)
}

/// What base64 in lines stands for.
pub(crate) fn decoded(text: &str) -> Option<Vec<u8>> {
    let one_line: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(one_line).ok()
}
