//! The rows of a broker that nobody asks anything: its memory, what connections add to it, its processor time.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::broker::Home;
use crate::client::Load;
use crate::process;
use crate::run::{Run, started};
use crate::wire::Connection;

/// After it began to be left alone.
const REST: Duration = Duration::from_secs(5);
/// For so long its processor time counts.
const WATCH: Duration = Duration::from_secs(20);
/// Files, sockets and pipes of a process beside the connections.
const OTHER_DESCRIPTORS: u64 = 500;

/// Its resident set when it was left alone for a while; it is stopped cleanly then.
pub fn resident(home: &Home, topic: &str, partitions: u32) -> Result<Run> {
    let (run, broker) = started(home, topic, partitions)?;
    std::thread::sleep(REST);
    let run = Run { figure: process::resident_mib(broker.id())?.0, ..run };
    broker.stop()?;
    Ok(run)
}

/// The processor time that it takes all the same, in percent of a core.
pub fn cpu(home: &Home) -> Result<Run> {
    let (run, mut broker) = started(home, "first", 1)?;
    std::thread::sleep(REST);
    let before = process::cpu_time(broker.id())?;
    std::thread::sleep(WATCH);
    let used = process::cpu_time(broker.id())?.saturating_sub(before);
    broker.check_alive()?;
    Ok(Run { figure: used.as_secs_f64() * 100.0 / WATCH.as_secs_f64(), ..run })
}

/// What connections add to its resident set, once each has asked for something.
pub fn connections(home: &Home, connections: u32) -> Result<Run> {
    let limit = process::raise_descriptor_limit()?;
    let wanted = u64::from(connections) + OTHER_DESCRIPTORS;
    ensure!(
        limit >= wanted,
        "{connections} connections need {wanted} descriptors, and {limit} are allowed: ulimit -Hn"
    );
    let (run, mut broker) = started(home, "first", 1)?;
    std::thread::sleep(REST);
    let before = process::resident_mib(broker.id())?.0;
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open()?;
        connection.greet()?;
        open.push(connection);
    }
    std::thread::sleep(REST);
    broker.check_alive()?;
    let (now, peak_mib) = process::resident_mib(broker.id())?;
    Ok(Run { figure: now - before, peak_mib, ..run })
}

/// Its resident set after a load.
pub fn after(home: &Home, load: impl FnOnce() -> Result<Load>) -> Result<Run> {
    let (run, mut broker) = started(home, "first", 1)?;
    let load = load()?;
    std::thread::sleep(REST);
    broker.check_alive()?;
    let (figure, peak_mib) = process::resident_mib(broker.id())?;
    let per_second = load.messages as f64 * 1_000.0 / load.milliseconds.max(1) as f64;
    Ok(Run { figure, peak_mib, per_second, ..run })
}
