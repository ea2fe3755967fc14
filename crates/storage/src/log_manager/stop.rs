//! The clean stop: everything is on the device, and each directory says so.
//!
//! A few changed logs are flushed one by one. Of many, everything is written first and the file system synced once: ten
//! thousand logs would need sixty thousand syncs.

use std::sync::Arc;

use ottla_env::{fs, planted};

use super::LogManager;
use crate::clean_shutdown;
use crate::error::StorageError;
use crate::log::Log;
use crate::log_dir::LogDir;
use crate::parallel;

/// Up to this many changed logs of a directory are flushed one by one; a sync of the whole file system takes along what
/// others have written there.
const FEW: usize = 32;

impl LogManager {
    /// Ends the threads, flushes every log, and leaves the mark of a clean stop with `broker_epoch` in it (-1 for none).
    /// Directories that are offline, or could not be flushed, do not get the mark. On a full device everything is flushed that
    /// takes no space, and there is no mark: the next start has to look at what could not be noted.
    ///
    /// # Errors
    /// The first failure, for the caller to tell; everything else was done all the same.
    pub fn stop(&self, broker_epoch: i64) -> Result<(), StorageError> {
        self.stop.stop();
        let crew = self.cleaner_crew.lock().take();
        if let Some(crew) = &crew {
            crew.ask_to_end();
        }
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if let Err(error) = thread.join() {
                tracing::error!(%error, "a thread of the log manager ended early");
            }
        }
        if let Some(crew) = crew {
            crew.end();
        }
        let mut first_error = None;
        // What failed before was told then, and is no reason to call the stop of the others unclean.
        for dir in self.dirs.iter().filter(|dir| dir.check_online().is_ok()) {
            match self.stop_dir(dir, broker_epoch) {
                Err(error) if first_error.is_some() => {
                    tracing::error!(dir = %dir.path().display(), %error, "another log directory could not be stopped cleanly");
                }
                Err(error) => first_error = Some(error),
                Ok(()) => {}
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn stop_dir(&self, dir: &Arc<LogDir>, broker_epoch: i64) -> Result<(), StorageError> {
        dir.check_online()?;
        if planted::is("the mark of a clean stop before the flush") {
            clean_shutdown::write(dir.path(), broker_epoch)?;
        }
        let closed = self.close_logs(dir);
        // Nothing that a directory says after a failure of its device is to be believed; what a full one can still note, need not
        // be scanned.
        dir.check_online()?;
        let noted = [self.write_recovery_points(dir), self.write_log_starts(dir), self.write_high_watermarks(dir)];
        closed?;
        noted.into_iter().collect::<Result<Vec<()>, _>>()?;
        clean_shutdown::write(dir.path(), broker_epoch)
    }

    /// Closes all logs of a directory, whatever happens to some; the first failure.
    fn close_logs(&self, dir: &Arc<LogDir>) -> Result<(), StorageError> {
        let (changed, unchanged): (Vec<_>, Vec<_>) = self.logs_in(dir).into_iter().partition(|log| log.is_dirty());
        let closed = if changed.len() > FEW { self.close_together(dir, changed) } else { self.close_each(changed) };
        closed.and(self.close_each(unchanged))
    }

    fn close_each(&self, logs: Vec<Arc<Log>>) -> Result<(), StorageError> {
        let closed = parallel::run(self.options.recovery_threads, logs, |log: Arc<Log>| log.close());
        closed.into_iter().collect()
    }

    fn close_together(&self, dir: &Arc<LogDir>, logs: Vec<Arc<Log>>) -> Result<(), StorageError> {
        let threads = self.options.recovery_threads;
        let outcomes = parallel::run(threads, logs, |log: Arc<Log>| log.write_out().map(|end| (log, end)));
        let (mut written, mut failed) = (Vec::new(), None);
        for outcome in outcomes {
            match outcome {
                Ok(log) => written.push(log),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match fs::sync_file_system(dir.path()) {
            Ok(()) => written.iter().for_each(|(log, end)| log.note_synced(*end)),
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
                self.close_each(written.into_iter().map(|(log, _)| log).collect())?;
            }
            Err(error) => {
                dir.set_offline(&error.to_string());
                return Err(error.into());
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
