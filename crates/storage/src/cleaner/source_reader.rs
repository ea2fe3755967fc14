//! The batches of a segment from front to back, with large reads. Every checksum is looked at: a broken batch must not get
//! a new one.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_env::fs::File;
use ottla_protocol::record_batch::{LOG_OVERHEAD, entry_size};

use crate::batch_scan::{BatchAt, check_crc, read_head};
use crate::error::StorageError;

/// See the module.
#[derive(Debug)]
pub(super) struct SourceReader {
    file: Arc<File>,
    end: u64,
    /// Where `buffer` begins in the file.
    position: u64,
    buffer: Vec<u8>,
    /// Bytes of `buffer` gone through.
    done: usize,
    read_bytes: usize,
    /// Bytes read and not yet told by [`Self::take_bytes_read`].
    untold: u64,
    reads: u64,
}

impl SourceReader {
    /// Reads `position..end`, both borders of batches, `read_bytes` at once, more only for a larger batch.
    pub(super) fn new(file: Arc<File>, position: u64, end: u64, read_bytes: usize) -> Self {
        Self { file, end, position, buffer: Vec::new(), done: 0, read_bytes, untold: 0, reads: 0 }
    }

    /// The next batch, or message of magic 0 or 1; None at the end.
    pub(super) fn next(&mut self) -> Result<Option<(BatchAt, &[u8])>, StorageError> {
        let position = self.position + self.done as u64;
        if position >= self.end {
            return Ok(None);
        }
        if !self.holds_one()? {
            self.fill(self.read_bytes.max(LOG_OVERHEAD))?;
            if !self.holds_one()? {
                let size = entry_size(self.rest()).ok().flatten().unwrap_or(usize::MAX);
                if size as u64 > self.end - position {
                    return Err(self.corrupt("it goes beyond the end of the segment"));
                }
                self.fill(size)?;
            }
        }
        let size = entry_size(self.rest()).ok().flatten().unwrap_or(0);
        let at = self.done;
        self.done += size;
        let batch = self.buffer.get(at..self.done).unwrap_or_default();
        match read_head(batch) {
            Ok(header) if check_crc(batch) && header.last_offset_delta >= 0 => {
                Ok(Some((BatchAt { position, header }, batch)))
            }
            Ok(_) => Err(corrupt_at(&self.file, position, "its checksum does not fit")),
            Err(error) => Err(corrupt_at(&self.file, position, &error.to_string())),
        }
    }

    /// Whether the buffer holds a whole batch.
    fn holds_one(&self) -> Result<bool, StorageError> {
        match entry_size(self.rest()) {
            Ok(Some(size)) => Ok(size <= self.rest().len()),
            Ok(None) => Ok(false),
            Err(error) => Err(self.corrupt(&error.to_string())),
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.done..).unwrap_or_default()
    }

    /// Reads `wanted` bytes, or what is left, from where the reader stands.
    fn fill(&mut self, wanted: usize) -> Result<(), StorageError> {
        let kept = self.rest().len();
        self.buffer.copy_within(self.done.., 0);
        self.position += self.done as u64;
        self.done = 0;
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let len = wanted.max(kept).min(left);
        if len <= self.read_bytes && self.buffer.capacity() > 4 * self.read_bytes {
            // A large batch has passed.
            self.buffer.truncate(kept);
            self.buffer.shrink_to(self.read_bytes);
        }
        self.buffer.resize(len, 0);
        let new = self.buffer.get_mut(kept..).unwrap_or_default();
        self.file.read_exact_at(new, self.position + kept as u64)?;
        self.untold += new.len() as u64;
        self.reads += 1;
        Ok(())
    }

    /// Bytes read since the last call.
    pub(super) fn take_bytes_read(&mut self) -> u64 {
        std::mem::take(&mut self.untold)
    }

    /// How often the file was read so far.
    pub(super) fn reads(&self) -> u64 {
        self.reads
    }

    fn corrupt(&self, reason: &str) -> StorageError {
        corrupt_at(&self.file, self.position + self.done as u64, reason)
    }
}

fn corrupt_at(file: &File, position: u64, reason: &str) -> StorageError {
    let reason = format!("the batch at position {position} is broken: {reason}");
    StorageError::Corrupt { path: PathBuf::from(file.path()), reason }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};

    use super::*;

    fn batch(base_offset: i64, value_bytes: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchOptions { base_offset, ..BatchOptions::default() });
        builder.append(1, Some(b"k"), Some(&vec![7; value_bytes]), &[]);
        builder.build()
    }

    fn written(dir: &std::path::Path, bytes: &[u8]) -> Arc<File> {
        let file = File::create(dir.join("x.log")).unwrap();
        file.set_len(0).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        Arc::new(file)
    }

    #[test]
    fn every_batch_comes_once_whatever_is_read_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let batches: Vec<_> = [10, 5_000, 1, 300, 20_000, 64, 64].into_iter().enumerate().collect();
        let batches: Vec<_> = batches.iter().map(|(n, size)| batch(*n as i64, *size)).collect();
        let file = written(dir.path(), &batches.concat());
        let end = file.len().unwrap();
        for read_bytes in [1, 12, 13, 61, 100, 4_096, 1 << 20] {
            let mut reader = SourceReader::new(Arc::clone(&file), 0, end, read_bytes);
            let (mut n, mut position, mut read) = (0, 0, 0);
            while let Some((at, bytes)) = reader.next().unwrap() {
                assert_eq!((at.header.base_offset, at.position), (n, position));
                assert_eq!(bytes, batches[n as usize]);
                (n, position) = (n + 1, at.end());
            }
            read += reader.take_bytes_read();
            assert_eq!((n, read), (7, end), "{read_bytes} at once");
            assert!(reader.buffer.capacity() <= (4 * read_bytes).max(30_000));
        }
    }

    #[test]
    fn what_is_broken_is_told_and_nothing_is_allocated_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let good = [batch(0, 100), batch(1, 100)].concat();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            let file = written(dir.path(), &bad);
            let mut reader = SourceReader::new(file, 0, bad.len() as u64, 64);
            let result: Result<Vec<i64>, _> =
                std::iter::from_fn(|| reader.next().map(|n| n.map(|(at, _)| at.header.base_offset)).transpose())
                    .collect();
            let offset_or_epoch = at % (good.len() / 2) < 16 && !(8..12).contains(&(at % (good.len() / 2)));
            assert!(result.is_err() || offset_or_epoch, "byte {at}: {result:?}");
            assert!(reader.buffer.capacity() < 4_096);
        }
    }
}
