//! Making appends durable: syncs, checkpoints, the clean stop.

use std::sync::atomic::Ordering;

use ottla_env::{fs, planted, time};

use super::Log;
use crate::config::LogConfig;
use crate::error::StorageError;
use crate::leader_epoch_cache;
use crate::producer_snapshot;

impl Log {
    /// Waits until the device has everything appended before the call. A failure takes the log directory offline for good.
    ///
    /// # Errors
    /// When it failed, now or before.
    pub fn flush(&self) -> Result<(), StorageError> {
        // Before the target: an append counts its bytes after it has moved the log end.
        let bytes = self.unflushed_bytes();
        let target = self.log_end_offset();
        let _one_at_a_time = self.flushing.lock();
        self.check_usable()?;
        if self.flushed_offset() >= target && !self.names_dirty.load(Ordering::Acquire) {
            // Somebody else's flush took ours along.
            self.forget_unflushed(bytes.min(self.unflushed_bytes()));
            return Ok(());
        }
        self.or_offline_unless_full(self.sync())
    }

    /// With `flushing` held.
    fn sync(&self) -> Result<(), StorageError> {
        // Before the mark is taken: an append that makes a file sets it, and moves the log end then. So whoever sees the end sees the
        // mark.
        let bytes = self.unflushed_bytes.load(Ordering::Relaxed);
        let target = self.log_end_offset();
        // Before anything is written: what is made from here on leaves its mark for the next flush.
        let names_dirty = self.names_dirty.swap(false, Ordering::AcqRel);
        let synced = self.sync_up_to(target, bytes, names_dirty);
        if synced.is_err() && names_dirty {
            self.names_dirty.store(true, Ordering::Release);
        }
        synced
    }

    fn sync_up_to(&self, target: i64, bytes: u64, names_dirty: bool) -> Result<(), StorageError> {
        // Also the segment that ends there: it may have been closed since, which left an entry in its time index.
        let segments: Vec<_> = self.segments.read().from(self.flushed_offset() - 1).cloned().collect();
        let active = segments.len().saturating_sub(1);
        for (n, segment) in segments.iter().enumerate() {
            if n < active && planted::is("a flush of the active segment only") {
                continue;
            }
            // For this there may be no space, and then there is at the next flush.
            if n < active {
                segment.write_indexes()?
            } else {
                segment.write_aborted()?
            }
            // No exception for a full device here: what a failed sync has made of earlier writes is unknown.
            self.or_offline(segment.sync())?;
            if n < active {
                self.or_offline(segment.sync_indexes())?;
            }
        }
        self.write_epochs()?;
        let is_settled_now = self.folder.settle()?;
        if names_dirty && !is_settled_now {
            fs::sync_dir(self.path())?;
        }
        // Told before anybody is answered.
        tracing::debug!(topic = %self.topic(), partition = self.partition(), offset = target, "flushed");
        self.flushed_offset.fetch_max(target, Ordering::AcqRel);
        self.forget_unflushed(bytes);
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.last_flush_ms.store(time::wall_clock_ms(), Ordering::Release);
        Ok(())
    }

    /// Notes durably up to where the log is on the device: for a log that no [`crate::LogManager`] has, which does it for its
    /// own. On a full disk the earlier note stays, which is true as well.
    ///
    /// # Errors
    /// When it cannot be noted; the log directory is offline then.
    pub fn note_recovery_point(&self) -> Result<(), StorageError> {
        self.check_usable()?;
        let noted = self.folder.dir.recovery_points.raise(&self.topic, self.partition, self.flushed_offset());
        match self.or_offline_unless_full(noted) {
            Err(error) if error.may_pass() => Ok(()),
            noted => noted,
        }
    }

    /// Bytes that were appended and not synced.
    #[must_use]
    pub fn unflushed_bytes(&self) -> u64 {
        self.unflushed_bytes.load(Ordering::Relaxed)
    }

    /// So many of them are synced, or belong to a log that is no more.
    fn forget_unflushed(&self, bytes: u64) {
        self.unflushed_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.folder.dir.sub_unflushed(bytes);
    }

    pub(super) fn write_epochs(&self) -> Result<(), StorageError> {
        if !self.epochs_dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let text = self.epochs.read().to_text();
        let written = fs::write_atomically(self.folder.file(leader_epoch_cache::FILE_NAME), text);
        Ok(written.inspect_err(|_| self.epochs_dirty.store(true, Ordering::Release))?)
    }

    /// Records below may be acknowledged: the log end, or with `flush.messages`, once that many records are not synced,
    /// what is.
    #[must_use]
    pub fn ack_offset(&self) -> i64 {
        let end = self.log_end_offset();
        let flush_messages = self.config.read().flush_messages;
        let flushed = self.flushed_offset();
        let is_early = planted::is("acknowledged before it is synced");
        if is_early || end.saturating_sub(flushed) < flush_messages { end } else { flushed }
    }

    /// Whether `flush.messages` asks for a sync now.
    #[must_use]
    pub fn is_flush_due(&self) -> bool {
        self.ack_offset() < self.log_end_offset()
    }

    /// How often the log was synced.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    /// `flush.ms` is left to the flusher.
    pub(super) fn flush_in_time(&self, config: &LogConfig) {
        if config.flush_ms != i64::MAX {
            self.folder.dir.want_flush();
        }
    }

    /// Asks the flusher to come by.
    pub(super) fn want_flush(&self) {
        self.flush_wanted.store(true, Ordering::Release);
        self.folder.dir.want_flush();
    }

