//! What compaction leaves of a batch: fewer records or none, at the same offsets.
//!
//! ```text
//!   before  │ head │ r0 │ r1 │ r2 │ r3 │      Kept::spans = [r1, r3]
//!   after   │ head'│ r1 │ r3 │                base offset, last offset delta, producer, sequence and epoch stay
//! ```
//! Records are copied as bytes: they count from the same base offset and base timestamp as before. Only where a delete
//! horizon (KIP-534) takes the place of the base timestamp are their timestamps counted anew.

use std::ops::Range;

use super::{
    ATTRIBUTES_AT, BatchError, BatchHeader, DELETE_HORIZON_BIT, HEADER_BYTES, LOG_OVERHEAD, MAGIC, MAX_TIMESTAMP_AT,
    NO_TIMESTAMP, patch, renew_crc,
};
use crate::compression::{Compression, compress};
use crate::varint;

const LENGTH_AT: usize = 8;
const BASE_TIMESTAMP_AT: usize = 27;
const RECORD_COUNT_AT: usize = 57;

/// The records of a batch that stay.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// The batch's records, unpacked.
    pub block: &'a [u8],
    /// Where in the block the kept records lie, ascending, whole records each.
    pub spans: &'a [Range<usize>],
    /// How many they are.
    pub count: i32,
    /// Their largest timestamp, in ms.
    pub max_timestamp: i64,
    /// The time, in ms, from which the batch's tombstones or marker may go, if it is set now; one that the batch has stays.
    pub delete_horizon_ms: Option<i64>,
}

/// Appends what is left of `batch`, packed with its own codec at its default level.
///
/// # Errors
/// When the codec is unknown, or a record is broken whose timestamp must be counted anew.
pub fn write_compacted(
    header: &BatchHeader,
    batch: &[u8],
    kept: &Kept<'_>,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), BatchError> {
    let codec = header.compression()?;
    let start = out.len();
    let head = batch.get(..HEADER_BYTES).ok_or(BatchError::Truncated { wanted: HEADER_BYTES, left: batch.len() })?;
    out.extend_from_slice(head);
    if codec == Compression::None {
        put_records(header, kept, out)?;
    } else {
        scratch.clear();
        put_records(header, kept, scratch)?;
        compress(codec, None, scratch, out)?;
    }
    let written = out.get_mut(start..).unwrap_or_default();
    let length = (written.len() - LOG_OVERHEAD) as i32;
    patch(written, LENGTH_AT, length.to_be_bytes());
    if let Some(horizon) = kept.delete_horizon_ms {
        patch(written, ATTRIBUTES_AT, (header.attributes | DELETE_HORIZON_BIT).to_be_bytes());
        patch(written, BASE_TIMESTAMP_AT, horizon.to_be_bytes());
    }
    patch(written, MAX_TIMESTAMP_AT, kept.max_timestamp.to_be_bytes());
    patch(written, RECORD_COUNT_AT, kept.count.to_be_bytes());
    renew_crc(written);
    Ok(())
}

fn put_records(header: &BatchHeader, kept: &Kept<'_>, out: &mut Vec<u8>) -> Result<(), BatchError> {
    // Wrapping, as readers add it back.
    let shift = kept.delete_horizon_ms.map(|horizon| header.base_timestamp.wrapping_sub(horizon));
    for span in kept.spans {
        let records = kept.block.get(span.clone()).unwrap_or_default();
        match shift {
            None => out.extend_from_slice(records),
            Some(shift) => put_shifted(records, shift, out)?,
        }
    }
    Ok(())
}

/// Copies records with `shift` added to their timestamps.
fn put_shifted(mut records: &[u8], shift: i64, out: &mut Vec<u8>) -> Result<(), BatchError> {
    while !records.is_empty() {
        let broken = || BatchError::Record { index: 0, what: "its timestamp cannot be read" };
        let (length, used) = varint::read_i32(records).ok_or_else(broken)?;
        let after = records.get(used..).unwrap_or_default();
        let (body, rest) = usize::try_from(length).ok().and_then(|n| after.split_at_checked(n)).ok_or_else(broken)?;
        let (attributes, body) = body.split_first().ok_or_else(broken)?;
        let (delta, used) = varint::read_i64(body).ok_or_else(broken)?;
        let body = body.get(used..).unwrap_or_default();
        let delta = delta.wrapping_add(shift);
        varint::write(out, (1 + varint::len(delta) + body.len()) as i64);
        out.push(*attributes);
        varint::write(out, delta);
        out.extend_from_slice(body);
        records = rest;
    }
    Ok(())
}

