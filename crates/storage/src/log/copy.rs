//! A log that moves to another log directory (KIP-113): its copy, called the future log, catches up with it and takes its
//! place. Kafka: `ReplicaAlterLogDirsThread`, `Partition.maybeReplaceCurrentWithFutureReplica`.
//!
//! ```text
//!   current   ├──────────────────────────────────────────┤   appended to, read, cut as ever; neither compacted nor retained
//!   future    ├───────── whole batches as they lie ──>                     leader epochs, producers and aborted
//!                                                                          transactions follow from the batches
//! ```
//! The copy begins where the current log does. Whatever it has that the current log has not is cut off before the next batch
//! is copied: leader epochs tell (KIP-101), and a cut of the current log that this process has seen tells, too.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use ottla_env::{fs, random, time};
use ottla_protocol::record_batch::BatchHeader;

use super::Log;
use crate::error::{CopyError, StorageError};
use crate::file_names::{partition_dir, stray_dir};
use crate::producer_snapshot;
use crate::producer_state::ProducerState;

/// No cut since the last look.
const UNCUT: i64 = i64::MAX;

/// What one step of a copy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// So many bytes of batches.
    Bytes(u64),
    /// Nothing: the copy has all that there is.
    CaughtUp,
}

/// A log's part in a move.
#[derive(Debug)]
pub(crate) struct Moving {
    /// It is the copy.
    is_future: AtomicBool,
    /// It is being copied.
    is_source: AtomicBool,
    /// The lowest offset at which it was cut since its copy looked.
    cut_at: AtomicI64,
}

impl Moving {
    pub(super) fn new(is_future: bool) -> Self {
        Self { is_future: AtomicBool::new(is_future), is_source: AtomicBool::new(false), cut_at: AtomicI64::new(UNCUT) }
    }
}

impl Log {
    /// Whether this is the copy of a log that moves here, not the log itself.
    #[must_use]
    pub fn is_future(&self) -> bool {
        self.moving.is_future.load(Ordering::Acquire)
    }

