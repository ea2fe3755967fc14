//! Searches in one segment: by offset, by bytes, by time. Indexes give a start, the heads of batches decide.

use std::sync::Arc;

use ottla_env::fs::File;
use ottla_env::planted;
use ottla_protocol::record_batch::{BatchHeader, NO_TIMESTAMP};

use super::Segment;
use super::resync::{self, Resync};
use crate::access::Access;
use crate::batch_scan::{BatchAt, BatchScanner};
use crate::error::StorageError;
use crate::offset_index::OffsetPosition;
use crate::time_index::TimestampOffset;

/// What a slice must not go beyond.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SliceLimits {
    /// Every batch lies below it.
    pub(crate) end_offset: i64,
    /// Bytes at most.
    pub(crate) max_bytes: u64,
    /// Whether the first batch may be larger than that.
    pub(crate) at_least_one: bool,
}

impl Segment {
    /// From head to head through `position..end`, past what is damaged.
    pub(crate) fn scanner<'a>(&self, file: &'a File, position: u64, end: u64) -> BatchScanner<'a> {
        let scanner = BatchScanner::new(file, position, end);
        if !self.integrity.is_damaged() {
            return scanner;
        }
        scanner.skipping(self.damaged().iter().map(|range| (range.position, range.end_position)).collect())
    }

    /// Where the first batch lies that reaches up to `offset` or beyond, within the first `size` bytes.
    pub(crate) fn find(
        &self,
        file: &File,
        offset: i64,
        size: u64,
        access: Access,
    ) -> Result<Option<BatchAt>, StorageError> {
        let start = match self.offsets.floor(offset, access)? {
            Some(entry) if self.is_true(file, &entry, size, access)? => entry.position,
            Some(_) | None => 0,
        };
        // An index entry may point into what is damaged; behind that, offsets are known too.
        let damaged = self.damaged();
        let behind =
            damaged.iter().rev().find(|range| range.end_offset <= offset).map_or(0, |range| range.end_position);
        let mut scanner = self.scanner(file, start.max(behind.min(size)), size).with(access);
        while let Some(at) = scanner.next()? {
            if at.header.last_offset() >= offset {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Where the batch ends that holds `offset`; the end of the file if none does.
    pub(crate) fn end_of(&self, offset: i64) -> Result<u64, StorageError> {
        let size = self.size();
        let found = self.find(&*self.file()?, offset, size, Access::MayWait)?;
        Ok(found.map_or(size, |at| at.end()))
    }

    /// The first batch that reaches up to `offset` or beyond; None also where it cannot be told for damage.
    pub(crate) fn head_at(&self, offset: i64) -> Result<Option<BatchAt>, StorageError> {
        let file = self.file()?;
        match self.find(&file, offset, self.size(), Access::MayWait) {
            Err(StorageError::NoBatch { .. }) => Ok(None),
            found => found,
        }
    }

    /// Looks at the head of each batch, up to what is damaged; false if something is.
    pub(crate) fn each_head(&self, mut look: impl FnMut(&BatchHeader)) -> Result<bool, StorageError> {
        let file = self.file()?;
        let mut scanner = self.scanner(&file, 0, self.size());
        loop {
            match scanner.next() {
                Ok(Some(at)) => look(&at.header),
                Ok(None) => return Ok(true),
                Err(StorageError::NoBatch { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether an index entry points to the batch that it says. Nothing else guards an index; a wrong one costs a scan.
    pub(super) fn is_true(
        &self,
        file: &File,
        entry: &OffsetPosition,
        size: u64,
        access: Access,
    ) -> Result<bool, StorageError> {
        if entry.position >= size {
            return Ok(false);
        }
        let there = match BatchScanner::new(file, entry.position, size).with(access).next() {
            Ok(at) => at,
            Err(StorageError::NoBatch { .. }) => None,
            Err(error) => return Err(error),
        };
        let agrees = there.is_some_and(|at| {
            (self.base_offset..=entry.offset).contains(&at.header.base_offset)
                && at.header.last_offset() <= entry.offset
        });
        if !agrees {
            let path = self.offsets.file().path();
            tracing::warn!(path = %path.display(), position = entry.position, "index entry points to no batch of its offset");
        }
        Ok(agrees)
    }

    /// First offset behind whole batches that end at `position`.
    pub(crate) fn offset_at(&self, position: u64, access: Access) -> Result<i64, StorageError> {
        let size = self.size();
        let file = self.file_by(access)?;
        let next = if position < size { self.scanner(&file, position, size).with(access).next()? } else { None };
        Ok(next.map_or_else(|| self.next_offset(), |at| at.header.base_offset))
    }

    /// Where whole batches end that begin at `first` and keep the limits.
    pub(crate) fn cut(
        &self,
        file: &File,
        first: &BatchAt,
        limits: &SliceLimits,
        size: u64,
        access: Access,
    ) -> Result<u64, StorageError> {
        let SliceLimits { end_offset, max_bytes, at_least_one } = *limits;
        let damaged = self.damaged();
        let sound_up_to = damaged.iter().map(|range| range.position).find(|position| *position > first.position);
        let size = size.min(sound_up_to.unwrap_or(size));
        // The size was taken before, so `next_offset` is not behind it.
        let wholly_below = end_offset >= self.next_offset();
        if wholly_below && size - first.position <= max_bytes {
            return Ok(size);
        }
        let limit = size.min(first.position.saturating_add(max_bytes));
        let start = self.cut_start(file, first, (!wholly_below).then_some(end_offset), limit, size, access)?;
        let mut cut = start;
        let mut scanner = self.scanner(file, start, size).with(access);
        while let Some(at) = scanner.next()? {
            let begins_below = planted::is("a reader sees a batch that begins below its bound");
            let last = if begins_below { at.header.base_offset } else { at.header.last_offset() };
            let begins_within = planted::is("a batch that begins within the budget");
            let end = if begins_within { at.position } else { at.end() };
            if end > limit || last >= end_offset {
                break;
            }
            cut = at.end();
        }
        if cut == first.position && at_least_one && first.header.next_offset() <= end_offset {
            cut = first.end();
        }
        Ok(cut)
    }

    /// Where a search for the cut may begin: the last indexed batch before both bounds; `None` if all of the segment lies below
    /// the offset.
    fn cut_start(
        &self,
        file: &File,
        first: &BatchAt,
        end_offset: Option<i64>,
        limit: u64,
        size: u64,
        access: Access,
    ) -> Result<u64, StorageError> {
        let by_bytes = self.offsets.floor_position(limit, access)?;
        let by_offset = match end_offset {
            None => by_bytes,
            Some(end_offset) => self.offsets.floor(end_offset - 1, access)?,
        };
        let Some(entry) = by_bytes.zip(by_offset).map(|(a, b)| if a.position < b.position { a } else { b }) else {
            return Ok(first.position);
        };
        // Of two entries one may be wrong, and the other lie beyond what it should have told.
        let within = entry.position <= limit && end_offset.is_none_or(|end_offset| entry.offset < end_offset);
        let usable = within && entry.position > first.position && self.is_true(file, &entry, size, access)?;
        Ok(if usable { entry.position } else { first.position })
    }

    /// Largest timestamp, and the last offset of the batch that has it; timestamp -1 if no batch has one.
    pub(crate) fn largest(&self) -> Result<TimestampOffset, StorageError> {
        if let Some(largest) = self.tail.lock().largest {
            return Ok(largest);
        }
        let found = self.largest_before(self.size())?;
        // A batch may have been appended meanwhile; then its note is the truth.
        Ok(*self.tail.lock().largest.get_or_insert(found))
    }

    /// Largest timestamp of the first batch, from which the age of the segment's records counts; None if it is empty.
    pub(crate) fn first_timestamp(&self) -> Result<Option<i64>, StorageError> {
        if let Some(first) = self.tail.lock().first_timestamp {
            return Ok(Some(first));
        }
        let first = BatchScanner::new(&*self.file()?, 0, self.size()).next()?;
        let Some(first) = first else { return Ok(None) };
        Ok(Some(*self.tail.lock().first_timestamp.get_or_insert(first.header.max_timestamp)))
    }

    /// For retention: a segment without timestamps counts from its last change.
    pub(crate) fn largest_or_modified(&self) -> Result<i64, StorageError> {
        let largest = self.largest()?.timestamp;
        if largest >= 0 {
            return Ok(largest);
        }
        self.modified_ms()
    }

    /// The largest timestamp within a range, past what is damaged there and not known to be.
    pub(super) fn scan_largest(&self, from: u64, size: u64) -> Result<TimestampOffset, StorageError> {
        let mut largest = TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset };
        let file = self.file()?;
        let mut scanner = self.scanner(&file, from, size);
        loop {
            match scanner.next() {
                Ok(Some(at)) if at.header.max_timestamp > largest.timestamp && at.header.record_count > 0 => {
                    largest = TimestampOffset { timestamp: at.header.max_timestamp, offset: at.header.last_offset() };
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(largest),
                Err(StorageError::NoBatch { position, .. }) => {
                    let offsets = self.base_offset..i64::MAX;
                    let search = Resync { file: &file, index: &self.offsets, position, size, offsets };
                    scanner = self.scanner(&file, resync::find(&search)?, size);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The batch that an entry of the time index is of; None if there is none such. Nothing guards an index: with a wrong entry,
    /// a search would pass by records, and retention remove a segment too early. Without it, both read more heads.
    pub(super) fn batch_of(
        &self,
        file: &File,
        entry: &TimestampOffset,
        size: u64,
    ) -> Result<Option<BatchAt>, StorageError> {
        let there = self.find(file, entry.offset, size, Access::MayWait)?;
        let of_batch =
            there.filter(|at| at.header.max_timestamp == entry.timestamp && at.header.base_offset <= entry.offset);
        if of_batch.is_none() {
            let path = self.times.file().path();
            tracing::warn!(path = %path.display(), timestamp = entry.timestamp, offset = entry.offset,
                "time index entry is of no batch");
        }
        Ok(of_batch)
    }

    /// The first batch at or after `from_offset` that has a timestamp of at least `timestamp`.
    pub(crate) fn find_timestamp(
        &self,
        timestamp: i64,
        from_offset: i64,
    ) -> Result<Option<(Arc<File>, BatchAt)>, StorageError> {
        let size = self.size();
        let file = self.file()?;
        let known = match self.times.below(timestamp)?.filter(|entry| entry.offset > from_offset) {
            Some(entry) => self.batch_of(&file, &entry, size)?,
            None => None,
        };
        let first = match known {
            Some(at) => Some(at),
            None => self.find(&file, from_offset, size, Access::MayWait)?,
        };
        let Some(first) = first else { return Ok(None) };
        let mut scanner = self.scanner(&file, first.position, size);
        if planted::is("a search by time begins one batch too late") {
            scanner.next()?;
        }
        while let Some(at) = scanner.next()? {
            if at.header.max_timestamp >= timestamp && at.header.record_count > 0 {
                return Ok(Some((file, at)));
            }
        }
        Ok(None)
    }
}
