//! Finding the end of a segment, and moving it: after loading, before a recovery, at a truncation.

use std::sync::atomic::Ordering;

use ottla_env::planted;

use ottla_protocol::record_batch::NO_TIMESTAMP;

use super::Segment;
use crate::access::Access;
use crate::batch_scan::{BatchAt, BatchScanner};
use crate::error::StorageError;
use crate::time_index::TimestampOffset;

impl Segment {
    /// After loading: goes through the batches behind the last index entry, so that appends go on as if the process had
    /// never ended. Fails if they are not whole.
    pub(crate) fn load_tail(&self) -> Result<(), StorageError> {
        let size = self.size();
        if size == 0 {
            // A truncation may have emptied it.
            let mut tail = self.tail.lock();
            tail.largest = Some(TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset });
            (tail.first_timestamp, tail.bytes_since_index) = (None, 0);
            drop(tail);
            self.next_offset.store(self.base_offset, Ordering::Release);
            self.damaged().iter().for_each(|range| self.adopt_damaged(range));
            return Ok(());
        }
        let file = self.file()?;
        let start = match self.offsets.floor_position(size, Access::MayWait)? {
            Some(entry) if self.is_true(&file, &entry, size, Access::MayWait)? => entry.position,
            Some(_) => {
                self.offsets.file().truncate(0)?;
                self.times.file().truncate(0)?;
                0
            }
            None => 0,
        };
        let mut next_offset = self.base_offset;
        let mut first_timestamp = None;
        let mut scanner = self.scanner(&file, start, size);
        while let Some(at) = scanner.next()? {
            next_offset = at.header.next_offset();
            first_timestamp.get_or_insert(at.header.max_timestamp);
        }
        if start > 0 {
            first_timestamp = self.scanner(&file, 0, size).next()?.map(|at| at.header.max_timestamp);
        }
        // Of the whole: a clean stop has noted the largest in the time index, with its batch behind the last indexed one.
        let largest = self.largest_before(size)?;
        let mut tail = self.tail.lock();
        (tail.largest, tail.first_timestamp) = (Some(largest), first_timestamp);
        tail.bytes_since_index = usize::try_from(size - start).unwrap_or(usize::MAX);
        drop(tail);
        self.next_offset.store(next_offset, Ordering::Release);
        self.damaged().iter().for_each(|range| self.adopt_damaged(range));
        Ok(())
    }

    /// Whether the last bytes are damaged, or missing: appends must go on in another segment.
    pub(crate) fn ends_damaged(&self) -> bool {
        self.damaged().last().is_some_and(|range| range.end_position >= self.size())
    }

    /// Prepares a scan from `position` on: what the indexes say of it and what follows is dropped. The transaction index
    /// is trusted up to `recovery_point`.
    pub(crate) fn rewind(&self, position: u64, offset: i64, recovery_point: i64) -> Result<(), StorageError> {
        self.offsets.keep_ascending(self.size())?;
        self.times.keep_ascending()?;
        self.offsets.truncate_to_position(position)?;
        self.times.truncate_to_offset(offset)?;
        self.cut_aborted(recovery_point)?;
        self.size.store(position, Ordering::Release);
        self.next_offset.store(offset, Ordering::Release);
        self.integrity.sound_from(position);
        let largest = if position > 0 { Some(self.largest_before(position)?) } else { None };
        let mut tail = self.tail.lock();
        (tail.bytes_since_index, tail.largest, tail.first_timestamp) = (0, largest, None);
        Ok(())
    }

    /// The largest timestamp of the batches before `position`. The time index tells up to its last entry; it may have lost
    /// some, so the batches behind that are looked at.
    pub(super) fn largest_before(&self, position: u64) -> Result<TimestampOffset, StorageError> {
        let file = self.file()?;
        let noted = self.times.last()?;
        let known = match noted.map(|last| self.batch_of(&file, &last, position)) {
            // Something on the way to it is damaged: it is believed, and all else is looked at.
            Some(Err(StorageError::NoBatch { .. })) => noted.map(|last| (last, 0)),
            Some(found) => noted.zip(found?.map(|at| at.position)),
            None => None,
        };
        let found = self.scan_largest(known.map_or(0, |(_, from)| from), position)?;
        Ok(known.map(|(last, _)| last).filter(|last| last.timestamp >= found.timestamp).unwrap_or(found))
    }

    /// Takes back a [`Self::rewind`] and what was adopted since: the file is as long as it was.
    pub(crate) fn restore_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    /// The last indexed batch but one that ends below `offset`, if the indexes can be trusted that far. The last one may say
    /// that it stands at another offset, which no checksum covers; a scan that began behind it would believe it.
    pub(crate) fn indexed_below(&self, offset: i64) -> Result<Option<BatchAt>, StorageError> {
        self.offsets.keep_ascending(self.size())?;
        let Some(last) = self.offsets.floor(offset - 1, Access::MayWait)? else { return Ok(None) };
        let before = match last.position.checked_sub(1) {
            Some(before) => self.offsets.floor_position(before, Access::MayWait)?,
            None => None,
        };
        let Some(entry) = before else { return Ok(None) };
        let file = self.file()?;
        if !self.is_true(&file, &entry, self.size(), Access::MayWait)? {
            return Ok(None);
        }
        let damaged = self.damaged();
        if damaged.iter().any(|range| (range.position..range.end_position).contains(&entry.position)) {
            return Ok(None);
        }
        BatchScanner::new(&file, entry.position, self.size()).next()
    }

    /// Cuts the segment at the batch that holds `offset`.
    pub(crate) fn truncate_to(&self, offset: i64) -> Result<(), StorageError> {
        let size = self.size();
        let file = self.file()?;
        let found = self.find(&file, offset, size, Access::MayWait)?.map_or(size, |at| at.position);
        let damaged = self.damaged();
        // Damage that begins there goes too: what is appended next takes its place.
        let damage = damaged.iter().find(|range| range.first_offset >= offset).map_or(size, |range| range.position);
        let position = found.min(damage);
        self.truncate_files(position, offset)?;
        self.size.store(position, Ordering::Release);
        self.load_tail()?;
        self.next_offset.store(offset, Ordering::Release);
        Ok(())
    }

    /// Makes the file end at `position`, where the log ends with `offset`. Synced at once: flushes begin at the log end
    /// from now on, perhaps in a new segment, and would never come by what a crash brings back here.
    pub(crate) fn truncate_files(&self, position: u64, offset: i64) -> Result<(), StorageError> {
        let file = self.file()?;
        self.integrity.cut(position, offset);
        if !planted::is("only the indexes are cut") {
            file.set_len(position)?;
        }
        file.sync_data()?;
        let cut = self.truncate_indexes(position, offset);
        // Again: a check that began meanwhile may have read bytes that are gone.
        self.integrity.cut(position, offset);
        cut
    }

    /// Synced too: an entry of what was cut, come back, would be taken for one of what is appended in its place. Nothing is
    /// written: a full disk must not hinder what takes back a write that had no space.
    fn truncate_indexes(&self, position: u64, offset: i64) -> Result<(), StorageError> {
        let had_aborted = !self.aborted.is_empty();
        self.offsets.truncate_to_position(position)?;
        self.times.truncate_to_offset(offset)?;
        self.aborted.truncate_to_offset(offset)?;
        self.offsets.file().sync_written()?;
        self.times.file().sync_written()?;
        if had_aborted { self.aborted.file().sync_written() } else { Ok(()) }
    }
}
