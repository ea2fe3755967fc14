//! What the log must hold: the batches that it acknowledged, and what else may come back after a crash.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::record_batch::BatchHeader;
use ottla_storage::Log;

/// Sequences that a producer may send again and find remembered.
const WINDOW: usize = 5;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Batch {
    pub(crate) header: BatchHeader,
    pub(crate) bytes: Vec<u8>,
}

impl Batch {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { header: BatchHeader::read(&bytes).expect("a batch"), bytes }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    /// In order, without holes; those below `start` are deleted or may be.
    pub(crate) batches: Vec<Batch>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Everything below was flushed, and has not been truncated since.
    pub(crate) durable: i64,
    pub(crate) epoch: i32,
    /// Since this offset the process has seen every batch itself.
    pub(crate) remembered_from: i64,
    /// What a log manager has noted in its checkpoints.
    pub(crate) noted_recovery_point: i64,
    pub(crate) noted_start: i64,
    /// Whatever was ever written at an offset that is not durable: truncated, failed or lost. It may come back after a
    /// crash, because neither its writing nor its removal was synced.
    ghosts: BTreeMap<i64, BTreeSet<Vec<u8>>>,
}

impl Model {
    pub(crate) fn append(&mut self, batch: Batch) {
        assert_eq!(batch.header.base_offset, self.end, "offsets follow one another");
        self.end = batch.header.next_offset();
        self.remember_ghost(&batch.bytes);
        self.batches.push(batch);
    }

    /// Bytes that were written, or may have been, at the end of the log.
    pub(crate) fn remember_ghost(&mut self, bytes: &[u8]) {
        let header = BatchHeader::read(bytes).expect("a batch");
        self.ghosts.entry(header.base_offset).or_default().insert(bytes.to_vec());
    }

    pub(crate) fn flushed(&mut self) {
        self.durable = self.end;
        let ends = self.end;
        self.ghosts.retain(|offset, _| *offset >= ends);
    }

    /// Removes what lies at or behind a batch's first offset.
    pub(crate) fn truncate(&mut self, offset: i64) {
        // Even what was durable: the truncation is not synced.
        let cut = self.batches.partition_point(|batch| batch.header.next_offset() <= offset);
        for batch in self.batches.split_off(cut) {
            self.remember_ghost(&batch.bytes);
        }
        (self.end, self.remembered_from) = (self.end.min(offset), offset);
        for low in [&mut self.start, &mut self.durable, &mut self.noted_recovery_point, &mut self.noted_start] {
            *low = (*low).min(offset);
        }
    }

    pub(crate) fn restart_at(&mut self, offset: i64) {
        self.batches.clear();
        (self.start, self.end, self.durable) = (offset, offset, offset);
        (self.noted_recovery_point, self.noted_start, self.remembered_from) = (offset, offset, offset);
    }

    /// The batches that can be read.
    pub(crate) fn visible(&self) -> impl DoubleEndedIterator<Item = &Batch> {
        self.batches.iter().filter(|batch| batch.header.next_offset() > self.start)
    }

    /// The last batches of a producer, the latest first, as far as the log must know of them.
    pub(crate) fn window(&self, producer_id: i64) -> impl Iterator<Item = &Batch> {
        self.visible().rev().filter(move |batch| batch.header.producer_id == producer_id).take(WINDOW)
    }

    /// The sequence that a producer continues with.
    pub(crate) fn next_sequence(&self, producer_id: i64) -> i32 {
        let last = self.batches.iter().rev().find(|batch| batch.header.producer_id == producer_id);
        last.map_or(0, |batch| batch.header.last_sequence() + 1)
    }

    /// Compares everything that can be read; nothing was lost and nothing came back.
    pub(crate) fn check_whole(&self, log: &Log) {
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (self.start, self.end));
        let found = read_from(log, self.start);
        let wanted: Vec<&Batch> = self.visible().collect();
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert_eq!(found.header, wanted.header);
            assert!(found.bytes == wanted.bytes, "the bytes at {} changed", found.header.base_offset);
        }
        self.check_epochs(log);
    }

    pub(crate) fn check_epochs(&self, log: &Log) {
        for batch in self.visible() {
            let offset = batch.header.base_offset.max(self.start);
            assert_eq!(
                log.epoch_at(offset),
                Some(batch.header.partition_leader_epoch),
                "the epoch at {offset}, of {:?}",
                log.epochs()
            );
        }
    }

    /// After an unclean start: takes over what the log holds now, having checked that it may.
    ///
    /// `kept` is the offset below which nothing may be missing: all of the log after a kill, what was flushed after a
    /// power cut. From there on a batch is what was written at its offset at some time, and they follow one another, with
    /// epochs that never fall.
    pub(crate) fn adopt(&mut self, log: &Log, kept: i64) {
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        assert!((self.noted_start..=self.start).contains(&start), "the log starts at {start}, not {}", self.start);
        assert!(end >= kept, "the log ends at {end}, though {kept} was promised");
        let from = start.max(self.start.min(end));
        let found = read_from(log, from);
        let (mut next, mut epoch) = (from, i32::MIN);
        for batch in &found {
            let header = &batch.header;
            let first = header.base_offset;
            assert!(first <= next && next < header.next_offset(), "offset {next} is followed by {first}");
            assert!(header.partition_leader_epoch >= epoch, "epochs fall at {first}");
            (next, epoch) = (header.next_offset(), header.partition_leader_epoch);
            let promised = self.batches.iter().find(|wanted| wanted.header.base_offset == first);
            if first < kept {
                assert_eq!(promised, Some(batch), "{first} was promised");
            } else {
                let written = self.ghosts.get(&first).is_some_and(|all| all.contains(&batch.bytes));
                let known: Vec<_> =
                    self.ghosts.get(&first).into_iter().flatten().map(|b| BatchHeader::read(b)).collect();
                assert!(written || promised == Some(batch), "{header:?} was never written; there was {known:?}");
            }
        }
        assert_eq!(next, end, "everything up to the end can be read");
        self.batches.retain(|batch| batch.header.next_offset() <= from);
        self.batches.extend(found);
        (self.start, self.end) = (from, end);
        self.durable = self.durable.min(end);
        self.noted_recovery_point = self.noted_recovery_point.min(end);
        self.noted_start = self.noted_start.min(from);
    }
}

/// Reads to the end, as a follower does.
pub(crate) fn read_from(log: &Log, offset: i64) -> Vec<Batch> {
    let bytes = super::support::read_all(log, offset, || 4_096);
    ottla_protocol::record_batch::batches(&bytes).map(|item| Batch::new(item.expect("a batch").1.to_vec())).collect()
}
