//! The log of one partition. Kafka classes: `UnifiedLog`, `LocalLog`.
//!
//! ```text
//!   log start           last stable        high watermark     flushed          log end
//!   ├── segment ──┼── segment ──┼──── segment ────┼──────── active segment ───────┤
//! ```
//! Offsets are atomics that anyone may read. Four locks, taken in this order and never held over a wait for anything but
//! the disk:
//!
//! 1. `flushing`: one flush, truncation, removal or exchange of segments at a time, so that what is synced stays what it
//!    was;
//! 2. `appender`: one append at a time; it owns the producer state;
//! 3. `segments`, 4. `epochs`: short looks and changes.
//!
//! Of two logs of one partition, while one takes the place of the other, 1 and 2 of the old one come before those of the new.
//!
//! Reads take only 3, and search indexes and files outside of it; one that finds that segments were exchanged meanwhile
//! (`replacements`) begins anew. Compaction reads and writes without any, and takes 1 for the exchange.

mod append;
mod copy;
mod flush;
mod lookup;
mod read;
mod recompress;
mod replace;
mod truncate;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use ottla_env::{planted, time};
use ottla_protocol::Uuid;
use parking_lot::{Mutex, RwLock};

use crate::config::LogConfig;
use crate::error::StorageError;
use crate::file_names::partition_dir;
use crate::leader_epoch_cache::LeaderEpochCache;
use crate::loader::{self, Plan, RecoveryReport};
use crate::log_dir::LogDir;
use crate::log_folder::LogFolder;
use crate::segments::Segments;
use crate::snapshot_files::SnapshotFiles;

pub use append::AppendInfo;
use append::Appender;
pub use copy::Copied;
pub(crate) use copy::Moving;
pub use lookup::TimestampAndOffset;
pub use read::ReadInfo;
use replace::Cleaning;
pub(crate) use replace::{Claim, LastRecord, Ticket};

/// `first_unstable` when no transaction is open.
const STABLE: i64 = i64::MAX;

/// What was noted of a log before the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    /// Everything below was synced: the scan of an unclean start begins here.
    pub recovery_point: i64,
    /// Log start offset, if it lies above the first segment's.
    pub log_start_offset: i64,
    /// High watermark.
    pub high_watermark: i64,
    /// Whether the last process synced everything before it ended.
    pub clean_shutdown: bool,
}

