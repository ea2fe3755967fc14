//! Counts what is read and found, and keeps one broken file from filling the screen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Totals;
use crate::inspect::finding::{Finding, Severity, Watcher};

/// Findings told of one file; more are counted only.
const PER_FILE_MAX: u64 = 20;

/// See the module.
pub(super) struct Reporter<'w> {
    watcher: &'w mut dyn Watcher,
    totals: Totals,
    /// Findings of the files of the partition in hand.
    per_file: BTreeMap<PathBuf, u64>,
}

impl<'w> Reporter<'w> {
    pub(super) fn new(watcher: &'w mut dyn Watcher) -> Self {
        Self { watcher, totals: Totals::default(), per_file: BTreeMap::new() }
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) fn totals_mut(&mut self) -> &mut Totals {
        &mut self.totals
    }

    /// The files of the partition before are done: what was not told of them is told in a number.
    pub(super) fn end_partition(&mut self) {
        for (path, count) in std::mem::take(&mut self.per_file) {
            if let Some(more) = count.checked_sub(PER_FILE_MAX).filter(|more| *more > 0) {
                self.watcher.found(Finding::new(
                    Severity::Note,
                    path,
                    format!("{more} more findings in this file are not listed"),
                ));
            }
        }
    }

    /// A file that cannot be read. One that is gone is nothing, where a broker is running.
    pub(super) fn unreadable(&mut self, path: &Path, error: &std::io::Error, running: bool) {
        if running && error.kind() == std::io::ErrorKind::NotFound {
            return;
        }
        let remedy = "if the device is failing, its log says so: take the directory out of use and restore it from other replicas";
        self.found(Finding::new(Severity::Damage, path, format!("it cannot be read: {error}")).remedy(remedy));
    }
}

impl Watcher for Reporter<'_> {
    fn begin(&mut self, what: &str) {
        self.watcher.begin(what);
    }

    fn read(&mut self, bytes: u64) {
        self.totals.bytes += bytes;
        self.watcher.read(bytes);
    }

    fn found(&mut self, finding: Finding) {
        match finding.severity {
            Severity::Damage => self.totals.damage += 1,
            Severity::Repairable => self.totals.repairable += 1,
            Severity::Note => self.totals.notes += 1,
        }
        let count = self.per_file.entry(finding.path.clone()).or_default();
        *count += 1;
        if *count <= PER_FILE_MAX {
            self.watcher.found(finding);
        }
    }
}
