//! Record sets that Kafka's own code wrote, in every magic and codec, are read record by record as they were written.
//! `kafka_batches/Batches.java` made them.

#![allow(clippy::disallowed_methods, reason = "a test reads files of the crate")]

use std::path::Path;

use ottla_protocol::compression::Compression;
use ottla_protocol::legacy_records;
use ottla_protocol::record_batch::{self, TimestampType, batches, check_crc};

const RECORDS: i64 = 100;
const FIRST_OFFSET: i64 = 1000;

/// What a record holds, taken out of whichever form it was in.
#[derive(Debug, PartialEq)]
struct Plain {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Record `i` as `Batches.java` makes it.
fn expected(i: i64, magic: i8) -> Plain {
    let text = |s: String| Some(s.into_bytes());
    let headers = vec![(b"h".to_vec(), Some(vec![1])), (b"h".to_vec(), Some(vec![2])), (b"n".to_vec(), None)];
    Plain {
        offset: FIRST_OFFSET + i,
        timestamp: if magic == 0 { -1 } else { 1_700_000_000_000 + i * 7 - (i % 2) * 1000 },
        key: if i % 3 == 0 { None } else { text(format!("key-{i}")) },
        value: if i % 5 == 0 { None } else { text(format!("value {i} ").repeat(i as usize)) },
        headers: if magic < 2 || i % 4 != 0 { Vec::new() } else { headers },
    }
}

fn file(magic: i8, codec: Compression) -> Vec<u8> {
    let name = format!("tests/kafka_batches/magic{magic}-{}.bin", codec.name());
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(&name)).expect("the file is part of the crate")
}

fn all_expected(magic: i8) -> Vec<Plain> {
    (0..RECORDS).map(|i| expected(i, magic)).collect()
}

#[test]
fn magic_2_in_every_codec() {
    for codec in Compression::ALL {
        let bytes = file(2, codec);
        let mut read = Vec::new();
        let (mut scratch, mut window) = (Vec::new(), Vec::new());
        let mut set = batches(&bytes);
        for batch in &mut set {
            let (header, batch) = batch.expect("sound");
            assert!(check_crc(batch));
            assert_eq!((header.compression(), header.timestamp_type()), (Ok(codec), TimestampType::CreateTime));
            assert_eq!(record_batch::walk(batch, &mut window, 1 << 20).expect("sound").count(), RECORDS as usize);
            for record in record_batch::records(batch, &mut scratch, 1 << 20).expect("sound") {
                let record = record.expect("sound");
                read.push(Plain {
                    offset: header.offset_of(&record),
                    timestamp: header.timestamp_of(&record),
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: record.headers.map(|(k, v)| (k.to_vec(), v.map(<[u8]>::to_vec))).collect(),
                });
            }
        }
        assert_eq!(set.partial_tail(), 0);
        assert_eq!(read, all_expected(2), "{codec:?}");
    }
}

#[test]
fn magic_0_and_1_in_every_codec_that_they_had() {
    for magic in [0, 1] {
        for codec in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4] {
            let bytes = file(magic, codec);
            let mut read = Vec::new();
            for entry in legacy_records::entries(&bytes) {
                let entry = entry.expect("sound");
                assert!(entry.check_crc());
                let mut scratch = Vec::new();
                for message in legacy_records::messages(&entry, &mut scratch, 1 << 20).expect("sound") {
                    let m = message.expect("sound");
                    let (key, value) = (m.key.map(<[u8]>::to_vec), m.value.map(<[u8]>::to_vec));
                    read.push(Plain { offset: m.offset, timestamp: m.timestamp, key, value, headers: Vec::new() });
                }
            }
            assert_eq!(read, all_expected(magic), "magic {magic} {codec:?}");
        }
    }
}

/// Built from the same records without compression, a batch is Kafka's to the byte.
#[test]
fn what_we_write_is_what_kafka_writes() {
    let mut ours = record_batch::BatchBuilder::new(record_batch::BatchOptions {
        base_offset: FIRST_OFFSET,
        ..record_batch::BatchOptions::default()
    });
    for r in all_expected(2) {
        let headers = r.headers.iter().map(|(k, v)| (&k[..], v.as_deref()));
        ours.append_at(r.offset, r.timestamp, r.key.as_deref(), r.value.as_deref(), headers);
    }
    assert_eq!(ours.build(), file(2, Compression::None));
}
