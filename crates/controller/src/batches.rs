//! Batches of the metadata log and of snapshots, taken apart and put together.

use ottla_metadata::records::{MetadataRecord, RecordError};
use ottla_protocol::compression::Compression;
use ottla_protocol::reader::DecodeError;
use ottla_protocol::record_batch::{self, BatchBuilder, BatchError, BatchHeader, BatchOptions};
use ottla_protocol::writer::EncodeError;

use crate::control_records::Control;

/// A batch of the metadata log unpacks to at most this; Kafka's own are at most 8 MiB.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// Why a batch is not understood.
#[derive(Debug, thiserror::Error)]
pub enum BatchFault {
    /// The batch itself.
    #[error("batch at offset {offset}: {source}")]
    Batch {
        /// Its first offset, or where it was expected.
        offset: i64,
        /// What is wrong.
        source: BatchError,
    },
    /// The checksum does not fit.
    #[error("batch at offset {0}: its checksum does not fit its bytes")]
    Checksum(i64),
    /// A control record.
    #[error("control record at offset {offset}: {source}")]
    Control {
        /// Its offset.
        offset: i64,
        /// What is wrong.
        source: DecodeError,
    },
    /// A metadata record.
    #[error("metadata record at offset {offset}: {source}")]
    Record {
        /// Its offset.
        offset: i64,
        /// What is wrong.
        source: RecordError,
    },
    /// A record without value.
    #[error("the record at offset {0} has no value")]
    NoValue(i64),
}

/// A batch taken apart: it has either control records or metadata records.
#[derive(Debug)]
pub(crate) struct DecodedBatch {
    pub(crate) header: BatchHeader,
    pub(crate) control: Vec<(i64, Control)>,
    pub(crate) records: Vec<MetadataRecord>,
}

/// Takes every whole batch of `bytes` apart.
pub(crate) fn decode_batches(bytes: &[u8]) -> impl Iterator<Item = Result<DecodedBatch, BatchFault>> + '_ {
    let mut expected = -1;
    record_batch::batches(bytes).map(move |batch| {
        let (header, batch) = batch.map_err(|source| BatchFault::Batch { offset: expected, source })?;
        expected = header.next_offset();
        decode_batch(header, batch)
    })
}

fn decode_batch(header: BatchHeader, batch: &[u8]) -> Result<DecodedBatch, BatchFault> {
    let offset = header.base_offset;
    if !record_batch::check_crc(batch) {
        return Err(BatchFault::Checksum(offset));
    }
    let fault = |source| BatchFault::Batch { offset, source };
    let mut scratch = Vec::new();
    let mut decoded = DecodedBatch { header, control: Vec::new(), records: Vec::new() };
    for record in record_batch::records(batch, &mut scratch, UNPACKED_BYTES_MAX).map_err(fault)? {
        let record = record.map_err(fault)?;
        let offset = header.offset_of(&record);
        let value = record.value.ok_or(BatchFault::NoValue(offset))?;
        if header.is_control() {
            let key = record.key.unwrap_or_default();
            let control = Control::decode(key, value).map_err(|source| BatchFault::Control { offset, source })?;
            decoded.control.extend(control.map(|c| (offset, c)));
        } else {
            let record = MetadataRecord::decode(value).map_err(|source| BatchFault::Record { offset, source })?;
            decoded.records.push(record);
        }
    }
    Ok(decoded)
}

/// Where a batch goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchPlace {
    pub(crate) base_offset: i64,
    pub(crate) epoch: i32,
    pub(crate) timestamp_ms: i64,
}

impl BatchPlace {
    fn builder(self, control: bool) -> BatchBuilder {
        BatchBuilder::new(BatchOptions {
            base_offset: self.base_offset,
            leader_epoch: self.epoch,
            compression: Compression::None,
            control,
            ..Default::default()
        })
    }
}

/// A batch of metadata records, each in the version that the cluster's metadata.version has.
pub(crate) fn encode_records(
    place: BatchPlace,
    records: &[MetadataRecord],
    metadata_version: i16,
) -> Result<Vec<u8>, EncodeError> {
    let mut builder = place.builder(false);
    for record in records {
        builder.append(place.timestamp_ms, None, Some(&record.encode_at(metadata_version)?), &[]);
    }
    Ok(builder.build())
}

/// A batch of control records.
pub(crate) fn encode_control(place: BatchPlace, records: &[Control]) -> Result<Vec<u8>, EncodeError> {
    let mut builder = place.builder(true);
    for record in records {
        let (key, value) = record.encode()?;
        builder.append(place.timestamp_ms, Some(&key), Some(&value), &[]);
    }
    Ok(builder.build())
}
