//! Compaction: what a pass may take away, what it must, and what it has to leave as it is.
//!
//! ```text
//!   start          from               to             bound             end
//!   ├─ compacted ───┼──── this pass ───┼── looked at ──┼── left alone ──┤
//! ```
//! What the model holds of a batch is replaced by what is found of it, once each record that is missing was one that may be.

use std::collections::{BTreeMap, BTreeSet};

use ottla_env::sim::{die_at_effect, is_dying, note};
use ottla_env::{random, time};
use ottla_storage::{Cleaned, Log};

use crate::chance;
use crate::model::{Batch, Part, Record};
use crate::run::Run;
use crate::transactions::Transactions;

/// A pass that was asked for. Until its outcome is known it may have happened in part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    now_ms: i64,
    /// Nothing that ends behind is touched: the last stable offset.
    bound: i64,
    delete_retention_ms: i64,
}

/// What a pass goes by.
pub(crate) struct Rules {
    pass: Pass,
    transactions: Transactions,
    /// Last offset of each key below the bound, of records that count.
    last_of_key: BTreeMap<Vec<u8>, i64>,
}

impl Rules {
    fn new(part: &Part, pass: Pass, to: i64) -> Self {
        let transactions = part.transactions();
        let mut last_of_key = BTreeMap::new();
        let counts = |batch: &&Batch| !batch.header.is_control() && transactions.is_committed(batch);
        for record in part.visible().filter(counts).flat_map(Batch::records).filter(|record| record.offset < to) {
            last_of_key.insert(record.key, record.offset);
        }
        Self { pass, transactions, last_of_key }
    }

    fn is_superseded(&self, record: &Record) -> bool {
        self.last_of_key.get(&record.key).is_some_and(|last| *last > record.offset)
    }

    fn is_aborted(&self, batch: &Batch) -> bool {
        !batch.header.is_control() && !self.transactions.is_committed(batch)
    }

    /// Tombstones and markers have been kept for as long as an earlier pass has said.
    fn has_served(&self, batch: &Batch) -> bool {
        batch.header.has_delete_horizon() && batch.header.base_timestamp <= self.pass.now_ms
    }

    fn may_go(&self, batch: &Batch, record: &Record) -> bool {
        let served = self.has_served(batch);
        batch.header.next_offset() <= self.pass.bound
            && if batch.header.is_control() {
                served
            } else {
                self.is_aborted(batch) || self.is_superseded(record) || (record.value.is_none() && served)
            }
    }

    /// Whether nothing of a batch need be left.
    pub(crate) fn may_vanish(&self, batch: &Batch) -> bool {
        batch.header.next_offset() <= self.pass.bound && batch.records().iter().all(|record| self.may_go(batch, record))
    }

    /// Whether bytes are what the pass may have made of a batch. `Err`: why not.
    pub(crate) fn judge(&self, old: &Batch, new: &Batch) -> Result<(), String> {
        let left: BTreeSet<i64> = new.records().iter().map(|record| record.offset).collect();
        is_remnant(old, new)?;
        let missing = old.records().into_iter().filter(|record| !left.contains(&record.offset));
        if let Some(record) = missing.into_iter().find(|record| !self.may_go(old, record)) {
            return Err(format!("{record:?} is missing, by {:?}, of {:?}", self.pass, old.header));
        }
        let horizon = self.pass.now_ms.saturating_add(self.pass.delete_retention_ms);
        let horizons = (horizon_of(old), horizon_of(new));
        match horizons {
            (before, now) if before == now || left.is_empty() => Ok(()),
            (None, Some(now)) if now == horizon => Ok(()),
            _ => Err(format!("delete horizons {horizons:?}, by {:?}", self.pass)),
        }
    }
}

/// Whether a batch is another with fewer records. `Err`: why not.
pub(crate) fn is_remnant(old: &Batch, new: &Batch) -> Result<(), String> {
    let same = |batch: &Batch| {
        let header = &batch.header;
        (
            (header.base_offset, header.last_offset_delta, header.partition_leader_epoch),
            (header.producer_id, header.producer_epoch, header.base_sequence),
            (header.timestamp_type(), header.is_control(), header.is_transactional()),
        )
    };
    if same(old) != same(new) {
        return Err(format!("{:?} became {:?}", old.header, new.header));
    }
    let before: BTreeMap<i64, Record> = old.records().into_iter().map(|record| (record.offset, record)).collect();
    if let Some(changed) = new.records().iter().find(|record| before.get(&record.offset) != Some(record)) {
        return Err(format!("{changed:?} was {:?}", before.get(&changed.offset)));
    }
    Ok(())
}

fn horizon_of(batch: &Batch) -> Option<i64> {
    batch.header.has_delete_horizon().then_some(batch.header.base_timestamp)
}

impl Part {
    /// What the pass that is under way, if there is one, may have done.
    pub(crate) fn rules(&self) -> Option<Rules> {
        self.pass.map(|pass| Rules::new(self, pass, pass.bound))
    }

