//! What may be measured: how a broker is loaded, what of it is shown, and in which unit.

use crate::bounds::Bounds;
use crate::loader::{OpenLoop, VALUE_BYTES};
use crate::run::Run;

/// One row.
pub struct Workload {
    /// As the command line, `results.json` and the report say it.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// What is done to the broker.
    pub shape: Shape,
    /// What Ottla may cost at most.
    pub bounds: Bounds,
}

/// The load.
#[derive(PartialEq)]
pub enum Shape {
    /// Messages are produced by so many processes of rdkafka_performance at once, each with a topic of one partition.
    Produce {
        /// Bytes of a value.
        size: u32,
        /// Messages of a full run, of all processes together.
        messages: u64,
        /// Processes, which are connections.
        processes: u64,
        /// rdkafka_performance's `-X` options.
        properties: &'static [&'static str],
    },
    /// The same, by one process, to a broker that writes every batch to the device before it acknowledges it; the time that it
    /// takes counts.
    Flush {
        /// Bytes of a value.
        size: u32,
        /// Messages of a full run.
        messages: u64,
        /// rdkafka_performance's `-X` options.
        properties: &'static [&'static str],
    },
    /// Messages that were produced just before, and lie in the page cache, are read from the beginning.
    Consume {
        /// Bytes of a value.
        size: u32,
        /// Messages of a full run.
        messages: u64,
    },
    /// From the start of the process on an empty directory to the first acknowledged record.
    Start,
    /// The same on a directory with so many partitions of one record each, after a clean stop.
    StartMany {
        /// Partitions of all topics together.
        partitions: u32,
    },
    /// The same after a kill -9 under load, with so many bytes of log and nothing of it in memory.
    Recovery {
        /// Bytes of one partition's log.
        bytes: u64,
    },
    /// A log of so many records of 100 bytes is compacted, of which the last of each key stays.
    Compact {
        /// Records of a full run.
        records: u64,
        /// Keys, drawn evenly.
        keys: u64,
    },
    /// Requests at a fixed rate by our loader.
    OpenLoop {
        /// Connections, partitions, rate.
        load: OpenLoop,
        /// Requests of a full run.
        requests: u64,
        /// What is shown.
        shows: Figure,
    },
    /// One request in flight by our loader, each with one record of 100 bytes.
    RoundTrips {
        /// Requests of a full run.
        requests: u64,
        /// What is shown.
        shows: Figure,
    },
    /// The broker is left alone after its start.
    Idle,
    /// The same; its processor time counts.
    IdleCpu,
    /// What so many connections add to that, each of which has asked for the API versions.
    IdleConnections {
        /// Connections.
        connections: u32,
    },
    /// The broker is left alone after the load of the first row.
    IdleAfter {
        /// Bytes of a value.
        size: u32,
        /// Messages of a full run.
        messages: u64,
        /// rdkafka_performance's `-X` options.
        properties: &'static [&'static str],
    },
    /// What so many partitions of one record each add to that.
    IdleMany {
        /// Partitions of all topics together.
        partitions: u32,
    },
}

/// What a row shows of a run of our loader: one run has several figures.
#[derive(Clone, Copy, PartialEq)]
pub enum Figure {
    /// Broker CPU for each message that is produced.
    Cpu,
    /// Broker CPU for each byte of a value that a consumer gets, without that of the producing.
    CpuPerByte,
    /// A percentile of the latency, by its index: 50, 99, 99.9.
    Latency(usize),
}

impl Shape {
    /// Whether the floor broker can do it, which keeps nothing over a restart, never writes to the device, has one partition a topic
    /// and a thread a connection, and knows no producers.
    pub fn is_for_the_floor(&self) -> bool {
        match self {
            Self::OpenLoop { load, .. } => load.partitions == 1 && load.producer_ids == 0,
            Self::Produce { .. }
            | Self::Consume { .. }
            | Self::Start
            | Self::RoundTrips { .. }
            | Self::Idle
            | Self::IdleCpu
            | Self::IdleAfter { .. } => true,
            Self::Flush { .. }
            | Self::StartMany { .. }
            | Self::Recovery { .. }
            | Self::Compact { .. }
            | Self::IdleConnections { .. }
            | Self::IdleMany { .. } => false,
        }
    }

    /// Whether one run has the figures of both.
    pub fn is_measured_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OpenLoop { load: a, requests: m, .. }, Self::OpenLoop { load: b, requests: n, .. }) => {
                (a, m) == (b, n)
            }
            (Self::RoundTrips { requests: m, .. }, Self::RoundTrips { requests: n, .. }) => m == n,
            _ => self == other,
        }
    }

    /// What a row of this shape shows of a run.
    pub fn figure(&self, run: &Run) -> f64 {
        let (shows, consumers) = match self {
            Self::OpenLoop { shows, load, .. } => (shows, load.consumers),
            Self::RoundTrips { shows, .. } => (shows, 0),
            _ => return run.figure,
        };
        match shows {
            Figure::Cpu => run.cpu_ns,
            Figure::CpuPerByte => run.consumers_ns / (f64::from(consumers) * VALUE_BYTES as f64),
            Figure::Latency(percentile) => run.latency_us.get(*percentile).copied().unwrap_or_default(),
        }
    }
}

impl Workload {
    /// The figure that the row is about.
    pub fn unit(&self) -> &'static str {
        match self.shape {
            Shape::OpenLoop { shows, .. } | Shape::RoundTrips { shows, .. } => match shows {
                Figure::Cpu => "broker CPU, ns/message",
                Figure::CpuPerByte => "broker CPU, ns/byte delivered",
                Figure::Latency(_) => "latency, µs",
            },
            Shape::Produce { .. } | Shape::Consume { .. } => "broker CPU, ns/message",
            Shape::Flush { .. } => "time, µs/message",
            Shape::Start | Shape::StartMany { .. } | Shape::Recovery { .. } => "first acknowledged record, ms",
            Shape::Compact { .. } => "compaction, ms/MB of log",
            Shape::Idle | Shape::IdleAfter { .. } => "resident, MiB",
            Shape::IdleMany { .. } => "resident, MiB more than when empty",
            Shape::IdleConnections { .. } => "resident, MiB more than without connections",
            Shape::IdleCpu => "CPU, % of a core",
        }
    }

    /// What loads the broker.
    pub fn loader(&self) -> &'static str {
        match self.shape {
            Shape::Produce { .. } | Shape::Flush { .. } | Shape::Consume { .. } | Shape::IdleAfter { .. } => {
                "rdkafka_performance"
            }
            Shape::OpenLoop { .. } | Shape::RoundTrips { .. } | Shape::IdleConnections { .. } => "our loader",
            Shape::Start | Shape::StartMany { .. } | Shape::Recovery { .. } => "our probe",
            Shape::Compact { .. } | Shape::Idle | Shape::IdleCpu | Shape::IdleMany { .. } => "–",
        }
    }
}
