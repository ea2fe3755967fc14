//! `.index` beside the batches that it points to.
//!
//! An entry `offset -> position` is right if a batch begins at the position and ends with the offset. Kafka before 4 wrote one
//! entry for several batches of one append, with the offset of the last of them: that is right too. A search begins at the
//! position for every offset from the entry's on, so an entry whose batch begins *behind* its offset hides records.

use std::path::PathBuf;

use super::reporter::Reporter;
use crate::batch_scan::BatchAt;
use crate::inspect::finding::{Finding, Severity, Watcher};
use crate::inspect::index_files::OffsetIndexFile;
use crate::offset_index::{ENTRY_BYTES, OffsetPosition};

/// What makes a start build an index again, in Apache Kafka too.
pub(super) const REBUILD: &str = "remove the file while the broker is stopped: the next start builds it again from the .log file; until then searches read more than they need, or miss records";

/// See the module.
pub(super) struct OffsetIndexCheck {
    path: PathBuf,
    file: Option<OffsetIndexFile>,
    /// The next entry.
    n: u64,
    before: Option<OffsetPosition>,
    /// An entry whose batch has passed and which names a later one: its number.
    open: Option<(u64, OffsetPosition)>,
}

impl OffsetIndexCheck {
    /// `wanted`: the segment has batches, so there must be an index.
    pub(super) fn open(path: PathBuf, exists: bool, wanted: bool, running: bool, reporter: &mut Reporter<'_>) -> Self {
        let mut file = None;
        if exists {
            match OffsetIndexFile::open(&path) {
                Ok(opened) => file = Some(opened),
                Err(error) => reporter.unreadable(&path, &error, running),
            }
        } else if wanted {
            missing(&path, reporter);
        }
        let mut check = Self { path, file, n: 0, before: None, open: None };
        check.whole(reporter);
        check
    }

    fn whole(&mut self, reporter: &mut Reporter<'_>) {
        let Some(file) = &mut self.file else { return };
        let bytes = file.len() * ENTRY_BYTES as u64;
        reporter.read(bytes);
        if file.odd_bytes() > 0 {
            let problem = format!("it ends with {} bytes that are no entry", file.odd_bytes());
            reporter.found(Finding::new(Severity::Repairable, &self.path, problem).at(bytes).remedy(REBUILD));
        }
    }

    /// The next sound batch of the segment.
    pub(super) fn batch(&mut self, at: &BatchAt, reporter: &mut Reporter<'_>) {
        self.close_open(at, reporter);
        while let Some(entry) = self.peek(reporter) {
            if entry.position >= at.end() {
                return;
            }
            let n = self.n;
            self.n += 1;
            self.ascends(n, entry, reporter);
            let (base, last) = (at.header.base_offset, at.header.last_offset());
            if entry.position != at.position {
                let problem = format!("entry {n} points to position {}, where no batch begins", entry.position);
                self.complain(n, entry, problem, reporter);
            } else if entry.offset < base {
                let problem = format!(
                    "entry {n} says that offset {} is at position {}, whose batch begins with {base}",
                    entry.offset, entry.position
                );
                self.complain(n, entry, problem, reporter);
            } else if entry.offset < last {
                let problem = format!(
                    "entry {n} says offset {} for the batch at position {}, which ends with {last}",
                    entry.offset, entry.position
                );
                self.complain(n, entry, problem, reporter);
            } else if entry.offset > last {
                self.open = Some((n, entry));
            }
        }
    }

    /// What lies up to `end` could not be read, or stands where it does not belong: what the index says of it is not judged.
    pub(super) fn pass_over(&mut self, end: u64, reporter: &mut Reporter<'_>) {
        self.open = None;
        while let Some(entry) = self.peek(reporter).filter(|entry| entry.position < end) {
            self.before = Some(entry);
            self.n += 1;
        }
    }

