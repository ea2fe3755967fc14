//! The directory of one partition's log, and when its names become durable.
//!
//! ```text
//!   made ──────────────> first flush, or first roll ──────────────> as any other
//!    └ nothing synced      └ partition.metadata, the directory, its name in the log directory
//! ```
//! Making ten thousand partitions must not wait for thirty thousand syncs, and an empty log needs none: if the power goes,
//! metadata makes it again. Whatever claims that records are durable settles the directory first.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_env::{fs, planted};
use ottla_protocol::Uuid;
use parking_lot::RwLock;

use crate::error::StorageError;
use crate::file_names::{DirKind, parse_partition_dir};
use crate::log_dir::LogDir;
use crate::partition_metadata;

/// See the module. Its path changes when the partition is deleted.
#[derive(Debug)]
pub(crate) struct LogFolder {
    pub(crate) dir: Arc<LogDir>,
    path: RwLock<PathBuf>,
    /// What leads to its files may not be durable yet.
    unsettled: AtomicBool,
}

impl LogFolder {
    pub(crate) fn new(dir: Arc<LogDir>, path: PathBuf) -> Arc<Self> {
        Arc::new(Self { dir, path: RwLock::new(path), unsettled: AtomicBool::new(false) })
    }

    /// A partition's directory that is there, and the topic id in it; None if it has none.
    pub(crate) fn find(dir: &Arc<LogDir>, name: &str) -> Result<Option<(Arc<Self>, Uuid)>, StorageError> {
        let path = dir.path().join(name);
        Ok(partition_metadata::read(&path)?.map(|topic_id| (Self::new(Arc::clone(dir), path), topic_id)))
    }

    /// Whether it has the name of the copy of a log that moves.
    pub(crate) fn is_of_copy(&self) -> bool {
        let path = self.path.read();
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| matches!(parse_partition_dir(name), DirKind::Future { .. }))
    }

    /// Opens a partition's directory, or makes it with the topic id in it. Gives the topic id, too; a zero one takes what is
    /// there.
    ///
    /// `name` is that of the directory: `topic-partition`, or that of a copy that moves.
    ///
    /// A directory without a topic id was being made when the power went, if it holds no records. If it does, whose they are
    /// is not known.
    pub(crate) fn open(
        dir: &Arc<LogDir>,
        name: &str,
        topic: &str,
        partition: i32,
        topic_id: Uuid,
    ) -> Result<(Arc<Self>, Uuid), StorageError> {
        let path = dir.path().join(name);
        let is_new = !fs::exists(&path);
        let found = if is_new { None } else { partition_metadata::read(&path)? };
        if found.is_none() && !topic_id.is_zero() {
            // What was noted of an earlier partition of that name is not true of this one.
            for notes in dir.checkpoints() {
                notes.lower(topic, partition, 0)?;
            }
        }
        if is_new {
            fs::create_dir_all(&path)?;
        }
        let folder = Self::new(Arc::clone(dir), path);
        match found {
            Some(found) if topic_id.is_zero() || found == topic_id => Ok((folder, found)),
            Some(found) => Err(StorageError::TopicIdMismatch { path: folder.path(), found, wanted: topic_id }),
            None if topic_id.is_zero() => Ok((folder, topic_id)),
            None => {
                partition_metadata::write_unsynced(&folder.path(), topic_id)?;
                folder.unsettle();
                Ok((folder, topic_id))
            }
        }
    }

    /// Nobody can say whether it was settled: it is new, or empty, or the last process was killed.
    pub(crate) fn unsettle(&self) {
        self.dir.note_name();
        self.unsettled.store(true, Ordering::Release);
    }

    /// Makes the directory, and what leads to it, durable, if that is not known of it. Whether it has synced the directory.
    pub(crate) fn settle(&self) -> Result<bool, StorageError> {
        if !self.unsettled.load(Ordering::Acquire) {
            return Ok(false);
        }
        let path = self.path();
        if !planted::is("a flush without partition.metadata") {
            partition_metadata::sync(&path)?;
        }
        fs::sync_dir(&path)?;
        self.dir.sync_names()?;
        self.unsettled.store(false, Ordering::Release);
        Ok(true)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.read().clone()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.read().join(name)
    }

    /// Renames the directory. The new name is durable with the next [`LogDir::sync_names`].
    pub(crate) fn rename(&self, name: &str) -> Result<PathBuf, StorageError> {
        let mut path = self.path.write();
        let to = path.with_file_name(name);
        fs::rename(&*path, &to)?;
        path.clone_from(&to);
        drop(path);
        self.dir.note_name();
        Ok(to)
    }
}
