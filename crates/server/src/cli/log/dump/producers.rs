//! The producers of `.snapshot` files.

use std::path::Path;

use ottla_storage::StorageError;
use ottla_storage::inspect::{SnapshotProducer, read_producers};
use serde_json::json;

use super::sink::Sink;

/// Prints a snapshot; one that is corrupt is told on stderr, and the next file follows.
pub(super) fn dump(path: &Path, sink: &mut Sink) -> anyhow::Result<()> {
    match read_producers(path) {
        Ok(producers) => {
            producers.iter().try_for_each(|producer| sink.line("producer", || text(producer), || object(producer)))
        }
        Err(StorageError::Corrupt { reason, .. }) => sink.remark(&format!("Snapshot is corrupt: {reason}")),
        Err(other) => Err(other.into()),
    }
}

fn text(p: &SnapshotProducer) -> String {
    let batch = p.last_batch.map_or(String::new(), |b| {
        format!(
            " firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
            b.first_sequence, b.last_sequence, b.last_offset, b.offset_delta, b.timestamp
        )
    });
    let open = p.transaction_start.map_or("OptionalLong.empty".to_owned(), |offset| format!("OptionalLong[{offset}]"));
    format!(
        "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {open} lastTimestamp: {}{batch}",
        p.producer_id, p.epoch, p.coordinator_epoch, p.timestamp
    )
}

fn object(p: &SnapshotProducer) -> serde_json::Value {
    json!({
        "producer_id": p.producer_id, "producer_epoch": p.epoch, "coordinator_epoch": p.coordinator_epoch,
        "current_txn_first_offset": p.transaction_start, "last_timestamp": p.timestamp,
        "last_batch": p.last_batch.map(|b| json!({
            "first_sequence": b.first_sequence, "last_sequence": b.last_sequence, "last_offset": b.last_offset,
            "offset_delta": b.offset_delta, "timestamp": b.timestamp,
        })),
    })
}
