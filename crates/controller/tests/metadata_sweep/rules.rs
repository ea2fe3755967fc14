//! Which outcome is right for which file and which damage.

use super::damage::Damage;
use super::fixture::How;
use super::kind::{Harm, Kind};

/// What came of a damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything is there, and nothing was told.
    Harmless,
    /// Everything is there, and it was told what was mended.
    Mended,
    /// The last records are missing, none of them noted as synced, and it was told.
    Cut,
    /// Something differs, and nobody can know.
    NotShown(What),
    /// The process did not start, with a sentence why.
    Refused(String),
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The last records, none of them noted as synced, are missing.
    End,
    /// It is another cluster's, or another directory.
    Identity,
}

impl Outcome {
    /// Its name, and an example for those that are worth one.
    pub(crate) fn in_words(&self, harm: &Harm, how: How) -> (String, String) {
        match self {
            Self::Refused(why) => ("Refused".to_owned(), why.clone()),
            Self::NotShown(_) | Self::Cut => (format!("{self:?}"), format!("{how:?}, {harm}")),
            other => (format!("{other:?}"), String::new()),
        }
    }
}

/// Whether a damage to a file may end so.
pub(crate) fn is_right(harm: &Harm, how: How, outcome: &Outcome) -> bool {
    use Damage::*;
    match outcome {
        // Whatever a start needs of the file it has found elsewhere.
        Outcome::Harmless | Outcome::Mended => true,
        // What the power cut off looks the same.
        Outcome::Cut => harm.kind == Kind::Log && how != How::Clean,
        Outcome::NotShown(What::End) => {
            harm.kind == Kind::Log && how != How::Clean && matches!(harm.damage, CutOff | OlderCopy | Missing)
        }
        // Neither is said anywhere else.
        Outcome::NotShown(What::Identity) => harm.kind == Kind::MetaProperties && harm.damage == FlippedBit,
        Outcome::Refused(why) => harm.kind != Kind::Beside && names(why, harm),
    }
}

/// Whether a sentence names the damaged file, or, of one that is not there, its directory.
fn names(why: &str, harm: &Harm) -> bool {
    let (folder, name) = harm.path.rsplit_once('/').unwrap_or(("/data", &harm.path));
    why.contains(name) || (harm.damage == Damage::Missing && why.contains(folder))
}
