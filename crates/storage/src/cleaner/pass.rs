//! One pass over one log: the map of keys, then group by group the segments that take the place of others. Kafka:
//! `Cleaner.doClean`, `cleanSegments`, `cleanInto`.

use std::sync::Arc;

use ottla_env::collections::HashMap;
use ottla_env::task::StopSignal;
use ottla_env::{planted, random};
use ottla_protocol::record_batch::BatchHeader;

use super::facts::Chosen;
use super::filter::{BatchNeeds, Fate, rule};
use super::groups::{GroupFacts, GroupLimits, groups};
use super::offset_map::{Hashed, MapBounds, OffsetMap, TOGETHER};
use super::output::Output;
use super::records::is_legacy;
use super::report::Cleaned;
use super::rewrite::{self, Judge, Scratch};
use super::source_reader::SourceReader;
use super::transactions::{CleanedTransactions, MarkerNeed};
use super::{CleanError, Cleaner};
use crate::error::StorageError;
use crate::log::LastRecord;
use crate::producer_state::Marker;
use crate::segment::Segment;

/// Bytes read or written at once, at least.
const IO_BYTES_MIN: usize = 16 << 10;

/// See the module.
pub(super) struct Pass<'a> {
    cleaner: &'a Cleaner,
    pub(super) chosen: &'a Chosen<'a>,
    stop: &'a StopSignal,
    now_ms: i64,
    /// Bytes read at once.
    pub(super) read_bytes: usize,
    pub(super) map: OffsetMap,
    pub(super) unpack: Vec<u8>,
    /// Keys that go into the map together, with their offsets.
    pub(super) ahead: Vec<(Hashed, i64)>,
    scratch: Scratch,
    /// As of the start: a producer that appends meanwhile is safe beyond the dirty part.
    producers: HashMap<i64, LastRecord>,
    pub(super) done: Cleaned,
}

