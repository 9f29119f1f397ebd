//! What takes a stranger's component apart before wasmtime sees it, and puts it
//! together again: nothing panics, and a valid component stays one.
//!
//! Must not know what a component does.

use sandbox::fuzz::{is_valid, owns_resources, readable, recognise, with_restore, without_shim};

use super::Depth;

/// What a rebuilt component may have in addition: an export for each function
/// of the shim, a function, segments of a memory of 256 KiB.
const MORE: usize = 300 * 1024;

/// Sections and instructions.
pub const WORDS: &[&[u8]] = &[
    b"\0asm\x0d\0\x01\0",
    b"\0asm\x01\0\0\0",
    b"\x00\x61\x73\x6d",
    b"$imports",
    b"wit-component-shim",
    b"restore-captured-state",
    b"\x01\x60\x00\x00",
    b"\x41\x00\x0b",
    b"\x11\x00\x00\x0b",
    b"\x20\x00",
    b"\x10\x00",
    b"\x0b",
    b"\x00\x00\x0b",
    b"\xff\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x08",
    b"\x05\x03\x01\x00\x01",
];

/// A file.
pub fn attack(data: &[u8]) -> Depth {
    let recognised = recognise(data);
    let _ = owns_resources(data);
    let (direct, restorable) = (without_shim(data), with_restore(data));
    if let Err(error) = recognised {
        assert!(!error.to_string().is_empty());
        return Depth::Refused;
    }
    if !is_valid(data) {
        assert!(direct.is_none(), "something was made of nothing");
        return Depth::Refused;
    }
    if let Some(direct) = &direct {
        assert_rebuilt("without its shim", data, direct);
        assert_eq!(without_shim(direct), None, "twice");
    }
    if let Some(restorable) = restorable {
        assert_rebuilt("with the function", data, &restorable);
    }
    // Both, in the order in which a configuration is captured.
    let direct = direct.as_deref().unwrap_or(data);
    if let Some(readable) = readable(direct) {
        assert_rebuilt("to be read", direct, &readable);
    }
    if let Some(restorable) = with_restore(direct) {
        assert_rebuilt("with both", direct, &restorable);
    }
    Depth::Read
}

fn assert_rebuilt(how: &str, before: &[u8], after: &[u8]) {
    assert!(is_valid(after), "not valid {how}");
    let most = 2 * before.len() + MORE;
    assert!(after.len() <= most, "{} bytes {how}", after.len());
}
