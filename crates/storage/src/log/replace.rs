//! A log's side of compaction: what a pass may look at, and the exchange of segments for compacted ones. Kafka:
//! `UnifiedLog.replaceSegments`, and the states of `LogCleanerManager`.
//!
//! ```text
//!   X.log.cleaned ... all synced          nothing has happened yet
//!   X.log.swap ...    names synced        decided: the next start would finish it
//!   readers find the new segments         old ones keep their files, now .deleted, until nobody reads them
//!   X.log             name synced         the indexes follow
//! ```
//! A pass holds no lock while it reads and writes. It takes a [`Ticket`] before it looks at a segment; a truncation makes
//! the ticket void, and the exchange, which holds `flushing` as a truncation does, is refused then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ottla_env::collections::HashMap;
use ottla_env::{fs, time};

use super::Log;
use crate::access::Access;
use crate::error::StorageError;
use crate::file_names::SWAP;
use crate::loader::jitter;
use crate::segment::Segment;
use crate::transaction_index::AbortedTransaction;

/// What a log remembers of its compaction.
#[derive(Debug, Default)]
pub(super) struct Cleaning {
    /// A pass works on it.
    claimed: AtomicBool,
    /// A pass failed for a reason that will not pass by itself.
    set_aside: AtomicBool,
    /// How often it was truncated.
    truncations: AtomicU64,
}

/// The right to compact a log; at most one at a time.
#[derive(Debug)]
pub(crate) struct Claim<'a>(&'a Log);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.cleaning.claimed.store(false, Ordering::Release);
    }
}

/// Tells whether the log was truncated since it was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(u64);

/// The last record of a producer that is remembered. Kafka class: `LastRecord`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastRecord {
    /// Last offset of its last batch; None if only a marker is known.
    pub(crate) data_offset: Option<i64>,
    /// Its epoch.
    pub(crate) epoch: i16,
}

