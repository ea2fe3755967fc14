//! The properties of a topic.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::config::refusals::REMOTE;
use crate::config::row::{Row, rows};

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static Row>> =
    LazyLock::new(|| ROWS.iter().map(|row| (row.name, row)).collect());

/// The row of a topic property.
#[must_use]
pub fn row(name: &str) -> Option<&'static Row> {
    BY_NAME.get(name).copied()
}

/// All rows, ascending by name.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    BY_NAME.values().copied()
}

rows! {
    "cleanup.policy": List = "delete" where ListOf(&["compact", "delete"]), Medium, PerResource,
        yes("server::config_effects::the_last_value_of_each_key_stays"), [same("log.cleanup.policy")],
        "`delete` removes old segments, `compact` keeps the last record of each key.";
    "compression.type": String = "producer" where OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Medium, PerResource,
        yes("server::config_effects::recompression"), [same("compression.type")],
        "Codec in which batches are stored; `producer` keeps what came.";
    "compression.gzip.level": Int = "-1" where GzipLevel, Medium, PerResource,
        yes("server::config_effects::recompression_levels"), [same("compression.gzip.level")],
        "Level of gzip when the broker compresses.";
    "compression.lz4.level": Int = "9" where Between(1, 17), Medium, PerResource,
        Warn, [same("compression.lz4.level")],
        "Level of lz4 when the broker compresses.";
    "compression.zstd.level": Int = "3" where Between(-131_072, 22), Medium, PerResource,
        yes("server::config_effects::recompression_levels"), [same("compression.zstd.level")],
        "Level of zstd when the broker compresses.";
    "delete.retention.ms": Long = "86400000" where AtLeast(0), Medium, PerResource,
        yes("server::config_effects::tombstones_outlive_compaction_for_a_while"), [same("log.cleaner.delete.retention.ms")],
        "How long tombstones and transaction markers outlive compaction.";
    "errors.deadletterqueue.group.enable": Boolean = "false" where Any, Medium, PerResource,
        Warn,
        "Whether share groups may write given-up records to this topic.";
    "file.delete.delay.ms": Long = "60000" where AtLeast(0), Medium, PerResource,
        yes("server::config_effects::deleted_files_linger"), [same("log.segment.delete.delay.ms")],
        "How long a deleted segment stays on disk, so that readers may finish.";
    "flush.messages": Long = "9223372036854775807" where AtLeast(1), Medium, PerResource,
        yes("server::config_effects::flush_by_records"), [same("log.flush.interval.messages")],
        "Records after which a partition is forced to disk.";
    "flush.ms": Long = "9223372036854775807" where AtLeast(0), Medium, PerResource,
        yes("server::config_effects::flush_by_time"), [same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
        "Longest time that records stay unforced.";
    "follower.replication.throttled.replicas": List = "" where ThrottledReplicas, Medium, PerResource,
        Warn,
        "Replicas whose followers are throttled, as `partition:broker`, or `*` for all.";
    "leader.replication.throttled.replicas": List = "" where ThrottledReplicas, Medium, PerResource,
        Warn,
        "Replicas whose leaders are throttled, as `partition:broker`, or `*` for all.";
    "index.interval.bytes": Int = "4096" where AtLeast(0), Medium, PerResource,
        yes("server::config_effects::index_settings"), [same("log.index.interval.bytes")],
        "Bytes of records between two entries of an index.";
    #internal "internal.segment.bytes": Int = none where Any, Medium, PerResource,
        Warn,
        "Segment size without the lower bound, for tests.";
    "local.retention.bytes": Long = "-2" where AtLeast(-2), Medium, PerResource,
        Warn, [same("log.local.retention.bytes")],
        "Bytes that stay on local disk once the log is in remote storage; -2 means those of `retention.bytes`.";
    "local.retention.ms": Long = "-2" where AtLeast(-2), Medium, PerResource,
        Warn, [same("log.local.retention.ms")],
        "How long records stay on local disk once they are in remote storage; -2 means as long as `retention.ms`.";
    "max.compaction.lag.ms": Long = "9223372036854775807" where AtLeast(1), Medium, PerResource,
        yes("server::config_effects::a_log_is_compacted_when_enough_of_it_is_new"), [same("log.cleaner.max.compaction.lag.ms")],
        "How long a record stays uncompacted at most.";
    "min.compaction.lag.ms": Long = "0" where AtLeast(0), Medium, PerResource,
        yes("server::config_effects::records_stay_for_a_compaction_lag"), [same("log.cleaner.min.compaction.lag.ms")],
        "How long a record stays uncompacted at least.";
    "min.cleanable.dirty.ratio": Double = "0.5" where Ratio(0.0, 1.0), Medium, PerResource,
        yes("server::config_effects::a_log_is_compacted_when_enough_of_it_is_new"), [same("log.cleaner.min.cleanable.ratio")],
        "Share of uncompacted bytes from which the log is worth compacting.";
    "max.decompressed.message.bytes": Int = "2147483639" where Between(1, 2_147_483_639), Medium, PerResource,
        yes("server::config_effects::decompression_bound"), [same("max.decompressed.message.bytes")],
        "Most bytes to which one batch may decompress when the broker must read it.";
    "max.message.bytes": Int = "1048588" where AtLeast(0), Medium, PerResource,
        yes("server::config_effects::message_max_bytes"), [same("message.max.bytes")],
        "Largest record batch that is taken.";
    "message.timestamp.after.max.ms": Long = "3600000" where AtLeast(0), Medium, PerResource,
        yes("server::config_effects::timestamps"), [same("log.message.timestamp.after.max.ms")],
        "How far a timestamp may lie after the broker's clock.";
    "message.timestamp.before.max.ms": Long = "9223372036854775807" where AtLeast(0), Medium, PerResource,
        yes("server::config_effects::timestamps"), [same("log.message.timestamp.before.max.ms")],
        "How far a timestamp may lie before the broker's clock.";
    "message.timestamp.type": String = "CreateTime" where OneOf(&["CreateTime", "LogAppendTime"]), Medium, PerResource,
        yes("server::config_effects::timestamps"), [same("log.message.timestamp.type")],
        "`CreateTime` keeps the producer's timestamps, `LogAppendTime` sets the broker's.";
    "min.insync.replicas": Int = "1" where AtLeast(1), Medium, PerResource,
        yes("broker::second_follower::min_insync_replicas"), [same("min.insync.replicas")],
        "Replicas in sync, the leader among them, without which a write with acks=all is refused.";
    "preallocate": Boolean = "false" where Any, Medium, PerResource,
        yes("server::config_effects::preallocated_segments"), [same("log.preallocate")],
        "Whether a segment takes its whole size on disk at once.";
    "remote.copy.lag.bytes": Long = "-1" where AtLeast(-1), Medium, PerResource,
        Warn, [same("log.remote.copy.lag.bytes")],
        "Bytes that a segment must lie behind the log end before it is copied to remote storage.";
    "remote.copy.lag.ms": Long = "0" where AtLeast(-1), Medium, PerResource,
        Warn, [same("log.remote.copy.lag.ms")],
        "Age that a segment must have before it is copied to remote storage.";
    "remote.log.copy.disable": Boolean = "false" where Any, Medium, PerResource,
        Refuse(REMOTE),
        "Whether nothing more is copied to remote storage.";
    "remote.log.delete.on.disable": Boolean = "false" where Any, Medium, PerResource,
        Refuse(REMOTE),
        "Whether what is in remote storage is deleted when it is turned off.";
    "remote.storage.enable": Boolean = "false" where Any, Medium, PerResource,
        Refuse(REMOTE),
        "Whether old segments move to remote storage.";
    "retention.bytes": Long = "-1" where Any, Medium, PerResource,
        yes("server::config_effects::retention_by_size"), [same("log.retention.bytes")],
        "Size of a partition above which its oldest segments are deleted; -1 for no limit.";
    "retention.ms": Long = "604800000" where AtLeast(-1), Medium, PerResource,
        yes("server::config_effects::retention_by_time"), [same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")],
        "How long records are kept; -1 for ever.";
    "segment.bytes": Int = "1073741824" where AtLeast(1_048_576), Medium, PerResource,
        yes("server::config_effects::segments_roll_by_size"), [same("log.segment.bytes")],
        "Size at which a segment is rolled.";
    "segment.index.bytes": Int = "10485760" where AtLeast(4), Medium, PerResource,
        yes("server::config_effects::index_settings"), [same("log.index.size.max.bytes")],
        "Largest index of a segment; a full one rolls the segment.";
    "segment.jitter.ms": Long = "0" where AtLeast(0), Medium, PerResource,
        yes("server::config_effects::segments_roll_by_time"), [same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")],
        "Most that is taken at random off the roll time, so that segments do not roll together.";
    "segment.ms": Long = "604800000" where AtLeast(1), Medium, PerResource,
        yes("server::config_effects::segments_roll_by_time"), [same("log.roll.ms"), hours("log.roll.hours")],
        "Age at which a segment is rolled.";
    "unclean.leader.election.enable": Boolean = "false" where Any, Medium, PerResource,
        Warn, [same("unclean.leader.election.enable")],
        "Whether a replica that is not in sync may become leader, at the price of lost records.";
}
