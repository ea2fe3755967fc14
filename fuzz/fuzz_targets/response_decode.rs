//! See `ottla_fuzz::response_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::response_decode(data));
