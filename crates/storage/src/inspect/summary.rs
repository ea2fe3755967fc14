//! A partition at a glance: its segments with their sizes and times, where the log begins and ends, and what of it is
//! compacted. Reads a few KiB of each segment, not the segment.

use std::io;
use std::path::{Path, PathBuf};

use ottla_env::fs;
use ottla_protocol::Uuid;

use super::batch_file::{BatchFile, Step};
use super::directory::Checkpoints;
use super::index_files::{OffsetIndexFile, TimeIndexFile};
use super::partition_files::{PartitionFiles, SegmentEntry};
use crate::batch_scan::BatchAt;
use crate::file_names::{INDEX, LOG, TIME_INDEX};
use crate::leader_epoch_cache::{self, EpochStart, LeaderEpochCache};
use crate::partition_metadata;
use crate::transaction_index;

/// A segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Its files and their bytes.
    pub files: SegmentEntry,
    /// The offset after its last batch.
    pub end_offset: i64,
    /// Timestamp of its first batch and its largest one, in ms; None when it has none.
    pub timestamps: Option<(i64, i64)>,
    /// Entries of `.index`, those of a preallocated file left out.
    pub offset_entries: u64,
    /// Entries of `.timeindex`.
    pub time_entries: u64,
    /// Aborted transactions in `.txnindex`.
    pub aborted: u64,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct PartitionSummary {
    /// Its directory.
    pub path: PathBuf,
    /// In partition.metadata.
    pub topic_id: Option<Uuid>,
    /// Segments by base offset.
    pub segments: Vec<SegmentSummary>,
    /// What the checkpoints say.
    pub checkpoints: Checkpoints,
    /// Leader epochs; empty when the file cannot be understood.
    pub epochs: Vec<EpochStart>,
    /// Producer snapshots.
    pub snapshots: u64,
    /// Bytes of batches that the cleaner has not been through; None if it never was here.
    pub dirty_bytes: Option<u64>,
    /// Files that a deletion or a compaction left behind.
    pub leftovers: u64,
}

impl PartitionSummary {
    /// Looks at a partition's directory.
    ///
    /// # Errors
    /// When it cannot be listed. A file that cannot be read counts as empty.
    pub fn read(path: &Path, checkpoints: Checkpoints) -> io::Result<Self> {
        let files = PartitionFiles::list(path)?;
        let mut segments = Vec::with_capacity(files.segments.len());
        for (n, entry) in files.segments.iter().enumerate() {
            let next = files.segments.get(n + 1).map(|next| next.base_offset);
            segments.push(segment(&files, entry, next));
        }
        let epochs = fs::read_to_string(path.join(leader_epoch_cache::FILE_NAME)).unwrap_or_default();
        let epochs = LeaderEpochCache::from_text(&epochs).map(|cache| cache.entries().to_vec()).unwrap_or_default();
        Ok(Self {
            path: path.to_owned(),
            topic_id: partition_metadata::read(path).ok().flatten(),
            dirty_bytes: checkpoints.clean_until.map(|clean| dirty_bytes(&files, clean)),
            segments,
            checkpoints,
            epochs,
            snapshots: files.snapshots.len() as u64,
            leftovers: files.leftovers.len() as u64,
        })
    }

    /// Bytes of batches.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.files.log).sum()
    }

    /// First offset that consumers may read.
    #[must_use]
    pub fn start_offset(&self) -> i64 {
        let first = self.segments.first().map_or(0, |s| s.files.base_offset);
        self.checkpoints.log_start.unwrap_or(first).max(first)
    }

    /// The offset after the last batch.
    #[must_use]
    pub fn end_offset(&self) -> i64 {
        self.segments.last().map_or(0, |s| s.end_offset)
    }

    /// The smallest first and the largest timestamp.
    #[must_use]
    pub fn timestamps(&self) -> Option<(i64, i64)> {
        let all = || self.segments.iter().filter_map(|s| s.timestamps);
        Some((all().map(|t| t.0).min()?, all().map(|t| t.1).max()?))
    }
}

