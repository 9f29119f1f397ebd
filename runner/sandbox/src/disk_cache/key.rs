//! What a compiled component is known by: everything that decides whether its
//! code may be used, in 32 bytes.

use std::fmt::Write;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

use crate::shim;

/// Changes whenever the layout of the files does.
const FORMAT: &[u8] = b"apisix-wasm-runner, compiled component, format 1\0";

/// The name of a compiled component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn new(engine: &wasmtime::Engine, wasm: &[u8]) -> Self {
        let compatibility = engine.precompile_compatibility_hash();
        Self::for_compiler(crate::WASMTIME_VERSION, &compatibility, wasm)
    }

    /// Each part has a fixed length, so that no two lists of parts are the same
    /// bytes.
    pub(super) fn for_compiler(version: &str, compatibility: &impl Hash, wasm: &[u8]) -> Self {
        let mut settings = Sha256Hasher(Sha256::new());
        compatibility.hash(&mut settings);
        let mut whole = Sha256::new();
        whole.update(FORMAT);
        whole.update(shim::VERSION.to_le_bytes());
        whole.update(Sha256::digest(version));
        whole.update(settings.0.finalize());
        whole.update(Sha256::digest(wasm));
        Key(whole.finalize().into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn file_name(&self) -> String {
        let mut name = String::with_capacity(70);
        for byte in self.0 {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        name + ENDING
    }
}

const ENDING: &str = ".cwasm";

/// Whether a file has a name that [`Key::file_name`] could have given it.
pub(super) fn names_an_entry(file_name: &str) -> bool {
    let digits = file_name.strip_suffix(ENDING);
    digits.is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// wasmtime gives its settings to a [`Hasher`] only. The standard one has 64
/// bits, too few where a collision would run the wrong code.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not asked for: the whole digest is taken instead.
    fn finish(&self) -> u64 {
        0
    }
}
