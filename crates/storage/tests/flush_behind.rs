//! How much is read after a crash does not depend on how much was written: the flusher syncs behind the appenders.

mod support;

use std::path::Path;
use std::sync::Arc;

use ottla_env::fs::{self, File};
use ottla_env::time;
use ottla_storage::{Log, LogConfig, LogManager, LogManagerOptions};
use support::*;

const BEHIND: u64 = 64 << 10;

fn options(dir: &Path) -> LogManagerOptions {
    // The checkpoints by time never come.
    let hour_ms = 3_600_000;
    LogManagerOptions {
        dirs: vec![dir.to_owned()],
        flush_behind_bytes: BEHIND,
        flush_checkpoint_interval_ms: hour_ms,
        ..LogManagerOptions::default()
    }
}

/// What a killed process leaves: the files as they are.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir {
            copy(&from, &to);
        } else if entry.name != ".lock" {
            // The flusher goes on: a snapshot may have given way to another.
            let Ok(bytes) = fs::read(from) else { continue };
            File::create(to).expect("made").write_all_at(&bytes, 0).expect("written");
        }
    }
}

#[test]
fn after_a_kill_little_more_than_the_unflushed_tail_is_read() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let manager = LogManager::open(options(temp.path())).expect("opened");
    manager.start().expect("started");
    let config = LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() };
    let log = manager.create(TOPIC, 0, topic_id(), Arc::new(config)).expect("made");
    let one = batch(10, &"x".repeat(90));
    let mut written = 0;
    while written < 60 * BEHIND {
        append(&log, one.clone());
        written += one.len() as u64;
        // As an appender that the disk can keep up with: the flusher comes by every 100 ms.
        while log.unflushed_bytes() > 2 * BEHIND {
            time::sleep_thread(std::time::Duration::from_millis(1));
        }
    }
    let unflushed = log.unflushed_bytes();
    let crashed = tempfile::tempdir().expect("a directory");
    copy(temp.path(), crashed.path());
    let end = log.log_end_offset();
    drop(log);

    let after = LogManager::open(options(crashed.path())).expect("opened");
    let log: Arc<Log> = after.get(TOPIC, 0).expect("there");
    assert_eq!(log.log_end_offset(), end, "nothing is missing");
    let scanned = log.recovery_report().bytes_scanned;
    // The recovery point is noted after the sync, and the scan begins at an index entry: a step of the flusher more.
    assert!(scanned <= unflushed + 3 * BEHIND, "{scanned} of {written} were read, {unflushed} were not synced");
    assert!(scanned < written / 4);
    manager.stop(-1).expect("stopped");
}
