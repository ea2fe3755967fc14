//! Making logs: where a new one goes, and many of them at once.
//!
//! ```text
//!   wanted ──> there already? ──> placed (O(directories) each) ──> files made by several threads
//! ```
//! Kafka: `LogManager.getOrCreateLog`, `nextLogDirs`.

use std::sync::Arc;

use ottla_env::fs;
use ottla_protocol::Uuid;

use super::{LogManager, strays};
use crate::config::LogConfig;
use crate::error::StorageError;
use crate::file_names::partition_dir;
use crate::log::{Log, OpenOptions};
use crate::log_dir::LogDir;
use crate::{parallel, partition_metadata};

/// Where a log is to lie that is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// It is new: in the directory with the fewest.
    Anywhere,
    /// It may have been here before, and nobody has noted where: as [`Self::Anywhere`], but not while a directory is offline.
    Unnoted,
    /// In the directory of this id. If there is none, where [`Self::Anywhere`] would; but not while a directory is offline,
    /// because the log may lie in that one.
    In(Uuid),
}

/// A log that is to exist.
#[derive(Debug, Clone)]
pub struct WantedLog {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition within the topic.
    pub partition: i32,
    /// Id of the topic.
    pub topic_id: Uuid,
    /// Settings.
    pub config: Arc<LogConfig>,
    /// Where it goes if it is not there.
    pub placement: Placement,
}

type Made = Result<Arc<Log>, StorageError>;

/// A log and the directory in which it is made.
struct Job {
    place: usize,
    wanted: WantedLog,
    dir: Arc<LogDir>,
    options: OpenOptions,
}

impl LogManager {
    /// As [`Self::create_all`], for one log that may lie anywhere.
    ///
    /// # Errors
    /// When files cannot be used.
    pub fn create(&self, topic: &str, partition: i32, topic_id: Uuid, config: Arc<LogConfig>) -> Made {
        let placement = Placement::Anywhere;
        let wanted = WantedLog { topic: Arc::from(topic), partition, topic_id, config, placement };
        self.create_all(vec![wanted]).pop().unwrap_or(Err(StorageError::NoDirectory))
    }

    /// The logs of partitions, in the order in which they are wanted, each made if it does not exist. What was left out at
    /// the start because it had no partition.metadata is taken over; what has another topic id, or records of which nobody
    /// knows whose they are, is set aside.
    ///
    /// A log that is made is durable once it is flushed: should the power go before, metadata makes it again.
    pub fn create_all(&self, wanted: Vec<WantedLog>) -> Vec<Made> {
        let _one_at_a_time = self.changing.lock();
        let mut made: Vec<Option<Made>> = Vec::with_capacity(wanted.len());
        let mut jobs = Vec::new();
        for (place, wanted) in wanted.into_iter().enumerate() {
            match self.found(&wanted) {
                Ok(Some(log)) => made.push(Some(Ok(log))),
                Ok(None) => {
                    made.push(None);
                    match self.copy_of(&wanted) {
                        Ok(Some(copy)) => set(&mut made, place, Ok(copy)),
                        Ok(None) => match self.placed(place, wanted) {
                            Ok(job) => jobs.push(job),
                            Err(error) => set(&mut made, place, Err(error)),
                        },
                        Err(error) => set(&mut made, place, Err(error)),
                    }
                }
                Err(error) => made.push(Some(Err(error))),
            }
        }
        while !jobs.is_empty() {
            jobs = self.make(jobs, &mut made);
        }
        made.into_iter().map(|made| made.unwrap_or(Err(StorageError::NoDirectory))).collect()
    }

    /// The log if it is open already; one of another topic id is set aside.
    fn found(&self, wanted: &WantedLog) -> Result<Option<Arc<Log>>, StorageError> {
        let Some(log) = self.get(&wanted.topic, wanted.partition) else { return Ok(None) };
        if log.topic_id() == wanted.topic_id {
            log.set_config(Arc::clone(&wanted.config));
            return Ok(Some(log));
        }
        self.remove_future(&wanted.topic, wanted.partition)?;
        strays::set_log_aside(&log)?;
        self.forget(&wanted.topic, wanted.partition);
        Ok(None)
    }

    /// The copy that takes the place of a log that is nowhere.
    fn copy_of(&self, wanted: &WantedLog) -> Result<Option<Arc<Log>>, StorageError> {
        if self.future(&wanted.topic, wanted.partition).is_none() {
            return Ok(None);
        }
        strays::set_unopened_aside(&self.dirs, &wanted.topic, wanted.partition, wanted.topic_id)?;
        let name = partition_dir(&wanted.topic, wanted.partition);
        if self.online().any(|dir| fs::exists(dir.path().join(&name))) {
            return Ok(None);
        }
        let noted = if let Placement::In(id) = wanted.placement { Some(id) } else { None };
        let copy = self.take_copy(&wanted.topic, wanted.partition, wanted.topic_id, noted)?;
        Ok(copy.inspect(|copy| copy.set_config(Arc::clone(&wanted.config))))
    }

    /// Whether there is a copy of a log of that topic.
    fn has_copy_of(&self, wanted: &WantedLog) -> bool {
        let copy = self.future(&wanted.topic, wanted.partition);
        copy.is_some_and(|copy| copy.topic_id() == wanted.topic_id)
    }

