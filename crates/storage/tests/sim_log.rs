//! One log on a simulated disk against a model, through appends, reads, truncations, faults, kills and power cuts.
//!
//! ```text
//!   RUSTFLAGS="--cfg sim" OTTLA_SEED=7 cargo test --target-dir target/sim -p ottla-storage --test sim_log
//! ```
//! `OTTLA_SEEDS` (how many) and `OTTLA_FIRST_SEED` choose a range instead; a failure prints its seed.
#![cfg(sim)]

#[path = "sim_log/model.rs"]
mod model;
#[path = "sim_log/scenario.rs"]
mod scenario;
mod support;

use ottla_env::sim::{Sim, seeds};

/// Operations of one run.
const STEPS: usize = 150;

#[test]
fn a_log_keeps_what_it_promised() {
    for seed in seeds(150) {
        Sim::new(seed).run(async { scenario::run(STEPS) });
    }
}

#[test]
fn a_run_can_be_replayed() {
    for seed in 1..=3 {
        let run = || {
            let sim = Sim::new(seed);
            sim.run(async { scenario::run(STEPS) });
            sim.trace()
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}
