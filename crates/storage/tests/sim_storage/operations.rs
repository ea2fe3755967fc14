//! What is done to a partition, weighted anew for each run: a run that never rolls, or does little but truncate, finds
//! other bugs than an even mixture.

use std::time::Duration;

use ottla_env::sim::{is_dying, note};
use ottla_env::{random, time};
use ottla_protocol::record_batch::BatchOptions;
use ottla_storage::{AppendError, AppendOrigin};

use crate::batches;
use crate::chance;
use crate::model::{Batch, Part};
use crate::run::{End, InFlight, Run, TOPICS};
use crate::settings;

pub(crate) const IDEMPOTENT: [i64; 3] = [100, 101, 102];
pub(crate) const TRANSACTIONAL: [i64; 3] = [200, 201, 202];

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Append,
    AppendIdempotent,
    AppendTransactional,
    EndTransaction,
    Replicate,
    Repeat,
    Refuse,
    Fetch,
    LookUp,
    RaiseHighWatermark,
    Lead,
    Flush,
    VisitFlushers,
    VisitCheckpoints,
    VisitNotes,
    VisitIdle,
    Retention,
    DeleteRecords,
    Clean,
    Truncate,
    RestartAt,
    CreateTopic,
    DeleteTopic,
    Move,
    MoveOverPowerCut,
    Configure,
    PassTime,
    BreakDisk,
    FillDisk,
    Restart,
    Rot,
}

/// How often each is done in an even mixture.
const USUAL: [(Operation, u64); 31] = [
    (Operation::Append, 12),
    (Operation::AppendIdempotent, 12),
    (Operation::AppendTransactional, 12),
    (Operation::EndTransaction, 8),
    (Operation::Replicate, 8),
    (Operation::Repeat, 4),
    (Operation::Refuse, 3),
    (Operation::Fetch, 14),
    (Operation::LookUp, 5),
    (Operation::RaiseHighWatermark, 10),
    (Operation::Lead, 2),
    (Operation::Flush, 5),
    (Operation::VisitFlushers, 5),
    (Operation::VisitCheckpoints, 3),
    (Operation::VisitNotes, 3),
    (Operation::VisitIdle, 3),
    (Operation::Retention, 4),
    (Operation::DeleteRecords, 3),
    (Operation::Clean, 8),
    (Operation::Truncate, 3),
    (Operation::RestartAt, 1),
    (Operation::CreateTopic, 2),
    (Operation::DeleteTopic, 1),
    (Operation::Move, 6),
    (Operation::MoveOverPowerCut, 3),
    (Operation::Configure, 1),
    (Operation::PassTime, 4),
    (Operation::BreakDisk, 1),
    (Operation::FillDisk, 1),
    (Operation::Restart, 4),
    (Operation::Rot, 4),
];

const OFTEN: u64 = 10;
/// In one of so many runs bits rot; devices neither fail nor get full in it.
const ROTTEN: u64 = 8;

/// The mixture of one run.
#[derive(Debug)]
pub(crate) struct Weights {
    drawn: Vec<(Operation, u64)>,
    favours_compaction: bool,
}

impl Weights {
    /// At random; these are done `OFTEN` times as often as usually.
    pub(crate) fn draw(often: &[Operation]) -> Self {
        let vary = |weight: u64| weight * [0, 1, 2, 2, 4][chance(5)];
        let kept = |operation| {
            matches!(operation, Operation::Append | Operation::Fetch | Operation::CreateTopic | Operation::Rot)
        };
        let varied = |(operation, weight)| (operation, if kept(operation) { weight * 2 } else { vary(weight) });
        let rots = chance(ROTTEN) == 0 || often.contains(&Operation::Rot);
        let is_left_out = |operation: &Operation| match operation {
            Operation::Rot => !rots,
            Operation::BreakDisk | Operation::FillDisk => rots,
            _ => false,
        };
        let mut drawn = USUAL.map(varied);
        for ((operation, weight), (_, usual)) in drawn.iter_mut().zip(USUAL) {
            if often.contains(operation) {
                *weight = usual * OFTEN;
            }
            if is_left_out(operation) {
                *weight = 0;
            }
        }
        let favours_compaction = [Operation::Clean, Operation::MoveOverPowerCut].iter().any(|one| often.contains(one));
        Self { drawn: drawn.to_vec(), favours_compaction }
    }

