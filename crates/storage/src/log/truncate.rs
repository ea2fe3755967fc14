//! What takes records away: truncation, the log start offset, retention, deletion.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_env::{fs, planted, random, time};

use super::Log;
use crate::error::StorageError;
use crate::file_names::{deleted_dir, stray_dir};
use crate::loader::{create_segment, load_producers};
use crate::producer_state::ProducerState;
use crate::retention::{self, Limits, SegmentFacts};
use crate::segment::{Around, Bounds, Segment, Until};

impl Log {
    /// Cuts the log so that it ends at `offset`; does nothing if it ends before.
    ///
    /// # Errors
    /// When files cannot be changed; the log directory is offline then.
    pub fn truncate_to(&self, offset: i64) -> Result<(), StorageError> {
        let first = self.segments.read().first().map_or(0, |segment| segment.base_offset());
        if offset < first {
            return self.truncate_fully_and_start_at(offset);
        }
        let _no_flush = self.flushing.lock();
        let mut appender = self.appender.lock();
        self.check_usable()?;
        if offset >= self.log_end_offset() {
            return Ok(());
        }
        self.interrupt_cleaning();
        self.tell_copy_of_cut(offset);
        self.or_offline(self.cut_files(offset))?;
        if !planted::is("a truncation keeps the leader epochs") && self.epochs.write().truncate_from_end(offset) {
            self.epochs_dirty.store(true, Ordering::Release);
            self.write_cut_epochs()?;
        }
        self.or_offline(self.snapshots.remove_after(offset))?;
        // One that came back would be believed, once the log has grown beyond it.
        self.names_dirty.store(true, Ordering::Release);
        appender.pending_snapshots.retain(|(at, _)| *at <= offset);
        let bounds = |next_segment| Bounds { next_segment, may_have_gap: true, compacted: true, given: offset };
        let loaded = load_producers(&self.segments.read(), &self.snapshots, offset, self.log_start_offset(), bounds);
        if !planted::is("a truncation keeps the producers") {
            appender.producers = self.or_offline(loaded)?;
        }
        if !planted::is("a truncation keeps the high watermark") {
            self.high_watermark.fetch_min(offset, Ordering::AcqRel);
        }
        appender.producers.set_high_watermark(self.high_watermark());
        self.note_unstable(&appender);
        self.log_start_offset.fetch_min(offset, Ordering::AcqRel);
        self.log_end_offset.store(offset, Ordering::Release);
        // Again: a copy that heard of it before may have read beyond since.
        self.tell_copy_of_cut(offset);
        Ok(())
    }

    /// Epochs that were cut off must not come back: if the next batch lies behind a gap that its leader's compaction has left, a
    /// start would not find out. On a full disk the old file stays until the next flush.
    fn write_cut_epochs(&self) -> Result<(), StorageError> {
        match self.or_offline_unless_full(self.write_epochs()) {
            Err(error) if error.may_pass() => Ok(()),
            written => written,
        }
    }

    /// The recovery point first, then the segments behind the cut, durably, then the end of the one that is cut: a crash in
    /// between leaves a log that is longer, never one with a gap or with records that only seem to be synced.
    fn cut_files(&self, offset: i64) -> Result<(), StorageError> {
        self.look_before_cut(offset)?;
        if !planted::is("a truncation keeps the recovery point") {
            self.flushed_offset.fetch_min(offset, Ordering::AcqRel);
            self.folder.dir.recovery_points.lower(&self.topic, self.partition, offset)?;
        }
        self.folder.dir.log_starts.lower(&self.topic, self.partition, offset)?;
        self.folder.dir.cleaned.lower(&self.topic, self.partition, offset)?;
        let removed = self.segments.write().split_off(offset + 1);
        let active = self.segments.read().active().cloned().ok_or_else(|| self.no_segment())?;
        if !removed.is_empty() {
            self.delete_segments(&removed)?;
            fs::sync_dir(self.path())?;
        }
        active.examined(|| self.bounds(&active), || active.truncate_to(offset))
    }

    /// The heads of batches tell where to cut. One that is damaged may say that it reaches up to the offset, and what lies
    /// between would go with it: whatever says so is looked at, before anything is changed.
    fn look_before_cut(&self, offset: i64) -> Result<(), StorageError> {
        let Some(segment) = self.segments.read().floor(offset).cloned() else { return Ok(()) };
        let bounds = || self.bounds(&segment);
        loop {
            let end = segment.examined(bounds, || segment.end_of(offset))?;
            if !segment.verify(Around::Offset(offset), Until::position(end), &bounds())? {
                return Ok(());
            }
        }
    }

