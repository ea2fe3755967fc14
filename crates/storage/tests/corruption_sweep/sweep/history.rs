//! What is appended to a log: plain, idempotent and transactional batches, under rising leader epochs, with timestamps that
//! mostly ascend; and a note of all of it.

use std::collections::BTreeMap;

use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions, set_base_offset};
use ottla_storage::{AppendInfo, AppendOrigin, Log};

use super::Random;
use crate::support::NOW;

/// An aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Aborted {
    pub(crate) first: i64,
    pub(crate) producer_id: i64,
    pub(crate) marker: i64,
}

/// What was appended to one log, ever.
#[derive(Debug, Default, Clone)]
pub(crate) struct Written {
    /// Each batch by its base offset.
    pub(crate) batches: BTreeMap<i64, Vec<u8>>,
    /// What compaction has made of them, at one time or another.
    pub(crate) compacted: BTreeMap<i64, Vec<Vec<u8>>>,
    pub(crate) aborted: Vec<Aborted>,
    /// Timestamps, in the order of offsets.
    pub(crate) times: Vec<(i64, i64)>,
    /// The last batch of each idempotent producer as it was sent, and the offset that it got.
    pub(crate) last_sent: BTreeMap<i64, (Vec<u8>, i64)>,
}

/// Whoever appends to one log.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    pub(crate) written: Written,
    clock: i64,
    epoch: i32,
    /// Next sequence of each producer.
    sequences: BTreeMap<i64, i32>,
    /// First offsets of open transactions, by producer.
    open: BTreeMap<i64, i64>,
}

/// A producer without transactions.
const IDEMPOTENT: i64 = 1;
/// Producers with.
const TRANSACTIONAL: [i64; 3] = [2, 3, 4];

impl Writer {
    pub(crate) fn new() -> Self {
        let (sequences, open) = Default::default();
        Self { written: Written::default(), clock: NOW, epoch: 0, sequences, open }
    }

    /// One step of a log of orders.
    pub(crate) fn order(&mut self, log: &Log, random: &mut Random) {
        if random.below(12) == 0 {
            self.epoch += 1 + random.below(2) as i32;
        }
        let producer_id = *random.one_of(&TRANSACTIONAL);
        match random.below(10) {
            0..=2 => {
                self.put(log, BatchOptions::default(), 1 + random.below(3), random);
            }
            3 | 4 => self.sequenced(log, IDEMPOTENT, false, random),
            5 | 6 => self.sequenced(log, producer_id, true, random),
            _ => self.end(log, producer_id, random.below(3) == 0),
        }
    }

    /// One record of a table.
    pub(crate) fn row(&mut self, log: &Log, random: &mut Random) {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let (key, value) = (format!("k{}", random.below(6)), "v".repeat(random.below(20)));
        let time = self.tick(random);
        builder.append(time, Some(key.as_bytes()), (random.below(8) > 0).then_some(value.as_bytes()), &[]);
        self.send(log, builder.build(), AppendOrigin::Client, vec![time]);
    }

    fn tick(&mut self, random: &mut Random) -> i64 {
        self.clock += random.below(20) as i64;
        // Now and then a record is late.
        if random.below(6) == 0 { self.clock - 40 } else { self.clock }
    }

    fn put(&mut self, log: &Log, options: BatchOptions, count: usize, random: &mut Random) -> AppendInfo {
        let mut builder = BatchBuilder::new(options);
        let mut times = Vec::new();
        for n in 0..count {
            let time = self.tick(random);
            let value = format!("{n}{}", "x".repeat(random.below(40)));
            builder.append(time, Some(b"key"), Some(value.as_bytes()), &[]);
            times.push(time);
        }
        self.send(log, builder.build(), AppendOrigin::Client, times)
    }

    fn send(&mut self, log: &Log, mut batch: Vec<u8>, origin: AppendOrigin, times: Vec<i64>) -> AppendInfo {
        let info = log.append_as_leader(&mut batch, self.epoch, origin, self.clock + 1_000).expect("appended");
        assert!(!info.duplicate);
        log.set_high_watermark(log.log_end_offset());
        self.written.batches.insert(info.first_offset, batch);
        self.written.times.extend(times.into_iter().zip(info.first_offset..).map(|(time, offset)| (offset, time)));
        info
    }

    fn sequenced(&mut self, log: &Log, producer_id: i64, transactional: bool, random: &mut Random) {
        let count = 1 + random.below(3);
        let base_sequence = *self.sequences.entry(producer_id).or_default();
        let options =
            BatchOptions { producer_id, producer_epoch: 0, base_sequence, transactional, ..Default::default() };
        let info = self.put(log, options, count, random);
        self.sequences.insert(producer_id, base_sequence + count as i32);
        if transactional {
            self.open.entry(producer_id).or_insert(info.first_offset);
        } else {
            let sent = self.written.batches[&info.first_offset].clone();
            self.written.last_sent.insert(producer_id, (sent, info.first_offset));
        }
    }

    fn end(&mut self, log: &Log, producer_id: i64, commit: bool) {
        let Some(first) = self.open.remove(&producer_id) else { return };
        let options =
            BatchOptions { producer_id, producer_epoch: 0, transactional: true, control: true, ..Default::default() };
        let mut builder = BatchBuilder::new(options);
        let kind = if commit { ControlRecordType::Commit } else { ControlRecordType::Abort };
        builder.append(self.clock, Some(&kind.key()), Some(&[0, 0, 0, 0, 0, 1]), &[]);
        let origin = AppendOrigin::TransactionMarker { transaction_version: 1 };
        let time = self.clock;
        let marker = self.send(log, builder.build(), origin, vec![time]).first_offset;
        if !commit {
            self.written.aborted.push(Aborted { first, producer_id, marker });
        }
    }

    /// A leader of a new epoch appends one batch. Gives what the log made of it.
    pub(crate) fn go_on(&mut self, log: &Log) -> Result<(i64, Vec<u8>), String> {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        self.clock += 1_000;
        builder.append(self.clock, Some(b"after"), Some(b"all"), &[]);
        // The controller counts the epochs, whatever the log says.
        let (mut batch, epoch) = (builder.build(), self.epoch + 1);
        let appended = log.append_as_leader(&mut batch, epoch, AppendOrigin::Client, self.clock);
        log.set_high_watermark(log.log_end_offset());
        appended.map(|info| (info.first_offset, batch)).map_err(|error| error.to_string())
    }

    /// Where the last batch of the idempotent producer lies.
    pub(crate) fn last_sent_at(&self) -> Option<i64> {
        self.written.last_sent.get(&IDEMPOTENT).map(|(_, offset)| *offset)
    }

    /// The idempotent producer sends its last batch again. Gives whether the log knew it, and at which offset.
    pub(crate) fn retry(&self, log: &Log) -> Option<Result<(bool, i64), String>> {
        let (batch, _) = self.written.last_sent.get(&IDEMPOTENT)?;
        let mut batch = batch.clone();
        set_base_offset(&mut batch, 0);
        let appended = log.append_as_leader(&mut batch, self.epoch, AppendOrigin::Client, self.clock);
        Some(appended.map(|info| (info.duplicate, info.first_offset)).map_err(|error| error.to_string()))
    }
}
