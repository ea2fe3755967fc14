//! What the runs have found, each told by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_env::fs;
use ottla_env::sim::{DiskFaults, Sim, crash, die_at_effect, host, kill};
use ottla_protocol::Uuid;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::meta_properties::MetaProperties;
use ottla_storage::{AppendOrigin, CleanupPolicy, Copied, LogConfig, LogManager, LogManagerOptions};

use crate::model::read_all;

/// The clock of the records.
const NOW: i64 = 1_700_000_000_000;
/// Topic and id of the only log.
const TOPIC: (&str, Uuid) = ("orders", Uuid(*b"0123456789abcdef"));

fn formatted() {
    format("/data", 1);
    fs::sync_dir("/").expect("synced");
}

fn format(path: &str, id: u8) {
    fs::create_dir_all(path).expect("made");
    let directory_id = Some(Uuid([id; 16]));
    let meta = MetaProperties { version: 1, cluster_id: "c".to_owned(), node_id: 1, directory_id };
    meta.write(Path::new(path)).expect("formatted");
}

fn process() -> Arc<LogManager> {
    process_of(&["/data"], LogConfig::default())
}

fn process_of(dirs: &[&str], config: LogConfig) -> Arc<LogManager> {
    LogManager::open(options_of(dirs, config)).expect("opened")
}

fn options_of(dirs: &[&str], config: LogConfig) -> LogManagerOptions {
    let (dirs, config) = (dirs.iter().map(PathBuf::from).collect(), Arc::new(config));
    let config_of = Box::new(move |_: &str| Arc::clone(&config));
    LogManagerOptions { dirs, config_of, ..LogManagerOptions::default() }
}

/// One record of this time, in a batch of its own.
fn record(timestamp: i64, value_bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(timestamp, Some(b"key"), Some(&vec![b'v'; value_bytes]), &[]);
    builder.build()
}

fn settings() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 550, index_interval_bytes: 150, ..LogConfig::default() })
}

/// So many bytes are left on the disk.
fn leave_space(bytes: u64) {
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
    Sim::new(1).run(async {
        format("/data", 1);
        format("/other", 2);
        fs::sync_dir("/").expect("synced");
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
    });
}

/// A process took the mark of the clean stop before it, and was killed before it had synced that. The next one found no mark,
/// synced nothing and appended; then the power went, and the mark was back: what had been cut off in the middle was taken for
/// whole (seed 1481).
#[test]
fn a_mark_that_was_taken_stays_away() {
    for seed in 1..=40 {
        Sim::new(seed).run(async {
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
        });
    }
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
