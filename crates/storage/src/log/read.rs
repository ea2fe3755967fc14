//! Reads: from an offset to a slice of one segment's file, whole batches, without their bytes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_env::planted;

use super::Log;
use super::verify::Unverified;
use crate::access::Access;
use crate::error::{ReadError, StorageError};
use crate::segment::{Around, FileSlice, Segment, SliceLimits, Until};
use crate::transaction_index::AbortedTransaction;

/// What a read brought.
#[derive(Debug, Clone)]
pub struct ReadInfo {
    /// Whole batches, the first of which holds the offset; None when there is nothing below the bound yet, or not even one
    /// batch fits.
    pub slice: Option<FileSlice>,
    /// First offset in the log.
    pub log_start_offset: i64,
    /// High watermark.
    pub high_watermark: i64,
    /// Last stable offset.
    pub last_stable_offset: i64,
    /// Log end offset.
    pub log_end_offset: i64,
    /// Aborted transactions that overlap the slice, by first offset; told by [`Log::read_committed`] alone.
    pub aborted_transactions: Vec<AbortedTransaction>,
    /// What [`Log::verify`] has to look at before the slice may be sent.
    pub(super) unverified: Option<Unverified>,
}

impl ReadInfo {
    /// Whether the slice may be sent as it is: this process has written its bytes, or looked at them.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.unverified.is_none()
    }
}

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) offset: i64,
    pub(super) max_bytes: u32,
    pub(super) end: i64,
    pub(super) at_least_one_batch: bool,
    /// Whether aborted transactions are to be told.
    pub(super) committed: bool,
}

impl Log {
    /// Reads batches from the one that holds `fetch_offset` on, at most `max_bytes`, all below the offset `end` (the high
    /// watermark, last stable offset or log end offset, as the reader may see). With `at_least_one_batch` the first is
    /// given even if it is larger.
    ///
    /// A slice ends with its segment: the rest of the budget is never filled from the next, so that nothing can be
    /// skipped; a fetch at the end of a segment begins in the next. It ends before damage, too.
    ///
    /// Bytes that this process neither wrote nor looked at have to go through [`Self::verify`] before they are believed.
    ///
    /// # Errors
    /// When the offset lies outside of the log or in a damaged part, or files cannot be read.
    pub fn read(
        &self,
        fetch_offset: i64,
        max_bytes: u32,
        end: i64,
        at_least_one_batch: bool,
    ) -> Result<ReadInfo, ReadError> {
        let wanted = Wanted { offset: fetch_offset, max_bytes, end, at_least_one_batch, committed: false };
        self.look(wanted, Access::MayWait)
    }

