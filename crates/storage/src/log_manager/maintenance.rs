//! What happens in the background, on two threads: the flusher, which waits for the device, and the rest.
//!
//! | what | when |
//! |---|---|
//! | syncs after a roll and for `flush.ms` | within [`FLUSHER_INTERVAL_MS`] |
//! | high watermarks | `high_watermark_checkpoint_interval_ms`, if one moved |
//! | flush of changed logs, producer snapshots, recovery points, log starts | `flush_checkpoint_interval_ms` |
//! | retention, expiry of producers | `retention_check_interval_ms`, first after [`RETENTION_DELAY_MS`] |
//! | removal of deleted files, descriptors that nobody used | every [`TICK_MS`], every [`IDLE_INTERVAL_MS`] |

use std::path::Path;
use std::sync::Arc;

use ottla_env::{task, time};

use super::LogManager;
use crate::checkpoint::{self, HIGH_WATERMARK, LOG_START, Offsets};
use crate::error::StorageError;
use crate::log::Log;
use crate::log_dir::LogDir;

const FLUSHER_INTERVAL_MS: i64 = 100;
const TICK_MS: i64 = 1_000;
const RETENTION_DELAY_MS: i64 = 30_000;
const IDLE_INTERVAL_MS: i64 = 60_000;

/// When each piece of work is due next, in ms of the monotonic clock.
struct Schedule {
    high_watermarks: i64,
    recovery_points: i64,
    retention: i64,
    idle: i64,
}

impl LogManager {
    /// Starts the two threads.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(self: &Arc<Self>) -> Result<(), StorageError> {
        let flusher = Arc::clone(self);
        let keeper = Arc::clone(self);
        let mut threads = self.threads.lock();
        threads.push(task::thread("log-flusher", move || {
            while !flusher.stop.wait_ms(FLUSHER_INTERVAL_MS) {
                flusher.flush_due();
            }
        })?);
        threads.push(task::thread("log-maintenance", move || keeper.maintain())?);
        Ok(())
    }

    fn maintain(&self) {
        let now = time::monotonic_ms();
        let mut due = Schedule {
            high_watermarks: now + self.options.high_watermark_checkpoint_interval_ms,
            recovery_points: now + self.options.flush_checkpoint_interval_ms,
            retention: now + RETENTION_DELAY_MS.min(self.options.retention_check_interval_ms),
            idle: now + IDLE_INTERVAL_MS,
        };
        while !self.stop.wait_ms(TICK_MS.min(self.options.high_watermark_checkpoint_interval_ms)) {
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
            self.on_every_dir(Self::write_high_watermarks);
        }
        if is_due(&mut due.recovery_points, self.options.flush_checkpoint_interval_ms) {
            self.checkpoint();
        }
        if is_due(&mut due.retention, self.options.retention_check_interval_ms) {
            self.delete_old_segments(time::wall_clock_ms());
        }
        if is_due(&mut due.idle, IDLE_INTERVAL_MS) {
            self.logs().iter().for_each(|log| log.close_idle_files());
        }
    }

    /// Flushes the logs that asked for it and those whose `flush.ms` is over.
    fn flush_due(&self) {
        let now_ms = time::wall_clock_ms();
        for dir in &self.dirs {
            if !dir.take_flush_wanted() {
                continue;
            }
            for log in self.logs_in(dir) {
                match log.flush_if_due(now_ms) {
                    Ok(false) => {}
                    Ok(true) => dir.want_flush(),
                    Err(error) => told(&log, "flush", &error),
                }
            }
        }
    }

    /// Flushes changed logs and notes how far each is synced.
    pub fn checkpoint(&self) {
        for log in self.logs() {
            if let Err(error) = log.checkpoint() {
                told(&log, "checkpoint", &error);
            }
        }
        self.on_every_dir(Self::write_recovery_points);
    }

    /// Applies the retention settings of every log.
    pub fn delete_old_segments(&self, now_ms: i64) {
        for log in self.logs() {
            log.expire_producers(now_ms, self.options.producer_id_expiration_ms);
            if let Err(error) = log.delete_old_segments(now_ms) {
                told(&log, "retention", &error);
            }
        }
    }

    fn on_every_dir(&self, write: impl Fn(&Self, &Arc<LogDir>) -> Result<(), StorageError>) {
        for dir in self.dirs.iter().filter(|dir| dir.check_online().is_ok()) {
            if let Err(error) = write(self, dir) {
                dir.set_offline(&error.to_string());
            }
        }
    }

    pub(super) fn write_recovery_points(&self, dir: &Arc<LogDir>) -> Result<(), StorageError> {
        let logs = self.logs_in(dir);
        let moved = |log: &&Arc<Log>| log.log_start_offset() > log.first_segment_offset();
        dir.write_recovery_points(offsets(&logs, |log| log.flushed_offset()))?;
        let starts: Vec<_> = logs.iter().filter(moved).cloned().collect();
        self.write_if_changed(&dir.path().join(LOG_START), offsets(&starts, |log| log.log_start_offset()))
    }

    pub(super) fn write_high_watermarks(&self, dir: &Arc<LogDir>) -> Result<(), StorageError> {
        let offsets = offsets(&self.logs_in(dir), |log| log.high_watermark());
        self.write_if_changed(&dir.path().join(HIGH_WATERMARK), offsets)
    }

    fn write_if_changed(&self, path: &Path, offsets: Offsets) -> Result<(), StorageError> {
        let mut written = self.written.lock();
        if written.get(path) != Some(&offsets) {
            checkpoint::write(path, &offsets)?;
            written.insert(path.to_owned(), offsets);
        }
        Ok(())
    }
}

fn offsets(logs: &[Arc<Log>], offset: impl Fn(&Log) -> i64) -> Offsets {
    logs.iter().map(|log| ((Arc::clone(log.topic()), log.partition()), offset(log))).collect()
}

/// A log that was deleted meanwhile is no trouble, and a directory that is offline has been told already.
fn told(log: &Log, what: &str, error: &StorageError) {
    if !matches!(error, StorageError::Deleted { .. } | StorageError::Offline { .. }) {
        tracing::error!(topic = %log.topic(), partition = log.partition(), %error, "{what} failed");
    }
}