/// What the batches of one segment have in common.
struct Source<'a> {
    segment: &'a Arc<Segment>,
    is_last_of_group: bool,
    legacy_tombstones_stay: bool,
    high_watermark: i64,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        cleaner: &'a Cleaner,
        chosen: &'a Chosen<'a>,
        stop: &'a StopSignal,
        now_ms: i64,
    ) -> Result<Self, CleanError> {
        let config = cleaner.config();
        let threads = config.threads.max(1);
        let (log, dirt) = (chosen.log, &chosen.dirt);
        // A record may only go when the later one of its key is sure to stay.
        if log.flushed_offset() < dirt.first_uncleanable && !planted::is("compaction before the flush") {
            log.flush()?;
        }
        let bounds = MapBounds { memory: config.dedupe_buffer_bytes / threads as u64, load_factor: config.load_factor };
        Ok(Self {
            cleaner,
            chosen,
            stop,
            now_ms,
            // Half for reading, half for writing.
            read_bytes: (config.io_buffer_bytes / threads / 2).max(IO_BYTES_MIN),
            map: OffsetMap::new(dirt.first_dirty, dirt.first_uncleanable, &bounds, random::bytes16()),
            unpack: Vec::new(),
            ahead: Vec::with_capacity(TOGETHER),
            scratch: Scratch::default(),
            producers: log.last_records_of_producers(),
            done: Cleaned {
                topic: Arc::clone(log.topic()),
                partition: log.partition(),
                from: dirt.first_dirty,
                ..Cleaned::default()
            },
        })
    }

    /// Does all of it.
    pub(super) fn run(mut self) -> Result<Cleaned, CleanError> {
        self.build_map()?;
        let end = self.map.latest_offset() + 1;
        let start = self.chosen.log.log_start_offset();
        let segments = &self.chosen.segments;
        let ends: Vec<i64> = segments
            .iter()
            .skip(1)
            .map(|next| next.base_offset())
            .chain([self.chosen.dirt.first_uncleanable])
            .collect();
        // What lies below the log start is retention's.
        let within = segments.iter().zip(&ends).filter(|(s, next)| s.base_offset() < end && **next > start);
        let cleanable: Vec<Arc<Segment>> = within.map(|(segment, _)| Arc::clone(segment)).collect();
        let horizon = self.legacy_horizon_ms()?;
        // Of all that is read, which may be more than the map covers.
        let aborted = self.chosen.log.aborted_transactions(start, self.chosen.dirt.first_uncleanable)?;
        let mut transactions = CleanedTransactions::new(aborted);
        if planted::is("the cleaner's checkpoint before the exchange") {
            self.chosen.log.note_cleaned(end, self.chosen.ticket)?;
        }
        let mut rest = cleanable.as_slice();
        for count in self.groups(&cleanable) {
            let (group, after) = rest.split_at(count);
            self.clean_group(group, &mut transactions, horizon)?;
            rest = after;
        }
        (self.done.to, self.done.keys) = (end, self.map.len() as u64);
        self.done.map_utilization = self.map.utilization();
        if !self.chosen.log.note_cleaned(end, self.chosen.ticket)? {
            return Err(CleanError::Interrupted);
        }
        Ok(self.done)
    }

    /// Fails when the process stops or the log is not what it was.
    pub(super) fn check(&self) -> Result<(), CleanError> {
        if self.stop.is_stopped() || !self.chosen.log.may_clean(self.chosen.ticket) {
            return Err(CleanError::Interrupted);
        }
        Ok(())
    }

    /// Bytes were read or written: waits if that was too fast.
    pub(super) fn pay(&mut self, bytes: u64) {
        self.done.throttled_ms += self.cleaner.throttle.take(bytes, self.stop);
    }

    fn groups(&self, segments: &[Arc<Segment>]) -> Vec<usize> {
        let facts = |segment: &Arc<Segment>| {
            let (index_bytes, time_index_bytes) = segment.index_bytes();
            GroupFacts { base_offset: segment.base_offset(), size: segment.size(), index_bytes, time_index_bytes }
        };
        let config = &self.chosen.config;
        let limits = GroupLimits {
            segment_bytes: config.segment_bytes as u64,
            index_bytes: config.segment_index_bytes as u64,
            end: self.chosen.dirt.first_uncleanable,
        };
        groups(&segments.iter().map(facts).collect::<Vec<_>>(), &limits)
    }

    /// Tombstones of magic 0 and 1 go from segments that did not change since: the age of the last compacted one, less
    /// `delete.retention.ms`.
    fn legacy_horizon_ms(&self) -> Result<i64, StorageError> {
        let first_dirty = self.chosen.dirt.first_dirty;
        let clean = self.chosen.segments.iter().take_while(|segment| segment.base_offset() < first_dirty).last();
        clean.map_or(Ok(0), |segment| Ok(segment.modified_ms()?.saturating_sub(self.chosen.config.delete_retention_ms)))
    }

    fn clean_group(
        &mut self,
        group: &[Arc<Segment>],
        transactions: &mut CleanedTransactions,
        legacy_horizon_ms: i64,
    ) -> Result<(), CleanError> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        // An empty one at the end has no batch that could be the last.
        let last_with_batches = group.iter().rev().find(|segment| segment.size() > 0);
        let mut output = Output::new(self, first.base_offset())?;
        let mut is_changed = group.len() > 1;
        for segment in group {
            let source = Source {
                segment,
                is_last_of_group: last_with_batches.is_some_and(|last| Arc::ptr_eq(segment, last)),
                legacy_tombstones_stay: segment.modified_ms()? > legacy_horizon_ms,
                high_watermark: self.chosen.log.high_watermark(),
            };
            is_changed |= self.clean_segment(&source, transactions, &mut output)?;
        }
        if !is_changed {
            // Byte by byte what is there already.
            return Ok(());
        }
        output.finish(last.modified_ms()?)?;
        self.done.bytes_written += output.bytes_written;
        output.replace(self, group)
    }

    /// True if anything of it is not as it was.
    fn clean_segment(
        &mut self,
        source: &Source<'_>,
        transactions: &mut CleanedTransactions,
        output: &mut Output<'a>,
    ) -> Result<bool, CleanError> {
        let size = source.segment.size();
        let mut reader = SourceReader::new(source.segment.file()?, 0, size, self.read_bytes);
        let mut is_changed = false;
        loop {
            self.check()?;
            let Some((at, batch)) = reader.next()? else {
                self.done.reads += reader.reads();
                return Ok(is_changed);
            };
            let header = &at.header;
            output.prepare(header)?;
            let is_done = match is_control(header).then(|| transactions.on_control(header, Marker::read(batch))) {
                None => transactions.on_data(header),
                Some(MarkerNeed::Done) => true,
                Some(MarkerNeed::Needed) => false,
                Some(MarkerNeed::NeededByIndex(aborted)) => {
                    output.note_aborted(aborted)?;
                    false
                }
            };
            let needs = self.needs(source, header, at.end() == size);
            let rule = rule(header, is_done, needs, source.legacy_tombstones_stay, self.now_ms);
            let config = &self.chosen.config;
            let judge = Judge {
                map: &self.map,
                horizon_from_now_ms: self.now_ms.saturating_add(config.delete_retention_ms),
                unpack_limit: config.max_decompressed_message_bytes,
            };
            let (fate, counts) = rewrite::rewrite(&judge, header, batch, &rule, &mut self.scratch, &mut output.buffer)
                .map_err(|error| rewrite::broken(source.segment, &at, &error))?;
            is_changed |= fate != Fate::Copy;
            self.done.records_read += counts.read;
            self.done.records_kept += counts.kept;
            self.done.records_without_key += counts.without_key;
            let before = output.bytes_written;
            output.maybe_write()?;
            let read = reader.take_bytes_read();
            self.done.bytes_read += read;
            self.pay(read + output.bytes_written - before);
        }
    }

    fn needs(&self, source: &Source<'_>, header: &BatchHeader, is_last_of_segment: bool) -> BatchNeeds {
        let of_producer = |last: &LastRecord| match last.data_offset {
            Some(offset) => header.last_offset() == offset,
            None => header.is_control() && header.producer_epoch == last.epoch,
        };
        BatchNeeds {
            last_of_producer: !planted::is("compaction forgets producers")
                && header.has_producer_id()
                && self.producers.get(&header.producer_id).is_some_and(of_producer),
            ends_at_high_watermark: header.next_offset() == source.high_watermark,
            last_of_group: source.is_last_of_group && is_last_of_segment,
        }
    }
}

fn is_control(header: &BatchHeader) -> bool {
    header.is_control() && !is_legacy(header)
}
