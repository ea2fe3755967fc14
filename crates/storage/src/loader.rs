//! Opens a log's directory: sorts its files, recovers what was not synced when the process ended, and rebuilds what is
//! known of producers and epochs. Kafka class: `LogLoader`.
//!
//! ```text
//!   segment ── segment ── segment ── segment
//!                            ▲ recovery point: synced up to here
//!              trusted       │ scanned: every checksum; cut at the first batch that is not whole
//! ```
//! After a clean stop nothing is scanned but the last few KiB of the last segment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ottla_env::{fs, planted};

use crate::access::Access;
use crate::batch_scan::read_batch;
use crate::config::LogConfig;
use crate::error::StorageError;
use crate::file_names::{INDEX, LOG, SNAPSHOT, TIME_INDEX, TXN_INDEX, offset_file, parse_offset_file};
use crate::leader_epoch_cache::{self, LeaderEpochCache};
use crate::log_folder::LogFolder;
use crate::producer_state::{Marker, ProducerState};
use crate::recovery::{self, Scope};
use crate::segment::{Around, Bounds, Segment, SegmentFiles, Until};
use crate::segments::Segments;
use crate::snapshot_files::SnapshotFiles;
use crate::swap_files::sweep;
use crate::{offset_index, time_index, transaction_index};

/// What is known before the directory is looked at.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) folder: &'a Arc<LogFolder>,
    pub(crate) config: &'a LogConfig,
    /// Whether offsets may be missing because compaction took them, now or under an earlier policy.
    pub(crate) compacted: bool,
    pub(crate) recovery_point: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) clean_shutdown: bool,
    pub(crate) now_ms: i64,
}

/// What recovery had to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes of batches whose checksums were computed.
    pub bytes_scanned: u64,
    /// Bytes cut from the end because they were no whole batch.
    pub bytes_cut: u64,
    /// Parts that were on the device once and are damaged now; see [`crate::Log::damaged`].
    pub damaged_ranges: u32,
}

impl Plan<'_> {
    /// Whether offsets may be missing before a segment: compaction took them, or they lie below the log start.
    pub(crate) fn may_have_gap(&self, base_offset: i64) -> bool {
        self.compacted || base_offset <= self.log_start_offset
    }

    /// What lies around a segment, given where the next one begins.
    pub(crate) fn bounds(&self, next_segment: Option<i64>) -> Bounds {
        let may_have_gap = next_segment.is_some_and(|base| self.may_have_gap(base));
        Bounds { next_segment, may_have_gap, compacted: self.compacted, given: self.recovery_point }
    }
}

/// The log as found.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) segments: Segments,
    pub(crate) log_start_offset: i64,
    pub(crate) log_end_offset: i64,
    /// Everything below is synced.
    pub(crate) recovery_point: i64,
    pub(crate) producers: ProducerState,
    pub(crate) snapshots: SnapshotFiles,
    pub(crate) epochs: LeaderEpochCache,
    /// They are not those of the file.
    pub(crate) epochs_changed: bool,
    pub(crate) report: RecoveryReport,
}

