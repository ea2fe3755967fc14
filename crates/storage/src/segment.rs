//! One `.log` file with its indexes. Kafka class: `LogSegment`.
//!
//! ```text
//!  <base offset>.log     ├─ batch ─┼─ batch ─┼───── batch ─────┼─ batch ─┤ size
//!  .index                     ▲ every index.interval.bytes: last offset -> position
//!  .timeindex                 ▲ largest timestamp so far -> its offset
//! ```
//! Appends come one at a time (the log's mutex); reads at any time. Invariant: `size` and then `next_offset` are published
//! after the bytes are in the file, so a reader that takes `size` first never looks beyond what is whole.
//!
//! The file is opened when it is needed ([`crate::open_files`]).

mod aborted;
mod files;
mod integrity;
mod load;
mod resync;
mod search;
mod space;
mod verify;
mod walk;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use ottla_env::fs::File;
use ottla_env::planted;
use ottla_protocol::record_batch::{BatchError, NO_TIMESTAMP};
use parking_lot::Mutex;

use crate::access::Access;
use crate::batch_scan::{BatchAt, read_head};
use crate::config::LogConfig;
use crate::error::StorageError;
use crate::log_folder::LogFolder;
use crate::offset_index::OffsetIndex;
use crate::open_files::LogFile;
use crate::time_index::{TimeIndex, TimestampOffset};
use crate::transaction_index::TransactionIndex;

pub use integrity::DamagedRange;
use integrity::Integrity;
pub(crate) use search::SliceLimits;
pub(crate) use verify::{Around, Bounds, Until};

/// Bytes of a segment's file that can be sent without being looked at: whole batches.
#[derive(Debug, Clone)]
pub struct FileSlice {
    /// The segment's file. It is opened to be read, and holds no descriptor otherwise.
    pub file: Arc<LogFile>,
    /// Where the slice begins.
    pub position: u64,
    /// Its bytes.
    pub len: u32,
}

impl FileSlice {
    /// Copies the slice into memory.
    ///
    /// # Errors
    /// When the file cannot be opened or read, or was cut meanwhile.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len as usize];
        self.file.open()?.read_exact_at(&mut bytes, self.position)?;
        Ok(bytes)
    }
}

/// What the files of a segment hold, as far as loading found out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SegmentFiles {
    /// Bytes of the `.log` file that are whole batches.
    pub(crate) size: u64,
    /// Entries of `.index`.
    pub(crate) offset_entries: u64,
    /// Entries of `.timeindex`.
    pub(crate) time_entries: u64,
    /// Entries of `.txnindex`.
    pub(crate) transaction_entries: u64,
}

/// Why a write failed.
#[derive(Debug)]
pub(crate) struct WriteFailed {
    pub(crate) error: StorageError,
    /// Whether the file is as it was before.
    pub(crate) undone: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Segment {
    folder: Arc<LogFolder>,
    base_offset: i64,
    log_file: Arc<LogFile>,
    size: AtomicU64,
    next_offset: AtomicI64,
    offsets: OffsetIndex,
    times: TimeIndex,
    aborted: TransactionIndex,
    tail: Mutex<Tail>,
    integrity: Integrity,
    /// Up to where blocks of the device are held for the file, or its length, beyond its batches; 0 for neither.
    held_to: AtomicU64,
}

/// What only the end of a segment needs.
#[derive(Debug)]
struct Tail {
    /// None: not looked up yet.
    largest: Option<TimestampOffset>,
    /// Of the first batch, from which the segment's age counts.
    first_timestamp: Option<i64>,
    bytes_since_index: usize,
    created_ms: i64,
    jitter_ms: i64,
}

impl Segment {
    /// A segment whose files exist, or will be created by [`Self::create_files`].
    pub(crate) fn new(
        folder: Arc<LogFolder>,
        base_offset: i64,
        next_offset: i64,
        files: SegmentFiles,
        created_ms: i64,
        jitter_ms: i64,
    ) -> Self {
        let none = TimestampOffset { timestamp: NO_TIMESTAMP, offset: base_offset };
        let tail = Tail {
            largest: (files.size == 0).then_some(none),
            first_timestamp: None,
            bytes_since_index: 0,
            created_ms,
            jitter_ms,
        };
        Self {
            offsets: OffsetIndex::new(Arc::clone(&folder), base_offset, files.offset_entries),
            times: TimeIndex::new(Arc::clone(&folder), base_offset, files.time_entries),
            aborted: TransactionIndex::new(Arc::clone(&folder), base_offset, files.transaction_entries),
            log_file: LogFile::new(Arc::clone(&folder), base_offset),
            folder,
            base_offset,
            size: AtomicU64::new(files.size),
            next_offset: AtomicI64::new(next_offset),
            tail: Mutex::new(tail),
            integrity: Integrity::new(files.size),
            held_to: AtomicU64::new(0),
        }
    }

