//! `sim`: tests under `--cfg sim`, by convention `crates/<package>/tests/sim_<name>.rs`.
//!
//! ```text
//!   sim                           all of them, as the test command runs them
//!   sim SEED                      all of them, each with one seed
//!   sim NAME SEED [BUG]           one run of one, with what happens in it; with a planted bug if one is named, or without the syncs
//!                                 of a directory that one place asks for: file:line
//!   sim NAME --many N [FIRST]     N seeds of one, built for release
//! ```

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use crate::count::Count;
use crate::rings::{alone, cargo_test};
use crate::shell::{Cmd, root, target};

/// All simulated tests.
pub(crate) fn everything(count: &mut Count) -> Result<()> {
    cargo_test(count, tests(&simulated()?, &[]).args(["--", "--show-output"]))
}

/// Clippy over all simulated tests, and over what of their packages is built for a simulation alone: no other build sees it.
pub(crate) fn lint() -> Result<()> {
    cargo("clippy", &simulated()?).args(["--quiet", "--no-deps", "--", "-D", "warnings"]).run()
}

/// The verb.
pub(crate) fn verb(args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        [] => alone(everything),
        [seed] if is_number(seed) => alone(|count| {
            cargo_test(count, tests(&simulated()?, &[]).args(["--", "--show-output"]).env("OTTLA_SEED", seed))
        }),
        [name, "--many", many] => all_of(name, many, "1"),
        [name, "--many", many, first] => all_of(name, many, first),
        [name, seed] => replay(name, seed, None),
        [name, seed, bug] => replay(name, seed, Some(bug)),
        _ => bail!("what is to be simulated? `cargo xtask` alone tells the forms of `sim`"),
    }
}

fn is_number(word: &str) -> bool {
    word.parse::<u64>().is_ok()
}

/// One run, told step by step: what the scenario does, and each of its effects on the disk.
fn replay(name: &str, seed: &str, bug: Option<&str>) -> Result<()> {
    if !is_number(seed) {
        bail!("{seed:?} is no seed: a number is expected");
    }
    let one = BTreeSet::from([named(name)?]);
    let mut cmd = tests(&one, &[]).args(["--", "--nocapture", "--test-threads=1"]);
    // Those that choose their seeds themselves.
    cmd = cmd.args(["--skip", "can_be_replayed", "--skip", "planted_bug", "--skip", "directory_sync"]);
    cmd = cmd.env("OTTLA_SEED", seed).env("OTTLA_SIM_TRACE", "effects");
    if let Some(bug) = bug {
        cmd = cmd.env("OTTLA_PLANTED", bug);
    }
    cmd.run()
}

fn all_of(name: &str, many: &str, first: &str) -> Result<()> {
    let cmd = tests(&BTreeSet::from([named(name)?]), &["--release"]).args(["--", "--show-output"]);
    alone(|count| cargo_test(count, cmd.env("OTTLA_SEEDS", many).env("OTTLA_FIRST_SEED", first)))
}

/// `cargo test` of these.
fn tests(which: &BTreeSet<(String, String)>, options: &[&str]) -> Cmd {
    cargo("test", which).args(["--no-fail-fast"]).args(options)
}

/// A verb of cargo on these tests, in a target directory of its own: the flag would otherwise rebuild the whole tree each time
/// it changes. A little optimization pays for itself within seconds.
fn cargo(verb: &str, which: &BTreeSet<(String, String)>) -> Cmd {
    let mut cmd = Cmd::cargo([verb, "--target-dir"]).args([&target().join("sim")]);
    for (package, test) in which {
        cmd = cmd.args(["--package".into(), format!("ottla-{package}"), "--test".into(), test.clone()]);
    }
    let flags = std::env::var("RUSTFLAGS").map_or_else(|_| "--cfg sim".to_owned(), |own| format!("{own} --cfg sim"));
    cmd.env("RUSTFLAGS", flags).env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
}

fn named(name: &str) -> Result<(String, String)> {
    let wanted = format!("sim_{name}");
    let all = simulated()?;
    let names = || all.iter().filter_map(|(_, test)| test.strip_prefix("sim_")).collect::<Vec<_>>().join(", ");
    let found = all.iter().find(|(_, test)| *test == wanted).cloned();
    found.with_context(|| format!("no simulation is called {name:?}; there are {}", names()))
}

/// Packages and tests.
fn simulated() -> Result<BTreeSet<(String, String)>> {
    let mut found = BTreeSet::new();
    for package in std::fs::read_dir(root().join("crates"))? {
        let package = package?;
        // Many crates have no tests folder.
        for file in std::fs::read_dir(package.path().join("tests")).into_iter().flatten() {
            let name = file?.file_name().to_string_lossy().into_owned();
            if let Some(test) = name.strip_suffix(".rs").filter(|test| test.starts_with("sim_")) {
                found.insert((package.file_name().to_string_lossy().into_owned(), test.to_owned()));
            }
        }
    }
    Ok(found)
}
