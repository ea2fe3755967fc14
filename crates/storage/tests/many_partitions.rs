//! Partitions that nobody uses hold no descriptor, however many they are.

#![cfg(target_os = "linux")]

mod support;

use std::sync::Arc;

use ottla_env::fs;
use ottla_storage::{LogConfig, LogManager, LogManagerOptions};
use support::*;

const PARTITIONS: i32 = 100;

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux tells").len()
}

#[test]
fn idle_logs_hold_no_files() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let options = || LogManagerOptions { dirs: vec![temp.path().to_owned()], ..LogManagerOptions::default() };
    let manager = LogManager::open(options()).expect("opened");
    let before = open_files();
    let config = Arc::new(LogConfig::default());
    for partition in 0..PARTITIONS {
        manager.create(TOPIC, partition, topic_id(), Arc::clone(&config)).expect("created");
    }
    assert!(open_files() < before + 20, "{before} before, {} after", open_files());
    for log in manager.logs() {
        append(&log, batch(1, "x"));
    }
    assert!(open_files() >= before + PARTITIONS as usize, "an active segment is open");
    for _ in 0..2 {
        manager.logs().iter().for_each(|log| log.close_idle_files());
    }
    assert!(open_files() < before + 20);
    manager.stop(-1).expect("stopped");
    drop(manager);
    let manager = LogManager::open(options()).expect("opened");
    assert_eq!(manager.logs().len(), PARTITIONS as usize);
    assert!(open_files() < before + 20);
    assert!(manager.logs().iter().all(|log| log.log_end_offset() == 1));
}