    /// As [`Self::read`], without waiting for the disk, as far as can be told: None if what has to be searched is not in
    /// memory. Whoever must not wait asks this first.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_cached(
        &self,
        fetch_offset: i64,
        max_bytes: u32,
        end: i64,
        at_least_one_batch: bool,
    ) -> Result<Option<ReadInfo>, ReadError> {
        let wanted = Wanted { offset: fetch_offset, max_bytes, end, at_least_one_batch, committed: false };
        unless_cold(self.look(wanted, Access::Cached))
    }

    /// As [`Self::read`], for a reader of committed records: up to the last stable offset, and with the aborted transactions
    /// whose records the slice may hold. Kafka: `UnifiedLog.collectAbortedTransactions`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_committed(
        &self,
        fetch_offset: i64,
        max_bytes: u32,
        at_least_one_batch: bool,
    ) -> Result<ReadInfo, ReadError> {
        self.look(self.committed(fetch_offset, max_bytes, at_least_one_batch), Access::MayWait)
    }

    /// As [`Self::read_committed`], without waiting, as [`Self::read_cached`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_committed_cached(
        &self,
        fetch_offset: i64,
        max_bytes: u32,
        at_least_one_batch: bool,
    ) -> Result<Option<ReadInfo>, ReadError> {
        unless_cold(self.look(self.committed(fetch_offset, max_bytes, at_least_one_batch), Access::Cached))
    }

    fn committed(&self, offset: i64, max_bytes: u32, at_least_one_batch: bool) -> Wanted {
        Wanted { offset, max_bytes, end: self.last_stable_offset(), at_least_one_batch, committed: true }
    }

    pub(super) fn look(&self, wanted: Wanted, access: Access) -> Result<ReadInfo, ReadError> {
        loop {
            let before = self.replacements.load(Ordering::Acquire);
            let looked = self.look_once(wanted, access);
            if self.replacements.load(Ordering::Acquire) == before {
                return looked;
            }
            // Compaction has exchanged segments: batches of the old ones must not go with aborted transactions of the new.
        }
    }

    fn look_once(&self, wanted: Wanted, access: Access) -> Result<ReadInfo, ReadError> {
        self.check_usable()?;
        let fetch_offset = wanted.offset;
        let mut info = self.nothing_yet();
        if fetch_offset < info.log_start_offset || fetch_offset > info.log_end_offset {
            return Err(ReadError::OffsetOutOfRange {
                offset: fetch_offset,
                log_start_offset: info.log_start_offset,
                log_end_offset: info.log_end_offset,
            });
        }
        let wanted = Wanted { end: wanted.end.min(info.log_end_offset), ..wanted };
        if fetch_offset >= wanted.end {
            return Ok(info);
        }
        let mut looked = false;
        let mut segment = self.segment_of(fetch_offset);
        while let Some(current) = segment {
            check_damage(&current, fetch_offset)?;
            let found = current.examined(|| self.bounds(&current), || self.slice_of(&current, &wanted, access));
            // The search itself may have met the damage first, and have found what lies behind it.
            check_damage(&current, fetch_offset)?;
            match found {
                Ok(Found::Slice(slice, _))
                    if planted::is("what is left of the budget goes to the next segment")
                        && slice.len < wanted.max_bytes
                        && self.segments.read().after(current.base_offset()).is_some_and(|next| next.size() > 0) =>
                {
                    segment = self.segments.read().after(current.base_offset()).cloned();
                }
                Ok(Found::Slice(slice, unverified)) => {
                    if wanted.committed {
                        info.aborted_transactions = self.aborted_within(&current, fetch_offset, &slice, access)?;
                    }
                    (info.slice, info.unverified) = (Some(slice), unverified);
                    return Ok(info);
                }
                Ok(Found::Nothing(end)) if !looked && !end.is_sound => {
                    self.look_at(&current, fetch_offset, end.position, access)?;
                    (looked, segment) = (true, Some(current));
                }
                Ok(Found::Nothing(_)) => return Ok(info),
                // No batch up to the segment's end reaches the offset: the next one's first does.
                Ok(Found::Beyond) => {
                    self.check_hole(&current, fetch_offset)?;
                    segment = self.segments.read().after(current.base_offset()).cloned();
                }
                Err(error) if error.is_cold() => return Err(error.into()),
                // Retention took the segment away while we looked.
                Err(_) if !self.segments.read().holds(&current) => return self.read_again(fetch_offset, info),
                Err(error) => return self.or_offline_if_broken(Err(error)),
            }
        }
        Ok(info)
    }

    /// The batch at `offset` says that it reaches beyond what is wanted. One that is damaged says so of itself, and of the
    /// offsets behind it, for ever.
    fn look_at(&self, segment: &Segment, offset: i64, end: u64, access: Access) -> Result<(), ReadError> {
        if access == Access::Cached {
            return Err(Access::cold().into());
        }
        let looked = segment.verify(Around::Offset(offset), Until::position(end), &self.bounds(segment));
        self.or_offline_if_broken(looked)?;
        Ok(())
    }

    fn nothing_yet(&self) -> ReadInfo {
        ReadInfo {
            slice: None,
            log_start_offset: self.log_start_offset(),
            high_watermark: self.high_watermark(),
            last_stable_offset: self.last_stable_offset(),
            log_end_offset: self.log_end_offset(),
            aborted_transactions: Vec::new(),
            unverified: None,
        }
    }

    fn segment_of(&self, offset: i64) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        segments.floor(offset).or_else(|| segments.first()).cloned()
    }

    /// After a segment disappeared: out of range if the log starts behind the offset now, else nothing this time.
    fn read_again(&self, fetch_offset: i64, info: ReadInfo) -> Result<ReadInfo, ReadError> {
        let (log_start_offset, log_end_offset) = (self.log_start_offset(), self.log_end_offset());
        if (log_start_offset..=log_end_offset).contains(&fetch_offset) {
            return Ok(info);
        }
        Err(ReadError::OffsetOutOfRange { offset: fetch_offset, log_start_offset, log_end_offset })
    }

    fn slice_of(&self, segment: &Arc<Segment>, wanted: &Wanted, access: Access) -> Result<Found, StorageError> {
        let size = segment.size();
        if size == 0 {
            return Ok(Found::Beyond);
        }
        let Wanted { offset, max_bytes, end, at_least_one_batch, .. } = *wanted;
        // Of what was appended lately it need not be asked whether it is in memory.
        let access = if segment.is_recent(offset) { Access::MayWait } else { access };
        let file = segment.file_by(access)?;
        let limits = SliceLimits { end_offset: end, max_bytes: u64::from(max_bytes), at_least_one: at_least_one_batch };
        let Some(first) = segment.find(&file, offset, size, access)? else { return Ok(Found::Beyond) };
        let cut = segment.cut(&file, &first, &limits, size, access)?;
        let len = u32::try_from(cut - first.position).unwrap_or(u32::MAX);
        if len == 0 {
            // If it is only the budget that is spent, nobody needs to look: that goes for each partition behind the last that fits.
            let is_sound = first.header.next_offset() <= end || segment.is_sound(&first, first.end(), offset);
            return Ok(Found::Nothing(FirstEnd { position: first.end(), is_sound }));
        }
        let sound = segment.is_sound(&first, cut, offset);
        let unverified = (!sound).then(|| Unverified { segment: Arc::clone(segment), wanted: *wanted });
        Ok(Found::Slice(FileSlice { file: Arc::clone(segment.log_file()), position: first.position, len }, unverified))
    }

    /// Aborted transactions that overlap a slice, by first offset. Their markers lie in its segment or a later one.
    fn aborted_within(
        &self,
        segment: &Segment,
        from: i64,
        slice: &FileSlice,
        access: Access,
    ) -> Result<Vec<AbortedTransaction>, StorageError> {
        let with_aborted = |segment: &&Arc<Segment>| segment.has_aborted();
        let segments: Vec<_> = self.segments.read().from(segment.base_offset()).filter(with_aborted).cloned().collect();
        let mut found = Vec::new();
        if segments.is_empty() {
            return Ok(found);
        }
        let to = segment.offset_at(slice.position + u64::from(slice.len), access)?;
        for segment in segments {
            let is_found = segment.aborted_within(from, to, access, &mut found)?;
            if is_found || planted::is("aborted transactions of one segment only") {
                break;
            }
        }
        found.sort_by_key(|t| (t.first_offset, t.producer_id));
        Ok(found)
    }
}

/// None for a search that would have had to wait.
fn unless_cold(outcome: Result<ReadInfo, ReadError>) -> Result<Option<ReadInfo>, ReadError> {
    match outcome {
        Err(ReadError::Storage(error)) if error.is_cold() => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Where a batch says that it ends, and whether that is known to be so.
struct FirstEnd {
    position: u64,
    is_sound: bool,
}

/// What a segment has for a reader.
enum Found {
    Slice(FileSlice, Option<Unverified>),
    /// Not one whole batch within the bounds.
    Nothing(FirstEnd),
    /// The offset lies behind the segment's last batch.
    Beyond,
}

/// Fails if the offset lies in a damaged part of the segment.
pub(super) fn check_damage(segment: &Segment, offset: i64) -> Result<(), ReadError> {
    match segment.damage_at(offset) {
        None => Ok(()),
        Some(range) => Err(ReadError::Damaged { first_offset: range.first_offset, end_offset: range.end_offset }),
    }
}
