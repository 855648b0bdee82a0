#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| propagation_fuzz::stored(data));
