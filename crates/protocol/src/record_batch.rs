//! Record batches, magic 2 (KIP-98): the unit that producers send, logs store and consumers fetch.
//!
//! ```text
//!  0 base_offset i64            21 attributes i16           43 producer_id i64
//!  8 batch_length i32           23 last_offset_delta i32    51 producer_epoch i16
//! 12 partition_leader_epoch i32 27 base_timestamp i64       53 base_sequence i32
//! 16 magic i8 = 2               35 max_timestamp i64        57 record_count i32
//! 17 crc u32                                                61 records, packed as one block
//! ```
//!
//! `crc` is CRC-32C over everything from byte 21 on. What a broker sets on every batch, offset and leader epoch, lies
//! before it, so [`set_base_offset`] and [`set_leader_epoch`] cost no checksum; only [`set_log_append_time`] does.
//!
//! Three ways through a batch: [`BatchHeader::read`] looks at the 61 bytes alone; [`records`] gives every [`Record`] as
//! slices of the batch, unpacked into a buffer if need be; [`walk()`] gives the shape of every record and keeps none, in a
//! window of fixed size whatever the batch unpacks to.
//!
//! [`Record`]: crate::records::Record

mod builder;
mod compacted;
mod walk;

use crate::compression::{Compression, CompressionError, compress, decompress};
use crate::records::{Record, RecordIter};

pub use builder::{BatchBuilder, BatchOptions};
pub use compacted::{Kept, write_compacted, write_emptied};
pub use walk::{RecordShape, Walk, walk};

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes before those that `batch_length` counts; the same in every magic.
pub const LOG_OVERHEAD: usize = 12;
/// The magic of this format.
pub const MAGIC: i8 = 2;
/// `producer_id` of a batch without an idempotent producer.
pub const NO_PRODUCER_ID: i64 = -1;
/// `producer_epoch` of such a batch.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// `base_sequence` of such a batch, and of transaction markers.
pub const NO_SEQUENCE: i32 = -1;
/// A timestamp that is not there.
pub const NO_TIMESTAMP: i64 = -1;

const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;

const TIMESTAMP_TYPE_BIT: i16 = 1 << 3;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const CONTROL_BIT: i16 = 1 << 5;
const DELETE_HORIZON_BIT: i16 = 1 << 6;

/// Why bytes are no batch, or not a sound one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end within the batch.
    #[error("a batch wants {wanted} bytes, {left} are there")]
    Truncated {
        /// Bytes wanted.
        wanted: usize,
        /// Bytes there.
        left: usize,
    },
    /// Written before Kafka 0.11 (see `legacy_records`), or by something else altogether.
    #[error("magic {0} where 2 is expected")]
    Magic(i8),
    /// A length that leaves no room for the header.
    #[error("a batch cannot have a length of {0}")]
    Length(i32),
    /// A count of records below zero.
    #[error("a batch cannot have {0} records")]
    RecordCount(i32),
    /// The codec is unknown, or its data broken or too large.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// A record that is not well formed.
    #[error("record {index} of the batch: {what}")]
    Record {
        /// Its place in the batch, from 0.
        index: i32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Bytes after the last record.
    #[error("bytes are left over after the {0} records that the batch announces")]
    Trailing(i32),
    /// A checksum of a message before magic 2 that does not fit its bytes.
    #[error("the checksum does not fit the bytes")]
    Checksum,
}

/// Who set a record's timestamp: `message.timestamp.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer.
    #[default]
    CreateTime,
    /// The broker that appended it; `max_timestamp` then holds for every record.
    LogAppendTime,
}

