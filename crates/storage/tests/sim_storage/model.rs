//! What one partition must hold: the batches that its log acknowledged, and what else may come back after a crash.
//!
//! ```text
//!   noted_start     start                    durable                 end
//!   ├─ may return ──┼──────── promised ──────┼── kept by a kill, ────┤
//!                                                lost by a power cut
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_env::fs;
use ottla_protocol::Uuid;
use ottla_protocol::record_batch::{self, BatchHeader};
use ottla_storage::{Log, LogConfig, ReadError};

use crate::compaction::{Pass, Rules, is_remnant};
use crate::transactions::{self, Transactions};

/// Batches of a producer that may be sent again and are recognised.
const WINDOW: usize = 5;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Batch {
    pub(crate) header: BatchHeader,
    pub(crate) bytes: Vec<u8>,
    /// Where the log ended when it was appended: between there and its first offset lies a gap that a leader's compaction
    /// has left.
    pub(crate) after: i64,
    /// As it was sent, if compaction has left less of it than that.
    sent: Option<Vec<u8>>,
    /// Compaction has left nothing of it. Producers and transactions remember it.
    pub(crate) is_gone: bool,
}

/// A record as it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Batch {
    pub(crate) fn new(bytes: Vec<u8>, after: i64) -> Self {
        let header = BatchHeader::read(&bytes).expect("a batch");
        Self { header, bytes, after, sent: None, is_gone: false }
    }

    /// The same batch, of which compaction has left this.
    pub(crate) fn compacted_to(&self, bytes: Vec<u8>) -> Self {
        Self { sent: Some(self.sent().to_vec()), ..Self::new(bytes, self.after) }
    }

    /// Whether compaction has changed it.
    pub(crate) fn is_compacted(&self) -> bool {
        self.is_gone || self.sent.is_some()
    }

    /// As it was when it was appended.
    pub(crate) fn sent(&self) -> &[u8] {
        self.sent.as_deref().unwrap_or(&self.bytes)
    }

    /// Its records.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut scratch = Vec::new();
        let records = record_batch::records(&self.bytes, &mut scratch, 1 << 20).expect("records");
        records
            .map(|record| record.expect("a record"))
            .map(|record| Record {
                offset: self.header.offset_of(&record),
                timestamp: self.header.timestamp_of(&record),
                key: record.key.unwrap_or_default().to_vec(),
                value: record.value.map(<[u8]>::to_vec),
            })
            .collect()
    }
}

/// What a producer sends next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Next {
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
    /// Whether the log must know the producer, so that anything else is refused.
    pub(crate) known: bool,
}

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
    pub(crate) id: Uuid,
    pub(crate) config: Arc<LogConfig>,
    /// Where a truncation may have cut it whose outcome nobody heard.
    cut: i64,
    /// Whether its log was made, so that it must be there.
    pub(crate) exists: bool,
    /// Whether there may be a copy of it that is to take its place.
    pub(crate) may_move: bool,
    /// In order. Those wholly below `start` are history: producers and transactions remember them.
    pub(crate) batches: Vec<Batch>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) high_watermark: i64,
    /// Everything below survives a loss of power.
    pub(crate) durable: i64,
    /// The newest leader epoch.
    pub(crate) epoch: i32,
    /// Since this offset the process has seen every batch itself.
    pub(crate) remembered_from: i64,
    /// What the last checkpoints that succeeded say.
    pub(crate) noted_start: i64,
    pub(crate) noted_high_watermark: i64,
    /// The most that a checkpoint may say: a truncation does not lower it.
    pub(crate) most_noted_high_watermark: i64,
    /// The latest log start: which epochs begin below it may be forgotten, though a crash takes the log start back.
    pub(crate) epochs_from: i64,
    /// The latest log start that any checkpoint may say.
    latest_start: i64,
    /// Whether the log start moved into the middle of a segment.
    pub(crate) start_was_raised: bool,
    /// A pass of the cleaner whose outcome is not known yet.
    pub(crate) pass: Option<Pass>,
    /// Up to where the last pass that came back has compacted it.
    pub(crate) cleaned_to: i64,
    /// Whether a pass ever looked at it.
    pub(crate) was_compacted: bool,
    /// First offsets of the batches of which something has rotted.
    pub(crate) rotten: BTreeSet<i64>,
    /// What was written, or may have been, but not acknowledged, or acknowledged and then lost: a crash may bring it back.
    ghosts: BTreeMap<i64, Vec<Batch>>,
}

