//! One entry of `log.dirs`: its lock, its id, whether it is online, and the files there that wait for their removal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use ottla_env::fs::{self, FileLock};
use ottla_protocol::Uuid;
use parking_lot::Mutex;

use crate::checkpoint::{CLEANER, CheckpointFile, HIGH_WATERMARK, LOG_START, RECOVERY_POINT};
use crate::error::{OpenError, StorageError};
use crate::meta_properties::MetaProperties;
use crate::open_files::{OpenFiles, affordable};
use crate::shortage::Shortage;

const LOCK_FILE: &str = ".lock";

/// Bytes appended and not synced in one directory, beyond which the flusher syncs behind the appenders.
pub(crate) const FLUSH_BEHIND_BYTES: u64 = 32 << 20;

/// A log directory that this process owns.
///
/// The first failed write that could not be taken back, or the first failed sync, takes it offline for the rest of the
/// process: after a failed fsync nobody knows what is on the device, and a later success would prove nothing.
#[derive(Debug)]
pub struct LogDir {
    path: PathBuf,
    directory_id: Uuid,
    offline: AtomicBool,
    offline_reason: Mutex<Option<Arc<str>>>,
    doomed: Mutex<Vec<Doomed>>,
    pub(crate) recovery_points: CheckpointFile,
    pub(crate) log_starts: CheckpointFile,
    pub(crate) high_watermarks: CheckpointFile,
    pub(crate) cleaned: CheckpointFile,
    /// What of the background's work waits for space.
    pub(crate) shortage: Shortage,
    /// Some log in here waits for the flusher.
    flush_wanted: AtomicBool,
    /// Bytes that were appended to the logs in here and not synced.
    unflushed_bytes: AtomicU64,
    /// Beyond so many of them the flusher is asked to come by.
    flush_behind_bytes: AtomicU64,
    /// Damaged ranges found in the logs in here.
    damage_found: AtomicU64,
    /// Segment files in here that are open.
    pub(crate) open_files: OpenFiles,
    /// Logs in here, by which new ones are spread.
    log_count: AtomicUsize,
    /// It takes no new logs (KIP-1066).
    cordoned: AtomicBool,
    /// Names of logs were made in here that a sync has yet to make durable.
    names_dirty: Mutex<bool>,
    /// Held for the life of the process; fcntl locks of a process fall with any descriptor of the file, so there is one
    /// `LogDir` per path. None for one that could not be used at the start.
    _lock: Option<FileLock>,
}

/// A file or directory that is renamed already and removed once its time has come: readers may still hold it.
#[derive(Debug)]
struct Doomed {
    path: PathBuf,
    is_dir: bool,
    due_ms: i64,
}

impl LogDir {
    /// Locks a formatted directory against other processes, Kafka's brokers among them.
    ///
    /// # Errors
    /// [`OpenError::NotFormatted`], [`OpenError::Locked`], or what the files say.
    pub fn open(path: &Path) -> Result<Arc<Self>, OpenError> {
        let meta = MetaProperties::read(path)?.ok_or_else(|| OpenError::NotFormatted(path.to_owned()))?;
        let lock_path = path.join(LOCK_FILE);
        let lock =
            fs::lock(&lock_path).map_err(StorageError::from)?.ok_or_else(|| OpenError::Locked(path.to_owned()))?;
        Ok(Arc::new(Self::new(path, meta.directory_id.unwrap_or_default(), Some(lock))))
    }

    /// A directory that could not be used at the start, for this reason: it is offline from the beginning, and nobody knows
    /// its id.
    pub(crate) fn unusable(path: &Path, reason: &str) -> Arc<Self> {
        let dir = Self::new(path, Uuid::ZERO, None);
        dir.set_offline(reason);
        Arc::new(dir)
    }

