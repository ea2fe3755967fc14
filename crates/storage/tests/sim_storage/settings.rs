//! Topics' settings at random, so small that a few batches fill a segment and an index.

use std::sync::Arc;

use ottla_env::random;
use ottla_storage::{CleanerConfig, CleanupPolicy, LogConfig};

use crate::chance;

const DELETE: CleanupPolicy = CleanupPolicy { delete: true, compact: false };
const COMPACT: CleanupPolicy = CleanupPolicy { delete: false, compact: true };
const BOTH: CleanupPolicy = CleanupPolicy { delete: true, compact: true };
const POLICIES: [CleanupPolicy; 4] = [DELETE, DELETE, COMPACT, BOTH];

/// Settings of the cleaner: its map has room for all keys or for a few.
pub(crate) fn draw_cleaner() -> CleanerConfig {
    let slots = if chance(3) == 0 { 2 + random::below(6) } else { 1 << 10 };
    CleanerConfig { dedupe_buffer_bytes: 16 * slots, ..CleanerConfig::default() }
}

/// Other settings of a topic. One that is compacted stays so: the holes that it has, by compaction or by a loss of power that
/// could not be told from it, would count as damage.
pub(crate) fn draw_after(before: &LogConfig) -> Arc<LogConfig> {
    let drawn = draw();
    let compact = drawn.cleanup_policy.compact || before.cleanup_policy.compact;
    Arc::new(LogConfig { cleanup_policy: CleanupPolicy { compact, ..drawn.cleanup_policy }, ..(*drawn).clone() })
}

/// Settings of one topic that nearly every visit of the cleaner finds something to do in.
pub(crate) fn draw_compacted() -> Arc<LogConfig> {
    let drawn = draw();
    Arc::new(LogConfig {
        cleanup_policy: CleanupPolicy { compact: true, delete: chance(3) == 0 },
        // Small segments, and later a large one for several of them.
        segment_bytes: if chance(2) == 0 { 1_100 + chance(300) } else { 2_500 + chance(1_000) },
        min_cleanable_dirty_ratio: 0.0,
        min_compaction_lag_ms: 0,
        delete_retention_ms: if chance(2) == 0 { 0 } else { drawn.delete_retention_ms },
        ..(*drawn).clone()
    })
}

/// Settings of one topic.
pub(crate) fn draw() -> Arc<LogConfig> {
    let ms = |choices: &[i64]| choices[chance(choices.len() as u64)];
    Arc::new(LogConfig {
        cleanup_policy: POLICIES[chance(4)],
        delete_retention_ms: ms(&[0, 1_000, 20_000]),
        min_cleanable_dirty_ratio: if chance(3) == 0 { 0.5 } else { 0.0 },
        min_compaction_lag_ms: ms(&[0, 0, 1_000]),
        max_compaction_lag_ms: ms(&[i64::MAX, i64::MAX, 5_000]),
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
