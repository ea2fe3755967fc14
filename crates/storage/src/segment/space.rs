//! Room on the device for what will be appended: as length, which Kafka's `preallocate` wants, or as blocks that no length
//! tells of. Both are given back when nothing will be appended any more.

use std::sync::atomic::Ordering;

use super::Segment;
use crate::error::StorageError;

impl Segment {
    /// Makes the new, empty file `bytes` long. Behind the batches there are zeros then, which recovery cuts off.
    pub(crate) fn preallocate(&self, bytes: u64) -> Result<(), StorageError> {
        self.file()?.set_len(bytes)?;
        self.held_to.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Sees to it that at least half of `reserve` bytes stays reserved behind the next `incoming` ones. What cannot be had
    /// cannot: what is reserved already will do for a while, and a write will tell.
    pub(crate) fn reserve_ahead(&self, incoming: u64, reserve: u64) {
        let end = self.size() + incoming;
        if reserve == 0 || end + reserve / 2 <= self.held_to.load(Ordering::Relaxed) {
            return;
        }
        if self.file().is_ok_and(|file| file.reserve(end, reserve).is_ok()) {
            self.held_to.store(end + reserve, Ordering::Relaxed);
        }
    }

    /// Gives back what is held behind the batches.
    pub(crate) fn give_back(&self) -> Result<(), StorageError> {
        let size = self.size();
        if self.held_to.swap(0, Ordering::Relaxed) > size {
            let file = self.file()?;
            // Cutting a file to its length frees the blocks behind it.
            file.set_len(size)?;
            file.sync_all()?;
        }
        Ok(())
    }
}
