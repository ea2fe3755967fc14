//! One run of one broker under one load, measured.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::broker::{Broker, Home, Kind};
use crate::client::{Client, Load};
use crate::loader::{OpenLoop, RECORDS, RoundTrips, Running, VALUE_BYTES};
use crate::stage::{self, Stage, TOPIC};
use crate::workload::{Shape, Workload};
use crate::{compaction, idle, machine, probe, process};

/// Sent before anything is measured: creates the topic, loads code, fills caches.
const WARM_UP: u64 = 100;
const LEAST_WARM_UP: u64 = 1_000;
/// A broker with a compiler is warmed up with so many messages, or for so long.
const COMPILER_MESSAGES: u64 = 3_000_000;
const COMPILER_TIME: Duration = Duration::from_secs(60);
const COMPILER_SLICE: u64 = 20;
/// Bytes of a value of a round trip.
const ROUND_TRIP_BYTES: u32 = 100;

/// What a run has shown.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The row's own figure: nanoseconds of broker CPU per message, milliseconds, or MiB.
    pub figure: f64,
    /// Messages per second; 0 where there are none.
    pub per_second: f64,
    /// The largest resident set of the broker so far, in MiB.
    pub peak_mib: f64,
    /// Context switches of the broker per thousand messages.
    pub switches: f64,
    /// Bytes that the broker had written to the device meanwhile, per message.
    pub written: f64,
    /// MiB that the broker has read from the device since its start.
    pub read_mib: f64,
    /// Nanoseconds of broker CPU per message, also where the figure is another; 0 where there are no messages.
    #[serde(default)]
    pub cpu_ns: f64,
    /// What of that consumers add to the producing; 0 where nobody consumes meanwhile.
    #[serde(default)]
    pub consumers_ns: f64,
    /// Percentiles 50, 99 and 99.9 of our loader's latencies, in microseconds; 0 where it did not load.
    #[serde(default)]
    pub latency_us: [f64; 3],
    /// The longest time that a spinning thread did not run, in the second before, in microseconds.
    pub longest_gap_us: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:9.2} {:9.0} msg/s {:6.1} MiB {:7.1} switches/1000 msg, longest gap {} us",
            self.figure, self.per_second, self.peak_mib, self.switches, self.longest_gap_us
        )?;
        match self.latency_us {
            [0.0, ..] => Ok(()),
            [p50, p99, p999] => write!(f, ", p50 {p50:.0} us, p99 {p99:.0} us, p99.9 {p999:.0} us"),
        }
    }
}

