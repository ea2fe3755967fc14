//! One batch: which of its records stay, and the bytes that are left of it.

use std::ops::Range;

use ottla_protocol::compression::Compression;
use ottla_protocol::legacy_records::{LegacyMessage, write_wrapper};
use ottla_protocol::record_batch::{
    BatchError, BatchHeader, Kept, NO_TIMESTAMP, TimestampType, write_compacted, write_emptied,
};

use super::filter::{BatchRule, Fate, Left, RecordFacts, fate, stays};
use super::offset_map::{Hashed, OffsetMap, TOGETHER};
use super::records::{CleanRecord, CleanRecords, is_legacy, legacy, shrink};
use crate::batch_scan::BatchAt;
use crate::error::StorageError;
use crate::segment::Segment;

/// Memory that serves batch after batch.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    unpack: Vec<u8>,
    repack: Vec<u8>,
    spans: Vec<Range<usize>>,
}

/// What every batch of a pass is judged by.
pub(super) struct Judge<'a> {
    pub(super) map: &'a OffsetMap,
    /// The delete horizon that a batch gets now.
    pub(super) horizon_from_now_ms: i64,
    /// Most bytes that a batch may unpack to.
    pub(super) unpack_limit: usize,
}

/// How many records there were, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) read: u64,
    pub(super) kept: u64,
    pub(super) without_key: u64,
}

/// Judges a whole batch by its rule and appends what is left of it to `out`.
pub(super) fn rewrite(
    judge: &Judge<'_>,
    header: &BatchHeader,
    batch: &[u8],
    rule: &BatchRule,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<(Fate, Counts), BatchError> {
    if is_legacy(header) {
        return rewrite_legacy(judge, header, batch, rule, scratch, out);
    }
    if rule.drop_records {
        // They need not even be unpacked.
        let fate = fate(header, Left { count: 0, has_tombstone: false }, rule, judge.horizon_from_now_ms);
        put(fate, header, batch, out);
        return Ok((fate, Counts { read: u64::try_from(header.record_count).unwrap_or(0), ..Counts::default() }));
    }
    let Scratch { unpack, repack, spans } = scratch;
    let mut records = CleanRecords::new(header, batch, unpack, judge.unpack_limit)?;
    let block = records.block;
    let (mut left, mut counts) = (Left { count: 0, has_tombstone: false }, Counts::default());
    let mut max_timestamp = NO_TIMESTAMP;
    spans.clear();
    let mut ahead = Vec::with_capacity(TOGETHER);
    while judge.read_ahead(&mut records, rule, &mut ahead)? > 0 {
        for (record, key) in ahead.drain(..) {
            counts.read += 1;
            if !judge.keeps(record.offset, key, record.has_value, rule, &mut counts) {
                continue;
            }
            left.count += 1;
            left.has_tombstone |= !record.has_value;
            max_timestamp = max_timestamp.max(record.timestamp);
            match spans.last_mut() {
                Some(last) if last.end == record.span.start => last.end = record.span.end,
                Some(_) | None => spans.push(record.span),
            }
        }
    }
    counts.kept = u64::try_from(left.count).unwrap_or(0);
    let fate = fate(header, left, rule, judge.horizon_from_now_ms);
    if let Fate::Rewrite { delete_horizon_ms } = fate {
        let max_timestamp = match header.timestamp_type() {
            TimestampType::CreateTime => max_timestamp,
            TimestampType::LogAppendTime => header.max_timestamp,
        };
        let kept = Kept { block, spans, count: left.count, max_timestamp, delete_horizon_ms };
        write_compacted(header, batch, &kept, repack, out)?;
    } else {
        put(fate, header, batch, out);
    }
    shrink(unpack);
    shrink(repack);
    Ok((fate, counts))
}

fn put(fate: Fate, header: &BatchHeader, batch: &[u8], out: &mut Vec<u8>) {
    match fate {
        Fate::Copy => out.extend_from_slice(batch),
        Fate::Empty => write_emptied(header, out),
        Fate::Drop | Fate::Rewrite { .. } => {}
    }
}

/// A record whose key was asked for ahead.
type Ahead<'a> = (CleanRecord<'a>, Option<Hashed>);

impl Judge<'_> {
    /// Reads some records, and has the map look for their keys; how many.
    fn read_ahead<'b>(
        &self,
        records: &mut CleanRecords<'b>,
        rule: &BatchRule,
        ahead: &mut Vec<Ahead<'b>>,
    ) -> Result<usize, BatchError> {
        for record in records.take(TOGETHER) {
            let record = record?;
            let key = record.key.map(|key| self.map.hashed(key));
            ahead.push((record, key));
        }
        if !rule.keep_records {
            self.map.fetch(ahead.iter().filter_map(|(_, key)| *key));
        }
        Ok(ahead.len())
    }

    fn keeps(&self, offset: i64, key: Option<Hashed>, has_value: bool, rule: &BatchRule, counts: &mut Counts) -> bool {
        let is_mapped = offset <= self.map.latest_offset();
        let asks_map = is_mapped && !rule.keep_records;
        let last_of_key = key.filter(|_| asks_map).and_then(|key| self.map.get(key));
        counts.without_key += u64::from(asks_map && key.is_none());
        let facts = RecordFacts { offset, has_key: key.is_some(), has_value, last_of_key };
        stays(&facts, rule, self.map.latest_offset())
    }
}

/// A wrapper of magic 0 or 1 loses messages, or a plain message stays or goes.
fn rewrite_legacy(
    judge: &Judge<'_>,
    header: &BatchHeader,
    batch: &[u8],
    rule: &BatchRule,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<(Fate, Counts), BatchError> {
    let (entry, messages) = legacy(batch, &mut scratch.unpack, judge.unpack_limit)?;
    let mut counts = Counts::default();
    let mut kept: Vec<LegacyMessage<'_>> = Vec::new();
    for message in messages {
        let message = message?;
        counts.read += 1;
        let key = message.key.map(|key| judge.map.hashed(key));
        if judge.keeps(message.offset, key, message.value.is_some(), rule, &mut counts) {
            kept.push(message);
        }
    }
    counts.kept = kept.len() as u64;
    let fate = match kept.len() as u64 {
        0 if rule.keep_empty => Fate::Empty,
        0 => Fate::Drop,
        n if n == counts.read => Fate::Copy,
        _ => Fate::Rewrite { delete_horizon_ms: None },
    };
    if let Fate::Rewrite { .. } = fate
        && entry.compression()? != Compression::None
    {
        write_wrapper(&entry, &kept, out)?;
    } else {
        put(fate, header, batch, out);
    }
    Ok((fate, counts))
}

/// A batch whose checksum fits and which cannot be read all the same.
pub(super) fn broken(segment: &Segment, at: &BatchAt, error: &BatchError) -> StorageError {
    let offset = at.header.base_offset;
    StorageError::Corrupt {
        path: segment.log_path(),
        reason: format!("the batch at offset {offset} cannot be read: {error}"),
    }
}
