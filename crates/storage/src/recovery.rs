//! What is done with the part of a log that may not have reached the device: every batch is read and its checksum computed,
//! indexes and epochs are built again, and the log is cut at the first batch that is not whole.
//!
//! Only behind the recovery point: a broken batch below it was whole once, and cutting there would throw away what
//! consumers have seen. It is left where it is, told, and not served; the batches behind it are.

use std::sync::Arc;

use ottla_env::fs::{self, File};
use ottla_env::planted;

use crate::batch_reader::{BatchReader, Step};
use crate::batch_scan::BatchAt;
use crate::config::LogConfig;
use crate::error::StorageError;
use crate::leader_epoch_cache::LeaderEpochCache;
use crate::loader::{Plan, RecoveryReport};
use crate::segment::{Around, Bounds, Segment, Until};
use crate::segments::Segments;

/// What of a log is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    /// Segments that reach beyond are scanned.
    pub(crate) from: i64,
    /// Batches below were on the device: what is broken there is damage, not the torn end of an append.
    pub(crate) durable: i64,
}

/// Recovers every segment that reaches into the scope. Segments behind one that had to be cut are removed.
pub(crate) fn recover(
    plan: &Plan<'_>,
    scope: Scope,
    segments: &mut Segments,
    epochs: &mut LeaderEpochCache,
    report: &mut RecoveryReport,
) -> Result<(), StorageError> {
    let all: Vec<_> = segments.iter().cloned().collect();
    let (mut last_epoch, known) = (-1, epochs.clone());
    for (n, segment) in all.iter().enumerate() {
        // Until it is scanned, the end of a closed segment is where the next begins, and that of the last is not known. One
        // that ends at the recovery point is looked at: a crash may have brought back what was cut off or made behind it.
        if segment.next_offset() < scope.from && n + 1 < all.len() {
            continue;
        }
        let next = all.get(n + 1);
        let whole = scan(plan, segment, next, scope, (&known, &mut *epochs), &mut last_epoch, report)?;
        if whole && next.is_none_or(|next| follows(plan, scope.durable, segment, next)) {
            if next.is_some() {
                // No flush comes by here again. Kafka takes a time index without entries for one of a segment as young as
                // its file: its searches by time would end there.
                segment.close_for_appends()?;
                segment.sync_indexes()?;
            }
            continue;
        }
        return cut(plan, segment, segments, report);
    }
    Ok(())
}

/// Whether a segment continues the one before it. It does not behind a hole: the end of a segment that was not synced when
/// the power went may be lost at the border of two batches, so that it looks whole (appends leave no gap there, but
/// compaction does). Nor if it overlaps: a truncation had removed it, but its removal was lost, and the one before has grown.
/// Below the log start, holes are segments that were removed on purpose, of which others have come back.
fn follows(plan: &Plan<'_>, durable: i64, segment: &Segment, next: &Segment) -> bool {
    let (end, base) = (segment.next_offset(), next.base_offset());
    end < durable || base == end || (base > end && plan.may_have_gap(base))
}

/// Whether a batch is of an earlier leader than the one before it: a truncation had taken it away, but a crash brought it
/// back behind what was appended since, in its old place or with a segment whose removal was not synced.
fn is_leftover(at: &BatchAt, durable: i64, last_epoch: i32) -> bool {
    at.header.base_offset >= durable && at.header.partition_leader_epoch < last_epoch
}

/// The leader epoch of a batch, by which those behind it are judged. No checksum covers it: of what was on the device, the file
/// of epochs is believed where it knows a lower one. One flipped bit would make leftovers of all that was appended since.
fn credible_epoch(known: &LeaderEpochCache, at: &BatchAt, durable: i64) -> i32 {
    let (epoch, offset) = (at.header.partition_leader_epoch, at.header.base_offset);
    match known.epoch_at(offset) {
        Some(known) if offset < durable => known.min(epoch),
        Some(_) | None => epoch,
    }
}

/// How a scan ended.
enum Scanned {
    /// At the file's end.
    Whole,
    /// Other bytes follow.
    Torn,
    /// At something that was on the device once, and is not what it was.
    Damaged { position: u64, offset: i64 },
}

