//! Where batches go on behind damaged bytes.
//!
//! Three answers, the cheapest first: where the damaged batch says that it ends; the next index entry that points to a
//! whole batch; the first bytes that are a whole batch and are followed by another, or by the end.

use std::ops::Range;

use ottla_env::fs::File;
use ottla_protocol::record_batch::{HEADER_BYTES, LOG_OVERHEAD, entry_size};

use crate::batch_reader::{BatchReader, Step};
use crate::batch_scan::{BatchAt, read_head};
use crate::error::StorageError;
use crate::offset_index::OffsetIndex;

/// Bytes read at once while every position is tried.
const WINDOW_BYTES: usize = 1 << 20;
/// Positions that look like a batch and are read in one search: records may be full of them.
const CANDIDATES_MAX: usize = 1000;

/// What is searched.
pub(super) struct Resync<'a> {
    pub(super) file: &'a File,
    pub(super) index: &'a OffsetIndex,
    /// Where the damage begins.
    pub(super) position: u64,
    /// Where the file ends.
    pub(super) size: u64,
    /// Offsets that batches behind the damage may have.
    pub(super) offsets: Range<i64>,
}

/// The position of the first batch behind the damage; the file's end if there is none.
pub(super) fn find(search: &Resync<'_>) -> Result<u64, StorageError> {
    if let Some(end) = search.stated_end()? {
        return Ok(end);
    }
    let anchor = search.indexed()?.unwrap_or(search.size);
    search.by_trying(anchor)
}

impl Resync<'_> {
    /// A whole batch at `position` with an offset that may be there.
    fn batch_at(&self, position: u64) -> Result<Option<BatchAt>, StorageError> {
        if position >= self.size {
            return Ok(None);
        }
        Ok(match BatchReader::new(self.file, position, self.size).next()? {
            Step::Batch(at) => Some(at).filter(|at| self.is_possible(at.header.base_offset)),
            Step::Broken | Step::End => None,
        })
    }

    fn is_possible(&self, base_offset: i64) -> bool {
        self.offsets.contains(&base_offset)
    }

    fn stated_end(&self) -> Result<Option<u64>, StorageError> {
        let mut head = [0; LOG_OVERHEAD];
        if self.file.read_full_at(&mut head, self.position)? < LOG_OVERHEAD {
            return Ok(None);
        }
        let Ok(Some(size)) = entry_size(&head) else { return Ok(None) };
        let end = self.position.saturating_add(size as u64);
        let goes_on = size > LOG_OVERHEAD && (end == self.size || self.batch_at(end)?.is_some());
        Ok(goes_on.then_some(end))
    }

    fn indexed(&self) -> Result<Option<u64>, StorageError> {
        for entry in self.index.behind(self.position)? {
            if let Some(at) = self.batch_at(entry.position)?
                && at.header.last_offset() <= entry.offset
            {
                return Ok(Some(entry.position));
            }
        }
        Ok(None)
    }

    /// Tries every position before `anchor`, where a batch begins, or the file ends.
    fn by_trying(&self, anchor: u64) -> Result<u64, StorageError> {
        let mut window = vec![0; WINDOW_BYTES];
        let mut from = self.position + 1;
        let mut tried = 0;
        while from + HEADER_BYTES as u64 <= anchor {
            let len = usize::try_from(anchor - from).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
            let bytes = window.get_mut(..len).unwrap_or_default();
            self.file.read_exact_at(bytes, from)?;
            let bytes = &*bytes;
            for (n, head) in bytes.windows(HEADER_BYTES).enumerate() {
                let position = from + n as u64;
                if !self.looks_like_a_batch(head, anchor - position) {
                    continue;
                }
                tried += 1;
                if self.goes_on_from(position, anchor)? {
                    return Ok(position);
                }
                if tried >= CANDIDATES_MAX {
                    return Ok(anchor);
                }
            }
            from += (len - HEADER_BYTES + 1) as u64;
        }
        Ok(anchor)
    }

    fn looks_like_a_batch(&self, head: &[u8], left: u64) -> bool {
        read_head(head).is_ok_and(|header| {
            self.is_possible(header.base_offset)
                && header.last_offset_delta >= 0
                && header.partition_leader_epoch >= -1
                && header.size_bytes() as u64 <= left
        })
    }

    /// Whether a whole batch lies there that ends at the anchor or is followed by another.
    fn goes_on_from(&self, position: u64, anchor: u64) -> Result<bool, StorageError> {
        let Some(at) = self.batch_at(position)? else { return Ok(false) };
        Ok(at.end() == anchor
            || self.batch_at(at.end())?.is_some_and(|next| at.header.next_offset() <= next.header.base_offset))
    }
}
