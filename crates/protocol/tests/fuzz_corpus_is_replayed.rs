//! Replays the corpus of the fuzz targets on a stable compiler, so that what a fuzzer once found stays fixed.

#![allow(clippy::disallowed_methods, reason = "a test reads files of the repository")]

#[path = "../../../fuzz/src/targets.rs"]
#[allow(unreachable_pub, reason = "there it is a crate")]
mod targets;

use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut seen = 0;
    for entry in std::fs::read_dir(&directory).expect("the corpus is part of the repository") {
        let path = entry.expect("readable").path();
        let bytes = std::fs::read(&path).expect("readable");
        println!("{}", path.display());
        run(&bytes);
        // Half-read frames are what a network gives.
        for end in (0..bytes.len()).step_by(bytes.len() / 64 + 1) {
            run(&bytes[..end]);
        }
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} files in {}", directory.display());
}

#[test]
fn requests() {
    replay("request_decode", targets::request_decode);
}

#[test]
fn responses() {
    replay("response_decode", targets::response_decode);
}

#[test]
fn record_batches() {
    replay("record_batch_walk", targets::record_batch_walk);
}

#[test]
fn old_message_sets() {
    replay("legacy_records", targets::legacy_records);
}
