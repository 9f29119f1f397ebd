//! `replies` for cargo-fuzz. What is attacked stands in `fuzz/src/targets/replies.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = fuzz::targets::replies::attack(data);
});
