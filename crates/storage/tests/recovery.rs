//! After a process that ended without a word: only what lies behind the recovery point is read, a torn tail is cut at the
//! last whole batch, and what was acknowledged is there.

mod support;

use ottla_env::fs::{self, File};
use ottla_protocol::record_batch::{BatchHeader, set_base_offset, set_leader_epoch};
use ottla_storage::{LogDir, OpenOptions, RecoveryReport};
use support::*;

/// The last `.log` file of the partition.
fn last_log_file(log: &ottla_storage::Log) -> std::path::PathBuf {
    let files = fs::read_dir(log.path()).expect("listed");
    let last = files.iter().rev().find(|f| f.name.ends_with(".log")).expect("a segment");
    log.path().join(&last.name)
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_batch() {
    for torn_by in [1usize, 40, 61, 100] {
        let temp = tempfile::tempdir().expect("a directory");
        format(temp.path());
        let dir = LogDir::open(temp.path()).expect("locked");
        let config = small(1 << 20);
        let log = open(&dir, &config, OpenOptions::default());
        for n in 0..20 {
            append(&log, batch(3, &format!("whole {n}")));
        }
        let whole = read_all(&log, 0, || 1 << 20);
        let mut torn = batch(3, "torn");
        set_base_offset(&mut torn, log.log_end_offset());
        set_leader_epoch(&mut torn, 0);
        torn.truncate(torn_by);
        let file = File::open_rw(last_log_file(&log)).expect("opened");
        file.write_all_at(&torn, whole.len() as u64).expect("written");
        drop(log);

        let log = open(&dir, &config, OpenOptions::default());
        assert_eq!(log.log_end_offset(), 60);
        assert_eq!(log.recovery_report().bytes_cut, torn_by as u64);
        assert_eq!(file.len().expect("there"), whole.len() as u64, "the file ends with the last whole batch");
        assert_eq!(read_all(&log, 0, || 500), whole);
        append(&log, batch(1, "goes on"));
        assert_eq!(log.log_end_offset(), 61);
    }
}

/// No checksum covers a base offset, and a follower may have had a gap of its leader's there. But no gap is as wide as an index
/// cannot note: such an offset once became the end of the log.
#[test]
fn a_base_offset_that_leaps_is_none() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let config = small(1 << 20);
    let log = open(&dir, &config, OpenOptions::default());
    append(&log, batch(3, "whole"));
    let whole = log.size_bytes();
    append(&log, batch(3, "flipped"));
    let file = File::open_rw(last_log_file(&log)).expect("opened");
    drop(log);
    file.write_all_at(&((1_i64 << 37) + 3).to_be_bytes(), whole).expect("written");

    let log = open(&dir, &config, OpenOptions::default());
    assert_eq!((log.log_end_offset(), log.size_bytes()), (3, whole));
}

#[test]
fn a_flipped_bit_in_the_unsynced_tail_cuts_there_and_removes_the_segments_behind() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let config = small(2000);
    let log = open(&dir, &config, OpenOptions::default());
    for n in 0..60 {
        append(&log, batch(2, &format!("{n}")));
    }
    assert!(log.segment_count() > 2);
    let first = log.path().join("00000000000000000000.log");
    let path = log.path();
    let names: Vec<_> = fs::read_dir(&path).expect("listed").into_iter().map(|f| f.name).collect();
    let second = names.iter().filter(|name| name.ends_with(".log")).nth(1).expect("a second segment");
    let second_base: i64 = second[..20].parse().expect("a base offset");
    drop(log);
    let file = File::open_rw(&first).expect("opened");
    let at = file.len().expect("there") - 3;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("read");
    file.write_all_at(&[byte[0] ^ 4], at).expect("written");

    let log = open(&dir, &config, OpenOptions::default());
    assert_eq!(log.segment_count(), 1);
    let all = read_all(&log, 0, || 1 << 20);
    assert_eq!(all.len() as u64, log.size_bytes());
    assert_eq!(log.log_end_offset(), second_base - 2, "without the last batch of the first segment");
    let left = fs::read_dir(path).expect("listed");
    assert!(left.iter().filter(|f| f.name.ends_with(".log")).count() == 1, "{left:?}");
}

