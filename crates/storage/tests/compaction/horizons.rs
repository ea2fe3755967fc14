//! Tombstones and transaction markers: they stay until everybody had time to see them.

use ottla_protocol::record_batch::{BatchBuilder, BatchHeader, BatchOptions};
use ottla_storage::AppendOrigin;

use super::store::{Store, eager};
use super::support::NOW;

/// Something to compact, so that a pass is due.
fn dirty(store: &Store) {
    for n in 0..6 {
        store.put("filler", Some(&format!("{n}")));
    }
}

fn tombstones(store: &Store) -> usize {
    store.records().iter().filter(|(_, key, value)| key == "k" && value.is_none()).count()
}

#[test]
fn a_tombstone_outlives_its_values_by_the_retention() {
    let store = Store::new(eager(200));
    store.put("k", Some("v"));
    store.put("k", None);
    dirty(&store);
    store.clean(NOW).expect("due");
    assert!(store.records().iter().all(|(_, key, value)| key != "k" || value.is_none()));
    let horizons = || store.heads().iter().filter(|h| h.has_delete_horizon()).map(|h| h.base_timestamp).collect();
    let found: Vec<i64> = horizons();
    assert_eq!(found, [NOW + 1_000], "noted by the first pass");
    for (now_ms, left) in [(NOW + 500, 1), (NOW + 999, 1), (NOW + 1_000, 0)] {
        dirty(&store);
        store.clean(now_ms).expect("due");
        assert_eq!(tombstones(&store), left, "{}", now_ms - NOW);
        let found: Vec<i64> = horizons();
        assert_eq!(found, vec![NOW + 1_000; left], "the first horizon holds");
    }
}

#[test]
fn a_tombstone_that_is_superseded_goes_at_once() {
    let store = Store::new(eager(200));
    store.put("k", None);
    store.put("k", Some("v"));
    dirty(&store);
    store.clean(NOW).expect("due");
    assert_eq!(tombstones(&store), 0);
}

fn in_transaction(store: &Store, producer_id: i64, sequence: i32, key: &str) -> i64 {
    let options = BatchOptions {
        producer_id,
        producer_epoch: 0,
        base_sequence: sequence,
        transactional: true,
        ..BatchOptions::default()
    };
    let mut batch = BatchBuilder::new(options);
    batch.append(NOW, Some(key.as_bytes()), Some(b"t"), &[]);
    store.append(batch.build(), AppendOrigin::Client)
}

#[test]
fn a_marker_goes_after_its_data_and_its_horizon() {
    let store = Store::new(eager(200));
    in_transaction(&store, 7, 0, "k");
    let first = store.end_transaction(7, true);
    in_transaction(&store, 7, 1, "other");
    store.end_transaction(7, true);
    let has_first = || store.heads().iter().any(|head| head.base_offset == first && head.record_count == 1);
    dirty(&store);
    store.clean(NOW).expect("due");
    assert!(has_first(), "its data is there");
    store.put("k", Some("later"));
    dirty(&store);
    store.clean(NOW).expect("due");
    assert!(has_first(), "its data was there until this pass");
    for (now_ms, there) in [(NOW + 10, true), (NOW + 1_009, true), (NOW + 1_010, false)] {
        dirty(&store);
        store.clean(now_ms).expect("due");
        assert_eq!(has_first(), there, "{}", now_ms - NOW);
    }
}

#[test]
fn aborted_records_go_and_their_index_entry_with_them() {
    let store = Store::new(eager(200));
    let data = in_transaction(&store, 7, 0, "k");
    store.end_transaction(7, false);
    in_transaction(&store, 7, 1, "k2");
    store.end_transaction(7, true);
    dirty(&store);
    let aborted = |store: &Store| store.log().read_committed(0, 1 << 20, true).unwrap().aborted_transactions.len();
    assert_eq!(aborted(&store), 1);
    store.clean(NOW).expect("due");
    assert!(store.records().iter().all(|(offset, key, _)| *offset != data && key != "k"));
    assert_eq!(aborted(&store), 1, "its marker has only lost its records now");
    dirty(&store);
    store.clean(NOW + 10).expect("due");
    assert_eq!(aborted(&store), 0);
}

#[test]
fn nothing_of_an_open_transaction_is_touched() {
    let store = Store::new(eager(200));
    for n in 0..6 {
        store.put("a", Some(&format!("{n}")));
    }
    let open = in_transaction(&store, 7, 0, "a");
    for n in 0..20 {
        store.put("a", Some(&format!("later {n}")));
    }
    let cleaned = store.clean(NOW).expect("due");
    assert!(cleaned.to <= open);
    assert_eq!(store.clean(NOW), None);
    store.end_transaction(7, true);
    assert!(store.clean(NOW).expect("due").to > open);
}

#[test]
fn the_last_batch_of_a_producer_stays_empty() {
    let store = Store::new(eager(200));
    let by = |sequence: i32| {
        let options =
            BatchOptions { producer_id: 9, producer_epoch: 3, base_sequence: sequence, ..BatchOptions::default() };
        let mut batch = BatchBuilder::new(options);
        (0..3).for_each(|_| batch.append(NOW, Some(b"k"), Some(b"v"), &[]));
        batch.build()
    };
    store.append(by(0), AppendOrigin::Client);
    let last = store.append(by(3), AppendOrigin::Client);
    store.put("k", Some("newer"));
    dirty(&store);
    store.clean(NOW).expect("due");
    let left: Vec<_> = store.heads().into_iter().filter(|head| head.producer_id == 9).collect();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].base_offset, left[0].record_count), (last, 0));
    assert_eq!((left[0].base_sequence, left[0].last_sequence(), left[0].producer_epoch), (3, 5, 3));
}

#[test]
fn consumers_reach_a_high_watermark_before_which_all_records_are_gone() {
    let store = Store::new(eager(150));
    dirty(&store);
    let high_watermark = store.heads().last().unwrap().next_offset();
    let log = store.log();
    // What follows is not replicated yet, and begins a segment.
    for n in 0..3 {
        let mut batch = BatchBuilder::new(BatchOptions::default());
        batch.append(NOW, Some(b"filler"), Some(&[n; 60]), &[]);
        log.append_as_leader(&mut batch.build(), 0, AppendOrigin::Client, NOW).unwrap();
    }
    let to = store.clean(NOW).expect("due").to;
    assert!(to <= high_watermark);
    log.set_high_watermark(log.log_end_offset());
    store.clean(NOW).expect("due");
    let mut offset = 0;
    while offset < high_watermark {
        let slice = log.read(offset, 1, high_watermark, true).unwrap().slice;
        let bytes = slice.expect("something that leads on").read().unwrap();
        offset = BatchHeader::read(&bytes).unwrap().next_offset();
    }
}
