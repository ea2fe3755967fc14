//! Reads a segment's file in large pieces and gives the batches whose checksums fit: for recovery and verification, which
//! look at every byte.

use ottla_env::fs::File;
use ottla_env::planted;
use ottla_protocol::record_batch::{HEADER_BYTES, entry_size};

use crate::batch_scan::{BatchAt, check_crc, read_head};
use crate::error::StorageError;

/// Bytes read at once, more only for a larger batch.
const READ_BYTES: usize = 1 << 20;
/// A batch that says to be larger is read only if something that looks like a batch, or the end, follows it: a length with
/// a wrong bit would otherwise cost that much memory.
const BELIEVED_BYTES: usize = 4 << 20;

/// What lies next in the file.
#[derive(Debug)]
pub(crate) enum Step {
    /// A batch whose checksum fits.
    Batch(BatchAt),
    /// No batch, or one whose checksum does not fit. The reader stays in front of it.
    Broken,
    /// The end.
    End,
}

/// See the module.
pub(crate) struct BatchReader<'a> {
    file: &'a File,
    end: u64,
    /// Where `buffer` begins in the file.
    position: u64,
    buffer: Vec<u8>,
    /// Bytes of `buffer` gone through.
    done: usize,
}

impl<'a> BatchReader<'a> {
    /// Reads `position..end`.
    pub(crate) fn new(file: &'a File, position: u64, end: u64) -> Self {
        Self { file, end, position, buffer: Vec::new(), done: 0 }
    }

    /// Where the reader stands.
    pub(crate) fn position(&self) -> u64 {
        self.position + self.done as u64
    }

    /// Goes on at `position`.
    pub(crate) fn seek(&mut self, position: u64) {
        self.position = position;
        self.buffer.clear();
        self.done = 0;
    }

    /// The batch where the reader stands; it then stands behind it.
    pub(crate) fn next(&mut self) -> Result<Step, StorageError> {
        let at = self.position();
        if at >= self.end {
            return Ok(Step::End);
        }
        let left = self.end - at;
        if self.rest().len() < HEADER_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX)) {
            self.fill(READ_BYTES, left)?;
        }
        let size = match entry_size(self.rest()) {
            Ok(Some(size)) if size as u64 <= left => size,
            Ok(_) | Err(_) => return Ok(Step::Broken),
        };
        if size > self.rest().len() {
            if size > BELIEVED_BYTES && !self.is_followed(at + size as u64)? {
                return Ok(Step::Broken);
            }
            self.fill(size.max(READ_BYTES), left)?;
        }
        let batch = self.rest().get(..size).unwrap_or_default();
        match read_head(batch) {
            Ok(header) if check_crc(batch) || planted::is("no checksum is looked at") => {
                self.done += size;
                Ok(Step::Batch(BatchAt { position: at, header }))
            }
            Ok(_) | Err(_) => Ok(Step::Broken),
        }
    }

    /// Goes on where the broken batch before the reader says that it ends; false if it says nothing of the kind.
    pub(crate) fn pass_over(&mut self) -> bool {
        let Ok(Some(size)) = entry_size(self.rest()) else { return false };
        let end = self.position() + size as u64;
        if end < self.end {
            self.seek(end);
        }
        end < self.end
    }

    /// Whether the file ends at `position`, or the head of a batch lies there.
    fn is_followed(&self, position: u64) -> Result<bool, StorageError> {
        let mut head = [0; HEADER_BYTES];
        let len = usize::try_from(self.end - position).unwrap_or(HEADER_BYTES).min(HEADER_BYTES);
        let head = head.get_mut(..len).unwrap_or_default();
        self.file.read_exact_at(head, position)?;
        Ok(head.is_empty() || read_head(head).is_ok())
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
