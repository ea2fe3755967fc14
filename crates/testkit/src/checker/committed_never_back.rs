//! A group's committed offset, once acknowledged, is never answered lower again.
//!
//! ```text
//!   Committed(g, p, o) at t1,  CommittedIs(g, p, a) at t2 > t1:   a >= o
//! ```
//!
//! It presumes that the group's members commit rising offsets, which those of the crash ring do: each commits what it
//! has read, beginning with what was committed.

use std::collections::BTreeMap;

use super::Violation;
use crate::history::{Event, History};

/// Judges a history.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut promised: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in &history.events {
        match event {
            Event::Committed { group, partition, offset } => {
                let highest = promised.entry((group, *partition)).or_insert(*offset);
                *highest = (*highest).max(*offset);
            }
            Event::CommittedIs { group, partition, offset } => {
                let Some(highest) = promised.get(&(*group, *partition)) else { continue };
                if offset.is_none_or(|offset| offset < *highest) {
                    let answer = offset.map_or("nothing".to_owned(), |offset| offset.to_string());
                    let what = format!("{group} had committed {highest} of partition {partition}, now it is {answer}");
                    violations.push(Violation { invariant: "committed_never_back", what });
                }
            }
            _ => {}
        }
    }
    violations
}