    /// Removes everything; the log starts and ends at `offset`.
    ///
    /// # Errors
    /// When files cannot be changed; the log directory is offline then.
    pub fn truncate_fully_and_start_at(&self, offset: i64) -> Result<(), StorageError> {
        let _no_flush = self.flushing.lock();
        let mut appender = self.appender.lock();
        self.check_usable()?;
        self.interrupt_cleaning();
        self.tell_copy_of_cut(i64::MIN);
        if let Err(error) = self.replace_segments(offset) {
            // Whatever it was, the log has no segment to go on with.
            self.folder.dir.set_offline(&error.to_string());
            return Err(error);
        }
        self.epochs.write().clear();
        self.epochs_dirty.store(true, Ordering::Release);
        self.write_cut_epochs()?;
        appender.pending_snapshots.clear();
        appender.producers = ProducerState::default();
        self.note_unstable(&appender);
        for at in [&self.log_start_offset, &self.high_watermark, &self.flushed_offset, &self.log_end_offset] {
            at.store(offset, Ordering::Release);
        }
        self.tell_copy_of_cut(i64::MIN);
        Ok(())
    }

    /// The recovery point goes first: should a crash leave some of the segments, what is missing between them was not promised.
    /// The names are durable at the end, because a flush of the empty log has nothing to sync that would make them so, and
    /// everything below `offset` counts as synced from then on.
    fn replace_segments(&self, offset: i64) -> Result<(), StorageError> {
        self.flushed_offset.store(0, Ordering::Release);
        self.folder.dir.recovery_points.lower(&self.topic, self.partition, 0)?;
        self.folder.dir.log_starts.lower(&self.topic, self.partition, offset)?;
        // Whatever comes next has not been compacted, wherever it lies.
        self.folder.dir.cleaned.set(&self.topic, self.partition, None)?;
        let mut segments = self.segments.write();
        let removed = segments.split_off(i64::MIN);
        self.delete_segments(&removed)?;
        segments.insert(Arc::new(create_segment(&self.folder, offset, &self.config(), time::wall_clock_ms())?));
        drop(segments);
        // One that came back at `offset` itself would be believed.
        self.snapshots.remove_after(-1)?;
        self.sync_names()
    }

    /// Raises the log start offset because somebody asked for it (DeleteRecords), durably: what was answered as deleted does
    /// not come back after a crash. Blocks for a sync.
    ///
    /// # Errors
    /// When it lies above the log end, or cannot be noted.
    pub fn delete_records_before(&self, offset: i64) -> Result<(), StorageError> {
        self.check_log_start(offset)?;
        if offset <= self.log_start_offset() || planted::is("deleted records are not noted") {
            return self.advance_log_start_offset(offset);
        }
        let note =
            || self.or_offline_unless_full(self.folder.dir.log_starts.raise(&self.topic, self.partition, offset));
        note()?;
        self.advance_log_start_offset(offset)?;
        // Again: all notes may have been written anew in between, with the start as it was.
        note()
    }

