//! A sweep of damage over every kind of file that a controller keeps, on the simulated disk: the metadata log and its indexes,
//! snapshots, `quorum-state`, `meta.properties` and the notes beside them.
//!
//! ```text
//!   cargo xtask sim metadata_corruption 7                one directory, and the trials on it
//!   cargo xtask sim metadata_corruption --many 1000      ten trials each
//! ```
#![cfg(sim)]

#[path = "../../storage/tests/sim_storage/many.rs"]
mod many;
mod metadata_sweep;
mod support;

use metadata_sweep::{TRIALS, Tally};
use ottla_env::sim::seeds;
use parking_lot::Mutex;

#[test]
fn no_damage_changes_the_metadata_unnoticed() {
    let tally = Mutex::new(Tally::default());
    many::all(&seeds(500 / TRIALS), || {
        let told = metadata_sweep::trials(ottla_env::random::next_u64());
        tally.lock().add(told);
    });
    println!("{}", tally.into_inner());
}