    /// Whether what is done often needs topics that are compacted.
    pub(crate) fn favours_compaction(&self) -> bool {
        self.favours_compaction
    }

    fn next(&self) -> Operation {
        let total: u64 = self.drawn.iter().map(|(_, weight)| weight).sum();
        let mut draw = random::below(total);
        for (operation, weight) in &self.drawn {
            match draw.checked_sub(*weight) {
                Some(rest) => draw = rest,
                None => return *operation,
            }
        }
        unreachable!("the draw is below the total")
    }
}

/// One of a few.
pub(crate) fn one_of<T: Copy>(choices: &[T]) -> T {
    choices[chance(choices.len() as u64)]
}

/// An offset of `low..=high`.
fn offset_within(low: i64, high: i64) -> i64 {
    low + i64::try_from(random::below(u64::try_from(high - low).expect("not empty") + 1)).expect("small")
}

impl Run {
    pub(crate) fn step(&mut self) {
        let operation = self.weights.next();
        let Some(at) = self.any_part() else { return self.without_partition(operation) };
        let part = &self.parts[at];
        note(&format!("{operation:?}, {}-{}: {}..{}", part.topic, part.partition, part.start, part.end));
        match operation {
            Operation::Append => self.append(at, batches::batch(BatchOptions::default()), AppendOrigin::Client),
            Operation::AppendIdempotent => self.append_by(at, one_of(&IDEMPOTENT), false),
            Operation::AppendTransactional => self.append_by(at, one_of(&TRANSACTIONAL), true),
            Operation::EndTransaction => self.end_transaction(at),
            Operation::Replicate => self.replicate(at),
            Operation::Repeat => self.repeat(at),
            Operation::Refuse => self.refuse(at),
            Operation::Fetch => self.fetch(at),
            Operation::LookUp => self.look_up(at),
            Operation::RaiseHighWatermark => self.raise_high_watermark(at),
            Operation::Lead => self.lead(at),
            Operation::Flush => self.flush(at),
            Operation::VisitFlushers => self.manager().visit_flushers(),
            Operation::VisitCheckpoints => self.manager().visit_checkpoints(),
            Operation::VisitNotes => self.visit_notes(),
            Operation::VisitIdle => self.manager().visit_idle(time::wall_clock_ms()),
            Operation::Retention => self.retention(at),
            Operation::DeleteRecords => self.delete_records(at),
            Operation::Clean => self.clean(),
            Operation::Truncate => self.truncate(at),
            Operation::RestartAt => self.restart_at(at),
            Operation::CreateTopic => self.create_topic(),
            Operation::DeleteTopic => self.delete_topic(at),
            Operation::Move => self.move_on(at),
            Operation::MoveOverPowerCut => self.move_over_a_power_cut(at),
            Operation::Configure => self.configure(at),
            Operation::PassTime => time::sleep_thread(Duration::from_millis(1 + random::below(4_000))),
            Operation::BreakDisk => self.break_disk(),
            Operation::FillDisk => self.fill_or_free_disk(),
            Operation::Restart => self.restart_somehow(),
            Operation::Rot => {
                self.rot_is_due = true;
                self.restart_somehow();
            }
        }
        self.after_step();
    }

    /// There is none, or its directory is offline: that must be told to whoever asks.
    fn without_partition(&mut self, operation: Operation) {
        for at in 0..self.parts.len() {
            if self.parts[at].exists {
                let log = self.log(at);
                let mut batch = batches::batch(BatchOptions::default());
                let appended = log.append_as_leader(&mut batch, i32::MAX, AppendOrigin::Client, time::wall_clock_ms());
                assert!(matches!(appended, Err(AppendError::Storage(_))), "offline, but {appended:?}");
                assert!(log.read(log.log_start_offset(), 1_000, i64::MAX, true).is_err(), "offline, but read");
            }
        }
        match operation {
            Operation::Restart | Operation::Rot => self.restart_somehow(),
            _ if self.parts.is_empty() => self.create_topic(),
            _ => self.restart(End::PowerCut),
        }
    }

