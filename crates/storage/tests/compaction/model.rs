//! What a compacted log must hold, told from everything that was ever appended to it.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{self, BatchHeader, batches, check_crc};
use ottla_storage::Log;

/// A record that was appended.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: i64,
    /// When, by the clock of the run.
    pub(crate) at_ms: i64,
    pub(crate) transaction: Option<usize>,
}

/// A transaction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Transaction {
    /// None while it is open.
    pub(crate) commit: Option<bool>,
    pub(crate) marker: Option<i64>,
}

/// Everything that happened.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) records: BTreeMap<i64, Written>,
    pub(crate) transactions: Vec<Transaction>,
    /// Up to where the log was compacted, and when that was last done.
    pub(crate) cleaned_to: i64,
    pub(crate) cleaned_at_ms: i64,
    pub(crate) delete_retention_ms: i64,
}

/// Key, value, timestamp.
type FoundRecord = (Vec<u8>, Option<Vec<u8>>, i64);

/// A log read from its start to its end.
#[derive(Debug, Default)]
struct Found {
    records: BTreeMap<i64, FoundRecord>,
    markers: BTreeSet<i64>,
}

impl Model {
    fn is_aborted(&self, record: &Written) -> bool {
        record.transaction.is_some_and(|n| self.transactions[n].commit == Some(false))
    }

    /// Whether a later record of its key has taken its place in what is compacted.
    fn is_superseded(&self, offset: i64, record: &Written) -> bool {
        let mut later = self.records.range(offset + 1..self.cleaned_to);
        later.any(|(_, other)| other.key == record.key && !self.is_aborted(other))
    }

    /// Compares.
    pub(crate) fn check(&self, log: &Log, mut budget: impl FnMut() -> u32) {
        let found = read(log, &mut budget);
        for (offset, (key, value, timestamp)) in &found.records {
            let written = &self.records[offset];
            assert!((key, value) == (&written.key, &written.value), "the record at {offset} changed");
            assert_eq!(*timestamp, written.timestamp, "at {offset}");
        }
        for (offset, written) in &self.records {
            let is_there = found.records.contains_key(offset);
            let what = || {
                let value = written.value.as_ref().map(Vec::len);
                let Written { key, transaction, .. } = written;
                format!("{offset}, {key:?} = {value:?} in {transaction:?}; compacted up to {}", self.cleaned_to)
            };
            if *offset >= self.cleaned_to {
                // A pass that ends within a segment drops what is aborted behind its end.
                assert!(is_there || self.is_aborted(written), "not compacted yet: {}", what());
            } else if self.is_aborted(written) {
                assert!(!is_there, "aborted: {}", what());
            } else if self.is_superseded(*offset, written) {
                assert!(!is_there, "not the last of its key: {}", what());
            } else if written.value.is_some() {
                assert!(is_there, "the last of its key: {}", what());
            } else if self.cleaned_at_ms < written.at_ms + self.delete_retention_ms {
                assert!(is_there, "a tombstone of this hour: {}", what());
            }
        }
        self.check_markers(&found);
        self.check_committed(log, &found, &mut budget);
    }

    /// A transaction of which a record is there has its marker.
    fn check_markers(&self, found: &Found) {
        for offset in found.records.keys() {
            if let Some(n) = self.records[offset].transaction
                && let Some(marker) = self.transactions[n].marker
            {
                assert!(
                    found.markers.contains(&marker),
                    "the marker at {marker} is gone, the record at {offset} is not"
                );
            }
        }
    }

    /// A reader of committed records sees those that are there, in order, and no others.
    fn check_committed(&self, log: &Log, found: &Found, budget: &mut impl FnMut() -> u32) {
        let stable = log.last_stable_offset();
        let committed = |offset: &&i64| **offset < stable && !self.is_aborted(&self.records[*offset]);
        let wanted: Vec<i64> = found.records.keys().filter(committed).copied().collect();
        let seen = read_committed(log, stable, budget);
        let info = log.read_committed(log.log_start_offset(), 1 << 20, true).map(|info| info.aborted_transactions);
        assert!(seen == wanted, "{seen:?}, not {wanted:?}; compacted up to {}, {info:?}", self.cleaned_to);
    }
}

fn read(log: &Log, budget: &mut impl FnMut() -> u32) -> Found {
    let bytes = super::store::read_all(log, log.log_start_offset(), budget);
    let (mut found, mut next) = (Found::default(), log.log_start_offset());
    for item in batches(&bytes) {
        let (header, batch) = item.unwrap();
        assert!(check_crc(batch), "checksum at {}", header.base_offset);
        assert!(header.base_offset >= next, "{} behind {next}", header.base_offset);
        next = header.next_offset();
        let mut scratch = Vec::new();
        let mut last = header.base_offset - 1;
        for record in record_batch::records(batch, &mut scratch, 1 << 20).unwrap() {
            let record = record.unwrap();
            let offset = header.offset_of(&record);
            assert!(offset > last && offset < next, "{offset} in {header:?}");
            last = offset;
            if header.is_control() {
                found.markers.insert(offset);
            } else {
                let timestamp = header.timestamp_of(&record);
                assert!(timestamp <= header.max_timestamp);
                found
                    .records
                    .insert(offset, (record.key.unwrap().to_vec(), record.value.map(<[u8]>::to_vec), timestamp));
            }
        }
    }
    found
}

/// As the Java consumer does at isolation level read_committed.
fn read_committed(log: &Log, end: i64, budget: &mut impl FnMut() -> u32) -> Vec<i64> {
    let (mut offset, mut seen) = (log.log_start_offset(), Vec::new());
    while offset < end {
        let info = log.read_committed(offset, budget(), true).unwrap();
        let bytes = info.slice.expect("one batch at least").read().unwrap();
        let mut ahead = info.aborted_transactions.iter().peekable();
        let mut aborted = BTreeSet::new();
        for item in batches(&bytes) {
            let (header, batch) = item.unwrap();
            while let Some(t) = ahead.next_if(|t| t.first_offset <= header.last_offset()) {
                aborted.insert(t.producer_id);
            }
            if is_abort(&header, batch) {
                aborted.remove(&header.producer_id);
            }
            let skipped = header.is_control() || (header.is_transactional() && aborted.contains(&header.producer_id));
            let mut scratch = Vec::new();
            let records = record_batch::records(batch, &mut scratch, 1 << 20).unwrap();
            let offsets = records.map(|record| header.offset_of(&record.unwrap()));
            seen.extend(offsets.filter(|at| !skipped && *at >= offset));
            offset = offset.max(header.next_offset());
        }
    }
    seen
}

fn is_abort(header: &BatchHeader, batch: &[u8]) -> bool {
    let mut scratch = Vec::new();
    let mut records = record_batch::records(batch, &mut scratch, 1 << 10).into_iter().flatten();
    header.is_control()
        && records.next().is_some_and(|record| {
            ControlRecordType::from_key(record.unwrap().key.unwrap_or_default()) == Some(ControlRecordType::Abort)
        })
}
