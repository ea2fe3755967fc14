//! What a producer snapshot (`.snapshot`) says, producer by producer in the order of the file.

use std::path::Path;

use ottla_env::fs;

use crate::error::StorageError;
use crate::producer_snapshot;
use crate::producer_state::ProducerEntry;

/// A producer of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Epoch of the coordinator that wrote its last marker; -1 for none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub transaction_start: Option<i64>,
    /// Timestamp of its last batch or marker, in ms.
    pub timestamp: i64,
    /// Its last batch, if one is known.
    pub last_batch: Option<LastBatch>,
}

/// The last batch of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastBatch {
    /// Sequence of its first record.
    pub first_sequence: i32,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Last offset less the first.
    pub offset_delta: i32,
    /// Its largest timestamp, in ms.
    pub timestamp: i64,
}

/// Reads a snapshot.
///
/// # Errors
/// When the file cannot be read, or is none.
pub fn read_producers(path: &Path) -> Result<Vec<SnapshotProducer>, StorageError> {
    let bytes = fs::read(path)?;
    let corrupt = |reason| StorageError::Corrupt { path: path.to_owned(), reason };
    Ok(producer_snapshot::decode_entries(&bytes).map_err(corrupt)?.map(|(id, entry)| told(id, &entry)).collect())
}

fn told(producer_id: i64, entry: &ProducerEntry) -> SnapshotProducer {
    SnapshotProducer {
        producer_id,
        epoch: entry.epoch,
        coordinator_epoch: entry.coordinator_epoch,
        transaction_start: entry.transaction_start,
        timestamp: entry.timestamp,
        last_batch: entry.last().map(|last| LastBatch {
            first_sequence: last.first_sequence(),
            last_sequence: last.last_sequence,
            last_offset: last.last_offset,
            offset_delta: last.offset_delta,
            timestamp: last.timestamp,
        }),
    }
}
