//! What the batches of a log say of transactions, worked out the slow way, and what a consumer makes of a fetch.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch;
use ottla_storage::AbortedTransaction;

use crate::model::Batch;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ended {
    pub(crate) producer_id: i64,
    pub(crate) first: i64,
    pub(crate) marker: i64,
    pub(crate) commit: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// First offset by producer.
    pub(crate) open: BTreeMap<i64, i64>,
    pub(crate) ended: Vec<Ended>,
}

/// Goes through batches from the first.
pub(crate) fn replay(batches: &[Batch]) -> Transactions {
    let mut all = Transactions::default();
    for batch in batches.iter().filter(|batch| batch.header.has_producer_id()) {
        let header = &batch.header;
        if let Some(marker) = Marker::read(batch) {
            if let Some(first) = all.open.remove(&header.producer_id) {
                let (producer_id, marker_at) = (header.producer_id, header.base_offset);
                all.ended.push(Ended { producer_id, first, marker: marker_at, commit: marker.commit });
            }
        } else if header.is_transactional() {
            all.open.entry(header.producer_id).or_insert(header.base_offset);
        }
    }
    all
}

impl Transactions {
    /// The last stable offset: the outcome of everything below is known, and known to every replica in sync.
    pub(crate) fn last_stable(&self, high_watermark: i64) -> i64 {
        let unreplicated = self.ended.iter().filter(|ended| ended.marker >= high_watermark).map(|ended| ended.first);
        let open = self.open.values().copied();
        open.chain(unreplicated).chain([high_watermark]).min().unwrap_or(high_watermark)
    }

    /// As [`Self::last_stable`], but only of open transactions that begin at or behind `start`.
    pub(crate) fn last_stable_from(&self, start: i64, high_watermark: i64) -> i64 {
        let open = self.open.values().copied().filter(|first| *first >= start);
        open.chain([high_watermark]).min().unwrap_or(high_watermark)
    }

    /// Whether the records of a batch count.
    pub(crate) fn is_committed(&self, batch: &Batch) -> bool {
        let header = &batch.header;
        !header.is_transactional()
            || self.ended.iter().any(|ended| {
                let within = (ended.first..ended.marker).contains(&header.base_offset);
                ended.commit && ended.producer_id == header.producer_id && within
            })
    }
}

/// What a transaction's marker says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marker {
    pub(crate) commit: bool,
    pub(crate) coordinator_epoch: i32,
}

impl Marker {
    pub(crate) fn read(batch: &Batch) -> Option<Self> {
        if !batch.header.is_control() {
            return None;
        }
        let mut scratch = Vec::new();
        let mut records = record_batch::records(batch.sent(), &mut scratch, 1 << 20).expect("records");
        let record = records.next()?.expect("a record");
        let commit = ControlRecordType::from_key(record.key?)? == ControlRecordType::Commit;
        let epoch = record.value?.get(2..)?.first_chunk::<4>()?;
        Some(Self { commit, coordinator_epoch: i32::from_be_bytes(*epoch) })
    }
}

/// What a consumer of committed records hands to its application: the algorithm of Kafka's client. First offsets of the
/// batches.
pub(crate) fn consume<'a>(
    batches: impl IntoIterator<Item = &'a Batch>,
    aborted: &[AbortedTransaction],
) -> BTreeSet<i64> {
    let mut waiting = aborted.to_vec();
    waiting.sort_by_key(|transaction| transaction.first_offset);
    waiting.reverse();
    let (mut aborting, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for batch in batches {
        let header = &batch.header;
        while let Some(next) = waiting.pop_if(|next| next.first_offset <= header.last_offset()) {
            aborting.insert(next.producer_id);
        }
        if let Some(marker) = Marker::read(batch) {
            if !marker.commit {
                aborting.remove(&header.producer_id);
            }
        } else if !(header.is_control() || (header.is_transactional() && aborting.contains(&header.producer_id))) {
            seen.insert(header.base_offset);
        }
    }
    seen
}
