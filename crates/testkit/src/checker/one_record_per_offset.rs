//! A record that a consumer has read stays what and where it is: two reads of an offset see the same.
//!
//! ```text
//!   for all Read(p, o, v), Read(p, o, w):   v = w
//! ```
//!
//! With one replica this also says that nothing beyond the high watermark was shown and then lost: after a crash
//! another record would take its offset.

use std::collections::BTreeMap;

use super::Violation;
use crate::history::{Event, History};

/// Judges a history.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut seen = BTreeMap::new();
    let mut violations = Vec::new();
    for event in &history.events {
        let Event::Read { consumer, partition, offset, value } = event else { continue };
        let (first_consumer, first) = *seen.entry((*partition, *offset)).or_insert((consumer, *value));
        if first != *value {
            let name = |value: Option<crate::history::Value>| value.map_or("?".to_owned(), |value| value.to_string());
            let (first, value) = (name(first), name(*value));
            let what = format!("{partition}/{offset} was {first} for {first_consumer} and {value} for {consumer}");
            violations.push(Violation { invariant: "one_record_per_offset", what });
        }
    }
    violations
}
