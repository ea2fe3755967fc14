//! What happens in the background: per log directory a flusher, which waits for its device, and one thread for the rest.
//! Compaction has threads of its own ([`crate::cleaner`]).
//!
//! | who | what | when |
//! |---|---|---|
//! | flusher | syncs after a roll and for `flush.ms` | within [`FLUSHER_INTERVAL_MS`] |
//! | flusher | flush of changed logs, producer snapshots, recovery points | `flush_checkpoint_interval_ms` |
//! | flusher | the same, beginning with the log that has the most unflushed bytes | a directory has over `flush_behind_bytes` |
//! | maintenance | log starts | `log_start_checkpoint_interval_ms`, if one moved |
//! | maintenance | high watermarks | `high_watermark_checkpoint_interval_ms`, if one moved |
//! | maintenance | retention, expiry of producers | `retention_check_interval_ms`, first after [`RETENTION_DELAY_MS`] |
//! | maintenance | removal of deleted files; descriptors that nobody used | every [`TICK_MS`]; every [`IDLE_INTERVAL_MS`] |

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_env::{planted, task, time};

use super::{CLUSTER_METADATA, LogManager};
use crate::checkpoint::Offsets;
use crate::cleaner::Crew;
use crate::error::StorageError;
use crate::log::Log;
use crate::log_dir::LogDir;
use crate::shortage::Chore;

const FLUSHER_INTERVAL_MS: i64 = 100;
const TICK_MS: i64 = 1_000;
/// However short the intervals are, the thread rests this long.
const TICK_MIN_MS: i64 = 10;
const RETENTION_DELAY_MS: i64 = 30_000;
const IDLE_INTERVAL_MS: i64 = 60_000;

/// When each piece of maintenance is due next, in ms of the monotonic clock.
struct Schedule {
    high_watermarks: i64,
    log_starts: i64,
    retention: i64,
    idle: i64,
}

impl LogManager {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(self: &Arc<Self>) -> Result<(), StorageError> {
        let mut threads = self.threads.lock();
        for dir in &self.dirs {
            let (manager, dir) = (Arc::clone(self), Arc::clone(dir));
            threads.push(task::thread("log-flusher", move || manager.flush_in(&dir))?);
        }
        let manager = Arc::clone(self);
        threads.push(task::thread("log-maintenance", move || manager.maintain())?);
        drop(threads);
        *self.cleaner_crew.lock() = Some(Crew::start(self)?);
        Ok(())
    }

    fn flush_in(&self, dir: &Arc<LogDir>) {
        let mut checkpoint_due = time::monotonic_ms() + self.options.flush_checkpoint_interval_ms;
        while !self.stop.wait_ms(FLUSHER_INTERVAL_MS) {
            if dir.check_online().is_err() {
                return;
            }
            self.flush_due(dir);
            self.flush_behind(dir);
            if time::monotonic_ms() >= checkpoint_due {
                self.checkpoint(dir);
                checkpoint_due = time::monotonic_ms() + self.options.flush_checkpoint_interval_ms;
            }
        }
    }

    fn maintain(&self) {
        let now = time::monotonic_ms();
        let mut due = Schedule {
            high_watermarks: now + self.options.high_watermark_checkpoint_interval_ms,
            log_starts: now + self.options.log_start_checkpoint_interval_ms,
            retention: now + RETENTION_DELAY_MS.min(self.options.retention_check_interval_ms),
            idle: now + IDLE_INTERVAL_MS,
        };
        let checkpoints_ms =
            self.options.high_watermark_checkpoint_interval_ms.min(self.options.log_start_checkpoint_interval_ms);
        while !self.stop.wait_ms(checkpoints_ms.clamp(TICK_MIN_MS, TICK_MS)) {
            self.tick(time::monotonic_ms(), &mut due);
        }
    }

    fn tick(&self, now: i64, due: &mut Schedule) {
        let is_due = |at: &mut i64, interval_ms: i64| {
            let due = *at <= now;
            if due {
                *at = now + interval_ms;
            }
            due
        };
        for dir in &self.dirs {
            dir.remove_due(time::wall_clock_ms());
        }
        if is_due(&mut due.high_watermarks, self.options.high_watermark_checkpoint_interval_ms) {
            for dir in self.dirs.iter().filter(|dir| dir.check_online().is_ok()) {
                or_offline(dir, Chore::HighWatermarks, self.write_high_watermarks(dir));
            }
        }
        if is_due(&mut due.log_starts, self.options.log_start_checkpoint_interval_ms) {
            for dir in self.dirs.iter().filter(|dir| dir.check_online().is_ok()) {
                or_offline(dir, Chore::LogStarts, self.write_log_starts(dir));
            }
        }
        if is_due(&mut due.retention, self.options.retention_check_interval_ms) {
            self.delete_old_segments(time::wall_clock_ms());
        }
        if is_due(&mut due.idle, IDLE_INTERVAL_MS) {
            self.close_idle_files();
        }
    }

    pub(super) fn close_idle_files(&self) {
        self.logs().iter().chain(&self.futures()).for_each(|log| log.close_idle_files());
    }