    /// Chooses the directory, and counts the log there already so that the next one goes elsewhere.
    fn placed(&self, place: usize, wanted: WantedLog) -> Result<Job, StorageError> {
        let name = partition_dir(&wanted.topic, wanted.partition);
        strays::set_unopened_aside(&self.dirs, &wanted.topic, wanted.partition, wanted.topic_id)?;
        let existing = self.online().find(|dir| fs::exists(dir.path().join(&name)));
        let (dir, options) = match existing {
            Some(dir) => (dir, noted(dir, &wanted, &name)),
            None => {
                let options = OpenOptions { clean_shutdown: true, ..OpenOptions::default() };
                let preferred = self.take_preferred(&wanted.topic, wanted.partition);
                (preferred.map_or_else(|| self.directory_for(wanted.placement), Ok)?, options)
            }
        };
        // A copy of another topic's log. That of this one's stays until the log itself is open.
        if !self.has_copy_of(&wanted) {
            self.remove_future(&wanted.topic, wanted.partition)?;
        }
        dir.count_log(1);
        Ok(Job { place, wanted, dir: Arc::clone(dir), options })
    }

    fn directory_for(&self, placement: Placement) -> Result<&Arc<LogDir>, StorageError> {
        if let Placement::In(id) = placement
            && let Some(dir) = self.online().find(|dir| dir.directory_id() == id)
        {
            return Ok(dir);
        }
        if placement != Placement::Anywhere {
            self.all_online()?;
        }
        self.emptiest_dir().ok_or(StorageError::NoDirectory)
    }

    /// The directory with the fewest logs that is not cordoned; the first one when all are, as in Kafka.
    fn emptiest_dir(&self) -> Option<&Arc<LogDir>> {
        let open = self.online().filter(|dir| !dir.is_cordoned());
        open.min_by_key(|dir| dir.log_count()).or_else(|| self.online().next())
    }

    /// # Errors
    /// That of a directory which is offline.
    pub(super) fn all_online(&self) -> Result<(), StorageError> {
        self.dirs.iter().try_for_each(|dir| dir.check_online())
    }

    pub(super) fn online(&self) -> impl Iterator<Item = &Arc<LogDir>> {
        self.dirs.iter().filter(|dir| dir.check_online().is_ok())
    }

    /// Makes the logs; what failed with its directory comes back for another one.
    fn make(&self, jobs: Vec<Job>, made: &mut [Option<Made>]) -> Vec<Job> {
        let outcomes = parallel::run(self.options.recovery_threads, jobs, |job| {
            let Job { dir, wanted, options, .. } = &job;
            let config = Arc::clone(&wanted.config);
            let opened = Log::open(dir, &wanted.topic, wanted.partition, wanted.topic_id, config, *options);
            if let Err(error @ StorageError::Io(_)) = &opened
                && !error.may_pass()
            {
                dir.set_offline(&error.to_string());
            }
            (job, opened)
        });
        let mut again = Vec::new();
        for (job, opened) in outcomes {
            match opened {
                Ok(log) if log.dir().check_online().is_ok() => {
                    self.insert(&log);
                    let gone = self.remove_future(&job.wanted.topic, job.wanted.partition);
                    set(made, job.place, gone.map(|()| log));
                }
                outcome => {
                    job.dir.count_log(-1);
                    self.elsewhere(job, outcome, made, &mut again);
                }
            }
        }
        again
    }

    /// A new log whose directory failed goes to another one while there is any.
    fn elsewhere(&self, job: Job, outcome: Made, made: &mut [Option<Made>], again: &mut Vec<Job>) {
        let error = match (outcome, job.dir.check_online()) {
            (Err(StorageError::Io(_) | StorageError::Offline { .. }) | Ok(_), Err(offline))
                if job.options.clean_shutdown =>
            {
                match self.placed(job.place, job.wanted) {
                    Ok(job) => return again.push(job),
                    Err(_) => offline,
                }
            }
            (Err(error), _) | (Ok(_), Err(error)) => error,
            // Online again is what no directory ever is.
            (Ok(_), Ok(())) => StorageError::NoDirectory,
        };
        set(made, job.place, Err(error));
    }
}

/// What the checkpoints say of a log that was left out at the start.
fn noted(dir: &LogDir, wanted: &WantedLog, name: &str) -> OpenOptions {
    let is_it = partition_metadata::read(&dir.path().join(name)).is_ok_and(|found| found == Some(wanted.topic_id));
    if !is_it {
        // They may be of an earlier partition of that name.
        return OpenOptions::default();
    }
    let [recovery_point, log_start_offset, high_watermark] =
        [&dir.recovery_points, &dir.log_starts, &dir.high_watermarks]
            .map(|notes| notes.get(&wanted.topic, wanted.partition).unwrap_or(0));
    OpenOptions { recovery_point, log_start_offset, high_watermark, clean_shutdown: false }
}

fn set(made: &mut [Option<Made>], place: usize, outcome: Made) {
    if let Some(slot) = made.get_mut(place) {
        *slot = Some(outcome);
    }
}
