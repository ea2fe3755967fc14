//! Logs that move between log directories: their copies come, follow and take their place, or go again. Kafka:
//! `LogManager.getOrCreateLog(isFuture)`, `replaceCurrentWithFutureLog`, `recoverAbandonedFutureLogs`.
//!
//! A copy without its log is the log: the process ended between the two renames of a replacement. With both there, the copy
//! goes on, whatever the controller was told before: Kafka's broker takes it as it is then, and what was appended since to the
//! log is lost.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_env::{fs, planted, random, time};
use ottla_protocol::Uuid;
use parking_lot::MutexGuard;

use super::remove::{forget_notes, remove_at_once, sync_names};
use super::{LogManager, Logs, NotedOf, take, twice};
use crate::error::StorageError;
use crate::file_names::{future_dir, partition_dir};
use crate::log::{Log, OpenOptions};
use crate::log_dir::LogDir;

/// Partitions for which a directory is remembered; the oldest is forgotten for the next.
const PREFERRED_MAX: usize = 10_000;

/// Directories by partition, and the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct Preferred {
    by_partition: BTreeMap<(Arc<str>, i32), PathBuf>,
    order: VecDeque<(Arc<str>, i32)>,
}

impl Preferred {
    fn set(&mut self, partition: (Arc<str>, i32), dir: PathBuf) {
        if self.by_partition.insert(partition.clone(), dir).is_none() {
            self.order.push_back(partition);
        }
        if self.order.len() > PREFERRED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_partition.remove(&oldest);
        }
    }

    fn take(&mut self, topic: &Arc<str>, partition: i32) -> Option<PathBuf> {
        let key = (Arc::clone(topic), partition);
        let dir = self.by_partition.remove(&key)?;
        self.order.retain(|known| *known != key);
        Some(dir)
    }
}

/// A copy that is about to take its log's place: no log is made, deleted or let go until it has, or is dropped.
#[derive(Debug)]
pub struct Replacement<'a> {
    manager: &'a LogManager,
    current: Arc<Log>,
    future: Arc<Log>,
    _one_at_a_time: MutexGuard<'a, ()>,
}

impl Replacement<'_> {
    /// Puts the copy in its log's place, durably, and gives it; None if it has not caught up. Blocks for several syncs.
    ///
    /// The caller sees to it that nothing is appended to the log meanwhile; whoever still reads it hears that it is deleted.
    ///
    /// # Errors
    /// When files cannot be changed. Unless there is only no space, one of the two directories is offline then, and the next
    /// start finishes what was begun; the manager has the log no more if it was renamed away already.
    pub fn finish(self) -> Result<Option<Arc<Log>>, StorageError> {
        let Self { manager, current, future, .. } = &self;
        let (topic, partition) = (current.topic(), current.partition());
        let taken = future.take_place_of(current).inspect_err(|_| {
            if current.is_deleted() {
                manager.forget(topic, partition);
            }
        });
        let Some(away) = taken? else { return Ok(None) };
        // In one of the two at any time: the notes of a log that is in neither are not written.
        manager.insert(future);
        take(&mut manager.futures.write(), topic, partition);
        current.dir().count_log(-1);
        if let Err(error) = forget_notes(current.dir(), topic, &[partition].into()) {
            tracing::warn!(%topic, partition, %error, "what was noted of a log that moved away stays noted");
        }
        let due = time::wall_clock_ms().saturating_add(current.config().file_delete_delay_ms);
        current.dir().remove_later(away, true, due);
        tracing::info!(%topic, partition, from = %current.dir().path().display(), to = %future.dir().path().display(),
            log_end_offset = future.log_end_offset(), "a log has moved to another log directory");
        Ok(Some(Arc::clone(future)))
    }
}

impl LogManager {
    /// The copy of a log that moves.
    #[must_use]
    pub fn future(&self, topic: &str, partition: i32) -> Option<Arc<Log>> {
        self.futures.read().get(topic)?.get(&partition).cloned()
    }

