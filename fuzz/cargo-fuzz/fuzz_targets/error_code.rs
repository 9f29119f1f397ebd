//! `error_code` for cargo-fuzz. What is attacked stands in `fuzz/src/targets/error_code.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = fuzz::targets::error_code::attack(data);
});