impl Part {
    pub(crate) fn new(topic: &'static str, partition: i32, id: Uuid, config: Arc<LogConfig>) -> Self {
        Self {
            topic,
            partition,
            id,
            config,
            cut: i64::MAX,
            exists: false,
            may_move: false,
            batches: Vec::new(),
            start: 0,
            end: 0,
            high_watermark: 0,
            durable: 0,
            epoch: 0,
            remembered_from: 0,
            noted_start: 0,
            noted_high_watermark: 0,
            most_noted_high_watermark: 0,
            epochs_from: 0,
            latest_start: 0,
            start_was_raised: false,
            pass: None,
            cleaned_to: 0,
            was_compacted: false,
            rotten: BTreeSet::new(),
            ghosts: BTreeMap::new(),
        }
    }

    pub(crate) fn append(&mut self, batch: Batch) {
        assert!(batch.header.base_offset >= self.end, "offsets follow one another");
        self.end = batch.header.next_offset();
        self.epoch = self.epoch.max(batch.header.partition_leader_epoch);
        self.batches.push(batch);
    }

    /// High watermark and log start are about to be noted.
    pub(crate) fn may_note(&mut self) {
        self.latest_start = self.latest_start.max(self.start);
        self.most_noted_high_watermark = self.most_noted_high_watermark.max(self.high_watermark);
    }

    /// Where the last batch ends; the log may end behind it.
    pub(crate) fn last_batch_end(&self) -> i64 {
        self.batches.last().map_or(self.end, |batch| batch.header.next_offset().max(self.start))
    }

    pub(crate) fn add_ghosts(&mut self, batches: Vec<Batch>) {
        for batch in batches {
            self.ghosts.entry(batch.header.base_offset).or_default().push(batch);
        }
    }

    /// The log says that everything below `offset` survives a loss of power.
    pub(crate) fn promised(&mut self, offset: i64) {
        assert!(offset <= self.end, "{offset} is said to be durable, the log ends at {}", self.end);
        self.durable = self.durable.max(offset);
        let durable = self.durable;
        self.ghosts.retain(|ghost, _| *ghost >= durable);
    }

    /// The log was cut at `offset`, the border of a batch; what was behind it stays away.
    pub(crate) fn truncate(&mut self, offset: i64) {
        self.epochs_from = self.known_from();
        self.forget_what_was_compacted(offset);
        let cut = self.batches.partition_point(|batch| batch.header.next_offset() <= offset);
        self.batches.truncate(cut);
        (self.end, self.remembered_from) = (offset, offset);
        self.bound_by(offset);
        self.ghosts.clear();
    }

    /// As [`Self::truncate`], but nobody knows whether it happened.
    pub(crate) fn may_be_cut_at(&mut self, offset: i64) {
        let is_lost = |batch: &&Batch| batch.header.next_offset() > offset && !batch.is_gone;
        let lost: Vec<Batch> = self.batches.iter().filter(is_lost).cloned().collect();
        self.add_ghosts(lost);
        for promise in [&mut self.durable, &mut self.noted_start, &mut self.noted_high_watermark] {
            *promise = (*promise).min(offset);
        }
        self.cut = self.cut.min(offset);
    }

    /// Everything may be gone, or anything of it there.
    pub(crate) fn may_be_anything(&mut self, offset: i64) {
        self.may_be_cut_at(0);
        self.start = self.start.max(offset);
    }

    fn bound_by(&mut self, offset: i64) {
        for low in [
            &mut self.start,
            &mut self.durable,
            &mut self.high_watermark,
            &mut self.noted_start,
            &mut self.noted_high_watermark,
            &mut self.epochs_from,
            &mut self.cleaned_to,
        ] {
            *low = (*low).min(offset);
        }
        self.rotten.retain(|base| *base < offset);
    }

