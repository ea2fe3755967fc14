//! Which outcome is right for which file and which damage.

use super::damage::{Damage, Harm, Kind};
use super::fixture::TABLE;
use super::judge::Difference;
use super::lines::Lines;

/// What came of a damage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Everything is there, and nothing was told.
    Harmless,
    /// Everything is there, and it was told what was mended.
    Mended,
    /// Something is missing, and it was told.
    Told,
    /// The process did not start, with a sentence why.
    Refused(String),
    /// Something is not as it was, and nobody can know: the format does not show it.
    NotShown(Difference),
}

impl Outcome {
    pub(crate) fn of(differences: &[Difference], told: &Lines) -> Self {
        // A line is no excuse for these: readers do not see it.
        let served = [Difference::Time, Difference::Aborted];
        if let Some(difference) = differences.iter().find(|difference| served.contains(difference)) {
            return Self::NotShown(*difference);
        }
        match (differences.first(), told.is_empty()) {
            (None, true) => Self::Harmless,
            (None, false) => Self::Mended,
            (Some(_), false) => Self::Told,
            (Some(difference), true) => Self::NotShown(*difference),
        }
    }
}

/// Whether a damage to a file may end so.
pub(crate) fn is_right(harm: &Harm, outcome: &Outcome) -> bool {
    use Kind::*;
    match outcome {
        Outcome::NotShown(difference) => not_shown(harm).contains(difference),
        // Nothing that a reader needs, or that cannot be found elsewhere.
        Outcome::Harmless => harm.kind != MetaProperties || harm.damage != Damage::Missing,
        Outcome::Mended => {
            !matches!(harm.kind, MetaProperties | Lock | Cleaned | DeletedFile | DeletedDirectory | StrayDirectory)
        }
        Outcome::Told => {
            matches!(harm.kind, Log | Swap | PartitionMetadata | LeaderEpochs | RecoveryPoints | LogStarts)
        }
        Outcome::Refused(_) => harm.kind == MetaProperties,
    }
}

/// What Kafka's format cannot show; `docs/design/durability.md` has the same list in sentences.
fn not_shown(harm: &Harm) -> &'static [Difference] {
    use Damage::*;
    use Difference::*;
    let compacted = harm.path.starts_with(TABLE);
    match (harm.kind, harm.damage) {
        // No checksum covers a batch's leader epoch and base offset; the neighbours contradict most changes of them.
        (Kind::Log, FlippedBit) if !compacted => &[BatchEpoch],
        // Compaction leaves gaps, and records that have newer ones behind them.
        (Kind::Log | Kind::Swap, FlippedBit) => &[BatchEpoch, BatchOffset, Lost],
        (Kind::Log | Kind::Swap, CutOff | OlderCopy | Missing) if compacted => &[Lost, Back],
        // Retention removes the oldest segments.
        (Kind::Log, Missing) => &[Lost],
        // It has no checksum, and nothing says how many entries there should be.
        (Kind::TransactionIndex, _) => &[Aborted],
        // Neither has this one; the first and the last batch, and the last synced one, contradict it.
        (Kind::LeaderEpochs, FlippedBit | CutOff | OlderCopy) => &[Epochs],
        // Records are deleted by nothing else.
        (Kind::LogStarts, _) => &[Lost, Back],
        _ => &[],
    }
}
