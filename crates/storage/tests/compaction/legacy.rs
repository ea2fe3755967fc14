//! Segments of magic 0 and 1, which Kafka wrote before 0.11, in a log that goes on with magic 2.

use ottla_protocol::compression::{Compression, compress};
use ottla_protocol::legacy_records::{LegacyEntry, entries, messages};
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions, batches};
use ottla_storage::AppendOrigin;

use super::store::{Store, eager};
use super::support::NOW;

fn message(offset: i64, magic: i8, codec: Compression, key: Option<&[u8]>, value: Option<&[u8]>) -> Vec<u8> {
    let mut body = vec![magic as u8, codec as u8];
    if magic == 1 {
        body.extend(NOW.to_be_bytes());
    }
    for bytes in [key, value] {
        body.extend(bytes.map_or(-1, |b| b.len() as i32).to_be_bytes());
        body.extend(bytes.unwrap_or_default());
    }
    let mut out = offset.to_be_bytes().to_vec();
    out.extend((body.len() as i32 + 4).to_be_bytes());
    out.extend(crc32(&body).to_be_bytes());
    out.extend(body);
    out
}

/// The CRC of messages before magic 2, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// Keys k0, k1, k0, k1 at offsets from `first` on, in one wrapper.
fn wrapper(first: i64, magic: i8, codec: Compression) -> Vec<u8> {
    wrapper_of(first, magic, magic, codec)
}

/// The same, of messages of another magic than the wrapper's.
fn wrapper_of(first: i64, outer: i8, magic: i8, codec: Compression) -> Vec<u8> {
    let mut within = Vec::new();
    for n in 0..4 {
        let offset = if outer == 0 { first + n } else { n };
        let (key, value) = (format!("k{}", n % 2), format!("packed {}", first + n));
        within.extend(message(offset, magic, Compression::None, Some(key.as_bytes()), Some(value.as_bytes())));
    }
    let mut packed = Vec::new();
    compress(codec, None, &within, &mut packed).unwrap();
    message(first + 3, outer, codec, None, Some(&packed))
}

/// What a set of messages stands for.
fn unpacked(set: &[u8]) -> Vec<(i64, Vec<u8>, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    for entry in entries(set) {
        let entry: LegacyEntry<'_> = entry.unwrap();
        assert!(entry.check_crc());
        let mut scratch = Vec::new();
        for m in messages(&entry, &mut scratch, 1 << 20).unwrap() {
            let m = m.unwrap();
            all.push((m.offset, m.key.unwrap().to_vec(), m.value.map(<[u8]>::to_vec)));
        }
    }
    all
}

fn compacted(magic: i8) -> Vec<u8> {
    let mut store = Store::new(eager(10_000));
    let mut set = message(0, magic, Compression::None, Some(b"k0"), Some(b"plain"));
    set.extend(message(1, magic, Compression::None, Some(b"only"), Some(b"here")));
    set.extend(message(2, magic, Compression::None, Some(b"dead"), None));
    for (n, codec) in [Compression::Gzip, Compression::Snappy, Compression::Lz4].into_iter().enumerate() {
        set.extend(wrapper(3 + 4 * n as i64, magic, codec));
    }
    store.put_segment(&set, 15);
    close_segment(&store);
    assert_eq!(store.log().segment_count(), 2);
    let cleaned = store.clean(NOW).expect("due");
    assert_eq!((cleaned.to, cleaned.records_read, cleaned.records_kept), (15, 15, 4));
    let bytes = read_all_any(&store);
    store.reopen(false);
    assert_eq!(read_all_any(&store), bytes, "recovery reads it as well");
    bytes
}

/// A batch of today closes the segment before it.
fn close_segment(store: &Store) {
    let mut batch = BatchBuilder::new(BatchOptions::default());
    batch.append(NOW, Some(b"k0"), Some(&[b'x'; 9_800]), &[]);
    store.append(batch.build(), AppendOrigin::Client);
}

/// The first segment's bytes.
fn read_all_any(store: &Store) -> Vec<u8> {
    let slice = store.log().read(0, 1 << 20, i64::MAX, true).unwrap().slice.unwrap();
    slice.read().unwrap()
}

#[test]
fn wrappers_lose_messages_and_keep_their_magic() {
    for magic in [0, 1] {
        let bytes = compacted(magic);
        let left = unpacked(&bytes);
        let offsets: Vec<_> = left.iter().map(|(offset, key, _)| (*offset, key.as_slice())).collect();
        assert_eq!(offsets, [(1, &b"only"[..]), (2, b"dead"), (13, b"k0"), (14, b"k1")], "magic {magic}");
        assert!(entries(&bytes).all(|entry| entry.unwrap().magic == magic));
    }
}

#[test]
fn magics_side_by_side_each_stay_what_they_are() {
    let mut store = Store::new(eager(10_000));
    let mut set = message(0, 0, Compression::None, Some(b"a"), Some(b"of magic 0"));
    set.extend(message(1, 0, Compression::None, Some(b"k0"), Some(b"superseded")));
    set.extend(wrapper(2, 0, Compression::Gzip));
    set.extend(message(6, 1, Compression::None, Some(b"b"), Some(b"of magic 1")));
    set.extend(wrapper(7, 1, Compression::Lz4));
    set.extend(wrapper(11, 0, Compression::Snappy));
    store.put_segment(&set, 15);
    // In the same segment.
    store.put("k1", Some("of magic 2"));
    store.put("c", Some("of magic 2"));
    close_segment(&store);
    assert_eq!((store.log().segment_count(), store.clean(NOW).expect("due").records_kept), (2, 5));
    let bytes = read_all_any(&store);
    let (old, new) = bytes.split_at(bytes.len() - batches_from(&bytes, 15).len());
    let left: Vec<_> = unpacked(old).into_iter().map(|(offset, key, _)| (offset, key)).collect();
    assert_eq!(left, [(0, b"a".to_vec()), (6, b"b".to_vec()), (13, b"k0".to_vec())]);
    assert_eq!(entries(old).map(|entry| entry.unwrap().magic).collect::<Vec<_>>(), [0, 1, 0]);
    let offsets: Vec<_> = batches(new).map(|batch| batch.unwrap().0.base_offset).collect();
    assert_eq!(offsets, [15, 16]);
}

/// The bytes from the batch or message at `offset` on.
fn batches_from(bytes: &[u8], offset: i64) -> &[u8] {
    let mut rest = bytes;
    while rest[..8] != offset.to_be_bytes() {
        rest = &rest[12 + u32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize..];
    }
    rest
}

/// Kafka: "Compressed message magic does not match wrapper magic".
#[test]
fn a_wrapper_of_messages_of_another_magic_sets_its_log_aside() {
    for (outer, inner) in [(0, 1), (1, 0)] {
        let mut store = Store::new(eager(10_000));
        let set = [wrapper(0, outer, Compression::Gzip), wrapper_of(4, outer, inner, Compression::Gzip)].concat();
        store.put_segment(&set, 8);
        close_segment(&store);
        assert_eq!(store.clean(NOW), None);
        assert_eq!(store.manager().cleaner_stats().uncleanable_partitions, 1);
        assert_eq!(read_all_any(&store), set, "it is left as it is");
    }
}
