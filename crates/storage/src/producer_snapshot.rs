//! `<offset>.snapshot`: the producers of all batches below an offset, so that loading a log need not read it from its
//! start. Written when a segment is closed, at checkpoints and at a clean stop. Kafka class: `ProducerStateManager`.
//!
//! ```text
//!   0    2      6        10
//!   ├────┼──────┼────────┼── entries of 46 bytes ──>        big-endian
//!   │ 1  │ crc  │ count  │      crc: CRC-32C of everything from byte 6 on
//!
//!   producerId i64 │ epoch i16 │ lastSequence i32 │ lastOffset i64 │ offsetDelta i32 │ timestamp i64
//!   │ coordinatorEpoch i32 │ currentTxnFirstOffset i64 (-1 none)
//! ```
//! Of each producer's window only the last batch is stored, as Kafka does.

use ottla_protocol::record_batch::NO_SEQUENCE;

use crate::producer_state::{BatchMemory, ProducerEntry, ProducerState};

const VERSION: i16 = 1;
const HEAD_BYTES: usize = 10;
const ENTRY_BYTES: usize = 46;
const CRC_FROM: usize = 6;
const NO_OFFSET: i64 = -1;

/// The file's bytes.
pub(crate) fn encode(state: &ProducerState) -> Vec<u8> {
    let mut body = Vec::with_capacity(4 + state.len() * ENTRY_BYTES);
    let count = i32::try_from(state.len()).unwrap_or(i32::MAX);
    body.extend(count.to_be_bytes());
    for (id, entry) in state.entries().take(count as usize) {
        let none = BatchMemory { last_sequence: NO_SEQUENCE, last_offset: NO_OFFSET, offset_delta: 0, timestamp: 0 };
        let last = entry.last().unwrap_or(&none);
        body.extend(id.to_be_bytes());
        body.extend(entry.epoch.to_be_bytes());
        body.extend(last.last_sequence.to_be_bytes());
        body.extend(last.last_offset.to_be_bytes());
        body.extend(last.offset_delta.to_be_bytes());
        body.extend(entry.timestamp.to_be_bytes());
        body.extend(entry.coordinator_epoch.to_be_bytes());
        body.extend(entry.transaction_start.unwrap_or(NO_OFFSET).to_be_bytes());
    }
    let mut file = Vec::with_capacity(CRC_FROM + body.len());
    file.extend(VERSION.to_be_bytes());
    file.extend(crc_fast::crc32_iscsi(&body).to_be_bytes());
    file.append(&mut body);
    file
}

/// Reads the file's bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<ProducerState, String> {
    decode_entries(bytes).map(ProducerState::from_entries)
}

/// Reads the file's bytes, producers in the order of the file.
pub(crate) fn decode_entries(bytes: &[u8]) -> Result<impl Iterator<Item = (i64, ProducerEntry)>, String> {
    let head = bytes.first_chunk::<HEAD_BYTES>().ok_or("shorter than its head")?;
    let [v0, v1, c0, c1, c2, c3, n0, n1, n2, n3] = *head;
    let version = i16::from_be_bytes([v0, v1]);
    if version != VERSION {
        return Err(format!("version {version} is not {VERSION}"));
    }
    if crc_fast::crc32_iscsi(bytes.get(CRC_FROM..).unwrap_or_default()) != u32::from_be_bytes([c0, c1, c2, c3]) {
        return Err("the checksum does not fit".to_owned());
    }
    let (entries, rest) = bytes.get(HEAD_BYTES..).unwrap_or_default().as_chunks::<ENTRY_BYTES>();
    let count = i32::from_be_bytes([n0, n1, n2, n3]);
    if !rest.is_empty() || usize::try_from(count) != Ok(entries.len()) {
        return Err(format!("{count} producers are announced, {} are there", entries.len()));
    }
    Ok(entries.iter().map(decode_entry))
}

fn decode_entry(bytes: &[u8; ENTRY_BYTES]) -> (i64, ProducerEntry) {
    let mut rest = bytes.as_slice();
    let id = i64::from_be_bytes(take(&mut rest));
    let epoch = i16::from_be_bytes(take(&mut rest));
    let last_sequence = i32::from_be_bytes(take(&mut rest));
    let last_offset = i64::from_be_bytes(take(&mut rest));
    let offset_delta = i32::from_be_bytes(take(&mut rest));
    let timestamp = i64::from_be_bytes(take(&mut rest));
    let coordinator_epoch = i32::from_be_bytes(take(&mut rest));
    let transaction_start = i64::from_be_bytes(take(&mut rest));
    let last = (last_offset >= 0).then_some(BatchMemory { last_sequence, last_offset, offset_delta, timestamp });
    let mut entry = ProducerEntry::new(epoch, timestamp, last);
    entry.coordinator_epoch = coordinator_epoch;
    entry.transaction_start = (transaction_start >= 0).then_some(transaction_start);
    (id, entry)
}

/// The next field; the fields of an entry add up to its size.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (field, after) = rest.split_first_chunk::<N>().expect("the fields of an entry add up to its size");
    *rest = after;
    *field
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> ProducerState {
        let last = BatchMemory { last_sequence: 41, last_offset: 1041, offset_delta: 3, timestamp: 99 };
        let mut open = ProducerEntry::new(2, 99, Some(last));
        open.transaction_start = Some(1000);
        open.coordinator_epoch = 5;
        ProducerState::from_entries([(7, open), (8, ProducerEntry::new(0, 50, None))])
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = encode(&state());
        assert_eq!(bytes.len(), HEAD_BYTES + 2 * ENTRY_BYTES);
        let read = decode(&bytes).expect("read");
        let entry = |s: &ProducerState, id| s.entries().find(|(i, _)| *i == id).map(|(_, e)| e.clone());
        assert_eq!(entry(&read, 7), entry(&state(), 7));
        assert_eq!(entry(&read, 8), entry(&state(), 8));
        assert_eq!(read.first_unstable_offset(), Some(1000));
        assert_eq!(encode(&ProducerState::default()), [0, 1, 0x48, 0x67, 0x4b, 0xc7, 0, 0, 0, 0]);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let bytes = encode(&state());
        for bit in 0..bytes.len() * 8 {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&wrong).is_err(), "bit {bit}");
        }
        assert!(decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(decode(&[]).is_err());
    }
}
