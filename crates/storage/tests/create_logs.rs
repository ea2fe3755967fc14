//! Logs that are made, many at once, over several directories.

mod support;

use std::path::Path;
use std::sync::Arc;

use ottla_env::fs;
use ottla_protocol::Uuid;
use ottla_storage::{Log, LogManager, Placement, StorageError, WantedLog};
use support::*;

const FIRST: Uuid = Uuid([1; 16]);
const SECOND: Uuid = Uuid([2; 16]);

fn wanted(partition: i32, placement: Placement) -> WantedLog {
    WantedLog { topic: Arc::from(TOPIC), partition, topic_id: topic_id(), config: Arc::default(), placement }
}

fn held(manager: &LogManager, id: Uuid) -> usize {
    manager.logs().iter().filter(|log| log.directory_id() == id).count()
}

fn dir_of(made: &Result<Arc<Log>, StorageError>) -> Uuid {
    made.as_ref().expect("made").directory_id()
}

/// Two directories of one node.
fn two() -> (tempfile::TempDir, Arc<LogManager>) {
    let temp = tempfile::tempdir().expect("a directory");
    let dirs = [("a", FIRST), ("b", SECOND)].map(|(name, id)| {
        let path = temp.path().join(name);
        fs::create_dir_all(&path).expect("made");
        format_as(&path, id);
        path
    });
    let manager = LogManager::open(options(&[&dirs[0], &dirs[1]])).expect("opened");
    (temp, manager)
}

#[test]
fn a_batch_is_spread_evenly_and_answered_in_its_order() {
    let (_temp, manager) = two();
    // Three in one directory to begin with.
    let begun = manager.create_all((100..103).map(|n| wanted(n, Placement::In(FIRST))).collect());
    assert!(begun.iter().all(|made| dir_of(made) == FIRST));
    let made = manager.create_all((0..17).map(|n| wanted(n, Placement::Anywhere)).collect());
    for (n, log) in (0..).zip(&made) {
        assert_eq!(log.as_ref().expect("made").partition(), n);
    }
    assert_eq!((held(&manager, FIRST), held(&manager, SECOND)), (10, 10));
    // What is there already is given as it is, and no other is made.
    let again = manager.create_all(vec![wanted(3, Placement::In(SECOND)), wanted(3, Placement::In(FIRST))]);
    assert_eq!((dir_of(&again[0]), dir_of(&again[1])), (dir_of(&made[3]), dir_of(&made[3])));
    // A log that went makes room.
    let in_second: Vec<i32> =
        made.iter().flatten().filter(|log| log.directory_id() == SECOND).map(|log| log.partition()).collect();
    assert!(manager.delete_all(TOPIC, &in_second[..2]).is_empty());
    let next = manager.create_all(vec![wanted(50, Placement::Anywhere), wanted(51, Placement::Anywhere)]);
    assert!(next.iter().all(|made| dir_of(made) == SECOND));
}

#[test]
fn the_directory_that_metadata_names_is_taken() {
    let (_temp, manager) = two();
    let unknown = Placement::In(Uuid([9; 16]));
    let made = manager.create_all(vec![wanted(0, Placement::In(SECOND)), wanted(1, unknown)]);
    assert_eq!((dir_of(&made[0]), dir_of(&made[1])), (SECOND, FIRST), "an unknown one stands for any");
    manager.log_dirs()[0].set_offline("pulled out");
    let made = manager.create_all(vec![
        wanted(2, Placement::In(FIRST)),
        wanted(3, unknown),
        wanted(6, Placement::Unnoted),
        wanted(4, Placement::In(SECOND)),
        wanted(5, Placement::Anywhere),
    ]);
    for refused in &made[..3] {
        assert!(matches!(refused, Err(StorageError::Offline { .. })), "it may lie there: {refused:?}");
    }
    assert_eq!((dir_of(&made[3]), dir_of(&made[4])), (SECOND, SECOND));
}

/// The directory is gone from under the process, which nobody has noticed yet.
#[test]
fn a_directory_that_fails_is_passed_over_for_new_logs() {
    let (temp, manager) = two();
    fs::remove_dir_all(temp.path().join("a")).expect("removed");
    fs::write_atomically(temp.path().join("a"), b"no directory").expect("written");
    let made = manager.create_all((0..6).map(|n| wanted(n, Placement::Anywhere)).collect());
    assert!(made.iter().all(|made| dir_of(made) == SECOND));
    assert!(manager.log_dirs()[0].offline_reason().is_some());
}

fn set_aside(dir: &Path) -> usize {
    fs::read_dir(dir).expect("listed").iter().filter(|entry| entry.name.ends_with("-stray")).count()
}

/// The power went while directories were made: one has nothing in it but an empty partition.metadata, the other has records
/// and does not say whose.
#[test]
fn half_made_directories_are_taken_over_and_nameless_records_are_not() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    for (name, records) in [("orders-0", &b""[..]), ("orders-1", b"records")] {
        let dir = temp.path().join(name);
        fs::create_dir_all(&dir).expect("made");
        for (file, content) in [("partition.metadata", &b""[..]), ("00000000000000000000.log", records)] {
            fs::write_atomically(dir.join(file), content).expect("written");
        }
    }
    let manager = LogManager::open(options(&[temp.path()])).expect("opened");
    assert!(manager.logs().is_empty());
    let made = manager.create_all(vec![wanted(0, Placement::Anywhere), wanted(1, Placement::Anywhere)]);
    for log in made.iter().flatten() {
        assert_eq!((log.log_end_offset(), log.topic_id()), (0, topic_id()));
    }
    assert_eq!((made.iter().flatten().count(), set_aside(temp.path())), (2, 1));
}