    fn append(&mut self, at: usize, bytes: Vec<u8>, origin: AppendOrigin) {
        let mut bytes = bytes;
        let log = self.log(at);
        let (end, epoch) = (self.parts[at].end, self.parts[at].epoch);
        let result = log.append_as_leader(&mut bytes, epoch, origin, time::wall_clock_ms());
        // As it was numbered, if it got so far.
        let batch = Batch::new(bytes, self.parts[at].last_batch_end());
        let open = InFlight::Append(if batch.header.base_offset == end { vec![batch.clone()] } else { Vec::new() });
        let (full, flushes) = (self.is_full(), self.parts[at].config.flush_messages != i64::MAX);
        let settled = self.settle(at, result, open);
        if settled.is_none() && full && flushes && self.is_appended(at, &batch) {
            // Written, but on a full disk the flush did not succeed that had to follow.
            self.parts[at].append(batch);
        } else if let Some(info) = settled {
            assert!(!info.duplicate && info.first_offset == end, "{info:?}, the log ended at {end}");
            assert_eq!(info.last_offset, batch.header.last_offset());
            self.parts[at].append(batch);
            let log = self.log(at);
            let in_flush_mode = self.parts[at].config.flush_messages == 1;
            assert_eq!(
                log.ack_offset() == self.parts[at].end,
                !log.is_flush_due(),
                "what needs no flush may be acknowledged"
            );
            assert!(!in_flush_mode || log.ack_offset() <= log.flushed_offset(), "acknowledged, but not flushed");
            if log.is_flush_due() && chance(3) > 0 {
                return self.flush(at);
            }
            if chance(2) == 0 {
                self.raise_high_watermark_to(at, self.parts[at].end);
            }
        }
    }

    /// Whether a batch is in the log of a process that goes on, although its append failed.
    fn is_appended(&self, at: usize, batch: &Batch) -> bool {
        let next = batch.header.next_offset();
        self.parts.get(at).is_some_and(|part| part.end < next && self.log(at).log_end_offset() == next)
    }

    fn append_by(&mut self, at: usize, producer_id: i64, transactional: bool) {
        let next = self.parts[at].next(producer_id);
        // A producer of which the log may have forgotten all but a marker begins a new epoch, as it would after a refusal.
        let forgotten = !next.known && next.sequence > 0;
        let (epoch, sequence) =
            if forgotten || chance(12) == 0 { (next.epoch + 1, 0) } else { (next.epoch, next.sequence) };
        self.append(at, batches::batch_by(producer_id, epoch, sequence, transactional), AppendOrigin::Client);
    }

    fn end_transaction(&mut self, at: usize) {
        let open: Vec<i64> = self.parts[at].transactions().open.into_keys().collect();
        if open.is_empty() {
            return;
        }
        let producer_id = one_of(&open);
        if chance(4) == 0 {
            self.coordinator_epoch += 1;
        }
        // Since KIP-890 a marker raises the producer's epoch.
        let epoch = self.parts[at].next(producer_id).epoch + i16::from(chance(3) == 0);
        let marker = batches::marker(producer_id, epoch, self.coordinator_epoch, chance(2) == 0);
        self.append(at, marker, AppendOrigin::Coordinator);
    }

    /// A follower appends what its leader has: one batch or several, sometimes behind a gap, sometimes of a new epoch.
    fn replicate(&mut self, at: usize) {
        let part = &mut self.parts[at];
        if chance(6) == 0 {
            part.epoch += 1;
        }
        let (mut end, mut epoch, mut sent, mut next) = (part.end, part.epoch, Vec::new(), part.next(IDEMPOTENT[0]));
        for _ in 0..=chance(3) {
            let gap = if chance(10) == 0 { i64::try_from(random::below(4)).expect("small") } else { 0 };
            let mut options = BatchOptions { base_offset: end + gap, leader_epoch: epoch, ..BatchOptions::default() };
            if chance(3) == 0 {
                (options.producer_id, options.producer_epoch) = (IDEMPOTENT[0], next.epoch);
                options.base_sequence = next.sequence;
            }
            let after =
                sent.last().map_or(self.parts[at].last_batch_end(), |before: &Batch| before.header.next_offset());
            let batch = Batch::new(batches::batch(options), after);
            if batch.header.has_producer_id() {
                next.sequence = batch.header.last_sequence() + 1;
            }
            end = batch.header.next_offset();
            sent.push(batch);
            epoch += i32::from(chance(12) == 0);
        }
        let bytes: Vec<u8> = sent.iter().flat_map(|batch| batch.bytes.iter().copied()).collect();
        let result = self.log(at).append_as_follower(&bytes);
        let (full, flushes) = (self.is_full(), self.parts[at].config.flush_messages != i64::MAX);
        let settled = self.settle(at, result, InFlight::Append(sent.clone())).is_some();
        if settled || (full && flushes && sent.last().is_some_and(|last| self.is_appended(at, last))) {
            sent.into_iter().for_each(|batch| self.parts[at].append(batch));
        }
    }

