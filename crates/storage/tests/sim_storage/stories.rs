//! What the runs have found, each told by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_env::sim::{DiskFaults, Sim, crash, die_at_effect, host, kill, meanwhile};
use ottla_env::{fs, random, time};
use ottla_protocol::Uuid;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::meta_properties::MetaProperties;
use ottla_storage::{
    AbortedTransaction, AppendOrigin, CleanupPolicy, Copied, LogConfig, LogManager, LogManagerOptions,
};

use crate::batches;
use crate::model::read_all;

/// The clock of the records.
pub(crate) const NOW: i64 = 1_700_000_000_000;
/// Topic and id of the only log.
pub(crate) const TOPIC: (&str, Uuid) = ("orders", Uuid(*b"0123456789abcdef"));

pub(crate) fn formatted() {
    format("/data", 1);
}

pub(crate) fn format(path: &str, id: u8) {
    fs::create_dir_durably(path).expect("made");
    let directory_id = Some(Uuid([id; 16]));
    let meta = MetaProperties { version: 1, cluster_id: "c".to_owned(), node_id: 1, directory_id };
    meta.write(Path::new(path)).expect("formatted");
}

pub(crate) fn process() -> Arc<LogManager> {
    process_of(&["/data"], LogConfig::default())
}

pub(crate) fn process_of(dirs: &[&str], config: LogConfig) -> Arc<LogManager> {
    LogManager::open(options_of(dirs, config)).expect("opened")
}

pub(crate) fn options_of(dirs: &[&str], config: LogConfig) -> LogManagerOptions {
    let (dirs, config) = (dirs.iter().map(PathBuf::from).collect(), Arc::new(config));
    let config_of = Box::new(move |_: &str| Arc::clone(&config));
    LogManagerOptions { dirs, config_of, ..LogManagerOptions::default() }
}

/// One record of this time, in a batch of its own.
pub(crate) fn record(timestamp: i64, value_bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(timestamp, Some(b"key"), Some(&vec![b'v'; value_bytes]), &[]);
    builder.build()
}

fn settings() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 550, index_interval_bytes: 150, ..LogConfig::default() })
}

/// So many bytes are left on the disk.
pub(crate) fn leave_space(bytes: u64) {
    // Only a disk that can be filled is counted.
    host("main").set_disk_capacity(4_096);
    let space = fs::space("/").expect("known");
    host("main").set_disk_capacity(space.total - space.available + bytes);
}

/// A batch found the disk full. To take it back its segment was cut to where it had ended, and the indexes with it, whose
/// entries in memory were written out on the way: for which there was no space either, so that the whole directory went
/// offline.
#[test]
fn a_write_is_taken_back_on_a_disk_without_a_byte() {
    Sim::new(1).run(async {
        formatted();
        let manager = process();
        let log = manager.create(TOPIC.0, 0, TOPIC.1, settings()).expect("created");
        let append = |n| log.append_as_leader(&mut record(NOW + n, 30), 0, AppendOrigin::Client, NOW);
        for n in 0..4 {
            append(n).expect("appended");
        }
        leave_space(0);
        append(4).expect_err("the disk is full");
        log.dir().check_online().expect("a full disk is not a broken one");
        host("main").set_disk_capacity(1 << 40);
        assert_eq!(append(4).expect("there is space").first_offset, 4);
    });
}

/// A disk was full: a batch could not be written, and the next one rolled the log for nothing. The closed segment's last
/// entry in the time index was in memory only, and the clean stop took a log without new records for one without changes:
/// the largest timestamp was forgotten, and a search by time passed over it (seed 6963).
#[test]
fn a_roll_that_nothing_follows_is_a_change() {
    Sim::new(1).run(async {
        formatted();
        let manager = process();
        let log = manager.create(TOPIC.0, 0, TOPIC.1, settings()).expect("created");
        let append =
            |after_ms, bytes| log.append_as_leader(&mut record(NOW + after_ms, bytes), 0, AppendOrigin::Client, NOW);
        for n in 0..4 {
            append(n, 30).expect("appended");
        }
        // Writes out what the indexes hold until now.
        log.checkpoint().expect("flushed");
        leave_space(0);
        append(4, 300).expect_err("the disk is full");
        assert_eq!((log.segment_count(), log.log_end_offset()), (2, 4), "rolled for nothing");
        host("main").set_disk_capacity(1 << 40);
        manager.stop(1).expect("a clean stop");
        drop((log, manager));
        let log = process().get(TOPIC.0, 0).expect("open");
        let found = log.offset_for_timestamp(NOW + 3).expect("looked up");
        assert_eq!(found.map(|found| (found.offset, found.timestamp)), Some((3, NOW + 3)));
    });
}