#[test]
fn only_what_lies_behind_the_recovery_point_is_read() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let config = small(300_000);
    let log = open(&dir, &config, OpenOptions::default());
    let one = batch(5, &"x".repeat(200));
    for _ in 0..400 {
        append(&log, one.clone());
    }
    log.checkpoint().expect("flushed");
    let synced = log.flushed_offset();
    assert_eq!(synced, log.log_end_offset());
    for _ in 0..10 {
        append(&log, one.clone());
    }
    let end = log.log_end_offset();
    let bytes = read_all(&log, 0, || 1 << 20);
    drop(log);

    let log = open(&dir, &config, OpenOptions { recovery_point: synced, ..OpenOptions::default() });
    assert_eq!(log.log_end_offset(), end);
    let RecoveryReport { bytes_scanned, bytes_cut, .. } = log.recovery_report();
    let unsynced = 10 * one.len() as u64;
    assert!(bytes_scanned >= unsynced, "{bytes_scanned}");
    assert!(bytes_scanned <= unsynced + 2 * one.len() as u64, "{bytes_scanned} of {} were read", bytes.len());
    assert_eq!(bytes_cut, 0);
    assert_eq!(read_all(&log, 0, || 1 << 20), bytes);
}

#[test]
fn indexes_that_are_missing_or_garbage_are_no_trouble() {
    for clean in [true, false] {
        let temp = tempfile::tempdir().expect("a directory");
        format(temp.path());
        let dir = LogDir::open(temp.path()).expect("locked");
        let config = small(3000);
        let log = open(&dir, &config, OpenOptions::default());
        for n in 0..400 {
            append(&log, batch(2, &format!("{n}")));
        }
        let bytes = read_all(&log, 0, || 1 << 20);
        log.close().expect("closed");
        let path = log.path();
        drop(log);
        for (n, file) in fs::read_dir(&path).expect("listed").iter().filter(|f| f.name.ends_with("index")).enumerate() {
            let file = path.join(&file.name);
            let opened = || File::open_rw(&file).expect("opened");
            match n % 5 {
                0 => fs::remove_file(&file).expect("removed"),
                // The second half of an offset index entry is a position: this one lies inside a batch.
                1 => opened().write_all_at(&[0, 0, 0, 99], 4).expect("written"),
                2 => opened().write_all_at(&[0x5a; 24], 0).expect("written"),
                3 => opened().set_len(5).expect("cut"),
                _ => opened().set_len(4800).expect("preallocated"),
            }
        }
        let options = OpenOptions { clean_shutdown: clean, ..OpenOptions::default() };
        let log = open(&dir, &config, options);
        assert_eq!(read_all(&log, 0, || 700), bytes, "clean: {clean}");
        for offset in 0..log.log_end_offset() {
            let slice = log.read(offset, 1, i64::MAX, true).expect("read").slice.expect("one batch");
            let header = BatchHeader::read(&slice.read().expect("whole")).expect("a batch");
            assert!((header.base_offset..=header.last_offset()).contains(&offset));
        }
        assert_eq!(log.offset_for_timestamp(NOW).expect("searched").map(|f| f.offset), Some(0));
    }
}

/// Small segments of many batches, all of the same timestamps.
fn rolled(
    dir: &std::sync::Arc<LogDir>,
) -> (std::sync::Arc<ottla_storage::LogConfig>, std::sync::Arc<ottla_storage::Log>) {
    let config = std::sync::Arc::new(ottla_storage::LogConfig { segment_bytes: 1200, ..Default::default() });
    let log = open(dir, &config, OpenOptions::default());
    for n in 0..40 {
        append(&log, batch(3, &format!("{n}")));
        log.flush().expect("flushed");
    }
    (config, log)
}

/// The time indexes of closed segments end with their largest timestamp.
fn assert_time_indexes_are_complete(log: &ottla_storage::Log) {
    let files = fs::read_dir(log.path()).expect("listed");
    let indexes: Vec<_> = files.iter().filter(|f| f.name.ends_with(".timeindex")).collect();
    assert!(indexes.len() > 2);
    for file in indexes.iter().take(indexes.len() - 1) {
        let bytes = fs::read(log.path().join(&file.name)).expect("read");
        let last = bytes.last_chunk::<12>().and_then(|e| e.first_chunk::<8>()).map(|t| i64::from_be_bytes(*t));
        assert_eq!(last, Some(NOW + 2), "{}", file.name);
    }
}

#[test]
fn the_time_index_of_a_segment_that_was_flushed_before_it_was_closed_is_complete() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let (_, log) = rolled(&dir);
    log.close().expect("closed");
    assert_time_indexes_are_complete(&log);
}