    /// A pass came back, having compacted this log or having left it at some point.
    fn cleaned(&mut self, log: &Log, done: Option<&Cleaned>) {
        let Some(pass) = self.pass.take() else { return };
        let to = done.map_or(pass.bound, |done| done.to);
        assert!(to <= pass.bound, "compacted up to {to}, beyond {pass:?}");
        let rules = Rules::new(self, pass, to);
        let mut found: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
        for bytes in self.read(log, self.start) {
            let first = Batch::new(bytes.clone(), 0).header.base_offset;
            assert!(found.insert(first, bytes).is_none(), "two batches at {first}");
        }
        for old in self.batches.iter_mut().filter(|batch| !batch.is_gone && batch.header.next_offset() > self.start) {
            match found.remove(&old.header.base_offset) {
                Some(bytes) if bytes == old.bytes => {}
                Some(bytes) => {
                    let new = old.compacted_to(bytes);
                    rules.judge(old, &new).unwrap_or_else(|why| panic!("compaction: {why}"));
                    *old = new;
                }
                None if self.rotten.contains(&old.header.base_offset) => {}
                None => {
                    assert!(rules.may_vanish(old), "compaction took {:?}, by {pass:?}", old.header);
                    old.is_gone = true;
                }
            }
        }
        assert!(found.is_empty(), "never written: {:?}", found.keys());
        self.close_gaps();
        self.check_markers();
        if done.is_some() {
            // Or a loss of power would take the last record of a key, for which the one before has gone.
            assert!(log.flushed_offset() >= to, "compacted up to {to}, flushed up to {}", log.flushed_offset());
            self.check_compacted(&rules, to);
            self.cleaned_to = to;
        }
    }

    /// Behind what is gone there is a gap now.
    pub(crate) fn close_gaps(&mut self) {
        let mut end = self.start;
        for batch in self.batches.iter_mut().filter(|batch| !batch.is_gone && batch.header.next_offset() > self.start) {
            batch.after = batch.after.min(end.max(self.start));
            end = batch.header.next_offset();
        }
    }

    /// A transaction of which a record is there has its marker.
    fn check_markers(&self) {
        let markers: BTreeSet<i64> =
            self.visible().filter(|batch| batch.header.is_control()).map(|batch| batch.header.base_offset).collect();
        let transactions = self.transactions();
        for batch in self.visible().filter(|batch| batch.header.is_transactional() && batch.header.record_count > 0) {
            let within = |first: i64, marker: i64| (first..marker).contains(&batch.header.base_offset);
            let of = transactions
                .ended
                .iter()
                .find(|ended| ended.producer_id == batch.header.producer_id && within(ended.first, ended.marker));
            if let Some(ended) = of {
                assert!(markers.contains(&ended.marker), "{ended:?} has lost its marker, but not {:?}", batch.header);
            }
        }
    }

    /// What had to go has gone.
    fn check_compacted(&self, rules: &Rules, to: i64) {
        // Below the log start no key is looked at.
        let newly = self.cleaned_to.max(self.start).min(to)..to;
        let rest = |batch: &&Batch| batch.header.next_offset() <= to && !batch.header.is_control();
        for batch in self.visible().filter(rest) {
            for record in batch.records() {
                assert!(!rules.is_aborted(batch), "aborted, and still there: {record:?}");
                let later = rules.last_of_key.get(&record.key).filter(|last| newly.contains(last));
                assert!(later.is_none_or(|last| *last <= record.offset), "{record:?}, but {later:?}");
                let horizon = horizon_of(batch);
                let expired = record.value.is_none() && horizon.is_none_or(|horizon| horizon <= rules.pass.now_ms);
                // One that gets its horizon from this pass stays even if that has come already.
                let is_new = horizon == Some(rules.pass.now_ms.saturating_add(rules.pass.delete_retention_ms));
                assert!(!expired || is_new, "a tombstone of {horizon:?}: {record:?}");
            }
        }
    }
}

impl Run {
    /// The cleaner looks for something to do, once.
    pub(crate) fn clean(&mut self) {
        let now_ms = time::wall_clock_ms();
        let works = |run: &Self, at: usize| run.parts[at].exists && run.log(at).dir().check_online().is_ok();
        for at in 0..self.parts.len() {
            // Of one that is offline an earlier pass may still be open.
            if self.parts[at].config.cleanup_policy.compact && works(self, at) {
                let bound = self.log(at).last_stable_offset();
                let part = &mut self.parts[at];
                part.pass = Some(Pass { now_ms, bound, delete_retention_ms: part.config.delete_retention_ms });
                part.was_compacted = true;
            }
        }
        let often = self.weights.favours_compaction();
        if chance(if often { 2 } else { 3 }) == 0 && self.parts.iter().any(|part| part.pass.is_some()) {
            // A pass has more effects than most deaths leave time for.
            die_at_effect(1 + random::below(60));
        }
        let report = self.manager().clean_once(now_ms);
        if is_dying() {
            return self.die();
        }
        for at in 0..self.parts.len() {
            // What is offline tells at the next start what came of it.
            if works(self, at) {
                let (topic, partition) = (self.parts[at].topic, self.parts[at].partition);
                let is_this = |done: &&Cleaned| (&*done.topic, done.partition) == (topic, partition);
                let done = report.cleaned.as_ref().filter(is_this);
                let log = self.log(at);
                let mut part = self.parts.remove(at);
                self.with_a_sound_disk(|| part.cleaned(&log, done));
                self.parts.insert(at, part);
                if done.is_some() {
                    note("compacted");
                }
            }
        }
        // One that was given up because it had rotted stays so, though what had rotted is cut off since.
        if !self.is_broken() && !self.has_rotted {
            let stats = self.manager().cleaner_stats();
            assert_eq!(stats.uncleanable_partitions, 0, "nothing is broken, but a log was given up");
        }
    }
}
