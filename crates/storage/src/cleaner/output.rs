//! The segments that a pass writes, one after the other: `.cleaned` until they are put in place.

use std::sync::Arc;

use super::CleanError;
use super::pass::Pass;
use crate::error::StorageError;
use crate::log::Log;
use crate::segment::Segment;
use crate::transaction_index::AbortedTransaction;
use ottla_env::planted;
use ottla_protocol::record_batch::BatchHeader;

/// Most bytes of a segment: positions are 31 bits.
const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;

/// What becomes of one group of segments: nearly always one segment.
pub(super) struct Output<'a> {
    log: &'a Log,
    index_interval_bytes: usize,
    write_bytes: usize,
    /// The last is being written.
    segments: Vec<Arc<Segment>>,
    /// Batches that are not written yet.
    pub(super) buffer: Vec<u8>,
    pub(super) bytes_written: u64,
}

impl<'a> Output<'a> {
    /// Begins with an empty segment at `base_offset`.
    pub(super) fn new(pass: &Pass<'a>, base_offset: i64) -> Result<Self, StorageError> {
        let log: &'a Log = pass.chosen.log;
        Ok(Self {
            log,
            index_interval_bytes: pass.chosen.config.index_interval_bytes,
            write_bytes: pass.read_bytes,
            segments: vec![Arc::new(log.create_cleaned_segment(base_offset)?)],
            buffer: Vec::new(),
            bytes_written: 0,
        })
    }

    fn current(&self) -> Result<&Arc<Segment>, StorageError> {
        self.segments.last().ok_or_else(|| self.log.no_segment())
    }

    /// Before a batch is put into the buffer. A segment whose indexes could not reach its offset ends here, as Kafka splits
    /// what old versions have written too long; so does one that would get too large.
    pub(super) fn prepare(&mut self, header: &BatchHeader) -> Result<(), StorageError> {
        let current = self.current()?;
        let spans = i32::try_from(header.last_offset() - current.base_offset()).is_ok();
        // Packed anew, a batch may take a little more.
        let at_most = current.size() + self.buffer.len() as u64 + 2 * header.size_bytes() as u64;
        let is_empty = current.size() == 0 && self.buffer.is_empty();
        if spans && (is_empty || at_most <= SEGMENT_BYTES_MAX) {
            return Ok(());
        }
        self.write()?;
        if header.base_offset > self.current()?.base_offset() {
            self.segments.push(Arc::new(self.log.create_cleaned_segment(header.base_offset)?));
        }
        Ok(())
    }

    /// After a batch was put into the buffer: writes when there is enough.
    pub(super) fn maybe_write(&mut self) -> Result<(), StorageError> {
        if self.buffer.len() >= self.write_bytes { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StorageError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.current()?.append(&self.buffer, self.index_interval_bytes).map_err(|failed| failed.error)?;
        self.bytes_written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(4 * self.write_bytes);
        Ok(())
    }

    /// Notes an aborted transaction whose marker is the next batch.
    pub(super) fn note_aborted(&self, aborted: AbortedTransaction) -> Result<(), StorageError> {
        self.current()?.note_aborted(aborted)
    }

    /// Everything is written and synced, and as old as what it replaces.
    pub(super) fn finish(&mut self, modified_ms: i64) -> Result<(), StorageError> {
        self.write()?;
        for segment in &self.segments {
            segment.close_for_appends()?;
            if !planted::is("compacted segments are not synced") {
                segment.sync()?;
                segment.sync_indexes()?;
            }
            segment.set_modified_ms(modified_ms)?;
        }
        Ok(())
    }

    /// Puts the segments in the place of `old`.
    pub(super) fn replace(mut self, pass: &Pass<'_>, old: &[Arc<Segment>]) -> Result<(), CleanError> {
        if !self.log.exchange_segments(old, &self.segments, pass.chosen.ticket)? {
            return Err(CleanError::Interrupted);
        }
        // They are the log's now.
        self.segments.clear();
        Ok(())
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        if self.log.dir().check_online().is_ok() {
            self.segments.iter().for_each(|segment| segment.discard());
        }
    }
}
