//! Searches: by time (ListOffsets) and by leader epoch (OffsetForLeaderEpoch).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_env::fs::File;
use ottla_protocol::record_batch::{self, TimestampType};

use super::Log;
use crate::batch_scan::{BatchAt, read_batch};
use crate::error::{ReadError, StorageError};
use crate::leader_epoch_cache::{EpochEnd, EpochStart};
use crate::segment::{Around, Until};

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// Its timestamp, in ms.
    pub timestamp: i64,
    /// Its offset.
    pub offset: i64,
    /// Leader epoch of its batch; -1 in batches from before epochs.
    pub leader_epoch: i32,
}

impl Log {
    /// The first record with a timestamp of at least `timestamp`; None if there is none. Reads from disk.
    ///
    /// # Errors
    /// When files cannot be read.
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        self.check_usable()?;
        self.or_offline_if_broken(self.search_by_time(timestamp))
    }

    fn search_by_time(&self, timestamp: i64) -> Result<Option<TimestampAndOffset>, StorageError> {
        let start = self.log_start_offset();
        let segments: Vec<_> = self.segments.read().from(start).cloned().collect();
        for segment in segments {
            let bounds = || self.bounds(&segment);
            if segment.size() == 0 || segment.examined(bounds, || segment.largest())?.timestamp < timestamp {
                continue;
            }
            let mut from = start;
            while let Some((file, at)) = segment.examined(bounds, || segment.find_timestamp(timestamp, from))? {
                // Its offset and its times may be damaged, and the answer with them.
                if !segment.is_sound(&at, at.end(), at.header.base_offset)
                    && segment.verify(Around::Position(at.position), Until::position(at.end()), &bounds())?
                {
                    continue;
                }
                if let Some(found) = self.record_at(&file, &at, timestamp, start)? {
                    return Ok(Some(found));
                }
                // Only records below the log start, which lies within the batch, are so young.
                from = at.header.next_offset();
            }
        }
        Ok(None)
    }

    /// The first record with the largest timestamp of the log; None if no record has one. Reads from disk.
    ///
    /// # Errors
    /// When files cannot be read.
    pub fn offset_of_max_timestamp(&self) -> Result<Option<TimestampAndOffset>, ReadError> {
        self.check_usable()?;
        let segments: Vec<_> = self.segments.read().from(self.log_start_offset()).cloned().collect();
        let mut max = None;
        for segment in segments {
            if segment.size() > 0 {
                let largest = segment.examined(|| self.bounds(&segment), || segment.largest());
                let largest = self.or_offline_if_broken(largest)?.timestamp;
                max = max.max((largest >= 0).then_some(largest));
            }
        }
        max.map_or(Ok(None), |timestamp| self.offset_for_timestamp(timestamp))
    }

    /// The record of the batch, if one at or behind `start` is so young; the batch itself if its records cannot be read.
    fn record_at(
        &self,
        file: &Arc<File>,
        at: &BatchAt,
        timestamp: i64,
        start: i64,
    ) -> Result<Option<TimestampAndOffset>, StorageError> {
        let header = &at.header;
        let whole = TimestampAndOffset {
            timestamp: header.max_timestamp,
            offset: header.base_offset.max(start),
            leader_epoch: header.partition_leader_epoch,
        };
        let of_append = header.timestamp_type() == TimestampType::LogAppendTime;
        // Its first record is the one, unless compaction has taken that away.
        let is_whole = i64::from(header.record_count) == i64::from(header.last_offset_delta) + 1;
        if (of_append && is_whole) || header.magic != record_batch::MAGIC {
            return Ok(Some(whole));
        }
        let batch = read_batch(file, at)?;
        let mut window = Vec::new();
        let limit = self.config().max_decompressed_message_bytes;
        let Ok(records) = record_batch::walk(&batch, &mut window, limit) else { return Ok(Some(whole)) };
        for record in records {
            let Ok(record) = record else { return Ok(Some(whole)) };
            let created = header.base_timestamp.saturating_add(record.timestamp_delta);
            let found = TimestampAndOffset {
                timestamp: if of_append { header.max_timestamp } else { created },
                offset: header.base_offset + i64::from(record.offset_delta),
                ..whole
            };
            if found.timestamp >= timestamp && found.offset >= start {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Notes that this replica leads with `epoch` from the log end on. The file follows with the next flush; until then
    /// the batches themselves tell.
    ///
    /// # Errors
    /// When the log cannot be used any more.
    pub fn start_leader_epoch(&self, epoch: i32) -> Result<(), StorageError> {
        self.check_usable()?;
        let _no_append = self.appender.lock();
        self.note_epoch(epoch, self.log_end_offset());
        Ok(())
    }

    pub(super) fn note_epoch(&self, epoch: i32, start_offset: i64) {
        if self.epochs.write().assign(epoch, start_offset) {
            self.epochs_dirty.store(true, Ordering::Release);
        }
    }

    /// The newest leader epoch.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs.read().latest().map(|latest| latest.epoch)
    }

    /// All epochs with their first offsets.
    #[must_use]
    pub fn epochs(&self) -> Vec<EpochStart> {
        self.epochs.read().entries().to_vec()
    }

    /// Where the largest epoch not above `epoch` ends.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: i32) -> EpochEnd {
        self.epochs.read().end_offset_for(epoch, self.log_end_offset())
    }

    /// Epoch of the record at `offset`.
    #[must_use]
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        self.epochs.read().epoch_at(offset)
    }
}
