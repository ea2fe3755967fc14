//! See `ottla_fuzz::legacy_records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::legacy_records(data));
