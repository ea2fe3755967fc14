//! Pages that are in memory or not, as the seed has it: a read that does not wait tells what a read that waits tells, or
//! that it cannot; it breaks nothing.
//!
//! ```text
//!   RUSTFLAGS="--cfg sim" OTTLA_SEED=7 cargo test --target-dir target/sim -p ottla-storage --test sim_cached_reads
//! ```
#![cfg(sim)]

mod support;

use std::path::Path;

use ottla_env::sim::{Sim, seeds};
use ottla_env::{fs, random};
use ottla_storage::{LogDir, OpenOptions};
use support::*;

fn scenario() -> (usize, usize) {
    fs::create_dir_all("/data").expect("created");
    format(Path::new("/data"));
    let dir = LogDir::open(Path::new("/data")).expect("locked");
    let log = open(&dir, &small(4_000), OpenOptions::default());
    for n in 0..200 {
        append(&log, batch(1 + random::below(4) as usize, &n.to_string()));
    }
    log.close().expect("closed");
    let log = open(&dir, &small(4_000), OpenOptions { clean_shutdown: true, ..OpenOptions::default() });
    let (mut known, mut unknown) = (0, 0);
    for offset in log.log_start_offset()..log.log_end_offset() {
        let budget = 50 + random::below(2_000) as u32;
        let place = |slice: ottla_storage::FileSlice| (slice.file.path(), slice.position, slice.len);
        let without = log.read_cached(offset, budget, i64::MAX, true).expect("no failure");
        let with = log.read(offset, budget, i64::MAX, true).expect("no failure").slice.map(place);
        match without {
            None => unknown += 1,
            Some(info) => {
                known += 1;
                assert_eq!(info.slice.map(place), with, "at {offset} with {budget}");
            }
        }
    }
    assert!(dir.offline_reason().is_none());
    (known, unknown)
}

#[test]
fn both_reads_tell_the_same() {
    for seed in seeds(40) {
        let (known, unknown) = Sim::new(seed).run(async { scenario() });
        assert!(known > 0 && unknown > 0, "seed {seed}: {known} known, {unknown} not");
    }
}
