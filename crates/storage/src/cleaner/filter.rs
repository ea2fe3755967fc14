//! What becomes of each record and batch: decisions over facts. Kafka: `Cleaner.shouldRetainRecord` and the
//! `RecordFilter` of `Cleaner.cleanInto`, with the horizons of KIP-534.
//!
//! | record | stays |
//! |---|---|
//! | behind what the map covers | yes |
//! | without a key | no |
//! | not the last of its key | no |
//! | a tombstone, its batch past the delete horizon | no |
//! | of an aborted transaction | no |
//!
//! | batch | becomes |
//! |---|---|
//! | all records stay, nothing to note | itself, byte by byte |
//! | the first pass that leaves a tombstone in it, or a marker whose transaction has no records | the same with a delete horizon |
//! | no record stays, but its offset or sequence is needed | an empty batch |

use ottla_env::planted;
use ottla_protocol::record_batch::{BatchHeader, MAGIC};

/// What is needed of a batch even when no record of it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BatchNeeds {
    /// It holds the last sequence, or the last epoch, of a producer that is remembered.
    pub(super) last_of_producer: bool,
    /// It ends at the high watermark, which consumers must be able to reach.
    pub(super) ends_at_high_watermark: bool,
    /// It is the last one of the segments that become one, whose end must be where the next segment begins: a hole there
    /// would look like a loss.
    pub(super) last_of_group: bool,
}

/// How the records of one batch are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchRule {
    /// None of them stays: its transaction was aborted, or its marker is past its time.
    pub(super) drop_records: bool,
    /// All of them stay: control records, which have no key of their own.
    pub(super) keep_records: bool,
    /// The batch stays when it is empty.
    pub(super) keep_empty: bool,
    /// It is the marker of a transaction of which nothing is left.
    pub(super) marker_is_done: bool,
    /// Tombstones in it have not served their time.
    pub(super) tombstones_stay: bool,
}

/// The rule for a batch. `is_done`: it is data of an aborted transaction, or a marker whose transaction is gone.
pub(super) fn rule(
    header: &BatchHeader,
    is_done: bool,
    needs: BatchNeeds,
    legacy_tombstones_stay: bool,
    now_ms: i64,
) -> BatchRule {
    let horizon_passed = header.has_delete_horizon() && header.base_timestamp <= now_ms;
    let horizon_passed = horizon_passed || planted::is("tombstones go with the first pass");
    let is_legacy = header.magic < MAGIC;
    BatchRule {
        drop_records: is_done && (!header.is_control() || horizon_passed),
        keep_records: header.is_control(),
        keep_empty: needs.last_of_producer || needs.ends_at_high_watermark || needs.last_of_group,
        marker_is_done: is_done && header.is_control(),
        tombstones_stay: if is_legacy { legacy_tombstones_stay } else { !horizon_passed },
    }
}

/// What the decision needs to know of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordFacts {
    pub(super) offset: i64,
    pub(super) has_key: bool,
    pub(super) has_value: bool,
    /// The last offset of its key in the dirty part; None if it has none there.
    pub(super) last_of_key: Option<i64>,
}

/// Whether a record stays; `mapped_to` is the last offset that the map covers.
pub(super) fn stays(record: &RecordFacts, rule: &BatchRule, mapped_to: i64) -> bool {
    if rule.drop_records || rule.keep_records {
        return rule.keep_records && !rule.drop_records;
    }
    if record.offset > mapped_to {
        return true;
    }
    let is_last = record.last_of_key.is_none_or(|last| record.offset >= last);
    record.has_key && is_last && (record.has_value || rule.tombstones_stay)
}

/// The records of a batch that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) count: i32,
    /// Whether one of them has no value.
    pub(super) has_tombstone: bool,
}

/// What becomes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes.
    Drop,
    /// Its head stays, without records.
    Empty,
    /// It is copied.
    Copy,
    /// The records that stay are written anew.
    Rewrite {
        /// The delete horizon that it gets now.
        delete_horizon_ms: Option<i64>,
    },
}

/// What becomes of a batch of which so much stays.
pub(super) fn fate(header: &BatchHeader, left: Left, rule: &BatchRule, horizon_from_now_ms: i64) -> Fate {
    if left.count == 0 {
        return if rule.keep_empty { Fate::Empty } else { Fate::Drop };
    }
    let wants_horizon = header.magic == MAGIC && (left.has_tombstone || rule.marker_is_done);
    let delete_horizon_ms = (wants_horizon && !header.has_delete_horizon()).then_some(horizon_from_now_ms);
    if left.count == header.record_count && delete_horizon_ms.is_none() {
        return Fate::Copy;
    }
    Fate::Rewrite { delete_horizon_ms }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
