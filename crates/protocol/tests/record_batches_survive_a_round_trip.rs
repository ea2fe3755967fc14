//! Batches of arbitrary records in every codec: what was appended is read back, by us and by the `kafka-protocol` crate.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records as other;
use ottla_protocol::compression::Compression;
use ottla_protocol::record_batch::{
    BatchBuilder, BatchHeader, BatchOptions, TimestampType, check_crc, records, set_base_offset, set_leader_epoch, walk,
};
use proptest::prelude::*;

type Header = (String, Option<Vec<u8>>);

#[derive(Debug, Clone)]
struct Plain {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
}

fn bytes(most: usize) -> impl Strategy<Value = Option<Vec<u8>>> {
    // Text that repeats, so that the codecs have something to do, or noise.
    let text = ("[a-d]{0,8}", 0..most / 8).prop_map(|(s, n)| s.repeat(n).into_bytes());
    proptest::option::of(prop_oneof![text, proptest::collection::vec(any::<u8>(), 0..most)])
}

fn plain() -> impl Strategy<Value = Plain> {
    let header = ("[hk]{1,2}", bytes(20));
    (any::<i32>(), bytes(40), bytes(4000), proptest::collection::vec(header, 0..4)).prop_map(
        |(timestamp, key, value, headers)| Plain { timestamp: (1 << 40) + i64::from(timestamp), key, value, headers },
    )
}

fn options() -> impl Strategy<Value = BatchOptions> {
    let producer = prop_oneof![Just((-1i64, -1i16, -1i32)), (0..i64::MAX, 0..i16::MAX, 0..i32::MAX)];
    (0..i64::MAX / 2, 0..5usize, any::<[bool; 3]>(), producer, -1..i32::MAX).prop_map(
        |(base_offset, codec, [transactional, control, append_time], producer, leader_epoch)| BatchOptions {
            base_offset,
            leader_epoch,
            compression: Compression::ALL[codec],
            timestamp_type: if append_time { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
            producer_id: producer.0,
            producer_epoch: producer.1,
            base_sequence: producer.2,
            transactional,
            control,
            ..BatchOptions::default()
        },
    )
}

fn build(options: BatchOptions, all: &[Plain]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for r in all {
        let headers: Vec<_> = r.headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        builder.append(r.timestamp, r.key.as_deref(), r.value.as_deref(), &headers);
    }
    builder.build()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_appended_is_read_back(options in options(), all in proptest::collection::vec(plain(), 1..20)) {
        let mut batch = build(options, &all);
        set_base_offset(&mut batch, options.base_offset + 5);
        set_leader_epoch(&mut batch, 77);
        prop_assert!(check_crc(&batch));
        let header = BatchHeader::read(&batch).unwrap();
        prop_assert_eq!(header.size_bytes(), batch.len());
        prop_assert_eq!(header.partition_leader_epoch, 77);
        prop_assert_eq!(
            (header.producer_id, header.producer_epoch, header.base_sequence),
            (options.producer_id, options.producer_epoch, options.base_sequence)
        );
        prop_assert_eq!(header.timestamp_type(), options.timestamp_type);
        prop_assert_eq!((header.is_control(), header.is_transactional()), (options.control, options.transactional));
        let newest = all.iter().map(|r| r.timestamp).max().unwrap();
        prop_assert_eq!(header.max_timestamp, newest);

        let (mut scratch, mut window) = (Vec::new(), Vec::new());
        let read: Vec<_> = records(&batch, &mut scratch, 1 << 20).unwrap().collect::<Result<_, _>>().unwrap();
        let shapes: Vec<_> = walk(&batch, &mut window, 1 << 20).unwrap().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!((read.len(), shapes.len()), (all.len(), all.len()));
        for (i, ((r, shape), want)) in read.iter().zip(&shapes).zip(&all).enumerate() {
            prop_assert_eq!(header.offset_of(r), options.base_offset + 5 + i as i64);
            let stamp = if options.timestamp_type == TimestampType::LogAppendTime { newest } else { want.timestamp };
            prop_assert_eq!(header.timestamp_of(r), stamp);
            prop_assert_eq!((r.key, r.value), (want.key.as_deref(), want.value.as_deref()));
            let headers: Vec<Header> = r
                .headers
                .map(|(k, v)| (String::from_utf8(k.to_vec()).unwrap(), v.map(<[u8]>::to_vec)))
                .collect();
            prop_assert_eq!(&headers, &want.headers);
            prop_assert_eq!((shape.offset_delta, shape.timestamp_delta), (r.offset_delta, r.timestamp_delta));
            prop_assert_eq!((shape.key_bytes, shape.value_bytes), (r.key.map(<[u8]>::len), r.value.map(<[u8]>::len)));
            prop_assert_eq!(shape.header_count, want.headers.len());
        }
    }

    /// The other crate is built without codecs, and cannot hold the same header key twice.
    #[test]
    fn the_other_crate_reads_and_writes_the_same_batch(
        mut options in options(),
        mut all in proptest::collection::vec(plain(), 1..20),
    ) {
        options.compression = Compression::None;
        options.timestamp_type = TimestampType::CreateTime;
        for r in &mut all {
            r.headers.dedup_by(|a, b| a.0 == b.0);
            r.headers.truncate(1);
        }
        let ours = build(options, &all);
        let set = other::RecordBatchDecoder::decode(&mut Bytes::copy_from_slice(&ours)).unwrap();
        prop_assert_eq!(set.records.len(), all.len());
        for (i, (r, want)) in set.records.iter().zip(&all).enumerate() {
            prop_assert_eq!(r.offset, options.base_offset + i as i64);
            prop_assert_eq!(r.timestamp, want.timestamp);
            prop_assert_eq!((r.key.as_deref(), r.value.as_deref()), (want.key.as_deref(), want.value.as_deref()));
            prop_assert_eq!((r.producer_id, r.transactional, r.control), (options.producer_id, options.transactional, options.control));
        }
        let mut theirs = BytesMut::new();
        let how = other::RecordEncodeOptions { version: 2, compression: other::Compression::None };
        other::RecordBatchEncoder::encode(&mut theirs, &set.records, &how).unwrap();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let read: Vec<_> = records(&theirs, &mut a, 0).unwrap().map(Result::unwrap).collect();
        let header = BatchHeader::read(&theirs).unwrap();
        prop_assert!(check_crc(&theirs));
        for (theirs, (ours, want)) in read.iter().zip(records(&ours, &mut b, 0).unwrap().map(Result::unwrap).zip(&all)) {
            prop_assert_eq!((theirs.key, theirs.value, theirs.headers), (ours.key, ours.value, ours.headers));
            prop_assert_eq!(header.timestamp_of(theirs), want.timestamp);
        }
    }
}
