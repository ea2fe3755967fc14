//! When a segment is closed and another begun, and what is on the device when.

mod support;

use std::sync::Arc;
use std::time::Duration;

use ottla_env::{fs, time};
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::{AppendOrigin, CleanupPolicy, Log, LogConfig, LogDir, LogManager, LogManagerOptions, OpenOptions};
use support::*;

fn opened(temp: &tempfile::TempDir, config: LogConfig) -> Arc<Log> {
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    open(&dir, &Arc::new(config), OpenOptions::default())
}

fn append_at(log: &Log, timestamp: i64, now_ms: i64) {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(timestamp, None, Some(b"v"), &[]);
    log.append_as_leader(&mut builder.build(), 0, AppendOrigin::Client, now_ms).expect("appended");
}

#[test]
fn by_the_time_of_the_records_not_by_the_clock() {
    let temp = tempfile::tempdir().expect("a directory");
    let log = opened(&temp, LogConfig { segment_ms: 1000, ..LogConfig::default() });
    append_at(&log, NOW, NOW);
    append_at(&log, NOW + 1000, NOW + 500_000);
    assert_eq!(log.segment_count(), 1, "the records are not more than a second apart");
    append_at(&log, NOW + 1001, NOW + 1);
    assert_eq!(log.segment_count(), 2);
    append_at(&log, NOW + 1500, NOW);
    assert_eq!(log.segment_count(), 2, "the new segment's age counts from its own first record");
}

#[test]
fn by_size_and_by_a_full_index() {
    let temp = tempfile::tempdir().expect("a directory");
    let one = batch(1, "x").len();
    let log = opened(&temp, LogConfig { segment_bytes: 3 * one, ..LogConfig::default() });
    for expected in [1, 1, 1, 2, 2, 2, 3] {
        append(&log, batch(1, "x"));
        assert_eq!(log.segment_count(), expected);
    }
    let temp = tempfile::tempdir().expect("a directory");
    let log = opened(&temp, LogConfig { segment_index_bytes: 3 * 8, index_interval_bytes: 0, ..LogConfig::default() });
    for _ in 0..9 {
        append(&log, batch(1, "x"));
    }
    assert!(log.segment_count() > 1);
    for file in fs::read_dir(log.path()).expect("listed") {
        assert!(!file.name.ends_with("index") || file.len <= 24, "{file:?}");
    }
}

#[test]
fn an_offset_too_far_from_the_base_begins_a_segment() {
    let temp = tempfile::tempdir().expect("a directory");
    let compact = CleanupPolicy { delete: false, compact: true };
    let log = opened(&temp, LogConfig { cleanup_policy: compact, ..LogConfig::default() });
    append(&log, batch(1, "near"));
    let far = BatchOptions { base_offset: i64::from(i32::MAX) + 10, leader_epoch: 0, ..BatchOptions::default() };
    let info = log.append_as_follower(&batch_by(far, 2, "far")).expect("a compacted log has gaps");
    assert_eq!((info.first_offset, log.segment_count()), (i64::from(i32::MAX) + 10, 2));
    let read = log.read(1, 1 << 20, i64::MAX, true).expect("read").slice.expect("the gap leads to what follows it");
    assert_eq!(read.read().expect("whole").len(), batch_by(far, 2, "far").len());
}

#[test]
fn a_preallocated_segment_is_cut_when_it_is_closed_and_its_zeros_when_it_was_not() {
    let config = Arc::new(LogConfig { segment_bytes: 4_000, preallocate: true, ..LogConfig::default() });
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let log = open(&dir, &config, OpenOptions::default());
    let lengths = |log: &Log| -> Vec<u64> {
        let files = fs::read_dir(log.path()).expect("listed");
        files.iter().filter(|f| f.name.ends_with(".log")).map(|f| f.len).collect()
    };
    assert_eq!(lengths(&log), [4_000]);
    while log.segment_count() < 2 {
        append(&log, batch(3, "x"));
    }
    let all = read_all(&log, 0, || 1 << 20);
    let first = all.len() as u64 - (log.size_bytes() - lengths(&log)[0]);
    assert_eq!(lengths(&log), [first, 4_000], "the closed one ends with its last batch");
    log.flush().expect("synced");
    let end = log.log_end_offset();
    drop(log);

    let killed = OpenOptions { recovery_point: end, ..OpenOptions::default() };
    let log = open(&dir, &config, killed);
    assert_eq!((log.log_end_offset(), log.damaged()), (end, Vec::new()));
    assert_eq!(read_all(&log, 0, || 1 << 20), all);
    append(&log, batch(1, "more"));
    log.close().expect("closed");
    assert_eq!(lengths(&log).iter().sum::<u64>(), log.size_bytes());
}

#[test]
fn flush_messages_asks_for_a_sync_and_flush_ms_is_left_to_the_flusher() {
    let temp = tempfile::tempdir().expect("a directory");
    let log = opened(&temp, LogConfig { flush_messages: 3, ..LogConfig::default() });
    append(&log, batch(2, "x"));
    assert_eq!((log.ack_offset(), log.is_flush_due()), (2, false));
    append(&log, batch(1, "x"));
    assert_eq!((log.ack_offset(), log.is_flush_due()), (0, true));
    log.flush().expect("synced");
    assert_eq!((log.ack_offset(), log.is_flush_due(), log.flushes()), (3, false, 1));

    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let options = LogManagerOptions { dirs: vec![temp.path().to_owned()], ..LogManagerOptions::default() };
    let manager = LogManager::open(options).expect("opened");
    manager.start().expect("threads");
    let config = Arc::new(LogConfig { flush_ms: 300, ..LogConfig::default() });
    let log = manager.create(TOPIC, 0, topic_id(), config).expect("created");
    append(&log, batch(5, "x"));
    eventually(|| log.flushed_offset() == 5);
    manager.stop(-1).expect("stopped");
}

#[test]
fn a_closed_segment_is_synced_and_has_its_snapshot_soon() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let options = LogManagerOptions { dirs: vec![temp.path().to_owned()], ..LogManagerOptions::default() };
    let manager = LogManager::open(options).expect("opened");
    manager.start().expect("threads");
    let log = manager.create(TOPIC, 0, topic_id(), small(1000)).expect("created");
    while log.segment_count() < 2 {
        append(&log, batch(1, "x"));
    }
    let base = log.log_end_offset() - 1;
    eventually(|| log.flushed_offset() >= base);
    eventually(|| fs::exists(log.path().join(format!("{base:020}.snapshot"))));
    manager.stop(-1).expect("stopped");
}

fn eventually(mut condition: impl FnMut() -> bool) {
    let begun = time::monotonic_ms();
    while !condition() {
        assert!(time::monotonic_ms() - begun < 20_000, "it did not happen");
        time::sleep_thread(Duration::from_millis(10));
    }
}