    /// Retention has moved the log start to `start` and left so many bytes: not without reason, and not too far.
    pub(crate) fn retained(&mut self, start: i64, bytes_left: u64, now_ms: i64) {
        let config = Arc::clone(&self.config);
        assert!(start == self.start || start <= self.high_watermark, "removed up to {start}, above the high watermark");
        let old = |batch: &Batch| config.retention_ms >= 0 && now_ms - batch.header.max_timestamp > config.retention_ms;
        let too_many = u64::try_from(config.retention_bytes).is_ok_and(|bytes| bytes_left >= bytes);
        assert!(start == self.start || config.cleanup_policy.delete, "removed up to {start}, but only compaction may");
        let removed = self.visible().filter(|batch| batch.header.next_offset() <= start);
        // Of what has rotted nobody knows how old it was.
        for batch in removed.filter(|batch| !self.has_rotted(batch)) {
            assert!(old(batch) || too_many, "{:?} was removed, {bytes_left} bytes are left, {config:?}", batch.header);
        }
        // A segment may hold younger records below the log start.
        let is_compacted = config.cleanup_policy.compact || self.batches.iter().any(|batch| batch.is_compacted());
        let is_known = !is_compacted && self.rotten.is_empty();
        if self.high_watermark == self.end && self.batches.iter().all(old) && is_known {
            assert_eq!(start, self.end, "everything is too old");
        }
        self.start = start;
    }

    pub(crate) fn restart_at(&mut self, offset: i64) {
        self.batches.clear();
        self.ghosts.clear();
        self.rotten.clear();
        (self.start, self.end, self.high_watermark, self.remembered_from) = (offset, offset, offset, offset);
        (self.durable, self.noted_start, self.noted_high_watermark, self.epochs_from) = (offset, offset, 0, offset);
        self.cleaned_to = offset;
        self.start_was_raised = false;
    }

    /// The batches that can be read.
    pub(crate) fn visible(&self) -> impl DoubleEndedIterator<Item = &Batch> {
        self.batches.iter().filter(|batch| !batch.is_gone && batch.header.next_offset() > self.start)
    }

    /// The first batch that reaches beyond `offset`, and those behind it.
    pub(crate) fn from(&self, offset: i64) -> Vec<&Batch> {
        let at = self.batches.partition_point(|batch| batch.header.next_offset() <= offset);
        self.batches[at..].iter().filter(|batch| !batch.is_gone).collect()
    }

    /// The last batches of a producer's epoch, the latest first, that the log must know.
    pub(crate) fn window(&self, producer_id: i64) -> impl Iterator<Item = &Batch> {
        let epoch = self.epoch_of(producer_id);
        self.batches
            .iter()
            .rev()
            .filter(|batch| batch.header.next_offset() > self.start)
            .filter(move |batch| batch.header.producer_id == producer_id && !batch.header.is_control())
            .take_while(move |batch| Some(batch.header.producer_epoch) == epoch)
            .take_while(|batch| batch.header.base_offset >= self.known_from())
            .take(WINDOW)
    }

    /// What lies below may be forgotten by producers and epochs, though a crash may take the log start back there.
    pub(crate) fn known_from(&self) -> i64 {
        self.start.max(self.epochs_from)
    }

    /// The epoch of a producer's last batch or marker.
    fn epoch_of(&self, producer_id: i64) -> Option<i16> {
        let last = self.batches.iter().rev().find(|batch| batch.header.producer_id == producer_id);
        last.map(|batch| batch.header.producer_epoch)
    }

    /// How a producer continues.
    pub(crate) fn next(&self, producer_id: i64) -> Next {
        let Some(epoch) = self.epoch_of(producer_id) else { return Next { epoch: 0, sequence: 0, known: false } };
        let own = |batch: &&Batch| batch.header.producer_id == producer_id && batch.header.producer_epoch == epoch;
        let last = self.batches.iter().rev().filter(own).find(|batch| !batch.header.is_control());
        Next {
            epoch,
            sequence: last.map_or(0, |batch| batch.header.last_sequence() + 1),
            known: last.is_some_and(|batch| batch.header.base_offset >= self.known_from()),
        }
    }

    /// Nothing behind `offset` is there any more. Of a producer, compaction has kept the last batch: if that was one of those,
    /// what came before is forgotten.
    fn forget_what_was_compacted(&mut self, offset: i64) {
        let mut compacted =
            self.batches.iter().filter(|batch| batch.is_compacted()).map(|batch| batch.header.next_offset());
        if let Some(last) = compacted.rfind(|end| *end <= offset) {
            self.epochs_from = self.epochs_from.max(last);
        }
    }

    pub(crate) fn transactions(&self) -> Transactions {
        transactions::replay(&self.batches)
    }

    /// A copy of a log that holds nothing up to its end begins there.
    fn holds_nothing_before(&self, start: i64) -> bool {
        let was_compacted = self.was_compacted || self.config.cleanup_policy.compact;
        was_compacted && !self.from(self.start).iter().any(|b| b.header.base_offset < start)
    }

