//! What an inspection finds, and who is told.

use std::path::PathBuf;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Wrong, but no record is lost by it: the next start puts it right, or the remedy does.
    Repairable,
    /// Records are lost, cannot be read, or would be served wrongly.
    Damage,
}

impl Severity {
    /// One word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Repairable => "repairable",
            Self::Damage => "damage",
        }
    }
}

/// One thing, where it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file or directory.
    pub path: PathBuf,
    /// Where in the file, in bytes.
    pub position: Option<u64>,
    /// The first record offset that it concerns.
    pub offset: Option<i64>,
    /// What is wrong, in a sentence without its stop.
    pub problem: String,
    /// What to do; empty when there is nothing to do.
    pub remedy: String,
}

impl Finding {
    /// About a file as a whole.
    pub(super) fn new(severity: Severity, path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { severity, path: path.into(), position: None, offset: None, problem, remedy: String::new() }
    }

    /// At a place in the file.
    pub(super) fn at(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    /// Concerning records from this offset on.
    pub(super) fn offset(mut self, offset: i64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// What to do.
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// Told what an inspection does and finds, while it runs.
pub trait Watcher {
    /// What is being read now, such as a partition's name.
    fn begin(&mut self, what: &str);
    /// So many bytes more were read.
    fn read(&mut self, bytes: u64);
    /// Something was found.
    fn found(&mut self, finding: Finding);
}
