//! A log moves to another log directory while it is used (KIP-113): a copy catches up, and takes its place.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla_env::{fs, task, time};
use ottla_protocol::Uuid;
use ottla_protocol::record_batch::BatchOptions;
use ottla_storage::{
    AppendOrigin, CleanupPolicy, Copied, CopyError, Log, LogConfig, LogManager, LogManagerOptions, Placement,
    ReadError, StorageError, WantedLog, checkpoint,
};
use support::*;

/// Two formatted directories.
struct Disks {
    a: tempfile::TempDir,
    b: tempfile::TempDir,
}

impl Disks {
    fn new() -> Self {
        let disks = Self { a: tempfile::tempdir().expect("made"), b: tempfile::tempdir().expect("made") };
        format_as(disks.a.path(), Uuid([1; 16]));
        format_as(disks.b.path(), Uuid([2; 16]));
        disks
    }

    fn manager(&self, config: &Arc<LogConfig>) -> Arc<LogManager> {
        let config = Arc::clone(config);
        let config_of = Box::new(move |_: &str| Arc::clone(&config));
        let often = LogManagerOptions { high_watermark_checkpoint_interval_ms: 10, ..LogManagerOptions::default() };
        LogManager::open(LogManagerOptions {
            config_of,
            dirs: vec![self.a.path().into(), self.b.path().into()],
            ..often
        })
        .expect("opened")
    }
}

/// A log in the first directory with 12 batches in several segments, and its manager.
fn filled(disks: &Disks, config: &Arc<LogConfig>) -> (Arc<LogManager>, Arc<Log>) {
    let manager = disks.manager(config);
    let log = manager.create(TOPIC, 0, topic_id(), Arc::clone(config)).expect("made");
    assert_eq!(log.dir().path(), disks.a.path());
    for n in 0..12 {
        append(&log, batch(2, &format!("batch {n}")));
    }
    (manager, log)
}

fn begin(manager: &LogManager) -> Arc<Log> {
    manager.create_future(TOPIC, 0, &manager.log_dirs()[1]).expect("made").expect("elsewhere")
}

fn catch_up(future: &Log, log: &Log) {
    while future.copy_from(log, 300).expect("copied") != Copied::CaughtUp {}
}

fn finish(manager: &LogManager) -> Option<Arc<Log>> {
    manager.replacement(TOPIC, 0).expect("both are there").finish().expect("replaced")
}

fn names(dir: &Path, ending: &str) -> usize {
    fs::read_dir(dir).expect("listed").iter().filter(|entry| entry.name.ends_with(ending)).count()
}

fn bytes(log: &Log) -> Vec<u8> {
    read_all(log, log.log_start_offset(), || 1 << 20)
}