    /// The flusher's visit: syncs after a roll, and when `flush.ms` is over. True when it must come again.
    pub(crate) fn flush_if_due(&self, now_ms: i64) -> Result<bool, StorageError> {
        let unflushed = self.flushed_offset() < self.log_end_offset();
        let flush_ms = self.config().flush_ms;
        let waits = unflushed && flush_ms != i64::MAX;
        let overdue = waits && now_ms.saturating_sub(self.last_flush_ms.load(Ordering::Acquire)) >= flush_ms;
        if self.flush_wanted.swap(false, Ordering::AcqRel) || overdue {
            self.flush()?;
            self.write_pending_snapshots()?;
            return Ok(false);
        }
        Ok(waits)
    }

    fn write_pending_snapshots(&self) -> Result<(), StorageError> {
        let pending = std::mem::take(&mut self.appender.lock().pending_snapshots);
        let _no_truncation = self.flushing.lock();
        for (offset, bytes) in pending {
            // A truncation since then has made it untrue.
            if offset <= self.log_end_offset() {
                self.or_offline_unless_full(self.snapshots.write(offset, &bytes, |o| self.is_base(o)))?;
            }
        }
        Ok(())
    }

    pub(super) fn is_base(&self, offset: i64) -> bool {
        self.segments.read().floor(offset).is_some_and(|segment| segment.base_offset() == offset)
    }

    /// Flushes, and notes the producers of everything flushed, so that after a crash neither is read again. Does nothing
    /// for a log that did not change.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        self.write_pending_snapshots()?;
        let (offset, snapshot) = {
            let appender = self.appender.lock();
            let offset = self.log_end_offset();
            let is_noted = self.snapshots.has(offset) || offset == self.log_start_offset();
            // A roll that nothing was appended behind has left an entry for the time index, and a name.
            if self.flushed_offset() >= offset && is_noted && !self.flush_wanted.load(Ordering::Acquire) {
                drop(appender);
                return self.or_offline_unless_full(self.write_epochs());
            }
            (offset, producer_snapshot::encode(&appender.producers))
        };
        self.flush()?;
        let _no_truncation = self.flushing.lock();
        let active = self.segments.read().active().cloned();
        if let Some(segment) = active {
            // A scan begins at the last indexed batch.
            self.or_offline_unless_full(segment.write_indexes())?;
        }
        if offset <= self.log_end_offset() {
            self.or_offline_unless_full(self.snapshots.write(offset, &snapshot, |o| self.is_base(o)))?;
        }
        Ok(())
    }

    /// The last act before a clean stop: everything is on the device, indexes included, and nothing stays open.
    ///
    /// # Errors
    /// As [`Self::flush`]; the stop is not clean then.
    pub fn close(&self) -> Result<(), StorageError> {
        let active = self.segments.read().active().cloned();
        if let Some(segment) = &active {
            // On a full device what follows may have no other space.
            self.or_offline_unless_full(segment.give_back())?;
        }
        if let Err(error) = self.checkpoint() {
            if error.may_pass() {
                self.sync_batches()?;
            }
            return Err(error);
        }
        if let Some(segment) = active {
            segment.close_for_appends()?;
            // After a clean stop nobody looks whether they fit the batches.
            self.or_offline_unless_full(segment.sync_indexes())?;
        }
        self.segments.read().iter().for_each(|segment| segment.close());
        Ok(())
    }

    /// Waits until the device has the batches. They are scanned again all the same: what belongs to them is not written.
    fn sync_batches(&self) -> Result<(), StorageError> {
        let _one_at_a_time = self.flushing.lock();
        let segments: Vec<_> = self.segments.read().from(self.flushed_offset() - 1).cloned().collect();
        segments.iter().try_for_each(|segment| self.or_offline(segment.sync_batches()))
    }

    /// Whether a clean stop has anything to write.
    pub(crate) fn is_dirty(&self) -> bool {
        let end = self.log_end_offset();
        let noted = self.snapshots.has(end) || end == self.log_start_offset();
        let is_changed = self.epochs_dirty.load(Ordering::Acquire) || self.flush_wanted.load(Ordering::Acquire);
        self.flushed_offset() < end || !noted || is_changed
    }

    /// As [`Self::close`], without a sync: the caller syncs the whole file system, and notes it by [`Self::note_synced`].
    /// Gives the offset up to which that is true.
    ///
    /// # Errors
    /// When something cannot be written; the stop is not clean then.
    pub(crate) fn write_out(&self) -> Result<i64, StorageError> {
        self.write_pending_snapshots()?;
        let _one_at_a_time = self.flushing.lock();
        self.check_usable()?;
        let (end, snapshot) = {
            let appender = self.appender.lock();
            (self.log_end_offset(), producer_snapshot::encode(&appender.producers))
        };
        // Also the segment that ends there, as in a flush.
        let segments: Vec<_> = self.segments.read().from(self.flushed_offset() - 1).cloned().collect();
        for (n, segment) in segments.iter().enumerate() {
            if n + 1 == segments.len() {
                segment.close_for_appends()?;
            }
            self.or_offline_unless_full(segment.write_indexes())?;
        }
        if self.epochs_dirty.swap(false, Ordering::AcqRel) {
            let text = self.epochs.read().to_text();
            let written = fs::replace_unsynced(self.folder.file(leader_epoch_cache::FILE_NAME), text);
            self.or_offline_unless_full(written.map_err(StorageError::from))?;
        }
        if !self.snapshots.has(end) && end > self.log_start_offset() {
            self.or_offline_unless_full(self.snapshots.write(end, &snapshot, |o| self.is_base(o)))?;
        }
        self.segments.read().iter().for_each(|segment| segment.close());
        Ok(end)
    }

    /// The file system was synced after everything below `end` was written.
    pub(crate) fn note_synced(&self, end: i64) {
        self.flushed_offset.fetch_max(end, Ordering::AcqRel);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.forget_unflushed(self.unflushed_bytes());
    }
}
