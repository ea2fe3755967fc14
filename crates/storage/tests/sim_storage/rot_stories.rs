//! What heads of batches said that had rotted, and who believed them.

use std::path::Path;
use std::sync::Arc;

use ottla_env::fs;
use ottla_env::sim::{Sim, host};
use ottla_protocol::record_batch::{self, BatchHeader};
use ottla_storage::{AppendOrigin, CopyError, Log, LogConfig, LogManager, ReadError};

use crate::model::read_past;
use crate::stories::{NOW, TOPIC, format, formatted, process_of, record};

/// Six records, each in a batch of its own, and the bytes of one.
fn six_batches(manager: &LogManager, config: &LogConfig) -> (Arc<Log>, u64) {
    some_batches(manager, config, 6)
}

fn some_batches(manager: &LogManager, config: &LogConfig, count: i64) -> (Arc<Log>, u64) {
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(config.clone())).expect("created");
    for n in 0..count {
        log.append_as_leader(&mut record(NOW + n, 30), 0, AppendOrigin::Client, NOW).expect("appended");
    }
    (log, record(NOW, 30).len() as u64)
}

/// Offsets of the batches, and what is told to be damaged.
fn read_careful(log: &Log) -> (Vec<i64>, Vec<(i64, i64)>) {
    let mut told = Vec::new();
    let batches = read_past(log, 0, |range| told.push(range));
    let header = |batch: &Vec<u8>| BatchHeader::read(batch).expect("a batch");
    (batches.iter().map(|batch| header(batch).base_offset).collect(), told)
}

/// Files of the first segment.
const LOG: &str = "00000000000000000000.log";
const INDEX: &str = "00000000000000000000.index";

/// An index entry for every third batch.
fn indexed() -> LogConfig {
    LogConfig { index_interval_bytes: 250, ..LogConfig::default() }
}

/// Where a batch says how many bytes follow.
const LENGTH: u64 = 8;
/// Where it says how many offsets it holds, less one.
const LAST_OFFSET_DELTA: u64 = 23;
/// Where it says by which format it is to be read.
const MAGIC: u64 = 16;

/// A log of so many batches, opened after a clean stop. Meanwhile something has become of its folder: that is told how many bytes
/// a batch has.
fn opened_again(config: &LogConfig, count: i64, rot: impl FnOnce(&Path, u64)) -> Arc<Log> {
    formatted();
    let manager = process_of(&["/data"], config.clone());
    let (log, size) = some_batches(&manager, config, count);
    let folder = log.path();
    manager.stop(1).expect("a clean stop");
    drop((log, manager));
    rot(&folder, size);
    process_of(&["/data"], config.clone()).get(TOPIC.0, 0).expect("open")
}

/// Bytes of a file in a log's folder are others.
fn rot_in(folder: &Path, name: &str, at: u64, bytes: &[u8]) {
    host("main").rot_file(folder.join(name), at, bytes).expect("there");
}

fn with_rotten_second(at: u64, bytes: &[u8]) -> Arc<Log> {
    opened_again(&LogConfig::default(), 6, |folder, size| rot_in(folder, LOG, size + at, bytes))
}

/// The second batch of a log rotted and said that it reached far beyond the end of the log. Whoever began to read there, or
/// behind it, was told for ever that there is nothing yet.
#[test]
fn a_damaged_batch_that_says_to_be_longer_than_the_log_is_told() {
    for offset in 1..6 {
        Sim::new(1).run(async {
            let log = with_rotten_second(LAST_OFFSET_DELTA, &[0, 1, 0, 0]);
            match log.read_verified(offset, 100, i64::MAX, true) {
                Err(ReadError::Damaged { first_offset: 1, end_offset: 2 }) => assert_eq!(offset, 1),
                read => assert!(read.expect("sound").slice.is_some(), "something at {offset}"),
            }
            assert_eq!(log.damaged().len(), 1, "it is known");
        });
    }
}

/// A batch rotted and said to be so long that what it led to lay two index entries behind it. That was looked at, and the batch
/// itself was not: a read of the offset behind it failed again and again.
#[test]
fn a_damaged_batch_that_leads_far_behind_itself_is_found() {
    Sim::new(1).run(async {
        let log = opened_again(&indexed(), 14, |folder, size| {
            assert!((91..125).contains(&size), "three of {size} bytes make an index entry");
            rot_in(folder, LOG, 4 * size + LENGTH, &[0, 0, 2]);
        });
        let read = log.read_verified(5, 100, i64::MAX, true).expect("sound");
        assert!(read.slice.is_some());
        assert_eq!(read_careful(&log), ((0..14).filter(|offset| *offset != 4).collect(), vec![(4, 5)]));
    });
}

/// An index entry had rotted as well as a batch behind the one that it was of. It led the look at that batch past it, and the
/// batch was sent as it was.
#[test]
fn a_wrong_index_entry_leads_past_no_damage() {
    Sim::new(1).run(async {
        let log = opened_again(&indexed(), 14, |folder, size| {
            let position = u32::try_from(12 * size).expect("small");
            // The second half of an entry, here of the one of batch 6.
            rot_in(folder, INDEX, 12, &position.to_be_bytes());
            rot_in(folder, LOG, 8 * size - 10, b"rot");
        });
        let read = log.read_verified(7, 100, i64::MAX, true);
        assert!(matches!(read, Err(ReadError::Damaged { first_offset: 7, end_offset: 8 })), "{read:?}");
    });
}