#[test]
fn a_log_moves_with_all_that_is_known_of_it() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    let by = |producer_id| BatchOptions { producer_id, producer_epoch: 3, base_sequence: 0, ..BatchOptions::default() };
    append(&log, batch_by(by(7), 1, "idempotent"));
    append(&log, batch_by(BatchOptions { transactional: true, ..by(8) }, 1, "transactional"));
    log.start_leader_epoch(4).expect("noted");
    log.delete_records_before(5).expect("deleted");
    let before = bytes(&log);
    let future = begin(&manager);
    assert!(future.is_future() && future.is_moving() && log.is_moving() && !log.is_future());
    assert_eq!((names(disks.b.path(), "-future"), names(disks.b.path(), "-0")), (1, 0));
    catch_up(&future, &log);
    log.append_as_leader(&mut batch(1, "at the last moment"), 4, AppendOrigin::Client, NOW).expect("appended");
    log.set_high_watermark(log.log_end_offset());
    assert!(finish(&manager).is_none(), "it has not all of it");
    catch_up(&future, &log);
    let moved = finish(&manager).expect("it has");
    assert!(Arc::ptr_eq(&moved, &manager.get(TOPIC, 0).expect("there")) && !moved.is_moving());
    assert!(matches!(log.flush(), Err(StorageError::Deleted { .. })), "nobody uses the old one by mistake");
    assert_eq!((names(disks.a.path(), "-delete"), names(disks.a.path(), "-0")), (1, 0));
    assert_eq!(moved.path(), disks.b.path().join("orders-0"));

    let seen = |log: &Log| {
        (log.log_start_offset(), log.log_end_offset(), log.high_watermark(), log.last_stable_offset(), log.epochs())
    };
    assert_eq!(seen(&moved), seen(&log));
    assert_eq!(bytes(&moved).get(..before.len()), Some(&*before));
    assert_eq!(moved.flushed_offset(), moved.log_end_offset(), "before the old one went");
    let again = moved.append_as_leader(&mut batch_by(by(7), 1, "idempotent"), 4, AppendOrigin::Client, NOW);
    assert!(again.expect("known").duplicate, "producers are known");
    let noted =
        |dir: &Path, name: &str| checkpoint::read(&dir.join(name)).expect("read").get(&(Arc::from(TOPIC), 0)).copied();
    assert_eq!(noted(disks.a.path(), "log-start-offset-checkpoint"), None, "it says nothing of it any more");
    assert_eq!(noted(disks.b.path(), "log-start-offset-checkpoint"), Some(5));
    assert_eq!(noted(disks.b.path(), "replication-offset-checkpoint"), Some(moved.high_watermark()));
    let synced = noted(disks.b.path(), "recovery-point-offset-checkpoint");
    assert_eq!(synced, Some(moved.flushed_offset()), "else a kill makes all of it count as not synced");

    let after = (seen(&moved), bytes(&moved));
    drop((log, future, moved, manager));
    let manager = disks.manager(&config);
    let log = manager.get(TOPIC, 0).expect("there");
    assert_eq!((seen(&log), bytes(&log)), after);
}

/// The process ended between the two renames of the exchange: the copy is all there is, and has everything.
#[test]
fn a_copy_without_its_log_is_the_log() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    let future = begin(&manager);
    catch_up(&future, &log);
    future.flush().expect("flushed");
    let before = bytes(&log);
    drop((log, future, manager));
    let renamed = disks.a.path().join("orders-0.0123456789abcdef0123456789abcdef-delete");
    fs::rename(disks.a.path().join("orders-0"), renamed).expect("renamed");
    let manager = disks.manager(&config);
    let log = manager.get(TOPIC, 0).expect("taken");
    assert_eq!((log.path(), bytes(&log)), (disks.b.path().join("orders-0"), before));
    assert!(manager.futures().is_empty());
}

/// A directory of partition 0 that an earlier topic of the name has left, which has records.
fn leave_another_topics(dir: &Path, like: &Log) {
    let left = dir.join("orders-0");
    fs::create_dir_all(&left).expect("made");
    let metadata = fs::read_to_string(like.path().join("partition.metadata")).expect("read");
    let other = metadata.replace(&topic_id().to_string(), &Uuid([9; 16]).to_string());
    assert_ne!(other, metadata);
    fs::write_atomically(left.join("partition.metadata"), other).expect("written");
    let records = fs::read(like.path().join("00000000000000000000.log")).expect("read");
    fs::write_atomically(left.join("00000000000000000000.log"), records).expect("written");
}

/// It was found when the log had been renamed away already: the next start took it for the log, and removed the copy.
#[test]
fn what_has_the_name_that_the_copy_takes_is_set_aside() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    leave_another_topics(disks.b.path(), &log);
    let before = bytes(&log);
    catch_up(&begin(&manager), &log);
    let moved = finish(&manager).expect("caught up");
    assert_eq!(moved.path(), disks.b.path().join("orders-0"));
    assert_eq!(names(disks.b.path(), "-stray"), 1);
    drop((log, moved, manager));
    let manager = disks.manager(&config);
    let log = manager.get(TOPIC, 0).expect("there");
    assert_eq!((log.topic_id(), bytes(&log)), (topic_id(), before));
}

