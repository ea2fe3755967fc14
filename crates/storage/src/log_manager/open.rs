//! The start: directories are locked, their notes read, their logs opened by several threads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use ottla_env::task::StopSignal;
use ottla_env::{fs, time};
use parking_lot::{Mutex, RwLock};

use super::{CLUSTER_METADATA, LogManager, LogManagerOptions, moves, strays, twice};
use crate::checkpoint::Offsets;
use crate::clean_shutdown;
use crate::cleaner::Cleaner;
use crate::config::LogConfig;
use crate::error::{OpenError, StorageError};
use crate::file_names::{DirKind, parse_partition_dir};
use crate::log::{Log, OpenOptions};
use crate::log_dir::LogDir;
use crate::log_folder::LogFolder;
use crate::meta_properties::MetaPropertiesError;
use crate::open_files::affordable;
use crate::parallel;

/// One log to be opened, or the copy of one.
struct Job {
    dir: Arc<LogDir>,
    /// Of its own directory.
    name: String,
    /// A copy that is to take the log's place.
    is_copy: bool,
    topic: String,
    partition: i32,
    config: Arc<LogConfig>,
    options: OpenOptions,
}

pub(super) fn open(mut options: LogManagerOptions) -> Result<Arc<LogManager>, OpenError> {
    let dirs = open_dirs(&mut options)?;
    dirs.iter().for_each(|dir| dir.set_flush_behind_bytes(options.flush_behind_bytes));
    let mut jobs = Vec::new();
    let mut epochs = Vec::new();
    for dir in dirs.iter().filter(|dir| dir.check_online().is_ok()) {
        match scan(dir, &options) {
            Ok((epoch, found)) => {
                epochs.push(epoch);
                jobs.extend(found);
            }
            Err(error) => dir.set_offline(&error.to_string()),
        }
    }
    let began = time::monotonic_ms();
    let opened = parallel::run(options.recovery_threads, jobs, open_log);
    let (copies, opened): (Vec<_>, Vec<_>) = opened.into_iter().flatten().partition(|log| log.is_future());
    let mut logs = twice::collect(opened, &options.noted_of)?;
    let futures = moves::sort_copies(&mut logs, copies, &dirs, &options.noted_of);
    if let Some(reason) =
        dirs.iter().all(|dir| dir.check_online().is_err()).then(|| dirs.first()?.offline_reason()).flatten()
    {
        return Err(OpenError::NoDirectory(reason.to_string()));
    }
    let count: usize = logs.values().map(BTreeMap::len).sum();
    tracing::info!(logs = count, ms = time::monotonic_ms() - began, "logs are open");
    let clean = epochs.len() == dirs.len() && epochs.iter().all(Option::is_some);
    Ok(Arc::new(LogManager {
        clean_broker_epoch: if clean { epochs.into_iter().flatten().max() } else { None },
        dirs,
        cleaner: Cleaner::new(options.cleaner.clone()),
        cleaner_crew: Mutex::new(None),
        producer_id_expiration_ms: AtomicI64::new(options.producer_id_expiration_ms),
        options,
        logs: RwLock::new(logs),
        futures: RwLock::new(futures),
        preferred: Mutex::default(),
        changing: Mutex::new(()),
        stop: StopSignal::new(),
        threads: Mutex::new(Vec::new()),
    }))
}

/// Locks the directories that are not open yet.
fn open_dirs(options: &mut LogManagerOptions) -> Result<Vec<Arc<LogDir>>, OpenError> {
    let mut dirs = std::mem::take(&mut options.opened);
    for path in &options.dirs {
        if dirs.iter().any(|dir| dir.path() == path) {
            continue;
        }
        let dir = match LogDir::open(path) {
            // Whatever the disk says is its own trouble as long as another one can be used; what an operator has to put right
            // is not passed over.
            Err(error) => LogDir::unusable(path, &disk_trouble(path, error)?),
            Ok(dir) => dir,
        };
        if let Some(same) =
            dirs.iter().find(|d| d.directory_id() == dir.directory_id() && !dir.directory_id().is_zero())
        {
            return Err(OpenError::SameDirectory { a: same.path().to_owned(), b: path.clone() });
        }
        dirs.push(dir);
    }
    // One more, for the metadata log's where that is not among them.
    dirs.iter().for_each(|dir| dir.set_open_files_max(affordable(dirs.len() + 1)));
    Ok(dirs)
}

