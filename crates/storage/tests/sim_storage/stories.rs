//! What the runs have found, each told by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_env::fs;
use ottla_env::sim::{Sim, host};
use ottla_protocol::Uuid;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::meta_properties::MetaProperties;
use ottla_storage::{AppendOrigin, LogConfig, LogManager, LogManagerOptions};

/// The clock of the records.
const NOW: i64 = 1_700_000_000_000;
/// Topic and id of the only log.
const TOPIC: (&str, Uuid) = ("orders", Uuid(*b"0123456789abcdef"));

fn formatted() {
    fs::create_dir_all("/data").expect("made");
    let directory_id = Some(Uuid(*b"fedcba9876543210"));
    let meta = MetaProperties { version: 1, cluster_id: "c".to_owned(), node_id: 1, directory_id };
    meta.write(Path::new("/data")).expect("formatted");
    fs::sync_dir("/").expect("synced");
}

fn process() -> Arc<LogManager> {
    let dirs = vec![PathBuf::from("/data")];
    LogManager::open(LogManagerOptions { dirs, ..LogManagerOptions::default() }).expect("opened")
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