/// A log of a compacted topic was moving when the power went, which took a segment of the copy and left the next one. Of a
/// compacted topic that may be: the copy went on at its end, took the log's place, and what lay in the hole was lost although
/// it had been synced where it was (seed 5630).
#[test]
fn a_copy_has_no_hole_that_its_log_has_not() {
    Sim::new(1).run(async { move_on_with_a_lost_segment() });
}

pub(crate) fn move_on_with_a_lost_segment() {
    format("/data", 1);
    format("/other", 2);
    let cleanup_policy = CleanupPolicy { compact: true, delete: false };
    let config = LogConfig { cleanup_policy, segment_bytes: 250, flush_messages: 1, ..LogConfig::default() };
    let start = || process_of(&["/data", "/other"], config.clone());
    let manager = start();
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(config.clone())).expect("created");
    for n in 0..6 {
        log.append_as_leader(&mut record(NOW + n, 30), 0, AppendOrigin::Client, NOW).expect("appended");
    }
    log.flush().expect("flushed");
    let to = manager.log_dirs().iter().find(|dir| !Arc::ptr_eq(dir, log.dir())).cloned().expect("another");
    let future = manager.create_future(TOPIC.0, 0, &to).expect("made").expect("it moves");
    while future.copy_from(&log, 150).expect("copied") != Copied::CaughtUp {}
    let first = future.path().join("00000000000000000000.log");
    drop((log, future, manager));
    kill();
    let lost = fs::File::open_rw(&first).expect("there");
    lost.set_len(0).expect("what the power took");
    drop(lost);
    let manager = start();
    let (log, future) = (manager.get(TOPIC.0, 0), manager.future(TOPIC.0, 0));
    let (log, future) = (log.expect("open"), future.expect("it goes on"));
    while future.copy_from(&log, 150).expect("copied") != Copied::CaughtUp {}
    manager.replacement(TOPIC.0, 0).expect("both are there").finish().expect("moved");
    let log = manager.get(TOPIC.0, 0).expect("open");
    let batches: Vec<Vec<u8>> = read_all(&log, 0);
    assert_eq!((batches.len(), log.log_end_offset()), (6, 6));
}

/// A process took the mark of the clean stop before it, and was killed before it had synced that. The next one found no mark,
/// synced nothing and appended; then the power went, and the mark was back: what had been cut off in the middle was taken for
/// whole (seed 1481).
#[test]
fn a_mark_that_was_taken_stays_away() {
    (1..=40).for_each(|seed| Sim::new(seed).run(async { take_a_mark_twice() }));
}

pub(crate) fn take_a_mark_twice() {
    formatted();
    process().stop(1).expect("a clean stop");
    // The removal is the first effect of a start, its sync the second.
    die_at_effect(2);
    LogManager::open(options_of(&["/data"], LogConfig::default())).expect_err("it dies");
    kill();
    let manager = process();
    assert_eq!(manager.clean_broker_epoch(), None);
    drop(manager);
    crash();
    assert_eq!(process().clean_broker_epoch(), None, "nobody has stopped since");
}

/// A device failed under a search by time, which told its caller and nobody else (seed 592).
#[test]
fn a_search_by_time_that_cannot_read_takes_the_directory_offline() {
    Sim::new(1).run(async {
        formatted();
        let manager = process();
        let log = manager.create(TOPIC.0, 0, TOPIC.1, settings()).expect("created");
        log.append_as_leader(&mut record(NOW, 30), 0, AppendOrigin::Client, NOW).expect("appended");
        host("main").set_disk_faults(DiskFaults { read_errors: 1_000_000, ..DiskFaults::default() });
        log.offset_for_timestamp(NOW).expect_err("it cannot be read");
        log.dir().check_online().expect_err("and everybody knows");
    });
}

