//! What is done with the part of a log that may not have reached the device: every batch is read and its checksum computed,
//! indexes and epochs are built again, and the log is cut at the first batch that is not whole.
//!
//! Only behind the recovery point: a broken batch below it was whole once, and cutting there would throw away what
//! consumers have seen; that is reported instead.

use ottla_env::fs::{self, File};
use ottla_protocol::record_batch::entry_size;

use crate::batch_scan::{BatchAt, check_crc, read_head};
use crate::config::LogConfig;
use crate::error::StorageError;
use crate::leader_epoch_cache::LeaderEpochCache;
use crate::loader::{Plan, RecoveryReport};
use crate::segment::Segment;
use crate::segments::Segments;

/// Bytes read at once, more only for a larger batch.
const READ_BYTES: usize = 1 << 20;

/// Recovers every segment that reaches beyond `from`. Segments behind one that had to be cut are removed.
pub(crate) fn recover(
    plan: &Plan<'_>,
    from: i64,
    segments: &mut Segments,
    epochs: &mut LeaderEpochCache,
    report: &mut RecoveryReport,
) -> Result<(), StorageError> {
    let all: Vec<_> = segments.iter().cloned().collect();
    let mut last_epoch = i32::MIN;
    for (n, segment) in all.iter().enumerate() {
        // Until it is scanned, the end of a closed segment is where the next begins, and that of the last is not known. One
        // that ends at the recovery point is looked at: a crash may have brought back what was cut off or made behind it.
        if segment.next_offset() < from && n + 1 < all.len() {
            continue;
        }
        let whole = scan(plan, segment, from, epochs, &mut last_epoch, report)?;
        if whole && all.get(n + 1).is_none_or(|next| follows(plan, from, segment, next)) {
            continue;
        }
        return cut(plan, segment, segments, report);
    }
    Ok(())
}

/// Whether a segment continues the one before it. It does not behind a hole: the end of a segment that was not synced when
/// the power went may be lost at the border of two batches, so that it looks whole (appends leave no gap there, but
/// compaction does). Nor if it overlaps: a truncation had removed it, but its removal was lost, and the one before has grown.
/// Below the log start, holes are segments that were removed on purpose, of which others have come back.
fn follows(plan: &Plan<'_>, from: i64, segment: &Segment, next: &Segment) -> bool {
    let (end, base) = (segment.next_offset(), next.base_offset());
    let may_have_gap = plan.config.cleanup_policy.compact || base <= plan.log_start_offset;
    end < from || base == end || (base > end && may_have_gap)
}

/// Whether a batch is of an earlier leader than the one before it: a truncation had taken it away, but a crash brought it
/// back behind what was appended since, in its old place or with a segment whose removal was not synced.
fn is_leftover(at: &BatchAt, from: i64, last_epoch: i32) -> bool {
    at.header.base_offset >= from && at.header.partition_leader_epoch < last_epoch
}

/// Makes whole batches the content of a segment, from the recovery point on. False when other bytes follow them.
fn scan(
    plan: &Plan<'_>,
    segment: &Segment,
    from: i64,
    epochs: &mut LeaderEpochCache,
    last_epoch: &mut i32,
    report: &mut RecoveryReport,
) -> Result<bool, StorageError> {
    let size = segment.size();
    let known = if segment.base_offset() < from { segment.indexed_below(from)? } else { None };
    let (start, offset) = known.map_or((0, segment.base_offset()), |at| (at.end(), at.header.next_offset()));
    segment.rewind(start, offset, from)?;
    *last_epoch = known.map_or(*last_epoch, |at| at.header.partition_leader_epoch.max(*last_epoch));
    let file = segment.file()?;
    let mut reader = BatchReader::new(&file, start, size);
    let mut next_offset = offset;
    let whole = loop {
        match reader.next()? {
            Step::Batch(at)
                if at.header.base_offset >= next_offset
                    && at.header.last_offset_delta >= 0
                    && !is_leftover(&at, from, *last_epoch) =>
            {
                *last_epoch = at.header.partition_leader_epoch;
                next_offset = at.header.next_offset();
                epochs.assign(at.header.partition_leader_epoch, at.header.base_offset);
                segment.adopt(&at, plan.config.index_interval_bytes)?;
            }
            Step::End => break true,
            Step::Batch(_) | Step::Broken => break false,
        }
    };
    report.bytes_scanned += segment.size() - start;
    if !whole && next_offset < from {
        let reason =
            format!("the batch at offset {next_offset} is broken, though it was synced (recovery point {from})");
        return Err(StorageError::Corrupt { path: file.path().to_owned(), reason });
    }
    Ok(whole)
}

