//! What is measured: the rows of the report, each with a name that stays, so that results can be compared over commits.

/// One row.
pub struct Workload {
    /// As the command line, `results.json` and the report say it.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// What is done to the broker.
    pub shape: Shape,
    /// What Ottla may cost at most, in floors and in Kafkas.
    pub bounds: Bounds,
}

/// The load.
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
    /// Messages that were produced just before, and lie in the page cache, are read from the beginning.
    Consume {
        /// Bytes of a value.
        size: u32,
        /// Messages of a full run.
        messages: u64,
    },
    /// From the start of the process on an empty directory to the first acknowledged record.
    Start,
    /// The broker is left alone after its start.
    Idle,
}

/// Ratios that a result must not exceed; `None` where the row has no such bound.
pub struct Bounds {
    /// In floors.
    pub floors: Option<f64>,
    /// In the cheaper of the two Kafkas.
    pub kafkas: Option<f64>,
}

impl Workload {
    /// The figure that the row is about.
    pub fn unit(&self) -> &'static str {
        match self.shape {
            Shape::Produce { .. } | Shape::Consume { .. } => "broker CPU, ns/message",
            Shape::Start => "first acknowledged record, ms",
            Shape::Idle => "resident, MiB",
        }
    }
}

const fn bounds(floors: f64, kafkas: f64) -> Bounds {
    Bounds { floors: Some(floors), kafkas: Some(kafkas) }
}

const LARGE: &[&str] = &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000"];
const LZ4: &[&str] = &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000", "compression.codec=lz4"];
const ZSTD: &[&str] = &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000", "compression.codec=zstd"];
const SINGLE: &[&str] = &["linger.ms=0", "batch.num.messages=1"];
const VERY_LARGE: &[&str] = &["linger.ms=5", "batch.size=1000000", "queue.buffering.max.kbytes=1000000"];

/// All rows, in the report's order.
pub const WORKLOADS: [Workload; 10] = [
    Workload {
        name: "w1-100b",
        title: "produce 100 B, batches up to 1 MB",
        shape: Shape::Produce { size: 100, messages: 5_000_000, processes: 1, properties: LARGE },
        bounds: bounds(2.0, 0.25),
    },
    Workload {
        name: "w1-1kb",
        title: "produce 1 KB, batches up to 1 MB",
        shape: Shape::Produce { size: 1_024, messages: 1_500_000, processes: 1, properties: LARGE },
        bounds: bounds(1.3, 0.25),
    },
    Workload {
        name: "w1-100kb",
        title: "produce 100 KB",
        shape: Shape::Produce { size: 100_000, messages: 20_000, processes: 1, properties: VERY_LARGE },
        bounds: Bounds { floors: None, kafkas: None },
    },
    Workload {
        name: "w1-lz4",
        title: "produce 1 KB, lz4",
        shape: Shape::Produce { size: 1_024, messages: 1_500_000, processes: 1, properties: LZ4 },
        bounds: Bounds { floors: None, kafkas: Some(0.35) },
    },
    Workload {
        name: "w1-zstd",
        title: "produce 1 KB, zstd",
        shape: Shape::Produce { size: 1_024, messages: 1_500_000, processes: 1, properties: ZSTD },
        bounds: Bounds { floors: None, kafkas: Some(0.35) },
    },
    Workload {
        name: "w3-1",
        title: "one 100 B message a batch, 1 connection",
        shape: Shape::Produce { size: 100, messages: 200_000, processes: 1, properties: SINGLE },
        bounds: bounds(2.0, 0.2),
    },
    Workload {
        name: "w3-16",
        title: "one 100 B message a batch, 16 connections",
        shape: Shape::Produce { size: 100, messages: 320_000, processes: 16, properties: SINGLE },
        bounds: bounds(2.0, 0.2),
    },
    Workload {
        name: "w7-warm",
        title: "consume 1 KB, warm",
        shape: Shape::Consume { size: 1_024, messages: 1_500_000 },
        bounds: bounds(1.2, 0.8),
    },
    Workload {
        name: "w14-empty",
        title: "start, empty directory",
        shape: Shape::Start,
        bounds: Bounds { floors: None, kafkas: Some(1.0 / 40.0) },
    },
    Workload {
        name: "w16-idle",
        title: "idle, 5 s after the start",
        shape: Shape::Idle,
        bounds: Bounds { floors: None, kafkas: None },
    },
];