/// The fields before the records, as they stand in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record, from which `offset_delta` counts.
    pub base_offset: i64,
    /// Bytes after this field.
    pub batch_length: i32,
    /// Epoch of the leader that appended it, -1 from a producer.
    pub partition_leader_epoch: i32,
    /// 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon.
    pub attributes: i16,
    /// Offset of the last record less `base_offset`; stays when compaction removes records.
    pub last_offset_delta: i32,
    /// From which `timestamp_delta` counts; the delete horizon where bit 6 is set.
    pub base_timestamp: i64,
    /// Largest timestamp of the records.
    pub max_timestamp: i64,
    /// Idempotent producer, or -1.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence of the first record, or -1.
    pub base_sequence: i32,
    /// Records that follow.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which need hold no more than it. The checksum is not looked at.
    ///
    /// # Errors
    /// When the bytes are fewer than a header, of another magic, or announce a length or count that cannot be.
    pub fn read(bytes: &[u8]) -> Result<Self, BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_AT)
            && magic as i8 != MAGIC
        {
            return Err(BatchError::Magic(magic as i8));
        }
        let head = bytes
            .first_chunk::<HEADER_BYTES>()
            .ok_or(BatchError::Truncated { wanted: HEADER_BYTES, left: bytes.len() })?;
        let header = Self {
            base_offset: i64::from_be_bytes(field(head, 0)),
            batch_length: i32::from_be_bytes(field(head, 8)),
            partition_leader_epoch: i32::from_be_bytes(field(head, LEADER_EPOCH_AT)),
            magic: MAGIC,
            crc: u32::from_be_bytes(field(head, CRC_AT)),
            attributes: i16::from_be_bytes(field(head, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(field(head, 43)),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            record_count: i32::from_be_bytes(field(head, 57)),
        };
        if header.batch_length < (HEADER_BYTES - LOG_OVERHEAD) as i32 {
            return Err(BatchError::Length(header.batch_length));
        }
        if header.record_count < 0 {
            return Err(BatchError::RecordCount(header.record_count));
        }
        Ok(header)
    }

    /// Bytes of the whole batch.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        LOG_OVERHEAD + self.batch_length as usize
    }

    /// Offset of its last record, or where that was before compaction.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after it.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Sequence of its last record; after `i32::MAX` comes 0. -1 without a sequence.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (sum & i64::from(i32::MAX)) as i32
    }

    /// Codec.
    ///
    /// # Errors
    /// For a number that Kafka does not have.
    pub fn compression(&self) -> Result<Compression, CompressionError> {
        Compression::from_attributes(self.attributes)
    }

    /// Whether it has an idempotent producer's id.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Whether it belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether it holds control records, which applications never see.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// Who set the timestamps.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & TIMESTAMP_TYPE_BIT == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether `base_timestamp` is the time from which compaction may drop the batch's tombstones (KIP-534).
    #[must_use]
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON_BIT != 0
    }

    /// Offset of one of its records.
    #[must_use]
    pub fn offset_of(&self, record: &Record<'_>) -> i64 {
        self.base_offset.saturating_add(i64::from(record.offset_delta))
    }

    /// Timestamp of one of its records, in ms.
    #[must_use]
    pub fn timestamp_of(&self, record: &Record<'_>) -> i64 {
        match self.timestamp_type() {
            TimestampType::CreateTime => self.base_timestamp.saturating_add(record.timestamp_delta),
            TimestampType::LogAppendTime => self.max_timestamp,
        }
    }
}

/// The bytes of one field of a header. The positions are constants of this file, all inside it.
fn field<const N: usize>(head: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    head.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// Overwrites a field; a batch too short to have it is left alone.
fn patch<const N: usize>(batch: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = batch.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        *place = value;
    }
}

fn computed_crc(batch: &[u8]) -> Option<u32> {
    batch.get(ATTRIBUTES_AT..).map(crc_fast::crc32_iscsi)
}

/// Whether the checksum of a whole batch fits its bytes.
#[must_use]
pub fn check_crc(batch: &[u8]) -> bool {
    let stored = batch.get(CRC_AT..).and_then(|rest| rest.first_chunk::<4>());
    stored.is_some_and(|stored| computed_crc(batch) == Some(u32::from_be_bytes(*stored)))
}

/// Gives a batch its place in the log.
pub fn set_base_offset(batch: &mut [u8], offset: i64) {
    patch(batch, 0, offset.to_be_bytes());
}

/// Notes the epoch of the leader that appends it.
pub fn set_leader_epoch(batch: &mut [u8], epoch: i32) {
    patch(batch, LEADER_EPOCH_AT, epoch.to_be_bytes());
}

/// Makes `ms` the timestamp of all its records (`message.timestamp.type=LogAppendTime`) and renews the checksum.
pub fn set_log_append_time(batch: &mut [u8], ms: i64) {
    let Some(attributes) = batch.get(ATTRIBUTES_AT..).and_then(|rest| rest.first_chunk::<2>()) else { return };
    let attributes = i16::from_be_bytes(*attributes) | TIMESTAMP_TYPE_BIT;
    patch(batch, ATTRIBUTES_AT, attributes.to_be_bytes());
    patch(batch, MAX_TIMESTAMP_AT, ms.to_be_bytes());
    renew_crc(batch);
}

/// Corrects the largest timestamp of a batch whose producer stated it wrongly, and renews the checksum.
pub fn set_max_timestamp(batch: &mut [u8], ms: i64) {
    patch(batch, MAX_TIMESTAMP_AT, ms.to_be_bytes());
    renew_crc(batch);
}

