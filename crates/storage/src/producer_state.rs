//! What a partition remembers of each idempotent or transactional producer: enough to answer a repeated batch without
//! storing it twice, to refuse a gap, and to know which transactions are open. Kafka class: `ProducerStateManager`.
//!
//! ```text
//!  producer 7, epoch 3:   seq 40..49   50..59   60..60   61..80   81..90     the last WINDOW batches
//!                         repeated batch: its first and last sequence equal one of these -> answered from memory
//!                         next batch:     must begin with 91 (after i32::MAX comes 0)
//! ```
//! A pure value: the log feeds it each batch in order, at appends and again when it is loaded. Transactions:
//! `ongoing` are open; `unreplicated` have their marker in the log, but above the high watermark. The first of both bounds
//! the last stable offset.

use std::collections::BTreeMap;

use ottla_env::collections::HashMap;
use ottla_env::planted;
use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{self, BatchHeader, NO_SEQUENCE};

use crate::error::AppendError;
use crate::transaction_index::AbortedTransaction;

/// Batches remembered per producer, as many as a client may have in flight.
pub(crate) const WINDOW: usize = 5;
/// Coordinator epoch before the first marker.
pub(crate) const NO_COORDINATOR_EPOCH: i32 = -1;

/// One remembered batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BatchMemory {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    /// Records of the batch, less one.
    pub(crate) offset_delta: i32,
    /// Its largest timestamp.
    pub(crate) timestamp: i64,
}

impl BatchMemory {
    pub(crate) fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    pub(crate) fn first_sequence(&self) -> i32 {
        // Counted backwards over the wrap from 0 to i32::MAX.
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        if self.last_sequence == NO_SEQUENCE { NO_SEQUENCE } else { (first & i64::from(i32::MAX)) as i32 }
    }
}

/// One producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProducerEntry {
    pub(crate) epoch: i16,
    window: [BatchMemory; WINDOW],
    len: usize,
    pub(crate) coordinator_epoch: i32,
    /// First offset of the open transaction.
    pub(crate) transaction_start: Option<i64>,
    /// Timestamp of its last batch or marker, from which its expiry counts.
    pub(crate) timestamp: i64,
}

impl ProducerEntry {
    /// A producer of which at most one batch is known.
    pub(crate) fn new(epoch: i16, timestamp: i64, last: Option<BatchMemory>) -> Self {
        let mut window = [BatchMemory::default(); WINDOW];
        let len = usize::from(last.is_some() && !planted::is("a batch is taken twice after a start"));
        if let (Some(first), Some(last)) = (window.first_mut(), last) {
            *first = last;
        }
        Self { epoch, window, len, coordinator_epoch: NO_COORDINATOR_EPOCH, transaction_start: None, timestamp }
    }

    fn batches(&self) -> &[BatchMemory] {
        self.window.get(..self.len).unwrap_or_default()
    }

    /// The last batch.
    pub(crate) fn last(&self) -> Option<&BatchMemory> {
        self.batches().last()
    }

    fn last_sequence(&self) -> i32 {
        self.last().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    fn begin_epoch(&mut self, epoch: i16) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.len = 0;
        }
    }

    fn remember(&mut self, batch: BatchMemory) {
        let window = if planted::is("a window of four batches") { WINDOW - 1 } else { WINDOW };
        if self.len == window {
            self.window.rotate_left(1);
        } else {
            self.len += 1;
        }
        if let Some(last) = self.window.get_mut(self.len - 1) {
            *last = batch;
        }
        self.timestamp = batch.timestamp;
    }
}

/// What a transaction marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) commit: bool,
    pub(crate) coordinator_epoch: i32,
}

impl Marker {
    /// Reads a control batch; None when it is not a transaction's marker, or is broken.
    pub(crate) fn read(batch: &[u8]) -> Option<Self> {
        const MARKER_BYTES_MAX: usize = 1024;
        let mut scratch = Vec::new();
        let record = record_batch::records(batch, &mut scratch, MARKER_BYTES_MAX).ok()?.next()?.ok()?;
        let commit = match ControlRecordType::from_key(record.key?)? {
            ControlRecordType::Commit => true,
            ControlRecordType::Abort => false,
            ControlRecordType::LeaderChange
            | ControlRecordType::SnapshotHeader
            | ControlRecordType::SnapshotFooter
            | ControlRecordType::KRaftVersion
            | ControlRecordType::KRaftVoters => return None,
        };
        // version i16, coordinator epoch i32
        let epoch = record.value?.get(2..)?.first_chunk::<4>()?;
        Some(Self { commit, coordinator_epoch: i32::from_be_bytes(*epoch) })
    }
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProducerState {
    producers: HashMap<i64, ProducerEntry>,
    /// First offset of each open transaction, and whose it is.
    ongoing: BTreeMap<i64, i64>,
    /// First offset of each ended transaction whose marker is not below the high watermark, and the marker's offset.
    unreplicated: BTreeMap<i64, i64>,
}

impl ProducerState {
    /// The state of a snapshot.
    pub(crate) fn from_entries(entries: impl IntoIterator<Item = (i64, ProducerEntry)>) -> Self {
        let producers: HashMap<_, _> = entries.into_iter().collect();
        let ongoing = producers.iter().filter_map(|(id, entry)| Some((entry.transaction_start?, *id))).collect();
        Self { producers, ongoing, unreplicated: BTreeMap::new() }
    }

    /// Producers by id.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (i64, &ProducerEntry)> {
        self.producers.iter().map(|(id, entry)| (*id, entry))
    }

