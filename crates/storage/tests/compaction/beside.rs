//! Retention, and producers, while a log is compacted.

use std::sync::Arc;
use std::time::Duration;

use ottla_env::{task, time};
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions, set_base_offset};
use ottla_storage::{AppendOrigin, CleanerConfig, CleanupPolicy, LogConfig};

use super::store::{Store, eager};
use super::support::NOW;

fn put_at(store: &Store, key: &str, timestamp: i64) {
    let mut batch = BatchBuilder::new(BatchOptions::default());
    batch.append(timestamp, Some(key.as_bytes()), Some(&[b'x'; 600]), &[]);
    store.append(batch.build(), AppendOrigin::Client);
}

#[test]
fn retention_takes_segments_away_under_a_pass() {
    let config = LogConfig {
        cleanup_policy: CleanupPolicy { delete: true, compact: true },
        retention_ms: 10_000,
        ..eager(2_000)
    };
    // Slow enough that the pass is not over before the segments are gone.
    let slow = CleanerConfig { io_max_bytes_per_second: 20_000.0, io_buffer_bytes: 1, ..CleanerConfig::default() };
    let store = Store::with_cleaner(config, slow);
    for n in 0..40 {
        put_at(&store, &format!("k{}", n % 3), if n < 20 { NOW - 20_000 } else { NOW });
    }
    let manager = Arc::clone(store.manager());
    let pass =
        task::thread("pass", move || assert_eq!(manager.clean_once(NOW).cleaned, None, "it ends early")).unwrap();
    while store.files(".log.cleaned").is_empty() {
        time::sleep_thread(Duration::from_millis(1));
    }
    assert!(store.log().delete_old_segments(NOW).unwrap() > 3);
    let start = store.log().log_start_offset();
    assert!((15..=20).contains(&start));
    pass.join().unwrap();
    assert_eq!(store.manager().cleaner_stats().uncleanable_partitions, 0);
    assert!(store.files(".cleaned").is_empty() && store.checkpoint().is_none());
    assert_eq!(store.records().len() as i64, 40 - start, "nothing else has happened");

    // What is left is compacted by the next pass.
    let cleaned = store.clean(NOW).expect("due");
    assert_eq!((cleaned.from, cleaned.records_kept), (start, 3));
}

#[test]
fn a_producer_goes_on_over_compaction_and_restarts() {
    let mut store = Store::new(eager(400));
    let batch = |base_sequence: i32| {
        let options = BatchOptions { producer_id: 7, producer_epoch: 3, base_sequence, ..BatchOptions::default() };
        let mut batch = BatchBuilder::new(options);
        batch.append(NOW, Some(b"k"), Some(&[b'x'; 100]), &[]);
        batch.append(NOW, Some(b"k"), Some(&[b'x'; 100]), &[]);
        batch.build()
    };
    let mut sequence = 0;
    for clean in [true, false] {
        for _ in 0..4 {
            store.append(batch(sequence), AppendOrigin::Client);
            sequence += 2;
        }
        // Others supersede all that it wrote.
        for _ in 0..6 {
            store.put("k", Some(&"y".repeat(200)));
        }
        assert!(store.clean(NOW).expect("due").records_kept <= 1);
        let emptied: Vec<_> = store.heads().into_iter().filter(|head| head.producer_id == 7).collect();
        assert!(emptied.iter().all(|head| head.record_count == 0), "{emptied:?}");
        assert_eq!(emptied.last().map(|head| head.base_sequence), Some(sequence - 2));
        store.reopen(clean);
        // Its last batch is known, and nothing but the next one is taken.
        let mut again = batch(sequence - 2);
        set_base_offset(&mut again, 0);
        assert!(store.log().append_as_leader(&mut again, 0, AppendOrigin::Client, NOW).unwrap().duplicate);
        let gap = store.log().append_as_leader(&mut batch(sequence + 2), 0, AppendOrigin::Client, NOW);
        assert!(gap.unwrap_err().to_string().contains("sequence"));
    }
    store.append(batch(sequence), AppendOrigin::Client);
}
