//! `.timeindex` beside the batches: an entry `timestamp, offset` is right if that is the largest timestamp of the segment up
//! to the batch with that offset. A search for a time begins at an entry's offset, so an entry with too small a timestamp
//! hides records; the last one of a closed segment tells retention how old the segment is.

use std::path::PathBuf;

use ottla_protocol::record_batch::NO_TIMESTAMP;

use super::offset_index::{REBUILD, missing};
use super::reporter::Reporter;
use crate::batch_scan::BatchAt;
use crate::inspect::finding::{Finding, Severity, Watcher};
use crate::inspect::index_files::TimeIndexFile;
use crate::time_index::{ENTRY_BYTES, TimestampOffset};

/// See the module.
pub(super) struct TimeIndexCheck {
    path: PathBuf,
    file: Option<TimeIndexFile>,
    /// The next entry.
    n: u64,
    before: Option<TimestampOffset>,
    /// Largest timestamp of the batches so far.
    largest: i64,
    /// Some batch was passed over, which may have a larger one.
    unsure: bool,
    /// Offsets of the batch that was passed over last, as it states them.
    excused: std::ops::Range<i64>,
}

impl TimeIndexCheck {
    /// `wanted`: the segment has batches, so there must be an index.
    pub(super) fn open(path: PathBuf, exists: bool, wanted: bool, running: bool, reporter: &mut Reporter<'_>) -> Self {
        let mut file = None;
        if exists {
            match TimeIndexFile::open(&path) {
                Ok(opened) => file = Some(opened),
                Err(error) => reporter.unreadable(&path, &error, running),
            }
        } else if wanted {
            missing(&path, reporter);
        }
        let mut check = Self { path, file, n: 0, before: None, largest: NO_TIMESTAMP, unsure: false, excused: 0..0 };
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
        self.largest = self.largest.max(at.header.max_timestamp);
        while let Some(entry) = self.peek(reporter) {
            if entry.offset > at.header.last_offset() {
                return;
            }
            let n = self.n;
            self.n += 1;
            self.ascends(n, entry, reporter);
            if self.excused.contains(&entry.offset) {
                continue;
            }
            if entry.offset < at.header.base_offset {
                self.complain(
                    n,
                    entry,
                    format!("entry {n} names offset {}, which no batch has", entry.offset),
                    reporter,
                );
            } else if entry.timestamp < self.largest || (entry.timestamp > self.largest && !self.unsure) {
                let problem = format!(
                    "entry {n} says that the largest timestamp up to offset {} is {}, but it is {}",
                    entry.offset, entry.timestamp, self.largest
                );
                self.complain(n, entry, problem, reporter);
            }
        }
    }

    /// What lies below `offset` could not be read, or stands where it does not belong: what the index says of it is not
    /// judged, nor of the offsets that it states.
    pub(super) fn pass_over(&mut self, offset: i64, stated: std::ops::Range<i64>, reporter: &mut Reporter<'_>) {
        (self.unsure, self.excused) = (true, stated);
        while let Some(entry) = self.peek(reporter).filter(|entry| entry.offset < offset) {
            self.before = Some(entry);
            self.n += 1;
        }
    }

    /// The segment ends. A closed one has a last entry with its largest timestamp.
    pub(super) fn end(mut self, closed: bool, moving: bool, reporter: &mut Reporter<'_>) {
        while let Some(entry) = self.peek(reporter).filter(|_| !moving) {
            let n = self.n;
            self.n += 1;
            self.complain(
                n,
                entry,
                format!("entry {n} names offset {}, beyond the end of the segment", entry.offset),
                reporter,
            );
        }
        let last = self.before.map_or(NO_TIMESTAMP, |entry| entry.timestamp);
        if closed && self.file.is_some() && last < self.largest {
            let problem = format!("its last timestamp is {last}, the segment's largest {}", self.largest);
            reporter.found(Finding::new(Severity::Repairable, &self.path, problem).remedy(
                "remove the file while the broker is stopped: the next start builds it again; until then Apache Kafka may delete the segment before its time",
            ));
        }
        self.after_zeros(moving, reporter);
    }

    /// The next entry; None behind the last, where a preallocated file has zeros.
    fn peek(&mut self, reporter: &mut Reporter<'_>) -> Option<TimestampOffset> {
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

    fn after_zeros(&mut self, moving: bool, reporter: &mut Reporter<'_>) {
        let Some(file) = self.file.as_mut().filter(|_| !moving) else { return };
        let Ok(Some(n)) = file.first_not_zero(self.n) else { return };
        if n > self.n {
            let problem = format!("entries {} to {} are zeros, and others follow", self.n, n - 1);
            let finding = Finding::new(Severity::Repairable, &self.path, problem).at(self.n * ENTRY_BYTES as u64);
            reporter.found(finding.remedy(REBUILD));
        }
    }

    fn ascends(&mut self, n: u64, entry: TimestampOffset, reporter: &mut Reporter<'_>) {
        if let Some(before) = self.before
            && (entry.timestamp <= before.timestamp || entry.offset < before.offset)
        {
            let problem = format!(
                "entry {n} (timestamp {}, offset {}) is not above the one before it (timestamp {}, offset {})",
                entry.timestamp, entry.offset, before.timestamp, before.offset
            );
            self.complain(n, entry, problem, reporter);
        }
        self.before = Some(entry);
    }

    fn complain(&self, n: u64, entry: TimestampOffset, problem: String, reporter: &mut Reporter<'_>) {
        let finding = Finding::new(Severity::Repairable, &self.path, problem).at(n * ENTRY_BYTES as u64);
        reporter.found(finding.offset(entry.offset).remedy(REBUILD));
    }
}

fn is_zero(file: &TimeIndexFile, entry: TimestampOffset) -> bool {
    entry.timestamp == 0 && entry.offset == file.base_offset()
}

/// Only the first entry can be all zeros and be one, and then the second is not.
fn next_is_zero(file: &mut TimeIndexFile, n: u64) -> bool {
    n > 0 || (file.len() > 1 && file.entry(1).is_ok_and(|next| is_zero(file, next)))
}
