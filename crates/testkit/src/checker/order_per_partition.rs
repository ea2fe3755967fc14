//! A partition keeps the order of sending, and consumers see the order of the partition.
//!
//! ```text
//!   final log:       o1 < o2, final[p][o1] = v, final[p][o2] = w, v and w of one idempotent producer:  seq(v) < seq(w)
//!   each consumer:   the offsets that it reads of a partition rise one by one, or go back
//! ```
//!
//! A consumer may go back (to what it had committed, after a crash), but must not leave a record out. After a rebalance,
//! when somebody else may have read on meanwhile, it reads under a new name.

use std::collections::BTreeMap;

use super::Violation;
use crate::history::{Event, History};

/// Judges a history.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut violations = check_producers(history);
    violations.extend(consumers_without_gaps(history));
    violations
}

fn violation(what: String) -> Violation {
    Violation { invariant: "order_per_partition", what }
}

/// Judges a history by the first of the two, which holds of a compacted topic as well.
#[must_use]
pub fn check_producers(history: &History) -> Vec<Violation> {
    let mut records: Vec<_> = history.final_records().collect();
    records.sort_by_key(|(partition, offset, _)| (*partition, *offset));
    let mut last = BTreeMap::new();
    let mut violations = Vec::new();
    for (partition, offset, value) in records {
        let Some(value) = value.filter(|value| history.is_idempotent(*value)) else { continue };
        // Equal ones are duplicates, which have a checker of their own.
        if let Some(before) = last.insert((partition, value.producer), value)
            && before.sequence > value.sequence
        {
            violations.push(violation(format!("{value} at {partition}/{offset} comes after {before}")));
        }
    }
    violations
}

fn consumers_without_gaps(history: &History) -> Vec<Violation> {
    let mut last: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in &history.events {
        let Event::Read { consumer, partition, offset, .. } = event else { continue };
        if let Some(before) = last.insert((consumer, *partition), *offset)
            && *offset > before + 1
        {
            violations.push(violation(format!("{consumer} read {partition}/{before} and then {partition}/{offset}")));
        }
    }
    violations
}