    fn new(path: &Path, directory_id: Uuid, lock: Option<FileLock>) -> Self {
        Self {
            path: path.to_owned(),
            directory_id,
            offline: AtomicBool::new(false),
            offline_reason: Mutex::new(None),
            doomed: Mutex::new(Vec::new()),
            recovery_points: CheckpointFile::new(path.join(RECOVERY_POINT)),
            log_starts: CheckpointFile::new(path.join(LOG_START)),
            high_watermarks: CheckpointFile::new(path.join(HIGH_WATERMARK)),
            cleaned: CheckpointFile::new(path.join(CLEANER)),
            shortage: Shortage::default(),
            flush_wanted: AtomicBool::new(false),
            unflushed_bytes: AtomicU64::new(0),
            flush_behind_bytes: AtomicU64::new(FLUSH_BEHIND_BYTES),
            damage_found: AtomicU64::new(0),
            open_files: OpenFiles::new(affordable(1)),
            log_count: AtomicUsize::new(0),
            cordoned: AtomicBool::new(false),
            names_dirty: Mutex::new(false),
            _lock: lock,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its id in meta.properties; zero if it has none.
    #[must_use]
    pub fn directory_id(&self) -> Uuid {
        self.directory_id
    }

    /// What took it offline.
    #[must_use]
    pub fn offline_reason(&self) -> Option<Arc<str>> {
        self.offline_reason.lock().clone()
    }

    /// Fails once the directory is offline.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub fn check_online(&self) -> Result<(), StorageError> {
        if !self.offline.load(Ordering::Acquire) {
            return Ok(());
        }
        let reason = self.offline_reason().unwrap_or_else(|| Arc::from("unknown"));
        Err(StorageError::Offline { dir: self.path.clone(), reason })
    }

    /// Takes the directory offline; the first reason stays.
    pub fn set_offline(&self, reason: &str) {
        let mut known = self.offline_reason.lock();
        if known.is_none() {
            tracing::error!(dir = %self.path.display(), reason, "log directory is offline; its partitions are not served");
            *known = Some(Arc::from(reason));
        }
        self.offline.store(true, Ordering::Release);
    }

    /// Bounds the segment files that are open in here at once; a start derives it from what the process may open.
    pub fn set_open_files_max(&self, max: usize) {
        self.open_files.set_max(max);
    }

    /// Whether it takes no new logs (KIP-1066); those in here are served as ever.
    #[must_use]
    pub fn is_cordoned(&self) -> bool {
        self.cordoned.load(Ordering::Acquire)
    }

    /// Cordons it, or takes the cordon away.
    pub fn set_cordoned(&self, cordoned: bool) {
        self.cordoned.store(cordoned, Ordering::Release);
    }

    /// Up to where a log in here is noted to be on the device; None if nothing is noted of it. Reads the notes: for whoever
    /// opens a log without a [`crate::LogManager`], see [`crate::Log::note_recovery_point`].
    ///
    /// # Errors
    /// When a file cannot be read. One that cannot be understood says nothing.
    pub fn noted_recovery_point(&self, topic: &str, partition: i32) -> Result<Option<i64>, StorageError> {
        // Whoever notes something in one of them must not forget what it says of other logs.
        for notes in self.checkpoints() {
            notes.load()?;
        }
        Ok(self.recovery_points.get(topic, partition))
    }

    /// The file that notes it.
    #[must_use]
    pub fn recovery_points_path(&self) -> PathBuf {
        self.path.join(RECOVERY_POINT)
    }

    /// What is noted of the logs in here.
    pub(crate) fn checkpoints(&self) -> [&CheckpointFile; 4] {
        [&self.recovery_points, &self.log_starts, &self.high_watermarks, &self.cleaned]
    }

    /// How many logs the manager has in here.
    pub(crate) fn log_count(&self) -> usize {
        self.log_count.load(Ordering::Relaxed)
    }

    /// A log came (+1) or went (-1).
    pub(crate) fn count_log(&self, change: isize) {
        self.log_count.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
    }

    /// The name of a log was made in here.
    pub(crate) fn note_name(&self) {
        *self.names_dirty.lock() = true;
    }

    /// Makes the names of the logs in here durable, in one sync for however many were made since the last.
    #[cfg_attr(sim, track_caller)]
    pub(crate) fn sync_names(&self) -> Result<(), StorageError> {
        // Held over the sync: whoever comes second must not take it for done.
        let mut dirty = self.names_dirty.lock();
        if *dirty {
            fs::sync_dir(&self.path)?;
            *dirty = false;
        }
        Ok(())
    }

    /// Gives a directory in here that no log has open another name, durable with the next [`Self::sync_names`], and gives its
    /// path.
    pub(crate) fn rename(&self, from: &Path, name: &str) -> Result<PathBuf, StorageError> {
        let to = self.path.join(name);
        fs::rename(from, &to)?;
        self.note_name();
        Ok(to)
    }

    /// Asks the flusher to look at the logs in here.
    pub(crate) fn want_flush(&self) {
        self.flush_wanted.store(true, Ordering::Release);
    }

    /// Whether it was asked to since the last call.
    pub(crate) fn take_flush_wanted(&self) -> bool {
        self.flush_wanted.swap(false, Ordering::AcqRel)
    }

    /// Sets how many unflushed bytes are let pass before the flusher syncs behind the appenders.
    pub(crate) fn set_flush_behind_bytes(&self, bytes: u64) {
        self.flush_behind_bytes.store(bytes, Ordering::Relaxed);
    }

    /// So many bytes were appended; asks the flusher to come when they are too many.
    pub(crate) fn add_unflushed(&self, bytes: u64) {
        let behind = self.flush_behind_bytes.load(Ordering::Relaxed);
        let before = self.unflushed_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes >= behind {
            self.want_flush();
        }
    }

    /// So many bytes were synced, or cut off.
    pub(crate) fn sub_unflushed(&self, bytes: u64) {
        self.unflushed_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that were appended to the logs in here and not synced, and whether they are too many.
    pub(crate) fn unflushed(&self) -> (u64, bool) {
        let bytes = self.unflushed_bytes.load(Ordering::Relaxed);
        (bytes, bytes >= self.flush_behind_bytes.load(Ordering::Relaxed))
    }

    /// A damaged range was found in a log.
    pub(crate) fn count_damage(&self) {
        self.damage_found.fetch_add(1, Ordering::Relaxed);
    }

    /// How many damaged ranges were found in the logs in here since the process began.
    #[must_use]
    pub fn damage_found(&self) -> u64 {
        self.damage_found.load(Ordering::Relaxed)
    }

    /// Removes `path` at `due_ms` or later.
    pub(crate) fn remove_later(&self, path: PathBuf, is_dir: bool, due_ms: i64) {
        self.doomed.lock().push(Doomed { path, is_dir, due_ms });
    }

    /// Removes what is due.
    pub(crate) fn remove_due(&self, now_ms: i64) {
        let mut due = Vec::new();
        self.doomed.lock().retain_mut(|doomed| {
            let wait = doomed.due_ms > now_ms;
            if !wait {
                due.push((std::mem::take(&mut doomed.path), doomed.is_dir));
            }
            wait
        });
        for (path, is_dir) in due {
            let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove what was deleted; the next start tries again");
            }
        }
    }
}
