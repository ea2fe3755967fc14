//! What came of many trials.

use std::collections::BTreeMap;
use std::fmt;

use super::damage::{Damage, Harm, Kind};
use super::fixture::How;
use super::rules::Outcome;

/// Counts by file, damage and outcome, with the first trial of each that the format cannot show.
#[derive(Default)]
pub(crate) struct Tally {
    counts: BTreeMap<(Kind, Damage), BTreeMap<String, (u64, String)>>,
}

impl Tally {
    pub(crate) fn note(&mut self, harm: &Harm, how: How, outcome: Outcome) {
        let name = match &outcome {
            Outcome::Refused(_) => "Refused".to_owned(),
            other => format!("{other:?}"),
        };
        let example = match &outcome {
            Outcome::Refused(why) => why.clone(),
            Outcome::NotShown(_) => format!("{how:?}, {harm}"),
            _ => String::new(),
        };
        self.counts.entry((harm.kind, harm.damage)).or_default().entry(name).or_insert((0, example)).0 += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (cell, outcomes) in other.counts {
            for (name, (count, example)) in outcomes {
                self.counts.entry(cell).or_default().entry(name).or_insert((0, example)).0 += count;
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.counts.values().flat_map(BTreeMap::values).map(|(count, _)| count).sum();
        writeln!(f, "{all} trials")?;
        for ((kind, damage), outcomes) in &self.counts {
            write!(f, "{kind:?} {damage:?}:")?;
            for (name, (count, example)) in outcomes {
                let example = if example.is_empty() { String::new() } else { format!(" ({example})") };
                write!(f, " {name} {count}{example}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