    /// It has moved, and begins there now.
    pub(crate) fn begins_at(&mut self, start: i64) {
        assert!(start == self.start || start > self.start && self.holds_nothing_before(start), "it begins at {start}");
        self.start = start;
        self.high_watermark = self.high_watermark.max(start);
    }

    /// After an unclean start: takes over what the log holds now, having checked that it may.
    ///
    /// Below some offset nothing may be missing: all of the log after a kill, what was flushed after a power cut. From there
    /// on a batch is what was written at its offset at some time, and they follow one another, with epochs that never fall.
    pub(crate) fn adopt(&mut self, log: &Log, power_cut: bool) {
        let kept = if power_cut { self.durable } else { self.end }.min(self.cut);
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        if power_cut && self.durable <= self.start && end == 0 {
            // It was never flushed: it was made again.
            self.noted_start = 0;
        }
        assert!(start >= self.noted_start, "the log starts at {start}, the checkpoint said {}", self.noted_start);
        // An empty log may take up a log start that was noted once.
        let latest = if start == end { self.latest_start.max(self.start) } else { self.start.min(end.max(kept)) };
        let was_compacted = self.was_compacted || self.config.cleanup_policy.compact;
        assert!(start <= latest || self.holds_nothing_before(start), "the log starts at {start}, not {}", self.start);
        assert!(end >= kept, "the log ends at {end}, though {kept} was promised");
        let mut told = Vec::new();
        let found = read_past(log, start, |range| told.push(range));
        let rules = self.rules();
        let may_be_gone = |batch: &Batch| batch.is_gone || rules.as_ref().is_some_and(|rules| rules.may_vanish(batch));
        let tolerant = power_cut && was_compacted;
        let bases = segment_bases(log);
        // What compaction may leave cannot be told from what was lost between two segments, if that was not promised: from
        // somewhere in a segment up to its end, behind which the next one begins.
        let may_be_lost = |batch: &Batch, before: i64| {
            let is_end_of_segment = bases.range(batch.header.next_offset()..=before).next().is_some();
            tolerant && batch.header.base_offset >= kept && is_end_of_segment
        };
        // What the power tore right behind what has rotted cannot be told from it.
        let is_torn = |batch: &Batch| {
            let base = batch.header.base_offset;
            power_cut && base >= kept && told.iter().any(|(first, end)| (*first..*end).contains(&base))
        };
        let (mut next, mut epoch, mut forgotten_to, mut lost_from) = (start, i32::MIN, 0, end);
        let mut adopted: Vec<Batch> = Vec::with_capacity(found.len());
        for bytes in &found {
            let header = BatchHeader::read(bytes).expect("a batch");
            let first = header.base_offset;
            assert!(next < header.next_offset(), "offset {next} is followed by {first}");
            assert!(header.partition_leader_epoch >= epoch, "epochs fall at {first}");
            let batch = self
                .known(bytes, first < kept, rules.as_ref())
                .unwrap_or_else(|| panic!("{header:?} was never written"));
            // What is gone because it is below the log start may have gone in part.
            let reached = next.max(self.start);
            let reaches = |b: &&Batch| b.header.base_offset >= reached || self.is_rotten_behind(b, reached);
            let between = self.batches.iter().filter(|b| b.header.base_offset < first).filter(reaches);
            let lost =
                between.clone().filter(|batch| !may_be_gone(batch) && !self.has_rotted(batch) && !is_torn(batch));
            let is_hole = first > reached && batch.after > reached && !lost.clone().all(|b| may_be_lost(b, first));
            assert!(!is_hole, "offset {next} is followed by {first}: a hole");
            lost_from = lost.map(|batch| batch.header.base_offset).fold(lost_from, i64::min);
            let gone = between.filter(|batch| may_be_gone(batch) || self.has_rotted(batch));
            if tolerant {
                // It may be the power that took them, and with them what was known of their producers.
                let unsure = gone.clone().filter(|batch| !batch.is_gone && batch.header.base_offset >= kept);
                forgotten_to = unsure.map(|batch| batch.header.next_offset()).fold(forgotten_to, i64::max);
            }
            adopted.extend(gone.map(|batch| Batch { is_gone: !self.has_rotted(batch), ..batch.clone() }));
            (next, epoch) = (header.next_offset(), header.partition_leader_epoch);
            adopted.push(batch);
        }
        let reaches = |b: &&Batch| b.header.base_offset >= next || self.is_rotten_behind(b, next);
        let missing = self.batches.iter().filter(|batch| batch.header.base_offset < end).filter(reaches);
        let rotten: Vec<Batch> = missing.clone().filter(|batch| self.has_rotted(batch)).cloned().collect();
        let is_let_pass = |batch: &Batch| may_be_gone(batch) || may_be_lost(batch, end) || self.has_rotted(batch);
        let may_be_open =
            end <= self.start || ((was_compacted || !rotten.is_empty()) && missing.clone().all(is_let_pass));
        assert!(next == end || (next < end && may_be_open), "everything from {next} to {end} can be read");
        adopted.extend(rotten);
        let first = adopted.first().map_or(end, |batch| batch.header.base_offset);
        self.batches.retain(|batch| batch.header.next_offset() <= start && batch.header.base_offset < first);
        self.batches.append(&mut adopted);
        self.epochs_from = self.epochs_from.max(self.start).max(forgotten_to);
        if lost_from < self.end {
            self.forget_what_was_compacted(lost_from);
        }
        (self.start, self.end) = (start, end);
        self.pass = None;
        self.close_gaps();
        self.epoch = self.epoch.max(epoch);
        self.restarted(log);
        self.bound_by(end);
        self.check_told(log, start, &found, &told);
        self.check_damaged(log);
    }

