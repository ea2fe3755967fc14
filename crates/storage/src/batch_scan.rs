//! From batch to batch through a segment's file, looking at the heads only. The first read is of one head, for many a scan
//! asks for no more; then a few KiB at once while batches are small, and only the heads where they are large.

use std::path::PathBuf;

use ottla_env::fs::File;
use ottla_protocol::legacy_records;
use ottla_protocol::record_batch::{
    BatchError, BatchHeader, HEADER_BYTES, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
};

use crate::access::Access;
use crate::error::StorageError;

const WINDOW_BYTES: usize = 8192;
/// Batches larger than this are skipped over, not read through.
const SKIP_FROM_BYTES: u64 = 2048;

/// A batch and where it lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchAt {
    /// Where it begins, in bytes.
    pub position: u64,
    /// Its head. A message of magic 0 or 1 is told as a batch of one record at the message's offset.
    pub header: BatchHeader,
}

impl BatchAt {
    /// Where the next batch begins.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.position + self.header.size_bytes() as u64
    }
}

/// The head of a batch of any magic. A message of magic 0 or 1 is told as a batch of its own, of one record at the
/// message's offset, which for a compressed one is that of the last record within.
pub(crate) fn read_head(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let magic = match BatchHeader::read(bytes) {
        Err(BatchError::Magic(magic @ (0 | 1))) => magic,
        other => return other,
    };
    // offset i64, size i32, crc u32, magic i8, attributes i8, and with magic 1 a timestamp i64
    let truncated = BatchError::Truncated { wanted: HEADER_BYTES, left: bytes.len() };
    let head = bytes.first_chunk::<26>().ok_or(truncated)?;
    let [a, b, c, d, e, f, g, h, s0, s1, s2, s3, c0, c1, c2, c3, _, attributes, t @ ..] = *head;
    let batch_length = i32::from_be_bytes([s0, s1, s2, s3]);
    if batch_length < 14 {
        return Err(BatchError::Length(batch_length));
    }
    let timestamp = if magic == 1 { i64::from_be_bytes(t) } else { -1 };
    Ok(BatchHeader {
        base_offset: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        batch_length,
        partition_leader_epoch: -1,
        magic,
        crc: u32::from_be_bytes([c0, c1, c2, c3]),
        attributes: i16::from(attributes),
        last_offset_delta: 0,
        base_timestamp: timestamp,
        max_timestamp: timestamp,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        record_count: 1,
    })
}

/// Whether a whole batch, or message, has the checksum that it states.
pub(crate) fn check_crc(batch: &[u8]) -> bool {
    match BatchHeader::read(batch) {
        Err(BatchError::Magic(_)) => legacy_records::LegacyEntry::read(batch).is_ok_and(|entry| entry.check_crc()),
        Err(_) => false,
        Ok(_) => ottla_protocol::record_batch::check_crc(batch),
    }
}

/// See the module.
pub(crate) struct BatchScanner<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    /// What was read last. Made when it is read: a scanner is moved about, and four of them look at one head each for a fetch.
    window: Vec<u8>,
    window_at: u64,
    /// Size of the batch before, by which the next read is chosen; none yet.
    last_size: Option<u64>,
    /// Damaged parts in ascending order, none of whose bytes is to be believed: they are jumped over.
    skips: Vec<(u64, u64)>,
    access: Access,
}

impl<'a> BatchScanner<'a> {
    /// Scans `position..end`, both borders of batches.
    pub(crate) fn new(file: &'a File, position: u64, end: u64) -> Self {
        Self {
            file,
            position,
            end,
            window: Vec::new(),
            window_at: 0,
            last_size: None,
            skips: Vec::new(),
            access: Access::MayWait,
        }
    }

    /// Reads as it may.
    pub(crate) fn with(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Jumps over these parts, from position to position, in ascending order.
    pub(crate) fn skipping(mut self, skips: Vec<(u64, u64)>) -> Self {
        self.skips = skips;
        self
    }

    /// The next batch; None at the end.
    pub(crate) fn next(&mut self) -> Result<Option<BatchAt>, StorageError> {
        if let Some((_, to)) = self.skips.iter().find(|(from, to)| (*from..*to).contains(&self.position)) {
            self.position = *to;
        }
        if self.position >= self.end {
            return Ok(None);
        }
        let left = self.end - self.position;
        let wanted = usize::try_from(left.min(HEADER_BYTES as u64)).unwrap_or(HEADER_BYTES);
        let bytes = self.bytes_at(wanted)?;
        let header = read_head(bytes).map_err(|error| self.corrupt(&error.to_string()))?;
        let at = BatchAt { position: self.position, header };
        if at.end() > self.end {
            return Err(self.corrupt("the batch goes beyond the end of the segment"));
        }
        self.last_size = Some(header.size_bytes() as u64);
        self.position = at.end();
        Ok(Some(at))
    }

    fn corrupt(&self, reason: &str) -> StorageError {
        StorageError::NoBatch {
            path: PathBuf::from(self.file.path()),
            position: self.position,
            reason: reason.to_owned(),
        }
    }

    /// At least `wanted` bytes at the position, read if the window has them not.
    fn bytes_at(&mut self, wanted: usize) -> Result<&[u8], StorageError> {
        let inside = self.position.checked_sub(self.window_at).and_then(|skip| usize::try_from(skip).ok());
        let held = inside.filter(|skip| skip + wanted <= self.window.len());
        let skip = match held {
            Some(skip) => skip,
            None => {
                let are_small = self.last_size.is_some_and(|size| size <= SKIP_FROM_BYTES);
                let full = if are_small { WINDOW_BYTES as u64 } else { wanted as u64 };
                let len = usize::try_from(full.min(self.end - self.position)).unwrap_or(WINDOW_BYTES);
                self.access.check(self.file, self.position, len as u64)?;
                // Nothing is held if the read fails.
                self.window.clear();
                self.window.resize(len, 0);
                let read = self.file.read_exact_at(&mut self.window, self.position);
                read.inspect_err(|_| self.window.clear())?;
                self.window_at = self.position;
                0
            }
        };
        Ok(self.window.get(skip..).unwrap_or_default())
    }
}

/// Reads a whole batch.
pub(crate) fn read_batch(file: &File, at: &BatchAt) -> Result<Vec<u8>, StorageError> {
    // The scanner has checked that so many bytes are in the file.
    let mut bytes = vec![0; at.header.size_bytes()];
    file.read_exact_at(&mut bytes, at.position)?;
    Ok(bytes)
}
