//! The segment's part in transactions: those whose ABORT marker lies in it.

use ottla_env::{fs, planted};

use super::Segment;
use crate::access::Access;
use crate::error::StorageError;
use crate::transaction_index::AbortedTransaction;

impl Segment {
    /// Notes an aborted transaction whose marker was just appended.
    pub(crate) fn note_aborted(&self, aborted: AbortedTransaction) -> Result<(), StorageError> {
        self.aborted.push(aborted)
    }

    /// Whether any aborted transaction has its marker here.
    pub(crate) fn has_aborted(&self) -> bool {
        !self.aborted.is_empty()
    }

    /// Adds the aborted transactions that overlap `from..to`. True: no later segment has any.
    pub(crate) fn aborted_within(
        &self,
        from: i64,
        to: i64,
        access: Access,
        found: &mut Vec<AbortedTransaction>,
    ) -> Result<bool, StorageError> {
        self.aborted.within(from, to, access, found)
    }

    /// Whether the transaction index is one, as far as it can tell by itself.
    pub(crate) fn has_sound_aborted(&self, next_base: Option<i64>) -> Result<bool, StorageError> {
        self.aborted.is_sound(self.base_offset, next_base.unwrap_or(i64::MAX))
    }

    /// Forgets the aborted transactions of the whole segment, to note them again.
    pub(crate) fn forget_aborted(&self) -> Result<(), StorageError> {
        self.aborted.remove()
    }

    /// Drops the aborted transactions whose markers lie behind `offset`, as recovery does. Synced at once: nobody syncs an
    /// index that holds nothing, and what came back later would be believed. Also if nothing goes: an earlier process may
    /// have cut it, and have died before it had synced that.
    pub(super) fn cut_aborted(&self, offset: i64) -> Result<(), StorageError> {
        let file = self.aborted.file();
        if self.aborted.is_empty() && !fs::exists(file.path()) {
            return Ok(());
        }
        let keep = self.aborted.all()?.iter().take_while(|aborted| aborted.last_offset < offset).count();
        file.truncate(keep as u64)?;
        file.sync_written()
    }

    /// Writes what of the transaction index is in memory only.
    pub(crate) fn write_aborted(&self) -> Result<(), StorageError> {
        self.aborted.file().write_pending()
    }

    /// Waits until the device has the transaction index, if there is one.
    pub(crate) fn sync_aborted(&self) -> Result<(), StorageError> {
        let is_done = self.aborted.is_empty() || planted::is("a flush without the aborted transactions");
        if is_done { Ok(()) } else { self.aborted.file().sync() }
    }
}