    /// A batch of these bytes that was acknowledged or, if that is enough, one that may have come back.
    fn known(&self, bytes: &[u8], promised_only: bool, rules: Option<&Rules>) -> Option<Batch> {
        let first = BatchHeader::read(bytes).expect("a batch").base_offset;
        let at = self.batches.partition_point(|batch| batch.header.base_offset < first);
        let here = self.batches.get(at).filter(|batch| batch.header.base_offset == first && !batch.is_gone);
        let promised = here.filter(|batch| batch.bytes == bytes).cloned();
        let compacted = || {
            let (old, rules) = (here?, rules?);
            let new = old.compacted_to(bytes.to_vec());
            rules.judge(old, &new).is_ok().then_some(new)
        };
        // A start that goes back brings up what has been compacted out of sight.
        let unseen = || {
            let old = here.filter(|old| old.header.next_offset() <= self.start && self.was_compacted)?;
            let new = old.compacted_to(bytes.to_vec());
            is_remnant(old, &new).is_ok().then_some(new)
        };
        let ghost = || self.ghosts.get(&first)?.iter().find(|batch| batch.bytes == bytes).cloned();
        promised.or_else(compacted).or_else(unseen).or_else(|| if promised_only { None } else { ghost() })
    }

    /// A new process has opened the log.
    pub(crate) fn restarted(&mut self, log: &Log) {
        let high_watermark = log.high_watermark();
        let noted = self.noted_high_watermark.clamp(self.start, self.end);
        assert!(high_watermark >= noted, "high watermark {high_watermark}, noted {noted}");
        let most = self.high_watermark.max(self.most_noted_high_watermark).max(self.start);
        assert!(high_watermark <= most.min(self.end), "high watermark {high_watermark} was at most {most}");
        self.high_watermark = high_watermark;
        self.remembered_from = self.end;
        self.cut = i64::MAX;
        self.ghosts.clear();
    }
}

/// Where its segments begin.
fn segment_bases(log: &Log) -> BTreeSet<i64> {
    let names = fs::read_dir(log.path()).expect("listed").into_iter().map(|entry| entry.name);
    names.filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect()
}

/// Reads to the end, as a follower does: the batches.
pub(crate) fn read_all(log: &Log, offset: i64) -> Vec<Vec<u8>> {
    read_past(log, offset, |(first, end)| panic!("{first}..{end} is told to be damaged"))
}

/// As [`read_all`], but goes on behind what is told to be damaged.
pub(crate) fn read_past(log: &Log, mut offset: i64, mut told: impl FnMut((i64, i64))) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while offset < log.log_end_offset() {
        let info = match log.read_verified(offset, 16_384, i64::MAX, true) {
            Err(ReadError::Damaged { first_offset, end_offset }) => {
                assert!((first_offset..end_offset).contains(&offset), "{offset} lies in {first_offset}..{end_offset}");
                told((first_offset, end_offset));
                offset = end_offset;
                continue;
            }
            read => read.expect("read"),
        };
        let Some(slice) = info.slice else { break };
        let bytes = slice.read().expect("whole");
        for item in record_batch::batches(&bytes) {
            let (header, batch) = item.expect("a batch");
            assert!(record_batch::check_crc(batch), "the batch at {} is not what was written", header.base_offset);
            all.push(batch.to_vec());
            offset = header.next_offset();
        }
    }
    all
}
