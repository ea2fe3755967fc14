//! What is sent: the three that performance work watches (W1 at 100 B and 1 KB, W3).

/// One kind of load.
pub struct Workload {
    /// As `--only` and the report say it.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Bytes of a value.
    pub size: u32,
    /// Messages of a full run.
    pub messages: u64,
    /// rdkafka_performance's `-X` options.
    pub properties: &'static [&'static str],
}

/// Batches of librdkafka up to 1 MB, for which it waits 5 ms; and batches of one message each.
pub const WORKLOADS: [Workload; 3] = [
    Workload {
        name: "100b",
        title: "100 B, linger 5 ms, batches up to 1 MB",
        size: 100,
        messages: 5_000_000,
        properties: &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000"],
    },
    Workload {
        name: "1kb",
        title: "1 KB, linger 5 ms, batches up to 1 MB",
        size: 1024,
        messages: 1_500_000,
        properties: &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000"],
    },
    Workload {
        name: "single",
        title: "one 100 B message a batch, linger 0",
        size: 100,
        messages: 200_000,
        properties: &["linger.ms=0", "batch.num.messages=1"],
    },
];