/// Appends a batch of no records in place of one that lost all of them: it keeps the offsets, and the producer's last
/// sequence and epoch. One of magic 0 or 1 is followed by one of magic 2, which alone can be empty.
pub fn write_emptied(header: &BatchHeader, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&header.base_offset.to_be_bytes());
    out.extend_from_slice(&((HEADER_BYTES - LOG_OVERHEAD) as i32).to_be_bytes());
    out.extend_from_slice(&header.partition_leader_epoch.to_be_bytes());
    out.push(MAGIC as u8);
    out.extend_from_slice(&[0; 4]); // checksum, below
    let attributes = header.attributes & !(Compression::ATTRIBUTE_MASK | DELETE_HORIZON_BIT);
    out.extend_from_slice(&attributes.to_be_bytes());
    out.extend_from_slice(&header.last_offset_delta.to_be_bytes());
    out.extend_from_slice(&NO_TIMESTAMP.to_be_bytes());
    out.extend_from_slice(&header.max_timestamp.to_be_bytes());
    out.extend_from_slice(&header.producer_id.to_be_bytes());
    out.extend_from_slice(&header.producer_epoch.to_be_bytes());
    out.extend_from_slice(&header.base_sequence.to_be_bytes());
    out.extend_from_slice(&0i32.to_be_bytes());
    renew_crc(out.get_mut(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_batch::{BatchBuilder, BatchOptions, TimestampType, check_crc, unpacked};
    use crate::records::RecordIter;

    fn batch(compression: Compression) -> Vec<u8> {
        let options = BatchOptions {
            base_offset: 100,
            leader_epoch: 7,
            compression,
            producer_id: 9,
            producer_epoch: 2,
            base_sequence: 40,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options);
        for n in 0..5i64 {
            let value = [b'v'; 20];
            builder.append(1_000 + n * 10, Some(&[n as u8]), (n != 3).then_some(&value[..]), &[("h", None)]);
        }
        builder.build()
    }

    /// Keeps the records whose offset delta is in `wanted`.
    fn compacted(batch: &[u8], wanted: &[i32], delete_horizon_ms: Option<i64>) -> Vec<u8> {
        let header = BatchHeader::read(batch).unwrap();
        let (mut unpack, mut scratch, mut out) = (Vec::new(), Vec::new(), b"before".to_vec());
        let block = unpacked(&header, batch, &mut unpack, 1 << 20).unwrap();
        let (mut spans, mut max_timestamp, mut at) = (Vec::new(), NO_TIMESTAMP, 0);
        let mut records = RecordIter::new(block, header.record_count);
        while let Some(record) = records.next() {
            let record = record.unwrap();
            let end = block.len() - records.bytes_left();
            if wanted.contains(&record.offset_delta) {
                spans.push(at..end);
                max_timestamp = header.timestamp_of(&record).max(max_timestamp);
            }
            at = end;
        }
        let kept = Kept { block, spans: &spans, count: wanted.len() as i32, max_timestamp, delete_horizon_ms };
        write_compacted(&header, batch, &kept, &mut scratch, &mut out).unwrap();
        out.split_off(b"before".len())
    }

    #[test]
    fn what_is_kept_keeps_its_place_and_time() {
        for compression in Compression::ALL {
            let before = batch(compression);
            for horizon in [None, Some(5_000_000), Some(0), Some(i64::MAX)] {
                let after = compacted(&before, &[1, 3], horizon);
                assert!(check_crc(&after), "{compression:?}");
                let (old, new) = (BatchHeader::read(&before).unwrap(), BatchHeader::read(&after).unwrap());
                assert_eq!((new.size_bytes(), new.record_count), (after.len(), 2));
                assert_eq!(new.has_delete_horizon(), horizon.is_some());
                assert_eq!(new.base_timestamp, horizon.unwrap_or(old.base_timestamp));
                assert_eq!(new.max_timestamp, 1_030);
                assert_eq!((new.base_offset, new.last_offset(), new.last_sequence()), (100, 104, 44));
                assert_eq!((new.producer_id, new.producer_epoch, new.partition_leader_epoch), (9, 2, 7));
                let mut scratch = Vec::new();
                let records: Vec<_> =
                    crate::record_batch::records(&after, &mut scratch, 1 << 20).unwrap().map(Result::unwrap).collect();
                let seen: Vec<_> = records.iter().map(|r| (r.offset_delta, r.key, r.value.is_some())).collect();
                assert_eq!(seen, [(1, Some(&[1u8][..]), true), (3, Some(&[3u8][..]), false)]);
                let times: Vec<_> =
                    records.iter().map(|r| new.base_timestamp.wrapping_add(r.timestamp_delta)).collect();
                assert_eq!(times, [1_010, 1_030], "{horizon:?}");
                assert_eq!(records[0].headers.len(), 1);
            }
        }
    }

    #[test]
    fn an_emptied_batch_keeps_offsets_and_sequence() {
        for options in [
            BatchOptions { compression: Compression::Zstd, transactional: true, ..BatchOptions::default() },
            BatchOptions { timestamp_type: TimestampType::LogAppendTime, ..BatchOptions::default() },
            BatchOptions { delete_horizon_ms: Some(77), control: true, ..BatchOptions::default() },
        ] {
            let mut builder = BatchBuilder::new(BatchOptions { base_offset: 5, base_sequence: 3, ..options });
            (0..3).for_each(|n| builder.append(n, Some(b"k"), None, &[]));
            let before = builder.build();
            let old = BatchHeader::read(&before).unwrap();
            let mut out = Vec::new();
            write_emptied(&old, &mut out);
            let new = BatchHeader::read(&out).unwrap();
            assert!(check_crc(&out) && out.len() == HEADER_BYTES);
            assert_eq!((new.record_count, new.base_offset, new.last_offset()), (0, 5, 7));
            assert_eq!((new.last_sequence(), new.max_timestamp), (old.last_sequence(), old.max_timestamp));
            assert_eq!((new.is_transactional(), new.is_control()), (options.transactional, options.control));
            assert_eq!((new.timestamp_type(), new.has_delete_horizon()), (options.timestamp_type, false));
            assert_eq!(new.compression(), Ok(Compression::None));
        }
    }
}