/// Makes whole batches the content of a segment, from the recovery point on. False when other bytes follow them.
fn scan(
    plan: &Plan<'_>,
    segment: &Segment,
    next: Option<&Arc<Segment>>,
    scope: Scope,
    (known, epochs): (&LeaderEpochCache, &mut LeaderEpochCache),
    last_epoch: &mut i32,
    report: &mut RecoveryReport,
) -> Result<bool, StorageError> {
    let size = segment.size();
    let bounds = plan.bounds(next.map(|next| next.base_offset()));
    let mut by_epoch = true;
    loop {
        let indexed = if segment.base_offset() < scope.from { segment.indexed_below(scope.from)? } else { None };
        let behind = |at: BatchAt| Start::behind(&at, credible_epoch(known, &at, scope.durable).max(*last_epoch));
        let start = indexed.map_or(Start::of(segment, *last_epoch), behind);
        let (mut epoch, mut found) = (start.epoch, epochs.clone());
        let start = Start { by_epoch, ..start };
        let scanned = adopt(plan, segment, &start, size, scope, (known, &mut found), &mut epoch)?;
        report.bytes_scanned += segment.size() - start.position;
        let Scanned::Damaged { position, offset } = scanned else {
            (*last_epoch, *epochs) = (epoch, found);
            return Ok(matches!(scanned, Scanned::Whole));
        };
        segment.restore_size(size);
        let until = Until { position: u64::MAX, offset: scope.durable };
        if segment.verify(Around::Position(start.position), until, &bounds)? {
            report.damaged_ranges = u32::try_from(segment.damaged().len()).unwrap_or(u32::MAX);
        } else if by_epoch {
            // It is the segment before that ends with a wrong epoch.
            by_epoch = false;
        } else {
            segment.note_damaged_end(position, offset, &bounds);
        }
    }
}

/// Where a scan begins, and what is known there.
struct Start {
    position: u64,
    offset: i64,
    epoch: i32,
    /// Whether the epochs of what was durable are judged, too.
    by_epoch: bool,
}

impl Start {
    fn of(segment: &Segment, epoch: i32) -> Self {
        Self { position: 0, offset: segment.base_offset(), epoch, by_epoch: true }
    }

    fn behind(at: &BatchAt, epoch: i32) -> Self {
        Self { position: at.end(), offset: at.header.next_offset(), epoch, by_epoch: true }
    }
}