    /// Creates the files, empty. Their names are durable after the next sync of the directory.
    pub(crate) fn create_files(&self) -> Result<(), StorageError> {
        // The indexes too: Kafka takes a missing one for a broken one.
        for path in [self.log_path(), self.offsets.file().path(), self.times.file().path()] {
            File::create(path).map_err(StorageError::Open)?.set_len(0)?;
        }
        Ok(())
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// Where its `.log` file is now.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.log_file.path()
    }

    /// Whether any part cannot be read.
    pub(crate) fn is_damaged(&self) -> bool {
        self.integrity.is_damaged()
    }

    /// The parts that cannot be read, ascending.
    pub(crate) fn damaged(&self) -> Vec<DamagedRange> {
        self.integrity.damaged()
    }

    /// The damaged part that holds `offset`.
    pub(crate) fn damage_at(&self, offset: i64) -> Option<DamagedRange> {
        self.damaged().into_iter().find(|range| (range.first_offset..range.end_offset).contains(&offset))
    }

    /// Bytes of whole batches.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// The offset after the last batch.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset.load(Ordering::Acquire)
    }

    /// The open file.
    pub(crate) fn file(&self) -> Result<Arc<File>, StorageError> {
        self.log_file.open().map_err(StorageError::Open)
    }

    /// The file, open or not.
    pub(crate) fn log_file(&self) -> &Arc<LogFile> {
        &self.log_file
    }

    /// The open file, opened if need be and one may wait for that.
    pub(crate) fn file_by(&self, access: Access) -> Result<Arc<File>, StorageError> {
        if access == Access::Cached && !self.log_file.is_open() {
            return Err(Access::cold());
        }
        self.file()
    }

    /// Whether `offset` was appended lately: its index entry has not been written out yet.
    pub(crate) fn is_recent(&self, offset: i64) -> bool {
        self.offsets.is_recent(offset)
    }

    /// Gives the descriptor back if nobody asked for it since the last call.
    pub(crate) fn close_if_idle(&self) {
        self.log_file.close_if_idle();
    }

    /// Gives the descriptor back; the next use opens the file again.
    pub(crate) fn close(&self) {
        self.log_file.close();
    }

    /// Whether the segment must be closed before `incoming` bytes that reach up to `last_offset` are appended.
    pub(crate) fn should_roll(
        &self,
        config: &LogConfig,
        incoming: usize,
        last_offset: i64,
        max_timestamp: i64,
        now_ms: i64,
    ) -> bool {
        let size = self.size();
        let tail = self.tail.lock();
        let age = match tail.first_timestamp {
            Some(first) if first >= 0 && max_timestamp >= 0 => max_timestamp.saturating_sub(first),
            Some(_) | None => now_ms.saturating_sub(tail.created_ms),
        };
        let too_old = size > 0 && age > config.max_segment_ms().saturating_sub(tail.jitter_ms);
        let too_large = size > 0 && size + incoming as u64 > config.segment_bytes as u64;
        let full = self.offsets.is_full(config.segment_index_bytes) || self.times.is_full(config.segment_index_bytes);
        let overflow = size > 0 && i32::try_from(last_offset - self.base_offset).is_err();
        too_large || too_old || (size > 0 && full) || overflow
    }

