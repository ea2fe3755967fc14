//! A compacted topic keeps of each key the last value, and everything that it keeps stays where it was acknowledged.
//!
//! ```text
//!   for all Acknowledged(v, p, o):   there is final[p][q] = w with key(w) = key(v), q >= o;  if q = o then w = v
//!   for all Acknowledged(v, p, -):   there is final[p][q] = w with key(w) = key(v)
//! ```
//!
//! It presumes that the end was read: what was acknowledged in a partition without `ReadToEnd` is lost as well.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::history::{Event, History};

/// Judges a history.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let kept: BTreeMap<(i32, i64), _> =
        history.final_records().map(|(partition, offset, value)| ((partition, offset), value)).collect();
    let mut last: BTreeMap<(i32, u64), i64> = BTreeMap::new();
    for ((partition, offset), value) in &kept {
        let Some(value) = value else { continue };
        // In the order of offsets.
        last.insert((*partition, value.key()), *offset);
    }
    let read_to_end: BTreeSet<i32> = history
        .events
        .iter()
        .filter_map(|event| match event {
            Event::ReadToEnd { partition, .. } => Some(*partition),
            _ => None,
        })
        .collect();
    let mut violations = Vec::new();
    for event in &history.events {
        let Event::Acknowledged { value, partition, offset } = event else { continue };
        let last = last.get(&(*partition, value.key()));
        let in_its_place = offset.and_then(|offset| kept.get(&(*partition, offset)));
        let what = if !read_to_end.contains(partition) {
            "its partition was not read to its end".to_owned()
        } else if let Some(found) = in_its_place.filter(|found| **found != Some(*value)) {
            let found = found.map_or_else(|| "something else".to_owned(), |found| found.to_string());
            format!("{found} is in its place")
        } else if last >= offset.as_ref() && last.is_some() {
            continue;
        } else {
            let last = last.map_or_else(|| "is not there".to_owned(), |last| format!("was last at {last}"));
            format!("its key, {}, {last}", value.key())
        };
        let place = offset.map_or_else(|| "?".to_owned(), |offset| offset.to_string());
        let what = format!("{value} was acknowledged at {partition}/{place}: {what}");
        violations.push(Violation { invariant: "last_of_each_key", what });
    }
    violations
}