/// Removes what follows the whole batches of `last`. First the segments behind it, durably: if they came back after the end
/// of `last` was cut, the log would go on with records that lie behind a gap.
fn cut(
    plan: &Plan<'_>,
    last: &Segment,
    segments: &mut Segments,
    report: &mut RecoveryReport,
) -> Result<(), StorageError> {
    let behind = segments.split_off(last.base_offset() + 1);
    for segment in &behind {
        report.bytes_cut += segment.size();
        segment.delete(plan.now_ms)?;
    }
    if !behind.is_empty() {
        fs::sync_dir(plan.folder.path())?;
    }
    let file = last.file()?;
    let torn = file.len()?.saturating_sub(last.size());
    report.bytes_cut += torn;
    tracing::warn!(path = %file.path().display(), position = last.size(), bytes = torn, "torn end of a segment is cut off");
    last.truncate_files(last.size(), last.next_offset())
}

/// Builds the indexes of a whole segment again because their files are missing.
pub(crate) fn rebuild_indexes(segment: &Segment, config: &LogConfig) -> Result<(), StorageError> {
    let size = segment.size();
    segment.rewind(0, segment.base_offset(), i64::MAX)?;
    let file = segment.file()?;
    let mut reader = BatchReader::new(&file, 0, size);
    loop {
        match reader.next()? {
            Step::Batch(at) => segment.adopt(&at, config.index_interval_bytes)?,
            Step::End => break,
            Step::Broken => {
                let reason = format!("no whole batch at position {}", segment.size());
                return Err(StorageError::Corrupt { path: file.path().to_owned(), reason });
            }
        }
    }
    segment.close_for_appends()?;
    segment.sync_indexes()
}

/// What lies next in the file.
enum Step {
    Batch(BatchAt),
    Broken,
    End,
}

/// Reads a file in large pieces and gives the batches whose checksums fit.
struct BatchReader<'a> {
    file: &'a File,
    end: u64,
    /// Where `buffer` begins in the file.
    position: u64,
    buffer: Vec<u8>,
    /// Bytes of `buffer` gone through.
    done: usize,
}

impl<'a> BatchReader<'a> {
    fn new(file: &'a File, position: u64, end: u64) -> Self {
        Self { file, end, position, buffer: Vec::new(), done: 0 }
    }

    fn next(&mut self) -> Result<Step, StorageError> {
        let at = self.position + self.done as u64;
        if at >= self.end {
            return Ok(Step::End);
        }
        let left = self.end - at;
        let size = match entry_size(self.rest()) {
            Ok(Some(size)) => size,
            Ok(None) => READ_BYTES,
            Err(_) => return Ok(Step::Broken),
        };
        if size > self.rest().len() {
            if size as u64 > left && self.rest().len() as u64 == left {
                return Ok(Step::Broken);
            }
            self.fill(size.max(READ_BYTES), left)?;
            return if entry_size(self.rest()).is_ok_and(|size| size.is_some_and(|s| s as u64 <= left)) {
                self.next()
            } else {
                Ok(Step::Broken)
            };
        }
        let batch = self.rest().get(..size).unwrap_or_default();
        match read_head(batch) {
            Ok(header) if check_crc(batch) => {
                self.done += size;
                Ok(Step::Batch(BatchAt { position: at, header }))
            }
            Ok(_) | Err(_) => Ok(Step::Broken),
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.done..).unwrap_or_default()
    }

    /// Reads `wanted` bytes, or what is left, from where the reader stands.
    fn fill(&mut self, wanted: usize, left: u64) -> Result<(), StorageError> {
        self.position += self.done as u64;
        self.done = 0;
        let len = usize::try_from(left.min(wanted as u64)).unwrap_or(wanted);
        self.buffer.resize(len, 0);
        Ok(self.file.read_exact_at(&mut self.buffer, self.position)?)
    }
}
