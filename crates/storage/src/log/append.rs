//! Appends: check, number in place, one write.
//!
//! ```text
//!  validate (no lock) ─> [appender: duplicate? ─> offsets and epoch in place ─> roll if due ─> write ─> producers ─> publish]
//! ```
//! Nothing of a failed append stays: the file is cut back to where it ended. If even that fails, or a sync did, the log
//! directory goes offline, because nobody knows any more what is in it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_env::{planted, task, time};
use ottla_protocol::record_batch::{self, BatchHeader};

use super::{Log, recompress};
use crate::config::LogConfig;
use crate::error::{AppendError, StorageError};
use crate::loader::create_segment;
use crate::producer_snapshot;
use crate::producer_state::{BatchMemory, Marker, ProducerState};
use crate::segment::{Segment, WriteFailed};
use crate::validator::{self, AppendOrigin};

/// Snapshots of rolls that wait for the flusher; older ones are dropped, which costs a longer replay after a crash.
const PENDING_SNAPSHOTS_MAX: usize = 4;

thread_local! {
    /// Where compressed batches are unpacked, a window at a time, while they are checked.
    static WINDOW: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the first record.
    pub first_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Largest timestamp, in ms.
    pub max_timestamp: i64,
    /// The broker's time, if the topic's timestamps are that; else -1.
    pub log_append_time_ms: i64,
    /// Where the log starts.
    pub log_start_offset: i64,
    /// The batch was in the log already; these are its offsets there.
    pub duplicate: bool,
}

/// What belongs to whoever appends.
#[derive(Debug)]
pub(super) struct Appender {
    pub(super) producers: ProducerState,
    pub(super) pending_snapshots: Vec<(i64, Vec<u8>)>,
}

impl Appender {
    pub(super) fn new(producers: ProducerState) -> Self {
        Self { producers, pending_snapshots: Vec::new() }
    }
}

/// What the batches of one append have in common.
#[derive(Debug, Clone, Copy)]
struct Summary {
    first: BatchHeader,
    last_offset: i64,
    /// Offsets that the batches take.
    offsets: i64,
    max_timestamp: i64,
}

