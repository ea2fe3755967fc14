//! What hangs on a single name that is durable, told in a few steps: the mixture of `run.rs` comes by too rarely. Each is run as it
//! is here, and by `syncs.rs` without the sync that it is about.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_env::sim::{DiskFaults, Sim, crash, die_at_dir_sync, host, kill};
use ottla_env::{fs, random, time};
use ottla_storage::{AppendOrigin, CleanupPolicy, Copied, Log, LogConfig, LogManager};

use crate::batches;
use crate::model::read_all;
use crate::stories::{NOW, TOPIC, aborted, format, formatted, leave_space, process, process_of, record};

/// Records of a log that moves, each in a batch of its own, three to a segment.
const RECORDS: usize = 7;

#[test]
fn what_hangs_on_a_name_is_there() {
    let all: [fn(); 14] = [
        producers_are_forgotten,
        a_log_moves_that_was_never_flushed,
        a_directory_is_formatted,
        a_log_is_cut,
        records_are_deleted,
        a_move_is_called_off,
        an_epoch_begins,
        retention_on_a_full_disk,
        all_is_replaced_on_a_full_disk,
        an_index_is_built_again,
        a_move_ends_early,
        a_log_moves_from_a_directory_that_fails,
        a_log_moves_where_a_directory_lies,
        one_of_two_copies_goes,
    ];
    for scenario in all {
        (1..=100).for_each(|seed| Sim::new(seed).run(async { scenario() }));
    }
}

/// The power goes right behind it.
pub(crate) fn a_directory_is_formatted() {
    formatted();
    crash();
    process();
}

/// A log of a compacted topic, which may have gaps, is cut within its first segment.
pub(crate) fn a_log_is_cut() {
    formatted();
    let cleanup_policy = CleanupPolicy { compact: true, delete: false };
    let config = LogConfig { cleanup_policy, segment_bytes: 350, ..LogConfig::default() };
    let manager = process_of(&["/data"], config.clone());
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(config.clone())).expect("created");
    (0..RECORDS).for_each(|n| append(&log, n, 0));
    log.flush().expect("flushed");
    log.truncate_to(2).expect("cut");
    drop((log, manager));
    crash();
    let log = process_of(&["/data"], config).get(TOPIC.0, 0).expect("the log is there");
    assert_eq!((log.log_end_offset(), read_all(&log, 0).len()), (2, 2));
}

/// What was answered as deleted stays deleted, also when the log begins with a segment and its start is noted no more.
pub(crate) fn records_are_deleted() {
    formatted();
    let config = LogConfig { segment_bytes: 350, ..LogConfig::default() };
    let manager = process_of(&["/data"], config.clone());
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(config.clone())).expect("created");
    (0..RECORDS).for_each(|n| append(&log, n, 0));
    log.flush().expect("flushed");
    log.set_high_watermark(log.log_end_offset());
    log.delete_records_before(3).expect("deleted");
    assert_eq!(log.delete_old_segments(NOW).expect("removed"), 1, "it ends there");
    assert!(manager.visit_notes());
    drop((log, manager));
    crash();
    let log = process_of(&["/data"], config).get(TOPIC.0, 0).expect("the log is there");
    assert_eq!(log.log_start_offset(), 3);
}

/// The log stays where it is.
pub(crate) fn a_move_is_called_off() {
    let mut moving = Moving::begin(&["/data", "/other"]);
    moving.copy().flush().expect("flushed");
    moving.manager.take().expect("it runs").delete_future(TOPIC.0, 0).expect("called off");
    crash();
    let manager = moving.start();
    assert!(manager.future(TOPIC.0, 0).is_none(), "it moves");
    moving.check(&manager);
}

/// One batch of a new epoch is no proof of it: no checksum covers its epoch. The file of epochs has to tell.
pub(crate) fn an_epoch_begins() {
    formatted();
    // The last batch is indexed, so that recovery begins behind it.
    let config = LogConfig { index_interval_bytes: 1, ..LogConfig::default() };
    let manager = process_of(&["/data"], config.clone());
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(config.clone())).expect("created");
    (0..3).for_each(|n| append(&log, n, 0));
    log.flush().expect("flushed");
    log.start_leader_epoch(1).expect("it leads again");
    append(&log, 3, 1);
    log.flush().expect("flushed");
    manager.visit_checkpoints();
    drop((log, manager));
    crash();
    let log = process_of(&["/data"], config).get(TOPIC.0, 0).expect("the log is there");
    assert_eq!((log.epoch_at(2), log.epoch_at(3)), (Some(0), Some(1)));
}

/// Everything is too old, and on a full disk the log start cannot be noted. What the power leaves must not seem to be all there was:
/// segments went in one go, and it took one of the middle, so that the log ended before it and gave its offsets anew.
pub(crate) fn retention_on_a_full_disk() {
    let (config, manager, log) = full_disk();
    die_at_dir_sync(1 + random::below(4));
    let _dying = log.delete_old_segments(NOW + 1_000_000);
    drop((log, manager));
    crash();
    host("main").set_disk_capacity(1 << 40);
    let log = process_of(&["/data"], config).get(TOPIC.0, 0).expect("the log is there");
    assert_eq!((log.log_end_offset(), log.damaged()), (RECORDS as i64, Vec::new()));
}

