//! How much is read after a crash does not depend on how much was written: the flusher syncs behind the appenders.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What a killed process leaves: the files as they are at one moment. The flusher goes on while they are read, until little
/// enough is unflushed: it is one moment if they are the same a second time.
fn files_at_once(dir: &Path) -> Files {
    let mut before = files(dir, dir);
    loop {
        let after = files(dir, dir);
        if before == after {
            return after;
        }
        before = after;
        time::sleep_thread(std::time::Duration::from_millis(20));
    }
}

fn files(root: &Path, dir: &Path) -> Files {
    let mut found = Files::new();
    // A directory, or a file, may have given way to another meanwhile.
    for entry in fs::read_dir(dir).unwrap_or_default().into_iter().filter(|entry| entry.name != ".lock") {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            found.extend(files(root, &path));
        } else if let Ok(bytes) = fs::read(&path) {
            found.insert(path.strip_prefix(root).expect("below it").to_owned(), bytes);
        }
    }
    found
}

fn write_out(files: &Files, root: &Path) {
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("in a directory")).expect("made");
        File::create(path).expect("made").write_all_at(bytes, 0).expect("written");
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
    write_out(&files_at_once(temp.path()), crashed.path());
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
