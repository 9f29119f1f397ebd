//! `response_call` for cargo-fuzz. What is attacked stands in `fuzz/src/targets/response_call.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = fuzz::targets::response_call::attack(data);
});
