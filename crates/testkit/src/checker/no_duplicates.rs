//! A value of an idempotent producer is in the log at most once, whatever was retried and killed.
//!
//! ```text
//!   for all v of idempotent producers:   |{(p, o) : final[p][o] = v}| <= 1
//! ```

use std::collections::BTreeMap;

use super::Violation;
use crate::history::{History, Value};

/// Judges a history.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut places: BTreeMap<Value, (i32, i64)> = BTreeMap::new();
    let mut violations = Vec::new();
    for (partition, offset, value) in history.final_records() {
        let Some(value) = value.filter(|value| history.is_idempotent(*value)) else { continue };
        if let Some((first_partition, first_offset)) = places.insert(value, (partition, offset)) {
            let what = format!("{value} is at {first_partition}/{first_offset} and at {partition}/{offset}");
            violations.push(Violation { invariant: "no_duplicates", what });
        }
    }
    violations
}
