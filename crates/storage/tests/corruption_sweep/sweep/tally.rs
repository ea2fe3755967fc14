//! What came of many trials.

use std::collections::BTreeMap;
use std::fmt;

use super::damage::{Damage, Harm};

/// Counts by file, damage and outcome, with the first example of each.
#[derive(Default)]
pub(crate) struct Tally {
    counts: BTreeMap<(String, Damage), BTreeMap<String, (u64, String)>>,
}

impl Tally {
    /// One trial, with the name of its outcome and an example of it, which may be empty.
    pub(crate) fn note<Kind: fmt::Debug>(&mut self, harm: &Harm<Kind>, (name, example): (String, String)) {
        let cell = (format!("{:?}", harm.kind), harm.damage);
        self.counts.entry(cell).or_default().entry(name).or_insert((0, example)).0 += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (cell, outcomes) in other.counts {
            for (name, (count, example)) in outcomes {
                self.counts.entry(cell.clone()).or_default().entry(name).or_insert((0, example)).0 += count;
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.counts.values().flat_map(BTreeMap::values).map(|(count, _)| count).sum();
        writeln!(f, "{all} trials")?;
        for ((kind, damage), outcomes) in &self.counts {
            write!(f, "{kind} {damage:?}:")?;
            for (name, (count, example)) in outcomes {
                let example = if example.is_empty() { String::new() } else { format!(" ({example})") };
                write!(f, " {name} {count}{example}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