/// A device failed under retention, which told its log and nobody else (seed 16668).
#[test]
fn retention_that_cannot_read_takes_the_directory_offline() {
    Sim::new(1).run(async {
        formatted();
        let manager = process();
        let log = manager.create(TOPIC.0, 0, TOPIC.1, settings()).expect("created");
        for n in 0..8 {
            log.append_as_leader(&mut record(NOW + n, 30), 0, AppendOrigin::Client, NOW).expect("appended");
        }
        assert!(log.segment_count() > 1);
        manager.stop(1).expect("a clean stop");
        drop((log, manager));
        let log = process().get(TOPIC.0, 0).expect("open");
        host("main").set_disk_faults(DiskFaults { read_errors: 1_000_000, ..DiskFaults::default() });
        log.delete_old_segments(NOW).expect_err("it cannot be read");
        log.dir().check_online().expect_err("and everybody knows");
    });
}

/// A batch as a follower gets it from its leader.
fn replicated(base_offset: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions { base_offset, leader_epoch: 0, ..BatchOptions::default() });
    builder.append(NOW + base_offset, Some(b"key"), Some(b"value"), &[]);
    builder.build()
}

/// A follower of a compacted leader had synced a batch behind a gap. Of the next one the power took the sector that held its
/// base offset, which no checksum covers, and left the rest: it seemed to show that the gap was none, and what had been
/// synced was cut off (seed 168146).
#[test]
fn a_gap_that_was_synced_outlives_a_torn_batch_behind_it() {
    Sim::new(1).run(async {
        formatted();
        let manager = process();
        let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(LogConfig::default())).expect("created");
        for base_offset in [0, 1, 2, 4] {
            log.append_as_follower(&replicated(base_offset)).expect("appended");
        }
        log.flush().expect("flushed");
        let file = log.path().join("00000000000000000000.log");
        let synced = fs::file_len(&file).expect("there");
        log.append_as_follower(&replicated(5)).expect("appended");
        drop((log, manager));
        kill();
        let torn = fs::File::open_rw(&file).expect("there");
        torn.write_all_at(&[0; 8], synced).expect("what the power took");
        drop(torn);
        let log = process().get(TOPIC.0, 0).expect("open");
        assert_eq!((log.log_end_offset(), read_all(&log, 0).len()), (5, 4));
    });
}

/// The last batch of a log lay behind a gap of its leader's when the indexes and the recovery points were lost: building the
/// indexes again took the batch for damaged, because nothing said that so many offsets had been given (seed 242866).
#[test]
fn a_gap_before_the_last_batch_is_no_damage() {
    Sim::new(1).run(async {
        formatted();
        let manager = process();
        let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(LogConfig::default())).expect("created");
        for base_offset in [0, 1, 4] {
            log.append_as_follower(&replicated(base_offset)).expect("appended");
        }
        log.flush().expect("flushed");
        let index = log.path().join("00000000000000000000.index");
        manager.stop(1).expect("a clean stop");
        drop((log, manager));
        fs::remove_file(index).expect("lost");
        fs::remove_file("/data/recovery-point-offset-checkpoint").expect("lost, too");
        let log = process().get(TOPIC.0, 0).expect("open");
        assert_eq!(log.damaged(), []);
        assert_eq!((log.log_end_offset(), read_all(&log, 0).len()), (5, 3));
    });
}

