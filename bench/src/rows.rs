//! The rows of the report, each with a name that stays, so that results can be compared over commits.

use crate::bounds::{NONE, against, figure, floors_and_kafkas, kafkas, kafkas_and_figure};
use crate::loader::OpenLoop;
use crate::workload::{Figure, Shape, Workload};

const LARGE: &[&str] = &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000"];
const LZ4: &[&str] = &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000", "compression.codec=lz4"];
const ZSTD: &[&str] = &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000", "compression.codec=zstd"];
const SINGLE: &[&str] = &["linger.ms=0", "batch.num.messages=1"];
const FLUSH: &[&str] = &["linger.ms=0", "batch.num.messages=1", "max.in.flight.requests.per.connection=32"];
const VERY_LARGE: &[&str] = &["linger.ms=5", "batch.size=1000000", "queue.buffering.max.kbytes=1000000"];

/// 49 MB of values a second, in batches of 16 KB: a fixed rate, so that what is compared differs in one thing alone.
const STEADY: OpenLoop = OpenLoop { connections: 10, partitions: 1, producer_ids: 0, consumers: 0, per_second: 3_000 };
/// 20 MB of values a second, in batches of 16 KB, and somebody who waits for them.
const TAIL: OpenLoop = OpenLoop { connections: 1, partitions: 1, producer_ids: 0, consumers: 1, per_second: 1_220 };

const fn steady(load: OpenLoop) -> Shape {
    Shape::OpenLoop { load, requests: 60_000, shows: Figure::Cpu }
}

const fn tail(load: OpenLoop, shows: Figure) -> Shape {
    Shape::OpenLoop { load, requests: 36_600, shows }
}

const fn round_trips(shows: Figure) -> Shape {
    Shape::RoundTrips { requests: 100_000, shows }
}

