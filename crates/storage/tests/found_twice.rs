//! A partition is found twice under one name: a disk that was away is back, or a loss of power brought back what was deleted. No
//! record is removed by a rule that does not know whose it is, and an operator who has to choose is told between what.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_env::fs;
use ottla_protocol::Uuid;
use ottla_storage::{AppendOrigin, LogManager, LogManagerOptions, NotedReplica, OpenError};
use support::*;

const DIRS: [Uuid; 2] = [Uuid([1; 16]), Uuid([2; 16])];
/// A topic that had the name before.
const EARLIER: Uuid = Uuid([9; 16]);

/// Two formatted directories.
struct Disks([tempfile::TempDir; 2]);

impl Disks {
    fn new() -> Self {
        let disks = DIRS.map(|id| {
            let dir = tempfile::tempdir().expect("made");
            format_as(dir.path(), id);
            dir
        });
        Self(disks)
    }

    fn dir(&self, n: usize) -> &Path {
        self.0[n].path()
    }

    fn log(&self, n: usize) -> PathBuf {
        self.dir(n).join(format!("{TOPIC}-0"))
    }

    /// A process that knows this directory only leaves a log of so many batches of two records in it.
    fn leave(&self, n: usize, topic_id: Uuid, batches: usize, leader_epoch: i32) {
        let manager = LogManager::open(options(&[self.dir(n)])).expect("opened");
        let log = manager.create(TOPIC, 0, topic_id, small(300)).expect("made");
        for _ in 0..batches {
            log.append_as_leader(&mut batch(2, "left"), leader_epoch, AppendOrigin::Client, NOW).expect("appended");
        }
        log.set_high_watermark(log.log_end_offset());
        manager.stop(1).expect("stopped");
    }

    /// What `leave` left becomes the copy of a log that moves to a directory.
    fn make_copy(&self, left_in: usize, to: usize, unique: u8) {
        let name = format!("{TOPIC}-0.{unique:032x}-future");
        fs::rename(self.log(left_in), self.dir(to).join(name)).expect("renamed");
    }

    fn open(&self, noted: Option<NotedReplica>) -> Result<Arc<LogManager>, OpenError> {
        let noted_of = Box::new(move |_: &str, _: i32| noted);
        LogManager::open(LogManagerOptions { noted_of, ..options(&[self.dir(0), self.dir(1)]) })
    }

    /// The directories that were set aside, each with its bytes of records.
    fn strays(&self) -> Vec<u64> {
        let named = |dir: &Path| fs::read_dir(dir).expect("listed").into_iter().map(|entry| entry.name);
        let all = (0..2).flat_map(|n| named(self.dir(n)).map(move |name| self.dir(n).join(name)));
        let strays = all.filter(|path| path.to_string_lossy().ends_with("-stray"));
        strays.map(|path| records_in(&path)).collect()
    }
}

fn records_in(path: &Path) -> u64 {
    let files = fs::read_dir(path).expect("listed");
    files.iter().filter(|file| file.name.ends_with(".log")).map(|file| file.len).sum()
}

fn noted(topic_id: Uuid, directory: Uuid) -> Option<NotedReplica> {
    Some(NotedReplica { topic_id, directory })
}

#[test]
fn whoever_has_to_choose_is_told_between_what() {
    let unassigned = noted(topic_id(), Uuid::UNASSIGNED_DIRECTORY);
    // Batches and leader epoch of each, what the metadata says; which to keep, and why.
    let cases = [
        ([(6, 1), (2, 2)], noted(topic_id(), DIRS[0]), 1, "its leader epoch is newer"),
        ([(6, 1), (2, 1)], noted(topic_id(), DIRS[1]), 1, "the metadata notes its log directory"),
        ([(6, 1), (2, 1)], unassigned, 0, "it ends later"),
        ([(2, 1), (6, 1)], None, 1, "it ends later"),
        ([(2, 1), (2, 1)], None, 0, "they seem alike"),
    ];
    for (left, noted, keep, why) in cases {
        let disks = Disks::new();
        for (n, (batches, epoch)) in left.into_iter().enumerate() {
            disks.leave(n, topic_id(), batches, epoch);
        }
        let Err(error) = disks.open(noted) else { panic!("opened") };
        let said = error.to_string();
        for (n, (batches, epoch)) in left.into_iter().enumerate() {
            let found =
                format!("{} (log end offset {}, leader epoch {epoch}, newest", disks.log(n).display(), 2 * batches);
            assert!(said.contains(&found), "{found}: {said}");
        }
        let is_alike = left[0] == left[1] && noted.is_none();
        let keep = if is_alike && disks.dir(1) < disks.dir(0) { 1 - keep } else { keep };
        let (kept, other) = (disks.log(keep), disks.log(1 - keep));
        let aside = PathBuf::from(format!("{}-stray", other.display()));
        let advice = format!(
            "keep {}, since {why}: rename {} to {} and start again",
            kept.display(),
            other.display(),
            aside.display()
        );
        assert!(said.contains(&advice), "{advice}: {said}");

        fs::rename(&other, &aside).expect("renamed");
        let manager = disks.open(noted).expect("opened");
        let log = manager.get(TOPIC, 0).expect("there");
        assert_eq!((log.path(), log.log_end_offset()), (kept, 2 * left[keep].0 as i64));
        assert!(records_in(&aside) > 0);
    }
}

