//! `test`: every ring, each with its time, and one line of counts at the end.
//!
//! ```text
//! prepare -> check -> release build -> cargo test (with Kafka's definitions and tools, the binary for the crash ring)
//!         -> bench (its own tests; nothing is measured)
//!         -> simulation (--cfg sim, a target directory of its own) -> counted instructions -> compat (foreign clients)
//! ```
//! A ring that fails does not stop those after it: one run tells all.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::count::Count;
use crate::prepare::{self, Prepared};
use crate::shell::{Cmd, root, target, timed};
use crate::{check, compat, instructions, simulation};

/// The test of the testkit that kills a broker under load.
const CRASH_TEST: &str = "kill_nine";

/// The binary under test: the release build, unless `OTTLA_BIN` names another.
pub(crate) fn ottla() -> PathBuf {
    std::env::var_os("OTTLA_BIN").map_or_else(|| target().join("release/ottla"), PathBuf::from)
}

/// Builds it, unless the one under test was named.
pub(crate) fn build_release() -> Result<()> {
    if std::env::var_os("OTTLA_BIN").is_some() {
        return Ok(());
    }
    Cmd::cargo(["build", "--release", "--quiet", "--package", "ottla-server", "--bin", "ottla"]).run()
}

/// Every ring.
pub(crate) fn test() -> Result<()> {
    let start = Instant::now();
    let mut total = Count::default();
    let prepared = timed("prepare", || prepare::everything(&root()));
    for lack in &prepared.lacking {
        println!("lacking: {lack}");
    }
    ring(&mut total, "check", |count| {
        check::steps(count);
        Ok(())
    });
    ring(&mut total, "release build", |count| {
        build_release()?;
        count.passed += 1;
        Ok(())
    });
    ring(&mut total, "cargo test", |count| workspace(count, &prepared));
    ring(&mut total, "bench", |count| {
        cargo_test(count, Cmd::cargo_on_bench(["test", "--no-fail-fast"]).args(["--", "--show-output"]))
    });
    ring(&mut total, "simulation", simulation::everything);
    ring(&mut total, "counted instructions", instructions::gate);
    ring(&mut total, "compat", |count| {
        count.add(compat::run(&compat::Options::default(), &prepared)?);
        Ok(())
    });
    for why in &total.not_run {
        println!("NOT RUN: {why}");
    }
    println!("all rings: {:.0} s", start.elapsed().as_secs_f64());
    println!("{total}");
    if total.failed > 0 {
        bail!("{} failed", total.failed);
    }
    Ok(())
}

/// Runs one ring; one that could not even run counts as one failure.
fn ring(total: &mut Count, name: &str, work: impl FnOnce(&mut Count) -> Result<()>) {
    let mut count = Count::default();
    let result = timed(name, || work(&mut count));
    if let Err(e) = result {
        println!("{name} FAILED: {e:#}");
        // Failed tests have been counted one by one; a ring that broke elsewhere must not look green.
        count.failed = count.failed.max(1);
    }
    println!("    {name}: {count}");
    total.add(count);
}

fn workspace(count: &mut Count, prepared: &Prepared) -> Result<()> {
    let mut cmd = Cmd::cargo(["test", "--workspace", "--no-fail-fast", "--", "--show-output"]);
    cmd = cmd.env("OTTLA_BIN", ottla());
    if let Some(dir) = &prepared.definitions {
        cmd = cmd.env("OTTLA_KAFKA_DEFINITIONS", dir);
    }
    if let Some(dir) = &prepared.tools {
        cmd = cmd.env("OTTLA_KAFKA_TOOLS", dir);
    }
    if let Some(dir) = &prepared.server {
        cmd = cmd.env("OTTLA_KAFKA_SERVER", dir);
    }
    cargo_test(count, cmd)
}

/// Runs a `cargo test` and prints of it what a reader needs: results, failures, and what did not run.
pub(crate) fn cargo_test(count: &mut Count, cmd: Cmd) -> Result<()> {
    let mut quiet = false; // inside the output of tests that passed
    let success = cmd.lines(|line| {
        count.read(line);
        match line {
            "successes:" => quiet = true,
            "failures:" => quiet = false,
            _ if line.starts_with("test result:") => quiet = false,
            _ => {}
        }
        let passed = line.starts_with("test ") && line.ends_with("... ok");
        if line.contains("NOT RUN:") || !(quiet || passed || line.is_empty()) {
            println!("{line}");
        }
    })?;
    if !success {
        bail!("cargo test failed");
    }
    Ok(())
}

/// The crash ring alone, for as long as asked, with lives as short as asked.
pub(crate) fn crash(seconds: Option<&str>, life_ms: Option<&str>) -> Result<()> {
    build_release()?;
    let mut cmd = Cmd::cargo(["test", "--package", "ottla-testkit", "--test", CRASH_TEST, "--", "--nocapture"]);
    cmd = cmd.env("OTTLA_BIN", ottla());
    if let Some(seconds) = seconds {
        cmd = cmd.env("OTTLA_CRASH_SECONDS", seconds);
    }
    if let Some(life_ms) = life_ms {
        cmd = cmd.env("OTTLA_CRASH_LIFE_MS", life_ms);
    }
    alone(|count| cargo_test(count, cmd))
}

pub(crate) fn alone(work: impl FnOnce(&mut Count) -> Result<()>) -> Result<()> {
    let mut count = Count::default();
    let result = work(&mut count);
    println!("{count}");
    result
}