/// See the module.
pub(crate) fn load(plan: &Plan<'_>) -> Result<Loaded, StorageError> {
    let files = sweep(plan.folder)?;
    let snapshots = SnapshotFiles::new(Arc::clone(plan.folder), offsets_with(&files, SNAPSHOT));
    let mut segments = open_segments(plan, &files)?;
    let epochs_path = plan.folder.file(leader_epoch_cache::FILE_NAME);
    let (mut epochs, broken) = leader_epoch_cache::load(&epochs_path)?;
    if let Some(reason) = &broken {
        tracing::warn!(path = %epochs_path.display(), reason, "leader epochs are read from the batches again");
    }
    let epochs_of_file = epochs.clone();
    let start = plan.log_start_offset.max(segments.first().map_or(0, |segment| segment.base_offset()));
    if broken.is_none() {
        // Before a scan adds what it comes by.
        note_missing_epochs(&segments, &[start, plan.recovery_point - 1], start, &mut epochs, &epochs_path)?;
    }
    let mut report = RecoveryReport::default();
    let from = if broken.is_some() { 0 } else { plan.recovery_point };
    if (!plan.clean_shutdown && !planted::is("nothing is scanned after a crash")) || broken.is_some() {
        let scope = Scope { from, durable: plan.recovery_point };
        recovery::recover(plan, scope, &mut segments, &mut epochs, &mut report)?;
    }
    let (mut log_end_offset, rescanned) = load_end(plan, &mut segments, &mut epochs, &mut report)?;
    if !plan.clean_shutdown && log_end_offset < plan.log_start_offset {
        log_end_offset = start_behind(plan, &mut segments, &snapshots)?;
    }
    let first = segments.first().map_or(0, |segment| segment.base_offset());
    let log_start_offset = plan.log_start_offset.clamp(first, log_end_offset);
    note_missing_epochs(&segments, &[log_end_offset - 1], log_start_offset, &mut epochs, &epochs_path)?;
    let newest = epochs.latest();
    if epochs.truncate_from_end(log_end_offset) && newest.is_some_and(|newest| newest.start_offset > log_end_offset) {
        // One that begins right at the end is of a leader who has written nothing yet.
        tracing::warn!(path = %epochs_path.display(), log_end_offset,
            "leader epochs begin behind the end of the log: records were cut off, or lost, since they were noted");
    }
    epochs.truncate_from_start(log_start_offset);
    // Of what was scanned, the markers behind the recovery point are noted again.
    let scanned_from = if plan.clean_shutdown && broken.is_none() { rescanned } else { Some(0) };
    let trusted = scanned_from.map_or(log_end_offset, |from| plan.recovery_point.max(from).min(log_end_offset));
    let trusted = if planted::is("a snapshot of what was lost is believed") { log_end_offset } else { trusted };
    let unsound = forget_unsound_aborted(plan, &segments, &files)?;
    let trusted = unsound.map_or(trusted, |base| trusted.min(base));
    let producers = load_producers(&segments, &snapshots, trusted, log_start_offset, |next| plan.bounds(next))?;
    if let Some(base) = unsound {
        // No flush comes by below the recovery point.
        segments.from(base).try_for_each(|segment| segment.sync_aborted())?;
        fs::sync_dir(plan.folder.path())?;
    }
    // What recovery read is in the page cache at best; the owner's next flush makes it durable.
    let recovery_point = if plan.clean_shutdown { log_end_offset } else { plan.recovery_point.min(log_end_offset) };
    segments.iter().for_each(|segment| segment.close());
    let epochs_changed = broken.is_some() || epochs != epochs_of_file;
    Ok(Loaded {
        segments,
        log_start_offset,
        log_end_offset,
        recovery_point,
        producers,
        snapshots,
        epochs,
        epochs_changed,
        report,
    })
}

/// Reads the leader epochs from the heads of the batches if the file does not know that of the batch at one of `offsets`: it
/// is gone, or an older copy. A follower would be told to cut what both have.
fn note_missing_epochs(
    segments: &Segments,
    offsets: &[i64],
    log_start_offset: i64,
    epochs: &mut LeaderEpochCache,
    path: &Path,
) -> Result<(), StorageError> {
    let mut known = true;
    for offset in offsets {
        let Some(segment) = segments.floor(*offset).filter(|segment| segment.size() > 0) else { continue };
        let Some(at) = segment.head_at(*offset)? else { continue };
        let (epoch, offset) = (at.header.partition_leader_epoch, at.header.last_offset());
        known &= epoch < 0 || epochs.epoch_at(offset).is_some_and(|known| known >= epoch);
    }
    if known {
        return Ok(());
    }
    let (mut found, mut unknown, mut whole) = (LeaderEpochCache::default(), 0, true);
    for segment in segments.from(log_start_offset) {
        whole &= segment.each_head(|header| {
            let (epoch, offset) = (header.partition_leader_epoch, header.base_offset);
            unknown += usize::from(epochs.epoch_at(offset).is_none_or(|known| known < epoch));
            found.assign(epoch, offset);
        })?;
    }
    // One batch alone may lie, since no checksum covers its epoch; and of what is damaged the file knows more.
    if !epochs.entries().is_empty() && (unknown < 2 || !whole) {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "the file lacks leader epochs that batches have; they are read from the batches");
    // A leader that has appended nothing yet.
    let latest = found.latest();
    for entry in epochs.entries() {
        if latest.is_none_or(|latest| entry.epoch > latest.epoch && entry.start_offset > latest.start_offset) {
            found.assign(entry.epoch, entry.start_offset);
        }
    }
    *epochs = found;
    Ok(())
}

/// Forgets the transaction indexes from the first on that cannot be one, and gives the offset from which on: their markers have
/// to be noted again, for a transaction that is not known as aborted is served as committed.
fn forget_unsound_aborted(
    plan: &Plan<'_>,
    segments: &Segments,
    files: &BTreeMap<String, u64>,
) -> Result<Option<i64>, StorageError> {
    let mut unsound = None;
    for segment in segments.iter() {
        let base = segment.base_offset();
        let Some(len) = files.get(&offset_file(base, TXN_INDEX)) else { continue };
        let next = segments.after(base).map(|next| next.base_offset());
        let whole = len.is_multiple_of(transaction_index::ENTRY_BYTES as u64);
        if unsound.is_none() && !(whole && segment.has_sound_aborted(next)?) {
            tracing::warn!(path = %plan.folder.file(&offset_file(base, TXN_INDEX)).display(), "the transaction index is not sound and is built again");
            unsound = Some(base);
        }
        if unsound.is_some() {
            segment.forget_aborted()?;
        }
    }
    Ok(unsound)
}

