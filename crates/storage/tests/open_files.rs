//! Descriptors stay within their bound, however many logs are written and read in turn.

#![cfg(target_os = "linux")]

mod support;

use std::sync::Arc;

use ottla_env::fs;
use ottla_storage::{LogManager, LogManagerOptions, Placement, WantedLog};
use support::*;

const PARTITIONS: i32 = 100;

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux tells").len()
}

/// Ten times as many logs as may be open, each written and read in turn: descriptors stay within the bound, and a fetch that
/// waits holds none.
#[test]
fn more_logs_than_descriptors() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let options = LogManagerOptions { dirs: vec![temp.path().to_owned()], ..LogManagerOptions::default() };
    let manager = LogManager::open(options).expect("opened");
    manager.log_dirs()[0].set_open_files_max(10);
    let wanted = |partition| WantedLog {
        topic: Arc::from(TOPIC),
        partition,
        topic_id: topic_id(),
        config: Arc::default(),
        placement: Placement::Anywhere,
    };
    let logs: Vec<_> = manager.create_all((0..PARTITIONS).map(wanted).collect()).into_iter().flatten().collect();
    let before = open_files();
    let mut waiting = Vec::new();
    for round in 0..3 {
        for log in &logs {
            append(log, batch(1, "x"));
            waiting.push(log.read(round, 1 << 20, i64::MAX, true).expect("read").slice.expect("a batch"));
            assert!(open_files() <= before + 12, "{before} before, {} now", open_files());
        }
    }
    assert!(waiting.iter().all(|slice| slice.read().expect("whole").len() == slice.len as usize));
    assert!(open_files() <= before + 12);
    assert!(logs.iter().all(|log| log.log_end_offset() == 3));
}
