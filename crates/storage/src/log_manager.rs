//! All logs of a broker, over its log directories. Kafka class: `LogManager`.
//!
//! ```text
//!  <log dir>/.lock  meta.properties  .kafka_cleanshutdown        held, read, taken at the start
//!            *-offset-checkpoint                                 read at the start, written in the background
//!            <topic>-<partition>/                                one Log each
//!            <topic>-<partition>.<hex>-future/                   the copy of one that moves here, a Log too
//!            <topic>-<partition>.<hex>-delete/                   removed
//!            <topic>-<partition>.<hex>-stray/                    set aside: metadata does not know it; left alone from then on
//!            __cluster_metadata-0                                left alone (the quorum opens its log itself)
//! ```

#[cfg(sim)]
mod by_hand;
mod create;
mod failure;
mod maintenance;
mod moves;
mod open;
mod reconfigure;
mod remove;
mod stop;
mod strays;
mod twice;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use ottla_env::fs;
use ottla_env::task::{StopSignal, Thread};
use ottla_protocol::Uuid;
use parking_lot::{Mutex, RwLock};

use crate::cleaner::{CleanReport, Cleaner, CleanerConfig, CleanerStats, Crew};
use crate::config::LogConfig;
use crate::error::OpenError;
use crate::log::Log;
use crate::log_dir::{FLUSH_BEHIND_BYTES, LogDir};
use moves::Preferred;

pub use create::{Placement, WantedLog};
pub use moves::Replacement;
pub use twice::FoundLog;

/// Directory of the metadata log, which is not the manager's.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// The settings of a topic's logs, by its name.
pub type ConfigOf = Box<dyn Fn(&str) -> Arc<LogConfig> + Send + Sync>;

/// What the metadata notes of a partition; None while it does not know the topic.
pub type NotedOf = Box<dyn Fn(&str, i32) -> Option<NotedReplica> + Send + Sync>;

/// What the metadata notes of a partition of this broker when the directories are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotedReplica {
    /// Id of the topic that has the name now.
    pub topic_id: Uuid,
    /// Id of the log directory that is noted for the replica, or one of no directory.
    pub directory: Uuid,
}

