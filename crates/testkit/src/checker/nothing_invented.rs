//! Whatever is read was sent before by one of the history's producers.
//!
//! ```text
//!   for all Read(v) at time t:   there is Sent(v) before t
//! ```

use std::collections::BTreeSet;

use super::Violation;
use crate::history::{Event, History};

/// Judges a history.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut sent = BTreeSet::new();
    let mut violations = Vec::new();
    for event in &history.events {
        match event {
            Event::Sent(value) => {
                sent.insert(*value);
            }
            Event::Read { consumer, partition, offset, value } if value.is_none_or(|value| !sent.contains(&value)) => {
                let carried = value.map_or_else(|| "bytes of nobody".to_owned(), |value| value.to_string());
                let what = format!("{consumer} read {carried}, which was not sent, at {partition}/{offset}");
                violations.push(Violation { invariant: "nothing_invented", what });
            }
            _ => {}
        }
    }
    violations
}
