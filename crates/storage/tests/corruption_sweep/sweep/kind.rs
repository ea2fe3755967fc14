//! The files of a log directory.

/// What was done to one of them.
pub(crate) type Harm = super::damage::Harm<Kind>;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Log,
    OffsetIndex,
    TimeIndex,
    TransactionIndex,
    ProducerSnapshot,
    LeaderEpochs,
    PartitionMetadata,
    RecoveryPoints,
    LogStarts,
    HighWatermarks,
    CleanerOffsets,
    MetaProperties,
    CleanShutdown,
    Lock,
    Swap,
    Cleaned,
    DeletedFile,
    DeletedDirectory,
    StrayDirectory,
}

impl Kind {
    pub(crate) fn of(path: &str) -> Self {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let by_suffix = [
            (".deleted", Self::DeletedFile),
            (".swap", Self::Swap),
            (".cleaned", Self::Cleaned),
            (".log", Self::Log),
            (".timeindex", Self::TimeIndex),
            (".txnindex", Self::TransactionIndex),
            (".index", Self::OffsetIndex),
            (".snapshot", Self::ProducerSnapshot),
            ("leader-epoch-checkpoint", Self::LeaderEpochs),
            ("partition.metadata", Self::PartitionMetadata),
            ("recovery-point-offset-checkpoint", Self::RecoveryPoints),
            ("log-start-offset-checkpoint", Self::LogStarts),
            ("replication-offset-checkpoint", Self::HighWatermarks),
            ("cleaner-offset-checkpoint", Self::CleanerOffsets),
            ("meta.properties", Self::MetaProperties),
            (".kafka_cleanshutdown", Self::CleanShutdown),
            (".lock", Self::Lock),
        ];
        if dir.ends_with("-delete") {
            return Self::DeletedDirectory;
        }
        if dir.ends_with("-stray") {
            return Self::StrayDirectory;
        }
        let found = by_suffix.iter().find(|(suffix, _)| name.ends_with(suffix));
        found.unwrap_or_else(|| panic!("{path} is of no known kind")).1
    }
}
