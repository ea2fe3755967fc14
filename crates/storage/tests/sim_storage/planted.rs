//! Planted bugs: the storage breaks one of its promises, and the model has to object. One that nothing objects to shows what
//! the runs do not look at.
//!
//! ```text
//!   cargo xtask sim storage 7 "a torn end is kept"        one run with one of them, with all that happens in it
//! ```
//! Each has its place in the product's code, by `ottla_env::planted::is`, which is nothing but `false` in any other build.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_env::sim::Sim;
use parking_lot::Mutex;

use crate::many::{on_all_cores, once};
use crate::operations::Operation::{
    self, Append, AppendIdempotent, AppendTransactional, BreakDisk, Clean, CreateTopic, DeleteRecords, EndTransaction,
    Fetch, FillDisk, Flush, Move, Refuse, Repeat, Replicate, Restart, Retention, Truncate, VisitCheckpoints,
};
use crate::run;

/// Seeds that are tried. Most bugs are noticed by one of the first ten.
const SEEDS_MAX: u64 = 2_000;

/// What is done wrong, and of which operations many make it likely to be noticed.
const BUGS: [(&str, &[Operation]); 65] = [
    // Appends and flushes.
    ("acknowledged before it is written", &[FillDisk]),
    ("acknowledged before it is synced", &[]),
    ("a failed write is taken for a full disk", &[BreakDisk]),
    ("half a batch stays where a write failed", &[FillDisk]),
    ("a flush without a sync", &[]),
    ("a failed sync is passed over", &[BreakDisk, Flush]),
    ("a flush of the active segment only", &[]),
    ("a flush without the names of segments", &[Flush]),
    ("a flush without the aborted transactions", &[AppendTransactional, EndTransaction, VisitCheckpoints, Restart]),
    ("a flush without partition.metadata", &[]),
    ("the names of logs are not synced", &[CreateTopic, Restart]),
    ("a follower believes its leader's bytes", &[]),
    ("batches keep the producer's leader epoch", &[]),
    ("only elections note a leader epoch", &[]),
    // Segments.
    ("a roll one offset off", &[]),
    ("a roll loses the aborted transactions", &[AppendTransactional, EndTransaction]),
    ("a gap of the leader's between two segments", &[Replicate]),
    // Starts and stops.
    ("nothing is scanned after a crash", &[]),
    ("the last batch is dropped at the start", &[]),
    ("a torn end is kept", &[]),
    ("no checksum is looked at", &[Restart]),
    ("a high watermark above the log end", &[]),
    ("the mark of a clean stop before the flush", &[Restart]),
    ("the mark of a clean stop stays", &[]),
    ("the removal of the mark is not synced", &[]),
    ("the log start is forgotten", &[]),
    ("the recovery point is noted before the flush", &[VisitCheckpoints]),
    ("a checkpoint is renamed before it is synced", &[]),
    // Truncation and retention.
    ("only the indexes are cut", &[Truncate]),
    ("a truncation keeps the leader epochs", &[Truncate]),
    ("a truncation keeps the producers", &[Truncate]),
    ("a truncation keeps the high watermark", &[Truncate]),
    ("a truncation keeps the recovery point", &[Truncate]),
    ("deleted records are not noted", &[DeleteRecords]),
    ("retention takes the active segment", &[Retention]),
    ("retention takes one segment too many", &[Retention]),
    ("retention above the high watermark", &[Retention]),
    // Compaction.
    ("tombstones go with the first pass", &[Clean]),
    ("keys that find no room are passed over", &[Clean]),
    ("keys are told apart by two bits", &[Clean]),
    ("open transactions are compacted", &[Clean]),
    ("aborted records are taken for the last of their keys", &[AppendTransactional, Clean, EndTransaction]),
    ("a marker goes before its records", &[AppendTransactional, Clean, EndTransaction]),
    ("compaction forgets producers", &[AppendIdempotent, Clean, Restart]),
    ("compaction before the flush", &[Clean]),
    ("compacted segments are not synced", &[Append, Clean]),
    ("old segments go before the new names are synced", &[Append, Clean]),
    ("what was compacted stays beside its replacement", &[Append, Clean]),
    ("the cleaner's checkpoint before the exchange", &[Append, Clean]),
    ("a copy goes on behind what the power took", &[Append, Clean, Move, Restart]),
    // Producers and transactions.
    ("a window of four batches", &[AppendIdempotent, Repeat]),
    ("a gap in the sequence is taken", &[]),
    ("a batch is taken twice after a start", &[]),
    ("a fenced producer goes on", &[AppendIdempotent, Refuse]),
    ("a fenced coordinator goes on", &[AppendTransactional, EndTransaction, Refuse]),
    ("producers are replayed from one offset behind the snapshot", &[Restart]),
    ("a snapshot of what was lost is believed", &[Restart]),
    ("a marker ends no transaction", &[]),
    ("a marker counts before it is replicated", &[]),
    ("the last stable offset passes open transactions", &[]),
    // Reads.
    ("a reader sees a batch that begins below its bound", &[]),
    ("a batch that begins within the budget", &[]),
    ("what is left of the budget goes to the next segment", &[]),
    ("aborted transactions of one segment only", &[AppendTransactional, EndTransaction, Fetch]),
    ("a search by time begins one batch too late", &[]),
];

/// How a bug was found.
struct Found {
    /// The first seed, counted from 1.
    seed: u64,
    /// What the model said.
    objection: String,
}

/// Runs until something is said. That must be due to the bug: the same run without it says nothing.
fn hunt(bug: &str, often: &[Operation]) -> Option<Found> {
    let found = (1..=SEEDS_MAX).find_map(|seed| {
        let objection = once(&Sim::with_planted(seed, bug), || run::run_with(often)).err()?;
        Some(Found { seed, objection })
    })?;
    let honest = once(&Sim::new(found.seed), || run::run_with(often));
    assert_eq!(honest, Ok(()), "seed {}, {bug:?} or not", found.seed);
    Some(found)
}

/// The operations that make the bug of `OTTLA_PLANTED`, or `OTTLA_OFTEN`, likely to be noticed, as in the score.
pub(crate) fn often() -> &'static [Operation] {
    let bug = ["OTTLA_PLANTED", "OTTLA_OFTEN"].iter().find_map(|name| std::env::var(name).ok());
    let row = BUGS.iter().find(|(name, _)| Some(*name) == bug.as_deref());
    row.map_or(&[], |(_, often)| often)
}

#[test]
fn every_planted_bug_is_found() {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    on_all_cores(|| {
        while let Some((bug, often)) = BUGS.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(how) = hunt(bug, often) {
                found.lock().insert(*bug, how);
            }
        }
    });
    let found = found.into_inner();
    println!("{} of {} planted bugs are found; runs that it took:", found.len(), BUGS.len());
    for (bug, _) in BUGS {
        let (seed, objection) =
            found.get(bug).map_or(("never".to_owned(), ""), |how| (how.seed.to_string(), &how.objection));
        let objection: String = objection.lines().next().unwrap_or_default().chars().take(100).collect();
        println!("{seed:>6}  {bug:<60} {objection}");
    }
    let missed: Vec<&str> = BUGS.into_iter().map(|(bug, _)| bug).filter(|bug| !found.contains_key(bug)).collect();
    assert!(missed.is_empty(), "nothing objects to: {missed:#?}");
}
