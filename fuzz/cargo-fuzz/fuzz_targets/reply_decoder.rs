//! `reply_decoder` for cargo-fuzz. What is attacked stands in `fuzz/src/targets/reply_decoder.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = fuzz::targets::reply_decoder::attack(data);
});