impl Log {
    /// Appends batches as the partition's leader: checks them, gives them offsets and `leader_epoch` in place, and writes
    /// them with one write.
    ///
    /// It does not sync. The caller may acknowledge the records once [`Self::ack_offset`] has passed them; with
    /// `flush.messages` that takes a [`Self::flush`], which one caller does for many.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append_as_leader(
        &self,
        batches: &mut [u8],
        leader_epoch: i32,
        origin: AppendOrigin,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        let config = self.config();
        check_segment_bytes(batches, &config)?;
        let log_append_time = config.log_append_time && origin != AppendOrigin::RaftLeader;
        let summary = check_batches(batches, origin, &config, now_ms, log_append_time)?;
        let mut repacked = recompress::repacked(batches, origin, &config)?;
        let batches = repacked.as_deref_mut().unwrap_or(batches);
        let mut appender = self.appender.lock();
        self.check_usable()?;
        if let Some(known) = check_producers(&appender.producers, batches, &summary, origin)? {
            return Ok(self.duplicate(&known, log_append_time));
        }
        let first_offset = self.log_end_offset();
        number(batches, first_offset, leader_epoch);
        let last_offset = first_offset + summary.offsets - 1;
        let summary = Summary { last_offset, ..summary };
        self.write(&mut appender, batches, first_offset, &summary, &config, now_ms)?;
        drop(appender);
        self.flush_in_time(&config);
        Ok(AppendInfo {
            first_offset,
            last_offset,
            max_timestamp: summary.max_timestamp,
            log_append_time_ms: if log_append_time { now_ms } else { record_batch::NO_TIMESTAMP },
            log_start_offset: self.log_start_offset(),
            duplicate: false,
        })
    }

    /// Appends batches that a leader numbered: they keep their offsets and epochs.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append_as_follower(&self, batches: &[u8]) -> Result<AppendInfo, AppendError> {
        let config = self.config();
        let summary = check_replicated(batches)?;
        let now_ms = time::wall_clock_ms();
        let mut appender = self.appender.lock();
        self.check_usable()?;
        let (first_offset, end) = (summary.first.base_offset, self.log_end_offset());
        if first_offset < end {
            return Err(AppendError::UnexpectedOffset { first_offset, log_end_offset: end });
        }
        self.write(&mut appender, batches, first_offset, &summary, &config, now_ms)?;
        drop(appender);
        if self.is_flush_due() {
            task::blocking_here(|| self.flush())?;
        }
        self.flush_in_time(&config);
        Ok(AppendInfo {
            first_offset,
            last_offset: summary.last_offset,
            max_timestamp: summary.max_timestamp,
            log_append_time_ms: record_batch::NO_TIMESTAMP,
            log_start_offset: self.log_start_offset(),
            duplicate: false,
        })
    }

    fn duplicate(&self, known: &BatchMemory, log_append_time: bool) -> AppendInfo {
        AppendInfo {
            first_offset: known.first_offset(),
            last_offset: known.last_offset,
            max_timestamp: known.timestamp,
            log_append_time_ms: if log_append_time { known.timestamp } else { record_batch::NO_TIMESTAMP },
            log_start_offset: self.log_start_offset(),
            duplicate: true,
        }
    }

    fn write(
        &self,
        appender: &mut Appender,
        batches: &[u8],
        first_offset: i64,
        summary: &Summary,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        let segment = self.segment_for(appender, batches.len(), first_offset, summary, config, now_ms);
        let segment = self.or_offline_unless_full(segment)?;
        segment.reserve_ahead(batches.len() as u64, config.reserve_bytes);
        if planted::is("acknowledged before it is written") {
            self.log_end_offset.store(summary.last_offset + 1, Ordering::Release);
        }
        if let Err(WriteFailed { error, undone }) = segment.append(batches, config.index_interval_bytes) {
            if !undone {
                self.folder.dir.set_offline(&format!("a failed write could not be taken back: {error}"));
            } else if !error.may_pass() && !planted::is("a failed write is taken for a full disk") {
                // Only want of space or descriptors passes; a device that fails once is not trusted again.
                self.folder.dir.set_offline(&error.to_string());
            }
            return Err(error.into());
        }
        // The batches are in the file: from here on nothing may fail without taking the directory offline.
        self.or_offline(self.note(appender, &segment, batches))?;
        self.note_unstable(appender);
        self.log_end_offset.store(summary.last_offset + 1, Ordering::Release);
        let bytes = batches.len() as u64;
        self.unflushed_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.folder.dir.add_unflushed(bytes);
        Ok(())
    }

    /// Producers and epochs learn of the batches.
    fn note(&self, appender: &mut Appender, segment: &Segment, batches: &[u8]) -> Result<(), StorageError> {
        let mut latest = self.latest_epoch();
        for (header, batch) in record_batch::batches(batches).flatten() {
            let is_noted = planted::is("only elections note a leader epoch");
            if !is_noted && latest.is_none_or(|latest| header.partition_leader_epoch > latest) {
                self.note_epoch(header.partition_leader_epoch, header.base_offset);
                latest = Some(header.partition_leader_epoch);
            }
            if header.has_producer_id() {
                let marker = if header.is_control() { Marker::read(batch) } else { None };
                if let Some(aborted) = appender.producers.replay(&header, marker) {
                    segment.note_aborted(aborted)?;
                    // The first of a segment makes a file, whose name has to survive as well. Marked behind it: a flush that is
                    // under way takes the mark along, and may have passed the file by.
                    self.names_dirty.store(true, Ordering::Release);
                }
            }
        }
        Ok(())
    }

    /// The active segment, or a new one if it is full or old.
    fn segment_for(
        &self,
        appender: &mut Appender,
        bytes: usize,
        first_offset: i64,
        summary: &Summary,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<Arc<Segment>, StorageError> {
        let active = self.segments.read().active().cloned().ok_or_else(|| self.no_segment())?;
        if active.should_roll(config, bytes, summary.last_offset, summary.max_timestamp, now_ms) {
            // A follower's batch may leave a gap (compaction on the leader): it goes into the new segment, so that a hole
            // between two segments is always a loss. Unless the segment's relative offsets could not span it.
            let end = self.log_end_offset();
            let spans = i32::try_from(summary.last_offset - end).is_ok();
            let spans = spans && !planted::is("a gap of the leader's between two segments");
            return self.roll_at(appender, &active, if spans { end } else { first_offset }, config, now_ms);
        }
        Ok(active)
    }

    /// Closes the active segment and begins another. The flusher syncs the old one and writes the producer snapshot.
    pub(super) fn roll_at(
        &self,
        appender: &mut Appender,
        active: &Arc<Segment>,
        base_offset: i64,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<Arc<Segment>, StorageError> {
        active.close_for_appends()?;
        if planted::is("a roll loses the aborted transactions") {
            active.forget_aborted()?;
        }
        // If the first segment's name were lost and not the second's, the log would seem to begin there.
        self.folder.settle()?;
        let base_offset = base_offset + i64::from(planted::is("a roll one offset off"));
        let made = create_segment(&self.folder, base_offset, config, now_ms);
        // Also if it failed: names were made and removed. Behind them, or a flush that is under way would take the mark along.
        self.names_dirty.store(true, Ordering::Release);
        let segment = Arc::new(made?);
        appender.pending_snapshots.push((base_offset, producer_snapshot::encode(&appender.producers)));
        if appender.pending_snapshots.len() > PENDING_SNAPSHOTS_MAX {
            appender.pending_snapshots.remove(0);
        }
        let mut segments = self.segments.write();
        if active.size() == 0 {
            // It holds nothing, and the next batch lies too far from its base offset.
            segments.remove(active.base_offset());
        }
        segments.insert(Arc::clone(&segment));
        drop(segments);
        if active.size() == 0 {
            active.delete(now_ms)?;
            self.names_dirty.store(true, Ordering::Release);
        }
        self.want_flush();
        Ok(segment)
    }
}

pub(super) fn check_segment_bytes(batches: &[u8], config: &LogConfig) -> Result<(), AppendError> {
    if batches.len() > config.segment_bytes {
        return Err(AppendError::LargerThanSegment { size: batches.len(), max: config.segment_bytes });
    }
    Ok(())
}

/// Validates every batch; corrects timestamps where the topic or the records say so.
fn check_batches(
    batches: &mut [u8],
    origin: AppendOrigin,
    config: &LogConfig,
    now_ms: i64,
    log_append_time: bool,
) -> Result<Summary, AppendError> {
    let mut summary: Option<Summary> = None;
    let mut rest = batches;
    while !rest.is_empty() {
        let header = BatchHeader::read(rest).map_err(|e| not_a_batch(&e))?;
        let (batch, after) =
            std::mem::take(&mut rest).split_at_mut_checked(header.size_bytes()).ok_or_else(cut_short)?;
        rest = after;
        if origin == AppendOrigin::Client && (summary.is_some() || !rest.is_empty()) {
            let reason = "a produce request must hold exactly one batch per partition".to_owned();
            return Err(AppendError::InvalidRecords { reason, errors: Vec::new() });
        }
        let validated =
            WINDOW.with_borrow_mut(|window| validator::validate(batch, &header, origin, config, now_ms, window))?;
        let max_timestamp = if log_append_time { now_ms } else { validated.max_timestamp };
        if log_append_time {
            record_batch::set_log_append_time(batch, now_ms);
        } else if header.max_timestamp != max_timestamp && origin == AppendOrigin::Client {
            record_batch::set_max_timestamp(batch, max_timestamp);
        }
        summary = Some(summarized(summary, header, max_timestamp));
    }
    summary.ok_or_else(no_batch)
}

/// Checks what a leader sent: whole batches, sound, in order.
fn check_replicated(batches: &[u8]) -> Result<Summary, AppendError> {
    let mut summary: Option<Summary> = None;
    let mut iter = record_batch::batches(batches);
    for item in &mut iter {
        let (header, batch) = item.map_err(|e| not_a_batch(&e))?;
        let is_sound = record_batch::check_crc(batch) || planted::is("a follower believes its leader's bytes");
        if !is_sound || header.last_offset_delta < 0 {
            return Err(AppendError::Corrupt(format!("the batch at offset {} is broken", header.base_offset)));
        }
        if let Some(before) = summary
            && header.base_offset <= before.last_offset
        {
            let (first_offset, log_end_offset) = (header.base_offset, before.last_offset + 1);
            return Err(AppendError::UnexpectedOffset { first_offset, log_end_offset });
        }
        summary = Some(summarized(summary, header, header.max_timestamp));
    }
    if iter.partial_tail() > 0 {
        return Err(cut_short());
    }
    summary.ok_or_else(no_batch)
}

fn summarized(before: Option<Summary>, header: BatchHeader, max_timestamp: i64) -> Summary {
    let offsets = i64::from(header.last_offset_delta) + 1;
    match before {
        None => Summary { first: header, last_offset: header.last_offset(), offsets, max_timestamp },
        Some(before) => Summary {
            first: before.first,
            last_offset: header.last_offset(),
            offsets: before.offsets + offsets,
            max_timestamp: before.max_timestamp.max(max_timestamp),
        },
    }
}

fn not_a_batch(error: &record_batch::BatchError) -> AppendError {
    match error {
        record_batch::BatchError::Magic(_) => {
            AppendError::InvalidRecords { reason: error.to_string(), errors: Vec::new() }
        }
        other => AppendError::Corrupt(other.to_string()),
    }
}

fn cut_short() -> AppendError {
    AppendError::Corrupt("the last batch is cut short".to_owned())
}

fn no_batch() -> AppendError {
    AppendError::InvalidRecords { reason: "there is no batch to append".to_owned(), errors: Vec::new() }
}

/// Asks the producer state. `Some`: a client's batch that is in the log already.
fn check_producers(
    producers: &ProducerState,
    batches: &[u8],
    summary: &Summary,
    origin: AppendOrigin,
) -> Result<Option<BatchMemory>, AppendError> {
    if origin == AppendOrigin::Client {
        return if summary.first.has_producer_id() { producers.check(&summary.first) } else { Ok(None) };
    }
    for (header, batch) in record_batch::batches(batches).flatten().filter(|(header, _)| header.has_producer_id()) {
        match if header.is_control() { Marker::read(batch) } else { None } {
            Some(marker) => producers.check_marker(&header, marker, transaction_version(origin))?,
            None => producers.check_epoch(&header)?,
        }
    }
    Ok(None)
}

/// The version of transactions by which a marker is judged; what is not told is the oldest.
fn transaction_version(origin: AppendOrigin) -> i16 {
    match origin {
        AppendOrigin::TransactionMarker { transaction_version } => transaction_version,
        AppendOrigin::Client | AppendOrigin::Coordinator | AppendOrigin::Replication | AppendOrigin::RaftLeader => 0,
    }
}

/// Gives batches consecutive offsets, and the leader's epoch.
fn number(batches: &mut [u8], first_offset: i64, leader_epoch: i32) {
    let mut offset = first_offset;
    let mut rest = batches;
    while let Ok(header) = BatchHeader::read(rest) {
        let Some((batch, after)) = std::mem::take(&mut rest).split_at_mut_checked(header.size_bytes()) else { return };
        record_batch::set_base_offset(batch, offset);
        if !planted::is("batches keep the producer's leader epoch") {
            record_batch::set_leader_epoch(batch, leader_epoch);
        }
        offset += i64::from(header.last_offset_delta) + 1;
        rest = after;
    }
}
