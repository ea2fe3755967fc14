//! What was acknowledged with acks=all can be read at the end, where the broker said that it is.
//!
//! ```text
//!   for all Acknowledged(v, p, o):   final[p][o] = v
//!   for all Acknowledged(v, p, -):   final[p][o] = v for some o
//! ```
//!
//! It presumes that the end was read: an acknowledged value of a partition without `ReadToEnd`, or at or beyond its end
//! offset, is lost as well. (A topic of the crash ring keeps everything; a deleted prefix would need its start offset.)

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::history::{Event, History};

/// Judges a history.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let kept: BTreeMap<(i32, i64), _> =
        history.final_records().map(|(partition, offset, value)| ((partition, offset), value)).collect();
    let anywhere: BTreeSet<_> =
        kept.iter().filter_map(|((partition, _), value)| Some((*partition, (*value)?))).collect();
    let ends: BTreeMap<i32, i64> = history
        .events
        .iter()
        .filter_map(|event| match event {
            Event::ReadToEnd { partition, end_offset } => Some((*partition, *end_offset)),
            _ => None,
        })
        .collect();
    let mut violations = Vec::new();
    for event in &history.events {
        let Event::Acknowledged { value, partition, offset } = event else { continue };
        let Some(offset) = offset else {
            if !anywhere.contains(&(*partition, *value)) {
                let what = format!("{value} was acknowledged in partition {partition}: it is not there");
                violations.push(Violation { invariant: "acknowledged_never_lost", what });
            }
            continue;
        };
        let what = match kept.get(&(*partition, *offset)) {
            Some(Some(found)) if found == value => continue,
            Some(Some(found)) => format!("{found} is in its place"),
            Some(None) => "something else is in its place".to_owned(),
            None => match ends.get(partition) {
                Some(end) => format!("it is not there; the log ends at {end}"),
                None => "its partition was not read to its end".to_owned(),
            },
        };
        let what = format!("{value} was acknowledged at {partition}/{offset}: {what}");
        violations.push(Violation { invariant: "acknowledged_never_lost", what });
    }
    violations
}
