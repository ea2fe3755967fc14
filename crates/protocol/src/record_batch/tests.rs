use super::*;

fn sample(compression: Compression) -> Vec<u8> {
    let mut b = BatchBuilder::new(BatchOptions {
        base_offset: 40,
        compression,
        producer_id: 9,
        producer_epoch: 1,
        base_sequence: i32::MAX,
        ..BatchOptions::default()
    });
    b.append(1000, Some(b"k"), Some(b"v"), &[("h", Some(b"1")), ("h", Some(b"2")), ("n", None)]);
    b.append(1007, None, None, &[]);
    b.append(990, Some(b""), Some(&[7; 50_000]), &[]);
    b.build()
}

#[test]
fn what_was_built_is_read_back() {
    for codec in Compression::ALL {
        let batch = sample(codec);
        let header = BatchHeader::read(&batch).unwrap();
        assert_eq!(header.size_bytes(), batch.len());
        assert!(check_crc(&batch));
        assert_eq!(header.compression(), Ok(codec));
        assert_eq!((header.base_offset, header.last_offset(), header.next_offset()), (40, 42, 43));
        assert_eq!((header.base_timestamp, header.max_timestamp, header.record_count), (1000, 1007, 3));
        assert_eq!(header.last_sequence(), 1, "i32::MAX, then 0, then 1");

        let mut scratch = Vec::new();
        let all: Vec<_> = records(&batch, &mut scratch, 1 << 20).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(all.iter().map(|r| header.offset_of(r)).collect::<Vec<_>>(), [40, 41, 42]);
        assert_eq!(all.iter().map(|r| header.timestamp_of(r)).collect::<Vec<_>>(), [1000, 1007, 990]);
        assert_eq!((all[0].key, all[0].value), (Some(&b"k"[..]), Some(&b"v"[..])));
        let headers: Vec<_> = all[0].headers.collect();
        assert_eq!(headers, [(&b"h"[..], Some(&b"1"[..])), (b"h", Some(b"2")), (b"n", None)]);
        assert_eq!((all[1].key, all[1].value), (None, None));
        assert_eq!(all[2].value.map(<[u8]>::len), Some(50_000));
    }
}

#[test]
fn a_walk_sees_the_same_records_through_its_window() {
    let mut window = Vec::new();
    for codec in Compression::ALL {
        let batch = sample(codec);
        let mut scratch = Vec::new();
        let records: Vec<_> = records(&batch, &mut scratch, 1 << 20).unwrap().map(Result::unwrap).collect();
        let shapes: Vec<_> = walk(&batch, &mut window, 1 << 20).unwrap().map(Result::unwrap).collect();
        assert_eq!(records.len(), shapes.len());
        for (r, s) in records.iter().zip(&shapes) {
            assert_eq!((r.offset_delta, r.timestamp_delta), (s.offset_delta, s.timestamp_delta));
            assert_eq!((r.key.map(<[u8]>::len), r.value.map(<[u8]>::len)), (s.key_bytes, s.value_bytes));
            assert_eq!(r.headers.len(), s.header_count);
        }
        assert!(window.capacity() < 50_000, "the window stays smaller than a record");
    }
}

/// A batch whose block of records is `bytes`, announcing `count`.
fn with_records(compression: Compression, count: i32, bytes: &[u8]) -> Vec<u8> {
    let mut batch = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() }).build();
    batch.truncate(HEADER_BYTES);
    crate::compression::compress(compression, None, bytes, &mut batch).unwrap();
    let length = (batch.len() - LOG_OVERHEAD) as i32;
    patch(&mut batch, 8, length.to_be_bytes());
    patch(&mut batch, 57, count.to_be_bytes());
    renew_crc(&mut batch);
    batch
}

