//! Which records stay.

use ottla_protocol::record_batch::{BatchBuilder, BatchHeader, BatchOptions};
use ottla_storage::{AppendOrigin, CleanerConfig, CleanupPolicy, LogConfig};

use super::store::{Store, eager, read_all};
use super::support::NOW;

fn keys(store: &Store) -> Vec<String> {
    store.records().into_iter().map(|(_, key, _)| key).collect()
}

#[test]
fn the_last_value_of_each_key_stays_where_it_was() {
    let store = Store::new(eager(200));
    for n in 0..30 {
        store.put(&format!("k{}", n % 3), Some(&format!("v{n}")));
    }
    let cleaned = store.clean(NOW).expect("due");
    assert_eq!((cleaned.from, cleaned.keys), (0, 3));
    assert_eq!((cleaned.records_read, cleaned.records_kept), (cleaned.to as u64, 3));
    let below: Vec<_> = store.records().into_iter().filter(|(offset, ..)| *offset < cleaned.to).collect();
    let last = |n: i64| (n, format!("k{}", n % 3), Some(format!("v{n}")));
    assert_eq!(below, [last(cleaned.to - 3), last(cleaned.to - 2), last(cleaned.to - 1)]);
    assert_eq!(store.log().log_end_offset(), 30);
    assert_eq!(store.clean(NOW), None, "all of it is clean now");
    assert_eq!(store.checkpoint(), Some(cleaned.to));
}

#[test]
fn a_second_pass_drops_what_the_first_kept() {
    let store = Store::new(eager(200));
    for n in 0..12 {
        store.put("k", Some(&format!("v{n}")));
    }
    let first = store.clean(NOW).expect("due");
    for n in 0..12 {
        store.put("k", Some(&format!("w{n}")));
    }
    let second = store.clean(NOW).expect("due");
    assert_eq!(second.from, first.to);
    let below = store.records().iter().filter(|(offset, ..)| *offset < second.to).count();
    assert_eq!(below, 1);
}

#[test]
fn small_segments_become_one_and_offsets_of_what_is_gone_lead_on() {
    let store = Store::new(eager(1_000));
    let fill = || {
        for n in 0..30 {
            store.put(&format!("k{}", n % 2), Some(&"x".repeat(50)));
        }
    };
    let counts = [0; 3].map(|_| {
        fill();
        let before = store.log().segment_count();
        store.clean(NOW).expect("due");
        (before, store.log().segment_count())
    });
    // What one pass has made small, the next one joins.
    assert!(counts[0].0 > 3 && counts[2].1 < counts[2].0 && counts[2].1 <= counts[0].0 + 2, "{counts:?}");
    let log = store.log();
    for offset in 0..log.log_end_offset() {
        let bytes = log.read(offset, 1, i64::MAX, true).unwrap().slice.expect("a batch").read().unwrap();
        assert!(BatchHeader::read(&bytes).unwrap().last_offset() >= offset, "{offset}");
    }
}

/// Kafka goes through the records of the batch (`FileRecords.searchForTimestamp`), also where all have the batch's time.
#[test]
fn a_search_by_time_finds_a_record_that_is_there() {
    let store = Store::new(LogConfig { log_append_time: true, ..eager(200) });
    let mut batch = BatchBuilder::new(BatchOptions::default());
    batch.append(NOW, Some(b"a"), Some(b"v"), &[]);
    batch.append(NOW, Some(b"b"), Some(b"v"), &[]);
    store.append(batch.build(), AppendOrigin::Client);
    for _ in 0..6 {
        store.put("a", Some("w"));
    }
    store.clean(NOW).expect("due");
    let found = store.log().offset_for_timestamp(NOW).unwrap().expect("there is one");
    assert_eq!((found.offset, found.timestamp), (1, NOW), "the record at 0 has gone");
}

#[test]
fn records_without_a_key_go_and_are_counted() {
    // As a topic that was not compacted when they were produced.
    let plain = LogConfig { cleanup_policy: CleanupPolicy { delete: true, compact: false }, ..eager(200) };
    let store = Store::new(plain.clone());
    for n in 0..10 {
        let mut batch = BatchBuilder::new(BatchOptions::default());
        batch.append(NOW, (n % 2 == 0).then_some(&b"k"[..]), Some(b"v"), &[]);
        store.append(batch.build(), AppendOrigin::Client);
    }
    assert_eq!(store.clean(NOW), None, "its policy is delete");
    store.log().set_config(std::sync::Arc::new(eager(200)));
    let cleaned = store.manager().clean_once(NOW).cleaned.expect("due");
    assert_eq!(cleaned.records_without_key, cleaned.to as u64 / 2);
    assert_eq!(store.manager().cleaner_stats().records_without_key, cleaned.to as u64 / 2);
}

#[test]
fn more_keys_than_the_map_has_room_for_take_several_passes() {
    let cleaner = CleanerConfig { dedupe_buffer_bytes: 16 * 10, load_factor: 0.9, ..CleanerConfig::default() };
    let store = Store::with_cleaner(eager(500), cleaner);
    for n in 0..100 {
        store.put(&format!("k{}", n % 40), Some(&format!("v{n}")));
    }
    let (mut passes, mut to) = (0, 0);
    while let Some(cleaned) = store.clean(NOW) {
        assert!(cleaned.to > to && cleaned.keys <= 9, "{cleaned:?}");
        (passes, to) = (passes + 1, cleaned.to);
    }
    assert!(passes >= 5, "{passes}");
    let mut below: Vec<_> = store.records().into_iter().filter(|(offset, ..)| *offset < to).map(|r| r.1).collect();
    let count = below.len();
    below.sort();
    below.dedup();
    assert_eq!((below.len(), count), (40, 40), "each key once");
}

#[test]
fn both_policies_compact_and_delete() {
    let config =
        LogConfig { cleanup_policy: CleanupPolicy { delete: true, compact: true }, retention_ms: 10_000, ..eager(200) };
    let store = Store::new(config);
    for n in 0..20 {
        store.put(&format!("k{n}"), Some("v"));
    }
    let cleaned = store.clean(NOW).expect("due");
    assert_eq!(cleaned.records_kept, cleaned.to as u64, "every key is another");
    let log = store.log();
    assert_eq!(log.delete_old_segments(NOW + 9_000).unwrap(), 0);
    assert!(log.delete_old_segments(NOW + 10_001).unwrap() > 0);
    assert_eq!(log.log_start_offset(), 20);
    // The checkpoint lies below the log start now, which is set right.
    for n in 0..20 {
        store.put(&format!("k{}", n % 2), Some("w"));
    }
    assert_eq!(store.clean(NOW).expect("due").from, 20);
    assert!(!read_all(&log, 20, || 1 << 20).is_empty());
}

#[test]
fn what_is_below_the_log_start_is_left_to_retention() {
    let store = Store::new(eager(200));
    for n in 0..30 {
        store.put(&format!("k{}", n % 3), Some("v"));
    }
    store.log().advance_log_start_offset(20).unwrap();
    let cleaned = store.clean(NOW).expect("due");
    assert!(cleaned.from == 20 && cleaned.records_read < 15, "{cleaned:?}");
    assert_eq!(keys(&store).len() as i64, 30 - cleaned.to + 3);
}