    /// All copies of logs that move.
    #[must_use]
    pub fn futures(&self) -> Vec<Arc<Log>> {
        self.futures.read().values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Whether the copy of a partition can have a name: a topic with a very long one cannot move (KAFKA-4893).
    #[must_use]
    pub fn can_move(topic: &str, partition: i32) -> bool {
        future_dir(topic, partition, [0; 16]).is_some()
    }

    /// Remembers in which directory a partition is to be made that is not here yet. So many are remembered at most.
    pub fn prefer(&self, topic: &str, partition: i32, dir: &Path) {
        self.preferred.lock().set((Arc::from(topic), partition), dir.to_owned());
    }

    /// Takes the directory that was asked for, if it can be used.
    pub(super) fn take_preferred(&self, topic: &Arc<str>, partition: i32) -> Option<&Arc<LogDir>> {
        let path = self.preferred.lock().take(topic, partition)?;
        self.online().find(|dir| dir.path() == path)
    }

    /// Makes the copy of a log in another directory, empty, or gives the one that is there. None if the log lies in `dir`.
    ///
    /// # Errors
    /// When there is no such log, a directory is offline (another copy might lie in there), a copy is on its way to another
    /// one, or files cannot be used.
    pub fn create_future(
        &self,
        topic: &str,
        partition: i32,
        dir: &Arc<LogDir>,
    ) -> Result<Option<Arc<Log>>, StorageError> {
        let _one_at_a_time = self.changing.lock();
        self.all_online()?;
        let current = self.get(topic, partition).ok_or(StorageError::NoDirectory)?;
        self.preferred.lock().take(current.topic(), partition);
        if Arc::ptr_eq(current.dir(), dir) {
            return Ok(None);
        }
        if let Some(future) = self.future(topic, partition).filter(|future| Arc::ptr_eq(future.dir(), dir)) {
            return Ok(Some(future));
        }
        self.remove_future(topic, partition)?;
        let name = future_dir(topic, partition, random::bytes16())
            .ok_or_else(|| StorageError::NameTooLong(partition_dir(topic, partition)))?;
        current.settle_for_move()?;
        let partitions = [partition].into();
        forget_notes(dir, topic, &partitions)?;
        let options = OpenOptions { clean_shutdown: true, ..OpenOptions::default() };
        let (id, config) = (current.topic_id(), current.config());
        let future = Log::open_named(&name, dir, topic, partition, id, config, options)
            .inspect_err(|error| offline_if_broken(dir, error))?;
        // It is durable once it is flushed, as any log is.
        current.pause_for_move();
        dir.count_log(1);
        self.futures.write().entry(Arc::clone(current.topic())).or_default().insert(partition, Arc::clone(&future));
        Ok(Some(future))
    }

    /// Removes the copy of a log, which stays where it is. Does nothing if there is none.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn delete_future(&self, topic: &str, partition: i32) -> Result<(), StorageError> {
        let _one_at_a_time = self.changing.lock();
        self.remove_future(topic, partition)
    }

    /// Removes this copy of a log, which cannot be copied on, if the log itself is there and both directories are online: else
    /// the copy may be all there is, and the next start looks. Compaction and retention of the log go on.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn give_up(&self, copy: &Arc<Log>) -> Result<(), StorageError> {
        let _one_at_a_time = self.changing.lock();
        let (topic, partition) = (copy.topic(), copy.partition());
        let is_it = self.future(topic, partition).is_some_and(|future| Arc::ptr_eq(&future, copy));
        let Some(current) = self.get(topic, partition).filter(|_| is_it) else { return Ok(()) };
        if current.dir().check_online().is_err() || copy.dir().check_online().is_err() {
            return Ok(());
        }
        self.remove_future(topic, partition)
    }

    /// With `changing` held.
    pub(super) fn remove_future(&self, topic: &str, partition: i32) -> Result<(), StorageError> {
        let Some(future) = self.future(topic, partition) else { return Ok(()) };
        let dir = future.dir();
        let path = future.rename_for_removal()?;
        self.forget_future(topic, partition);
        sync_names(dir)?;
        forget_notes(dir, topic, &[partition].into())?;
        dir.remove_later(path, true, time::wall_clock_ms().saturating_add(future.config().file_delete_delay_ms));
        Ok(())
    }

    /// With `changing` held: there is no copy any more, and the log may be compacted and retained again.
    pub(super) fn forget_future(&self, topic: &str, partition: i32) {
        if let Some(future) = take(&mut self.futures.write(), topic, partition) {
            future.dir().count_log(-1);
        }
        if let Some(current) = self.get(topic, partition) {
            current.resume_after_move();
        }
    }

    /// Prepares the exchange of a log for its copy. None if one of them is not there. To be taken before any lock under which
    /// logs are appended to, since it waits for logs that are being made.
    #[must_use]
    pub fn replacement(&self, topic: &str, partition: i32) -> Option<Replacement<'_>> {
        let one_at_a_time = self.changing.lock();
        let (current, future) = (self.get(topic, partition)?, self.future(topic, partition)?);
        Some(Replacement { manager: self, current, future, _one_at_a_time: one_at_a_time })
    }

    /// With `changing` held: takes the copy for a log that is not found, if it is of that topic and nothing says that the log
    /// lies elsewhere.
    ///
    /// # Errors
    /// When the log may lie in a directory that is offline, or files cannot be changed.
    pub(super) fn take_copy(
        &self,
        topic: &str,
        partition: i32,
        topic_id: Uuid,
        noted: Option<Uuid>,
    ) -> Result<Option<Arc<Log>>, StorageError> {
        let Some(future) = self.future(topic, partition).filter(|future| future.topic_id() == topic_id) else {
            return Ok(None);
        };
        future.dir().check_online()?;
        if noted != Some(future.directory_id()) {
            self.all_online()?;
        }
        put_in_place(&future, &self.dirs)?;
        self.insert(&future);
        take(&mut self.futures.write(), topic, partition);
        Ok(Some(future))
    }
}

