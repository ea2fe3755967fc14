//! The names of a segment's files: what compaction writes has them with a suffix until it is whole, and what is removed
//! keeps its content under another suffix until nobody can be reading it. A segment knows its names at any time, so a
//! reader that holds one goes on after it was replaced.

use std::sync::Arc;

use ottla_env::fs;

use super::{Segment, SegmentFiles};
use crate::error::StorageError;
use crate::file_names::{CLEANED, DELETED, INDEX, LOG, TIME_INDEX, TXN_INDEX, offset_file};
use crate::log_folder::LogFolder;

impl Segment {
    /// An empty segment that a compaction fills: its files have the suffix `.cleaned`.
    pub(crate) fn create_cleaned(
        folder: Arc<LogFolder>,
        base_offset: i64,
        created_ms: i64,
        jitter_ms: i64,
    ) -> Result<Self, StorageError> {
        let segment = Self::new(folder, base_offset, base_offset, SegmentFiles::default(), created_ms, jitter_ms);
        segment.log_file.set_suffix(CLEANED);
        segment.offsets.file().set_name(offset_file(base_offset, INDEX) + CLEANED);
        segment.times.file().set_name(offset_file(base_offset, TIME_INDEX) + CLEANED);
        segment.aborted.file().set_name(offset_file(base_offset, TXN_INDEX) + CLEANED);
        segment.create_files().inspect_err(|_| segment.discard())?;
        Ok(segment)
    }

    /// Gives the file of batches another suffix.
    pub(crate) fn rename_log(&self, suffix: &str) -> Result<(), StorageError> {
        self.log_file.rename(suffix)?;
        Ok(())
    }

    /// Gives the indexes that exist another suffix.
    pub(crate) fn rename_indexes(&self, suffix: &str) -> Result<(), StorageError> {
        let name = |kind| offset_file(self.base_offset, kind) + suffix;
        self.offsets.file().rename(name(INDEX))?;
        self.times.file().rename(name(TIME_INDEX))?;
        self.aborted.file().rename(name(TXN_INDEX))?;
        Ok(())
    }

    /// Renames the files for removal at `due_ms`. Readers that hold the segment, or its file, go on.
    pub(crate) fn delete(&self, due_ms: i64) -> Result<(), StorageError> {
        let suffix = self.free_suffix();
        let name = |kind| offset_file(self.base_offset, kind) + &suffix;
        let renamed = [
            self.log_file.rename_deleted(&suffix)?,
            self.offsets.file().rename(name(INDEX))?,
            self.times.file().rename(name(TIME_INDEX))?,
            self.aborted.file().rename(name(TXN_INDEX))?,
        ];
        renamed.into_iter().flatten().for_each(|path| self.folder.dir.remove_later(path, false, due_ms));
        Ok(())
    }

    /// `.deleted`, or with a number before it while an earlier segment of this base offset waits for its removal.
    fn free_suffix(&self) -> String {
        let taken = |suffix: &str| {
            let names = [LOG, INDEX, TIME_INDEX, TXN_INDEX].map(|kind| offset_file(self.base_offset, kind) + suffix);
            names.iter().any(|name| fs::exists(self.folder.file(name)))
        };
        let numbered = |n: u64| if n == 0 { DELETED.to_owned() } else { format!(".{n}{DELETED}") };
        (0..u64::MAX).map(numbered).find(|suffix| !taken(suffix)).unwrap_or_else(|| DELETED.to_owned())
    }

    /// Removes the files of a compaction that was given up. What cannot be removed goes at the next start.
    pub(crate) fn discard(&self) {
        self.close();
        for path in [self.log_path(), self.offsets.file().path(), self.times.file().path(), self.aborted.file().path()]
        {
            if fs::exists(&path)
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "what a compaction left cannot be removed");
            }
        }
    }

    /// When the file of batches last changed, in ms.
    pub(crate) fn modified_ms(&self) -> Result<i64, StorageError> {
        Ok(fs::modified_ms(self.log_path())?)
    }

    /// Makes the file of batches as old as those that it replaces.
    pub(crate) fn set_modified_ms(&self, ms: i64) -> Result<(), StorageError> {
        Ok(fs::set_modified_ms(self.log_path(), ms)?)
    }

    /// Bytes of the offset index and of the time index.
    pub(crate) fn index_bytes(&self) -> (u64, u64) {
        let offsets = self.offsets.file().len() * crate::offset_index::ENTRY_BYTES as u64;
        (offsets, self.times.file().len() * crate::time_index::ENTRY_BYTES as u64)
    }
}
