//! Planted bugs: the storage breaks one of its promises, and the model has to object. One that nothing objects to shows what
//! the runs do not look at.
//!
//! ```text
//!   cargo xtask sim storage 7 "a torn end is kept"        one run with one of them, with all that happens in it
//! ```
//! Each has its place in the product's code, by `ottla_env::planted::is`, which is nothing but `false` in any other build.
//! Syncs of directories need no bug of their own: `syncs.rs` leaves each of them out.

use ottla_env::sim::Sim;

use crate::hunt::{self, Flaw};
use crate::operations::Operation::{
    self, Append, AppendIdempotent, AppendTransactional, BreakDisk, Clean, Configure, DeleteRecords, EndTransaction,
    Fetch, FillDisk, Flush, MoveOverPowerCut, Refuse, Repeat, Replicate, Restart, Retention, Rot, Truncate,
    VisitCheckpoints,
};
use crate::{run, syncs};

/// Seeds that are tried. Most bugs are noticed by one of the first ten.
const SEEDS_MAX: u64 = 300;

/// What is done wrong, and of which operations many make it likely to be noticed.
const BUGS: &[(&str, &[Operation])] = &[
    // Appends and flushes.
    ("acknowledged before it is written", &[FillDisk]),
    ("acknowledged before it is synced", &[]),
    ("a failed write is taken for a full disk", &[BreakDisk]),
    ("half a batch stays where a write failed", &[Append, FillDisk]),
    ("a flush without a sync", &[]),
    ("a failed sync is passed over", &[BreakDisk, Flush]),
    ("a flush of the active segment only", &[Append, Flush]),
    ("a flush without the aborted transactions", &[AppendTransactional, EndTransaction, VisitCheckpoints, Restart]),
    ("a flush without partition.metadata", &[]),
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
    ("recovery goes on behind a torn batch", &[Append, Replicate, Restart]),
    ("no checksum is looked at", &[Append, Rot]),
    ("a high watermark above the log end", &[]),
    ("the mark of a clean stop before the flush", &[AppendIdempotent, Restart]),
    ("the mark of a clean stop stays", &[]),
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
    ("retention takes one segment too many", &[Append, Retention]),
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
    ("what was compacted stays beside its replacement", &[Append, Clean, Configure]),
    ("the cleaner's checkpoint before the exchange", &[Append, Clean]),
    ("a copy goes on behind what the power took", &[Append, MoveOverPowerCut]),
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
    // Rot.
    ("what an earlier process wrote is sent unseen", &[Rot]),
    ("what rotted is cut as torn", &[Rot]),
];

/// The operations that make the bug of `OTTLA_OFTEN`, or `OTTLA_PLANTED`, likely to be noticed, as in the score.
pub(crate) fn often() -> &'static [Operation] {
    let bug = ["OTTLA_OFTEN", "OTTLA_PLANTED"].iter().find_map(|name| std::env::var(name).ok());
    let mut rows = BUGS.iter().chain(syncs::OFTEN);
    rows.find(|(name, _)| Some(*name) == bug.as_deref()).map_or(&[], |(_, often)| often)
}

#[test]
fn every_planted_bug_is_found() {
    let flaw = |(bug, often): &(&'static str, &'static [Operation])| {
        let (bug, often) = (*bug, *often);
        Flaw {
            name: bug,
            sim: Box::new(move |seed| Sim::with_planted(seed, bug)),
            scenario: Box::new(move || run::run_with(often)),
        }
    };
    hunt::all("planted bugs", SEEDS_MAX, &BUGS.iter().map(flaw).collect::<Vec<_>>());
}
