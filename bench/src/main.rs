//! Measures what a message costs the broker: Ottla beside the floor broker (`bench/floor`) and Apache Kafka, alternating, under
//! librdkafka's own rdkafka_performance and, where that has no way to say it, under a loader of our own.
//!
//! ```text
//! for each workload, for each round:            floor, Ottla, Kafka, Kafka tuned   or the other way round
//!     warm memory, sync ─> start on a fresh directory ─> warm-up ─> CPU clock ─> load ─> CPU clock ─> kill
//!
//! rows.rs       the rows            broker.rs   who is measured      client.rs, loader.rs, probe.rs   who loads
//! run.rs        one run             process.rs  the kernel's figures machine.rs            the machine
//! workload.rs   what a row may be   bounds.rs   and not exceed       compaction.rs, idle.rs  other rows' runs
//! stage.rs      large directories   wire.rs, answers.rs, batch.rs    a little of Kafka's protocol
//! results.rs    results.json        report.rs, spread.rs, plot.rs    RESULTS.md, results.svg
//! ```
//!
//! The figure is broker CPU (user and system, by the process's own clock) per message, as the ratio of a round's runs: wall-clock
//! throughput on a small machine measures the client. Rounds in which the hypervisor took more than [`MAX_STOLEN_PERCENT`] are
//! repeated. Each row is written to `bench/results.json` as soon as it is complete, and `bench/RESULTS.md` and `bench/results.svg`
//! from that file.
#![allow(clippy::disallowed_methods, reason = "a tool beside the product: it starts processes and reads clocks")]

mod answers;
mod batch;
mod bounds;
mod broker;
mod client;
mod compaction;
mod idle;
mod loader;
mod machine;
mod plot;
mod probe;
mod process;
mod report;
mod results;
mod rows;
mod run;
mod spread;
mod stage;
mod wire;
mod workload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use broker::Kind;
use client::Client;
use machine::Machine;
use results::{Results, Row};
use rows::WORKLOADS;
use run::Run;
use workload::Workload;

/// Rounds in which more CPU time than this was stolen do not count.
const MAX_STOLEN_PERCENT: f64 = 5.0;

const HELP: &str = "\
cargo xtask bench [WORKLOAD...] [--rounds N] [--scale FRACTION] [--without-kafka] [--without-ottla] [--print]

  WORKLOAD           a row's name or the beginning of it: w1, w1-1kb, w3; all without one
  --rounds N         rounds of each workload (5)
  --scale FRACTION   of the messages of a full run (1), to try the harness; implies --print
  --without-kafka    leaves Apache Kafka out, whose warm-up takes a minute a run; implies --print
  --without-ottla    leaves Ottla out, to try the harness; implies --print
  --print            prints the results instead of writing them to bench/";

struct Options {
    rounds: usize,
    only: Vec<String>,
    scale: f64,
    kafka: bool,
    ottla: bool,
    print: bool,
}

fn main() -> Result<()> {
    let Some(options) = parse(std::env::args().skip(1))? else {
        println!("{HELP}");
        return Ok(());
    };
    let root = root();
    let chosen: Vec<&Workload> = WORKLOADS
        .iter()
        .filter(|workload| {
            options.only.is_empty() || options.only.iter().any(|name| workload.name.starts_with(name.as_str()))
        })
        .collect();
    ensure!(!chosen.is_empty(), "there is no such workload\n{HELP}");
    let client = Client::build(&root)?;
    let mut kinds = vec![Kind::build_floor(&root)?];
    if options.ottla {
        kinds.push(Kind::build_ottla(&root)?);
    }
    if options.kafka {
        kinds.extend(Kind::kafkas(&root)?);
    }
    let mut results = if options.print { Results::default() } else { results::read(&root)? };
    process::raise_descriptor_limit()?;
    let mut over = Vec::new();
    let mut measured: Vec<&Workload> = Vec::new();
    for workload in chosen {
        let same = measured.iter().find(|other| workload.shape.is_measured_with(&other.shape));
        let row = match same.and_then(|other| results.rows.get(other.name)) {
            Some(row) => row.showing(&workload.shape),
            None => measure(workload, &kinds, &client, &options, &root)?,
        };
        measured.push(workload);
        results.rows.insert(workload.name.to_owned(), row);
        over.extend(bounds::exceeded(workload, &results));
        if !options.print {
            write(&root, &results)?;
        }
    }
    println!("{}", report::text(&results, ""));
    ensure!(over.is_empty(), "over its bound: {}", over.join("; "));
    Ok(())
}

fn write(root: &Path, results: &Results) -> Result<()> {
    results::write(root, results)?;
    // What was tried, kept by hand.
    let notes =
        std::fs::read_to_string(root.join("bench/NOTES.md")).map_or(String::new(), |notes| format!("\n{notes}"));
    std::fs::write(root.join("bench/RESULTS.md"), report::text(results, &notes))?;
    Ok(std::fs::write(root.join("bench/results.svg"), report::picture(results))?)
}

fn parse(args: impl Iterator<Item = String>) -> Result<Option<Options>> {
    let mut options = Options { rounds: 5, only: Vec::new(), scale: 1.0, kafka: true, ottla: true, print: false };
    let mut args = args;
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| anyhow::anyhow!("{arg} needs a value\n{HELP}"));
        match arg.as_str() {
            "--rounds" => options.rounds = value()?.parse()?,
            "--scale" => options.scale = value()?.parse()?,
            "--without-kafka" => options.kafka = false,
            "--without-ottla" => options.ottla = false,
            "--print" => options.print = true,
            "--help" => return Ok(None),
            name if !name.starts_with('-') => options.only.push(name.to_owned()),
            other => bail!("{other} is no option\n{HELP}"),
        }
    }
    options.print |= options.scale < 1.0 || !options.kafka || !options.ottla;
    Ok(Some(options))
}

/// Runs a workload until enough rounds were undisturbed, at most twice as many.
fn measure(workload: &Workload, kinds: &[Kind], client: &Client, options: &Options, root: &Path) -> Result<Row> {
    let before = Machine::look();
    let mut rounds: Vec<BTreeMap<String, Run>> = Vec::new();
    let mut stages = BTreeMap::new();
    let kinds = kinds.iter().filter(|kind| kind.keeps_logs() || workload.shape.is_for_the_floor());
    for attempt in 0..options.rounds * 2 {
        if rounds.len() == options.rounds {
            break;
        }
        let stolen = process::CpuTimes::now()?;
        let mut order: Vec<&Kind> = kinds.clone().collect();
        if attempt % 2 == 1 {
            order.reverse();
        }
        let mut round = BTreeMap::new();
        for kind in order {
            let run = run::run(kind, workload, client, options.scale, stages.entry(kind.name).or_default())?;
            println!("{:10} round {} {:12} {}", workload.name, attempt + 1, kind.name, run);
            round.insert(kind.name.to_owned(), run);
        }
        let stolen = stolen.stolen_percent_since()?;
        if stolen > MAX_STOLEN_PERCENT {
            println!("{:10} round {} does not count: {stolen:.1} % of the CPU was stolen", workload.name, attempt + 1);
            continue;
        }
        rounds.push(round);
    }
    ensure!(!rounds.is_empty(), "every round was disturbed: the machine is too busy to measure anything");
    let after = Machine::look();
    Ok(Row {
        date: machine::today()?,
        commit: machine::commit(root),
        machine: before.what,
        load: [before.load, after.load],
        rounds,
    })
}

/// The repository: the directory above this package.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}
