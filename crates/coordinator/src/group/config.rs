//! The settings a group obeys: broker properties, as plain values.

/// Settings of a [`GroupShard`](crate::GroupShard); the default is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for more members.
    pub initial_rebalance_delay_ms: i32,
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.max.size`: members a group may have.
    pub max_size: usize,
    /// `offset.metadata.max.bytes`: longest metadata of a commit, counted as Kafka does in UTF-16 units.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// `offsets.commit.timeout.ms`: how long a reply waits for its records to be committed.
    pub offsets_commit_timeout_ms: i64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            initial_rebalance_delay_ms: 3_000,
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 10_080 * 60_000,
            offsets_retention_check_interval_ms: 600_000,
            offsets_commit_timeout_ms: 5_000,
        }
    }
}

/// How long a new member may wait in JoinGroup before it is dropped: its connection cannot be seen to break while the
/// request is parked (`GroupCoordinatorConfig.CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`).
pub(crate) const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 300_000;

/// Longest group id, member id, instance id, protocol type, protocol name or note of an offset in bytes: what fits a
/// record's string with room for the suffix of a member id. Kafka fails on longer ones when it writes them.
pub(crate) const MAX_STRING_BYTES: usize = 32_000;