/// It was left in a directory that failed while the log was made there. Apache Kafka does not start either way.
#[test]
fn one_without_a_record_goes() {
    for (empty, id) in DIRS.into_iter().enumerate() {
        let disks = Disks::new();
        disks.leave(empty, topic_id(), 0, 1);
        disks.leave(1 - empty, topic_id(), 3, 1);
        let manager = disks.open(noted(topic_id(), id)).expect("opened");
        let log = manager.get(TOPIC, 0).expect("there");
        assert_eq!((log.path(), log.log_end_offset()), (disks.log(1 - empty), 6));
        assert!(!fs::exists(disks.log(empty)), "renamed, to be removed");
    }
}

/// Whichever was found first was opened, though the metadata knew better, and the other one lay there for good.
#[test]
fn the_log_of_the_topic_that_has_the_name_is_opened() {
    for current in 0..2 {
        let disks = Disks::new();
        disks.leave(current, topic_id(), 2, 1);
        disks.leave(1 - current, EARLIER, 6, 1);
        let records = records_in(&disks.log(1 - current));

        let manager = disks.open(None).expect("opened");
        assert_eq!(disks.strays(), [0; 0], "nobody knows which it is");
        assert!((0..2).all(|n| fs::exists(disks.log(n))));
        manager.stop(1).expect("stopped");
        drop(manager);

        let manager = disks.open(noted(topic_id(), Uuid::UNASSIGNED_DIRECTORY)).expect("opened");
        let log = manager.get(TOPIC, 0).expect("there");
        assert_eq!((log.topic_id(), log.log_end_offset()), (topic_id(), 4));
        assert_eq!(disks.strays(), [records], "kept whole");
    }
}

/// The shorter of two copies was removed, also when it was the current topic's, and when its log was gone: all that there was.
#[test]
fn the_copy_of_the_topic_that_has_the_name_goes_on() {
    for (current, id) in DIRS.into_iter().enumerate() {
        let disks = Disks::new();
        disks.leave(current, topic_id(), 2, 1);
        disks.make_copy(current, current, 1);
        disks.leave(1 - current, EARLIER, 6, 1);
        let records = records_in(&disks.log(1 - current));
        disks.make_copy(1 - current, 1 - current, 2);
        let manager = disks.open(noted(topic_id(), id)).expect("opened");
        let log = manager.get(TOPIC, 0).expect("without its log, the copy is the log");
        assert_eq!((log.topic_id(), log.log_end_offset()), (topic_id(), 4));
        assert_eq!(disks.strays(), [records]);
    }
}

#[test]
fn while_nobody_knows_no_copy_is_removed() {
    let disks = Disks::new();
    disks.leave(0, topic_id(), 2, 1);
    let records = records_in(&disks.log(0));
    disks.make_copy(0, 0, 1);
    disks.leave(1, EARLIER, 6, 1);
    disks.make_copy(1, 1, 2);
    drop(disks.open(None).expect("opened"));
    assert_eq!(disks.strays(), [records]);
}

#[test]
fn a_log_tells_whose_its_copy_is() {
    let disks = Disks::new();
    disks.leave(1, topic_id(), 2, 1);
    disks.make_copy(1, 1, 1);
    disks.leave(0, EARLIER, 6, 1);
    let records = records_in(&disks.log(0));
    disks.make_copy(0, 1, 2);
    disks.leave(0, topic_id(), 3, 1);
    let manager = disks.open(None).expect("opened");
    assert_eq!(manager.get(TOPIC, 0).expect("there").log_end_offset(), 6);
    let copy = manager.future(TOPIC, 0).expect("it goes on");
    assert_eq!((copy.topic_id(), copy.log_end_offset()), (topic_id(), 4));
    assert_eq!(disks.strays(), [records]);
}