/// A copy whose log is gone is the log.
fn put_in_place(future: &Log, dirs: &[Arc<LogDir>]) -> Result<(), StorageError> {
    // Where the log was, its new name is durable, so that a loss of power does not leave both: a start syncs each directory when it
    // looks for the mark of a clean stop.
    let noted = dirs.iter().filter_map(|dir| dir.high_watermarks.get(future.topic(), future.partition())).max();
    if let Some(high_watermark) = noted {
        future.set_high_watermark(high_watermark);
        // It is noted where the log was; the next process looks where the log is. A full disk must not hinder the log.
        let noted = future.dir().high_watermarks.set(future.topic(), future.partition(), Some(future.high_watermark()));
        noted.or_else(|error| if error.may_pass() { Ok(()) } else { Err(error) })?;
    }
    // What was answered as deleted stays deleted, though the power may have taken the log that it was deleted from.
    let noted = dirs.iter().filter_map(|dir| dir.log_starts.get(future.topic(), future.partition())).max();
    if let Some(log_start_offset) = noted {
        future.delete_records_before(log_start_offset.min(future.log_end_offset()))?;
    }
    future.become_current()?;
    tracing::warn!(topic = %future.topic(), partition = future.partition(), path = %future.path().display(),
        "the copy of a log that moved takes its place: the process had ended before it was renamed");
    Ok(())
}

/// At the start: those copies that are logs become such, and those that are of no use go; the others go on.
pub(super) fn sort_copies(logs: &mut Logs, copies: Vec<Arc<Log>>, dirs: &[Arc<LogDir>], noted_of: &NotedOf) -> Logs {
    let all_online = dirs.iter().all(|dir| dir.check_online().is_ok());
    let mut futures = Logs::new();
    for copy in twice::one_copy_each(copies, logs, noted_of) {
        let (topic, partition) = (Arc::clone(copy.topic()), copy.partition());
        let current = logs.get(&topic).and_then(|partitions| partitions.get(&partition));
        // What a loss of power brought back of another topic of that name is not its log.
        let current = current.filter(|current| current.topic_id() == copy.topic_id());
        if current.is_some_and(|current| Arc::ptr_eq(current.dir(), copy.dir())) {
            remove(&copy);
            continue;
        }
        if let Some(current) = current {
            current.pause_for_move();
            // Should the power take the log with all that comes, its copy must not bring back what is lost by then.
            told(&copy, copy.agree_with(current));
            told(&copy, keep_what_is_certain(&copy));
        }
        let name = partition_dir(&topic, partition);
        // One that cannot be opened is there all the same.
        let is_alone = !dirs.iter().any(|dir| fs::exists(dir.path().join(&name)));
        let is_log = is_alone && all_online && told(&copy, put_in_place(&copy, dirs));
        copy.dir().count_log(1);
        let into = if is_log { &mut *logs } else { &mut futures };
        into.entry(topic).or_default().insert(partition, copy);
    }
    futures
}

/// After an unclean start, the copy of a log that moves ends where it was synced; the rest is copied again. In a compacted
/// topic, what the power took between two segments looks like what compaction leaves out, and the log itself has it all.
fn keep_what_is_certain(copy: &Log) -> Result<(), StorageError> {
    if planted::is("a copy goes on behind what the power took") {
        return Ok(());
    }
    // As it was noted: opening it may have synced what is left.
    let synced = copy.dir().recovery_points.get(copy.topic(), copy.partition()).unwrap_or(0);
    copy.truncate_to(synced.max(copy.log_start_offset()))
}

pub(super) fn remove(copy: &Log) {
    tracing::warn!(path = %copy.path().display(), "a copy that is of no use is removed");
    told(copy, remove_at_once(copy));
}

/// Whether it succeeded; a failure has taken a directory offline, and the next start looks again.
fn told(copy: &Log, result: Result<(), StorageError>) -> bool {
    if let Err(error) = &result {
        tracing::error!(path = %copy.path().display(), %error, "the copy of a log that moves is left as it is");
    }
    result.is_ok()
}

fn offline_if_broken(dir: &LogDir, error: &StorageError) {
    if matches!(error, StorageError::Io(_) | StorageError::Open(_)) && !error.may_pass() {
        dir.set_offline(&error.to_string());
    }
}