#[test]
fn the_time_index_of_a_recovered_segment_is_complete() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let (config, log) = rolled(&dir);
    let files = fs::read_dir(log.path()).expect("listed");
    let bases: Vec<i64> = files.iter().filter_map(|f| f.name.strip_suffix(".log")?.parse().ok()).collect();
    drop(log);
    // From the start, and from the border of two segments: then the one before it is looked at.
    for recovery_point in [0, bases[1]] {
        for file in files.iter().filter(|f| f.name.ends_with(".timeindex")) {
            fs::write_atomically(dir.path().join("orders-0").join(&file.name), []).expect("emptied");
        }
        let log = open(&dir, &config, OpenOptions { recovery_point, ..OpenOptions::default() });
        assert_time_indexes_are_complete(&log);
    }
}

/// Leader epochs tell a follower where to cut its log. A file of them that is gone, or an older copy, once stood for what it
/// held; and one that is no text took its whole log directory offline.
#[test]
fn leader_epochs_that_are_missing_are_read_from_the_batches() {
    for clean in [true, false] {
        for content in [None, Some(&b"0\n1\n0 0\n"[..]), Some(b"0\n1\n\xe0 0\n")] {
            let temp = tempfile::tempdir().expect("a directory");
            format(temp.path());
            let dir = LogDir::open(temp.path()).expect("locked");
            let config = small(1_200);
            let log = open(&dir, &config, OpenOptions::default());
            for epoch in 0..12 {
                log.append_as_leader(&mut batch(3, "x"), epoch, ottla_storage::AppendOrigin::Client, NOW)
                    .expect("appended");
            }
            log.close().expect("closed");
            let (epochs, recovery_point) = (log.epochs(), log.log_end_offset());
            let file = log.path().join("leader-epoch-checkpoint");
            drop(log);
            match content {
                None => fs::remove_file(&file).expect("removed"),
                Some(content) => fs::write_atomically(&file, content).expect("written"),
            }
            let options = OpenOptions { clean_shutdown: clean, recovery_point, ..OpenOptions::default() };
            let log = open(&dir, &config, options);
            assert_eq!(log.epochs(), epochs, "{content:?}, clean: {clean}");
            log.close().expect("closed");
            let text = fs::read_to_string(&file).expect("written again");
            assert_eq!(text.lines().count(), 2 + epochs.len(), "the next start has nothing to mend");
            assert!(dir.check_online().is_ok());
        }
    }
}

/// No checksum covers a batch's leader epoch. A bit of it that rose in the last batch, below the recovery point, once made leftovers
/// of an earlier leader of all that was appended behind it; the recovery after a kill cut that off, although it was acknowledged.
#[test]
fn a_leader_epoch_that_rose_by_itself_costs_no_record() {
    for bit in [0, 3, 22] {
        let temp = tempfile::tempdir().expect("a directory");
        format(temp.path());
        let dir = LogDir::open(temp.path()).expect("locked");
        let config = small(1 << 20);
        let log = open(&dir, &config, OpenOptions::default());
        let append_some = |log: &ottla_storage::Log| {
            for _ in 0..5 {
                log.append_as_leader(&mut batch(2, "x"), 2, ottla_storage::AppendOrigin::Client, NOW)
                    .expect("appended");
            }
        };
        append_some(&log);
        log.close().expect("closed");
        let (recovery_point, path) = (log.log_end_offset(), last_log_file(&log));
        let bytes = read_all(&log, 0, || 1 << 20);
        let last =
            bytes.len() - ottla_protocol::record_batch::batches(&bytes).last().expect("some").expect("whole").1.len();
        drop(log);
        let at = last as u64 + 15 - bit / 8;
        let file = File::open_rw(&path).expect("opened");
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("read");
        file.write_all_at(&[byte[0] ^ (1 << (bit % 8))], at).expect("written");

        let options = OpenOptions { clean_shutdown: true, recovery_point, ..OpenOptions::default() };
        let log = open(&dir, &config, options);
        assert_eq!(log.latest_epoch(), Some(2), "one batch alone is not believed");
        append_some(&log);
        let end = log.log_end_offset();
        drop(log);
        let options = OpenOptions { recovery_point, ..OpenOptions::default() };
        assert_eq!(open(&dir, &config, options).log_end_offset(), end, "bit {bit}");
    }
}
