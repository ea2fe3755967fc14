//! Logs that cannot be compacted do not keep others from it.

use std::sync::Arc;

use ottla_env::fs::File;
use ottla_storage::LogConfig;

use super::store::{Store, eager, names};
use super::support::{NOW, TOPIC, topic_id};

/// A second partition with something to do.
fn fill_second(store: &Store) {
    let log = store.manager().create(TOPIC, 1, topic_id(), Arc::clone(&store.config)).unwrap();
    for n in 0..10u8 {
        let mut batch = ottla_protocol::record_batch::BatchBuilder::new(Default::default());
        batch.append(NOW, Some(b"k"), Some(&[n; 20]), &[]);
        log.append_as_leader(&mut batch.build(), 0, ottla_storage::AppendOrigin::Client, NOW).unwrap();
        log.set_high_watermark(log.log_end_offset());
    }
}

#[test]
fn a_broken_batch_sets_its_log_aside_and_others_go_on() {
    let store = Store::new(eager(200));
    for n in 0..30 {
        store.put(&format!("k{}", n % 3), Some("value"));
    }
    fill_second(&store);
    let first = names(&store.dir(), ".log")[0].clone();
    let file = File::open_rw(store.dir().join(&first)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 66).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 66).unwrap();
    let bytes = || ottla_env::fs::read(store.dir().join(&first)).unwrap();
    let before = bytes();

    let mut cleaned = Vec::new();
    for _ in 0..4 {
        cleaned.extend(store.clean(NOW).map(|c| c.partition));
    }
    assert_eq!(cleaned, [1], "the sound one, once");
    let stats = store.manager().cleaner_stats();
    assert_eq!((stats.passes, stats.uncleanable_partitions), (1, 1));
    assert_eq!(stats.uncleanable_bytes, store.log().size_bytes());
    assert_eq!(bytes(), before, "a broken batch gets no new checksum");
    assert_eq!(store.files(".cleaned"), [""; 0]);
    assert_eq!(store.checkpoint(), None);
    assert!(store.log().dir().check_online().is_ok());
}

#[test]
fn a_directory_that_failed_is_left_out() {
    let store = Store::new(eager(200));
    for n in 0..30 {
        store.put(&format!("k{}", n % 3), Some("value"));
    }
    store.log().dir().set_offline("a test says so");
    assert_eq!(store.clean(NOW), None);
    assert_eq!(store.manager().cleaner_stats().uncleanable_partitions, 0);
    assert_eq!(store.files(".cleaned"), [""; 0]);
}

#[test]
fn a_batch_that_unpacks_to_more_than_the_topic_allows_sets_it_aside() {
    let store = Store::new(eager(3_000));
    for n in 0..30 {
        let options = ottla_protocol::record_batch::BatchOptions {
            compression: ottla_protocol::compression::Compression::Gzip,
            ..Default::default()
        };
        let mut batch = ottla_protocol::record_batch::BatchBuilder::new(options);
        batch.append(NOW, Some(b"k"), Some(&vec![n; 50_000]), &[]);
        store.append(batch.build(), ottla_storage::AppendOrigin::Client);
    }
    let strict = LogConfig { max_decompressed_message_bytes: 10_000, ..eager(3_000) };
    store.log().set_config(Arc::new(strict));
    assert_eq!(store.manager().clean_once(NOW).cleaned, None);
    assert_eq!(store.manager().cleaner_stats().uncleanable_partitions, 1);
}