    /// One producer.
    pub(crate) fn entry(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id)
    }

    /// How many producers are known.
    pub(crate) fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether a client's batch may be appended. `Some`: it is in the log already, there.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Option<BatchMemory>, AppendError> {
        let Some(entry) = self.producers.get(&header.producer_id) else { return Ok(None) };
        self.check_epoch(header)?;
        let known = (header.base_sequence, header.last_sequence());
        if entry.epoch == header.producer_epoch
            && let Some(batch) = entry.batches().iter().find(|b| (b.first_sequence(), b.last_sequence) == known)
        {
            return Ok(Some(*batch));
        }
        let last = if entry.epoch == header.producer_epoch { entry.last_sequence() } else { NO_SEQUENCE };
        let follows = if last == i32::MAX { 0 } else { last + 1 };
        if header.base_sequence != follows && !planted::is("a gap in the sequence is taken") {
            return Err(AppendError::OutOfOrderSequence {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                sequence: header.base_sequence,
                last,
            });
        }
        if entry.transaction_start.is_some() && !header.is_transactional() {
            return Err(AppendError::InvalidTransactionState { producer_id: header.producer_id });
        }
        Ok(None)
    }

    /// Whether the producer's epoch is over.
    pub(crate) fn check_epoch(&self, header: &BatchHeader) -> Result<(), AppendError> {
        match self.producers.get(&header.producer_id) {
            Some(_) if planted::is("a fenced producer goes on") => Ok(()),
            Some(entry) if header.producer_epoch < entry.epoch => Err(AppendError::InvalidProducerEpoch {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                current: entry.epoch,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a marker comes from a coordinator whose time is over, or for an epoch that is.
    ///
    /// From `transaction_version` 2 on each transaction has an epoch of its own and its marker the next one, so that a marker
    /// of the epoch that is current comes late, from the transaction before; unless nothing is open: then it is the repeat of
    /// one that was written, and is written again. The last epoch of all ends its transaction itself.
    pub(crate) fn check_marker(
        &self,
        header: &BatchHeader,
        marker: Marker,
        transaction_version: i16,
    ) -> Result<(), AppendError> {
        let Some(entry) = self.producers.get(&header.producer_id) else { return Ok(()) };
        let repeat_or_last = entry.transaction_start.is_none() || header.producer_epoch == i16::MAX;
        let late = transaction_version >= 2 && header.producer_epoch == entry.epoch && !repeat_or_last;
        if late || header.producer_epoch < entry.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                current: entry.epoch,
            });
        }
        if marker.coordinator_epoch < entry.coordinator_epoch && !planted::is("a fenced coordinator goes on") {
            return Err(AppendError::CoordinatorFenced {
                producer_id: header.producer_id,
                epoch: marker.coordinator_epoch,
                current: entry.coordinator_epoch,
            });
        }
        Ok(())
    }

    /// Notes a batch that is in the log. An aborted transaction that it ends is given back for the transaction index.
    pub(crate) fn replay(&mut self, header: &BatchHeader, marker: Option<Marker>) -> Option<AbortedTransaction> {
        // Of a transaction that compaction has wholly removed an empty marker may be left: it ends nothing, and its epoch is
        // not that of sequences.
        if !header.has_producer_id() || (header.is_control() && header.record_count == 0) {
            return None;
        }
        let new = || ProducerEntry::new(header.producer_epoch, header.max_timestamp, None);
        let entry = self.producers.entry(header.producer_id).or_insert_with(new);
        entry.begin_epoch(header.producer_epoch);
        if header.is_control() {
            return self.end_transaction(header, marker?);
        }
        entry.remember(BatchMemory {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        if header.is_transactional() && entry.transaction_start.is_none() {
            entry.transaction_start = Some(header.base_offset);
            self.ongoing.insert(header.base_offset, header.producer_id);
        }
        None
    }

    fn end_transaction(&mut self, header: &BatchHeader, marker: Marker) -> Option<AbortedTransaction> {
        let entry = self.producers.get_mut(&header.producer_id)?;
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.timestamp = header.max_timestamp;
        let first_offset = entry.transaction_start.take()?;
        if planted::is("a marker ends no transaction") {
            return None;
        }
        self.ongoing.remove(&first_offset);
        if !planted::is("a marker counts before it is replicated") {
            self.unreplicated.insert(first_offset, header.last_offset());
        }
        let last_stable_offset = self.ongoing.first_key_value().map_or(header.next_offset(), |(first, _)| *first);
        (!marker.commit).then_some(AbortedTransaction {
            producer_id: header.producer_id,
            first_offset,
            last_offset: header.last_offset(),
            last_stable_offset,
        })
    }

    /// The high watermark has moved: markers below it are replicated.
    pub(crate) fn set_high_watermark(&mut self, high_watermark: i64) {
        self.unreplicated.retain(|_, marker| *marker >= high_watermark);
    }

    /// First offset of a transaction whose outcome readers cannot rely on yet.
    pub(crate) fn first_unstable_offset(&self) -> Option<i64> {
        let first = |map: &BTreeMap<i64, i64>| map.first_key_value().map(|(first, _)| *first);
        [first(&self.ongoing), first(&self.unreplicated)].into_iter().flatten().min()
    }

    /// Forgets producers that have been silent for `expiration_ms` and have no transaction open.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.retain(|_, entry| {
            entry.transaction_start.is_some() || now_ms.saturating_sub(entry.timestamp) < expiration_ms
        });
    }
}

#[cfg(test)]
#[path = "producer_state_tests.rs"]
mod tests;
