//! The whole storage crate on a simulated disk against a model: several directories and partitions, every operation that a
//! broker asks for, faults, and a process that may die before any effect on its disk.
//!
//! ```text
//!   cargo xtask sim storage 7        one run, with all that happens in it
//! ```
//! A model that objects to nothing proves nothing: `sim_storage/planted.rs` makes the storage break each of its promises, and
//! `sim_storage/syncs.rs` leaves out each sync of a directory.
//!
//! `OTTLA_SEEDS` (how many) and `OTTLA_FIRST_SEED` choose a range; a failure prints its seed.
#![cfg(sim)]

#[path = "sim_storage/batches.rs"]
mod batches;
#[path = "sim_storage/checks.rs"]
mod checks;
#[path = "sim_storage/compaction.rs"]
mod compaction;
#[path = "sim_storage/cut_short.rs"]
mod cut_short;
#[path = "sim_storage/hunt.rs"]
mod hunt;
#[path = "sim_storage/many.rs"]
mod many;
#[path = "sim_storage/model.rs"]
mod model;
#[path = "sim_storage/moves.rs"]
mod moves;
#[path = "sim_storage/names.rs"]
mod names;
#[path = "sim_storage/operations.rs"]
mod operations;
#[path = "sim_storage/planted.rs"]
mod planted;
#[path = "sim_storage/reads.rs"]
mod reads;
#[path = "sim_storage/refusals.rs"]
mod refusals;
#[path = "sim_storage/rot.rs"]
mod rot;
#[path = "sim_storage/rot_stories.rs"]
mod rot_stories;
#[path = "sim_storage/run.rs"]
mod run;
#[path = "sim_storage/settings.rs"]
mod settings;
#[path = "sim_storage/stories.rs"]
mod stories;
#[path = "sim_storage/syncs.rs"]
mod syncs;
#[path = "sim_storage/transactions.rs"]
mod transactions;

use ottla_env::random;
use ottla_env::sim::{Sim, seeds};

/// A number below `n`, by the seed.
fn chance(n: u64) -> usize {
    usize::try_from(random::below(n)).expect("small")
}

#[test]
fn the_storage_keeps_what_it_promised() {
    many::all(&seeds(10_000), || run::run_with(planted::often()));
}

#[test]
fn a_run_can_be_replayed() {
    for seed in 1..=20 {
        let run = || {
            let sim = Sim::new(seed);
            sim.run(async { run::run_with(&[]) });
            sim.trace()
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}