/// Makes a batch that of an idempotent producer, or of another epoch of it, and renews the checksum. A producer does so
/// when it sends the batch, not when it collects the records.
pub fn set_producer(batch: &mut [u8], producer_id: i64, epoch: i16, base_sequence: i32) {
    patch(batch, PRODUCER_ID_AT, producer_id.to_be_bytes());
    patch(batch, PRODUCER_EPOCH_AT, epoch.to_be_bytes());
    patch(batch, BASE_SEQUENCE_AT, base_sequence.to_be_bytes());
    renew_crc(batch);
}

fn renew_crc(batch: &mut [u8]) {
    if let Some(crc) = computed_crc(batch) {
        patch(batch, CRC_AT, crc.to_be_bytes());
    }
}

/// Bytes of the batch or legacy message at the start of `bytes`, whatever its magic; `None` when fewer than the 12 bytes
/// that say so are there.
///
/// # Errors
/// For a length below zero.
pub fn entry_size(bytes: &[u8]) -> Result<Option<usize>, BatchError> {
    let Some(length) = bytes.get(8..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    let after = usize::try_from(length).map_err(|_| BatchError::Length(length))?;
    Ok(Some(LOG_OVERHEAD + after))
}

/// Whole batches one after the other; see [`batches`].
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
    broken: bool,
}

/// Goes through `bytes` batch by batch. A batch that is not wholly there ends it, as the end of a fetch may cut one;
/// [`Batches::partial_tail`] then tells how much of it there is. Checksums are not looked at.
#[must_use]
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes, broken: false }
}

impl Batches<'_> {
    /// Bytes not gone through; after the end, those of a batch cut short.
    #[must_use]
    pub fn partial_tail(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<(BatchHeader, &'a [u8]), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let header = match entry_size(self.rest) {
            Ok(Some(size)) if size <= self.rest.len() => BatchHeader::read(self.rest),
            Ok(_) => return None,
            Err(e) => Err(e),
        };
        Some(match header {
            Ok(header) => {
                let (batch, rest) = self.rest.split_at_checked(header.size_bytes())?;
                self.rest = rest;
                Ok((header, batch))
            }
            Err(e) => {
                self.broken = true;
                Err(e)
            }
        })
    }
}

/// The records of a whole batch. Uncompressed ones are slices of it; compressed ones are unpacked into `scratch`, which
/// takes at most `limit` bytes and can serve batch after batch.
///
/// # Errors
/// When the header or the compressed block is broken, or unpacks to more than `limit` bytes. Broken records are found by
/// the iterator.
pub fn records<'a>(batch: &'a [u8], scratch: &'a mut Vec<u8>, limit: usize) -> Result<RecordIter<'a>, BatchError> {
    let header = BatchHeader::read(batch)?;
    Ok(RecordIter::new(unpacked(&header, batch, scratch, limit)?, header.record_count))
}

/// The block of a whole batch's records, unpacked as [`records`] does, for those who copy records as bytes: the
/// iterator is [`RecordIter::new`].
///
/// # Errors
/// As [`records`].
pub fn unpacked<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    scratch: &'a mut Vec<u8>,
    limit: usize,
) -> Result<&'a [u8], BatchError> {
    let packed = packed_records(header, batch)?;
    match header.compression()? {
        Compression::None => Ok(packed),
        codec => {
            decompress(codec, packed, scratch, limit)?;
            Ok(scratch)
        }
    }
}

/// The batch with its records packed in another codec; head and records stay as they are. `limit` bounds what it unpacks to.
///
/// # Errors
/// When its records cannot be unpacked, or the codec refuses its level.
pub fn recompress(batch: &[u8], codec: Compression, level: Option<i32>, limit: usize) -> Result<Vec<u8>, BatchError> {
    let header = BatchHeader::read(batch)?;
    let packed = packed_records(&header, batch)?;
    let mut unpacked = Vec::new();
    let records = match header.compression()? {
        Compression::None => packed,
        from => {
            decompress(from, packed, &mut unpacked, limit)?;
            &unpacked
        }
    };
    let mut out = batch.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    compress(codec, level, records, &mut out)?;
    let length = i32::try_from(out.len() - LOG_OVERHEAD).map_err(|_| BatchError::Length(i32::MAX))?;
    patch(&mut out, LENGTH_AT, length.to_be_bytes());
    let attributes = (header.attributes & !Compression::ATTRIBUTE_MASK) | codec as i16;
    patch(&mut out, ATTRIBUTES_AT, attributes.to_be_bytes());
    renew_crc(&mut out);
    Ok(out)
}

/// The bytes after the header and up to the batch's length.
fn packed_records<'a>(header: &BatchHeader, batch: &'a [u8]) -> Result<&'a [u8], BatchError> {
    let wanted = header.size_bytes();
    batch.get(HEADER_BYTES..wanted).ok_or(BatchError::Truncated { wanted, left: batch.len() })
}

#[cfg(test)]
mod tests;
