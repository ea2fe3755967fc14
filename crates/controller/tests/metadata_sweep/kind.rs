//! The files of a metadata directory.

/// What was done to one of them.
pub(crate) type Harm = super::damage::Harm<Kind>;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Log,
    Snapshot,
    QuorumState,
    MetaProperties,
    RecoveryPoints,
    PartitionMetadata,
    /// Nothing of the metadata is only there.
    Beside,
}

impl Kind {
    pub(crate) fn of(path: &str) -> Self {
        let by_suffix = [
            (".log", Self::Log),
            (".checkpoint", Self::Snapshot),
            ("/quorum-state", Self::QuorumState),
            ("meta.properties", Self::MetaProperties),
            ("recovery-point-offset-checkpoint", Self::RecoveryPoints),
            ("/partition.metadata", Self::PartitionMetadata),
            ("/leader-epoch-checkpoint", Self::Beside),
            (".index", Self::Beside),
            (".timeindex", Self::Beside),
            (".snapshot", Self::Beside),
            (".deleted", Self::Beside),
            (".tmp", Self::Beside),
            (".lock", Self::Beside),
            ("log-start-offset-checkpoint", Self::Beside),
        ];
        let found = by_suffix.iter().find(|(suffix, _)| path.ends_with(suffix));
        found.unwrap_or_else(|| panic!("{path} is of no known kind")).1
    }
}
