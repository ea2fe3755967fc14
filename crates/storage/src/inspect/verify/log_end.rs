//! Checkpoints beside where the log really ends: what was promised and is not there any more.

use std::path::Path;

use super::reporter::Reporter;
use crate::inspect::directory::{Checkpoints, Ended};
use crate::inspect::finding::{Finding, Severity, Watcher};

const COPY_ANEW: &str = "a .log file was lost, cut or is older than this; if another replica has the partition, let this one be copied anew: stop the broker, remove the partition's directory, start";
const NOT_SYNCED: &str = "the last process did not stop cleanly, and what was not synced is gone: a follower fetches it from its leader again; without another replica it is lost";

/// What it means that a log ends earlier than something says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing can be said: the log is in use.
    Unknown,
    /// What was synced is there; what was not may be lost with the power.
    NotSynced,
    /// Records are gone that must be there.
    Lost,
}

impl Loss {
    /// Of a log that ends at `end`.
    pub(super) fn of(ended: Ended, known: &Checkpoints, end: i64) -> Self {
        match ended {
            Ended::Running(_) => Self::Unknown,
            Ended::Otherwise if end >= known.recovery_point.unwrap_or(0) => Self::NotSynced,
            Ended::Cleanly | Ended::Otherwise => Self::Lost,
        }
    }

    /// Tells it.
    pub(super) fn report(self, path: &Path, end: i64, problem: String, reporter: &mut Reporter<'_>) {
        let (severity, remedy) = match self {
            Self::Unknown => return,
            Self::NotSynced => (Severity::Repairable, NOT_SYNCED),
            Self::Lost => (Severity::Damage, COPY_ANEW),
        };
        reporter.found(Finding::new(severity, path, problem).offset(end).remedy(remedy));
    }
}

/// Holds what the checkpoints say against a log that ends at `end`.
pub(super) fn check(dir: &Path, known: &Checkpoints, end: i64, loss: Loss, reporter: &mut Reporter<'_>) {
    let promises = [
        ("high watermark, up to which consumers may have read,", known.high_watermark),
        ("recovery point, up to which it was synced,", known.recovery_point),
        ("log start offset", known.log_start),
    ];
    for (what, offset) in promises {
        if let Some(offset) = offset.filter(|offset| *offset > end) {
            let missing = offset - end;
            let problem = format!("its {what} is {offset}, but the log ends at {end}: {missing} offsets are missing");
            loss.report(dir, end, problem, reporter);
        }
    }
    if let Some(clean) = known.clean_until.filter(|clean| *clean > end && loss != Loss::Unknown) {
        let problem = format!("it is compacted up to {clean}, says the checkpoint, but the log ends at {end}");
        let remedy = "the cleaner begins with the start of the log again";
        reporter.found(Finding::new(Severity::Repairable, dir, problem).offset(end).remedy(remedy));
    }
}
