//! An index's entries in order, as its check goes along the batches: what `.index` and `.timeindex` have in common.

use std::path::{Path, PathBuf};

use super::reporter::Reporter;
use crate::inspect::finding::{Finding, Severity, Watcher};
use crate::inspect::index_files::{IndexEntry, IndexFile};

/// What makes a start build an index again, in Apache Kafka too.
const REBUILD: &str = "remove the file while the broker is stopped: the next start builds it again from the .log file; until then searches read more than they need, or miss records";

/// See the module.
pub(super) struct IndexEntries<E, const N: usize> {
    pub(super) path: PathBuf,
    file: Option<IndexFile<E, N>>,
    /// The next entry.
    n: u64,
    /// The last one that was gone past.
    pub(super) before: Option<E>,
}

impl<E: IndexEntry<N>, const N: usize> IndexEntries<E, N> {
    /// `wanted`: the segment has batches, so there must be an index.
    pub(super) fn open(path: PathBuf, exists: bool, wanted: bool, running: bool, reporter: &mut Reporter<'_>) -> Self {
        let mut file = None;
        if exists {
            match IndexFile::open(&path) {
                Ok(opened) => file = Some(opened),
                Err(error) => reporter.unreadable(&path, &error, running),
            }
        } else if wanted {
            missing(&path, reporter);
        }
        let entries = Self { path, file, n: 0, before: None };
        entries.whole(reporter);
        entries
    }

    fn whole(&self, reporter: &mut Reporter<'_>) {
        let Some(file) = &self.file else { return };
        let bytes = file.len() * N as u64;
        reporter.read(bytes);
        if file.odd_bytes() > 0 {
            let problem = format!("it ends with {} bytes that are no entry", file.odd_bytes());
            reporter.found(Finding::new(Severity::Repairable, &self.path, problem).at(bytes).remedy(REBUILD));
        }
    }

    /// Whether it is there and can be read.
    pub(super) fn is_readable(&self) -> bool {
        self.file.is_some()
    }

    /// The next entry; None behind the last, where a preallocated file has zeros.
    pub(super) fn peek(&mut self, reporter: &mut Reporter<'_>) -> Option<E> {
        let file = self.file.as_mut()?;
        if self.n >= file.len() {
            return None;
        }
        match file.entry(self.n) {
            Ok(entry) if entry == file.zero() && next_is_zero(file, self.n) => None,
            Ok(entry) => Some(entry),
            Err(error) => {
                reporter.unreadable(&self.path, &error, false);
                self.file = None;
                None
            }
        }
    }

    /// Goes past the entry that [`Self::peek`] gave; its number.
    pub(super) fn pass(&mut self) -> u64 {
        self.n += 1;
        self.n - 1
    }

    /// Goes past the entries for which `unjudged` holds.
    pub(super) fn pass_over(&mut self, unjudged: impl Fn(&E) -> bool, reporter: &mut Reporter<'_>) {
        while let Some(entry) = self.peek(reporter).filter(&unjudged) {
            self.before = Some(entry);
            self.n += 1;
        }
    }

    /// Behind zeros there must be nothing else: a block that was lost looks like the end of the file.
    pub(super) fn after_zeros(&mut self, moving: bool, reporter: &mut Reporter<'_>) {
        let Some(file) = self.file.as_mut().filter(|_| !moving) else { return };
        let Ok(Some(n)) = file.first_not_zero(self.n) else { return };
        if n > self.n {
            let problem = format!("entries {} to {} are zeros, and others follow", self.n, n - 1);
            let finding = Finding::new(Severity::Repairable, &self.path, problem).at(self.n * N as u64);
            reporter.found(finding.remedy(REBUILD));
        }
    }

    /// Entry number `n`, of `offset`, is wrong.
    pub(super) fn complain(&self, n: u64, offset: i64, problem: String, reporter: &mut Reporter<'_>) {
        let finding = Finding::new(Severity::Repairable, &self.path, problem).at(n * N as u64);
        reporter.found(finding.offset(offset).remedy(REBUILD));
    }
}

/// Only the first entry can be all zeros and be one, and then the second is not.
fn next_is_zero<E: IndexEntry<N>, const N: usize>(file: &mut IndexFile<E, N>, n: u64) -> bool {
    n > 0 || (file.len() > 1 && file.entry(1).is_ok_and(|next| next == file.zero()))
}

/// A segment without one of its indexes.
fn missing(path: &Path, reporter: &mut Reporter<'_>) {
    let remedy = "the next start builds it from the .log file";
    reporter.found(Finding::new(Severity::Repairable, path, "the index is missing").remedy(remedy));
}
