//! Every verb of the repository, so that a fresh machine with Rust needs no other tool to begin.
//!
//! ```text
//! main.rs      the verbs                      tidy/      the shape of the tree, as an ordinary test
//! check.rs     read-only: fmt, clippy, ...    prepare/   what the rings need, fetched into target/
//! licences.rs  deny.toml, without cargo-deny
//! rings.rs     `test`: every ring, counted    compat/    foreign clients against a broker
//! simulation.rs   `sim`: seeds and replays
//! count.rs     reads what test runners print  shell.rs   child processes, time, the tree's root
//! instructions.rs `count`: what a request costs, compared with the rule
//! ```
//!
//! Two kinds of verb, never mixed: those that only look (`check`, `tidy`, `test`, `sim`, `compat`, `crash`, `bench`) and those that
//! write to the tree (`fix`, `docs`, `compat --write`).
#![allow(
    clippy::disallowed_methods,
    reason = "a build tool runs outside the product: files, processes and clocks are its trade, and nothing simulates it"
)]

mod check;
mod compat;
mod count;
mod instructions;
mod licences;
mod prepare;
mod rings;
mod shell;
mod simulation;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};
use shell::{Cmd, root};

const HELP: &str = "\
cargo xtask VERB

  check               look only: fmt, clippy, tidy, doc, licences
  fix                 write: fmt, and what clippy can repair
  tidy                the map, the arrows, the walls and the sizes agree with the tree
  test                everything, installing what is missing; ends with one line of counts
  sim [SEED]          everything that is simulated: one thread, virtual time, faults; SEED replays one run
  sim NAME SEED [BUG] one run of one simulation (storage, ...), told step by step, with a planted bug if one is named
  sim NAME --many N [FIRST]
                      N seeds of one simulation, built for release
  crash [SECONDS [LIFE_MS]]
                      kill -9 in a loop under load, then a checker over what was acknowledged; a broker lives LIFE_MS at most
  compat [--full] [--write] [--peer kafka] [CLIENT...]
                      foreign clients against Ottla (or Apache Kafka), and the exchange of directories with it;
                      --write updates the README's table
  count [--write]     instructions a request, compared with bench/instructions.txt, or written there
  bench [WORKLOAD...] Ottla beside the floor broker and Apache Kafka, alternating
  run [ARGS...]       the broker, built for release
  docs                write: docs/configuration.md and docs/api-support.md
  prepare             fetch what the rings need into target/
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // The sentence alone: a backtrace of a build tool helps nobody.
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let Some((verb, rest)) = args.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    match verb.as_str() {
        "check" => check::check(),
        "fix" => check::fix(),
        "tidy" => tidy::report(),
        "test" => rings::test(),
        "sim" => simulation::verb(rest),
        "crash" => rings::crash(rest.first().map(String::as_str), rest.get(1).map(String::as_str)),
        "compat" => compat::verb(rest),
        "bench" => {
            Cmd::cargo(["run", "--release", "--quiet", "--manifest-path", "bench/Cargo.toml", "--"]).args(rest).run()
        }
        "count" => match rest.first().map(String::as_str) {
            None => rings::alone(instructions::gate),
            Some("--write") => instructions::write(),
            Some(other) => bail!("{other:?} is nothing that can be counted; only --write may follow"),
        },
        "run" => Cmd::cargo(["run", "--release", "--package", "ottla-server", "--bin", "ottla", "--"]).args(rest).run(),
        "docs" => check::docs(),
        "prepare" => {
            prepare::everything(&root()).report();
            Ok(())
        }
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("no verb {other:?}; `cargo xtask` alone lists them"),
    }
}
