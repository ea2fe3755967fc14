//! Offsets that no index of one segment reaches: they count from its base offset in 31 bits. Versions of Kafka before 1.1.1 wrote
//! such segments when they compacted; later ones split them (`LogSegmentOffsetOverflowException`).

use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};

use super::store::{Store, eager};
use super::support::NOW;

const FAR: i64 = i32::MAX as i64;

fn batch(base_offset: i64, key: &str) -> Vec<u8> {
    let mut batch = BatchBuilder::new(BatchOptions { base_offset, ..BatchOptions::default() });
    batch.append(NOW, Some(key.as_bytes()), Some(b"value"), &[]);
    batch.build()
}

/// Offsets and keys.
fn left(store: &Store) -> Vec<(i64, String)> {
    store.records().into_iter().map(|(offset, key, _)| (offset, key)).collect()
}

/// Base offsets of the segments.
fn segments(store: &Store) -> Vec<i64> {
    store.files(".log").iter().map(|name| name.trim_end_matches(".log").parse().unwrap()).collect()
}

#[test]
fn a_segment_that_reaches_too_far_becomes_several() {
    let mut store = Store::new(eager(10_000));
    let (second, third) = (FAR + 5, 2 * FAR + 20);
    let set = [(0, "a"), (1, "b"), (FAR, "near"), (second, "a"), (second + 1, "c"), (third, "b")];
    store.put_segment(&set.map(|(offset, key)| batch(offset, key)).concat(), third + 1);
    // The next batch is out of reach, too.
    assert_eq!(store.put("end", Some("last")), third + 1);
    assert_eq!(segments(&store), [0, third + 1]);
    assert_eq!(left(&store).len(), 7, "it is served as it is");

    assert_eq!(store.clean(NOW).expect("due").records_kept, 4);
    let expected = [(FAR, "near"), (second, "a"), (second + 1, "c"), (third, "b"), (third + 1, "end")];
    let expected = expected.map(|(offset, key)| (offset, key.to_owned()));
    assert_eq!((segments(&store), left(&store)), (vec![0, second, third, third + 1], expected.to_vec()));
    for clean in [true, false] {
        store.reopen(clean);
        assert_eq!((left(&store), store.log().damaged()), (expected.to_vec(), Vec::new()));
    }
    // Each offset leads to the batch that holds it or follows it.
    for (offset, found) in [(0, FAR), (FAR, FAR), (FAR + 1, second), (second + 2, third), (third, third)] {
        let slice = store.log().read(offset, 1, i64::MAX, true).unwrap().slice.expect("a batch");
        assert_eq!(slice.read().unwrap()[..8], found.to_be_bytes(), "{offset}");
    }
    // Nor do segments become one again that would reach too far.
    store.put("a", Some("again"));
    store.put("z", Some(&"x".repeat(9_900)));
    store.put("z", Some(&"x".repeat(9_900)));
    store.clean(NOW).expect("due");
    assert!(segments(&store).starts_with(&[0, second]), "{:?}", segments(&store));
    assert_eq!(left(&store)[..2], [(FAR, "near".to_owned()), (second + 1, "c".to_owned())]);
}
