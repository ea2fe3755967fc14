//! One file of a directory, and what happens to it.

use std::fmt;

use super::Random;
use super::files::Files;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Damage {
    FlippedBit,
    ZeroedBlock,
    CutOff,
    OlderCopy,
    Missing,
}

pub(crate) const DAMAGES: [Damage; 5] =
    [Damage::FlippedBit, Damage::ZeroedBlock, Damage::CutOff, Damage::OlderCopy, Damage::Missing];

/// What was done to which file.
#[derive(Debug, Clone)]
pub(crate) struct Harm {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) damage: Damage,
    /// Where, for those that have a place: byte and bit, or the first byte and the length.
    pub(crate) place: (usize, usize),
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?} of {}", self.damage, self.place, self.path)
    }
}

/// Draws a kind, one of its files, and a damage that changes it; gives the damaged directory.
pub(crate) fn harm(files: &Files, older: &Files, random: &mut Random) -> (Harm, Files) {
    let mut kinds: Vec<_> = files.keys().map(|path| Kind::of(path)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    loop {
        let kind = *random.one_of(&kinds);
        let of_kind: Vec<_> = files.keys().filter(|path| Kind::of(path) == kind).collect();
        let path = (*random.one_of(&of_kind)).clone();
        let damage = *random.one_of(&DAMAGES);
        let mut damaged = files.clone();
        if let Some(place) = apply(&mut damaged, &path, damage, older, random)
            && damaged != *files
        {
            return (Harm { path, kind, damage, place }, damaged);
        }
        // A file that is empty, or was not there earlier, can only go missing.
    }
}

/// None if the damage cannot be done to this file.
fn apply(files: &mut Files, path: &str, damage: Damage, older: &Files, random: &mut Random) -> Option<(usize, usize)> {
    let bytes = files.get_mut(path)?;
    match damage {
        Damage::Missing => {
            files.remove(path);
            return Some((0, 0));
        }
        Damage::OlderCopy => {
            bytes.clone_from(older.get(path)?);
            return Some((0, 0));
        }
        Damage::FlippedBit | Damage::ZeroedBlock | Damage::CutOff if bytes.is_empty() => return None,
        Damage::FlippedBit => {
            let (at, bit) = (random.below(bytes.len()), random.below(8));
            bytes[at] ^= 1 << bit;
            return Some((at, bit));
        }
        Damage::CutOff => bytes.truncate(random.below(bytes.len())),
        Damage::ZeroedBlock => {
            let block = *random.one_of(&[16, 64, 512]);
            let at = random.below(bytes.len()) / block * block;
            let end = (at + block).min(bytes.len());
            bytes[at..end].fill(0);
            return Some((at, block));
        }
    }
    Some((bytes.len(), 0))
}
