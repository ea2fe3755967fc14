//! What a log must recognise, or refuse: batches that are sent again, out of order, by who was fenced, or damaged on the way.

use ottla_env::sim::is_dying;
use ottla_env::time;
use ottla_protocol::record_batch::{self, BatchHeader};
use ottla_storage::{AppendError, AppendOrigin};

use crate::model::Batch;
use crate::operations::{IDEMPOTENT, TRANSACTIONAL, one_of};
use crate::run::Run;
use crate::transactions::Marker;
use crate::{batches, chance};

impl Run {
    /// A producer that got no answer sends again.
    pub(crate) fn repeat(&mut self, at: usize) {
        let producer_id = if chance(2) == 0 { one_of(&IDEMPOTENT) } else { one_of(&TRANSACTIONAL) };
        let part = &self.parts[at];
        let count = part.window(producer_id).count();
        // The oldest that must be recognised, or any.
        let nth = if chance(2) == 0 { count.saturating_sub(1) } else { chance(5) };
        let Some(batch) = part.window(producer_id).nth(nth).cloned() else { return };
        // A snapshot remembers the last batch of each producer only, as Kafka's format does.
        let remembered = nth == 0 || batch.header.base_offset >= part.remembered_from;
        self.send_again(at, &batch, remembered);
    }

    fn send_again(&mut self, at: usize, batch: &Batch, remembered: bool) {
        let mut again = batch.sent().to_vec();
        // As the producer sent it.
        record_batch::set_base_offset(&mut again, 0);
        record_batch::set_leader_epoch(&mut again, -1);
        if batch.header.timestamp_type() == record_batch::TimestampType::LogAppendTime {
            return;
        }
        let epoch = self.parts[at].epoch;
        match self.log(at).append_as_leader(&mut again, epoch, AppendOrigin::Client, time::wall_clock_ms()) {
            _ if is_dying() => self.die(),
            Ok(info) => {
                assert!(info.duplicate, "taken twice: {:?}", batch.header);
                assert_eq!(info.first_offset, batch.header.base_offset);
            }
            Err(AppendError::OutOfOrderSequence { .. }) if !remembered => {}
            Err(AppendError::LargerThanSegment { .. }) => {}
            Err(other) => panic!("a batch that was sent again: {other}"),
        }
    }

    /// Right after a start: each producer's last batch is still recognised, and a gap behind it.
    pub(crate) fn probe_producers(&mut self, at: usize) {
        for producer_id in IDEMPOTENT.into_iter().chain(TRANSACTIONAL) {
            let Some(last) = self.parts[at].window(producer_id).next().cloned() else { continue };
            self.send_again(at, &last, true);
            self.refuse_gap(at, producer_id);
        }
    }

    fn refuse_gap(&mut self, at: usize, producer_id: i64) {
        let next = self.parts[at].next(producer_id);
        if next.known {
            let gap = batches::batch_by(producer_id, next.epoch, next.sequence + 7, true);
            self.expect_refusal(at, gap, AppendOrigin::Client, |error| {
                matches!(error, AppendError::OutOfOrderSequence { .. })
            });
        }
    }

    fn expect_refusal(
        &mut self,
        at: usize,
        bytes: Vec<u8>,
        origin: AppendOrigin,
        expected: impl FnOnce(&AppendError) -> bool,
    ) {
        let mut bytes = bytes;
        let epoch = self.parts[at].epoch;
        match self.log(at).append_as_leader(&mut bytes, epoch, origin, time::wall_clock_ms()) {
            _ if is_dying() => self.die(),
            Err(error) if expected(&error) => {}
            other => panic!("{:?} had to be refused: {other:?}", BatchHeader::read(&bytes)),
        }
    }

    /// What must not enter a log.
    pub(crate) fn refuse(&mut self, at: usize) {
        let producer_id = if chance(2) == 0 { one_of(&IDEMPOTENT) } else { one_of(&TRANSACTIONAL) };
        let next = self.parts[at].next(producer_id);
        match chance(4) {
            0 => self.refuse_gap(at, producer_id),
            1 if next.known && next.epoch > 0 => {
                let fenced = batches::batch_by(producer_id, next.epoch - 1, 0, true);
                self.expect_refusal(at, fenced, AppendOrigin::Client, |error| {
                    matches!(error, AppendError::InvalidProducerEpoch { .. })
                });
            }
            2 => self.refuse_stale_marker(at, producer_id),
            _ => self.refuse_overlap(at),
        }
    }

    fn refuse_stale_marker(&mut self, at: usize, producer_id: i64) {
        let part = &self.parts[at];
        let of_producer = |batch: &&Batch| batch.header.producer_id == producer_id;
        let last = part.visible().rev().filter(of_producer).find_map(Marker::read);
        if let Some(last) = last.filter(|marker| marker.coordinator_epoch > 0) {
            let epoch = part.next(producer_id).epoch;
            let stale = batches::marker(producer_id, epoch, last.coordinator_epoch - 1, true);
            self.expect_refusal(at, stale, AppendOrigin::Coordinator, |error| {
                matches!(error, AppendError::CoordinatorFenced { .. })
            });
        }
    }

    /// A follower is sent what it has, or what was damaged on the way.
    fn refuse_overlap(&mut self, at: usize) {
        let Some(last) = self.parts[at].visible().next_back().cloned() else { return };
        let log = self.log(at);
        let again = log.append_as_follower(&last.bytes);
        assert!(matches!(again, Err(AppendError::UnexpectedOffset { .. })), "appended again: {again:?}");
        let mut damaged = last.bytes;
        record_batch::set_base_offset(&mut damaged, self.parts[at].end);
        if let Some(byte) = damaged.last_mut() {
            *byte ^= 1;
        }
        let appended = log.append_as_follower(&damaged);
        assert!(matches!(appended, Err(AppendError::Corrupt(_))), "a damaged batch: {appended:?}");
    }
}
