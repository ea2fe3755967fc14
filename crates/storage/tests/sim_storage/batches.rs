//! What producers, coordinators and leaders send.

use ottla_env::{random, time};
use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};

use crate::chance;

/// Keys are few, so that they meet again.
const KEYS: u64 = 6;
/// How far back a record's timestamp lies at most, in ms.
const AGE_MS: u64 = 500;

/// A batch of one to five small records of the recent past.
pub(crate) fn batch(options: BatchOptions) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    let long = chance(6) == 0;
    for _ in 0..=chance(if long { 5 } else { 2 }) {
        let key = format!("k{}", random::below(KEYS));
        let value = (chance(5) > 0).then(|| vec![b'a' + random::below(26) as u8; chance(if long { 150 } else { 30 })]);
        let timestamp = time::wall_clock_ms() - i64::try_from(random::below(AGE_MS)).expect("small");
        builder.append(timestamp, Some(key.as_bytes()), value.as_deref(), &[]);
    }
    builder.build()
}

/// A batch of an idempotent or transactional producer.
pub(crate) fn batch_by(producer_id: i64, epoch: i16, sequence: i32, transactional: bool) -> Vec<u8> {
    batch(BatchOptions {
        producer_id,
        producer_epoch: epoch,
        base_sequence: sequence,
        transactional,
        ..BatchOptions::default()
    })
}

/// The marker that ends a transaction.
pub(crate) fn marker(producer_id: i64, epoch: i16, coordinator_epoch: i32, commit: bool) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id,
        producer_epoch: epoch,
        transactional: true,
        control: true,
        ..BatchOptions::default()
    });
    let kind = if commit { ControlRecordType::Commit } else { ControlRecordType::Abort };
    let mut value = vec![0, 0];
    value.extend(coordinator_epoch.to_be_bytes());
    builder.append(time::wall_clock_ms(), Some(&kind.key()), Some(&value), &[]);
    builder.build()
}
