//! Batches of records, as producers and brokers write them, byte by byte: magic 2, not compressed, without a producer id until they are
//! stamped with one.

use std::ops::Range;

/// Where the checksum stands, of all that follows it.
const CHECKSUM: Range<usize> = 17..21;
/// Where a producer's id, epoch and first sequence number stand.
const PRODUCER: Range<usize> = 43..57;

/// An idempotent producer, as the broker has made it known.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// The epoch of the id.
    pub epoch: i16,
}

/// Writes one batch after the other.
pub struct BatchWriter {
    /// Of Castagnoli's polynomial, for each byte.
    table: [u32; 256],
    records: Vec<u8>,
    record: Vec<u8>,
    count: i32,
}

impl BatchWriter {
    /// One without records.
    pub fn new() -> Self {
        Self { table: crc32c_table(), records: Vec::new(), record: Vec::new(), count: 0 }
    }

    /// Adds a record without headers to the batch.
    pub fn add(&mut self, key: Option<&[u8]>, value: &[u8]) {
        // Attributes, timestamp delta, offset delta, key, value, headers.
        self.record.clear();
        self.record.extend([0, 0]);
        varint(&mut self.record, i64::from(self.count));
        varint(&mut self.record, key.map_or(-1, |key| key.len() as i64));
        self.record.extend(key.unwrap_or_default());
        varint(&mut self.record, value.len() as i64);
        self.record.extend(value);
        self.record.push(0);
        varint(&mut self.records, self.record.len() as i64);
        self.records.extend(&self.record);
        self.count += 1;
    }

    /// The batch of the records that were added; the next one begins.
    pub fn finish(&mut self, base_offset: i64, leader_epoch: i32, timestamp_ms: i64) -> Vec<u8> {
        let mut checked = 0_i16.to_be_bytes().to_vec();
        checked.extend((self.count - 1).to_be_bytes());
        checked.extend(timestamp_ms.to_be_bytes());
        checked.extend(timestamp_ms.to_be_bytes());
        checked.extend((-1_i64).to_be_bytes());
        checked.extend((-1_i16).to_be_bytes());
        checked.extend((-1_i32).to_be_bytes());
        checked.extend(self.count.to_be_bytes());
        checked.append(&mut self.records);
        self.count = 0;
        let mut batch = base_offset.to_be_bytes().to_vec();
        batch.extend((checked.len() as i32 + 9).to_be_bytes());
        batch.extend(leader_epoch.to_be_bytes());
        batch.push(2);
        batch.extend(self.crc32c(&checked).to_be_bytes());
        batch.extend(checked);
        batch
    }

    /// Makes a finished batch that of a producer, whose records are numbered from `sequence`.
    pub fn stamp(&self, batch: &mut [u8], producer: Producer, sequence: i32) {
        let mut fields = producer.id.to_be_bytes().to_vec();
        fields.extend(producer.epoch.to_be_bytes());
        fields.extend(sequence.to_be_bytes());
        batch[PRODUCER].copy_from_slice(&fields);
        let checksum = self.crc32c(&batch[CHECKSUM.end..]);
        batch[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    }

    fn crc32c(&self, bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| (crc >> 8) ^ self.table[usize::from(crc as u8 ^ byte)])
    }
}

/// A number in Kafka's zigzag encoding.
fn varint(out: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn crc32c_table() -> [u32; 256] {
    std::array::from_fn(|n| {
        (0..8).fold(n as u32, |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_checksums_are_kafkas() {
        let mut bytes = Vec::new();
        [0, 1, 64, 88, -1].into_iter().for_each(|n| varint(&mut bytes, n));
        assert_eq!(bytes, [0, 2, 0x80, 1, 0xb0, 1, 1]);
        assert_eq!(BatchWriter::new().crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn a_stamp_changes_the_producer_and_the_checksum_alone() {
        let mut writer = BatchWriter::new();
        writer.add(Some(b"key"), b"value");
        writer.add(None, &[7; 300]);
        let plain = writer.finish(5, 0, 1_700_000_000_000);
        let mut stamped = plain.clone();
        writer.stamp(&mut stamped, Producer { id: 0x0102_0304_0506_0708, epoch: 9 }, 0x0a0b_0c0d);
        // Put together a second time, field by field.
        let mut whole = plain[..43].to_vec();
        whole.extend([1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 10, 11, 12, 13]);
        whole.extend(&plain[57..]);
        let checksum = writer.crc32c(&whole[21..]);
        whole.splice(17..21, checksum.to_be_bytes());
        assert_eq!(stamped, whole);
        assert_ne!(stamped[17..21], plain[17..21]);
        assert_eq!(plain[43..57], [0xff; 14], "no producer");
        writer.stamp(&mut stamped, Producer { id: -1, epoch: -1 }, -1);
        assert_eq!(stamped, plain);
    }
}
