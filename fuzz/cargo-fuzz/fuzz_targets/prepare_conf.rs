//! `prepare_conf` for cargo-fuzz. What is attacked stands in `fuzz/src/targets/prepare_conf.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = fuzz::targets::prepare_conf::attack(data);
});
