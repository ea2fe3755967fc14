//! Old segments go by time, by size and by the log start; nothing younger goes with them, and a reopened log knows how old
//! its records are. (A broker was seen whose reopened segments had no timestamps: retention removed them at once.)

mod support;

use std::sync::Arc;

use ottla_storage::{CleanupPolicy, LogConfig, LogDir, OpenOptions};
use support::*;

/// Ten segments of one batch each, an hour apart by their records' time.
fn hourly(dir: &Arc<LogDir>, config: &Arc<LogConfig>) -> Arc<ottla_storage::Log> {
    let log = open(dir, config, OpenOptions::default());
    for hour in 0..10 {
        let mut builder = ottla_protocol::record_batch::BatchBuilder::new(Default::default());
        builder.append(NOW + hour * 3_600_000, None, Some(&[b'x'; 900]), &[]);
        append(&log, builder.build());
    }
    log
}

fn config(change: impl FnOnce(&mut LogConfig)) -> Arc<LogConfig> {
    let mut config =
        LogConfig { segment_bytes: 1500, message_timestamp_after_max_ms: i64::MAX, ..LogConfig::default() };
    config.file_delete_delay_ms = 0;
    change(&mut config);
    Arc::new(config)
}

#[test]
fn by_time_after_a_restart_too() {
    for clean in [true, false] {
        let temp = tempfile::tempdir().expect("a directory");
        format(temp.path());
        let dir = LogDir::open(temp.path()).expect("locked");
        let config = config(|c| c.retention_ms = 4 * 3_600_000);
        let log = hourly(&dir, &config);
        log.close().expect("closed");
        drop(log);
        let options = OpenOptions { clean_shutdown: clean, high_watermark: 10, ..OpenOptions::default() };
        let log = open(&dir, &config, options);
        let now = NOW + 9 * 3_600_000;
        assert_eq!(log.delete_old_segments(now).expect("removed"), 5, "clean: {clean}");
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (5, 10));
        assert_eq!(log.delete_old_segments(now).expect("nothing"), 0);
        assert_eq!(log.delete_old_segments(now + 100 * 3_600_000).expect("removed"), 5);
        assert_eq!((log.log_start_offset(), log.log_end_offset(), log.segment_count()), (10, 10, 1));
        append(&log, batch(1, "goes on"));
        assert_eq!(log.log_end_offset(), 11);
    }
}

#[test]
fn by_size() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let log = hourly(&dir, &config(|c| (c.retention_ms, c.retention_bytes) = (-1, 3000)));
    log.delete_old_segments(NOW).expect("removed");
    let size = log.size_bytes();
    assert!((3000..3000 + 1000).contains(&size), "{size}");
    read_all(&log, log.log_start_offset(), || 1 << 20);
}

#[test]
fn nothing_above_the_high_watermark_and_nothing_of_a_compacted_topic() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let everything = config(|c| c.retention_ms = 0);
    let log = hourly(&dir, &everything);
    log.close().expect("closed");
    drop(log);
    let log =
        open(&dir, &everything, OpenOptions { clean_shutdown: true, high_watermark: 3, ..OpenOptions::default() });
    assert_eq!(log.delete_old_segments(i64::MAX).expect("removed"), 3);
    log.set_high_watermark(10);
    log.set_config(config(|c| {
        c.retention_ms = 0;
        c.cleanup_policy = CleanupPolicy { delete: false, compact: true };
    }));
    assert_eq!(log.delete_old_segments(i64::MAX).expect("nothing"), 0);
}
