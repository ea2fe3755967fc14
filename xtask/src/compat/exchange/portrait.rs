//! Portraits of a broker, and what two of them must have in common.
//!
//! ```text
//!  kind            two portraits of one directory, nothing written between
//!  kept…           of compacted topics: what is there was there before, and the last record of each key is
//!  internal        coordinators' records: a lost one has a newer one of its key, and none has changed; more may have come
//!  all others      the same
//! ```
//! A kind that one of the brokers does not serve is left out.

use std::collections::{BTreeMap, BTreeSet};

/// What a client saw.
#[derive(Debug, Default)]
pub(super) struct Portrait {
    /// By kind and key.
    facts: BTreeMap<(String, String), String>,
    unserved: BTreeSet<String>,
}

/// How many facts were compared, and a sentence for each that should not differ and does.
type Compared = (usize, Vec<String>);

const INTERNAL: &str = "internal";
const KEPT: [&str; 2] = ["kept", "kept-committed"];
/// Its aborted records may go, even the last of a key.
const WITH_ABORTED: &str = "txn-compacted-";
/// Kinds of records in `__consumer_offsets` that Ottla writes: commits and classic groups.
const SERVED_TYPES: [&str; 3] = ["0", "1", "2"];

impl Portrait {
    pub(super) fn parse(text: &str) -> Self {
        let mut portrait = Self::default();
        for line in text.lines() {
            let mut words = line.splitn(3, '\t').map(str::to_owned);
            let (Some(kind), Some(key)) = (words.next(), words.next()) else { continue };
            if kind == "unserved" {
                portrait.unserved.insert(key);
            } else {
                portrait.facts.insert((kind, key), words.next().unwrap_or_default());
            }
        }
        portrait
    }

    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.facts.iter().filter(move |((k, _), _)| k == kind);
        all.map(|((_, key), value)| (key.as_str(), value.as_str()))
    }

    fn get(&self, kind: &str, key: &str) -> Option<&str> {
        self.facts.get(&(kind.to_owned(), key.to_owned())).map(String::as_str)
    }

    fn kinds(&self) -> BTreeSet<&str> {
        self.facts.keys().map(|(kind, _)| kind.as_str()).collect()
    }
}

/// What differs though nothing was written between the two.
pub(super) fn differences(before: &Portrait, after: &Portrait) -> Compared {
    let left_out = |kind: &&str| !before.unserved.contains(*kind) && !after.unserved.contains(*kind);
    let kinds: BTreeSet<&str> = before.kinds().union(&after.kinds()).copied().filter(left_out).collect();
    let mut sum = (0, Vec::new());
    for kind in kinds {
        let (facts, differ) = match kind {
            INTERNAL => coordinators(before, after),
            _ if KEPT.contains(&kind) => kept(kind, before, after),
            _ => same(kind, before, after),
        };
        sum.0 += facts;
        sum.1.extend(differ);
    }
    sum
}

/// What differs of the kinds that the broker between did not serve: they are as the first one left them.
pub(super) fn unserved_differences(first: &Portrait, between: &Portrait, last: &Portrait) -> Compared {
    let mut sum = (0, Vec::new());
    // Producers go on and are forgotten while others serve the directory.
    for kind in between.unserved.iter().filter(|kind| *kind != "producer") {
        let (facts, differ) = same(kind, first, last);
        sum.0 += facts;
        sum.1.extend(differ);
    }
    sum
}

/// Coordinators' records of unserved kinds that came or went under Ottla.
pub(super) fn touched(before: &Portrait, after: &Portrait) -> Compared {
    let (facts, mut differ) = coordinators(before, after);
    for (at, value) in after.of(INTERNAL) {
        if before.get(INTERNAL, at).is_none() && !is_served(at, value) {
            differ.push(format!("written: {at} {value}"));
        }
    }
    (facts, differ)
}

fn same(kind: &str, before: &Portrait, after: &Portrait) -> Compared {
    let mut differ = Vec::new();
    for (key, value) in before.of(kind) {
        match after.get(kind, key) {
            Some(now) if now == value => {}
            Some(now) => differ.push(format!("{kind} {key}: {value} became {now}")),
            None => differ.push(format!("{kind} {key}: {value} is lost")),
        }
    }
    let came = after.of(kind).filter(|(key, _)| before.get(kind, key).is_none());
    differ.extend(came.map(|(key, value)| format!("{kind} {key}: {value} came from nowhere")));
    (before.of(kind).count(), differ)
}

/// `topic-partition@offset` in its two parts.
fn place(at: &str) -> (&str, i64) {
    let (partition, offset) = at.split_once('@').unwrap_or((at, ""));
    (partition, offset.parse().unwrap_or(-1))
}

/// Offset of the last record of each partition and key.
fn last_of_keys<'a>(
    facts: impl Iterator<Item = (&'a str, &'a str)>,
    key: impl Fn(&'a str) -> &'a str,
) -> BTreeMap<(&'a str, &'a str), i64> {
    let mut last = BTreeMap::new();
    for (at, value) in facts {
        let (partition, offset) = place(at);
        let known = last.entry((partition, key(value))).or_insert(offset);
        *known = offset.max(*known);
    }
    last
}