/// What the disk says of a directory that cannot be opened; the error itself if the disk is not at fault.
fn disk_trouble(path: &Path, error: OpenError) -> Result<String, OpenError> {
    match error {
        OpenError::Storage(error) => Ok(error.to_string()),
        OpenError::MetaProperties(MetaPropertiesError::Io(error)) => Ok(error.to_string()),
        // Where nothing can be read, nothing is found either.
        OpenError::NotFormatted(_) => fs::read_dir(path).map_or_else(|e| Ok(e.to_string()), |_| Err(error)),
        other => Err(other),
    }
}

/// Reads a directory's notes and lists its logs. The first value is the epoch of a clean stop.
fn scan(dir: &Arc<LogDir>, options: &LogManagerOptions) -> Result<(Option<i64>, Vec<Job>), StorageError> {
    let epoch = clean_shutdown::take(dir.path())?;
    let recovery_points = dir.recovery_points.load()?;
    let log_starts = dir.log_starts.load()?;
    let high_watermarks = dir.high_watermarks.load()?;
    dir.cleaned.load()?;
    let mut jobs = Vec::new();
    // A topic's configuration is made of many layers, and a topic may have thousands of partitions.
    let mut configs: BTreeMap<String, Arc<LogConfig>> = BTreeMap::new();
    for entry in fs::read_dir(dir.path())?.into_iter().filter(|entry| entry.is_dir) {
        let kind = parse_partition_dir(&entry.name);
        match kind {
            DirKind::Partition { topic, .. } if topic == CLUSTER_METADATA => {}
            DirKind::Partition { topic, partition } | DirKind::Future { topic, partition } => {
                let key = (Arc::from(topic), partition);
                let at = |offsets: &Offsets| offsets.get(&key).copied().unwrap_or(0);
                let options_of_log = OpenOptions {
                    recovery_point: at(&recovery_points),
                    log_start_offset: at(&log_starts),
                    high_watermark: at(&high_watermarks),
                    clean_shutdown: epoch.is_some(),
                };
                let config = match configs.get(topic) {
                    Some(config) => Arc::clone(config),
                    None => Arc::clone(configs.entry(topic.to_owned()).or_insert((options.config_of)(topic))),
                };
                let is_copy = matches!(kind, DirKind::Future { .. });
                let (dir, topic, name) = (Arc::clone(dir), topic.to_owned(), entry.name.clone());
                jobs.push(Job { dir, name, is_copy, topic, partition, config, options: options_of_log });
            }
            DirKind::Deleted => dir.remove_later(dir.path().join(&entry.name), true, 0),
            DirKind::SetAside | DirKind::Other => {}
        }
    }
    Ok((epoch, jobs))
}

/// None for a log that cannot be opened, and for one that waits for its topic.
fn open_log(job: Job) -> Option<Arc<Log>> {
    let Job { dir, name, is_copy, topic, partition, config, options } = job;
    let path = dir.path().join(&name);
    let opened = match LogFolder::find(&dir, &name) {
        Ok(None) if is_copy => strays::set_copy_aside(&dir, &path).map(|()| None),
        Ok(None) => {
            tracing::warn!(path = %path.display(), "directory has no partition.metadata and waits for its topic");
            Ok(None)
        }
        Ok(Some((folder, topic_id))) => Log::open_in(folder, &topic, partition, topic_id, config, options).map(Some),
        Err(error) => Err(error),
    };
    match &opened {
        Ok(Some(log)) => {
            let thread = std::thread::current().id();
            tracing::debug!(topic = %log.topic(), partition, ?thread, "a log is open");
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!(dir = %dir.path().display(), partition = name, %error, "log cannot be opened and is not served");
            // What finds no space is tried again, as the metadata asks for it.
            if let StorageError::Io(io) = error
                && !error.may_pass()
            {
                dir.set_offline(&io.to_string());
            }
        }
    }
    opened.ok().flatten()
}
