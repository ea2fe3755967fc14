//! A lone controller on a simulated disk: its directory is formatted, it answers, and the power goes. What was answered is there.
//!
//! ```text
//!   cargo xtask sim power 7        one run, with all that happens in it
//! ```
//! Each sync of a directory that the controller asks for is left out in turn, and somebody has to miss it, as in the simulation
//! of the storage (`docs/design/durability.md`, "Names").
#![cfg(sim)]

mod support;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ottla_controller::raft::VoterSet;
use ottla_env::random;
use ottla_env::sim::{Sim, host, seeds};
use support::{Node, format_dir, standalone};

const SOURCES: &str = "crates/controller/src/";
/// The vote of a lone voter is its own, and the log tells its epoch.
const NOT_MISSED: &str = "crates/controller/src/quorum_store.rs";
/// Seeds that are tried.
const SEEDS_MAX: u64 = 200;

/// Topics are created and answered; of none, the power goes right behind the formatting.
async fn scenario() {
    let machine = host("node");
    let first = machine.spawn("the first life", async {
        let dir = format_dir(Path::new("/srv"), standalone());
        let topics = random::below(4);
        if topics > 0 {
            let node = Node::start_with(&dir, VoterSet::default(), |o| o.snapshot_after_bytes = 1_000).expect("starts");
            node.register_broker(-1).await;
            for n in 0..topics {
                assert_eq!(node.create_topic(&format!("t{n}"), 2, &[]).await, 0);
            }
        }
        topics
    });
    let answered = first.await.expect("it answers");
    machine.power_cut();
    let second = machine.spawn("the second life", async {
        let node = Node::start(Path::new("/srv/data"), VoterSet::default()).expect("starts");
        node.register_broker(-1).await;
        node.loader.current().topics.len()
    });
    assert_eq!(second.await.expect("it answers") as u64, answered, "topics that were answered for");
}

#[test]
fn what_was_answered_outlives_the_power() {
    for seed in seeds(100) {
        Sim::new(seed).run(scenario());
    }
}

#[test]
fn every_directory_sync_is_missed() {
    let mut places = BTreeSet::new();
    for seed in 1..=20 {
        let sim = Sim::new(seed);
        sim.run(scenario());
        places.extend(sim.dir_syncs().into_iter().filter(|(file, _)| file.starts_with(SOURCES)));
    }
    let files: BTreeSet<&str> = places.iter().map(|(file, _)| file.trim_start_matches(SOURCES)).collect();
    assert_eq!(files, BTreeSet::from(["format.rs", "quorum_store.rs", "snapshot_file.rs"]));
    for place in places.into_iter().filter(|(file, _)| *file != NOT_MISSED) {
        let fails = |sim: &Sim| catch_unwind(AssertUnwindSafe(|| sim.run(scenario()))).is_err();
        let found = (1..=SEEDS_MAX).find(|seed| fails(&Sim::without_dir_sync(*seed, place)));
        let seed = found.unwrap_or_else(|| panic!("nobody misses the sync at {place:?}"));
        assert!(!fails(&Sim::new(seed)), "seed {seed}, with the sync at {place:?} or without");
    }
}
