//! Hostile record sets: truncations, lies and flips, checksums repaired, in every magic and codec. Nothing panics, and
//! memory stays within the limit that the caller gave plus what the codecs hold themselves.

#![allow(clippy::disallowed_methods, reason = "a test reads files of the crate")]

mod every_message;

use std::path::Path;

use every_message::allocation::{Counting, peak_of};
use every_message::random::Random;
use ottla_protocol::compression::Compression;
use ottla_protocol::record_batch::{
    self, BatchBuilder, BatchHeader, BatchOptions, batches, records, set_max_timestamp, walk,
};
use ottla_protocol::{frame, legacy_records};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that a batch may unpack to here.
const LIMIT: usize = 64 << 10;
/// What a codec's state may take besides: an lz4 frame may have blocks of 4 MiB, once packed and twice unpacked.
const CODEC_BYTES: usize = 16 << 20;

fn sample(compression: Compression) -> Vec<u8> {
    let mut b = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
    b.append(10, Some(b"key"), Some(b"value"), &[("header", Some(b"1")), ("n", None)]);
    b.append(11, None, Some(&b"again and ".repeat(30)), &[]);
    b.append(12, Some(b""), None, &[]);
    b.build()
}

/// Everything that looks at a set of bytes from outside.
fn visit(bytes: &[u8], window: &mut Vec<u8>, scratch: &mut Vec<u8>) {
    for batch in batches(bytes) {
        let Ok((header, batch)) = batch else { break };
        let _ = (header.last_offset(), header.next_offset(), header.last_sequence(), record_batch::check_crc(batch));
        if let Ok(walk) = walk(batch, window, LIMIT) {
            walk.for_each(drop);
        }
        if let Ok(records) = records(batch, scratch, LIMIT) {
            for record in records.flatten() {
                let _ = (header.offset_of(&record), header.timestamp_of(&record));
                record.headers.for_each(drop);
            }
        }
    }
    for entry in legacy_records::entries(bytes).flatten() {
        if let Ok(messages) = legacy_records::messages(&entry, scratch, LIMIT) {
            messages.for_each(drop);
        }
    }
    let _ = frame::read_request_head(bytes);
}

fn check(bytes: &[u8], what: &str) {
    let ((), peak) = peak_of(|| visit(bytes, &mut Vec::new(), &mut Vec::new()));
    let bound = 4 * LIMIT + 64 * bytes.len() + CODEC_BYTES;
    assert!(peak <= bound, "{what}: {peak} bytes for {bytes:02x?}");
}

fn legacy() -> Vec<Vec<u8>> {
    ["magic0-none", "magic0-gzip", "magic0-lz4", "magic1-snappy", "magic1-none", "magic1-lz4"]
        .iter()
        .map(|name| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/kafka_batches/{name}.bin"));
            let mut bytes = std::fs::read(path).expect("the file is part of the crate");
            if name.ends_with("none") {
                bytes.truncate(2000);
            }
            bytes
        })
        .collect()
}

#[test]
fn truncations_and_flips_of_batches_whose_checksum_is_repaired() {
    for codec in Compression::ALL {
        let batch = sample(codec);
        let mut random = Random::of(codec.name(), 0, 0);
        for end in 0..batch.len() {
            check(&batch[..end], "cut");
            // Cut, but with a length that says so.
            let mut cut = batch[..end].to_vec();
            if let (Some(place), Some(length)) = (cut.get_mut(8..12), end.checked_sub(12)) {
                place.copy_from_slice(&(length as i32).to_be_bytes());
            }
            check(&cut, "cut, and owned up to");
        }
        for _ in 0..3000 {
            let mut broken = batch.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(broken.len());
                broken[at] = if random.one_in(2) { broken[at] ^ 1 << random.below(8) } else { random.next() as u8 };
            }
            set_max_timestamp(&mut broken, 12); // computes the checksum again
            check(&broken, "flips");
        }
    }
}

#[test]
fn flips_of_old_message_sets() {
    for set in legacy() {
        let mut random = Random::of("legacy", set.len() as i16, 0);
        for end in (0..set.len()).step_by(set.len() / 200 + 1) {
            check(&set[..end], "cut");
        }
        for _ in 0..300 {
            let mut broken = set.clone();
            for _ in 0..=random.below(4) {
                // The head of the set, where its lengths are, or anywhere.
                let within = if random.one_in(2) { broken.len().min(60) } else { broken.len() };
                let at = random.below(within);
                broken[at] = random.next() as u8;
            }
            check(&broken, "flips");
        }
    }
}

/// 64 MiB of zeros in one record, in a few kilobytes.
#[test]
fn bombs_are_refused_within_the_limit() {
    for codec in Compression::ALL.into_iter().skip(1) {
        let mut b = BatchBuilder::new(BatchOptions { compression: codec, ..BatchOptions::default() });
        b.append(0, None, Some(&vec![0; 64 << 20]), &[]);
        let bomb = b.build();
        let (mut scratch, mut window) = (Vec::new(), Vec::new());
        let (result, peak) = peak_of(|| records(&bomb, &mut scratch, 1 << 20).map(drop));
        assert!(result.is_err(), "{codec:?}");
        assert!(peak <= 8 << 20, "{codec:?} took {peak} to find that out");
        let (result, peak) = peak_of(|| walk(&bomb, &mut window, 1 << 20).unwrap().find_map(Result::err));
        assert!(result.is_some(), "{codec:?}");
        assert!(peak <= 2 << 20, "{codec:?} took {peak} for a walk");
    }
}

/// A walk takes the same memory whatever the batch unpacks to, and none for a record.
#[test]
fn a_walk_allocates_nothing_per_record() {
    for codec in Compression::ALL {
        let mut b = BatchBuilder::new(BatchOptions { compression: codec, ..BatchOptions::default() });
        for i in 0..20_000 {
            b.append(i, Some(b"key"), Some(b"a value, and a value, and a value"), &[("h", Some(b"x"))]);
        }
        let batch = b.build();
        let mut window = Vec::new();
        assert_eq!(walk(&batch, &mut window, 4 << 20).unwrap().count(), 20_000);
        let (n, peak) = peak_of(|| walk(&batch, &mut window, 4 << 20).unwrap().flatten().count());
        assert_eq!(n, 20_000);
        let bound = if codec == Compression::None { 0 } else { 300 << 10 };
        assert!(peak <= bound, "{codec:?} took {peak}");
        let header = BatchHeader::read(&batch).unwrap();
        assert_eq!(header.record_count, 20_000);
    }
}
