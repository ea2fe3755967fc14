//! Which log is compacted next, and which part of it: decisions over facts. Kafka class: `LogCleanerManager`.
//!
//! ```text
//!   log start          first dirty               first uncleanable         log end
//!   ├── compacted once ──┼──── dirty, cleanable ────┼──── left alone ────────┤
//!                        ▲ cleaner-offset-checkpoint ▲ last stable offset, active segment, min.compaction.lag.ms
//!
//!   dirty ratio = cleanable / (compacted + cleanable) bytes
//! ```

use ottla_env::planted;

/// What the decision needs to know of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentFacts {
    pub(super) base_offset: i64,
    /// Bytes.
    pub(super) size: u64,
    /// Of its first batch; looked up only if `max.compaction.lag.ms` asks for it.
    pub(super) first_timestamp: Option<i64>,
    /// Of all its records; looked up only if `min.compaction.lag.ms` asks for it.
    pub(super) largest_timestamp: Option<i64>,
}

/// What the decision needs to know of a log.
#[derive(Debug, Clone)]
pub(super) struct LogFacts {
    /// In order; the last is active. Never empty.
    pub(super) segments: Vec<SegmentFacts>,
    pub(super) log_start_offset: i64,
    pub(super) last_stable_offset: i64,
    pub(super) log_end_offset: i64,
    /// What the checkpoint file says.
    pub(super) noted: Option<i64>,
}

/// What a topic asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wishes {
    pub(super) now_ms: i64,
    /// `min.compaction.lag.ms`
    pub(super) min_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub(super) max_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`
    pub(super) min_dirty_ratio: f64,
}

/// What there is to do on one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dirt {
    /// Everything below was compacted before.
    pub(super) first_dirty: i64,
    /// Base offset of the first segment that must be left alone.
    pub(super) first_uncleanable: i64,
    /// Bytes of the segments that begin below `first_dirty`.
    pub(super) clean_bytes: u64,
    /// Bytes from there up to `first_uncleanable`.
    pub(super) cleanable_bytes: u64,
    /// For how long the oldest of them should have been compacted already.
    pub(super) overdue_ms: i64,
    /// The checkpoint contradicts the log and should say `first_dirty`.
    pub(super) checkpoint_is_wrong: bool,
}

impl Dirt {
    /// Between 0 and 1.
    pub(super) fn ratio(&self) -> f64 {
        match self.clean_bytes.saturating_add(self.cleanable_bytes) {
            0 => 0.0,
            total => self.cleanable_bytes as f64 / total as f64,
        }
    }

    /// Whether it is worth a pass.
    pub(super) fn is_due(&self, wishes: &Wishes) -> bool {
        self.cleanable_bytes > 0 && (self.overdue_ms > 0 || self.ratio() > wishes.min_dirty_ratio)
    }
}

/// What there is to do.
pub(super) fn dirt(log: &LogFacts, wishes: &Wishes) -> Dirt {
    let (first_dirty, checkpoint_is_wrong) = first_dirty(log);
    let limit = first_uncleanable_offset(log, first_dirty, wishes).max(first_dirty);
    let active = log.segments.last().map_or(log.log_end_offset, |segment| segment.base_offset);
    // Whole segments only: the one that holds the limit stays.
    let closed = log.segments.split_last().map_or(&[][..], |(_, closed)| closed);
    let first_uncleanable = if limit >= active { active } else { floor(closed, limit).unwrap_or(limit) };
    let sum = |from: i64, to: i64| {
        let within = log.segments.iter().filter(|s| s.base_offset >= from && s.base_offset < to);
        within.map(|segment| segment.size).sum()
    };
    let from = floor(&log.segments, first_dirty.min(first_uncleanable)).unwrap_or(first_dirty);
    Dirt {
        first_dirty,
        first_uncleanable,
        clean_bytes: sum(i64::MIN, first_dirty),
        cleanable_bytes: sum(from, first_uncleanable),
        overdue_ms: overdue_ms(&dirty_closed(log, first_dirty), wishes),
        checkpoint_is_wrong,
    }
}

/// A checkpoint below the log start, or behind the end of a log that lost its tail, counts as none.
fn first_dirty(log: &LogFacts) -> (i64, bool) {
    match log.noted {
        None => (log.log_start_offset, false),
        Some(noted) if (log.log_start_offset..=log.log_end_offset).contains(&noted) => (noted, false),
        Some(_) => (log.log_start_offset, true),
    }
}

/// Base offset of the segment that holds `offset`.
fn floor(segments: &[SegmentFacts], offset: i64) -> Option<i64> {
    segments.iter().map(|segment| segment.base_offset).take_while(|base| *base <= offset).last()
}

/// The closed segments from the one that holds `first_dirty` on.
fn dirty_closed(log: &LogFacts, first_dirty: i64) -> Vec<SegmentFacts> {
    let Some((active, closed)) = log.segments.split_last() else { return Vec::new() };
    if first_dirty >= active.base_offset {
        return Vec::new();
    }
    let from = floor(closed, first_dirty).unwrap_or(first_dirty);
    closed.iter().filter(|segment| segment.base_offset >= from).copied().collect()
}

fn first_uncleanable_offset(log: &LogFacts, first_dirty: i64, wishes: &Wishes) -> i64 {
    let active = log.segments.last().map_or(log.log_end_offset, |segment| segment.base_offset);
    let is_blind = planted::is("open transactions are compacted");
    let bound = if is_blind { active } else { log.last_stable_offset.min(active) };
    if wishes.min_lag_ms <= 0 {
        return bound;
    }
    let newest_allowed = wishes.now_ms.saturating_sub(wishes.min_lag_ms);
    let is_young = |segment: &&SegmentFacts| segment.largest_timestamp.is_some_and(|t| t > newest_allowed);
    let dirty = dirty_closed(log, first_dirty);
    dirty.iter().find(is_young).map_or(bound, |young| bound.min(young.base_offset))
}

fn overdue_ms(dirty: &[SegmentFacts], wishes: &Wishes) -> i64 {
    let must_be_clean = wishes.now_ms.saturating_sub(wishes.max_lag_ms.max(0));
    let oldest = dirty.iter().filter_map(|segment| segment.first_timestamp).filter(|t| *t > 0).min();
    oldest.map_or(0, |oldest| must_be_clean.saturating_sub(oldest).max(0))
}

/// The dirtiest of the logs that are due, by its place in the list.
pub(super) fn choose(candidates: &[(Dirt, Wishes)]) -> Option<usize> {
    let due = candidates.iter().enumerate().filter(|(_, (dirt, wishes))| dirt.is_due(wishes));
    due.max_by(|(_, (a, _)), (_, (b, _))| a.ratio().total_cmp(&b.ratio())).map(|(place, _)| place)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
