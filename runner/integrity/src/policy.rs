//! Which modules may be compiled.

use std::fmt;

use crate::digest::{digest_of, shown_digest};
use crate::trusted_key::{KeyId, TrustedKey, decoded};

/// What an operator asks of modules. The default asks nothing.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// SHA-256 of every module that may be compiled; none means any.
    pub digests: Vec<[u8; 32]>,
    /// Whose signatures count.
    pub trusted_keys: Vec<TrustedKey>,
    /// Whether a module without a signature is refused.
    pub require_signed: bool,
}

/// What is known of a module that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Who signed it, where somebody did whom we trust.
    pub signed_by: Option<KeyId>,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA-256 {}, ", shown_digest(&self.digest))?;
        match self.signed_by {
            Some(key) => write!(f, "signed with key {key}"),
            None => f.write_str("not signed"),
        }
    }
}

/// Why a module is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// Its content is none that was pinned.
    #[error(
        "module {name} has the SHA-256 digest {digest}, which is not among the pinned ones; if \
         that is the module you mean, pin this digest"
    )]
    NotPinned {
        /// The module.
        name: String,
        /// Of the bytes that were there.
        digest: String,
    },
    /// It has no signature and needs one.
    #[error(
        "module {name} has no signature; put one beside it as {name}.wasm.sig: `openssl pkeyutl \
         -sign -rawin -inkey KEY.pem -in {name}.wasm -out {name}.wasm.sig`"
    )]
    Unsigned {
        /// The module.
        name: String,
    },
    /// What should be a signature cannot be one.
    #[error(
        "the signature of module {name} has {length} bytes and is none; it is 64 bytes, raw or as \
         base64"
    )]
    Malformed {
        /// The module.
        name: String,
        /// Of what is there.
        length: usize,
    },
    /// It was not made over these bytes with a key that is trusted. Which of the
    /// two it is, a signature does not say.
    #[error(
        "the signature of module {name} is not by a trusted key ({keys}) over this file; sign the \
         file again with one of these keys, or trust the key that signed it"
    )]
    NotConfirmed {
        /// The module.
        name: String,
        /// Those that were tried.
        keys: String,
    },
    /// Nobody's signature could count.
    #[error(
        "module {name} must be signed and no key is trusted; name the file of a public key, or \
         require no signatures"
    )]
    NoTrustedKey {
        /// The module.
        name: String,
    },
}

impl Policy {
    /// Judges a module by the bytes that will be compiled, and by what stands in
    /// `NAME.wasm.sig` where there is such a file: the detached Ed25519 signature
    /// of these bytes, raw or as base64.
    ///
    /// Whatever was asked for has to hold, a pin and a signature too. Where keys
    /// are trusted, a signature that none of them confirms is refused, asked for
    /// or not: somebody meant to sign. Where none is trusted, there is nothing to
    /// judge a signature by, and it is not looked at.
    ///
    /// # Errors
    /// [`IntegrityError`].
    pub fn verify(
        &self,
        name: &str,
        wasm: &[u8],
        signature: Option<&[u8]>,
    ) -> Result<Provenance, IntegrityError> {
        let digest = digest_of(wasm);
        if !self.digests.is_empty() && !self.digests.contains(&digest) {
            return Err(IntegrityError::NotPinned {
                name: name.to_owned(),
                digest: shown_digest(&digest),
            });
        }
        let signed_by = self.signer(name, wasm, signature)?;
        Ok(Provenance { digest, signed_by })
    }

    fn signer(
        &self,
        name: &str,
        wasm: &[u8],
        signature: Option<&[u8]>,
    ) -> Result<Option<KeyId>, IntegrityError> {
        let name = || name.to_owned();
        let signature = match (signature, self.require_signed) {
            (_, true) if self.trusted_keys.is_empty() => {
                return Err(IntegrityError::NoTrustedKey { name: name() });
            }
            (None, true) => return Err(IntegrityError::Unsigned { name: name() }),
            (None, false) => return Ok(None),
            (Some(_), false) if self.trusted_keys.is_empty() => return Ok(None),
            (Some(signature), _) => signature,
        };
        let signature_bytes = bytes_of(signature).ok_or_else(|| IntegrityError::Malformed {
            name: name(),
            length: signature.len(),
        })?;
        let mut keys = self.trusted_keys.iter();
        match keys.find(|key| key.confirms(wasm, &signature_bytes)) {
            Some(key) => Ok(Some(key.id())),
            None => {
                let tried = self.trusted_keys.iter().map(|key| key.id().to_string());
                let keys = tried.collect::<Vec<_>>().join(", ");
                Err(IntegrityError::NotConfirmed { name: name(), keys })
            }
        }
    }
}

/// Of 64 bytes it is never asked whether they are text: base64 of a signature
/// has 88.
fn bytes_of(signature: &[u8]) -> Option<[u8; 64]> {
    if let Ok(raw) = signature.try_into() {
        return Some(raw);
    }
    let text = std::str::from_utf8(signature).ok()?;
    decoded(text)?.try_into().ok()
}