/// A follower whose leader has deleted everything that it holds, on a full disk: no other file is written that would take the names
/// along.
pub(crate) fn all_is_replaced_on_a_full_disk() {
    let (config, manager, log) = full_disk();
    log.truncate_fully_and_start_at(50).expect("replaced");
    drop((log, manager));
    crash();
    host("main").set_disk_capacity(1 << 40);
    let log = process_of(&["/data"], config).get(TOPIC.0, 0).expect("the log is there");
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (50, 50));
}

/// Everything is replaced by an empty segment where the log ended, and the process stops cleanly. The snapshot of the producers at
/// that offset was removed behind the last sync: the power brought it back, and it was believed (seed 11956).
pub(crate) fn producers_are_forgotten() {
    formatted();
    let manager = process();
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(LogConfig::default())).expect("created");
    let begin = |log: &Log| {
        let mut first = batches::batch_by(7, 0, 0, false);
        log.append_as_leader(&mut first, 0, AppendOrigin::Client, time::wall_clock_ms()).map(|info| info.duplicate)
    };
    begin(&log).expect("appended");
    manager.visit_checkpoints();
    log.truncate_fully_and_start_at(log.log_end_offset()).expect("replaced");
    manager.stop(1).expect("a clean stop");
    drop((log, manager));
    crash();
    let log = process().get(TOPIC.0, 0).expect("the log is there");
    assert!(!begin(&log).expect("nobody knows the producer"), "taken for known");
}

/// A log was copied, and then cut. Nobody had flushed it: the power took it, and its copy, which had been flushed when it was about
/// to take its place, was taken for it, with what had been cut off (seed 21003).
pub(crate) fn a_log_moves_that_was_never_flushed() {
    ["/data", "/other"].into_iter().zip(1..).for_each(|(dir, id)| format(dir, id));
    let start = || process_of(&["/data", "/other"], LogConfig::default());
    let manager = start();
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(LogConfig::default())).expect("created");
    (0..RECORDS).for_each(|n| append(&log, n, 0));
    let to = manager.log_dirs().iter().find(|dir| !Arc::ptr_eq(dir, log.dir())).cloned().expect("another");
    let future = manager.create_future(TOPIC.0, 0, &to).expect("made").expect("it moves");
    while future.copy_from(&log, 150).expect("copied") != Copied::CaughtUp {}
    future.flush().expect("flushed");
    log.truncate_to(2).expect("cut");
    drop((log, future, manager));
    crash();
    let manager = start();
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(LogConfig::default())).expect("there, or made");
    assert!(log.log_end_offset() <= 2, "what was cut off is back");
}

/// A log whose records are flushed and replicated, on a disk without a byte.
fn full_disk() -> (LogConfig, Arc<LogManager>, Arc<Log>) {
    formatted();
    let segment_bytes = if random::below(2) == 0 { 350 } else { 10_000 };
    let config = LogConfig { segment_bytes, retention_ms: 1_000, ..LogConfig::default() };
    let manager = process_of(&["/data"], config.clone());
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(config.clone())).expect("created");
    (0..RECORDS).for_each(|n| append(&log, n, 0));
    log.flush().expect("flushed");
    log.set_high_watermark(log.log_end_offset());
    leave_space(0);
    (config, manager, log)
}

/// A transaction index was damaged on the device. The start builds it again, below the recovery point, where no flush comes by.
pub(crate) fn an_index_is_built_again() {
    formatted();
    let manager = process();
    let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(LogConfig::default())).expect("created");
    let append = |mut batch: Vec<u8>, origin| log.append_as_leader(&mut batch, 0, origin, time::wall_clock_ms());
    append(batches::batch_by(7, 0, 0, true), AppendOrigin::Client).expect("appended");
    append(batches::marker(7, 0, 0, false), AppendOrigin::Coordinator).expect("appended");
    let index = log.path().join("00000000000000000000.txnindex");
    manager.stop(1).expect("a clean stop");
    drop((log, manager));
    let damaged = fs::File::open_rw(index).expect("there");
    damaged.set_len(33).and_then(|()| damaged.sync_data()).expect("damaged");
    drop(damaged);
    drop(process());
    crash();
    assert_eq!(aborted(&process()).len(), 1);
}

/// The process dies at a sync of a directory in a move's last step, and the next one is there when the power goes.
pub(crate) fn a_move_ends_early() {
    let mut moving = Moving::begin(&["/data", "/other"]);
    die_at_dir_sync(1 + random::below(10));
    moving.finish();
    kill();
    drop(moving.start());
    crash();
    moving.check(&moving.start());
}

/// The directory that the log has left cannot be used after the power was gone.
pub(crate) fn a_log_moves_from_a_directory_that_fails() {
    let mut moving = Moving::begin(&["/data", "/other"]);
    moving.finish();
    crash();
    let faults = DiskFaults { read_errors: 1_000_000, ..DiskFaults::default() };
    host("main").set_disk_faults_below(&moving.from, faults);
    moving.check(&moving.start());
}

