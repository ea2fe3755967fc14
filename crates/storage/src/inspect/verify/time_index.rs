//! `.timeindex` beside the batches: an entry `timestamp, offset` is right if that is the largest timestamp of the segment up
//! to the batch with that offset. A search for a time begins at an entry's offset, so an entry with too small a timestamp
//! hides records; the last one of a closed segment tells retention how old the segment is.
//!
//! A batch that compaction has emptied still states the largest timestamp of the records that it had. Apache Kafka notes it,
//! Ottla does not: both are right.

use std::path::PathBuf;

use ottla_protocol::record_batch::NO_TIMESTAMP;

use super::index_entries::IndexEntries;
use super::reporter::Reporter;
use crate::batch_scan::BatchAt;
use crate::inspect::finding::{Finding, Severity, Watcher};
use crate::time_index::{ENTRY_BYTES, TimestampOffset};

/// See the module.
pub(super) struct TimeIndexCheck {
    entries: IndexEntries<TimestampOffset, ENTRY_BYTES>,
    /// Largest timestamp of the batches so far, and of those that have records.
    largest: i64,
    largest_of_records: i64,
    /// Some batch was passed over, which may have a larger one.
    unsure: bool,
    /// Offsets of the batch that was passed over last, as it states them.
    excused: std::ops::Range<i64>,
}

impl TimeIndexCheck {
    /// `wanted`: the segment has batches, so there must be an index.
    pub(super) fn open(path: PathBuf, exists: bool, wanted: bool, running: bool, reporter: &mut Reporter<'_>) -> Self {
        let entries = IndexEntries::open(path, exists, wanted, running, reporter);
        Self { entries, largest: NO_TIMESTAMP, largest_of_records: NO_TIMESTAMP, unsure: false, excused: 0..0 }
    }

    /// The next sound batch of the segment.
    pub(super) fn batch(&mut self, at: &BatchAt, reporter: &mut Reporter<'_>) {
        self.largest = self.largest.max(at.header.max_timestamp);
        if at.header.record_count > 0 {
            self.largest_of_records = self.largest_of_records.max(at.header.max_timestamp);
        }
        while let Some(entry) = self.entries.peek(reporter) {
            if entry.offset > at.header.last_offset() {
                return;
            }
            let n = self.entries.pass();
            self.ascends(n, entry, reporter);
            if self.excused.contains(&entry.offset) {
                continue;
            }
            if entry.offset < at.header.base_offset {
                self.entries.complain(
                    n,
                    entry.offset,
                    format!("entry {n} names offset {}, which no batch has", entry.offset),
                    reporter,
                );
            } else if entry.timestamp < self.largest_of_records || (entry.timestamp > self.largest && !self.unsure) {
                let problem = format!(
                    "entry {n} says that the largest timestamp up to offset {} is {}, but it is {}",
                    entry.offset, entry.timestamp, self.largest
                );
                self.entries.complain(n, entry.offset, problem, reporter);
            }
        }
    }

    /// What lies below `offset` could not be read, or stands where it does not belong: what the index says of it is not
    /// judged, nor of the offsets that it states.
    pub(super) fn pass_over(&mut self, offset: i64, stated: std::ops::Range<i64>, reporter: &mut Reporter<'_>) {
        (self.unsure, self.excused) = (true, stated);
        self.entries.pass_over(|entry| entry.offset < offset, reporter);
    }

    /// The segment ends. A closed one has a last entry with its largest timestamp.
    pub(super) fn end(mut self, closed: bool, moving: bool, reporter: &mut Reporter<'_>) {
        while let Some(entry) = self.entries.peek(reporter).filter(|_| !moving) {
            let n = self.entries.pass();
            self.entries.complain(
                n,
                entry.offset,
                format!("entry {n} names offset {}, beyond the end of the segment", entry.offset),
                reporter,
            );
        }
        let last = self.entries.before.map_or(NO_TIMESTAMP, |entry| entry.timestamp);
        if closed && self.entries.is_readable() && last < self.largest_of_records {
            let problem = format!("its last timestamp is {last}, the segment's largest {}", self.largest_of_records);
            reporter.found(Finding::new(Severity::Repairable, &self.entries.path, problem).remedy(
                "remove the file while the broker is stopped: the next start builds it again; until then Apache Kafka may delete the segment before its time",
            ));
        }
        self.entries.after_zeros(moving, reporter);
    }

    fn ascends(&mut self, n: u64, entry: TimestampOffset, reporter: &mut Reporter<'_>) {
        if let Some(before) = self.entries.before
            && (entry.timestamp <= before.timestamp || entry.offset < before.offset)
        {
            let problem = format!(
                "entry {n} (timestamp {}, offset {}) is not above the one before it (timestamp {}, offset {})",
                entry.timestamp, entry.offset, before.timestamp, before.offset
            );
            self.entries.complain(n, entry.offset, problem, reporter);
        }
        self.entries.before = Some(entry);
    }
}
