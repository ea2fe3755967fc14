//! A slot begins: the partition's log is replayed into a shard, on the blocking pool, up to its end; the slot serves once
//! all of that is committed.

use std::sync::Arc;

use ottla_coordinator::{GroupShard, Now, RecordError};
use ottla_env::time::Instant;
use ottla_env::{task, time};
use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{self, BatchError, BatchHeader};
use ottla_storage::ReadError;

use super::slot::Slot;
use crate::purgatory::Waiter;
use crate::replica::partition::Partition;

/// Bytes read at once.
const READ_BYTES: u32 = 4 << 20;
/// Bytes that a batch may unpack to. Coordinators write small batches, uncompressed unless told otherwise.
const MAX_UNPACKED_BYTES: usize = 256 << 20;

/// Why a log cannot be replayed.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error("the log cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("at offset {0}: {1}")]
    Batch(i64, BatchError),
    #[error("at offset {0}: {1}")]
    Record(i64, RecordError),
}

/// Loads a slot; `done` is woken then.
pub(super) async fn run(slot: Arc<Slot>, done: Arc<Waiter>) {
    let Some(config) = slot.config() else { return };
    let started = Instant::now();
    let partition = Arc::clone(slot.partition());
    let loaded = task::blocking("load groups", move || {
        let mut shard = GroupShard::new(config);
        replay(&partition, &mut shard).map(|end| (shard, end))
    });
    match loaded.await {
        Ok((shard, end)) => {
            if !is_committed(&slot, end).await {
                return;
            }
            slot.serve(shard, Now { monotonic_ms: time::monotonic_ms(), wall_ms: time::wall_clock_ms() });
            done.wake();
            let took_ms = started.elapsed().as_millis();
            tracing::debug!(partition = slot.partition().index, end, %took_ms, "groups are loaded");
        }
        Err(cause) => {
            slot.fail();
            tracing::error!(partition = slot.partition().index, %cause,
                "the groups of this partition of __consumer_offsets cannot be loaded and are not served");
        }
    }
}

/// Replays the whole log; gives its end.
fn replay(partition: &Partition, shard: &mut GroupShard) -> Result<i64, LoadError> {
    let mut log = partition.log();
    let end = log.log_end_offset();
    let mut offset = log.log_start_offset();
    let mut scratch = Vec::new();
    while offset < end {
        let found = log.read_verified(offset, READ_BYTES, end, true);
        if found.is_err() && partition.has_moved_from(&log) {
            log = partition.log();
            continue;
        }
        let Some(slice) = found?.slice else { break };
        let bytes = slice.read()?;
        let before = offset;
        for batch in record_batch::batches(&bytes) {
            let (header, batch) = batch.map_err(|cause| LoadError::Batch(offset, cause))?;
            if header.next_offset() > offset {
                replay_batch(&header, batch, offset, shard, &mut scratch)?;
                offset = header.next_offset();
            }
        }
        if offset == before {
            break;
        }
    }
    Ok(end)
}

/// Replays the records of a batch from `first` on.
fn replay_batch(
    header: &BatchHeader,
    batch: &[u8],
    first: i64,
    shard: &mut GroupShard,
    scratch: &mut Vec<u8>,
) -> Result<(), LoadError> {
    let producer_id = header.is_transactional().then_some(header.producer_id);
    let failed = |cause| LoadError::Batch(header.base_offset, cause);
    for record in record_batch::records(batch, scratch, MAX_UNPACKED_BYTES).map_err(failed)? {
        let record = record.map_err(failed)?;
        let offset = header.base_offset + i64::from(record.offset_delta);
        if offset < first {
            continue;
        }
        if header.is_control() {
            match record.key.and_then(ControlRecordType::from_key) {
                Some(ControlRecordType::Commit) => shard.replay_marker(header.producer_id, true),
                Some(ControlRecordType::Abort) => shard.replay_marker(header.producer_id, false),
                _ => {}
            }
        } else {
            shard.replay(producer_id, record.key, record.value).map_err(|cause| LoadError::Record(offset, cause))?;
        }
    }
    Ok(())
}

/// Waits until everything below `end` is committed. False if the leadership is over before.
async fn is_committed(slot: &Slot, end: i64) -> bool {
    let partition = slot.partition();
    let _subscription = partition.committed().subscribe(end, slot.ended());
    loop {
        if slot.config().is_none() {
            return false;
        }
        if partition.log().high_watermark() >= end {
            return true;
        }
        slot.ended().woken().await;
    }
}
