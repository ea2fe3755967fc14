//! One run of one broker under one load, measured.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::broker::{Broker, Kind};
use crate::client::Client;
use crate::workload::{Shape, Workload};
use crate::{machine, probe, process};

/// Sent before anything is measured: creates the topic, loads code, fills caches.
const WARM_UP: u64 = 100;
const LEAST_WARM_UP: u64 = 1_000;
/// A broker with a compiler is warmed up with so many messages, or for so long.
const COMPILER_MESSAGES: u64 = 3_000_000;
const COMPILER_TIME: Duration = Duration::from_secs(60);
const COMPILER_SLICE: u64 = 20;
const IDLE: Duration = Duration::from_secs(5);

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
    /// The longest time that a spinning thread did not run, in the second before, in microseconds.
    pub longest_gap_us: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:9.1} {:9.0} msg/s {:6.1} MiB {:7.1} switches/1000 msg, longest gap {} us",
            self.figure, self.per_second, self.peak_mib, self.switches, self.longest_gap_us
        )
    }
}

/// Starts a broker, loads it, kills it.
pub fn run(kind: &Kind, workload: &Workload, client: &Client, scale: f64) -> Result<Run> {
    machine::warm_memory();
    machine::sync()?;
    let longest_gap_us = process::longest_gap(Duration::from_secs(1));
    let mut broker = kind.start()?;
    let scaled = |messages: u64| ((messages as f64 * scale) as u64).max(LEAST_WARM_UP);
    let run = match &workload.shape {
        Shape::Produce { size, messages, processes, properties } => {
            let produce = |messages| client.produce(*processes, *size, messages, properties);
            let messages = scaled(*messages);
            warm_up(kind, messages, *size, scale, &produce)?;
            measured(&broker, || produce(messages))?
        }
        Shape::Consume { size, messages } => {
            let messages = scaled(*messages);
            let large = ["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000"];
            client.produce(1, *size, messages, &large)?;
            warm_up(kind, messages, *size, scale, &|messages| client.consume(messages))?;
            measured(&broker, || client.consume(messages))?
        }
        Shape::Start => {
            probe::first_record()?;
            let figure = broker.started.elapsed().as_secs_f64() * 1_000.0;
            Run { figure, ..without_messages(&broker)? }
        }
        Shape::Idle => {
            probe::first_record()?;
            std::thread::sleep(IDLE);
            Run { figure: process::resident_mib(broker.id())?.0, ..without_messages(&broker)? }
        }
    };
    broker.check_alive(kind.name)?;
    Ok(Run { longest_gap_us, ..run })
}

/// A hundredth of the load; of a JVM as much as its compiler wants to see.
fn warm_up(
    kind: &Kind,
    messages: u64,
    size: u32,
    scale: f64,
    load: &dyn Fn(u64) -> Result<crate::client::Load>,
) -> Result<()> {
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

fn measured(broker: &Broker, load: impl FnOnce() -> Result<crate::client::Load>) -> Result<Run> {
    let id = broker.id();
    let (cpu, switches, written) = (process::cpu_time(id)?, process::switches(id)?, process::written_bytes(id)?);
    let load = load()?;
    let cpu = process::cpu_time(id)?.saturating_sub(cpu);
    let messages = load.messages as f64;
    Ok(Run {
        figure: cpu.as_nanos() as f64 / messages,
        per_second: messages * 1_000.0 / load.milliseconds.max(1) as f64,
        peak_mib: process::resident_mib(id)?.1,
        switches: process::switches(id)?.saturating_sub(switches) as f64 * 1_000.0 / messages,
        written: process::written_bytes(id)?.saturating_sub(written) as f64 / messages,
        longest_gap_us: 0,
    })
}

fn without_messages(broker: &Broker) -> Result<Run> {
    let peak_mib = process::resident_mib(broker.id())?.1;
    Ok(Run { figure: 0.0, per_second: 0.0, peak_mib, switches: 0.0, written: 0.0, longest_gap_us: 0 })
}