/// The power took an ABORT marker and left its entry in the transaction index. Recovery dropped the entry, which left the
/// index empty, and nobody syncs an empty one: when the power went again, after a clean stop, the entry was back, and what
/// its producer committed later was taken for aborted (seeds 198711 and 252383).
#[test]
fn an_aborted_transaction_that_was_dropped_stays_away() {
    for seed in 1..=20 {
        Sim::new(seed).run(async {
            formatted();
            let manager = process();
            let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(LogConfig::default())).expect("created");
            let mut batch = batches::batch_by(7, 0, 0, true);
            log.append_as_leader(&mut batch, 0, AppendOrigin::Client, time::wall_clock_ms()).expect("appended");
            let (file, end) = (log.path().join("00000000000000000000.log"), log.log_end_offset());
            let before = fs::file_len(&file).expect("there");
            let mut marker = batches::marker(7, 0, 0, false);
            log.append_as_leader(&mut marker, 0, AppendOrigin::Coordinator, time::wall_clock_ms()).expect("appended");
            log.flush().expect("flushed");
            drop((log, manager));
            kill();
            let cut = fs::File::open_rw(&file).expect("there");
            cut.set_len(before).and_then(|()| cut.sync_data()).expect("what the power took");
            drop(cut);
            let manager = process();
            assert_eq!(manager.get(TOPIC.0, 0).expect("open").log_end_offset(), end);
            manager.stop(1).expect("a clean stop");
            drop(manager);
            crash();
            let log = process().get(TOPIC.0, 0).expect("open");
            let index = log.path().join("00000000000000000000.txnindex");
            assert!(!fs::exists(&index) || fs::file_len(&index).expect("there") == 0, "seed {seed}");
        });
    }
}

/// Recovery renamed a segment away that lay behind a torn one, and the process died before it had synced that. The next one
/// found it renamed, and removed it; then the power went, and the segment had its name again (seed 213664).
#[test]
fn a_segment_that_was_cut_off_stays_away() {
    (1..=200).for_each(|seed| Sim::new(seed).run(async { cut_a_segment_off_twice() }));
}

pub(crate) fn cut_a_segment_off_twice() {
    formatted();
    let cleanup_policy = CleanupPolicy { compact: true, delete: false };
    let config = LogConfig { cleanup_policy, segment_bytes: 250, ..LogConfig::default() };
    let start = || LogManager::open(options_of(&["/data"], config.clone()));
    let manager = start().expect("opened");
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(config.clone())).expect("created");
    for n in 0..6 {
        log.append_as_leader(&mut record(NOW + n, 30), 0, AppendOrigin::Client, NOW).expect("appended");
    }
    log.flush().expect("flushed");
    let first = log.path().join("00000000000000000000.log");
    drop((log, manager));
    kill();
    let torn = fs::File::open_rw(&first).expect("there");
    torn.set_len(5).and_then(|()| torn.sync_data()).expect("what the power took");
    drop(torn);
    die_at_effect(1 + random::below(20));
    drop(start());
    kill();
    let manager = start().expect("opened");
    assert_eq!(manager.get(TOPIC.0, 0).expect("open").log_end_offset(), 0);
    drop(manager);
    crash();
    let manager = start().expect("opened");
    assert_eq!(manager.get(TOPIC.0, 0).expect("open").log_end_offset(), 0);
}

/// A start cut a torn log back to nothing and died before that was synced. The next process found it empty, had nothing to sync,
/// and stopped cleanly; then the power went, and the torn bytes were back behind the mark of the clean stop (seed 3149).
#[test]
fn what_was_cut_back_to_nothing_stays_away() {
    (1..=200).for_each(|seed| Sim::new(seed).run(async { cut_back_to_nothing_twice() }));
}

fn cut_back_to_nothing_twice() {
    formatted();
    let manager = process();
    let log = manager.create(TOPIC.0, 0, TOPIC.1, settings()).expect("created");
    log.append_as_leader(&mut record(NOW, 30), 0, AppendOrigin::Client, NOW).expect("appended");
    log.flush().expect("flushed");
    let file = log.path().join("00000000000000000000.log");
    drop((log, manager));
    kill();
    let torn = fs::File::open_rw(&file).expect("there");
    torn.set_len(70).and_then(|()| torn.sync_data()).expect("what the power took");
    drop(torn);
    die_at_effect(1 + random::below(20));
    drop(LogManager::open(options_of(&["/data"], LogConfig::default())));
    kill();
    let manager = process();
    assert_eq!(manager.get(TOPIC.0, 0).expect("open").log_end_offset(), 0);
    manager.stop(1).expect("a clean stop");
    drop(manager);
    crash();
    let log = process().get(TOPIC.0, 0).expect("open");
    assert_eq!((log.log_end_offset(), log.damaged()), (0, Vec::new()));
}