    /// Whether it moves, or is the copy of one that does: compaction and retention leave both alone meanwhile.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.is_future() || self.moving.is_source.load(Ordering::Acquire)
    }

    /// It may be copied from now on: should the power take it, and not its copy, that would be taken for it, with what was cut
    /// off since.
    ///
    /// # Errors
    /// When its directory cannot be made durable; its log directory is offline then.
    pub(crate) fn settle_for_move(&self) -> Result<(), StorageError> {
        let _no_roll = self.appender.lock();
        self.check_usable()?;
        self.or_offline(self.folder.settle()).map(|_| ())
    }

    /// It is going to be copied. A pass of the cleaner that is under way ends without a result. Kafka:
    /// `abortAndPauseCleaning`.
    pub(crate) fn pause_for_move(&self) {
        let _no_exchange = self.flushing.lock();
        self.interrupt_cleaning();
        self.moving.is_source.store(true, Ordering::Release);
    }

    /// It stays where it is after all.
    pub(crate) fn resume_after_move(&self) {
        self.moving.is_source.store(false, Ordering::Release);
    }

    /// With `appender` held: it is cut, and its copy has to be.
    pub(super) fn tell_copy_of_cut(&self, offset: i64) {
        self.moving.cut_at.fetch_min(offset, Ordering::AcqRel);
    }

    /// Copies the next batches of `source`, at most `max_bytes` but at least one, having cut off what `source` has no more.
    /// Blocks for the disk.
    ///
    /// # Errors
    /// When either log cannot be used, or the next part of `source` is damaged.
    pub fn copy_from(&self, source: &Self, max_bytes: u32) -> Result<Copied, CopyError> {
        let (start, copied) = loop {
            let start = source.log_start_offset();
            self.agree_with(source)?;
            match self.copy_next(source, max_bytes) {
                // What was read is no more, or half of it something else: that is no damage.
                Err(CopyError::Read(_) | CopyError::Append(_)) if source.has_lost_since(start) => {}
                copied => break (start, copied?),
            }
        };
        self.set_high_watermark(source.high_watermark());
        self.advance_log_start_offset(start.min(self.log_end_offset()))?;
        Ok(copied)
    }

    fn copy_next(&self, source: &Self, max_bytes: u32) -> Result<Copied, CopyError> {
        let found = source.read_verified(self.log_end_offset(), max_bytes, i64::MAX, true).map_err(CopyError::Read)?;
        let Some(slice) = found.slice else {
            self.end_at(found.log_end_offset)?;
            return Ok(Copied::CaughtUp);
        };
        let batches = slice.read().map_err(StorageError::from);
        let batches = source.or_offline_if_broken(batches).map_err(CopyError::Read)?;
        self.make_room_for(&batches, source)?;
        self.append_as_follower(&batches)?;
        Ok(Copied::Bytes(u64::from(slice.len)))
    }

    /// Whether it was cut, or its start raised from `start`, since its copy agreed with it: what was read may be no more.
    fn has_lost_since(&self, start: i64) -> bool {
        let _no_cut_under_way = self.appender.lock();
        self.moving.cut_at.load(Ordering::Acquire) != UNCUT || self.log_start_offset() != start
    }

    /// Ends at `offset`, though there is nothing to copy up to there: in a compacted topic the power may have taken the end of a
    /// segment and left the next one, and an offset never stands for two records.
    fn end_at(&self, offset: i64) -> Result<(), StorageError> {
        let mut appender = self.appender.lock();
        self.check_usable()?;
        if offset <= self.log_end_offset() {
            return Ok(());
        }
        let active = self.segments.read().active().cloned().ok_or_else(|| self.no_segment())?;
        let rolled = self.roll_at(&mut appender, &active, offset, &self.config(), time::wall_clock_ms());
        self.or_offline_unless_full(rolled)?;
        self.log_end_offset.store(offset, Ordering::Release);
        Ok(())
    }

    /// The log start of `source` may lie within a batch: its copy begins with the whole batch then.
    fn make_room_for(&self, batches: &[u8], source: &Self) -> Result<(), CopyError> {
        // What is no batch is refused by the append.
        if let Ok(first) = BatchHeader::read(batches)
            && first.base_offset < self.log_end_offset()
        {
            self.truncate_to(first.base_offset)?;
            self.note_cleaned_as(source)?;
        }
        Ok(())
    }

    /// Cuts off what `source` has not, or has no more.
    pub(crate) fn agree_with(&self, source: &Self) -> Result<(), StorageError> {
        let (start, common) = (source.log_start_offset(), self.common_end(source));
        if common < self.log_end_offset() && common > self.log_start_offset() {
            tracing::info!(topic = %self.topic(), partition = self.partition(), offset = common,
                "the copy of a log that moves is cut back to what the log has");
            self.truncate_to(common)?;
        }
        let has_nothing = common <= self.log_start_offset() && common < self.log_end_offset();
        // An unclean start may have taken back where the source begins.
        if has_nothing || start > self.log_end_offset() || start < self.log_start_offset() {
            self.truncate_fully_and_start_at(start)?;
        }
        if self.log_end_offset() == start && self.folder.dir.cleaned.get(self.topic(), self.partition()).is_none() {
            // Its batches will have the gaps that compaction has left, whatever the topic's policy is now.
            self.note_cleaned_as(source)?;
        }
        Ok(())
    }

    /// Up to where both logs hold the same, as far as cuts and leader epochs tell.
    fn common_end(&self, source: &Self) -> i64 {
        let cut = source.moving.cut_at.swap(UNCUT, Ordering::AcqRel);
        let end = self.log_end_offset().min(source.log_end_offset()).min(cut);
        let mut own_end = self.log_end_offset();
        let epochs = self.epochs();
        for own in epochs.iter().rev() {
            let theirs = source.end_offset_for_epoch(own.epoch);
            if theirs.epoch == own.epoch {
                return end.min(own_end).min(theirs.end_offset);
            }
            own_end = own.start_offset;
        }
        // Batches from before there were epochs, or an epoch that the source has never had.
        if epochs.is_empty() { end } else { end.min(own_end) }
    }

    fn note_cleaned_as(&self, source: &Self) -> Result<(), StorageError> {
        let noted = self.folder.dir.cleaned.set(self.topic(), self.partition(), source.cleaned_to());
        self.or_offline_unless_full(noted)
    }

    /// Takes the place of `source`: the last step of a move. False, and nothing has happened, if it has not caught up.
    ///
    /// The caller sees to it that nothing is appended to either meanwhile.
    ///
    /// ```text
    ///                                             source log directory          own log directory
    ///   everything is on the device               topic-0                       topic-0.<hex>-future
    ///   source renamed, its directory synced      topic-0.<hex>-delete          topic-0.<hex>-future     a start takes the copy
    ///   renamed, its directory synced             topic-0.<hex>-delete          topic-0
    /// ```
    /// # Errors
    /// When files cannot be changed. Either log directory is offline then, and the next start finishes or undoes it.
    pub(crate) fn take_place_of(&self, source: &Self) -> Result<Option<PathBuf>, StorageError> {
        self.or_offline_unless_full(self.clear_the_way())?;
        let _no_flush = source.flushing.lock();
        let appender = source.appender.lock();
        source.check_usable()?;
        self.check_usable()?;
        if !self.is_level_with(source) {
            return Ok(None);
        }
        self.take_over(source, &appender.producers)?;
        self.flush()?;
        // Else the next process would take all of it for torn, where it is damaged, and not believe the producers.
        let points = &self.folder.dir.recovery_points;
        let noted = points.set(self.topic(), self.partition(), Some(self.flushed_offset()));
        self.or_offline_unless_full(noted)?;
        let away = source.rename_replaced()?;
        self.become_current()?;
        Ok(Some(away))
    }

    /// Whether it has every batch of `source`, and nothing else. A cut that is not made up for is left to the next step of the
    /// copy.
    fn is_level_with(&self, source: &Self) -> bool {
        let cut = source.moving.cut_at.load(Ordering::Acquire);
        let end = self.log_end_offset();
        let start = source.log_start_offset();
        if cut < end || start > end || start < self.log_start_offset() || end > source.log_end_offset() {
            return false;
        }
        let is_same_epoch = match self.latest_epoch() {
            None => true,
            Some(latest) => {
                let theirs = source.end_offset_for_epoch(latest);
                theirs.epoch == latest && theirs.end_offset >= end
            }
        };
        // Behind the last batch there may be a gap, but no other batch.
        is_same_epoch && source.read(end, 1, i64::MAX, true).is_ok_and(|found| found.slice.is_none())
    }

    /// What does not follow from the batches: producers of which no batch is left, epochs without a batch, the log start, the
    /// high watermark, and up to where it is compacted.
    fn take_over(&self, source: &Self, producers: &ProducerState) -> Result<(), StorageError> {
        self.set_config(source.config());
        let start = source.log_start_offset();
        if start > self.first_segment_offset() {
            // Noted before the note in the other directory goes.
            let raised = self.folder.dir.log_starts.raise(self.topic(), self.partition(), start);
            self.or_offline_unless_full(raised)?;
            self.advance_log_start_offset(start)?;
            // All notes may have been written anew in between.
            let raised = self.folder.dir.log_starts.raise(self.topic(), self.partition(), start);
            self.or_offline_unless_full(raised)?;
        }
        // A log that holds nothing up to its end is copied as one that begins there; the next process would say so, too.
        self.advance_log_start_offset(self.first_segment_offset())?;
        self.note_cleaned_as(source)?;
        // Also if it is lower: an unclean start may have lowered that of the source alone.
        let high_watermark = source.high_watermark().min(self.log_end_offset()).max(self.log_start_offset());
        self.high_watermark.store(high_watermark, Ordering::Release);
        // A follower's comes back only when it fetches again.
        let noted = self.folder.dir.high_watermarks.set(self.topic(), self.partition(), Some(self.high_watermark()));
        self.or_offline_unless_full(noted)?;
        let end = self.log_end_offset();
        let mut appender = self.appender.lock();
        appender.producers.clone_from(producers);
        self.note_unstable(&appender);
        drop(appender);
        if end > start {
            let snapshot = producer_snapshot::encode(producers);
            // Of some producers no batch is left: no other file knows them.
            let written = self.snapshots.write_synced(end, &snapshot, |offset| self.is_base(offset));
            self.or_offline_unless_full(written)?;
        }
        self.epochs.write().clone_from(&source.epochs.read());
        self.epochs_dirty.store(true, Ordering::Release);
        // Also if every batch is synced already.
        self.names_dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// A directory of the name that the copy is to take, of a log that was being made when the process ended, is set aside,
    /// durably. Found out later, or back after a crash, it would leave the partition without a log: its own has another name
    /// by then.
    fn clear_the_way(&self) -> Result<(), StorageError> {
        let dir = &self.folder.dir;
        let path = dir.path().join(partition_dir(self.topic(), self.partition()));
        if fs::exists(&path) {
            let to = dir.rename(&path, &stray_dir(self.topic(), self.partition(), random::bytes16()))?;
            dir.sync_names()?;
            tracing::warn!(from = %path.display(), to = %to.display(),
                "a directory that has the name of a log that moves here is set aside; remove it when nobody misses it");
        }
        Ok(())
    }

    /// Is the partition's log from now on, durably.
    ///
    /// # Errors
    /// When its directory cannot be renamed; its log directory is offline then.
    pub(crate) fn become_current(&self) -> Result<(), StorageError> {
        let name = partition_dir(self.topic(), self.partition());
        let renamed = self.folder.rename(&name).and_then(|_| self.folder.dir.sync_names());
        self.or_offline(renamed)?;
        self.moving.is_future.store(false, Ordering::Release);
        Ok(())
    }
}
