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
    /// The broker is left alone after its start.
    Idle,
    /// What so many partitions of one record each add to that.
    IdleMany {
        /// Partitions of all topics together.
        partitions: u32,
    },
}

/// Ratios that a result must not exceed; `None` where the row has no such bound.
pub struct Bounds {
    /// In floors.
    pub floors: Option<f64>,
    /// In the cheaper of the two Kafkas.
    pub kafkas: Option<f64>,
    /// Of the figure itself.
    pub figure: Option<f64>,
}

impl Shape {
    /// Whether the floor broker, which keeps nothing over a restart and never writes to the device, can do it.
    pub fn is_for_the_floor(&self) -> bool {
        !matches!(
            self,
            Self::Flush { .. }
                | Self::StartMany { .. }
                | Self::Recovery { .. }
                | Self::IdleMany { .. }
                | Self::Compact { .. }
        )
    }
}

impl Workload {
    /// The figure that the row is about.
    pub fn unit(&self) -> &'static str {
        match self.shape {
            Shape::Produce { .. } | Shape::Consume { .. } => "broker CPU, ns/message",
            Shape::Flush { .. } => "time, µs/message",
            Shape::Start | Shape::StartMany { .. } | Shape::Recovery { .. } => "first acknowledged record, ms",
            Shape::Compact { .. } => "compaction, ms/MB of log",
            Shape::Idle => "resident, MiB",
            Shape::IdleMany { .. } => "resident, MiB more than when empty",
        }
    }
}

const NO_BOUNDS: Bounds = Bounds { floors: None, kafkas: None, figure: None };

const fn bounds(floors: f64, kafkas: f64) -> Bounds {
    Bounds { floors: Some(floors), kafkas: Some(kafkas), figure: None }
}

const fn kafkas(kafkas: f64) -> Bounds {
    Bounds { kafkas: Some(kafkas), ..NO_BOUNDS }
}

const fn kafkas_and_figure(kafkas: f64, figure: f64) -> Bounds {
    Bounds { floors: None, kafkas: Some(kafkas), figure: Some(figure) }
}

const LARGE: &[&str] = &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000"];
const LZ4: &[&str] = &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000", "compression.codec=lz4"];
const ZSTD: &[&str] = &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000", "compression.codec=zstd"];
const SINGLE: &[&str] = &["linger.ms=0", "batch.num.messages=1"];
const FLUSH: &[&str] = &["linger.ms=0", "batch.num.messages=1", "max.in.flight.requests.per.connection=32"];
const VERY_LARGE: &[&str] = &["linger.ms=5", "batch.size=1000000", "queue.buffering.max.kbytes=1000000"];

/// All rows, in the report's order.
pub const WORKLOADS: [Workload; 15] = [
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
        bounds: NO_BOUNDS,
    },
    Workload {
        name: "w1-lz4",
        title: "produce 1 KB, lz4",
        shape: Shape::Produce { size: 1_024, messages: 1_500_000, processes: 1, properties: LZ4 },
        bounds: kafkas(0.35),
    },
    Workload {
        name: "w1-zstd",
        title: "produce 1 KB, zstd",
        shape: Shape::Produce { size: 1_024, messages: 1_500_000, processes: 1, properties: ZSTD },
        bounds: kafkas(0.35),
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
        name: "w12-32",
        title: "produce 1 KB, flushed before the acknowledgement, 32 in flight",
        shape: Shape::Flush { size: 1_024, messages: 100_000, properties: FLUSH },
        bounds: kafkas(0.2),
    },
    Workload {
        name: "w14-empty",
        title: "start, empty directory",
        shape: Shape::Start,
        bounds: kafkas_and_figure(1.0 / 40.0, 50.0),
    },
    Workload {
        name: "w14-10k",
        title: "start, 10,000 partitions, after a clean stop",
        shape: Shape::StartMany { partitions: 10_000 },
        bounds: kafkas_and_figure(0.05, 500.0),
    },
    Workload {
        name: "w15-10gb",
        title: "start, 10 GB of log, after kill -9 under load",
        shape: Shape::Recovery { bytes: 10_000_000_000 },
        bounds: kafkas_and_figure(0.05, 1_500.0),
    },
    Workload {
        name: "w22-cleaner",
        title: "compact 10 M records of 100 B, 1 M keys",
        shape: Shape::Compact { records: 10_000_000, keys: 1_000_000 },
        bounds: kafkas(0.5),
    },
    Workload {
        name: "w16-idle",
        title: "idle, 5 s after the start",
        shape: Shape::Idle,
        bounds: Bounds { figure: Some(20.0), ..NO_BOUNDS },
    },
    Workload {
        name: "w16-10k",
        title: "idle, 10,000 partitions, 5 s after the start",
        shape: Shape::IdleMany { partitions: 10_000 },
        // 80 MB.
        bounds: Bounds { figure: Some(76.3), ..NO_BOUNDS },
    },
];