    fn raise_high_watermark(&mut self, at: usize) {
        let part = &self.parts[at];
        let borders = part.from(part.high_watermark).into_iter().map(|batch| batch.header.next_offset());
        let ahead: Vec<i64> = borders.collect();
        if !ahead.is_empty() {
            self.raise_high_watermark_to(at, one_of(&ahead));
        }
    }

    /// As a leader does it: its own part is what it may acknowledge.
    fn raise_high_watermark_to(&mut self, at: usize, offset: i64) {
        if offset > self.log(at).ack_offset() {
            return;
        }
        self.log(at).set_high_watermark(offset);
        self.parts[at].high_watermark = self.parts[at].high_watermark.max(offset);
    }

    fn lead(&mut self, at: usize) {
        self.parts[at].epoch += 1;
        let led = self.log(at).start_leader_epoch(self.parts[at].epoch);
        self.settle(at, led, InFlight::Nothing);
    }

    pub(crate) fn flush(&mut self, at: usize) {
        let flushed = self.log(at).flush();
        if self.settle(at, flushed, InFlight::Nothing).is_some() {
            let end = self.parts[at].end;
            assert_eq!(self.log(at).flushed_offset(), end, "flushed");
            self.parts[at].promised(end);
        }
    }

    fn visit_notes(&mut self) {
        self.parts.iter_mut().for_each(Part::may_note);
        let noted = self.manager().visit_notes();
        if noted && !is_dying() {
            for at in (0..self.parts.len()).filter(|at| self.parts[*at].exists).collect::<Vec<_>>() {
                if self.log(at).dir().check_online().is_ok() {
                    let noted_start = self.noted_log_start(at);
                    let part = &mut self.parts[at];
                    part.noted_high_watermark = part.high_watermark;
                    part.noted_start = noted_start.unwrap_or(part.noted_start);
                }
            }
        }
    }

    /// What the checkpoint says; nothing if the log starts with its first segment.
    fn noted_log_start(&self, at: usize) -> Option<i64> {
        let path = self.log(at).dir().path().join("log-start-offset-checkpoint");
        let noted = self.with_a_sound_disk(|| ottla_storage::checkpoint::read(&path).expect("just written"));
        noted.get(&(std::sync::Arc::from(self.parts[at].topic), self.parts[at].partition)).copied()
    }

    fn retention(&mut self, at: usize) {
        let (log, now_ms) = (self.log(at), time::wall_clock_ms());
        let result = log.delete_old_segments(now_ms);
        let open = InFlight::Start(self.parts[at].high_watermark);
        let done = self.settle(at, result, open).is_some();
        if self.parts.get(at).is_some_and(|part| part.exists) && done {
            let log = self.log(at);
            self.parts[at].retained(log.log_start_offset(), log.size_bytes(), now_ms);
        } else if let Ok(()) = self.log(at).dir().check_online() {
            // It may have failed behind the removal.
            let start = self.log(at).log_start_offset();
            self.parts[at].start = self.parts[at].start.max(start);
        }
    }

    fn delete_records(&mut self, at: usize) {
        let part = &self.parts[at];
        let offset = offset_within(part.start, part.high_watermark.max(part.start));
        // Somebody asked for it, who is promised more than a follower that takes over its leader's log start.
        let asked = chance(2) == 0;
        let log = self.log(at);
        let raised = if asked { log.delete_records_before(offset) } else { log.advance_log_start_offset(offset) };
        if self.settle(at, raised, InFlight::Start(offset)).is_some() {
            let part = &mut self.parts[at];
            if asked && offset > part.start {
                part.noted_start = offset;
            }
            part.start_was_raised |= part.start != offset;
            part.start = offset;
        }
    }

