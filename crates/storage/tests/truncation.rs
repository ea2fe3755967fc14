//! What truncation and the log start take away is gone, after a restart too; what they leave is untouched.

mod support;

use ottla_storage::{EpochEnd, LogDir, OpenOptions, ReadError, StorageError};
use support::*;

#[test]
fn the_log_is_cut_at_a_batch_in_any_segment() {
    for cut in [0i64, 2, 10, 38, 60, 78] {
        let temp = tempfile::tempdir().expect("a directory");
        format(temp.path());
        let dir = LogDir::open(temp.path()).expect("locked");
        let config = small(1500);
        let log = open(&dir, &config, OpenOptions::default());
        for n in 0..40 {
            append(&log, batch(2, &format!("{n}")));
        }
        let before = read_all(&log, 0, || 1 << 20);
        log.truncate_to(cut).expect("cut");
        assert_eq!((log.log_end_offset(), log.high_watermark()), (cut, cut));
        let kept = read_all(&log, 0, || 1 << 20);
        assert!(before.starts_with(&kept), "cut at {cut}");
        assert_eq!(append(&log, batch(1, "after")).first_offset, cut);
        drop(log);
        let log = open(&dir, &config, OpenOptions::default());
        assert_eq!(log.log_end_offset(), cut + 1);
        assert!(read_all(&log, 0, || 1 << 20).starts_with(&kept));
        let time = log.offset_for_timestamp(NOW + 1).expect("searched").map(|found| found.offset);
        assert_eq!(time, if cut == 0 { None } else { Some(1) });
    }
}

#[test]
fn epochs_follow_the_log() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let config = small(1 << 20);
    let log = open(&dir, &config, OpenOptions::default());
    for epoch in [0, 2, 5] {
        log.start_leader_epoch(epoch).expect("noted");
        let mut bytes = batch(4, "e");
        log.append_as_leader(&mut bytes, epoch, ottla_storage::AppendOrigin::Client, NOW).expect("appended");
    }
    assert_eq!(log.end_offset_for_epoch(3), EpochEnd { epoch: 2, end_offset: 8 });
    drop(log);
    // Nothing was flushed: the epochs are read from the batches.
    let log = open(&dir, &config, OpenOptions::default());
    assert_eq!(log.epochs().iter().map(|e| (e.epoch, e.start_offset)).collect::<Vec<_>>(), [(0, 0), (2, 4), (5, 8)]);
    log.truncate_to(8).expect("cut");
    assert_eq!(log.latest_epoch(), Some(2));
    log.close().expect("closed");
    drop(log);
    let log = open(&dir, &config, OpenOptions { clean_shutdown: true, ..OpenOptions::default() });
    assert_eq!((log.latest_epoch(), log.epoch_at(3)), (Some(2), Some(0)));
}

#[test]
fn the_log_start_only_advances_and_reads_below_it_are_refused() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let log = open(&dir, &small(1500), OpenOptions::default());
    for n in 0..40 {
        append(&log, batch(2, &format!("{n}")));
    }
    log.advance_log_start_offset(45).expect("advanced");
    log.advance_log_start_offset(7).expect("no way back, no error");
    assert_eq!(log.log_start_offset(), 45);
    assert!(matches!(log.read(44, 100, 80, true), Err(ReadError::OffsetOutOfRange { log_start_offset: 45, .. })));
    assert!(matches!(log.advance_log_start_offset(81), Err(StorageError::OffsetOutOfRange { high: 80, .. })));
    let segments = log.segment_count();
    assert!(log.delete_old_segments(NOW).expect("removed") > 0);
    assert!(log.segment_count() < segments);
    read_all(&log, 45, || 1 << 20);
}

#[test]
fn a_log_starts_anew_at_an_offset() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let config = small(1500);
    let log = open(&dir, &config, OpenOptions::default());
    append(&log, batch(2, "old"));
    log.truncate_fully_and_start_at(1000).expect("started anew");
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.size_bytes()), (1000, 1000, 0));
    assert_eq!(append(&log, batch(2, "new")).first_offset, 1000);
    drop(log);
    let log = open(&dir, &config, OpenOptions::default());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (1000, 1002));
}
