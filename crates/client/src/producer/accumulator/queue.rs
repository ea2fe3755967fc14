//! The batches of one partition: their order and their sequences, whatever comes back.
//!
//! ```text
//!   waiting  [ sent before, by id | never sent ]  ──take──> in flight ──┬── written
//!               ^                                                       ├── lost
//!               └────────────────────── retry ──────────────────────────┘
//! ```
//!
//! Ids grow in the order of sending, and a batch that comes back is put where its id belongs. With idempotence a batch
//! gets its first sequence when it first leaves and keeps it, so that the broker knows it again (KIP-98). Three rules
//! follow from what a broker can and cannot tell:
//!
//! 1. **A line that is not established has one batch in flight.** A broker that has nothing of a producer takes any
//!    sequence: would it refuse the first batch as no leader yet and take the second, the first could never follow. So a
//!    second batch leaves only once one was written since the line began, or since a batch came back.
//! 2. **OUT_OF_ORDER_SEQUENCE_NUMBER is not the end of a batch.** One that is in front of the line may be missing
//!    something before it, or may have been written so long ago that the broker has forgotten it: a broker remembers
//!    five batches of a producer, and after a restart perhaps only the last. The batches that were sent after it tell:
//!    if one of them is written, or was, then everything before it was too. If all that were sent are refused, none is.
//! 3. **A gap is closed by a higher epoch**, at sequence 0 (KIP-360), once nothing is in flight and nothing that was
//!    sent may have been written: sent again under another epoch, it would be written twice.
//!
//! Kafka's producer (`TransactionManager.canRetry`, `RecordAccumulator.shouldStopDrainBatchesForPartition`) follows the
//! third rule without the second, and the first only after a failure.

use std::collections::{BTreeMap, VecDeque};

use super::{Limits, ProducerIdAndEpoch, Returned};
use crate::producer::batch::{Batch, Identity, OpenBatch, OutcomeReceiver};

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) open: Option<OpenBatch>,
    pub(super) waiting: VecDeque<Batch>,
    pub(super) in_flight: BTreeMap<u64, OutcomeReceiver>,
    not_before_ms: i64,
    /// What the next batch that was never sent will get; none before the first, and at the beginning of a new epoch.
    pub(super) identity: Option<Identity>,
    /// A batch of this identity was written, and none came back since.
    established: bool,
    /// The last batch that was sent, and is given up: unless a later one is written, there is a gap.
    lost: Option<u64>,
}

impl Queue {
    pub(super) fn seal(&mut self) {
        self.waiting.extend(self.open.take().map(OpenBatch::seal));
    }

    /// From when on its next batch may be sent; `None` when there is none or it must wait for others to come back.
    pub(super) fn sendable_at_ms(&self, limits: &Limits, flushing: bool) -> Option<i64> {
        let refused = self.waiting.front().is_some_and(|batch| batch.refused);
        let one_by_one = limits.idempotent && (!self.established || self.lost.is_some() || refused);
        let lingers_until = match (self.waiting.front(), &self.open) {
            (Some(_), _) => 0,
            (None, Some(_)) if flushing => 0,
            (None, Some(open)) => open.created_ms() + limits.linger_ms,
            (None, None) => return None,
        };
        (!one_by_one || self.in_flight.is_empty()).then_some(lingers_until.max(self.not_before_ms))
    }

    /// Bytes of the batch that [`Self::take`] would take.
    pub(super) fn next_len(&self) -> usize {
        self.waiting.get(self.next()).map_or(0, |batch| batch.bytes.len())
    }

    /// Those that were sent and are refused where they stand are passed over, for what was sent after them.
    fn next(&self) -> usize {
        self.waiting.iter().position(|batch| !batch.refused).unwrap_or(0)
    }

    /// Takes the next batch, with its identity if the producer is idempotent.
    pub(super) fn take(&mut self, idempotent: bool, producer: &mut Option<ProducerIdAndEpoch>) -> Option<Batch> {
        if idempotent {
            if self.in_flight.is_empty() && self.has_gap() {
                self.renew(producer);
            }
            self.identify(producer.as_ref()?);
        }
        let at = self.next();
        let batch = self.waiting.remove(at)?;
        // What the broker said of those behind it was said without it.
        self.waiting.iter_mut().skip(at).for_each(|later| later.refused = false);
        self.in_flight.insert(batch.id, batch.subscribe());
        Some(batch)
    }

    /// With nothing in flight: whether something before the next batch is missing for certain.
    fn has_gap(&self) -> bool {
        let mut sent = self.waiting.iter().take_while(|batch| batch.identity.is_some()).peekable();
        if sent.peek().is_none() { self.lost.is_some() } else { sent.all(|batch| batch.refused) }
    }

    /// Begins a higher epoch. When epochs are used up a new producer id is needed.
    fn renew(&mut self, producer: &mut Option<ProducerIdAndEpoch>) {
        let Some(current) = *producer else { return };
        let used = self.identity.filter(|i| i.producer_id == current.id).map_or(current.epoch, |i| i.epoch);
        *producer = used.max(current.epoch).checked_add(1).map(|epoch| ProducerIdAndEpoch { id: current.id, epoch });
        (self.identity, self.established, self.lost) = (None, false, None);
        for batch in &mut self.waiting {
            (batch.identity, batch.in_doubt, batch.refused) = (None, false, false);
        }
    }

    /// Gives the next batch its sequences, unless it has them from an earlier attempt.
    fn identify(&mut self, producer: &ProducerIdAndEpoch) {
        let at = self.next();
        let Some(batch) = self.waiting.get_mut(at).filter(|batch| batch.identity.is_none()) else { return };
        let next =
            self.identity.get_or_insert(Identity { producer_id: producer.id, epoch: producer.epoch, base_sequence: 0 });
        batch.identify(*next);
        // Sequences wrap from i32::MAX to 0.
        next.base_sequence = next.base_sequence.wrapping_add(batch.records) & i32::MAX;
    }

    /// A batch is written. Gives those before it that were written as well: sent, perhaps appended, and refused since, when
    /// the broker had forgotten them. It would have refused this one had they been missing.
    pub(super) fn written(&mut self, batch: &Batch) -> Vec<Batch> {
        self.in_flight.remove(&batch.id);
        self.established = true;
        self.lost = self.lost.filter(|lost| *lost > batch.id);
        let known = |earlier: &Batch| earlier.id < batch.id && earlier.in_doubt && earlier.refused;
        let (written, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(known);
        self.waiting = waiting;
        Vec::from(written)
    }

    /// A batch that is not in the queue any more will not be sent again. One that never was leaves no gap.
    pub(super) fn lost(&mut self, batch: &Batch) {
        if batch.identity.is_some() {
            self.lost = self.lost.max(Some(batch.id));
        }
    }

    pub(super) fn retry(&mut self, mut batch: Batch, why: Returned, not_before_ms: i64) {
        self.in_flight.remove(&batch.id);
        self.established = false;
        self.not_before_ms = self.not_before_ms.max(not_before_ms);
        batch.attempts += 1;
        match why {
            Returned::InDoubt => batch.in_doubt = true,
            Returned::OutOfLine => batch.refused = true,
        }
        let at = self.waiting.partition_point(|b| b.id < batch.id);
        self.waiting.insert(at, batch);
    }
}