    /// Flushes the logs that asked for it and those whose `flush.ms` is over.
    pub(super) fn flush_due(&self, dir: &Arc<LogDir>) {
        if !dir.take_flush_wanted() {
            return;
        }
        let now_ms = time::wall_clock_ms();
        for log in self.logs_in(dir) {
            match log.flush_if_due(now_ms) {
                Ok(false) => {}
                Ok(true) => dir.want_flush(),
                Err(error) => flush_failed(&log, "flush", error),
            }
        }
    }

    /// Syncs behind the appenders, so that little is lost and little is read after a crash however long the interval of the
    /// checkpoints is. The logs with the most go first, until half of what is let pass is left.
    fn flush_behind(&self, dir: &Arc<LogDir>) {
        let (bytes, too_many) = dir.unflushed();
        if !too_many {
            return;
        }
        let mut logs = self.logs_in(dir);
        logs.sort_by_cached_key(|log| std::cmp::Reverse(log.unflushed_bytes()));
        let mut left = bytes;
        for log in logs {
            if left <= self.options.flush_behind_bytes / 2 {
                break;
            }
            left = left.saturating_sub(log.unflushed_bytes());
            if let Err(error) = log.checkpoint() {
                flush_failed(&log, "flush", error);
            }
        }
        or_offline(dir, Chore::RecoveryPoints, self.write_recovery_points(dir));
    }

    /// Flushes changed logs and notes how far each is synced.
    pub(super) fn checkpoint(&self, dir: &Arc<LogDir>) {
        if planted::is("the recovery point is noted before the flush") {
            let logs = self.logs_in(dir);
            let noted = dir.recovery_points.replace(|| offsets(&logs, |log| Some(log.log_end_offset())));
            or_offline(dir, Chore::RecoveryPoints, noted);
        }
        let mut waits = false;
        for log in self.logs_in(dir) {
            if let Err(error) = log.checkpoint() {
                waits |= error.may_pass();
                flush_failed(&log, "checkpoint", error);
            }
        }
        if !waits {
            or_offline(dir, Chore::Flush, Ok(()));
        }
        // Nothing that a directory says after its first failure is to be believed by the next process.
        or_offline(dir, Chore::RecoveryPoints, dir.check_online().and_then(|()| self.write_recovery_points(dir)));
    }

    /// Applies the retention settings of every log.
    pub fn delete_old_segments(&self, now_ms: i64) {
        let expiration_ms = self.producer_id_expiration_ms.load(Ordering::Relaxed);
        // Kafka's cleaner is paused for what moves, and retention passes over what it is paused for.
        for log in self.logs().into_iter().filter(|log| !log.is_moving()) {
            log.expire_producers(now_ms, expiration_ms);
            if let Err(error) = log.delete_old_segments(now_ms) {
                told(&log, "retention", &error);
            }
        }
    }

    pub(super) fn write_recovery_points(&self, dir: &Arc<LogDir>) -> Result<(), StorageError> {
        let logs = self.logs_in(dir);
        // The quorum opens the metadata log itself, and notes how far that is synced.
        dir.recovery_points.replace_beside(CLUSTER_METADATA, || offsets(&logs, |log| Some(log.flushed_offset())))
    }

    pub(super) fn write_log_starts(&self, dir: &Arc<LogDir>) -> Result<(), StorageError> {
        let logs = self.logs_in(dir);
        let is_forgotten = planted::is("the log start is forgotten");
        let moved = |log: &Log| {
            Some(log.log_start_offset()).filter(|start| *start > log.first_segment_offset() && !is_forgotten)
        };
        dir.log_starts.replace(|| offsets(&logs, moved))
    }

    pub(super) fn write_high_watermarks(&self, dir: &Arc<LogDir>) -> Result<(), StorageError> {
        let logs = self.logs_in(dir);
        dir.high_watermarks.replace(|| offsets(&logs, |log| Some(log.high_watermark())))
    }
}

fn offsets(logs: &[Arc<Log>], offset: impl Fn(&Log) -> Option<i64>) -> Offsets {
    logs.iter().filter_map(|log| Some(((Arc::clone(log.topic()), log.partition()), offset(log)?))).collect()
}

/// A chore that cannot be done is a failure of the device, unless the device is only full.
pub(super) fn or_offline(dir: &LogDir, chore: Chore, done: Result<(), StorageError>) {
    let path = dir.path().display();
    match done {
        Ok(()) if dir.shortage.ends(chore) => {
            tracing::info!(dir = %path, "there is space, or there are descriptors, again: checkpoints are written");
        }
        Ok(()) => {}
        Err(error) if error.may_pass() => {
            if dir.shortage.begins(chore) {
                tracing::warn!(dir = %path, %error,
                    "checkpoints wait for space or descriptors: after a crash more is scanned until they are written");
            }
        }
        Err(error) => dir.set_offline(&error.to_string()),
    }
}

/// The log has seen to its directory, if that is broken.
fn flush_failed(log: &Log, what: &str, error: StorageError) {
    if error.may_pass() {
        return or_offline(log.dir(), Chore::Flush, Err(error));
    }
    told(log, what, &error);
}

/// A log that was deleted meanwhile is no trouble, and a directory that is offline has been told already.
fn told(log: &Log, what: &str, error: &StorageError) {
    if !matches!(error, StorageError::Deleted { .. } | StorageError::Offline { .. }) {
        tracing::error!(topic = %log.topic(), partition = log.partition(), %error, "{what} failed");
    }
}
