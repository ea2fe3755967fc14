//! One run of one broker, measured.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::broker::Kind;
use crate::client::Client;
use crate::machine;
use crate::workload::Workload;

/// Sent before anything is measured: creates the topic, loads code, fills caches.
const WARM_UP: u64 = 100;
const LEAST_WARM_UP: u64 = 1_000;

/// What a run has shown.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Broker CPU per message, in nanoseconds.
    pub cpu_ns: f64,
    /// Messages acknowledged per second.
    pub per_second: f64,
    /// The largest resident set of the broker so far, in MiB.
    pub peak_mib: f64,
    /// Context switches of the broker per thousand messages.
    pub switches: f64,
    /// The longest time that a spinning thread did not run, in the second before, in microseconds.
    pub longest_gap_us: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:8.1} ns/msg {:9.0} msg/s {:6.1} MiB {:7.1} switches/1000 msg, longest gap {} us",
            self.cpu_ns, self.per_second, self.peak_mib, self.switches, self.longest_gap_us
        )
    }
}

/// Starts a broker, loads it, kills it.
pub fn run(kind: &Kind, workload: &Workload, client: &Client, scale: f64) -> Result<Run> {
    let messages = ((workload.messages as f64 * scale) as u64).max(LEAST_WARM_UP);
    machine::warm_memory();
    machine::sync()?;
    let longest_gap_us = longest_gap(Duration::from_secs(1));
    let mut broker = kind.start()?;
    client.produce(workload, (messages / WARM_UP).max(LEAST_WARM_UP))?;
    let (cpu, switches) = (cpu_time(broker.id())?, switches(broker.id())?);
    let load = client.produce(workload, messages)?;
    let cpu = cpu_time(broker.id())?.saturating_sub(cpu);
    broker.check_alive(kind.name)?;
    let switches = self::switches(broker.id())?.saturating_sub(switches);
    Ok(Run {
        cpu_ns: cpu.as_nanos() as f64 / messages as f64,
        per_second: messages as f64 * 1_000.0 / load.milliseconds.max(1) as f64,
        peak_mib: status(broker.id(), "VmHWM:")? as f64 / 1_024.0,
        switches: switches as f64 * 1_000.0 / messages as f64,
        longest_gap_us,
    })
}

/// User and system time of a process, threads that have ended included, by its CPU clock: /proc counts in 10 ms ticks.
fn cpu_time(id: u32) -> Result<Duration> {
    let clock: ClockId = clock_getcpuclockid(Pid::from_raw(i32::try_from(id)?))?;
    Ok(clock_gettime(clock)?.into())
}

/// A number of /proc/PID/status.
fn status(id: u32, name: &str) -> Result<u64> {
    number_after(&std::fs::read_to_string(format!("/proc/{id}/status"))?, name)
}

fn number_after(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().next().context("an empty line")?.parse()?)
}

/// Context switches of all threads that live now. (Of those that have ended nothing is known: the floor has one a
/// connection.)
fn switches(id: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
        // A thread may end meanwhile.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("status")) else { continue };
        sum += number_after(&text, "voluntary_ctxt_switches:")? + number_after(&text, "nonvoluntary_ctxt_switches:")?;
    }
    Ok(sum)
}

/// Spins, and tells the longest time between two looks at the clock.
fn longest_gap(duration: Duration) -> u64 {
    let began = Instant::now();
    let (mut last, mut longest) = (began, Duration::ZERO);
    while last.duration_since(began) < duration {
        let now = Instant::now();
        longest = longest.max(now.duration_since(last));
        last = now;
    }
    longest.as_micros() as u64
}

/// The machine's CPU time so far, in ticks.
pub struct CpuTimes {
    total: u64,
    stolen: u64,
}

impl CpuTimes {
    /// As /proc/stat says.
    pub fn now() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().context("/proc/stat is empty")?;
        let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|tick| tick.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guest time is part of user time.
        Ok(Self { total: ticks.iter().take(8).sum(), stolen: ticks.get(7).copied().unwrap_or(0) })
    }

    /// How much of what has passed since was stolen by the hypervisor.
    pub fn stolen_percent_since(&self) -> Result<f64> {
        let now = Self::now()?;
        let total = now.total.saturating_sub(self.total).max(1);
        Ok(now.stolen.saturating_sub(self.stolen) as f64 * 100.0 / total as f64)
    }
}
