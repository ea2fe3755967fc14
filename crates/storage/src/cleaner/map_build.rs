//! The first read of a pass: the last offset of each key of the dirty part. Kafka: `Cleaner.buildOffsetMap`.

use ottla_env::planted;
use ottla_protocol::record_batch::BatchError;

use super::offset_map::{Full, Hashed, OffsetMap, TOGETHER};
use super::pass::Pass;
use super::records::{CleanRecords, is_legacy, legacy, shrink};
use super::source_reader::SourceReader;
use super::transactions::CleanedTransactions;
use super::{CleanError, rewrite};
use crate::access::Access;
use crate::batch_scan::BatchAt;
use crate::producer_state::Marker;
use crate::segment::Segment;

impl Pass<'_> {
    /// Fills the map from the first dirty offset on, as far as it has room.
    pub(super) fn build_map(&mut self) -> Result<(), CleanError> {
        let dirt = self.chosen.dirt;
        let aborted = self.chosen.log.aborted_transactions(dirt.first_dirty, dirt.first_uncleanable)?;
        let mut transactions = CleanedTransactions::new(aborted);
        let segments = &self.chosen.segments;
        for (n, segment) in segments.iter().enumerate() {
            let end = segments.get(n + 1).map_or(dirt.first_uncleanable, |next| next.base_offset());
            if end <= dirt.first_dirty || segment.base_offset() >= dirt.first_uncleanable {
                continue;
            }
            if self.map_segment(segment, &mut transactions)?.is_err() {
                return Ok(());
            }
            // Offsets that a compaction before has left empty count as looked at.
            self.map.advance_to(end - 1);
        }
        Ok(())
    }

    fn map_segment(
        &mut self,
        segment: &Segment,
        transactions: &mut CleanedTransactions,
    ) -> Result<Result<(), Full>, CleanError> {
        let (file, size) = (segment.file()?, segment.size());
        let from = self.chosen.dirt.first_dirty;
        let Some(first) = segment.find(&file, from, size, Access::MayWait)? else { return Ok(Ok(())) };
        let mut reader = SourceReader::new(file, first.position, size, self.read_bytes);
        loop {
            self.check()?;
            let Some((at, batch)) = reader.next()? else {
                self.done.reads += reader.reads();
                return Ok(Ok(()));
            };
            let full = if at.header.is_control() && !is_legacy(&at.header) {
                transactions.on_control(&at.header, Marker::read(batch));
                Ok(())
            } else if transactions.on_data(&at.header) {
                Ok(())
            } else {
                let limit = self.chosen.config.max_decompressed_message_bytes;
                let mut keys = Keys { map: &mut self.map, from, ahead: &mut self.ahead };
                keys.put_batch(&mut self.unpack, batch, &at, limit)
                    .map_err(|error| rewrite::broken(segment, &at, &error))?
            };
            shrink(&mut self.unpack);
            if full.is_err() && !planted::is("keys that find no room are passed over") {
                return Ok(Err(Full));
            }
            if at.header.last_offset() >= from {
                self.map.advance_to(at.header.last_offset());
            }
            let read = reader.take_bytes_read();
            self.pay(read);
            self.done.map_bytes_read += read;
        }
    }
}

/// Where the keys of a batch go: into the map, some together.
struct Keys<'a> {
    map: &'a mut OffsetMap,
    /// Records below count as compacted.
    from: i64,
    ahead: &'a mut Vec<(Hashed, i64)>,
}

impl Keys<'_> {
    /// Notes the keys of a batch.
    fn put_batch(
        &mut self,
        unpack: &mut Vec<u8>,
        batch: &[u8],
        at: &BatchAt,
        limit: usize,
    ) -> Result<Result<(), Full>, BatchError> {
        self.ahead.clear();
        if is_legacy(&at.header) {
            let (_, messages) = legacy(batch, unpack, limit)?;
            for message in messages {
                let message = message?;
                if self.take(message.key, message.offset).is_err() {
                    return Ok(Err(Full));
                }
            }
        } else {
            for record in CleanRecords::new(&at.header, batch, unpack, limit)? {
                let record = record?;
                if self.take(record.key, record.offset).is_err() {
                    return Ok(Err(Full));
                }
            }
        }
        Ok(self.put_ahead())
    }

    fn take(&mut self, key: Option<&[u8]>, offset: i64) -> Result<(), Full> {
        if let Some(key) = key.filter(|_| offset >= self.from) {
            self.ahead.push((self.map.hashed(key), offset));
        }
        if self.ahead.len() < TOGETHER { Ok(()) } else { self.put_ahead() }
    }

    fn put_ahead(&mut self) -> Result<(), Full> {
        self.map.fetch(self.ahead.iter().map(|(key, _)| *key));
        self.ahead.drain(..).try_for_each(|(key, offset)| self.map.put(key, offset))
    }
}