/// What the manager is told at the start.
pub struct LogManagerOptions {
    /// `log.dirs`, formatted. Those in `opened` need not be named again.
    pub dirs: Vec<PathBuf>,
    /// Log directories that somebody (the quorum) has opened already.
    pub opened: Vec<Arc<LogDir>>,
    /// Settings of the topics that are found.
    pub config_of: ConfigOf,
    /// What the metadata notes of the partitions that are found, for those that are found twice.
    pub noted_of: NotedOf,
    /// `log.retention.check.interval.ms`
    pub retention_check_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`; logs are flushed then, so that recovery has little to read.
    pub flush_checkpoint_interval_ms: i64,
    /// Bytes not synced in one directory beyond which the flusher syncs behind the appenders, and notes how far it came:
    /// after a crash, about so many are read.
    pub flush_behind_bytes: u64,
    /// `log.flush.start.offset.checkpoint.interval.ms`
    pub log_start_checkpoint_interval_ms: i64,
    /// `replica.high.watermark.checkpoint.interval.ms`
    pub high_watermark_checkpoint_interval_ms: i64,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i64,
    /// `num.recovery.threads.per.data.dir`, for all directories together.
    pub recovery_threads: usize,
    /// `log.cleaner.*`
    pub cleaner: CleanerConfig,
}

impl Default for LogManagerOptions {
    fn default() -> Self {
        let config = Arc::new(LogConfig::default());
        Self {
            dirs: Vec::new(),
            opened: Vec::new(),
            config_of: Box::new(move |_| Arc::clone(&config)),
            noted_of: Box::new(|_, _| None),
            retention_check_interval_ms: 300_000,
            flush_checkpoint_interval_ms: 60_000,
            flush_behind_bytes: FLUSH_BEHIND_BYTES,
            log_start_checkpoint_interval_ms: 60_000,
            high_watermark_checkpoint_interval_ms: 5_000,
            producer_id_expiration_ms: 86_400_000,
            recovery_threads: 2,
            cleaner: CleanerConfig::default(),
        }
    }
}

impl std::fmt::Debug for LogManagerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogManagerOptions").field("dirs", &self.dirs).finish_non_exhaustive()
    }
}

/// One log directory as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirStatus {
    /// Where it is.
    pub path: PathBuf,
    /// Its id in meta.properties.
    pub directory_id: Uuid,
    /// Whether it takes no new logs.
    pub is_cordoned: bool,
    /// Why it is offline; None when it is not.
    pub error: Option<String>,
    /// Bytes of its file system; -1 when they cannot be told.
    pub total_bytes: i64,
    /// Bytes of it that are free; -1 when they cannot be told.
    pub usable_bytes: i64,
}

type Logs = BTreeMap<Arc<str>, BTreeMap<i32, Arc<Log>>>;

/// See the module.
#[derive(Debug)]
pub struct LogManager {
    dirs: Vec<Arc<LogDir>>,
    options: LogManagerOptions,
    logs: RwLock<Logs>,
    /// Copies of logs that move to another directory.
    futures: RwLock<Logs>,
    /// Directories that were asked for partitions that are not here yet.
    preferred: Mutex<Preferred>,
    /// One creation or deletion at a time.
    changing: Mutex<()>,
    clean_broker_epoch: Option<i64>,
    cleaner: Cleaner,
    /// The cleaner's threads; None before the start and after the stop.
    cleaner_crew: Mutex<Option<Crew>>,
    /// `producer.id.expiration.ms` as of now.
    producer_id_expiration_ms: AtomicI64,
    stop: StopSignal,
    threads: Mutex<Vec<Thread>>,
}

impl LogManager {
    /// Locks the directories and opens every log in them; what an unclean end left behind is recovered. Blocks for as long
    /// as that takes.
    ///
    /// # Errors
    /// When a directory is in use, not formatted, or a copy of another, or none can be used. A log that cannot be opened
    /// is left out, with a line in the log.
    pub fn open(options: LogManagerOptions) -> Result<Arc<Self>, OpenError> {
        open::open(options)
    }

    /// The log of a partition.
    #[must_use]
    pub fn get(&self, topic: &str, partition: i32) -> Option<Arc<Log>> {
        self.logs.read().get(topic)?.get(&partition).cloned()
    }

    /// All logs.
    #[must_use]
    pub fn logs(&self) -> Vec<Arc<Log>> {
        self.logs.read().values().flat_map(BTreeMap::values).cloned().collect()
    }

    fn insert(&self, log: &Arc<Log>) {
        self.logs.write().entry(Arc::clone(log.topic())).or_default().insert(log.partition(), Arc::clone(log));
    }

    fn forget(&self, topic: &str, partition: i32) {
        if let Some(log) = take(&mut self.logs.write(), topic, partition) {
            log.dir().count_log(-1);
        }
    }

    /// The directories.
    #[must_use]
    pub fn log_dirs(&self) -> &[Arc<LogDir>] {
        &self.dirs
    }

    /// The directory at `path`.
    #[must_use]
    pub fn log_dir(&self, path: &Path) -> Option<&Arc<LogDir>> {
        self.dirs.iter().find(|dir| dir.path() == path)
    }

    /// Compacts the dirtiest log that is due, if any is, and blocks for as long as that takes. The cleaner's threads do
    /// nothing else; it may be called whether they run or not. Lags and delete horizons count from `now_ms`.
    pub fn clean_once(&self, now_ms: i64) -> CleanReport {
        self.clean_until(now_ms, &self.stop)
    }

    pub(crate) fn clean_until(&self, now_ms: i64, stop: &StopSignal) -> CleanReport {
        self.cleaner.clean_once(&self.logs(), now_ms, stop)
    }

    /// What compaction has done since the start.
    #[must_use]
    pub fn cleaner_stats(&self) -> CleanerStats {
        self.cleaner.stats(&self.logs())
    }

    pub(crate) fn cleaner(&self) -> &Cleaner {
        &self.cleaner
    }

    /// How the directories are.
    #[must_use]
    pub fn dirs(&self) -> Vec<DirStatus> {
        let status = |dir: &Arc<LogDir>| {
            let space = fs::space(dir.path()).ok();
            let bytes = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1);
            DirStatus {
                path: dir.path().to_owned(),
                directory_id: dir.directory_id(),
                is_cordoned: dir.is_cordoned(),
                error: dir.offline_reason().map(|reason| reason.to_string()),
                total_bytes: bytes(space.map(|s| s.total)),
                usable_bytes: bytes(space.map(|s| s.available)),
            }
        };
        self.dirs.iter().map(status).collect()
    }

    /// The broker epoch at the last clean stop, for the next registration; None unless every directory was stopped
    /// cleanly, -1 if the epoch was not noted.
    #[must_use]
    pub fn clean_broker_epoch(&self) -> Option<i64> {
        self.clean_broker_epoch
    }

    /// The logs of a directory, copies that move there included.
    fn logs_in(&self, dir: &Arc<LogDir>) -> Vec<Arc<Log>> {
        let (logs, futures) = (self.logs.read(), self.futures.read());
        let all = logs.values().chain(futures.values()).flat_map(BTreeMap::values);
        all.filter(|log| Arc::ptr_eq(log.dir(), dir)).cloned().collect()
    }
}

/// Takes a log out of the map.
fn take(logs: &mut Logs, topic: &str, partition: i32) -> Option<Arc<Log>> {
    let partitions = logs.get_mut(topic)?;
    let log = partitions.remove(&partition);
    if partitions.is_empty() {
        logs.remove(topic);
    }
    log
}
