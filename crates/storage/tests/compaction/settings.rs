//! When a log is compacted, and how fast.

use ottla_env::time;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::{AppendOrigin, CleanerConfig, LogConfig};

use super::store::{Store, eager};
use super::support::NOW;

fn put_at(store: &Store, key: &str, timestamp: i64) {
    let mut batch = BatchBuilder::new(BatchOptions::default());
    batch.append(timestamp, Some(key.as_bytes()), Some(b"value"), &[]);
    store.append(batch.build(), AppendOrigin::Client);
}

#[test]
fn the_dirty_ratio() {
    let store = Store::new(LogConfig { min_cleanable_dirty_ratio: 0.5, ..eager(200) });
    (0..40).for_each(|n| put_at(&store, &format!("k{n}"), NOW));
    let first = store.clean(NOW).expect("all of it is dirty");
    for n in 0..1_000 {
        put_at(&store, &format!("k{}", n % 40), NOW);
        if let Some(second) = store.clean(NOW) {
            // Every record stayed the first time, so as many bytes must come again.
            assert!(n > 35, "after {n}");
            assert_eq!(second.from, first.to);
            return;
        }
    }
    panic!("it was never due again");
}

#[test]
fn the_minimum_lag() {
    let store = Store::new(LogConfig { min_compaction_lag_ms: 1_000, ..eager(200) });
    (0..40).for_each(|n| put_at(&store, "k", NOW + n * 100));
    assert_eq!(store.clean(NOW + 900), None);
    let cleaned = store.clean(NOW + 2_500).expect("due");
    assert!((10..=16).contains(&cleaned.to), "what is younger than a second stays: {}", cleaned.to);
}

#[test]
fn the_maximum_lag() {
    let lagging =
        |max_compaction_lag_ms| LogConfig { max_compaction_lag_ms, min_cleanable_dirty_ratio: 1.0, ..eager(200) };
    let store = Store::new(lagging(5_000));
    (0..20).for_each(|_| put_at(&store, "k", NOW));
    assert_eq!(store.clean(NOW + 5_000), None);
    assert!(store.clean(NOW + 5_001).is_some());
    // A closed segment is needed: a record that comes later than that closes it.
    let store = Store::new(LogConfig { segment_bytes: 1 << 20, ..lagging(5_000) });
    put_at(&store, "k", NOW);
    put_at(&store, "k", NOW + 5_000);
    assert_eq!(store.log().segment_count(), 1);
    put_at(&store, "k", NOW + 5_001);
    assert_eq!(store.log().segment_count(), 2);
}

#[test]
fn the_rate() {
    let slow = CleanerConfig { io_max_bytes_per_second: 200_000.0, ..CleanerConfig::default() };
    let mut took = Vec::new();
    for cleaner in [CleanerConfig::default(), slow] {
        let store = Store::with_cleaner(eager(4_000), cleaner);
        for n in 0..50 {
            store.put(&format!("k{n}"), Some(&"x".repeat(600)));
        }
        let began = time::monotonic_ms();
        let cleaned = store.clean(NOW).expect("due");
        // Read twice, written once.
        assert!(cleaned.map_bytes_read > 25_000 && cleaned.bytes_read > 25_000);
        took.push(time::monotonic_ms() - began);
    }
    assert!(took[1] >= 250, "60 kB at 200 kB/s: {took:?}");
}

#[test]
fn small_buffers_do_the_same() {
    let store = Store::with_cleaner(eager(5_000), CleanerConfig { io_buffer_bytes: 1, ..CleanerConfig::default() });
    for n in 0..60 {
        store.put(&format!("k{}", n % 7), Some(&"x".repeat(1_000)));
    }
    let cleaned = store.clean(NOW).expect("due");
    assert_eq!(store.records().iter().filter(|(offset, ..)| *offset < cleaned.to).count(), 7);
}
