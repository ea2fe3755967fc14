//! Topics' settings at random, so small that a few batches fill a segment and an index.

use std::sync::Arc;

use ottla_env::random;
use ottla_storage::{CleanupPolicy, LogConfig};

use crate::chance;

/// Settings of one topic.
pub(crate) fn draw() -> Arc<LogConfig> {
    let ms = |choices: &[i64]| choices[chance(choices.len() as u64)];
    Arc::new(LogConfig {
        cleanup_policy: CleanupPolicy { delete: true, compact: false },
        segment_bytes: 1_100 + chance(2_500),
        segment_ms: ms(&[1_000, 10_000, 604_800_000]),
        segment_index_bytes: if chance(4) == 0 { 24 + chance(60) } else { 10 << 20 },
        index_interval_bytes: 64 + chance(400),
        retention_ms: ms(&[-1, 2_000, 20_000, 604_800_000]),
        retention_bytes: ms(&[-1, -1, 1_500, 4_000]),
        file_delete_delay_ms: ms(&[0, 1_000, 60_000]),
        log_append_time: chance(5) == 0,
        flush_messages: ms(&[i64::MAX, i64::MAX, i64::MAX, 1, 7]),
        flush_ms: ms(&[i64::MAX, i64::MAX, 100]),
        segment_jitter_ms: i64::try_from(random::below(2)).expect("small") * 300,
        ..LogConfig::default()
    })
}