    /// A follower that learns of a new leader: its log is cut at a batch, the epoch rises.
    fn truncate(&mut self, at: usize) {
        // A log that is cut behind a gap ends there until the next start, and then before the gap: as Kafka's does.
        let whole = self.parts[at].visible().filter(|batch| batch.after == batch.header.base_offset);
        let borders: Vec<i64> = whole.map(|batch| batch.header.base_offset).collect();
        let tail = borders.len().saturating_sub(1 + chance(6));
        let Some(&offset) = borders.get(tail).filter(|offset| **offset >= self.parts[at].start) else { return };
        let cut = self.log(at).truncate_to(offset);
        if self.settle(at, cut, InFlight::Cut(offset)).is_some() {
            self.parts[at].truncate(offset);
        }
        if let Some(part) = self.parts.get_mut(at) {
            part.epoch += 1;
        }
    }

    /// A follower whose leader has deleted everything that it holds.
    fn restart_at(&mut self, at: usize) {
        let offset = self.parts[at].end + i64::try_from(random::below(50)).expect("small");
        let cut = self.log(at).truncate_fully_and_start_at(offset);
        if self.settle(at, cut, InFlight::Anything(offset)).is_some() {
            self.parts[at].restart_at(offset);
        }
        self.parts[at].epoch += 1;
    }

    fn create_topic(&mut self) {
        let (topic, partition) = (one_of(&TOPICS), i32::try_from(chance(2)).expect("small"));
        if self.parts.iter().any(|part| (part.topic, part.partition) == (topic, partition)) {
            return;
        }
        let of_topic = self.parts.iter().find(|part| part.topic == topic).map(|part| part.id);
        let id = of_topic.unwrap_or_else(|| self.new_topic_id());
        let config = self.config(topic);
        self.parts.push(Part::new(topic, partition, id, std::sync::Arc::clone(&config)));
        let made = self.manager().create(topic, partition, id, config);
        if is_dying() {
            return self.die();
        }
        match made {
            Ok(log) => {
                assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 0), "a new log is empty");
                if let Some(part) = self.parts.last_mut() {
                    part.exists = true;
                }
            }
            // The next start makes it.
            Err(error) => note(&format!("not made: {error}")),
        }
    }

    /// The whole topic goes: metadata forgets it first.
    fn delete_topic(&mut self, at: usize) {
        let topic = self.parts[at].topic;
        let gone: Vec<Part> = self.parts.extract_if(.., |part| part.topic == topic).collect();
        self.configs.lock().remove(topic);
        let mut all_gone = gone.iter().all(|part| part.exists);
        for part in gone.iter().filter(|part| part.exists) {
            if self.manager().get(topic, part.partition).is_none_or(|log| log.dir().check_online().is_err()) {
                all_gone = false;
                continue;
            }
            let deleted = self.manager().delete(topic, part.partition);
            if is_dying() {
                return self.die();
            }
            match deleted {
                Ok(()) => assert!(self.manager().get(topic, part.partition).is_none(), "deleted"),
                Err(error) => {
                    all_gone = false;
                    note(&format!("not deleted: {error}"));
                }
            }
        }
        // What cannot be synced is left to the next start, and so are copies.
        if all_gone && !self.must_reboot() {
            self.deleted.extend(gone.first().map(|part| part.id));
        }
    }

    fn configure(&mut self, at: usize) {
        let topic = self.parts[at].topic;
        let compacted = self.weights.favours_compaction();
        let config = if compacted { settings::draw_compacted() } else { settings::draw_after(&self.parts[at].config) };
        self.configs.lock().insert(topic, std::sync::Arc::clone(&config));
        for at in (0..self.parts.len()).filter(|at| self.parts[*at].topic == topic).collect::<Vec<_>>() {
            self.parts[at].config = std::sync::Arc::clone(&config);
            if self.parts[at].exists {
                self.log(at).set_config(std::sync::Arc::clone(&config));
            }
        }
    }

    fn restart_somehow(&mut self) {
        self.restart(one_of(&[
            End::Clean,
            End::CleanThenPowerCut,
            End::Killed,
            End::Killed,
            End::PowerCut,
            End::PowerCut,
        ]));
    }
}