    /// Raises the log start offset (a snapshot of the metadata log, a leader's log start). Segments wholly below go with the
    /// next [`Self::delete_old_segments`].
    ///
    /// # Errors
    /// When it lies above the log end.
    pub fn advance_log_start_offset(&self, offset: i64) -> Result<(), StorageError> {
        self.check_log_start(offset)?;
        if self.log_start_offset.fetch_max(offset, Ordering::AcqRel) < offset {
            self.high_watermark.fetch_max(offset, Ordering::AcqRel);
            if self.epochs.write().truncate_from_start(offset) {
                self.epochs_dirty.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    fn check_log_start(&self, offset: i64) -> Result<(), StorageError> {
        self.check_usable()?;
        let (low, high) = (self.log_start_offset(), self.log_end_offset());
        if offset > high {
            return Err(StorageError::OffsetOutOfRange { what: "the log start", offset, low, high });
        }
        Ok(())
    }

    /// Removes the segments that the retention settings give up and those below the log start. Gives their number.
    ///
    /// # Errors
    /// When files cannot be changed.
    pub fn delete_old_segments(&self, now_ms: i64) -> Result<usize, StorageError> {
        let _no_flush = self.flushing.lock();
        let mut appender = self.appender.lock();
        self.check_usable()?;
        let config = self.config();
        let all: Vec<_> = self.segments.read().iter().cloned().collect();
        let limits = Limits {
            now_ms,
            retention_ms: if config.cleanup_policy.delete { config.retention_ms } else { -1 },
            retention_bytes: if config.cleanup_policy.delete { config.retention_bytes } else { -1 },
            high_watermark: self.high_watermark(),
            log_start_offset: self.log_start_offset(),
        };
        let facts = self.or_offline_unless_short(self.facts(&all))?;
        let count = retention::expired(&facts, &limits);
        if count == 0 {
            return Ok(0);
        }
        let gone = all.get(..count).unwrap_or_default();
        if let (Some(active), true) = (all.last(), count == all.len())
            && !planted::is("retention takes the active segment")
        {
            let end = self.log_end_offset();
            let rolled = self.roll_at(&mut appender, active, end, &config, now_ms);
            self.or_offline_unless_full(rolled)?;
            // Should the power go, the log must not seem to end where what is left of it does.
            self.or_offline(self.sync_names())?;
        }
        let mut segments = self.segments.write();
        for segment in gone {
            segments.remove(segment.base_offset());
        }
        let first = segments.first().map_or(0, |segment| segment.base_offset());
        drop(segments);
        self.log_start_offset.fetch_max(first, Ordering::AcqRel);
        if self.epochs.write().truncate_from_start(self.log_start_offset()) {
            self.epochs_dirty.store(true, Ordering::Release);
        }
        tracing::info!(
            topic = %self.topic, partition = self.partition, segments = count, log_start_offset = self.log_start_offset(),
            "old segments are removed"
        );
        // Without a note one by one from the oldest on: of several a crash might take those between, and what follows them would
        // not follow what is left.
        let together = if self.note_log_start()? { count } else { 1 };
        for gone in gone.chunks(together) {
            // A crash would bring them back, and the log start with them once its note has gone: a log needs none that starts
            // where its first segment does.
            self.or_offline(self.delete_segments(gone).and_then(|()| self.sync_names()))?;
        }
        self.or_offline(self.snapshots.remove_before(first))?;
        Ok(count)
    }

    /// Before segments go: a crash may bring some of them back without those between, and what lies below the log start need
    /// not be whole. A full disk must not hinder what makes room: false, if there is no space for the note.
    fn note_log_start(&self) -> Result<bool, StorageError> {
        let noted = self.folder.dir.log_starts.raise(&self.topic, self.partition, self.log_start_offset());
        match self.or_offline_unless_full(noted) {
            Err(error) if error.may_pass() => {
                tracing::warn!(topic = %self.topic, partition = self.partition, %error, "segments go without a note");
                Ok(false)
            }
            noted => noted.map(|()| true),
        }
    }

    /// Makes the names of the segments durable.
    #[cfg_attr(sim, track_caller)]
    fn sync_names(&self) -> Result<(), StorageError> {
        if !self.folder.settle()? {
            fs::sync_dir(self.path())?;
        }
        Ok(())
    }

    fn facts(&self, segments: &[Arc<Segment>]) -> Result<Vec<SegmentFacts>, StorageError> {
        let ends = segments.iter().skip(1).map(|next| next.base_offset()).chain([self.log_end_offset()]);
        let fact = |(segment, end_offset): (&Arc<Segment>, i64)| {
            let largest_timestamp = segment.examined(|| self.bounds(segment), || segment.largest_or_modified())?;
            Ok(SegmentFacts { end_offset, size: segment.size(), largest_timestamp })
        };
        segments.iter().zip(ends).map(fact).collect()
    }

    pub(super) fn delete_segments(&self, segments: &[Arc<Segment>]) -> Result<(), StorageError> {
        let due = time::wall_clock_ms().saturating_add(self.config().file_delete_delay_ms);
        segments.iter().try_for_each(|segment| segment.delete(due))
    }

    /// Renames the directory for removal; the log cannot be used any more. Readers keep the slices that they have. Gives the
    /// new path; its name is durable with the next sync of the log directory's names.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub(crate) fn rename_for_removal(&self) -> Result<PathBuf, StorageError> {
        self.rename_away(&deleted_dir(&self.topic, self.partition, random::bytes16()))
    }

    /// Renames the directory of a log that metadata does not know, and keeps it: it may be wanted after all. Otherwise as
    /// [`Self::rename_for_removal`].
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub(crate) fn set_aside(&self) -> Result<PathBuf, StorageError> {
        self.rename_away(&stray_dir(&self.topic, self.partition, random::bytes16()))
    }

    fn rename_away(&self, name: &str) -> Result<PathBuf, StorageError> {
        let _no_flush = self.flushing.lock();
        let _no_append = self.appender.lock();
        self.check_usable()?;
        self.rename_locked(name)
    }

    fn rename_locked(&self, name: &str) -> Result<PathBuf, StorageError> {
        self.deleted.store(true, Ordering::Release);
        self.or_offline(self.folder.rename(name))
    }

    /// With `flushing` and `appender` held: another log has taken its place. As [`Self::rename_for_removal`], and durable.
    ///
    /// # Errors
    /// When it cannot be renamed; the log directory is offline then.
    pub(super) fn rename_replaced(&self) -> Result<PathBuf, StorageError> {
        let path = self.rename_locked(&deleted_dir(&self.topic, self.partition, random::bytes16()))?;
        self.or_offline(self.folder.dir.sync_names())?;
        Ok(path)
    }
}