/// A loss of power may bring back what was deleted, and between the two renames of the exchange the copy is all there is.
#[test]
fn a_log_of_another_topic_is_not_that_of_the_copy() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    let future = begin(&manager);
    catch_up(&future, &log);
    future.flush().expect("flushed");
    leave_another_topics(disks.b.path(), &log);
    let before = bytes(&log);
    drop((log, future, manager));
    let renamed = disks.a.path().join("orders-0.0123456789abcdef0123456789abcdef-delete");
    fs::rename(disks.a.path().join("orders-0"), renamed).expect("renamed");
    let manager = disks.manager(&config);
    assert_eq!(manager.get(TOPIC, 0).expect("opened").topic_id(), Uuid([9; 16]));
    manager.set_strays_aside(|log| log.topic_id() != topic_id());
    let log = manager.create(TOPIC, 0, topic_id(), config).expect("the copy is taken");
    assert_eq!((log.path(), bytes(&log)), (disks.b.path().join("orders-0"), before));
}

/// A cut, or records that are deleted, between two looks of the copier are no damage.
#[test]
fn a_log_that_loses_records_meanwhile_is_copied_on() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    let future = begin(&manager);
    let is_over = Arc::new(AtomicBool::new(false));
    let (copy, source, over) = (Arc::clone(&future), Arc::clone(&log), Arc::clone(&is_over));
    let copier = task::thread("copier", move || {
        while !over.load(Ordering::Acquire) {
            copy.copy_from(&source, 300).expect("copied");
        }
    })
    .expect("started");
    for round in 0..100 {
        for n in 0..4 {
            append(&log, batch(2, &format!("round {round}, batch {n}")));
        }
        log.truncate_to(log.log_end_offset() - 6).expect("cut");
        if round % 4 == 0 {
            log.delete_records_before(log.log_end_offset() - 1).expect("deleted");
            log.delete_old_segments(NOW).expect("removed");
        }
    }
    is_over.store(true, Ordering::Release);
    copier.join().expect("it hears of no error");
    catch_up(&future, &log);
    assert_eq!(bytes(&future), bytes(&log));
    finish(&manager).expect("caught up");
}

/// While a directory is offline, its log may lie in there; but metadata that notes the copy's directory says otherwise.
#[test]
fn a_copy_waits_for_a_log_that_may_be_offline() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    catch_up(&begin(&manager), &log);
    drop((log, manager));
    let aside = disks.a.path().with_extension("aside");
    fs::rename(disks.a.path(), &aside).expect("renamed");
    fs::write_atomically(disks.a.path(), b"no directory").expect("written");
    let manager = disks.manager(&config);
    assert!(manager.get(TOPIC, 0).is_none() && manager.future(TOPIC, 0).is_some());
    let wanted = |placement| {
        vec![WantedLog { topic: TOPIC.into(), partition: 0, topic_id: topic_id(), config: small(300), placement }]
    };
    // It began an empty log, and removed the copy, where the metadata noted nothing.
    for noted in [Placement::In(Uuid([1; 16])), Placement::Anywhere, Placement::Unnoted] {
        let offline = manager.create_all(wanted(noted)).pop();
        assert!(matches!(offline, Some(Err(StorageError::Offline { .. }))), "{noted:?}: {offline:?}");
    }
    let taken = manager.create_all(wanted(Placement::In(Uuid([2; 16])))).pop().expect("one").expect("taken");
    assert_eq!((taken.log_end_offset(), taken.is_future()), (24, false));
    fs::remove_file(disks.a.path()).expect("removed");
    fs::rename(&aside, disks.a.path()).expect("back");
}

/// Kafka takes the copy if the controller was told so already. What was appended to the log since would be lost.
#[test]
fn after_a_restart_the_copy_goes_on() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    let future = begin(&manager);
    future.copy_from(&log, 300).expect("copied");
    manager.stop(7).expect("stopped");
    drop((log, future, manager));
    let manager = disks.manager(&config);
    let (log, future) = (manager.get(TOPIC, 0).expect("there"), manager.future(TOPIC, 0).expect("there"));
    assert!(future.log_end_offset() > 0 && log.is_moving() && log.dir().path() == disks.a.path());
    catch_up(&future, &log);
    assert_eq!(bytes(&finish(&manager).expect("caught up")), bytes(&manager.get(TOPIC, 0).expect("there")));
}

