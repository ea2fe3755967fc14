//! What a log says of transactions, computed from all of its batches each time.
#![allow(unreachable_pub)]

use std::collections::BTreeMap;

/// First offset and producer id.
pub type Aborted = (i64, i64);

/// A batch.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    first: i64,
    last: i64,
    /// Whose, its epoch, and what it is; None outside of transactions.
    part: Option<(i64, i16, Part)>,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Data { last_sequence: i32 },
    Marker { commit: bool },
}

impl Entry {
    pub fn outside(first: i64, last: i64) -> Self {
        Self { first, last, part: None }
    }

    pub fn data(first: i64, last: i64, producer_id: i64, epoch: i16, last_sequence: i32) -> Self {
        Self { first, last, part: Some((producer_id, epoch, Part::Data { last_sequence })) }
    }

    pub fn marker(offset: i64, producer_id: i64, epoch: i16, commit: bool) -> Self {
        Self { first: offset, last: offset, part: Some((producer_id, epoch, Part::Marker { commit })) }
    }
}

/// A transaction that has ended.
struct Ended {
    producer_id: i64,
    first: i64,
    marker: i64,
    commit: bool,
}

#[derive(Debug, Default)]
pub struct Model {
    entries: Vec<Entry>,
    pub high_watermark: i64,
}

impl Model {
    pub fn push(&mut self, entry: Entry) {
        assert_eq!(entry.first, self.end(), "offsets have no gaps");
        self.entries.push(entry);
    }

    pub fn end(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.last + 1)
    }

    /// Takes so many batches away; gives where the log ends then.
    pub fn truncate(&mut self, batches: usize) -> i64 {
        self.entries.truncate(self.entries.len().saturating_sub(batches));
        self.end()
    }

    /// Epoch and first sequence of the producer's next batch.
    pub fn next_sequence(&self, producer_id: i64) -> (i16, i32) {
        let mut next = (0, 0);
        for (_, epoch, part) in self.entries.iter().filter_map(|e| e.part).filter(|(id, ..)| *id == producer_id) {
            let sequence = if epoch == next.0 { next.1 } else { 0 };
            next = match part {
                Part::Data { last_sequence } => (epoch, last_sequence + 1),
                Part::Marker { .. } => (epoch, sequence),
            };
        }
        next
    }

    /// First offsets of open transactions, and the transactions that have ended.
    fn transactions(&self) -> (BTreeMap<i64, i64>, Vec<Ended>) {
        let (mut open, mut ended) = (BTreeMap::new(), Vec::new());
        for entry in &self.entries {
            match entry.part {
                Some((producer_id, _, Part::Data { .. })) => {
                    open.entry(producer_id).or_insert(entry.first);
                }
                Some((producer_id, _, Part::Marker { commit })) => {
                    if let Some(first) = open.remove(&producer_id) {
                        ended.push(Ended { producer_id, first, marker: entry.last, commit });
                    }
                }
                None => {}
            }
        }
        (open, ended)
    }

    pub fn last_stable_offset(&self) -> i64 {
        let (open, ended) = self.transactions();
        let unreplicated = ended.iter().filter(|t| t.marker >= self.high_watermark).map(|t| t.first);
        open.into_values().chain(unreplicated).chain([self.high_watermark]).min().unwrap_or(0)
    }

    /// Aborted transactions that a reader of `from..to` must know.
    pub fn aborted(&self, from: i64, to: i64) -> Vec<Aborted> {
        let (_, ended) = self.transactions();
        let overlap = ended.iter().filter(|t| !t.commit && t.marker >= from && t.first < to);
        let mut found: Vec<Aborted> = overlap.map(|t| (t.first, t.producer_id)).collect();
        found.sort_unstable();
        found
    }
}
