//! Record bytes of a fetch into records: checksums, decompression, control batches, aborted transactions.
//!
//! One batch is opened at a time, so that a large fetch is not unpacked at once.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::compression::Compression;
use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::legacy_records;
use ottla_protocol::record_batch::{self, BatchHeader};

use super::record::ConsumerRecord;
use crate::TopicPartition;
use crate::error::Error;

/// Where the magic byte lies, in every format.
const MAGIC_AT: usize = 16;

/// How to read batches.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecodeOptions {
    pub(super) check_crcs: bool,
    pub(super) max_batch_bytes: usize,
}

/// The offset after the last whole batch; `None` when there is no whole batch.
pub(super) fn end_of(bytes: &[u8]) -> Option<i64> {
    if matches!(bytes.get(MAGIC_AT), Some(0 | 1)) {
        return legacy_records::entries(bytes).map_while(Result::ok).last().map(|e| e.offset.saturating_add(1));
    }
    match record_batch::batches(bytes).next()? {
        // What cannot be read is found when it is opened.
        Err(_) => Some(0),
        Ok(_) => record_batch::batches(bytes).map_while(Result::ok).last().map(|(header, _)| header.next_offset()),
    }
}

/// The records of one partition in one response, not yet handed out.
#[derive(Debug)]
pub(super) struct FetchedRecords {
    tp: TopicPartition,
    /// Batches not yet opened.
    bytes: Bytes,
    /// Records of the batch that is open.
    open: VecDeque<ConsumerRecord>,
    /// Producers whose transactions were aborted, by the first offset of each transaction, ascending.
    aborted: VecDeque<(i64, i64)>,
    /// Producers in an aborted transaction at this point of the log.
    in_aborted: BTreeSet<i64>,
    next_offset: i64,
    options: DecodeOptions,
}

impl FetchedRecords {
    /// `aborted` are pairs of producer id and first offset.
    pub(super) fn new(
        tp: TopicPartition,
        bytes: Bytes,
        from_offset: i64,
        aborted: impl IntoIterator<Item = (i64, i64)>,
        options: DecodeOptions,
    ) -> Self {
        let mut aborted: Vec<(i64, i64)> = aborted.into_iter().map(|(producer, first)| (first, producer)).collect();
        aborted.sort_unstable();
        let (open, in_aborted) = (VecDeque::new(), BTreeSet::new());
        Self { tp, bytes, open, aborted: aborted.into(), in_aborted, next_offset: from_offset, options }
    }

    pub(super) fn topic_partition(&self) -> &TopicPartition {
        &self.tp
    }

    /// Where reading goes on after what was handed out.
    pub(super) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Bytes not yet opened.
    pub(super) fn bytes_left(&self) -> usize {
        self.bytes.len()
    }