    /// Writes whole batches at the end with one write, and notes them in the indexes.
    pub(crate) fn append(&self, batches: &[u8], index_interval_bytes: usize) -> Result<(), WriteFailed> {
        let position = self.size();
        let first_offset = self.next_offset();
        let written = self.file().and_then(|file| {
            file.write_all_at(batches, position)?;
            self.note(batches, position, index_interval_bytes)
        });
        match written {
            Ok(next_offset) => {
                self.size.store(position + batches.len() as u64, Ordering::Release);
                self.next_offset.store(next_offset, Ordering::Release);
                Ok(())
            }
            Err(error) if planted::is("half a batch stays where a write failed") => {
                Err(WriteFailed { error, undone: true })
            }
            Err(error) => Err(WriteFailed { error, undone: self.truncate_files(position, first_offset).is_ok() }),
        }
    }

    /// Notes batches that lie at `position` in the file; gives the offset after them.
    fn note(&self, batches: &[u8], position: u64, index_interval_bytes: usize) -> Result<i64, StorageError> {
        let mut tail = self.tail.lock();
        let mut rest = batches;
        let mut position = position;
        let mut next_offset = self.base_offset;
        while !rest.is_empty() {
            let header = read_head(rest).map_err(|e| self.corrupt(&e))?;
            let at = BatchAt { position, header };
            self.note_batch(&mut tail, &at, index_interval_bytes)?;
            next_offset = header.next_offset();
            position = at.end();
            rest = rest.get(header.size_bytes()..).unwrap_or_default();
        }
        Ok(next_offset)
    }

    fn corrupt(&self, error: &BatchError) -> StorageError {
        StorageError::Corrupt { path: self.log_path(), reason: error.to_string() }
    }

    fn note_batch(&self, tail: &mut Tail, at: &BatchAt, index_interval_bytes: usize) -> Result<(), StorageError> {
        let header = &at.header;
        let none = TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset };
        let largest = tail.largest.get_or_insert(none);
        // A batch that compaction emptied has a timestamp, but no record of that time.
        if header.max_timestamp > largest.timestamp && header.record_count > 0 {
            *largest = TimestampOffset { timestamp: header.max_timestamp, offset: header.last_offset() };
        }
        tail.first_timestamp.get_or_insert(header.max_timestamp);
        if tail.bytes_since_index > index_interval_bytes {
            self.offsets.push(header.last_offset(), at.position)?;
            self.times.maybe_push(*largest)?;
            tail.bytes_since_index = 0;
        }
        tail.bytes_since_index += header.size_bytes();
        Ok(())
    }

    /// Notes a batch that recovery has read from the file, and makes it part of the segment.
    pub(crate) fn adopt(&self, at: &BatchAt, index_interval_bytes: usize) -> Result<(), StorageError> {
        self.note_batch(&mut self.tail.lock(), at, index_interval_bytes)?;
        self.size.store(at.end(), Ordering::Release);
        self.next_offset.store(at.header.next_offset(), Ordering::Release);
        Ok(())
    }

    /// Makes damaged bytes part of the segment, so that they stay where they are.
    pub(crate) fn adopt_damaged(&self, range: &DamagedRange) {
        self.size.fetch_max(range.end_position, Ordering::AcqRel);
        self.next_offset.fetch_max(range.end_offset, Ordering::AcqRel);
    }

    /// Nothing will be appended any more: the time index gets its closing entry, and space is given back.
    pub(crate) fn close_for_appends(&self) -> Result<(), StorageError> {
        self.give_back()?;
        let largest = self.largest()?;
        self.times.maybe_push(largest)
    }

    /// Waits until the device has all batches, and the transactions that they abort.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        self.sync_batches()?;
        self.sync_aborted()
    }

    /// Waits until the device has all batches, which takes no space.
    pub(crate) fn sync_batches(&self) -> Result<(), StorageError> {
        let file = self.file()?;
        if planted::is("a failed sync is passed over") {
            let _failed = file.sync_data();
        } else if !planted::is("a flush without a sync") {
            file.sync_data()?;
        }
        Ok(())
    }

    /// Writes what of the indexes is in memory only.
    pub(crate) fn write_indexes(&self) -> Result<(), StorageError> {
        self.offsets.file().write_pending()?;
        self.times.file().write_pending()?;
        self.write_aborted()
    }

    /// Waits until the device has the indexes too.
    pub(crate) fn sync_indexes(&self) -> Result<(), StorageError> {
        self.offsets.file().sync()?;
        self.times.file().sync()
    }
}