impl Log {
    /// The right to compact this log, unless somebody has it or it was set aside.
    pub(crate) fn claim_for_cleaning(&self) -> Option<Claim<'_>> {
        if self.is_set_aside() || self.is_moving() || self.cleaning.claimed.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(Claim(self))
    }

    /// No pass will look at it again in this process.
    pub(crate) fn set_aside_from_cleaning(&self) {
        self.cleaning.set_aside.store(true, Ordering::Release);
    }

    /// Whether compaction had to give it up.
    pub(crate) fn is_set_aside(&self) -> bool {
        self.cleaning.set_aside.load(Ordering::Acquire)
    }

    /// Before the first look at a segment.
    pub(crate) fn cleaning_ticket(&self) -> Ticket {
        Ticket(self.cleaning.truncations.load(Ordering::Acquire))
    }

    /// Whether a pass that took this ticket may go on: the log was not truncated, deleted or failed, does not move, and its topic still asks
    /// for compaction.
    pub(crate) fn may_clean(&self, ticket: Ticket) -> bool {
        self.cleaning.truncations.load(Ordering::Acquire) == ticket.0
            && self.check_usable().is_ok()
            && !self.is_moving()
            && self.config.read().cleanup_policy.compact
    }

    /// With `flushing` held, before a segment is cut: passes under way end without a result.
    pub(super) fn interrupt_cleaning(&self) {
        self.cleaning.truncations.fetch_add(1, Ordering::AcqRel);
    }

    /// The segments now; the last is active.
    pub(crate) fn all_segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().iter().cloned().collect()
    }

    /// Up to where the checkpoint file says that it is compacted.
    pub(crate) fn cleaned_to(&self) -> Option<i64> {
        self.folder.dir.cleaned.get(&self.topic, self.partition)
    }

    /// Whether offsets may be missing because they were compacted away, now or under an earlier policy.
    pub(super) fn was_compacted(&self) -> bool {
        self.config.read().cleanup_policy.compact || self.cleaned_to().is_some_and(|to| to > 0)
    }

    /// Notes up to where it is compacted. False if the log was truncated meanwhile.
    pub(crate) fn note_cleaned(&self, offset: i64, ticket: Ticket) -> Result<bool, StorageError> {
        let _no_truncation = self.flushing.lock();
        if !self.may_clean(ticket) {
            return Ok(false);
        }
        let noted = self.folder.dir.cleaned.set(&self.topic, self.partition, Some(offset));
        self.or_offline_unless_full(noted)?;
        Ok(true)
    }

    /// The last record of each producer that is remembered.
    pub(crate) fn last_records_of_producers(&self) -> HashMap<i64, LastRecord> {
        let appender = self.appender.lock();
        let entries = appender.producers.entries();
        entries
            .map(|(id, entry)| {
                (id, LastRecord { data_offset: entry.last().map(|batch| batch.last_offset), epoch: entry.epoch })
            })
            .collect()
    }

    /// Aborted transactions that overlap `from..to`, wherever their markers are.
    pub(crate) fn aborted_transactions(&self, from: i64, to: i64) -> Result<Vec<AbortedTransaction>, StorageError> {
        let segments: Vec<_> = self.segments.read().from(from).filter(|s| s.has_aborted()).cloned().collect();
        let mut found = Vec::new();
        for segment in segments {
            if segment.aborted_within(from, to, Access::MayWait, &mut found)? {
                break;
            }
        }
        Ok(found)
    }

    /// An empty segment for a compaction to fill.
    pub(crate) fn create_cleaned_segment(&self, base_offset: i64) -> Result<Segment, StorageError> {
        let (now_ms, jitter) = (time::wall_clock_ms(), jitter(&self.config()));
        Segment::create_cleaned(Arc::clone(&self.folder), base_offset, now_ms, jitter)
    }

    /// Puts `new`, whole and synced, in the place of `old`, neighbouring closed segments. False, and nothing has happened, if
    /// the log was truncated or has lost one of `old` since the ticket was taken.
    ///
    /// # Errors
    /// When files cannot be renamed; the log directory is offline then, and the next start finishes or undoes it.
    pub(crate) fn exchange_segments(
        &self,
        old: &[Arc<Segment>],
        new: &[Arc<Segment>],
        ticket: Ticket,
    ) -> Result<bool, StorageError> {
        let _no_truncation = self.flushing.lock();
        {
            let segments = self.segments.read();
            let is_active = |s: &Arc<Segment>| segments.active().is_some_and(|active| Arc::ptr_eq(s, active));
            let are_closed = old.iter().all(|s| segments.holds(s) && !is_active(s));
            if !self.may_clean(ticket) || !are_closed {
                return Ok(false);
            }
        }
        self.or_offline(self.swap(old, new))?;
        Ok(true)
    }

    fn swap(&self, old: &[Arc<Segment>], new: &[Arc<Segment>]) -> Result<(), StorageError> {
        let path = self.path();
        // Before any is renamed: nobody would miss a transaction index whose name never was.
        fs::sync_dir(&path)?;
        // From the last to the first: as long as one lacks the suffix, the loader undoes those above it.
        for (n, segment) in new.iter().enumerate().rev() {
            if n == 0 && new.len() > 1 {
                // The first decides: what it stands for goes, and the others must be there by then.
                fs::sync_dir(&path)?;
            }
            segment.rename_indexes(SWAP)?;
            segment.rename_log(SWAP)?;
        }
        // Before the old ones go.
        fs::sync_dir(&path)?;
        let mut segments = self.segments.write();
        for segment in old {
            segments.remove(segment.base_offset());
        }
        for segment in new {
            segments.insert(Arc::clone(segment));
        }
        // Under the lock: a read that saw one list and then the other also sees that they differ.
        self.replacements.fetch_add(1, Ordering::AcqRel);
        drop(segments);
        self.delete_segments(old)?;
        // Before the new ones are told from old ones by nothing any more.
        fs::sync_dir(&path)?;
        new.iter().try_for_each(|segment| segment.rename_log(""))?;
        // Before the indexes: beside a .log.swap they would be taken for old ones.
        fs::sync_dir(&path)?;
        new.iter().try_for_each(|segment| segment.rename_indexes(""))?;
        // Before the next pass makes files: beside those, whatever ends in .swap is taken for unfinished.
        fs::sync_dir(&path)?;
        let is_new = |base: &i64| new.iter().any(|segment| segment.base_offset() == *base);
        let gone: Vec<_> = old.iter().map(|segment| segment.base_offset()).filter(|base| !is_new(base)).collect();
        self.snapshots.remove_at(&gone)
    }
}