    /// Whether an entry that names a later batch than it points to is right after all.
    fn close_open(&mut self, at: &BatchAt, reporter: &mut Reporter<'_>) {
        let Some((n, entry)) = self.open else { return };
        if at.header.last_offset() < entry.offset {
            return;
        }
        self.open = None;
        if at.header.last_offset() != entry.offset {
            self.no_such_end(n, entry, reporter);
        }
    }

    fn no_such_end(&self, n: u64, entry: OffsetPosition, reporter: &mut Reporter<'_>) {
        let problem = format!(
            "entry {n} says offset {} for position {}, but no batch ends with it",
            entry.offset, entry.position
        );
        self.complain(n, entry, problem, reporter);
    }

    /// The log's end is `size` bytes away from its start. Where it is being written, entries may be ahead of what was read.
    pub(super) fn end(mut self, size: u64, moving: bool, reporter: &mut Reporter<'_>) {
        if let Some((n, entry)) = self.open.take()
            && !moving
        {
            self.no_such_end(n, entry, reporter);
        }
        while let Some(entry) = self.peek(reporter).filter(|_| !moving) {
            let n = self.n;
            self.n += 1;
            let what =
                if entry.position >= size { "beyond the end of the segment" } else { "where no sound batch begins" };
            let problem = format!("entry {n} points to position {}, {what}", entry.position);
            self.complain(n, entry, problem, reporter);
        }
        self.after_zeros(moving, reporter);
    }

    /// The next entry; None behind the last, where a preallocated file has zeros.
    fn peek(&mut self, reporter: &mut Reporter<'_>) -> Option<OffsetPosition> {
        let file = self.file.as_mut()?;
        if self.n >= file.len() {
            return None;
        }
        match file.entry(self.n) {
            Ok(entry) if is_zero(file, entry) && next_is_zero(file, self.n) => None,
            Ok(entry) => Some(entry),
            Err(error) => {
                reporter.unreadable(&self.path, &error, false);
                self.file = None;
                None
            }
        }
    }

    /// Behind zeros there must be nothing else: a block that was lost looks like the end of the file.
    fn after_zeros(&mut self, moving: bool, reporter: &mut Reporter<'_>) {
        let Some(file) = self.file.as_mut().filter(|_| !moving) else { return };
        let Ok(Some(n)) = file.first_not_zero(self.n) else { return };
        if n > self.n {
            let problem = format!("entries {} to {} are zeros, and others follow", self.n, n - 1);
            let finding = Finding::new(Severity::Repairable, &self.path, problem).at(self.n * ENTRY_BYTES as u64);
            reporter.found(finding.remedy(REBUILD));
        }
    }

    fn ascends(&mut self, n: u64, entry: OffsetPosition, reporter: &mut Reporter<'_>) {
        if let Some(before) = self.before
            && (entry.offset <= before.offset || entry.position <= before.position)
        {
            let problem = format!(
                "entry {n} (offset {}, position {}) is not above the one before it (offset {}, position {})",
                entry.offset, entry.position, before.offset, before.position
            );
            self.complain(n, entry, problem, reporter);
        }
        self.before = Some(entry);
    }

    fn complain(&self, n: u64, entry: OffsetPosition, problem: String, reporter: &mut Reporter<'_>) {
        let finding = Finding::new(Severity::Repairable, &self.path, problem).at(n * ENTRY_BYTES as u64);
        reporter.found(finding.offset(entry.offset).remedy(REBUILD));
    }
}

fn is_zero(file: &OffsetIndexFile, entry: OffsetPosition) -> bool {
    entry.offset == file.base_offset() && entry.position == 0
}

/// Only the first entry can be all zeros and be one, and then the second is not.
fn next_is_zero(file: &mut OffsetIndexFile, n: u64) -> bool {
    n > 0 || (file.len() > 1 && file.entry(1).is_ok_and(|next| is_zero(file, next)))
}

/// A segment without one of its indexes.
pub(super) fn missing(path: &std::path::Path, reporter: &mut Reporter<'_>) {
    let remedy = "the next start builds it from the .log file";
    reporter.found(Finding::new(Severity::Repairable, path, "the index is missing").remedy(remedy));
}
