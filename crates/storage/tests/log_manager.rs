//! A broker's log directories: locked, opened, filled, stopped, opened again.

mod support;

use std::path::Path;
use std::sync::Arc;

use ottla_env::{fs, time};
use ottla_protocol::Uuid;
use ottla_storage::{LogConfig, LogManager, OpenError, StorageError};
use support::*;

fn default_config() -> Arc<LogConfig> {
    Arc::new(LogConfig { file_delete_delay_ms: 0, ..LogConfig::default() })
}

#[test]
fn what_was_stopped_cleanly_opens_without_a_scan() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    assert_eq!(manager.clean_broker_epoch(), None);
    for partition in 0..3 {
        let log = manager.create(TOPIC, partition, topic_id(), default_config()).expect("created");
        append(&log, batch(5, "a"));
    }
    manager.get(TOPIC, 1).expect("there").advance_log_start_offset(2).expect("advanced");
    manager.stop(42).expect("stopped");
    drop(manager);

    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    assert_eq!(manager.clean_broker_epoch(), Some(42));
    assert_eq!(manager.logs().len(), 3);
    for (partition, log) in (0..).zip(manager.logs()) {
        assert_eq!(log.recovery_report(), ottla_storage::RecoveryReport::default());
        assert_eq!((log.log_end_offset(), log.high_watermark(), log.topic_id()), (5, 5, topic_id()));
        assert_eq!(log.log_start_offset(), if partition == 1 { 2 } else { 0 });
    }
    drop(manager);
    // That one was not stopped: everything behind the recovery point is scanned, and still there.
    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    assert_eq!(manager.clean_broker_epoch(), None);
    assert_eq!(manager.get(TOPIC, 2).expect("there").log_end_offset(), 5);
}

#[test]
fn records_whose_deletion_was_answered_stay_deleted_without_a_clean_stop() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    let log = manager.create(TOPIC, 0, topic_id(), default_config()).expect("created");
    append(&log, batch(5, "a"));
    log.delete_records_before(3).expect("deleted");
    log.delete_records_before(1).expect("no way back, no error");
    assert!(matches!(log.delete_records_before(6), Err(StorageError::OffsetOutOfRange { high: 5, .. })));
    drop((log, manager));
    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    assert_eq!(manager.get(TOPIC, 0).expect("there").log_start_offset(), 3);
}

#[test]
fn a_directory_is_refused_with_a_sentence() {
    let temp = tempfile::tempdir().expect("a directory");
    let Err(error) = LogManager::open(options(&[temp.path()])) else { panic!("opened") };
    assert!(matches!(error, OpenError::NotFormatted(_)));
    assert!(error.to_string().contains("ottla storage format"), "{error}");
    let other = tempfile::tempdir().expect("a directory");
    format(temp.path());
    format(other.path());
    let Err(error) = LogManager::open(options(&[temp.path(), other.path()])) else { panic!("opened") };
    assert!(matches!(error, OpenError::SameDirectory { .. }), "{error}");
}

#[test]
fn a_deleted_partition_is_gone_at_once_and_its_files_later() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    let log = manager.create(TOPIC, 0, topic_id(), default_config()).expect("created");
    append(&log, batch(5, "a"));
    let held = log.read(0, 1 << 20, 5, true).expect("read").slice.expect("data");
    manager.delete(TOPIC, 0).expect("deleted");
    assert!(manager.get(TOPIC, 0).is_none());
    assert!(matches!(log.start_leader_epoch(3), Err(StorageError::Deleted { .. })));
    assert_eq!(held.read().expect("a slice outlives its log").len(), held.len as usize);
    assert!(log.path().to_string_lossy().ends_with("-delete"));
    // A topic of the same name is another one.
    let again = manager.create(TOPIC, 0, Uuid([9; 16]), default_config()).expect("created");
    assert_eq!((again.log_end_offset(), again.topic_id()), (0, Uuid([9; 16])));
    manager.start().expect("threads");
    let begun = time::monotonic_ms();
    while fs::exists(log.path()) {
        assert!(time::monotonic_ms() - begun < 20_000, "not removed");
        time::sleep_thread(std::time::Duration::from_millis(20));
    }
    manager.stop(-1).expect("stopped");
}