/// The position in an index entry had rotted. Of the two entries that tell where a slice may end, by offset and by bytes, the
/// other one counted then, whatever its offset: a reader got records behind its bound (seed 967 of runs in which much rots).
#[test]
fn a_wrong_index_entry_leads_beyond_no_bound() {
    Sim::new(1).run(async {
        // Of the second entry, that of batch 6.
        let log = opened_again(&indexed(), 14, |folder, _| rot_in(folder, INDEX, 12, &[0, 16]));
        let read = log.read_verified(4, 1_000, 8, true).expect("sound");
        let bytes = read.slice.expect("something").read().expect("whole");
        let last = record_batch::batches(&bytes).flatten().last().map(|(header, _)| header.base_offset);
        assert_eq!(last, Some(7));
    });
}

/// The time index had lost what it knew of the end of a segment, and a batch before that had rotted. The largest timestamp was
/// looked for up to there and no further, and a search by time passed over the segment (seed 5790).
#[test]
fn the_largest_timestamp_lies_behind_the_damage() {
    Sim::new(1).run(async {
        formatted();
        let config = indexed();
        let start = || process_of(&["/data"], config.clone());
        let manager = start();
        let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(config.clone())).expect("created");
        let size = record(NOW, 30).len() as u64;
        for n in 0..14 {
            let timestamp = if n <= 8 { NOW + n } else { NOW };
            log.append_as_leader(&mut record(timestamp, 30), 0, AppendOrigin::Client, NOW).expect("appended");
        }
        let (file, times) = (log.path().join(LOG), log.path().join("00000000000000000000.timeindex"));
        manager.stop(1).expect("a clean stop");
        drop((log, manager));
        let cut = fs::File::open_rw(times).expect("there");
        cut.set_len(12).expect("the first entry is left");
        drop(cut);
        host("main").rot_file(file, 4 * size + MAGIC, &[9]).expect("there");
        let log = start().get(TOPIC.0, 0).expect("open");
        let found = log.offset_for_timestamp(NOW + 8).expect("looked up");
        assert_eq!(found.map(|found| found.offset), Some(8));
    });
}

/// A batch that said to reach beyond the end of its log was the next that a move had to copy. Nothing seemed to follow: the copy
/// took the log's place without it and without all that lay behind it.
#[test]
fn a_copy_does_not_end_where_a_batch_rotted() {
    Sim::new(1).run(async {
        format("/data", 1);
        format("/other", 2);
        fs::sync_dir("/").expect("synced");
        let config = LogConfig::default();
        let start = || process_of(&["/data", "/other"], config.clone());
        let manager = start();
        let (log, size) = six_batches(&manager, &config);
        let file = log.path().join(LOG);
        let to = manager.log_dirs().iter().find(|dir| !Arc::ptr_eq(dir, log.dir())).cloned().expect("another");
        let future = manager.create_future(TOPIC.0, 0, &to).expect("made").expect("it moves");
        future.copy_from(&log, 1).expect("copied");
        manager.stop(1).expect("a clean stop");
        drop((log, future, to, manager));
        host("main").rot_file(file, size + LAST_OFFSET_DELTA, &[0, 1, 0, 0]).expect("there");
        let manager = start();
        let (log, future) = (manager.get(TOPIC.0, 0), manager.future(TOPIC.0, 0));
        let (log, future) = (log.expect("open"), future.expect("it goes on"));
        let copied = future.copy_from(&log, 1);
        assert!(matches!(copied, Err(CopyError::Read(ReadError::Damaged { .. }))), "{copied:?}");
        assert_eq!(future.log_end_offset(), 1);
    });
}

/// A follower was told to cut its log, and a batch that lay before the cut had rotted and said that it reached up to there: the
/// log was cut at that batch, and what lay between was gone.
#[test]
fn a_damaged_batch_does_not_say_where_a_log_is_cut() {
    Sim::new(1).run(async {
        let log = with_rotten_second(LAST_OFFSET_DELTA, &[0, 0, 0, 3]);
        log.truncate_to(4).expect("cut");
        assert_eq!(log.log_end_offset(), 4);
        assert_eq!(read_careful(&log), (vec![0, 2, 3], vec![(1, 2)]));
    });
}

/// A log was cut in a segment whose first batch had rotted so that nothing said where the next one lay. That was found out
/// when the segments behind were gone already: the log said to end where it did before.
#[test]
fn a_log_is_cut_behind_a_batch_that_cannot_be_read() {
    Sim::new(1).run(async {
        formatted();
        let config = LogConfig { segment_bytes: 250, ..LogConfig::default() };
        let start = || process_of(&["/data"], config.clone());
        let manager = start();
        let (log, _) = six_batches(&manager, &config);
        assert!(log.segment_count() > 2);
        let file = log.path().join(LOG);
        manager.stop(1).expect("a clean stop");
        drop((log, manager));
        host("main").rot_file(file, MAGIC, &[9]).expect("there");
        let log = start().get(TOPIC.0, 0).expect("open");
        log.truncate_to(1).expect("cut");
        assert_eq!(log.log_end_offset(), 1);
        log.append_as_leader(&mut record(NOW, 30), 0, AppendOrigin::Client, NOW).expect("appended");
        assert_eq!(read_careful(&log), (vec![1], vec![(0, 1)]));
    });
}
