//! `request_call` for cargo-fuzz. What is attacked stands in `fuzz/src/targets/request_call.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = fuzz::targets::request_call::attack(data);
});