/// Starts a broker, loads it, kills it. A directory that takes long to make is made once and stays in `stage` for later rounds.
pub fn run<'a>(
    kind: &'a Kind,
    workload: &Workload,
    client: &Client,
    scale: f64,
    stage: &mut Option<Stage<'a>>,
) -> Result<Run> {
    machine::warm_memory();
    let scaled = |messages: u64| ((messages as f64 * scale) as u64).max(LEAST_WARM_UP);
    let share = |number: u32| ((f64::from(number) * scale) as u32).max(1);
    match workload.shape {
        // One directory of each broker stays, and grows by a tenth each round.
        Shape::Recovery { bytes } if stage.is_none() => machine::check_disk(&std::env::temp_dir(), 2 * scaled(bytes))?,
        Shape::Flush { .. } => machine::check_disk(&std::env::temp_dir(), 0)?,
        _ => {}
    }
    match workload.shape {
        Shape::StartMany { partitions } | Shape::IdleMany { partitions } if stage.is_none() => {
            *stage = Some(stage::with_partitions(kind, share(partitions))?);
        }
        Shape::Compact { records, keys } if stage.is_none() => {
            *stage = Some(compaction::prepare(kind, scaled(records), scaled(keys))?);
        }
        Shape::Recovery { bytes } => stage::fill_and_kill(kind, client, scaled(bytes), stage)?,
        _ => {}
    }
    machine::sync()?;
    let longest_gap_us = process::longest_gap(Duration::from_secs(1));
    let run = match &workload.shape {
        Shape::Produce { size, messages, processes, properties } => {
            let home = kind.home(&[])?;
            let mut broker = home.start()?;
            let mut produce = |messages| client.produce(*processes, *size, messages, properties);
            let messages = scaled(*messages);
            warm_up(kind, messages, *size, scale, &mut produce)?;
            measured(&mut broker, |_| produce(messages))?
        }
        Shape::Flush { size, messages, properties } => {
            let home = kind.home(&["log.flush.interval.messages=1"])?;
            let mut broker = home.start()?;
            let mut produce = |messages| client.produce(1, *size, messages, properties);
            let messages = scaled(*messages);
            warm_up(kind, messages, *size, scale, &mut produce)?;
            let run = measured(&mut broker, |_| produce(messages))?;
            Run { figure: 1e6 / run.per_second, ..run }
        }
        Shape::Consume { size, messages } => {
            let home = kind.home(&[])?;
            let mut broker = home.start()?;
            let messages = scaled(*messages);
            let large = ["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000"];
            client.produce(1, *size, messages, &large)?;
            warm_up(kind, messages, *size, scale, &mut |messages| client.consume(messages))?;
            measured(&mut broker, |_| client.consume(messages))?
        }
        Shape::Start => started(&kind.home(&[])?, "first", 1)?.0,
        Shape::StartMany { .. } | Shape::Recovery { .. } => {
            let stage = stage.as_ref().context("a stage was set")?;
            if matches!(workload.shape, Shape::Recovery { .. }) {
                machine::forget_files(stage.home.path())?;
            }
            let (run, broker) = started(&stage.home, TOPIC, stage.partitions)?;
            if matches!(workload.shape, Shape::StartMany { .. }) {
                broker.stop()?;
            }
            run
        }
        Shape::Compact { records, .. } => {
            compaction::run(stage.as_ref().context("a stage was set")?, scaled(*records))?
        }
        Shape::OpenLoop { load, requests, .. } => {
            let load = OpenLoop { partitions: share(load.partitions), ..*load };
            open_loop(kind, load, scaled(requests * u64::from(RECORDS)), scale)?
        }
        Shape::RoundTrips { requests, .. } => round_trips(kind, scaled(*requests), scale)?,
        Shape::Idle => idle::resident(&kind.home(&[])?, "first", 1)?,
        Shape::IdleCpu => idle::cpu(&kind.home(&[])?)?,
        Shape::IdleConnections { connections } => idle::connections(&kind.home(&[])?, share(*connections))?,
        Shape::IdleAfter { size, messages, properties } => {
            idle::after(&kind.home(&[])?, || client.produce(1, *size, scaled(*messages), properties))?
        }
        Shape::IdleMany { .. } => {
            let stage = stage.as_ref().context("a stage was set")?;
            let empty = idle::resident(&kind.home(&[])?, "first", 1)?;
            let run = idle::resident(&stage.home, TOPIC, stage.partitions)?;
            Run { figure: run.figure - empty.figure, ..run }
        }
    };
    Ok(Run { figure: workload.shape.figure(&run), longest_gap_us, ..run })
}

/// From the start of the process to the first acknowledged record.
pub fn started(home: &Home, topic: &str, partitions: u32) -> Result<(Run, Broker)> {
    let mut broker = home.start()?;
    probe::first_record(topic, partitions)?;
    let figure = broker.started.elapsed().as_secs_f64() * 1_000.0;
    broker.check_alive()?;
    let run = Run { figure, ..without_messages(&broker)? };
    Ok((run, broker))
}