fn strays(dir: &Path) -> usize {
    fs::read_dir(dir).expect("listed").iter().filter(|entry| entry.name.ends_with("-stray")).count()
}

/// The node died between the commit of a topic's deletion and the renaming of its logs.
#[test]
fn what_metadata_does_not_know_is_set_aside_and_kept() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    append(&manager.create("gone", 0, Uuid([9; 16]), default_config()).expect("created"), batch(5, "a"));
    append(&manager.create(TOPIC, 0, topic_id(), default_config()).expect("created"), batch(7, "a"));
    drop(manager);

    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    let gone = manager.get("gone", 0).expect("opened like any other");
    manager.set_strays_aside(|log| log.topic_id() == Uuid([9; 16]));
    assert!(manager.get("gone", 0).is_none() && !fs::exists(temp.path().join("gone-0")));
    assert!(matches!(gone.start_leader_epoch(3), Err(StorageError::Deleted { .. })));
    assert_eq!(manager.get(TOPIC, 0).expect("known, so it stays").log_end_offset(), 7);
    assert!(fs::exists(gone.path().join("00000000000000000000.log")), "the records are kept");
    drop((manager, gone));

    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    assert_eq!((manager.logs().len(), strays(temp.path())), (1, 1), "left alone from then on");
}

/// A topic that was deleted and made again, with the old one's directory still there, open or not.
#[test]
fn a_log_of_another_topic_id_makes_room() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    append(&manager.create(TOPIC, 0, topic_id(), default_config()).expect("created"), batch(5, "a"));
    let again = manager.create(TOPIC, 0, Uuid([9; 16]), default_config()).expect("created");
    assert_eq!((again.log_end_offset(), again.topic_id(), strays(temp.path())), (0, Uuid([9; 16]), 1));
    drop((manager, again));

    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    let unopened = temp.path().join(format!("{TOPIC}-1"));
    fs::create_dir_all(&unopened).expect("made");
    let metadata = format!("version: 0\ntopic_id: {}\n", topic_id());
    fs::write_atomically(unopened.join("partition.metadata"), metadata).expect("written");
    let third = manager.create(TOPIC, 1, Uuid([9; 16]), default_config()).expect("created");
    assert_eq!((third.log_end_offset(), third.topic_id(), strays(temp.path())), (0, Uuid([9; 16]), 2));
}

#[test]
fn partitions_spread_over_directories() {
    let (a, b) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    for (n, dir) in [&a, &b].into_iter().enumerate() {
        format_as(dir.path(), Uuid([n as u8 + 1; 16]));
    }
    let manager = LogManager::open(options(&[a.path(), b.path()])).expect("opened");
    for partition in 0..6 {
        manager.create(TOPIC, partition, topic_id(), default_config()).expect("created");
    }
    for dir in manager.log_dirs() {
        assert_eq!(manager.logs().iter().filter(|log| Arc::ptr_eq(log.dir(), dir)).count(), 3);
    }
    manager.log_dirs()[0].set_offline("pulled out");
    assert_eq!(manager.dirs()[0].error.as_deref(), Some("pulled out"));
    let seventh = manager.create(TOPIC, 7, topic_id(), default_config()).expect("created");
    assert_eq!(seventh.dir().path(), b.path());
    let lost = manager.logs().into_iter().find(|log| log.dir().path() == a.path()).expect("one");
    let refused = lost.append_as_leader(&mut batch(1, "x"), 0, ottla_storage::AppendOrigin::Client, NOW);
    assert!(matches!(refused, Err(ottla_storage::AppendError::Storage(StorageError::Offline { .. }))), "{refused:?}");
}