fn segment(files: &PartitionFiles, entry: &SegmentEntry, next: Option<i64>) -> SegmentSummary {
    let base = entry.base_offset;
    let offset_entries = entry.index.map_or(0, |_| offset_entries(&files.file(base, INDEX)).unwrap_or(0));
    let (time_entries, indexed) =
        entry.time_index.and_then(|_| time_entries(&files.file(base, TIME_INDEX)).ok()).unwrap_or((0, None));
    let log = files.file(base, LOG);
    let first = first_batch(&log).ok().flatten();
    let mut end_offset = next.unwrap_or(base);
    let mut largest = indexed;
    // A closed segment ends where the next begins, and its time index says its largest timestamp.
    if next.is_none() || indexed.is_none() {
        let tail = tail(files, base, &log, offset_entries).unwrap_or(None);
        largest = largest.max(tail.map(|t| t.1));
        if next.is_none() {
            end_offset = tail.map_or(base, |t| t.0);
        }
    }
    let first_time = first.map(|at| match at.header.has_delete_horizon() || at.header.base_timestamp < 0 {
        true => at.header.max_timestamp,
        false => at.header.base_timestamp,
    });
    SegmentSummary {
        files: *entry,
        end_offset,
        timestamps: first_time.filter(|t| *t >= 0).zip(largest).map(|(from, to)| (from, to.max(from))),
        offset_entries,
        time_entries,
        aborted: entry.txn_index.unwrap_or(0) / transaction_index::ENTRY_BYTES as u64,
    }
}

fn first_batch(log: &Path) -> io::Result<Option<BatchAt>> {
    match BatchFile::open(log)?.next_step()? {
        Step::Batch(at) => Ok(Some(at)),
        Step::End | Step::Cut { .. } | Step::Broken { .. } => Ok(None),
    }
}

/// The offset after the last batch and the largest timestamp behind the last index entry, or of all if that points nowhere.
fn tail(files: &PartitionFiles, base: i64, log: &Path, entries: u64) -> io::Result<Option<(i64, i64)>> {
    let mut file = BatchFile::open(log)?;
    let indexed = match entries.checked_sub(1) {
        Some(last) => OffsetIndexFile::open(&files.file(base, INDEX))?.entry(last)?.position,
        None => 0,
    };
    let found = heads(&mut file, indexed)?;
    if found.is_none() && indexed > 0 { heads(&mut file, 0) } else { Ok(found) }
}

fn heads(file: &mut BatchFile, position: u64) -> io::Result<Option<(i64, i64)>> {
    let mut found: Option<(i64, i64)> = None;
    file.seek(position);
    while let Step::Batch(at) = file.next_step()? {
        let largest = found.map_or(at.header.max_timestamp, |(_, t)| t.max(at.header.max_timestamp));
        found = Some((at.header.next_offset(), largest));
    }
    Ok(found)
}

/// Entries before the zeros of a preallocated file.
fn offset_entries(path: &Path) -> io::Result<u64> {
    let mut file = OffsetIndexFile::open(path)?;
    let base = file.base_offset();
    used(file.len(), |n| Ok(file.entry(n)?.offset > base))
}

/// Entries before the zeros of a preallocated file, and the timestamp of the last.
fn time_entries(path: &Path) -> io::Result<(u64, Option<i64>)> {
    let mut file = TimeIndexFile::open(path)?;
    let entries = used(file.len(), |n| Ok(file.entry(n)?.timestamp > 0))?;
    let last = entries.checked_sub(1).map(|last| file.entry(last)).transpose()?;
    Ok((entries, last.map(|entry| entry.timestamp)))
}

/// How many of `len` entries are in use: those that are come first.
fn used(len: u64, mut in_use: impl FnMut(u64) -> io::Result<bool>) -> io::Result<u64> {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if in_use(middle)? { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// Bytes from the first batch at or behind `clean` on.
fn dirty_bytes(files: &PartitionFiles, clean: i64) -> u64 {
    let mut dirty = 0;
    for (n, entry) in files.segments.iter().enumerate() {
        let next = files.segments.get(n + 1).map_or(i64::MAX, |next| next.base_offset);
        if entry.base_offset >= clean {
            dirty += entry.log;
        } else if next > clean {
            dirty += entry.log.saturating_sub(position_of(files, entry, clean).unwrap_or(0));
        }
    }
    dirty
}

/// Where the first batch that reaches `offset` begins.
fn position_of(files: &PartitionFiles, entry: &SegmentEntry, offset: i64) -> io::Result<u64> {
    let mut file = BatchFile::open(&files.file(entry.base_offset, LOG))?;
    let mut position = 0;
    if let Ok(mut index) = OffsetIndexFile::open(&files.file(entry.base_offset, INDEX)) {
        position = index.lookup(offset)?.position;
    }
    file.seek(position);
    while let Step::Batch(at) = file.next_step()? {
        if at.header.last_offset() >= offset {
            return Ok(at.position);
        }
        position = at.end();
    }
    Ok(position)
}