/// While a flush waited for its device, an ABORT marker was appended. The flush took the mark along that said that names were to
/// be synced, and had passed the transaction index by: the next one made that file and did not sync its name. The power took it,
/// and consumers of committed records were given those of the aborted transaction.
#[test]
fn an_index_that_came_during_a_flush_keeps_its_name() {
    for seed in 1..=20 {
        Sim::new(seed).run(async {
            formatted();
            let manager = process();
            let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(LogConfig::default())).expect("created");
            let append = |mut batch: Vec<u8>, origin| {
                log.append_as_leader(&mut batch, log.latest_epoch().unwrap_or(0), origin, time::wall_clock_ms())
            };
            append(batches::batch_by(7, 0, 0, true), AppendOrigin::Client).expect("appended");
            log.flush().expect("flushed");
            log.start_leader_epoch(1).expect("it leads again");
            append(record(time::wall_clock_ms(), 30), AppendOrigin::Client).expect("appended");
            // The first sync is the segment's, the second that of the leader epochs.
            let (other, mut marker) = (Arc::clone(&log), batches::marker(7, 0, 0, false));
            meanwhile(2, move || {
                let now_ms = time::wall_clock_ms();
                other.append_as_leader(&mut marker, 1, AppendOrigin::Coordinator, now_ms).expect("appended");
            });
            log.flush().expect("flushed");
            assert!(log.flushed_offset() < log.log_end_offset(), "the marker came later");
            log.flush().expect("flushed");
            log.set_high_watermark(log.log_end_offset());
            assert_eq!(log.flushed_offset(), log.log_end_offset());
            manager.visit_checkpoints();
            drop((log, manager));
            crash();
            assert_eq!(aborted(&process()).len(), 1, "seed {seed}");
        });
    }
}

/// What a consumer of committed records is told of aborted transactions.
pub(crate) fn aborted(manager: &LogManager) -> Vec<AbortedTransaction> {
    let log = manager.get(TOPIC.0, 0).expect("open");
    log.set_high_watermark(log.log_end_offset());
    log.read_committed(0, 1 << 20, true).expect("read").aborted_transactions
}

/// A start found a log renamed away and its copy complete, and let the copy take its place, with the high watermark that was noted
/// where the log had been. The process was killed before it noted that anew: the next one looked where the log was now, and the
/// log began with a high watermark of 0.
#[test]
fn a_copy_that_a_start_puts_in_place_keeps_the_high_watermark() {
    Sim::new(1).run(async {
        format("/data", 1);
        format("/other", 2);
        fs::sync_dir("/").expect("synced");
        let start = || process_of(&["/data", "/other"], LogConfig::default());
        let manager = start();
        let log = manager.create(TOPIC.0, 0, TOPIC.1, settings()).expect("created");
        for n in 0..3 {
            log.append_as_leader(&mut record(NOW + n, 30), 0, AppendOrigin::Client, NOW).expect("appended");
        }
        log.set_high_watermark(3);
        assert!(manager.visit_notes());
        let to = manager.log_dirs().iter().find(|dir| !Arc::ptr_eq(dir, log.dir())).cloned().expect("another");
        let future = manager.create_future(TOPIC.0, 0, &to).expect("made").expect("it moves");
        while future.copy_from(&log, 1_000).expect("copied") != Copied::CaughtUp {}
        manager.visit_checkpoints();
        let path = log.path();
        drop((log, future, to, manager));
        kill();
        // As far as the move came: the first of its two renames.
        fs::rename(&path, format!("{}.{}-delete", path.display(), "0".repeat(32))).expect("renamed");
        for _ in 0..2 {
            let manager = start();
            assert_eq!(manager.get(TOPIC.0, 0).expect("open").high_watermark(), 3);
            drop(manager);
            kill();
        }
    });
}
