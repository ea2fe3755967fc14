//! `check` looks and never writes; `fix` and `docs` write.

use anyhow::{Result, bail};

use crate::count::Count;
use crate::licences;
use crate::shell::{BENCH, Cmd, has, timed};
use crate::{simulation, tidy};

/// fmt, clippy (of the simulated tests, too), tidy, doc and licences; fails after all of them have had their say.
pub(crate) fn check() -> Result<()> {
    let mut count = Count::default();
    steps(&mut count);
    for why in &count.not_run {
        println!("NOT RUN: {why}");
    }
    println!("check: {count}");
    if count.failed > 0 {
        bail!("{} of the checks failed; `cargo xtask fix` repairs what can be repaired", count.failed);
    }
    Ok(())
}

/// The read-only checks, each counted as one test.
pub(crate) fn steps(count: &mut Count) {
    let mut step = |name: &str, needs: &[&str], action: &dyn Fn() -> Result<()>| {
        if let Some(lacking) = needs.iter().find(|program| !has(program)) {
            count.not_run(&format!("{name}: {lacking} is not installed"));
            return;
        }
        match timed(name, action) {
            Ok(()) => count.passed += 1,
            Err(e) => {
                count.failed += 1;
                println!("{name} FAILED: {e:#}");
            }
        }
    };
    step("check: fmt", &["cargo-fmt"], &|| {
        Cmd::cargo(["fmt", "--all", "--check"]).run()?;
        Cmd::cargo(["fmt", "--manifest-path", BENCH, "--check"]).run()
    });
    step("check: clippy", &["cargo-clippy"], &|| {
        Cmd::cargo(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
    });
    step("check: clippy of bench", &["cargo-clippy"], &|| {
        Cmd::cargo_on_bench(["clippy", "--quiet", "--all-targets"]).args(["--", "-D", "warnings"]).run()
    });
    step("check: clippy of simulated tests", &["cargo-clippy"], &simulation::lint);
    step("check: tidy", &[], &tidy::report);
    step("check: doc", &[], &|| {
        Cmd::cargo(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .run()
    });
    step("check: licences", &[], &licences::check);
    step("check: bans", &["cargo-deny"], &|| Cmd::cargo(["deny", "check", "licenses", "bans"]).run());
}

/// Formats, and lets clippy repair what it can.
pub(crate) fn fix() -> Result<()> {
    Cmd::cargo(["clippy", "--fix", "--allow-dirty", "--allow-staged", "--workspace", "--all-targets"]).run()?;
    Cmd::cargo(["fmt", "--all"]).run()?;
    Cmd::cargo(["fmt", "--manifest-path", BENCH]).run()
}

/// Writes the generated documents: each comes from the table that the broker itself runs by, through the test that compares them.
pub(crate) fn docs() -> Result<()> {
    for (package, test) in [("ottla-metadata", "document"), ("ottla-broker", "api_support")] {
        Cmd::cargo(["test", "--quiet", "--package", package, "--test", test]).env("OTTLA_WRITE_DOCS", "1").run()?;
    }
    Ok(())
}