/// All rows, in the report's order.
pub const WORKLOADS: [Workload; 30] = [
    Workload {
        name: "w1-100b",
        title: "produce 100 B, batches up to 1 MB",
        shape: Shape::Produce { size: 100, messages: 5_000_000, processes: 1, properties: LARGE },
        bounds: floors_and_kafkas(2.0, 0.25),
    },
    Workload {
        name: "w1-1kb",
        title: "produce 1 KB, batches up to 1 MB",
        shape: Shape::Produce { size: 1_024, messages: 1_500_000, processes: 1, properties: LARGE },
        bounds: floors_and_kafkas(1.3, 0.25),
    },
    Workload {
        name: "w1-100kb",
        title: "produce 100 KB",
        shape: Shape::Produce { size: 100_000, messages: 20_000, processes: 1, properties: VERY_LARGE },
        bounds: NONE,
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
    // By our loader: rdkafka_performance would fill batches of 16 partitions, and send single records to 10,000.
    Workload {
        name: "w2-16",
        title: "49 MB/s of 1 KB, batches of 16 KB at random to 16 partitions",
        shape: steady(OpenLoop { partitions: 16, ..STEADY }),
        bounds: NONE,
    },
    Workload {
        name: "w2-10k",
        title: "the same to 10,000 partitions",
        shape: steady(OpenLoop { partitions: 10_000, ..STEADY }),
        bounds: against("w2-16", 1.3),
    },
    Workload {
        name: "w3-1",
        title: "one 100 B message a batch, 1 connection",
        shape: Shape::Produce { size: 100, messages: 200_000, processes: 1, properties: SINGLE },
        bounds: floors_and_kafkas(2.0, 0.2),
    },
    Workload {
        name: "w3-16",
        title: "one 100 B message a batch, 16 connections",
        shape: Shape::Produce { size: 100, messages: 320_000, processes: 16, properties: SINGLE },
        bounds: floors_and_kafkas(2.0, 0.2),
    },
    Workload {
        name: "w3-rtt-p50",
        title: "one request in flight, 100 B, p50",
        shape: round_trips(Figure::Latency(0)),
        bounds: floors_and_kafkas(1.5, 0.5),
    },
    Workload {
        name: "w3-rtt-p99",
        title: "one request in flight, 100 B, p99",
        shape: round_trips(Figure::Latency(1)),
        bounds: floors_and_kafkas(3.0, 0.5),
    },
    Workload {
        name: "w4-10",
        title: "49 MB/s of 1 KB, batches of 16 KB, 10 connections",
        shape: steady(STEADY),
        bounds: NONE,
    },
    Workload {
        name: "w4-1k",
        title: "the same, 1,000 connections",
        shape: steady(OpenLoop { connections: 1_000, ..STEADY }),
        bounds: against("w4-10", 1.5),
    },
    Workload {
        name: "w5-plain",
        title: "49 MB/s of 1 KB, batches of 16 KB, not idempotent",
        shape: steady(STEADY),
        bounds: NONE,
    },
    Workload {
        name: "w5-1k",
        title: "the same, 1,000 idempotent producers",
        shape: steady(OpenLoop { producer_ids: 1_000, ..STEADY }),
        bounds: against("w5-plain", 1.1),
    },
    Workload {
        name: "w7-warm",
        title: "consume 1 KB, warm",
        shape: Shape::Consume { size: 1_024, messages: 1_500_000 },
        bounds: floors_and_kafkas(1.2, 0.8),
    },
    Workload {
        name: "w8-p99",
        title: "20 MB/s of 1 KB, batches of 16 KB, due to received, p99",
        shape: tail(TAIL, Figure::Latency(1)),
        bounds: kafkas(0.5),
    },
    Workload {
        name: "w8-p999",
        title: "20 MB/s of 1 KB, batches of 16 KB, due to received, p99.9",
        shape: tail(TAIL, Figure::Latency(2)),
        bounds: kafkas(0.3),
    },
    Workload {
        name: "w9-1",
        title: "20 MB/s of 1 KB to a consumer outside of a group, beside the producing",
        shape: tail(TAIL, Figure::CpuPerByte),
        bounds: NONE,
    },
    Workload {
        name: "w9-10",
        title: "the same to each of ten",
        shape: tail(OpenLoop { consumers: 10, ..TAIL }, Figure::CpuPerByte),
        bounds: against("w9-1", 1.1),
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
    Workload { name: "w16-idle", title: "idle, 5 s after the start", shape: Shape::Idle, bounds: figure(20.0) },
    Workload {
        name: "w16-10k",
        title: "idle, 10,000 partitions, 5 s after the start",
        shape: Shape::IdleMany { partitions: 10_000 },
        // 80 MB.
        bounds: figure(76.3),
    },
    Workload {
        name: "w16-conn",
        title: "idle, 10,000 connections",
        shape: Shape::IdleConnections { connections: 10_000 },
        // 200 MB.
        bounds: figure(190.7),
    },
    Workload {
        name: "w16-after",
        title: "idle, 5 s after 5 M messages of 100 B",
        shape: Shape::IdleAfter { size: 100, messages: 5_000_000, properties: LARGE },
        // 60 MB.
        bounds: figure(57.2),
    },
    Workload {
        name: "w16-cpu",
        title: "idle, 20 s from 5 s after the start",
        shape: Shape::IdleCpu,
        bounds: figure(0.1),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_a_bound_names_a_row_before_it() {
        for (n, row) in WORKLOADS.iter().enumerate() {
            let before = WORKLOADS.get(..n).unwrap_or_default();
            assert!(before.iter().all(|other| other.name != row.name), "{} twice", row.name);
            if let Some((other, _)) = row.bounds.row {
                assert!(before.iter().any(|row| row.name == other), "{} is compared with {other}", row.name);
            }
        }
    }

    #[test]
    fn figures_of_one_load_are_measured_once() {
        let shape = |name| WORKLOADS.iter().find(|row| row.name == name).map(|row| &row.shape).unwrap();
        for (a, b) in [("w3-rtt-p50", "w3-rtt-p99"), ("w8-p99", "w8-p999"), ("w8-p99", "w9-1"), ("w4-10", "w5-plain")] {
            assert!(shape(a).is_measured_with(shape(b)), "{a} and {b}");
        }
        for (a, b) in [("w9-1", "w9-10"), ("w4-10", "w4-1k"), ("w5-plain", "w5-1k"), ("w1-100b", "w1-1kb")] {
            assert!(!shape(a).is_measured_with(shape(b)), "{a} and {b}");
        }
    }
}