fn offsets_with(files: &BTreeMap<String, u64>, suffix: &str) -> BTreeSet<i64> {
    let matching = files.keys().filter_map(|name| parse_offset_file(name)).filter(|(_, s)| *s == suffix);
    matching.map(|(offset, _)| offset).collect()
}

/// One segment per `.log` file, the first one made if there is none. Indexes without their `.log` file go.
fn open_segments(plan: &Plan<'_>, files: &BTreeMap<String, u64>) -> Result<Segments, StorageError> {
    let logs = offsets_with(files, LOG);
    for suffix in [INDEX, TIME_INDEX, TXN_INDEX] {
        for orphan in offsets_with(files, suffix).difference(&logs) {
            fs::remove_file(plan.folder.file(&offset_file(*orphan, suffix)))?;
        }
    }
    let mut segments = Segments::default();
    let mut following = logs.iter().skip(1);
    for base in &logs {
        let len = |suffix| files.get(&offset_file(*base, suffix)).copied();
        let whole = |len: u64, entry: usize| if len.is_multiple_of(entry as u64) { len / entry as u64 } else { 0 };
        let found = SegmentFiles {
            size: len(LOG).unwrap_or(0),
            offset_entries: whole(len(INDEX).unwrap_or(0), offset_index::ENTRY_BYTES),
            time_entries: whole(len(TIME_INDEX).unwrap_or(0), time_index::ENTRY_BYTES),
            transaction_entries: whole(len(TXN_INDEX).unwrap_or(0), transaction_index::ENTRY_BYTES),
        };
        let next = following.next().copied().unwrap_or(*base);
        let segment = Segment::new(Arc::clone(plan.folder), *base, next, found, plan.now_ms, jitter(plan.config));
        let unindexed = len(INDEX).is_none() || len(TIME_INDEX).is_none();
        let recovered_anyway = !plan.clean_shutdown && (next > plan.recovery_point || logs.last() == Some(base));
        if unindexed && found.size > 0 && !recovered_anyway {
            recovery::rebuild_indexes(&segment, plan.config, &plan.bounds((next != *base).then_some(next)))?;
        }
        segments.insert(Arc::new(segment));
    }
    if segments.len() == 0 {
        // An empty log is settled before its first roll: no later segment survives a crash without this one.
        segments.insert(Arc::new(create_segment(plan.folder, plan.log_start_offset.max(0), plan.config, plan.now_ms)?));
    }
    Ok(segments)
}

/// An empty segment with its file.
pub(crate) fn create_segment(
    folder: &Arc<LogFolder>,
    base_offset: i64,
    config: &LogConfig,
    now_ms: i64,
) -> Result<Segment, StorageError> {
    let files = SegmentFiles::default();
    let segment = Segment::new(Arc::clone(folder), base_offset, base_offset, files, now_ms, jitter(config));
    let made = segment
        .create_files()
        .and_then(|()| if config.preallocate { segment.preallocate(config.segment_bytes as u64) } else { Ok(()) });
    made.inspect_err(|_| remove_half_made(folder, base_offset))?;
    Ok(segment)
}

/// What a failed creation left behind: the next process would take an empty segment for the end of the log, although
/// appends have gone on in the one before.
fn remove_half_made(folder: &LogFolder, base_offset: i64) {
    for suffix in [LOG, INDEX, TIME_INDEX, TXN_INDEX] {
        let path = folder.file(&offset_file(base_offset, suffix));
        if fs::exists(&path)
            && let Err(error) = fs::remove_file(&path)
        {
            folder.dir.set_offline(&format!("a segment that could not be made cannot be removed: {error}"));
        }
    }
}

pub(crate) fn jitter(config: &LogConfig) -> i64 {
    match u64::try_from(config.segment_jitter_ms) {
        Ok(bound) if bound > 0 => i64::try_from(ottla_env::random::below(bound)).unwrap_or(0),
        Ok(_) | Err(_) => 0,
    }
}

