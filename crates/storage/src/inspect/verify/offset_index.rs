//! `.index` beside the batches that it points to.
//!
//! An entry `offset -> position` is right if a batch begins at the position and ends with the offset. Kafka before 4 wrote one
//! entry for several batches of one append, with the offset of the last of them: that is right too. A search begins at the
//! position for every offset from the entry's on, so an entry whose batch begins *behind* its offset hides records.

use std::path::PathBuf;

use super::index_entries::IndexEntries;
use super::reporter::Reporter;
use crate::batch_scan::BatchAt;
use crate::offset_index::{ENTRY_BYTES, OffsetPosition};

/// See the module.
pub(super) struct OffsetIndexCheck {
    entries: IndexEntries<OffsetPosition, ENTRY_BYTES>,
    /// An entry whose batch has passed and which names a later one: its number.
    open: Option<(u64, OffsetPosition)>,
}

impl OffsetIndexCheck {
    /// `wanted`: the segment has batches, so there must be an index.
    pub(super) fn open(path: PathBuf, exists: bool, wanted: bool, running: bool, reporter: &mut Reporter<'_>) -> Self {
        Self { entries: IndexEntries::open(path, exists, wanted, running, reporter), open: None }
    }

    /// The next sound batch of the segment.
    pub(super) fn batch(&mut self, at: &BatchAt, reporter: &mut Reporter<'_>) {
        self.close_open(at, reporter);
        while let Some(entry) = self.entries.peek(reporter) {
            if entry.position >= at.end() {
                return;
            }
            let n = self.entries.pass();
            self.ascends(n, entry, reporter);
            let (base, last) = (at.header.base_offset, at.header.last_offset());
            if entry.position != at.position {
                let problem = format!("entry {n} points to position {}, where no batch begins", entry.position);
                self.entries.complain(n, entry.offset, problem, reporter);
            } else if entry.offset < base {
                let problem = format!(
                    "entry {n} says that offset {} is at position {}, whose batch begins with {base}",
                    entry.offset, entry.position
                );
                self.entries.complain(n, entry.offset, problem, reporter);
            } else if entry.offset < last {
                let problem = format!(
                    "entry {n} says offset {} for the batch at position {}, which ends with {last}",
                    entry.offset, entry.position
                );
                self.entries.complain(n, entry.offset, problem, reporter);
            } else if entry.offset > last {
                self.open = Some((n, entry));
            }
        }
    }

    /// What lies up to `end` could not be read, or stands where it does not belong: what the index says of it is not judged.
    pub(super) fn pass_over(&mut self, end: u64, reporter: &mut Reporter<'_>) {
        self.open = None;
        self.entries.pass_over(|entry| entry.position < end, reporter);
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
        self.entries.complain(n, entry.offset, problem, reporter);
    }

    /// The log's end is `size` bytes away from its start. Where it is being written, entries may be ahead of what was read.
    pub(super) fn end(mut self, size: u64, moving: bool, reporter: &mut Reporter<'_>) {
        if let Some((n, entry)) = self.open.take()
            && !moving
        {
            self.no_such_end(n, entry, reporter);
        }
        while let Some(entry) = self.entries.peek(reporter).filter(|_| !moving) {
            let n = self.entries.pass();
            let what =
                if entry.position >= size { "beyond the end of the segment" } else { "where no sound batch begins" };
            let problem = format!("entry {n} points to position {}, {what}", entry.position);
            self.entries.complain(n, entry.offset, problem, reporter);
        }
        self.entries.after_zeros(moving, reporter);
    }

    fn ascends(&mut self, n: u64, entry: OffsetPosition, reporter: &mut Reporter<'_>) {
        if let Some(before) = self.entries.before
            && (entry.offset <= before.offset || entry.position <= before.position)
        {
            let problem = format!(
                "entry {n} (offset {}, position {}) is not above the one before it (offset {}, position {})",
                entry.offset, entry.position, before.offset, before.position
            );
            self.entries.complain(n, entry.offset, problem, reporter);
        }
        self.entries.before = Some(entry);
    }
}
