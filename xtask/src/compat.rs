//! Foreign clients against a broker: `compat/README.md` says what a driver is given and what it prints.
//!
//! One broker serves all the drivers, one after another; topics and groups are kept apart by a prefix. Everything of a run lies in
//! `target/compat/run`: the broker's configuration, log and data, and each driver's output.

mod driver;
mod exchange;
mod peer;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::count::Count;
use crate::prepare::{self, Prepared};
use crate::rings;
use crate::shell::{root, target};
use driver::Driver;
use exchange::Route;
use peer::{Broker, Peer, Place, Quorum};

/// What the verb was asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    full: bool,
    write: bool,
    peer: Peer,
    clients: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--full" => options.full = true,
                "--write" => options.write = true,
                "--peer" => match args.next().map(String::as_str) {
                    Some("kafka") => options.peer = Peer::Kafka,
                    Some("ottla") => options.peer = Peer::Ottla,
                    other => bail!("--peer is kafka or ottla, not {other:?}"),
                },
                flag if flag.starts_with('-') => bail!("no flag {flag}"),
                client => options.clients.push(client.to_owned()),
            }
        }
        if options.write && (options.peer == Peer::Kafka || !options.clients.is_empty()) {
            bail!("--write records what all the clients did with Ottla");
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.clients.is_empty() || self.clients.iter().any(|wanted| name.contains(wanted.as_str()))
    }
}

impl Count {
    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            if step.ok { self.passed += 1 } else { self.failed += 1 }
        }
    }
}

/// One step of one client.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    name: String,
    ok: bool,
    detail: String,
}

/// What one driver printed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Name and version, as the client itself says.
    client: String,
    version: String,
    steps: Vec<Step>,
}

/// `cargo xtask compat`.
pub(crate) fn verb(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let only_exchange = !options.clients.is_empty() && options.clients.iter().all(|name| name.starts_with("exchange"));
    let mut prepared = if only_exchange { prepare::kafka_alone(&root()) } else { prepare::everything(&root()) };
    if options.full && !only_exchange {
        prepare::more_clients(&root(), &mut prepared);
    }
    prepared.lacking.iter().for_each(|lack| println!("lacking: {lack}"));
    if options.peer == Peer::Ottla {
        rings::build_release()?;
    }
    let count = run(&options, &prepared)?;
    for why in &count.not_run {
        println!("NOT RUN: {why}");
    }
    println!("{count}");
    if count.failed > 0 {
        bail!("{} steps failed; what was printed lies in {}", count.failed, run_dir().display());
    }
    Ok(())
}

/// Where everything of a run lies.
fn run_dir() -> PathBuf {
    target().join("compat/run")
}

/// Runs the drivers that can run; the others are counted as skipped, each with its reason.
pub(crate) fn run(options: &Options, prepared: &Prepared) -> Result<Count> {
    let dir = run_dir();
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    let drivers: Vec<Driver> =
        driver::all(prepared, options.full).into_iter().filter(|d| options.wants(d.name)).collect();
    let routes: Vec<Route> = exchange::all(options.full)
        .into_iter()
        .filter(|r| options.peer == Peer::Ottla && options.wants(r.name))
        .collect();
    if drivers.is_empty() && routes.is_empty() {
        bail!("no client is called {:?}", options.clients);
    }
    let mut count = Count::default();
    if !drivers.is_empty() {
        against_one_broker(&mut count, options, prepared, &dir, &drivers)?;
    }
    exchanges(&mut count, prepared, &dir, &routes);
    Ok(count)
}

/// Each route is a client of its own, with brokers of its own.
fn exchanges(count: &mut Count, prepared: &Prepared, dir: &Path, routes: &[Route]) {
    for route in routes {
        match route.run(prepared, dir) {
            Ok(outcome) => count.steps(&outcome.steps),
            Err(lacking) => count.not_run(&format!("compat {}: {lacking}", route.name)),
        }
    }
}

/// One broker and every driver against it.
fn against_one_broker(
    count: &mut Count,
    options: &Options,
    prepared: &Prepared,
    dir: &Path,
    drivers: &[Driver],
) -> Result<()> {
    let mut broker = Broker::start(options.peer, prepared, &Place::new(dir, Quorum::Static, &[])?, "broker.log")?;
    let mut outcomes = Vec::new();
    for driver in drivers {
        match driver.run(&broker, dir, &[]) {
            Ok(outcome) => outcomes.push(outcome),
            Err(lacking) => count.not_run(&format!("compat {}: {lacking}", driver.name)),
        }
        if !broker.is_alive() {
            println!("the broker ended; its last words:\n{}", broker.last_words());
            count.failed += 1;
            break;
        }
    }
    let stopped = broker.stop();
    count.passed += u64::from(stopped.is_ok());
    if let Err(e) = stopped {
        println!("stop FAILED: {e:#}\n{}", broker.last_words());
        count.failed += 1;
    }
    // What the broker left on disk is read by Kafka's own tool.
    if let Some(java) = drivers.iter().find(|d| d.name == "java")
        && let Ok(at_rest) = java.run(&broker, dir, &["at-rest"])
        && let Some(outcome) = outcomes.iter_mut().find(|o| o.client.starts_with("Java"))
    {
        outcome.steps.extend(at_rest.steps);
    }

    outcomes.iter().for_each(|o| count.steps(&o.steps));
    let table = table::render(&outcomes);
    println!("\n{table}");
    if options.write {
        table::write(&root().join("README.md"), &table)?;
    }
    Ok(())
}