    /// The next record; `None` at the end. Moves [`Self::next_offset`] also over what is not handed out.
    ///
    /// # Errors
    /// [`Error::CorruptRecords`] when a batch cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<ConsumerRecord>, Error> {
        loop {
            if let Some(record) = self.open.pop_front() {
                self.next_offset = record.offset + 1;
                return Ok(Some(record));
            }
            if !self.open_next()? {
                return Ok(None);
            }
        }
    }

    fn corrupt(&self, cause: impl ToString) -> Error {
        Error::CorruptRecords {
            topic: self.tp.topic.to_string(),
            partition: self.tp.partition,
            offset: self.next_offset,
            cause: cause.to_string(),
        }
    }

    /// Opens the next batch; `false` at the end, where a batch may be cut short.
    fn open_next(&mut self) -> Result<bool, Error> {
        match self.bytes.get(MAGIC_AT) {
            None => Ok(false),
            Some(0 | 1) => self.open_legacy(),
            Some(_) => self.open_batch(),
        }
    }

    fn open_batch(&mut self) -> Result<bool, Error> {
        let Some(next) = record_batch::batches(&self.bytes).next() else { return Ok(false) };
        let (header, batch) = next.map_err(|e| self.corrupt(e))?;
        if self.options.check_crcs && !record_batch::check_crc(batch) {
            return Err(self.corrupt(format!("the checksum of the batch at {} does not fit", header.base_offset)));
        }
        let batch = self.bytes.slice_ref(batch);
        if self.is_visible(&header, &batch)? {
            self.read_records(&header, &batch)?;
        }
        if self.open.is_empty() {
            self.next_offset = self.next_offset.max(header.next_offset());
        }
        let _ = self.bytes.split_to(batch.len());
        Ok(true)
    }

    /// Follows transactions; says whether the batch holds records for the application.
    fn is_visible(&mut self, header: &BatchHeader, batch: &Bytes) -> Result<bool, Error> {
        while let Some((first, producer)) = self.aborted.front().copied() {
            if first > header.last_offset() {
                break;
            }
            self.in_aborted.insert(producer);
            self.aborted.pop_front();
        }
        if header.is_control() {
            let mut scratch = Vec::new();
            let mut records = record_batch::records(batch, &mut scratch, self.options.max_batch_bytes)
                .map_err(|e| self.corrupt(e))?;
            let kind = records.next().and_then(Result::ok).and_then(|r| ControlRecordType::from_key(r.key?));
            if kind == Some(ControlRecordType::Abort) {
                self.in_aborted.remove(&header.producer_id);
            }
            return Ok(false);
        }
        Ok(!(header.is_transactional() && self.in_aborted.contains(&header.producer_id)))
    }

    fn read_records(&mut self, header: &BatchHeader, batch: &Bytes) -> Result<(), Error> {
        let mut scratch = Vec::new();
        let records = record_batch::records(batch, &mut scratch, self.options.max_batch_bytes);
        let records = records.map_err(|e| self.corrupt(e))?;
        let compressed = !matches!(header.compression(), Ok(Compression::None));
        // Slices of an uncompressed batch stay in the response's memory; unpacked ones must be copied out of the scratch.
        let own = |part: &[u8]| if compressed { Bytes::copy_from_slice(part) } else { batch.slice_ref(part) };
        let mut open = VecDeque::new();
        for record in records {
            let record = record.map_err(|e| self.corrupt(e))?;
            let offset = header.offset_of(&record);
            // A batch is sent whole, also when it begins before the offset that was asked for.
            if offset < self.next_offset {
                continue;
            }
            open.push_back(ConsumerRecord {
                topic: Arc::clone(&self.tp.topic),
                partition: self.tp.partition,
                offset,
                leader_epoch: header.partition_leader_epoch,
                timestamp_ms: header.timestamp_of(&record),
                timestamp_type: header.timestamp_type(),
                key: record.key.map(own),
                value: record.value.map(own),
                headers: record.headers.map(|(key, value)| (own(key), value.map(own))).collect(),
            });
        }
        self.open = open;
        Ok(())
    }

    /// Segments older than Kafka 0.11 hold message sets, which brokers send as they are.
    fn open_legacy(&mut self) -> Result<bool, Error> {
        let Some(next) = legacy_records::entries(&self.bytes).next() else { return Ok(false) };
        let entry = next.map_err(|e| self.corrupt(e))?;
        if self.options.check_crcs && !entry.check_crc() {
            return Err(self.corrupt(format!("the checksum of the message at {} does not fit", entry.offset)));
        }
        let mut scratch = Vec::new();
        let messages = legacy_records::messages(&entry, &mut scratch, self.options.max_batch_bytes);
        let mut open = VecDeque::new();
        for message in messages.map_err(|e| self.corrupt(e))? {
            let message = message.map_err(|e| self.corrupt(e))?;
            if message.offset < self.next_offset {
                continue;
            }
            open.push_back(ConsumerRecord {
                topic: Arc::clone(&self.tp.topic),
                partition: self.tp.partition,
                offset: message.offset,
                leader_epoch: -1,
                timestamp_ms: message.timestamp,
                timestamp_type: entry.timestamp_type(),
                key: message.key.map(Bytes::copy_from_slice),
                value: message.value.map(Bytes::copy_from_slice),
                headers: Vec::new(),
            });
        }
        let (len, next_offset) = (entry.bytes.len(), entry.offset.saturating_add(1));
        self.open = open;
        if self.open.is_empty() {
            self.next_offset = self.next_offset.max(next_offset);
        }
        let _ = self.bytes.split_to(len);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};

    use super::*;

    const OPTIONS: DecodeOptions = DecodeOptions { check_crcs: true, max_batch_bytes: 1 << 20 };

    fn batch(options: BatchOptions, values: &[&str]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(options);
        for value in values {
            builder.append(1000, Some(b"k"), Some(value.as_bytes()), &[("h", None), ("h", Some(b"2"))]);
        }
        builder.build()
    }

    fn at(base_offset: i64) -> BatchOptions {
        BatchOptions { base_offset, ..BatchOptions::default() }
    }

    fn transactional(base_offset: i64, producer_id: i64) -> BatchOptions {
        BatchOptions { producer_id, producer_epoch: 0, base_sequence: 0, transactional: true, ..at(base_offset) }
    }

    fn marker(base_offset: i64, producer_id: i64, kind: ControlRecordType) -> Vec<u8> {
        let options = BatchOptions { control: true, base_sequence: -1, ..transactional(base_offset, producer_id) };
        let mut builder = BatchBuilder::new(options);
        builder.append(1000, Some(&kind.key()), Some(&[0, 0, 0, 0, 0, 0]), &[]);
        builder.build()
    }

    fn read(bytes: Vec<u8>, from: i64, aborted: &[(i64, i64)]) -> (Vec<(i64, String)>, i64) {
        let tp = TopicPartition::new("t", 0);
        let mut fetched = FetchedRecords::new(tp, bytes.into(), from, aborted.iter().copied(), OPTIONS);
        let mut seen = Vec::new();
        while let Some(record) = fetched.next().expect("sound batches") {
            let value = record.value.expect("a value");
            seen.push((record.offset, String::from_utf8(value.to_vec()).expect("text")));
        }
        (seen, fetched.next_offset())
    }

    #[test]
    fn records_before_the_offset_asked_for_and_a_batch_cut_short_are_left_out() {
        for compression in [Compression::None, Compression::Zstd] {
            let mut bytes = batch(BatchOptions { compression, ..at(10) }, &["a", "b", "c"]);
            bytes.extend(batch(at(13), &["d"]));
            bytes.extend(&batch(at(14), &["cut"])[..70]);
            let (seen, next) = read(bytes, 11, &[]);
            assert_eq!(seen, [(11, "b".into()), (12, "c".into()), (13, "d".into())]);
            assert_eq!(next, 14);
        }
    }

    #[test]
    fn headers_keep_their_order_and_duplicates() {
        let tp = TopicPartition::new("t", 0);
        let mut fetched = FetchedRecords::new(tp, batch(at(0), &["a"]).into(), 0, [], OPTIONS);
        let record = fetched.next().expect("sound").expect("one");
        let h = Bytes::from_static(b"h");
        assert_eq!(record.headers, [(h.clone(), None), (h, Some(Bytes::from_static(b"2")))]);
    }

    #[test]
    fn aborted_transactions_and_control_records_are_not_seen_but_passed_over() {
        let mut bytes = batch(transactional(0, 7), &["aborted", "too"]);
        bytes.extend(batch(transactional(2, 8), &["committed"]));
        bytes.extend(marker(3, 7, ControlRecordType::Abort));
        bytes.extend(marker(4, 8, ControlRecordType::Commit));
        bytes.extend(batch(transactional(5, 7), &["later"]));
        bytes.extend(marker(6, 7, ControlRecordType::Commit));
        let (seen, next) = read(bytes, 0, &[(7, 0)]);
        assert_eq!(seen, [(2, "committed".into()), (5, "later".into())]);
        assert_eq!(next, 7);
    }

    #[test]
    fn a_broken_checksum_is_an_error_that_names_the_place() {
        let mut bytes = batch(at(10), &["a"]);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let mut fetched = FetchedRecords::new(TopicPartition::new("t", 3), bytes.into(), 10, [], OPTIONS);
        assert!(matches!(fetched.next(), Err(Error::CorruptRecords { partition: 3, offset: 10, .. })));
    }
}
