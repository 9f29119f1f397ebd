//! What makes a component of a stranger's core module before wasmtime sees it:
//! nothing panics, and what comes out is a valid component.
//!
//! Must not know what the module does.

use sandbox::fuzz::{component_of, is_valid};

use super::Depth;

/// Sections, and what their names mean.
pub const WORDS: &[&[u8]] = &[
    b"\0asm\x01\0\0\0",
    b"component-type",
    b"component-type:filter",
    b"apisix:filter/request@0.1.0",
    b"wasi_snapshot_preview1",
    b"fd_write",
    b"cabi_realloc",
    b"cabi_post_apisix:filter/configuration@0.1.0#configure",
    b"_initialize",
    b"env",
    b"memory",
    b"\x02\x00",
    b"\x07\x01",
];

/// A file that begins as a core module does.
pub fn attack(data: &[u8]) -> Depth {
    match component_of(data) {
        Ok(component) => {
            assert!(is_valid(&component), "no valid component");
            Depth::Read
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Depth::Refused
        }
    }
}