/// A directory of the name that it is to get is there: a process has died when it was about to make the log in it.
pub(crate) fn a_log_moves_where_a_directory_lies() {
    let mut moving = Moving::begin(&["/data", "/other"]);
    // Everything is noted, and nothing else will be synced where the directory lies.
    moving.copy().flush().expect("flushed");
    moving.manager.iter().for_each(|manager| manager.visit_checkpoints());
    moving.manager.iter().for_each(|manager| assert!(manager.visit_notes()));
    fs::create_dir_durably(moving.to.join("orders-0")).expect("made");
    die_at_dir_sync(1 + random::below(6));
    moving.finish();
    crash();
    let manager = moving.start();
    manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(moving.config.clone())).expect("there, or made");
    moving.check(&manager);
}

/// Somebody has copied the copy of a log that moves. One of the two goes; should the power bring it back, the log must not move
/// on into what is left of it.
pub(crate) fn one_of_two_copies_goes() {
    let mut moving = Moving::begin(&["/data", "/other", "/third"]);
    let copy = moving.copy();
    copy.flush().expect("flushed");
    moving.manager.take().expect("it runs").visit_checkpoints();
    let path = copy.path();
    drop(copy);
    kill();
    let third = moving.dirs.iter().map(PathBuf::from).find(|dir| *dir != moving.from && *dir != moving.to);
    let third = third.expect("three");
    let twin = third.join(path.file_name().expect("a name"));
    fs::create_dir_durably(&twin).expect("made");
    for file in fs::read_dir(&path).expect("listed") {
        let content = fs::read(path.join(&file.name)).expect("read");
        fs::write_atomically(twin.join(&file.name), content).expect("copied");
    }
    let noted = fs::read(moving.to.join("recovery-point-offset-checkpoint")).expect("noted");
    fs::write_atomically(third.join("recovery-point-offset-checkpoint"), noted).expect("copied");
    let manager = moving.start();
    manager.visit_idle(time::wall_clock_ms());
    moving.check(&finished(manager));
    crash();
    moving.check(&finished(moving.start()));
}

/// Lets a log's copy, if there is one, take its place.
fn finished(manager: Arc<LogManager>) -> Arc<LogManager> {
    if let (Some(log), Some(future)) = (manager.get(TOPIC.0, 0), manager.future(TOPIC.0, 0)) {
        while future.copy_from(&log, 150).expect("copied") != Copied::CaughtUp {}
        drop((log, future));
        let replacement = manager.replacement(TOPIC.0, 0).expect("both are there");
        replacement.finish().expect("moved").expect("it has caught up");
    }
    manager
}

/// A log of a compacted topic whose copy has caught up.
struct Moving {
    dirs: Vec<&'static str>,
    config: LogConfig,
    from: PathBuf,
    to: PathBuf,
    /// Absent when the first process has ended.
    manager: Option<Arc<LogManager>>,
}

impl Moving {
    fn begin(dirs: &[&'static str]) -> Self {
        (1..).zip(dirs).for_each(|(id, dir)| format(dir, id));
        let cleanup_policy = CleanupPolicy { compact: true, delete: false };
        let config = LogConfig { cleanup_policy, segment_bytes: 350, flush_messages: 1, ..LogConfig::default() };
        let manager = process_of(dirs, config.clone());
        let log = manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(config.clone())).expect("created");
        (0..RECORDS).for_each(|n| append(&log, n, 0));
        log.flush().expect("flushed");
        let from = log.dir().path().to_owned();
        let to = dirs.iter().map(PathBuf::from).find(|path| *path != from).expect("another");
        let future = manager.create_future(TOPIC.0, 0, manager.log_dir(&to).expect("known"));
        let future = future.expect("made").expect("it moves");
        while future.copy_from(&log, 150).expect("copied") != Copied::CaughtUp {}
        Self { dirs: dirs.to_vec(), config, from, to, manager: Some(manager) }
    }

    fn copy(&self) -> Arc<Log> {
        self.manager.as_ref().and_then(|manager| manager.future(TOPIC.0, 0)).expect("it moves")
    }

    /// The last step of the move, and the end of the process, which may die meanwhile.
    fn finish(&mut self) {
        let manager = self.manager.take().expect("it runs");
        let _dying = manager.replacement(TOPIC.0, 0).expect("both are there").finish();
    }

    /// Another process.
    fn start(&self) -> Arc<LogManager> {
        process_of(&self.dirs, self.config.clone())
    }

    fn check(&self, manager: &LogManager) {
        let log = manager.get(TOPIC.0, 0).expect("the log is there");
        let found = (read_all(&log, 0).len(), log.log_end_offset());
        assert_eq!(found, (RECORDS, RECORDS as i64), "in {}", log.path().display());
    }
}

fn append(log: &Log, n: usize, epoch: i32) {
    let timestamp = NOW + i64::try_from(n).expect("small");
    log.append_as_leader(&mut record(timestamp, 30), epoch, AppendOrigin::Client, NOW).expect("appended");
}
