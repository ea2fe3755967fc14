//! A file of record batches (`.log`, `.checkpoint`) from front to back, whatever is wrong with it.

use std::io;
use std::path::Path;

use ottla_protocol::record_batch::{BatchError, HEADER_BYTES, LOG_OVERHEAD};

use super::window::{WINDOW_BYTES, Window};
use crate::batch_scan::{BatchAt, read_head};

/// Offset, length, leader epoch or checksum, and the magic: without them nothing can be said of a batch.
const BYTES_UP_TO_MAGIC: u64 = 17;
/// A message of magic 0 without key and value, after its length.
const SMALLEST_LENGTH: i32 = 14;

/// What lies next in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A batch that lies wholly in the file; its checksum is not looked at.
    Batch(BatchAt),
    /// Nothing: the file ends at the border of a batch.
    End,
    /// The beginning of a batch that the file's end cuts, or fewer bytes than say anything.
    Cut {
        /// Where it begins.
        position: u64,
        /// Bytes from there to the end.
        bytes: u64,
    },
    /// Bytes that are no batch.
    Broken {
        /// Where a batch was expected.
        position: u64,
        /// Why these bytes are none.
        error: BatchError,
    },
}

/// See the module.
#[derive(Debug)]
pub struct BatchFile {
    window: Window,
    position: u64,
}

impl BatchFile {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { window: Window::open(path)?, position: 0 })
    }

    /// Bytes of the file when it was opened, or the limit.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.window.end()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets the file end at `end`, if that is earlier.
    pub fn limit(&mut self, end: u64) {
        self.window.limit(end);
    }

    /// Goes on at `position`.
    pub fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// What lies next; only a batch is passed over.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_step(&mut self) -> io::Result<Step> {
        let position = self.position;
        let left = self.len().saturating_sub(position);
        if left == 0 {
            return Ok(Step::End);
        }
        let cut = Step::Cut { position, bytes: left };
        if left <= BYTES_UP_TO_MAGIC {
            return Ok(cut);
        }
        let head = self.window.get(position, HEADER_BYTES)?;
        let Some(length) = head.get(8..).and_then(|b| b.first_chunk::<4>()) else { return Ok(cut) };
        let length = i32::from_be_bytes(*length);
        if length < SMALLEST_LENGTH {
            return Ok(Step::Broken { position, error: BatchError::Length(length) });
        }
        if LOG_OVERHEAD as u64 + length as u64 > left {
            return Ok(cut);
        }
        match read_head(head) {
            Ok(header) => {
                let at = BatchAt { position, header };
                self.position = at.end();
                Ok(Step::Batch(at))
            }
            Err(error) => Ok(Step::Broken { position, error }),
        }
    }

    /// Whether the batch has the checksum that it states. It passes by in pieces, however large it is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn crc_fits(&mut self, at: &BatchAt) -> io::Result<bool> {
        // CRC-32C from the attributes on; before magic 2 CRC-32 from the magic on.
        let (algorithm, skip) = match at.header.magic {
            0 | 1 => (crc_fast::CrcAlgorithm::Crc32IsoHdlc, 16),
            _ => (crc_fast::CrcAlgorithm::Crc32Iscsi, 21),
        };
        let mut digest = crc_fast::Digest::new(algorithm);
        let mut position = at.position + skip;
        while position < at.end() {
            let wanted = usize::try_from(at.end() - position).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
            let piece = self.window.get(position, wanted)?;
            if piece.is_empty() {
                return Ok(false);
            }
            digest.update(piece);
            position += piece.len() as u64;
        }
        Ok(digest.finalize() == u64::from(at.header.crc))
    }

    /// The whole batch in memory; fewer bytes if the file was cut meanwhile.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn bytes(&mut self, at: &BatchAt) -> io::Result<&[u8]> {
        self.window.get(at.position, at.header.size_bytes())
    }

    /// Bytes from `position` on, at most `len` of them.
    pub(super) fn raw(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        self.window.get(position, len)
    }
}
