//! Every kind of file in a log directory, damaged in every way: what is read is what was written, and what is missing is
//! told. A few trials on real files; the thousand of the test command are `sim_corruption.rs`.
#![cfg(not(sim))]

#[path = "../support/mod.rs"]
mod support;
mod sweep;

use sweep::Tally;

#[test]
fn what_is_damaged_on_real_files_is_told_or_harmless() {
    let mut tally = Tally::default();
    for seed in 1..=4 {
        let temp = tempfile::tempdir().expect("a directory");
        tally.add(sweep::trials(seed, &temp.path().join("data")));
    }
    println!("{tally}");
}
