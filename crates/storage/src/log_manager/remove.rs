//! Taking logs away: deleted ones are renamed now and removed later, strays are renamed and kept. Names are synced once for
//! however many there are. Kafka: `LogManager.asyncDelete`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use ottla_env::time;

use super::{LogManager, strays};
use crate::error::StorageError;
use crate::log::Log;
use crate::log_dir::LogDir;

impl LogManager {
    /// Takes a partition's log away: its directory is renamed now and removed after `file.delete.delay.ms`. Does nothing
    /// if there is none.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn delete(&self, topic: &str, partition: i32) -> Result<(), StorageError> {
        self.delete_all(topic, &[partition]).into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
    }

    /// As [`Self::delete`], for partitions of one topic. Gives those whose logs are still there, each with the reason.
    pub fn delete_all(&self, topic: &str, partitions: &[i32]) -> Vec<(i32, StorageError)> {
        let _one_at_a_time = self.changing.lock();
        let mut failed = Vec::new();
        let mut renamed = Vec::new();
        // Copies first, and durably: one without its log would be taken for it at the next start.
        for partition in partitions {
            if let Err(error) = self.remove_future(topic, *partition) {
                tracing::error!(topic, partition, %error, "the copy of a deleted log that moved is left to the next start");
            }
        }
        for partition in partitions {
            let Some(log) = self.get(topic, *partition) else { continue };
            match log.rename_for_removal() {
                Ok(path) => {
                    self.forget(topic, *partition);
                    renamed.push((log, path));
                }
                Err(error) => failed.push((*partition, error)),
            }
        }
        let now_ms = time::wall_clock_ms();
        for (dir, logs) in by_directory(renamed) {
            // Files must not go before their directory's name: a crash would bring back a log that lacks some.
            let partitions = logs.iter().map(|(log, _)| log.partition()).collect();
            match sync_names(&dir).and_then(|()| forget_notes(&dir, topic, &partitions)) {
                Ok(()) => {
                    for (log, path) in logs {
                        dir.remove_later(path, true, now_ms.saturating_add(log.config().file_delete_delay_ms));
                    }
                }
                Err(error) => tracing::error!(topic, %error, "deleted logs are left to the next start"),
            }
        }
        failed
    }

    /// Sets the logs aside that are strays: the node ended between the commit of a topic's deletion and the renaming of its
    /// logs. Their directories get the suffix `-stray` and are kept. Asked once after the start, before logs are made.
    pub fn set_strays_aside(&self, is_stray: impl Fn(&Log) -> bool) {
        let _one_at_a_time = self.changing.lock();
        let (logs, futures) = (self.logs(), self.futures());
        for log in futures.iter().chain(&logs).filter(|log| is_stray(log)) {
            match strays::set_log_aside(log) {
                Ok(()) if log.is_future() => self.forget_future(log.topic(), log.partition()),
                Ok(()) => self.forget(log.topic(), log.partition()),
                Err(error) => {
                    tracing::error!(topic = %log.topic(), partition = log.partition(), %error,
                        "a log that metadata does not know cannot be set aside; the next start tries again");
                }
            }
        }
    }
}

type Renamed = Vec<(Arc<Log>, PathBuf)>;

fn by_directory(renamed: Renamed) -> Vec<(Arc<LogDir>, Renamed)> {
    let mut grouped: Vec<(Arc<LogDir>, Renamed)> = Vec::new();
    for (log, path) in renamed {
        match grouped.iter_mut().find(|(dir, _)| Arc::ptr_eq(dir, log.dir())) {
            Some((_, logs)) => logs.push((log, path)),
            None => grouped.push((Arc::clone(log.dir()), vec![(log, path)])),
        }
    }
    grouped
}

/// Removes a log, or the copy of one, that nobody uses.
///
/// # Errors
/// When it cannot be renamed, or that not be made durable; its directory is offline then.
pub(super) fn remove_at_once(log: &Log) -> Result<(), StorageError> {
    let path = log.rename_for_removal()?;
    // Or a crash would bring back a log that lacks some of its files.
    sync_names(log.dir())?;
    log.dir().remove_later(path, true, 0);
    Ok(())
}

/// One writing of each checkpoint now instead of one for each log of that name that is made later.
pub(super) fn forget_notes(dir: &LogDir, topic: &str, partitions: &BTreeSet<i32>) -> Result<(), StorageError> {
    let forgotten = dir.checkpoints().into_iter().try_for_each(|notes| notes.forget(topic, partitions));
    forgotten.inspect_err(|error| {
        if !error.may_pass() {
            dir.set_offline(&error.to_string());
        }
    })
}

/// Names that cannot be made durable take the directory offline.
#[cfg_attr(sim, track_caller)]
pub(super) fn sync_names(dir: &Arc<LogDir>) -> Result<(), StorageError> {
    dir.check_online()?;
    dir.sync_names().inspect_err(|error| dir.set_offline(&error.to_string()))
}
