//! Which producer snapshots a log's directory holds: one per segment at its base offset, and the newest.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use ottla_env::fs::{self, File};
use parking_lot::Mutex;

use crate::error::StorageError;
use crate::file_names::{SNAPSHOT, TEMPORARY, offset_file};
use crate::log_folder::LogFolder;
use crate::producer_snapshot;
use crate::producer_state::ProducerState;

/// See the module.
#[derive(Debug)]
pub(crate) struct SnapshotFiles {
    folder: Arc<LogFolder>,
    offsets: Mutex<BTreeSet<i64>>,
}

impl SnapshotFiles {
    pub(crate) fn new(folder: Arc<LogFolder>, offsets: BTreeSet<i64>) -> Self {
        Self { folder, offsets: Mutex::new(offsets) }
    }

    /// Writes the snapshot of all batches below `offset`. Older ones go unless they belong to a segment.
    ///
    /// It is not synced: a snapshot that a loss of power tears fails its checksum, and the one before serves.
    pub(crate) fn write(&self, offset: i64, bytes: &[u8], is_base: impl Fn(i64) -> bool) -> Result<(), StorageError> {
        self.put(offset, bytes, is_base, false)
    }

    /// As [`Self::write`], and what is in it is synced; its name is with the next sync of the log's directory.
    pub(crate) fn write_synced(
        &self,
        offset: i64,
        bytes: &[u8],
        is_base: impl Fn(i64) -> bool,
    ) -> Result<(), StorageError> {
        self.put(offset, bytes, is_base, true)
    }

    fn put(&self, offset: i64, bytes: &[u8], is_base: impl Fn(i64) -> bool, sync: bool) -> Result<(), StorageError> {
        let name = offset_file(offset, SNAPSHOT);
        let temporary = self.folder.file(&format!("{name}{TEMPORARY}"));
        let file = File::create(&temporary).map_err(StorageError::Open)?;
        file.set_len(0)?;
        file.write_all_at(bytes, 0)?;
        if sync {
            file.sync_data()?;
        }
        fs::rename(temporary, self.folder.file(&name))?;
        let mut offsets = self.offsets.lock();
        offsets.insert(offset);
        let needless: Vec<_> = offsets.range(..offset).copied().filter(|o| !is_base(*o)).collect();
        self.remove(&mut offsets, &needless)
    }

    /// Whether there is one at `offset`.
    pub(crate) fn has(&self, offset: i64) -> bool {
        self.offsets.lock().contains(&offset)
    }

    /// The newest sound snapshot at or below `offset`. Those above contradict the log and go, broken ones too.
    pub(crate) fn latest(&self, offset: i64) -> Result<Option<(i64, ProducerState)>, StorageError> {
        let mut offsets = self.offsets.lock();
        let above: Vec<_> = offsets.range(offset + 1..).copied().collect();
        // Where nothing is known to be there, as of the metadata log, that is no news.
        if let Some(newest) = above.last().filter(|_| offset > 0) {
            let path = self.folder.path();
            tracing::warn!(path = %path.display(), snapshot = newest, offset,
                "producer snapshots are newer than what is known to be on the device, and are removed");
        }
        self.remove(&mut offsets, &above)?;
        while let Some(newest) = offsets.last().copied() {
            let path = self.folder.file(&offset_file(newest, SNAPSHOT));
            match producer_snapshot::decode(&fs::read(&path)?) {
                Ok(state) => return Ok(Some((newest, state))),
                Err(reason) => {
                    tracing::warn!(path = %path.display(), reason, "producer snapshot cannot be used and is removed");
                    self.remove(&mut offsets, &[newest])?;
                }
            }
        }
        Ok(None)
    }

    /// The segments before `offset` are gone, and with them their snapshots.
    pub(crate) fn remove_before(&self, offset: i64) -> Result<(), StorageError> {
        let mut offsets = self.offsets.lock();
        let before: Vec<_> = offsets.range(..offset).copied().collect();
        self.remove(&mut offsets, &before)
    }

    /// The log ends at `offset`: snapshots of more than that go.
    pub(crate) fn remove_after(&self, offset: i64) -> Result<(), StorageError> {
        let mut offsets = self.offsets.lock();
        let after: Vec<_> = offsets.range(offset + 1..).copied().collect();
        self.remove(&mut offsets, &after)
    }

    /// There are no segments at these base offsets any more.
    pub(crate) fn remove_at(&self, bases: &[i64]) -> Result<(), StorageError> {
        let mut offsets = self.offsets.lock();
        let gone: Vec<_> = bases.iter().copied().filter(|base| offsets.contains(base)).collect();
        self.remove(&mut offsets, &gone)
    }

    fn remove(&self, offsets: &mut BTreeSet<i64>, which: &[i64]) -> Result<(), StorageError> {
        for offset in which {
            match fs::remove_file(self.folder.file(&offset_file(*offset, SNAPSHOT))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
            offsets.remove(offset);
        }
        Ok(())
    }
}