/// A follower learns of a new leader while its log moves: what is cut from it is cut from the copy, whoever tells.
#[test]
fn a_cut_of_the_log_is_one_of_the_copy() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    let future = begin(&manager);
    catch_up(&future, &log);
    log.truncate_to(10).expect("cut");
    append(&log, batch(4, "other records at the same offsets"));
    assert!(finish(&manager).is_none(), "as long as it was, but not the same");
    catch_up(&future, &log);
    assert_eq!(bytes(&future), bytes(&log));
    // Only leader epochs tell of a cut that another process made.
    drop((log, future, manager));
    let dir = |disks: &Disks| ottla_storage::LogDir::open(disks.a.path()).expect("opened");
    let log = open(&dir(&disks), &config, ottla_storage::OpenOptions::default());
    log.truncate_to(6).expect("cut");
    log.append_as_leader(&mut batch(6, "of the next leader"), 1, AppendOrigin::Client, NOW).expect("appended");
    log.flush().expect("flushed");
    drop(log);
    let manager = disks.manager(&config);
    let (log, future) = (manager.get(TOPIC, 0).expect("there"), manager.future(TOPIC, 0).expect("there"));
    assert!(finish(&manager).is_none());
    catch_up(&future, &log);
    assert_eq!(bytes(&finish(&manager).expect("the same")), bytes(&future));
    assert_eq!(future.epochs().last().map(|epoch| (epoch.epoch, epoch.start_offset)), Some((1, 6)));
}

/// Records were deleted up to the middle of a batch: the copy begins with all of it.
#[test]
fn the_log_start_may_lie_within_a_batch() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    log.delete_records_before(5).expect("deleted");
    let future = begin(&manager);
    catch_up(&future, &log);
    assert_eq!((future.log_start_offset(), bytes(&future)), (5, bytes(&log)));
    log.delete_records_before(24).expect("all of it");
    catch_up(&future, &log);
    assert_eq!((future.log_start_offset(), future.log_end_offset()), (24, 24));
    log.truncate_fully_and_start_at(40).expect("as a follower far behind");
    catch_up(&future, &log);
    let moved = finish(&manager).expect("caught up");
    assert_eq!((moved.log_start_offset(), moved.log_end_offset()), (40, 40));
}

#[test]
fn compaction_and_retention_leave_alone_what_moves() {
    let config = Arc::new(LogConfig {
        cleanup_policy: CleanupPolicy { compact: true, delete: true },
        retention_ms: 1,
        min_cleanable_dirty_ratio: 0.0,
        ..LogConfig::clone(&small(300))
    });
    let disks = Disks::new();
    let (manager, log) = filled(&disks, &config);
    let now = time::wall_clock_ms() + 1_000_000;
    begin(&manager);
    assert!(manager.clean_once(now).cleaned.is_none(), "compacted while it moves");
    manager.delete_old_segments(now);
    assert_eq!(log.log_start_offset(), 0);
    manager.delete_future(TOPIC, 0).expect("called off");
    assert_eq!((names(disks.b.path(), "-future"), manager.futures().len()), (0, 0));
    assert!(manager.clean_once(now).cleaned.is_some());
    // What is noted of the part that is compacted goes along: its gaps are no losses.
    let future = begin(&manager);
    catch_up(&future, &log);
    finish(&manager).expect("moved");
    manager.delete_old_segments(now);
    assert_eq!(future.log_start_offset(), 24);
    let noted = checkpoint::read(&disks.b.path().join("cleaner-offset-checkpoint")).expect("read");
    assert!(noted.contains_key(&(Arc::from(TOPIC), 0)));
    assert!(checkpoint::read(&disks.a.path().join("cleaner-offset-checkpoint")).expect("read").is_empty());
}

