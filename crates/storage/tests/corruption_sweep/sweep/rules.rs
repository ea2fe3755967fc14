//! Which outcome is right for which file and which damage.

use std::collections::BTreeSet;

use super::damage::Damage;
use super::fixture::{How, TABLE};
use super::judge::Difference;
use super::kind::{Harm, Kind};
use super::lines::Lines;

/// What came of a damage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Everything is there, and nothing was told.
    Harmless,
    /// Everything is there, and it was told what was mended.
    Mended,
    /// Something differs, and it was told.
    Told(BTreeSet<Difference>),
    /// Something differs, and nobody can know: the format does not show it.
    NotShown(BTreeSet<Difference>),
    /// The process did not start, with a sentence why.
    Refused(String),
}

impl Outcome {
    pub(crate) fn of(differences: &[Difference], told: &Lines) -> Self {
        let all: BTreeSet<_> = differences.iter().copied().collect();
        match (all.is_empty(), told.is_empty()) {
            (true, true) => Self::Harmless,
            (true, false) => Self::Mended,
            (false, false) => Self::Told(all),
            (false, true) => Self::NotShown(all),
        }
    }

    /// Its name, and an example for those that are worth one.
    pub(crate) fn in_words(&self, harm: &Harm, how: How) -> (String, String) {
        match self {
            Self::Refused(why) => ("Refused".to_owned(), why.clone()),
            Self::NotShown(_) => (format!("{self:?}"), format!("{how:?}, {harm}")),
            other => (format!("{other:?}"), String::new()),
        }
    }
}

/// Whether a damage to a file may end so.
pub(crate) fn is_right(harm: &Harm, outcome: &Outcome) -> bool {
    use Kind::*;
    let known = not_shown(harm);
    match outcome {
        // Nothing that a reader needs, or that cannot be found elsewhere.
        Outcome::Harmless => harm.kind != MetaProperties || harm.damage != Damage::Missing,
        Outcome::Mended => {
            !matches!(harm.kind, MetaProperties | Lock | Cleaned | DeletedFile | DeletedDirectory | StrayDirectory)
        }
        Outcome::Told(all) => all.iter().all(|one| told(harm.kind).contains(one) || known.contains(one)),
        // A batch of a compacted log that has moved is not where it was.
        Outcome::NotShown(all) if all.contains(&Difference::BatchOffset) => {
            all.iter().all(|one| known.contains(one) || *one == Difference::Lost)
        }
        Outcome::NotShown(all) => all.iter().all(|one| known.contains(one)),
        Outcome::Refused(_) => harm.kind == MetaProperties,
    }
}

/// What may differ if it is told. Readers who get what they should not are no better off for a line in a log, so that times and
/// aborted transactions are never among it; and records may be missing only where the file held them, or said which there are.
fn told(kind: Kind) -> &'static [Difference] {
    use Difference::*;
    match kind {
        Kind::Log | Kind::Swap => &[Lost, Back, Epochs, BatchEpoch],
        Kind::PartitionMetadata => &[Lost, Epochs],
        Kind::LogStarts => &[Lost, Back, Epochs],
        Kind::LeaderEpochs => &[Epochs],
        _ => &[],
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
        (Kind::Log | Kind::Swap, FlippedBit) => &[BatchEpoch, BatchOffset],
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