/// The n-th word.
fn word(value: &str, n: usize) -> &str {
    value.split(' ').nth(n).unwrap_or_default()
}

fn kept(kind: &str, before: &Portrait, after: &Portrait) -> Compared {
    let key = |value| if kind == "kept" { word(value, 3) } else { word(value, 0) };
    let last = last_of_keys(before.of(kind), key);
    let mut differ = Vec::new();
    for (at, value) in before.of(kind) {
        let (partition, offset) = place(at);
        let may_go = kind == "kept" && partition.starts_with(WITH_ABORTED)
            || last.get(&(partition, key(value))).is_some_and(|last| offset < *last);
        match after.get(kind, at) {
            Some(now) if now != value => differ.push(format!("{kind} {at}: {value} became {now}")),
            None if !may_go => differ.push(format!("{kind} {at}: {value} is lost, the last of its key")),
            Some(_) | None => {}
        }
    }
    let came = after.of(kind).filter(|(at, _)| before.get(kind, at).is_none());
    differ.extend(came.map(|(at, value)| format!("{kind} {at}: {value} came from nowhere")));
    (before.of(kind).count(), differ)
}

fn is_served(at: &str, value: &str) -> bool {
    at.starts_with("__consumer_offsets-") && SERVED_TYPES.contains(&word(value, 0))
}

fn coordinators(before: &Portrait, after: &Portrait) -> Compared {
    let last = last_of_keys(after.of(INTERNAL), |value| word(value, 1));
    let mut differ = Vec::new();
    for (at, value) in before.of(INTERNAL) {
        let (partition, offset) = place(at);
        let newer = last.get(&(partition, word(value, 1))).is_some_and(|last| offset < *last);
        match after.get(INTERNAL, at) {
            Some(now) if now != value => differ.push(format!("{at}: {value} became {now}")),
            None if !newer => differ.push(format!("{at}: {value} is lost")),
            Some(_) | None => {}
        }
    }
    (before.of(INTERNAL).count(), differ)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portrait(lines: &[&str]) -> Portrait {
        Portrait::parse(&lines.join("\n").replace(' ', "\t").replace('_', " "))
    }

    fn told(lines: Compared) -> String {
        lines.1.join("; ")
    }

    #[test]
    fn facts_are_the_same_or_told() {
        let before = portrait(&["record t-0@0 a", "record t-0@1 b", "config x 1", "quota q 1"]);
        let after = portrait(&["record t-0@0 a", "record t-0@1 c", "group g Empty", "unserved quota"]);
        assert_eq!(
            told(differences(&before, &after)),
            "config x: 1 is lost; group g: Empty came from nowhere; record t-0@1: b became c"
        );
        assert_eq!(told(differences(&before, &before)), "");
        assert_eq!(told(unserved_differences(&before, &after, &after)), "quota q: 1 is lost");
    }

    #[test]
    fn a_compacted_record_may_go_if_a_newer_one_of_its_key_stays() {
        let value = |key: &str| format!("0_CreateTime_1_{key}_v_[]");
        let before = [format!("kept t-0@0 {}", value("a")), format!("kept t-0@1 {}", value("a"))];
        let before = portrait(&before.each_ref().map(String::as_str));
        let newer = portrait(&[&format!("kept t-0@1 {}", value("a"))]);
        assert_eq!(told(differences(&before, &newer)), "");
        let older = portrait(&[&format!("kept t-0@0 {}", value("a"))]);
        assert!(told(differences(&before, &older)).contains("kept t-0@1"), "the last one is lost");
        assert!(told(differences(&newer, &before)).contains("came from nowhere"));
    }

    #[test]
    fn records_of_unserved_kinds_stay_as_they_are() {
        let before = portrait(&["internal __consumer_offsets-0@0 3_aa_bb", "internal __consumer_offsets-0@1 1_cc_dd"]);
        let before = Portrait {
            facts: before.facts.into_iter().map(|((kind, at), v)| ((kind, at.replace(' ', "_")), v)).collect(),
            ..before
        };
        let with = |facts: &[(&str, &str)]| {
            let facts = facts.iter().map(|(at, v)| ((INTERNAL.to_owned(), (*at).to_owned()), (*v).to_owned()));
            Portrait { facts: facts.collect(), ..Portrait::default() }
        };
        let (group, commit) = (("__consumer_offsets-0@0", "3 aa bb"), ("__consumer_offsets-0@1", "1 cc dd"));
        let next = ("__consumer_offsets-0@2", "1 cc ee");
        assert_eq!(told(touched(&before, &with(&[group, commit, next]))), "");
        assert_eq!(told(touched(&before, &with(&[group, next]))), "", "a commit that a newer one replaces");
        assert!(told(touched(&before, &with(&[commit]))).contains("is lost"));
        let tombstone = ("__consumer_offsets-0@2", "3 aa null");
        assert!(told(touched(&before, &with(&[group, commit, tombstone]))).contains("written"));
        let transaction = ("__transaction_state-0@0", "0 aa bb");
        assert!(told(touched(&before, &with(&[group, commit, transaction]))).contains("written"));
    }
}
