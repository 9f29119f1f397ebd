//! One file of the cache: a mark, a seal, the code. The seal covers the code
//! and the key, so a whole file under the name of another does not pass.

use std::io;

use wasmtime::component::Component;

use super::key::Key;
use super::secret::Secret;

/// Tells a person, and `file`, what this is.
const MARK: &[u8; 16] = b"apisix-wasm-run\n";
const SEAL_LENGTH: usize = 32;

/// A file to be written.
pub(super) struct SealedFile {
    seal: [u8; SEAL_LENGTH],
    code: Vec<u8>,
}

impl SealedFile {
    /// Takes a component and not bytes: what is sealed came from wasmtime.
    pub(super) fn new(component: &Component, key: &Key, secret: &Secret) -> io::Result<Self> {
        let code = component.serialize().map_err(io::Error::other)?;
        let seal = secret.seal(&[key.as_bytes(), &code]);
        Ok(SealedFile { seal, code })
    }

    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [MARK, &self.seal, &self.code]
    }

    /// In bytes.
    pub(super) fn len(&self) -> u64 {
        self.parts().iter().map(|part| part.len() as u64).sum()
    }
}

/// Code whose seal was found to hold. [`verify`] is the only way to one.
pub(super) struct VerifiedCode<'a>(&'a [u8]);

/// The code in a file, if this installation sealed it for this key.
pub(super) fn verify<'a>(file: &'a [u8], key: &Key, secret: &Secret) -> Option<VerifiedCode<'a>> {
    let sealed = file.strip_prefix(MARK)?;
    let (seal, code) = sealed.split_at_checked(SEAL_LENGTH)?;
    let confirmed = secret.confirms(seal, &[key.as_bytes(), code]);
    confirmed.then_some(VerifiedCode(code))
}

impl VerifiedCode<'_> {
    /// # Errors
    /// wasmtime's, where it was compiled for another engine after all.
    pub(super) fn into_component(
        self,
        engine: &wasmtime::Engine,
    ) -> Result<Component, wasmtime::Error> {
        // SAFETY: the bytes must be what `Component::serialize` gave. They are:
        // their seal holds, only `SealedFile::new` makes seals, out of a
        // component and nothing else, and the secret it takes is known to no
        // other user (`Folder::read_private`). They are in our memory, so
        // nobody changes them between the check and the use. That they fit the
        // engine is wasmtime's own check, and part of the key.
        unsafe { Component::deserialize(engine, self.0) }
    }
}