/// Its log is damaged, say. What is left of the log must not grow without bounds until somebody asks again.
#[test]
fn a_move_that_is_given_up_ends() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    let first = begin(&manager);
    manager.give_up(&first).expect("given up");
    assert!(manager.futures().is_empty() && !log.is_moving());
    assert_eq!((names(disks.b.path(), "-future"), names(disks.b.path(), "-delete")), (0, 1));
    let second = begin(&manager);
    manager.give_up(&first).expect("that was another");
    assert!(log.is_moving());
    manager.log_dirs()[0].set_offline("pulled out");
    manager.give_up(&second).expect("nothing is done");
    assert_eq!(names(disks.b.path(), "-future"), 1, "it may be all there is");
}

#[test]
fn a_deleted_partition_takes_its_copy_along() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    let future = begin(&manager);
    manager.delete(TOPIC, 0).expect("deleted");
    assert!(matches!(
        future.copy_from(&log, 300),
        Err(CopyError::Read(ReadError::Storage(StorageError::Deleted { .. })))
    ));
    assert!(matches!(future.flush(), Err(StorageError::Deleted { .. })));
    assert!(manager.get(TOPIC, 0).is_none() && manager.future(TOPIC, 0).is_none());
    assert_eq!((names(disks.a.path(), "-delete"), names(disks.b.path(), "-delete")), (1, 1));
}

/// A failed directory ends the moves into it, and those out of it.
#[test]
fn a_directory_fails_while_a_log_moves() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    let future = begin(&manager);
    manager.log_dirs()[1].set_offline("pulled out");
    assert!(matches!(future.copy_from(&log, 300), Err(CopyError::Append(_) | CopyError::Storage(_))));
    assert!(manager.let_go(&manager.log_dirs()[1]).is_empty(), "the log itself lies elsewhere");
    assert!(manager.future(TOPIC, 0).is_none() && !log.is_moving());
    append(&log, batch(1, "as if nothing had been"));
    let refused = manager.create_future(TOPIC, 0, &manager.log_dirs()[0]);
    assert!(matches!(refused, Err(StorageError::Offline { .. })), "a copy may lie in the one that failed: {refused:?}");
}

/// A directory was asked for before the partition was here.
#[test]
fn a_new_log_is_made_where_it_was_asked_for() {
    let disks = Disks::new();
    let manager = disks.manager(&small(300));
    manager.prefer(TOPIC, 3, disks.b.path());
    for (partition, expected) in [(0, &disks.a), (3, &disks.b)] {
        let log = manager.create(TOPIC, partition, topic_id(), small(300)).expect("made");
        assert_eq!(log.dir().path(), expected.path(), "partition {partition}");
    }
}

/// Two copies of one log were left, which no process of ours does: the longer one goes on. One that was being made when the
/// power went is none.
#[test]
fn leftovers_are_no_copies() {
    let (disks, config) = (Disks::new(), small(300));
    let (manager, log) = filled(&disks, &config);
    let future = begin(&manager);
    catch_up(&future, &log);
    let future_path = future.path();
    // Of a copy that was not synced, the next process keeps nothing.
    manager.stop(1).expect("stopped");
    drop((log, future, manager));
    let half_made = disks.b.path().join("other-0.00000000000000000000000000000001-future");
    let shorter = disks.b.path().join("orders-0.00000000000000000000000000000002-future");
    fs::create_dir_all(&half_made).expect("made");
    fs::create_dir_all(&shorter).expect("made");
    let metadata = fs::read(future_path.join("partition.metadata")).expect("read");
    fs::write_atomically(shorter.join("partition.metadata"), metadata).expect("written");
    let manager = disks.manager(&config);
    assert_eq!(manager.futures().iter().map(|f| f.log_end_offset()).collect::<Vec<_>>(), [24]);
    assert!(!fs::exists(&shorter), "renamed, to be removed");
    manager.start().expect("started");
    let deadline = time::monotonic_ms() + 60_000;
    while fs::exists(&half_made) {
        assert!(time::monotonic_ms() < deadline, "it is removed");
        time::sleep_thread(Duration::from_millis(10));
    }
    manager.stop(1).expect("stopped");
    assert!(!LogManager::can_move(&"t".repeat(249), 0));
}
