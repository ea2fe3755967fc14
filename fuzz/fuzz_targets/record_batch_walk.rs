//! See `ottla_fuzz::record_batch_walk`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_fuzz::record_batch_walk(data));