/// Adopts batch after batch from `start` up to `size`; jumps over what is known to be damaged.
fn adopt(
    plan: &Plan<'_>,
    segment: &Segment,
    start: &Start,
    size: u64,
    scope: Scope,
    (known, epochs): (&LeaderEpochCache, &mut LeaderEpochCache),
    last_epoch: &mut i32,
) -> Result<Scanned, StorageError> {
    segment.rewind(start.position, start.offset, scope.durable)?;
    let file = segment.file()?;
    let damaged = segment.damaged();
    let mut reader = BatchReader::new(&file, start.position, size);
    let (mut next_offset, mut before) = (start.offset, start.offset);
    // What the last batch says, credible or not: of two that contradict each other, a look at both tells which is damaged.
    let mut stated_epoch = start.epoch;
    let may_follow = |at: &BatchAt, next_offset: i64, last_epoch: i32, stated_epoch: i32| {
        let gap = at.header.base_offset > next_offset;
        let durable = at.header.base_offset < scope.durable;
        let may_have_gap = plan.compacted || at.position == 0 || durable;
        // Further than an index could note: no leader left such a gap, a bit of the base offset is wrong, which no checksum covers.
        let leaps = at.header.base_offset.saturating_sub(next_offset) > i64::from(i32::MAX);
        let follows = at.header.base_offset >= next_offset && at.header.last_offset_delta >= 0;
        let leftover = is_leftover(at, scope.durable, last_epoch);
        let wrong_epoch = durable && start.by_epoch && at.header.partition_leader_epoch < stated_epoch;
        follows
            && (!gap
                || may_have_gap
                || (next_offset >= scope.durable && !leaps && !is_refuted(&file, at, next_offset, size)))
            && !leftover
            && !wrong_epoch
    };
    loop {
        if let Some(range) =
            damaged.iter().find(|range| (range.position..range.end_position).contains(&reader.position()))
        {
            reader.seek(range.end_position);
            segment.adopt_damaged(range);
            next_offset = next_offset.max(range.end_offset);
        }
        let position = reader.position();
        match reader.next()? {
            Step::Batch(at) if at.end() == size && planted::is("the last batch is dropped at the start") => {
                return Ok(Scanned::Torn);
            }
            Step::Batch(at) if may_follow(&at, next_offset, *last_epoch, stated_epoch) => {
                stated_epoch = at.header.partition_leader_epoch;
                *last_epoch = credible_epoch(known, &at, scope.durable);
                (before, next_offset) = (next_offset, at.header.next_offset());
                if *last_epoch == stated_epoch {
                    epochs.assign(*last_epoch, at.header.base_offset);
                }
                segment.adopt(&at, plan.config.index_interval_bytes)?;
            }
            Step::End => return Ok(Scanned::Whole),
            // This one fits the batch before the last one: it is the last one that lies about its offsets.
            Step::Batch(at) if before < scope.durable && (before..next_offset).contains(&at.header.base_offset) => {
                return Ok(Scanned::Damaged { position, offset: next_offset });
            }
            Step::Batch(_) | Step::Broken
                if next_offset < scope.durable && !planted::is("what rotted is cut as torn") =>
            {
                return Ok(Scanned::Damaged { position, offset: next_offset });
            }
            Step::Broken if planted::is("recovery goes on behind a torn batch") && reader.pass_over() => {}
            Step::Batch(_) | Step::Broken => return Ok(Scanned::Torn),
        }
    }
}

/// Whether the gap before a batch is none, but its offset, which no checksum covers, has changed: then the next batch stands
/// where it would without the gap. Anything else says nothing: a follower appends gaps when its leader was compacted once,
/// and of a batch behind one that was synced the power may have taken the offset alone.
fn is_refuted(file: &File, at: &BatchAt, next_offset: i64, size: u64) -> bool {
    let truly_next = next_offset + i64::from(at.header.last_offset_delta) + 1;
    match BatchReader::new(file, at.end(), size).next() {
        Ok(Step::Batch(next)) => next.header.base_offset == truly_next,
        Ok(Step::End | Step::Broken) | Err(_) => false,
    }
}

/// Removes what follows the whole batches of `last`. First the segments behind it, durably: if they came back after the end
/// of `last` was cut, the log would go on with records that lie behind a gap.
fn cut(
    plan: &Plan<'_>,
    last: &Segment,
    segments: &mut Segments,
    report: &mut RecoveryReport,
) -> Result<(), StorageError> {
    let behind = segments.split_off(last.base_offset() + 1);
    for segment in &behind {
        report.bytes_cut += segment.size();
        segment.delete(plan.now_ms)?;
    }
    if !behind.is_empty() {
        fs::sync_dir(plan.folder.path())?;
    }
    let file = last.file()?;
    let torn = file.len()?.saturating_sub(last.size());
    report.bytes_cut += torn;
    tracing::warn!(path = %file.path().display(), position = last.size(), bytes = torn, "torn end of a segment is cut off");
    if planted::is("a torn end is kept") {
        return Ok(());
    }
    last.truncate_files(last.size(), last.next_offset())
}

/// Builds the indexes of a whole segment again because their files are missing. All of it is read.
pub(crate) fn rebuild_indexes(segment: &Segment, config: &LogConfig, bounds: &Bounds) -> Result<(), StorageError> {
    let size = segment.size();
    segment.verify(Around::Position(0), Until::END, bounds)?;
    segment.rewind(0, segment.base_offset(), i64::MAX)?;
    let file = segment.file()?;
    let mut scanner = segment.scanner(&file, 0, size);
    while let Some(at) = scanner.next()? {
        segment.adopt(&at, config.index_interval_bytes)?;
    }
    segment.damaged().iter().for_each(|range| segment.adopt_damaged(range));
    segment.close_for_appends()?;
    segment.sync_indexes()
}