/// Our loader at a fixed rate.
fn open_loop(kind: &Kind, load: OpenLoop, messages: u64, scale: f64) -> Result<Run> {
    let requests = |messages: u64| messages.div_ceil(u64::from(RECORDS));
    let home = kind.home(&[])?;
    let mut broker = home.start()?;
    make_topic(load.partitions)?;
    let mut loader = Running::connect(TOPIC, load)?;
    warm_up(kind, messages, VALUE_BYTES as u32, scale, &mut |messages| loader.run(requests(messages)))?;
    if load.consumers == 0 {
        return measured(&mut broker, |_| loader.run(requests(messages)));
    }
    // What the producing costs by itself, which is not the consumers'.
    loader = Running::connect(TOPIC, OpenLoop { consumers: 0, ..load })?;
    let alone = measured(&mut broker, |_| loader.run(requests(messages / 2)))?;
    loader = Running::connect(TOPIC, load)?;
    let run = measured(&mut broker, |_| loader.run(requests(messages)))?;
    Ok(Run { consumers_ns: run.cpu_ns - alone.cpu_ns, ..run })
}

/// Our loader with one request in flight.
fn round_trips(kind: &Kind, requests: u64, scale: f64) -> Result<Run> {
    let home = kind.home(&[])?;
    let mut broker = home.start()?;
    make_topic(1)?;
    let mut loader = RoundTrips::connect(TOPIC, ROUND_TRIP_BYTES as usize)?;
    warm_up(kind, requests, ROUND_TRIP_BYTES, scale, &mut |requests| loader.run(requests))?;
    measured(&mut broker, |_| loader.run(requests))
}

/// A topic with a record in each of its partitions, so that all their files are there; one of a single partition as clients make it,
/// which the floor can do too.
fn make_topic(partitions: u32) -> Result<()> {
    if partitions == 1 { probe::first_record(TOPIC, 1) } else { stage::fill_topic(TOPIC, partitions) }
}

/// A hundredth of the load; of a JVM as much as its compiler wants to see.
fn warm_up(kind: &Kind, messages: u64, size: u32, scale: f64, load: &mut dyn FnMut(u64) -> Result<Load>) -> Result<()> {
    load((messages / WARM_UP).max(LEAST_WARM_UP.min(messages)))?;
    if !kind.has_compiler() {
        return Ok(());
    }
    let began = Instant::now();
    // Not more than the disk has room for: 4 GiB.
    let enough = ((COMPILER_MESSAGES as f64 * scale) as u64).min((4 << 30) / u64::from(size));
    let mut sent = 0;
    while sent < enough && began.elapsed() < COMPILER_TIME.mul_f64(scale.min(1.0)) {
        let slice = (messages / COMPILER_SLICE).max(LEAST_WARM_UP.min(messages));
        load(slice)?;
        sent += slice;
    }
    Ok(())
}

/// What a load costs the broker.
pub fn measured(broker: &mut Broker, load: impl FnOnce(&mut Broker) -> Result<Load>) -> Result<Run> {
    let id = broker.id();
    let (cpu, switches, written) = (process::cpu_time(id)?, process::switches(id)?, process::written_bytes(id)?);
    let load = load(broker)?;
    broker.check_alive()?;
    let cpu = process::cpu_time(id)?.saturating_sub(cpu);
    let messages = load.messages as f64;
    Ok(Run {
        figure: cpu.as_nanos() as f64 / messages,
        cpu_ns: cpu.as_nanos() as f64 / messages,
        consumers_ns: 0.0,
        per_second: messages * 1_000.0 / load.milliseconds.max(1) as f64,
        latency_us: load.latency_us,
        peak_mib: process::resident_mib(id)?.1,
        switches: process::switches(id)?.saturating_sub(switches) as f64 * 1_000.0 / messages,
        written: process::written_bytes(id)?.saturating_sub(written) as f64 / messages,
        read_mib: process::read_mib(id)?,
        longest_gap_us: 0,
    })
}

fn without_messages(broker: &Broker) -> Result<Run> {
    let (peak_mib, read_mib) = (process::resident_mib(broker.id())?.1, process::read_mib(broker.id())?);
    Ok(Run {
        figure: 0.0,
        per_second: 0.0,
        peak_mib,
        switches: 0.0,
        written: 0.0,
        read_mib,
        cpu_ns: 0.0,
        consumers_ns: 0.0,
        latency_us: [0.0; 3],
        longest_gap_us: 0,
    })
}
