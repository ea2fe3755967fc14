//! Measures what a message costs the broker: Ottla beside the floor broker (`bench/floor`), alternating, under
//! librdkafka's own rdkafka_performance.
//!
//! ```text
//! for each workload, for each round:            floor, Ottla   or   Ottla, floor
//!     warm memory, sync ─> start on a fresh directory ─> warm-up ─> CPU clock ─> load ─> CPU clock ─> kill
//! ```
//!
//! The figure is broker CPU (user and system, by the process's own clock) per message, as the ratio of a round's two runs:
//! wall-clock throughput on a small machine measures the client. Rounds in which the hypervisor took more than
//! [`MAX_STOLEN_PERCENT`] are repeated. `bench/RESULTS.md` is written by a full run only.
#![allow(clippy::disallowed_methods, reason = "a tool beside the product: it starts processes and reads clocks")]

mod broker;
mod client;
mod machine;
mod meter;
mod report;
mod workload;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use broker::Kind;
use client::Client;
use meter::Run;
use workload::{WORKLOADS, Workload};

/// Rounds in which more CPU time than this was stolen do not count.
const MAX_STOLEN_PERCENT: f64 = 5.0;
/// No workload may cost more than this many floors.
const MAX_RATIO: f64 = 4.0;

const HELP: &str = "\
cargo xtask bench [--rounds N] [--only WORKLOAD] [--scale FRACTION] [--floor-only] [--print]

  --rounds N         rounds of each workload (5)
  --only WORKLOAD    one of: 100b, 1kb, single
  --scale FRACTION   of the messages of a full run (1), to try the harness
  --floor-only       leaves Ottla out, to try the harness
  --print            prints the results instead of writing bench/RESULTS.md; so do --only, --scale and --floor-only";

struct Options {
    rounds: usize,
    only: Option<String>,
    scale: f64,
    floor_only: bool,
    print: bool,
}

fn main() -> Result<()> {
    let Some(options) = parse(std::env::args().skip(1))? else {
        println!("{HELP}");
        return Ok(());
    };
    let root = root();
    let client = Client::build(&root)?;
    let mut kinds = vec![Kind::build_floor(&root)?];
    if !options.floor_only {
        kinds.push(Kind::build_ottla(&root)?);
    }
    let before = machine::Machine::look();
    let mut results = Vec::new();
    for workload in WORKLOADS.iter().filter(|w| options.only.as_deref().is_none_or(|only| only == w.name)) {
        results.push((workload, measure(workload, &kinds, &client, &options)?));
    }
    ensure!(!results.is_empty(), "there is no such workload\n{HELP}");
    let text = report::text(&results, &before, &machine::Machine::look(), &root);
    if options.print || options.only.is_some() || options.floor_only || options.scale < 1.0 {
        println!("{text}");
    } else {
        std::fs::write(root.join("bench/RESULTS.md"), &text)?;
        println!("{text}\nwritten to bench/RESULTS.md");
    }
    let slow: Vec<_> = results.iter().filter(|(_, rounds)| report::median_ratio(rounds) > Some(MAX_RATIO)).collect();
    if !slow.is_empty() {
        bail!("{} of {} workloads cost more than {MAX_RATIO} floors", slow.len(), results.len());
    }
    Ok(())
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>> {
    let mut options = Options { rounds: 5, only: None, scale: 1.0, floor_only: false, print: false };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| anyhow::anyhow!("{arg} needs a value\n{HELP}"));
        match arg.as_str() {
            "--rounds" => options.rounds = value()?.parse()?,
            "--only" => options.only = Some(value()?),
            "--scale" => options.scale = value()?.parse()?,
            "--floor-only" => options.floor_only = true,
            "--print" => options.print = true,
            "--help" => return Ok(None),
            other => bail!("{other} is no option\n{HELP}"),
        }
    }
    Ok(Some(options))
}

/// The runs of one round, in the order of `kinds`.
type Round = Vec<Run>;

/// Runs a workload until enough rounds were undisturbed, at most twice as many.
fn measure(workload: &Workload, kinds: &[Kind], client: &Client, options: &Options) -> Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for attempt in 0..options.rounds * 2 {
        if rounds.len() == options.rounds {
            break;
        }
        let stolen = meter::CpuTimes::now()?;
        let mut round: Vec<(usize, Run)> = Vec::new();
        let mut order: Vec<usize> = (0..kinds.len()).collect();
        if attempt % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let Some(kind) = kinds.get(index) else { continue };
            let run = meter::run(kind, workload, client, options.scale)?;
            println!("{:8} round {} {:6} {}", workload.name, attempt + 1, kind.name, run);
            round.push((index, run));
        }
        let stolen = stolen.stolen_percent_since()?;
        if stolen > MAX_STOLEN_PERCENT {
            println!("{:8} round {} does not count: {stolen:.1} % of the CPU was stolen", workload.name, attempt + 1);
            continue;
        }
        round.sort_by_key(|(index, _)| *index);
        rounds.push(round.into_iter().map(|(_, run)| run).collect());
    }
    ensure!(!rounds.is_empty(), "every round was disturbed: the machine is too busy to measure anything");
    Ok(rounds)
}

/// The repository: the directory above this package.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}
