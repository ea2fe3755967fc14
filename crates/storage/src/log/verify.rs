//! Bytes of an earlier process are looked at once before they are believed, and what is damaged is told.

use std::io::ErrorKind;
use std::sync::Arc;

use super::Log;
use super::read::{ReadInfo, Wanted, check_damage};
use crate::access::Access;
use crate::error::{ReadError, StorageError};
use crate::segment::{Around, Bounds, DamagedRange, Segment, Until};

/// A slice that nobody in this process has looked at.
#[derive(Debug, Clone)]
pub(super) struct Unverified {
    pub(super) segment: Arc<Segment>,
    pub(super) wanted: Wanted,
}

impl Log {
    /// Looks at the bytes that a read gave, if nobody has in this process: checksums, offsets, leader epochs. Reads from disk.
    /// A slice that runs into damage ends before it then.
    ///
    /// # Errors
    /// When the offset that was read lies in a damaged part, or files cannot be read.
    pub fn verify(&self, info: &mut ReadInfo) -> Result<(), ReadError> {
        while let (Some(Unverified { segment, wanted }), Some(slice)) = (&info.unverified, &info.slice) {
            let end = slice.position + u64::from(slice.len);
            let looked = segment.verify(Around::Offset(wanted.offset), Until::position(end), &self.bounds(segment));
            let damaged = looked.or_else(|error| self.or_offline_if_broken(Err(error)))?;
            if !damaged && !segment.is_damaged() {
                break;
            }
            check_damage(segment, wanted.offset)?;
            // What was found may begin or end elsewhere now. It is known now, so that this ends.
            *info = self.look(*wanted, Access::MayWait)?;
            if !damaged {
                break;
            }
        }
        info.unverified = None;
        Ok(())
    }

    /// As [`Self::read`], and looks at the bytes at once if need be: for those who may wait for the disk.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_verified(
        &self,
        fetch_offset: i64,
        max_bytes: u32,
        end: i64,
        at_least_one_batch: bool,
    ) -> Result<ReadInfo, ReadError> {
        let mut info = self.read(fetch_offset, max_bytes, end, at_least_one_batch)?;
        self.verify(&mut info)?;
        Ok(info)
    }

    /// The parts that were found to be damaged since the log was opened, ascending. They are neither served nor cut off.
    #[must_use]
    pub fn damaged(&self) -> Vec<DamagedRange> {
        let segments: Vec<_> = self.segments.read().iter().cloned().collect();
        segments.iter().flat_map(|segment| segment.damaged()).collect()
    }

    /// What lies around a segment now.
    pub(super) fn bounds(&self, segment: &Segment) -> Bounds {
        let next_segment = self.segments.read().after(segment.base_offset()).map(|next| next.base_offset());
        let removed = next_segment.is_some_and(|base| base <= self.log_start_offset());
        let compacted = self.was_compacted();
        Bounds { next_segment, may_have_gap: compacted || removed, compacted, given: self.log_end_offset() }
    }

    /// No batch of the segment reaches the offset. If the next segment begins behind it, records are missing.
    pub(super) fn check_hole(&self, segment: &Segment, offset: i64) -> Result<(), ReadError> {
        let bounds = self.bounds(segment);
        if bounds.may_have_gap || bounds.next_segment.is_none_or(|next| next <= offset) {
            return Ok(());
        }
        let looked = segment.verify(Around::Offset(offset), Until::END, &bounds);
        looked.or_else(|error| self.or_offline_if_broken(Err(error)))?;
        check_damage(segment, offset)
    }

    /// A device that cannot be read takes the log directory offline. A file that is shorter than it was, or gone, does not:
    /// the rest of the directory may be well.
    pub(super) fn or_offline_if_broken<T>(&self, result: Result<T, StorageError>) -> Result<T, ReadError> {
        Ok(self.or_offline_unless_short(result)?)
    }

    /// As [`Self::or_offline_if_broken`], for what is no read of a client's.
    pub(super) fn or_offline_unless_short<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        let of_the_file = |error: &StorageError| match error {
            StorageError::Io(error) => matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::NotFound),
            _ => false,
        };
        if result.as_ref().is_err_and(of_the_file) { result } else { self.or_offline(result) }
    }
}
