//! Every record is found by its timestamp: in any segment, inside a batch, after restarts, after truncation.

mod support;

use std::sync::Arc;

use ottla_protocol::compression::Compression;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::{Log, LogConfig, LogDir, OpenOptions};
use support::*;

const BATCHES: i64 = 60;
const PER_BATCH: i64 = 3;

/// Offset `o` has the timestamp `NOW + 10 * o`, but every fifth batch repeats old ones.
fn timestamp_of(offset: i64) -> i64 {
    let old = offset / PER_BATCH % 5 == 4;
    NOW + 10 * if old { offset - 100 } else { offset }
}

fn fill(log: &Log) {
    for n in 0..BATCHES {
        let compression = Compression::ALL[n as usize % 5];
        let mut builder = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
        for offset in n * PER_BATCH..(n + 1) * PER_BATCH {
            builder.append(timestamp_of(offset), None, Some(b"value"), &[]);
        }
        append(log, builder.build());
    }
}

fn check(log: &Log, end: i64) {
    let first_at_least = |timestamp: i64| (0..end).find(|offset| timestamp_of(*offset) >= timestamp);
    for probe in (-110..=BATCHES * PER_BATCH + 1).flat_map(|o| [NOW + 10 * o, NOW + 10 * o + 1]) {
        let found = log.offset_for_timestamp(probe).expect("searched");
        assert_eq!(found.map(|f| f.offset), first_at_least(probe), "timestamp NOW + {}", probe - NOW);
        assert!(found.is_none_or(|f| f.timestamp == timestamp_of(f.offset) && f.leader_epoch == 0));
    }
    let newest = (0..end).rev().max_by_key(|offset| timestamp_of(*offset));
    assert_eq!(log.offset_of_max_timestamp().expect("searched").map(|f| f.offset), newest);
}

#[test]
fn every_record_is_found() {
    for clean in [true, false] {
        let temp = tempfile::tempdir().expect("a directory");
        format(temp.path());
        let dir = LogDir::open(temp.path()).expect("locked");
        // Some batches lie between two index entries.
        let config = Arc::new(LogConfig { segment_bytes: 1500, index_interval_bytes: 300, ..LogConfig::default() });
        let log = open(&dir, &config, OpenOptions::default());
        assert_eq!(log.offset_for_timestamp(0).expect("searched"), None);
        assert_eq!(log.offset_of_max_timestamp().expect("searched"), None);
        fill(&log);
        assert!(log.segment_count() > 2);
        check(&log, BATCHES * PER_BATCH);
        if clean {
            log.close().expect("closed");
        }
        drop(log);
        let log = open(&dir, &config, OpenOptions { clean_shutdown: clean, ..OpenOptions::default() });
        check(&log, BATCHES * PER_BATCH);
        for end in [150, 90, 33, 3] {
            log.truncate_to(end).expect("cut");
            check(&log, end);
        }
    }
}

/// A time index has no checksum. Searches once began behind records that they should have found, where an entry had another
/// time or the last ones were gone.
#[test]
fn a_time_index_that_is_wrong_hides_no_record() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("an entry of an earlier time", |bytes| bytes[12 + 5] ^= 0x10),
        ("an entry of a later offset", |bytes| bytes[12 + 11] ^= 0x08),
        ("a last entry of a later time", |bytes| *bytes.iter_mut().rev().nth(8).expect("an entry") ^= 1),
        ("no last entries", |bytes| bytes.truncate(24)),
        ("zeros", |bytes| bytes.fill(0)),
    ];
    for (what, damage) in damages {
        let temp = tempfile::tempdir().expect("a directory");
        format(temp.path());
        let dir = LogDir::open(temp.path()).expect("locked");
        let config = small(3_000);
        let log = open(&dir, &config, OpenOptions::default());
        fill(&log);
        log.close().expect("closed");
        let (end, path, mut damaged) = (log.log_end_offset(), log.path(), 0);
        for file in ottla_env::fs::read_dir(&path).expect("listed").iter().filter(|f| f.name.ends_with(".timeindex")) {
            let mut bytes = ottla_env::fs::read(path.join(&file.name)).expect("read");
            if bytes.len() <= 24 {
                continue;
            }
            damage(&mut bytes);
            damaged += 1;
            ottla_env::fs::write_atomically(path.join(&file.name), bytes).expect("written");
        }
        assert!(damaged > 1, "{what}");
        drop(log);
        let options = OpenOptions { recovery_point: end, clean_shutdown: true, ..OpenOptions::default() };
        let log = open(&dir, &config, options);
        log.set_high_watermark(end);
        println!("{what}");
        check(&log, end);
    }
}