#[test]
fn records_that_are_not_well_formed_are_refused_by_both_ways() {
    // length 7: attributes, timestamp, offset, key -1, value -1, no headers, and one byte too many.
    let good: &[u8] = &[12, 0, 0, 0, 1, 1, 0];
    for (what, count, bytes) in [
        ("more records than announced", 1, [good, good].concat()),
        ("fewer", 2, good.to_vec()),
        ("a byte left over in the record", 1, vec![14, 0, 0, 0, 1, 1, 0, 0]),
        ("a record that goes beyond the end", 1, vec![14, 0, 0, 0, 1, 1, 0]),
        ("a negative length", 1, vec![1, 0, 0, 0, 1, 1, 0]),
        ("a key beyond the record", 1, vec![12, 0, 0, 0, 100, 1, 0]),
        ("a key length of -2", 1, vec![12, 0, 0, 0, 3, 1, 0]),
        ("a negative header count", 1, vec![12, 0, 0, 0, 1, 1, 1]),
        ("a header without a key", 1, vec![16, 0, 0, 0, 1, 1, 2, 1, 1]),
        ("a billion headers", 1, vec![20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f]),
        ("a varint that does not end", 1, vec![0xff; 12]),
        ("an empty record", 1, vec![0]),
    ] {
        for codec in Compression::ALL {
            let batch = with_records(codec, count, &bytes);
            let (mut scratch, mut window) = (Vec::new(), Vec::new());
            let read = records(&batch, &mut scratch, 1000).unwrap().find_map(Result::err);
            let walked = walk(&batch, &mut window, 1000).unwrap().find_map(Result::err);
            assert!(read.is_some() && walked.is_some(), "{what} by {codec:?}: {read:?} {walked:?}");
        }
    }
}

#[test]
fn the_broker_patches_in_place() {
    let mut batch = sample(Compression::Lz4);
    set_base_offset(&mut batch, 1 << 40);
    set_leader_epoch(&mut batch, 12);
    assert!(check_crc(&batch), "neither lies under the checksum");
    set_log_append_time(&mut batch, 5555);
    assert!(check_crc(&batch));
    let header = BatchHeader::read(&batch).unwrap();
    assert_eq!((header.base_offset, header.partition_leader_epoch), (1 << 40, 12));
    assert_eq!((header.timestamp_type(), header.max_timestamp), (TimestampType::LogAppendTime, 5555));
    let mut scratch = Vec::new();
    for record in records(&batch, &mut scratch, 1 << 20).unwrap() {
        assert_eq!(header.timestamp_of(&record.unwrap()), 5555);
    }
}

#[test]
fn a_partial_batch_ends_the_set_and_is_counted() {
    let one = sample(Compression::None);
    let two = [&one[..], &one[..]].concat();
    for cut in 0..one.len() {
        let mut set = batches(&two[..one.len() + cut]);
        assert!(set.next().unwrap().is_ok());
        assert!(set.next().is_none());
        assert_eq!(set.partial_tail(), cut);
    }
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let batch = sample(Compression::None);
    assert_eq!(BatchHeader::read(&batch[..60]), Err(BatchError::Truncated { wanted: 61, left: 60 }));
    let with = |at: usize, value: [u8; 4]| {
        let mut b = batch.clone();
        patch(&mut b, at, value);
        BatchHeader::read(&b)
    };
    assert_eq!(with(8, 48i32.to_be_bytes()), Err(BatchError::Length(48)));
    assert_eq!(with(8, (-1i32).to_be_bytes()), Err(BatchError::Length(-1)));
    assert_eq!(with(57, (-1i32).to_be_bytes()), Err(BatchError::RecordCount(-1)));
    let mut old = batch.clone();
    old[16] = 1;
    assert_eq!(BatchHeader::read(&old), Err(BatchError::Magic(1)));
    assert!(batches(&old).next().unwrap().is_err());
}

#[test]
fn compaction_keeps_offsets_and_the_last_one() {
    let mut b =
        BatchBuilder::new(BatchOptions { base_offset: 10, delete_horizon_ms: Some(500), ..BatchOptions::default() });
    b.append_at(12, 700, Some(b"k"), None, std::iter::empty());
    b.append_at(15, 800, Some(b"l"), Some(b"v"), std::iter::empty());
    b.extend_to(19);
    let batch = b.build();
    let header = BatchHeader::read(&batch).unwrap();
    assert!(header.has_delete_horizon());
    assert_eq!((header.base_timestamp, header.last_offset(), header.record_count), (500, 19, 2));
    let mut scratch = Vec::new();
    let all: Vec<_> = records(&batch, &mut scratch, 0).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        all.iter().map(|r| (header.offset_of(r), header.timestamp_of(r))).collect::<Vec<_>>(),
        [(12, 700), (15, 800)]
    );
}

#[test]
fn control_batches_say_so_and_an_unknown_level_falls_back() {
    let mut b = BatchBuilder::new(BatchOptions {
        control: true,
        transactional: true,
        compression: Compression::Gzip,
        compression_level: Some(99),
        ..BatchOptions::default()
    });
    b.append(1, Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 0, 0, 0]), &[]);
    let batch = b.build();
    let header = BatchHeader::read(&batch).unwrap();
    assert!(header.is_control() && header.is_transactional() && !header.has_producer_id());
    assert!(check_crc(&batch));
}
