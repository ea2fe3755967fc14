//! What the kernel says of a process, and of the machine's processors.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// User and system time of a process, threads that have ended included, by its CPU clock: /proc counts in 10 ms ticks.
pub fn cpu_time(id: u32) -> Result<Duration> {
    let clock: ClockId = clock_getcpuclockid(Pid::from_raw(i32::try_from(id)?))?;
    Ok(clock_gettime(clock)?.into())
}

/// Its resident set, now and at most, in MiB.
pub fn resident_mib(id: u32) -> Result<(f64, f64)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let mib = |name| number_after(&text, name).map(|kib| kib as f64 / 1_024.0);
    Ok((mib("VmRSS:")?, mib("VmHWM:")?))
}

/// Bytes that it caused to be written to the device.
pub fn written_bytes(id: u32) -> Result<u64> {
    number_after(&std::fs::read_to_string(format!("/proc/{id}/io"))?, "write_bytes:")
}

/// MiB that it caused to be read from the device.
pub fn read_mib(id: u32) -> Result<f64> {
    let bytes = number_after(&std::fs::read_to_string(format!("/proc/{id}/io"))?, "read_bytes:")?;
    Ok(bytes as f64 / f64::from(1 << 20))
}

/// Context switches of all threads that live now. (Of those that have ended nothing is known: the floor has one a
/// connection.)
pub fn switches(id: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
        // A thread may end meanwhile.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("status")) else { continue };
        sum += number_after(&text, "voluntary_ctxt_switches:")? + number_after(&text, "nonvoluntary_ctxt_switches:")?;
    }
    Ok(sum)
}

/// Takes as many descriptors as this process may have, for its children too, and gives their number.
pub fn raise_descriptor_limit() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

fn number_after(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().next().context("an empty line")?.parse()?)
}

/// Spins, and tells the longest time between two looks at the clock, in microseconds.
pub fn longest_gap(duration: Duration) -> u64 {
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
