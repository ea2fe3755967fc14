//! What a partition knows of its producers survives restarts, clean or not, and truncation.

mod support;

use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::{AppendError, AppendOrigin, Log, LogDir, OpenOptions};
use support::*;

fn by(producer_id: i64, sequence: i32, transactional: bool) -> Vec<u8> {
    let options = BatchOptions {
        producer_id,
        producer_epoch: 0,
        base_sequence: sequence,
        transactional,
        ..BatchOptions::default()
    };
    batch_by(options, 10, "p")
}

fn end_transaction(log: &Log, producer_id: i64, commit: bool) -> i64 {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id,
        producer_epoch: 0,
        transactional: true,
        control: true,
        ..BatchOptions::default()
    });
    let kind = if commit { ControlRecordType::Commit } else { ControlRecordType::Abort };
    builder.append(NOW, Some(&kind.key()), Some(&[0, 0, 0, 0, 0, 1]), &[]);
    let info = log.append_as_leader(&mut builder.build(), 0, AppendOrigin::Coordinator, NOW).expect("appended");
    info.first_offset
}

#[test]
fn a_repeat_is_recognised_after_every_kind_of_restart() {
    for clean in [true, false] {
        for checkpoint_after in [0, 3, 7] {
            let temp = tempfile::tempdir().expect("a directory");
            format(temp.path());
            let dir = LogDir::open(temp.path()).expect("locked");
            let config = small(2000);
            let log = open(&dir, &config, OpenOptions::default());
            for n in 0..7 {
                append(&log, by(7, n * 10, false));
                if n == checkpoint_after {
                    log.checkpoint().expect("checkpointed");
                }
            }
            let recovery_point = log.flushed_offset();
            if clean {
                log.close().expect("closed");
            }
            drop(log);
            let options = OpenOptions { clean_shutdown: clean, recovery_point, ..OpenOptions::default() };
            let log = open(&dir, &config, options);
            let end = log.log_end_offset();
            // Of a snapshot only the last batch is left, as in Kafka; batches behind it are all remembered.
            let repeat = append(&log, by(7, 60, false));
            assert!(repeat.duplicate && repeat.first_offset == 60 && repeat.last_offset == 69, "{repeat:?}");
            assert_eq!(log.log_end_offset(), end, "nothing was appended");
            let gap = log.append_as_leader(&mut by(7, 80, false), 0, AppendOrigin::Client, NOW);
            assert!(matches!(gap, Err(AppendError::OutOfOrderSequence { last: 69, .. })), "{gap:?}");
            assert!(!append(&log, by(7, 70, false)).duplicate);
        }
    }
}

#[test]
fn truncation_takes_sequences_back() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let log = open(&dir, &small(2000), OpenOptions::default());
    for n in 0..7 {
        append(&log, by(7, n * 10, false));
    }
    log.truncate_to(40).expect("cut");
    let gap = log.append_as_leader(&mut by(7, 70, false), 0, AppendOrigin::Client, NOW);
    assert!(matches!(gap, Err(AppendError::OutOfOrderSequence { last: 39, .. })), "{gap:?}");
    let next = append(&log, by(7, 40, false));
    assert_eq!((next.first_offset, next.duplicate), (40, false));
}

#[test]
fn open_and_aborted_transactions_are_known_after_a_restart() {
    for clean in [true, false] {
        let temp = tempfile::tempdir().expect("a directory");
        format(temp.path());
        let dir = LogDir::open(temp.path()).expect("locked");
        let config = small(2000);
        let log = open(&dir, &config, OpenOptions::default());
        append(&log, by(1, 0, true));
        append(&log, by(2, 0, true));
        append(&log, by(1, 10, true));
        assert_eq!(log.last_stable_offset(), 0);
        let marker = end_transaction(&log, 1, false);
        assert_eq!(log.last_stable_offset(), 0, "the marker is not replicated yet");
        log.set_high_watermark(log.log_end_offset());
        assert_eq!(log.last_stable_offset(), 10, "producer 2 goes on");
        if clean {
            log.close().expect("closed");
        }
        let options =
            OpenOptions { clean_shutdown: clean, high_watermark: log.high_watermark(), ..OpenOptions::default() };
        drop(log);
        let log = open(&dir, &config, options);
        assert_eq!(log.last_stable_offset(), 10, "clean: {clean}");
        let read = log.read_committed(0, 1 << 20, true).expect("read");
        let aborted: Vec<_> =
            read.aborted_transactions.iter().map(|t| (t.producer_id, t.first_offset, t.last_offset)).collect();
        assert_eq!(aborted, [(1, 0, marker)], "clean: {clean}");
        let outside = log.append_as_leader(&mut by(2, 10, false), 0, AppendOrigin::Client, NOW);
        assert!(matches!(outside, Err(AppendError::InvalidTransactionState { producer_id: 2 })), "{outside:?}");
        end_transaction(&log, 2, true);
        log.set_high_watermark(log.log_end_offset());
        assert_eq!(log.last_stable_offset(), log.log_end_offset());
    }
}