impl Default for OpenOptions {
    /// Nothing is known: everything is scanned.
    fn default() -> Self {
        Self { recovery_point: 0, log_start_offset: 0, high_watermark: 0, clean_shutdown: false }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Log {
    topic: Arc<str>,
    partition: i32,
    topic_id: Uuid,
    folder: Arc<LogFolder>,
    config: RwLock<Arc<LogConfig>>,
    log_start_offset: AtomicI64,
    log_end_offset: AtomicI64,
    high_watermark: AtomicI64,
    first_unstable: AtomicI64,
    flushed_offset: AtomicI64,
    unflushed_bytes: AtomicU64,
    flushes: AtomicU64,
    flushing: Mutex<()>,
    appender: Mutex<Appender>,
    segments: RwLock<Segments>,
    epochs: RwLock<LeaderEpochCache>,
    epochs_dirty: AtomicBool,
    snapshots: SnapshotFiles,
    deleted: AtomicBool,
    /// Names were created that a sync of the directory has yet to make durable.
    names_dirty: AtomicBool,
    flush_wanted: AtomicBool,
    last_flush_ms: AtomicI64,
    report: RecoveryReport,
    cleaning: Cleaning,
    moving: Moving,
    /// How often compaction has put segments in the place of others.
    replacements: AtomicU64,
}

impl Log {
    /// Opens the partition's directory in `dir`, or makes it with the topic id in it, durably once the log is flushed.
    ///
    /// A zero `topic_id` takes the one in the directory.
    ///
    /// # Errors
    /// When files cannot be used, or belong to another topic id.
    pub fn open(
        dir: &Arc<LogDir>,
        topic: &str,
        partition: i32,
        topic_id: Uuid,
        config: Arc<LogConfig>,
        options: OpenOptions,
    ) -> Result<Arc<Self>, StorageError> {
        Self::open_named(&partition_dir(topic, partition), dir, topic, partition, topic_id, config, options)
    }

    /// As [`Self::open`], in the directory `name` of `dir`.
    pub(crate) fn open_named(
        name: &str,
        dir: &Arc<LogDir>,
        topic: &str,
        partition: i32,
        topic_id: Uuid,
        config: Arc<LogConfig>,
        options: OpenOptions,
    ) -> Result<Arc<Self>, StorageError> {
        dir.check_online()?;
        let (folder, topic_id) = LogFolder::open(dir, name, topic, partition, topic_id)?;
        Self::open_in(folder, topic, partition, topic_id, config, options)
    }

    /// As [`Self::open`], in a directory that is there, with the topic id in it.
    pub(crate) fn open_in(
        folder: Arc<LogFolder>,
        topic: &str,
        partition: i32,
        topic_id: Uuid,
        config: Arc<LogConfig>,
        options: OpenOptions,
    ) -> Result<Arc<Self>, StorageError> {
        let dir = &folder.dir;
        dir.check_online()?;
        let plan = Plan {
            folder: &folder,
            config: &config,
            compacted: config.cleanup_policy.compact || dir.cleaned.get(topic, partition).is_some_and(|to| to > 0),
            recovery_point: options.recovery_point,
            log_start_offset: options.log_start_offset,
            clean_shutdown: options.clean_shutdown,
            now_ms: time::wall_clock_ms(),
        };
        let loaded = loader::load(&plan)?;
        if !options.clean_shutdown || loaded.log_end_offset == loaded.log_start_offset {
            folder.unsettle();
        }
        if options.high_watermark > loaded.log_end_offset {
            // Without a sync before they were acknowledged, a loss of power takes them.
            tracing::error!(
                topic,
                partition,
                log_end_offset = loaded.log_end_offset,
                high_watermark = options.high_watermark,
                "records that consumers may have seen are gone: the log ends before its high watermark. It goes on at its end"
            );
        }
        let most = if planted::is("a high watermark above the log end") { i64::MAX } else { loaded.log_end_offset };
        let high_watermark = options.high_watermark.clamp(loaded.log_start_offset, most);
        let mut producers = loaded.producers;
        producers.set_high_watermark(high_watermark);
        let log = Arc::new(Self {
            topic: Arc::from(topic),
            partition,
            topic_id,
            log_start_offset: AtomicI64::new(loaded.log_start_offset),
            log_end_offset: AtomicI64::new(loaded.log_end_offset),
            high_watermark: AtomicI64::new(high_watermark),
            first_unstable: AtomicI64::new(producers.first_unstable_offset().unwrap_or(STABLE)),
            flushed_offset: AtomicI64::new(loaded.recovery_point),
            unflushed_bytes: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            flushing: Mutex::new(()),
            appender: Mutex::new(Appender::new(producers)),
            segments: RwLock::new(loaded.segments),
            epochs: RwLock::new(loaded.epochs),
            epochs_dirty: AtomicBool::new(!options.clean_shutdown || loaded.epochs_changed),
            snapshots: loaded.snapshots,
            deleted: AtomicBool::new(false),
            names_dirty: AtomicBool::new(true),
            // The process before may have cut everything off, and ended before that was synced. What comes back behind a noted offset
            // is found out; nothing is noted of an empty log.
            flush_wanted: AtomicBool::new(!options.clean_shutdown && loaded.log_end_offset == 0),
            last_flush_ms: AtomicI64::new(plan.now_ms),
            report: loaded.report,
            cleaning: Cleaning::default(),
            moving: Moving::new(folder.is_of_copy()),
            replacements: AtomicU64::new(0),
            config: RwLock::new(config),
            folder,
        });
        if log.is_flush_due() {
            // What recovery found may not be on the device, and nobody appends to make it so.
            log.flush()?;
        }
        Ok(log)
    }

    /// Topic.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Partition within the topic.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Id of the topic; zero in directories of Kafka before 2.8.
    #[must_use]
    pub fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// The log directory that it lies in.
    #[must_use]
    pub fn dir(&self) -> &Arc<LogDir> {
        &self.folder.dir
    }

    /// Id of the log directory that it lies in.
    #[must_use]
    pub fn directory_id(&self) -> Uuid {
        self.folder.dir.directory_id()
    }

    /// Its own directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path()
    }

    /// Settings now.
    #[must_use]
    pub fn config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.config.read())
    }

    /// Changes the settings; what is already appended stays.
    pub fn set_config(&self, config: Arc<LogConfig>) {
        *self.config.write() = config;
    }

    /// First offset that can be read.
    #[must_use]
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset.load(Ordering::Acquire)
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn log_end_offset(&self) -> i64 {
        self.log_end_offset.load(Ordering::Acquire)
    }

    /// Records below are on every replica in sync.
    #[must_use]
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// The high watermark, or the first offset of an open transaction if that is lower.
    #[must_use]
    pub fn last_stable_offset(&self) -> i64 {
        // Of a transaction that began below the log start, what is left begins there.
        let first_unstable = self.first_unstable.load(Ordering::Acquire).max(self.log_start_offset());
        let is_past = planted::is("the last stable offset passes open transactions");
        if is_past { self.high_watermark() } else { self.high_watermark().min(first_unstable) }
    }

    /// Records below survive a loss of power.
    #[must_use]
    pub fn flushed_offset(&self) -> i64 {
        self.flushed_offset.load(Ordering::Acquire)
    }

    /// Raises the high watermark, at most to the log end. True if it advanced.
    pub fn set_high_watermark(&self, high_watermark: i64) -> bool {
        let high_watermark = high_watermark.min(self.log_end_offset());
        let before = self.high_watermark.fetch_max(high_watermark, Ordering::AcqRel);
        let advanced = before < high_watermark;
        if advanced && self.first_unstable.load(Ordering::Acquire) != STABLE {
            let mut appender = self.appender.lock();
            appender.producers.set_high_watermark(high_watermark);
            self.note_unstable(&appender);
        }
        advanced
    }

    fn note_unstable(&self, appender: &Appender) {
        let first = appender.producers.first_unstable_offset().unwrap_or(STABLE);
        self.first_unstable.store(first, Ordering::Release);
    }

    /// Bytes of all batches.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.segments.read().size_bytes()
    }

    /// Base offset of the first segment.
    pub(crate) fn first_segment_offset(&self) -> i64 {
        self.segments.read().first().map_or(0, |segment| segment.base_offset())
    }

    /// How many segments there are.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segments.read().len()
    }

    /// What opening had to do.
    #[must_use]
    pub fn recovery_report(&self) -> RecoveryReport {
        self.report
    }

    /// Closes descriptors that were not used since the last call.
    pub fn close_idle_files(&self) {
        for segment in self.segments.read().iter() {
            segment.close_if_idle();
        }
    }

    /// Forgets producers that were silent for `expiration_ms` (`producer.id.expiration.ms`).
    pub fn expire_producers(&self, now_ms: i64, expiration_ms: i64) {
        self.appender.lock().producers.expire(now_ms, expiration_ms);
    }

    /// Whether its directory was renamed away.
    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    fn check_usable(&self) -> Result<(), StorageError> {
        self.folder.dir.check_online()?;
        if self.is_deleted() {
            return Err(StorageError::Deleted { topic: Arc::clone(&self.topic), partition: self.partition });
        }
        Ok(())
    }

    /// A failure of the device takes the whole log directory offline.
    fn or_offline<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        match &result {
            Err(StorageError::Io(error)) => self.folder.dir.set_offline(&error.to_string()),
            Err(StorageError::Open(error)) if ottla_env::fs::is_device_failure(error) => {
                self.folder.dir.set_offline(&error.to_string());
            }
            Ok(_) | Err(_) => {}
        }
        result
    }

    /// As [`Self::or_offline`], for writes beside the log that can be done again when there is space.
    fn or_offline_unless_full<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if result.as_ref().is_err_and(StorageError::may_pass) { result } else { self.or_offline(result) }
    }

    /// For errors that cannot happen while the invariant of [`Segments`] holds.
    pub(crate) fn no_segment(&self) -> StorageError {
        StorageError::Corrupt { path: self.path(), reason: "the log has no segment".to_owned() }
    }
}