/// Finds the end of the log. If the stop was clean but the last segment is not whole, or does not end where it did, all of
/// it is looked at, from its base offset on, which is the second value. If its end is damaged or missing, the log goes on in
/// a new segment behind everything that was given an offset: an offset never stands for two records.
fn load_end(
    plan: &Plan<'_>,
    segments: &mut Segments,
    epochs: &mut LeaderEpochCache,
    report: &mut RecoveryReport,
) -> Result<(i64, Option<i64>), StorageError> {
    let Some(active) = segments.active().cloned() else { return Ok((plan.log_start_offset, None)) };
    let doubt = match active.load_tail() {
        Ok(()) if !plan.clean_shutdown || plan.recovery_point == 0 || active.next_offset() == plan.recovery_point => {
            None
        }
        Ok(()) => Some(format!("the log ends at {}, not at {}", active.next_offset(), plan.recovery_point)),
        Err(error @ StorageError::NoBatch { .. }) => Some(error.to_string()),
        Err(other) => return Err(other),
    };
    let rescanned = doubt.is_some().then(|| active.base_offset());
    if let Some(reason) = doubt {
        let path = plan.folder.path();
        tracing::warn!(path = %path.display(), reason, "the stop was clean, but the last segment is not as it was left");
        // Behind the recovery point lies what nobody was promised: the zeros of a preallocated file perhaps.
        let durable = if plan.recovery_point > 0 { plan.recovery_point } else { i64::MAX };
        let until = Until { position: u64::MAX, offset: durable };
        active.verify(Around::Position(0), until, &plan.bounds(None))?;
        let scope = Scope { from: active.base_offset() + 1, durable };
        recovery::recover(plan, scope, segments, epochs, report)?;
        active.load_tail()?;
    }
    let end = active.next_offset();
    if end < plan.recovery_point {
        let reason = format!("the log ends at {end}, but everything below {} was on the device", plan.recovery_point);
        active.note_lost(end, plan.recovery_point, reason);
        report.damaged_ranges += 1;
    }
    if !active.ends_damaged() {
        return Ok((end, rescanned));
    }
    let end = end.max(plan.recovery_point);
    active.close_for_appends()?;
    segments.insert(Arc::new(create_segment(plan.folder, end, plan.config, plan.now_ms)?));
    Ok((end, rescanned))
}

/// What the power left lies wholly below the log start: the log is empty and goes on from there, as Kafka's does. What was
/// known of producers goes too: the markers of their transactions may be among what is lost, and nobody would end them.
fn start_behind(plan: &Plan<'_>, segments: &mut Segments, snapshots: &SnapshotFiles) -> Result<i64, StorageError> {
    if let Some(last) = segments.active() {
        last.close_for_appends()?;
    }
    let offset = plan.log_start_offset;
    segments.insert(Arc::new(create_segment(plan.folder, offset, plan.config, plan.now_ms)?));
    snapshots.remove_after(-1)?;
    Ok(offset)
}

/// The newest snapshot at or below `trusted`, and every batch behind it. Markers above `trusted` enter the transaction
/// index again, from which recovery dropped them.
///
/// `bounds` tells what lies around a segment, given where the next one begins.
pub(crate) fn load_producers(
    segments: &Segments,
    snapshots: &SnapshotFiles,
    trusted: i64,
    log_start_offset: i64,
    bounds: impl Fn(Option<i64>) -> Bounds,
) -> Result<ProducerState, StorageError> {
    // A snapshot from before the first segment cannot be brought up to date; a crash may have brought it back.
    snapshots.remove_before(segments.first().map_or(0, |segment| segment.base_offset()))?;
    let (mut from, mut state) = snapshots.latest(trusted)?.unwrap_or((log_start_offset, ProducerState::default()));
    from += i64::from(planted::is("producers are replayed from one offset behind the snapshot"));
    for segment in segments.from(from) {
        if segment.next_offset() <= from {
            continue;
        }
        let next = segments.after(segment.base_offset()).map(|next| next.base_offset());
        segment.examined(|| bounds(next), || replay(segment, trusted, &mut from, &mut state))?;
    }
    Ok(state)
}

/// Replays a segment's batches from `from` on, which moves along.
fn replay(segment: &Segment, trusted: i64, from: &mut i64, state: &mut ProducerState) -> Result<(), StorageError> {
    let size = segment.size();
    let file = segment.file()?;
    let Some(first) = segment.find(&file, *from, size, Access::MayWait)? else { return Ok(()) };
    let mut scanner = segment.scanner(&file, first.position, size);
    while let Some(at) = scanner.next()? {
        if !at.header.has_producer_id() || at.header.next_offset() <= *from {
            continue;
        }
        let marker = if at.header.is_control() { Marker::read(&read_batch(&file, &at)?) } else { None };
        *from = at.header.next_offset();
        if let Some(aborted) = state.replay(&at.header, marker)
            && at.header.base_offset >= trusted
        {
            segment.note_aborted(aborted)?;
        }
    }
    Ok(())
}
