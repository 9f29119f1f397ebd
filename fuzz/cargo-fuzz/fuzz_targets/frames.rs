//! `frames` for cargo-fuzz. What is attacked stands in `fuzz/src/targets/frames.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = fuzz::targets::frames::attack(data);
});
