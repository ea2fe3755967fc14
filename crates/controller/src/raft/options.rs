//! The quorum's timeouts and sizes, with Kafka's defaults (`QuorumConfig`, `KafkaRaftClient`).

/// What a [`super::RaftCore`] is told when it is made.
#[derive(Debug, Clone)]
pub struct RaftOptions {
    /// This cluster's id, which requests of other clusters do not carry.
    pub cluster_id: String,
    /// `controller.quorum.election.timeout.ms`: how long without a leader before standing; up to as much again is added
    /// at random.
    pub election_timeout_ms: i64,
    /// `controller.quorum.fetch.timeout.ms`: how long without an answer of the leader before standing, and (half as much
    /// again) how long a leader goes on without fetches of a majority.
    pub fetch_timeout_ms: i64,
    /// `controller.quorum.election.backoff.max.ms`: longest pause after an election that was lost.
    pub election_backoff_max_ms: i64,
    /// `controller.quorum.retry.backoff.ms`: pause after a request that failed.
    pub retry_backoff_ms: i64,
    /// How long a leader may hold an empty fetch answer back.
    pub fetch_max_wait_ms: i32,
    /// Record bytes asked for in one fetch (`controller.quorum.fetch.max.bytes`).
    pub fetch_max_bytes: u32,
    /// Bytes asked for in one fetch of a snapshot (`controller.quorum.fetch.snapshot.max.bytes`).
    pub fetch_snapshot_max_bytes: u32,
    /// Seed of the randomised timeouts; must differ between the replicas of a quorum.
    pub seed: u64,
}

impl RaftOptions {
    /// Kafka's defaults.
    #[must_use]
    pub fn new(cluster_id: impl Into<String>, seed: u64) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            election_timeout_ms: 1000,
            fetch_timeout_ms: 2000,
            election_backoff_max_ms: 1000,
            retry_backoff_ms: 20,
            fetch_max_wait_ms: 500,
            fetch_max_bytes: 1 << 20,
            fetch_snapshot_max_bytes: 1 << 20,
            seed,
        }
    }
}
