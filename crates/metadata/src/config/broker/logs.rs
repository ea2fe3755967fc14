//! Log directories, and what a log does unless its topic says otherwise.

use crate::config::row::rows;

rows! {
    "log.dir": List = "/tmp/kafka-logs" where Any, High, ReadOnly,
        yes("server::config_effects::log_dir"),
        "Directory of the logs when `log.dirs` is not set.";
    "log.dirs": List = none where Any, High, ReadOnly,
        yes("server::config_effects::log_dirs"),
        "Directories of the logs, separated by commas.";
    "cordoned.log.dirs": List = "" where Any, Medium, PerBroker,
        yes("server::config_effects::directories::cordoned_log_dirs"),
        "Log directories that take no new replicas, or `*` for all.";
    "log.dir.failure.timeout.ms": Long = "30000" where AtLeast(1), Low, ReadOnly,
        yes("broker::failed_directories::a_broker_that_cannot_tell_gives_up"),
        "How long a broker waits to tell the controller of a failed directory before it stops.";
    "num.recovery.threads.per.data.dir": Int = "2" where AtLeast(1), High, ClusterWide,
        yes("server::config_effects::recovery_threads"),
        "Threads per directory that load and recover logs at the start.";
    "log.segment.bytes": Int = "1073741824" where AtLeast(1_048_576), High, ClusterWide,
        yes("server::config_effects::segments_roll_by_size"),
        "Size at which a segment is rolled.";
    "log.roll.ms": Long = none where Any, High, ClusterWide,
        yes("server::config_effects::segments_roll_by_time"),
        "Age at which a segment is rolled; goes before `log.roll.hours`.";
    "log.roll.hours": Int = "168" where AtLeast(1), High, ReadOnly,
        yes("server::config_effects::segments_roll_by_time"),
        "Age at which a segment is rolled, in hours.";
    "log.roll.jitter.ms": Long = none where Any, High, ClusterWide,
        yes("server::config_effects::segments_roll_by_time"),
        "Most that is taken at random off the roll time, so that segments do not roll together.";
    "log.roll.jitter.hours": Int = "0" where AtLeast(0), High, ReadOnly,
        yes("server::config_effects::segments_roll_by_time"),
        "The same in hours.";
    "log.retention.ms": Long = none where Any, High, ClusterWide,
        yes("server::config_effects::retention_by_time"),
        "How long records are kept; -1 for ever; goes before minutes and hours.";
    "log.retention.minutes": Int = none where Any, High, ReadOnly,
        yes("server::config_effects::retention_by_time"),
        "How long records are kept, in minutes; goes before hours.";
    "log.retention.hours": Int = "168" where Any, High, ReadOnly,
        yes("server::config_effects::retention_by_time"),
        "How long records are kept, in hours.";
    "log.retention.bytes": Long = "-1" where Any, High, ClusterWide,
        yes("server::config_effects::retention_by_size"),
        "Size of a partition above which its oldest segments are deleted; -1 for no limit.";
    "log.retention.check.interval.ms": Long = "300000" where AtLeast(1), Medium, ReadOnly,
        yes("server::config_effects::retention_by_time"),
        "How often segments are looked at for deletion.";
    "log.segment.delete.delay.ms": Long = "60000" where AtLeast(0), High, ClusterWide,
        yes("server::config_effects::deleted_files_linger"),
        "How long a deleted segment stays on disk, so that readers may finish.";
    #internal "log.initial.task.delay.ms": Long = "30000" where AtLeast(0), Low, ReadOnly,
        Warn,
        "How long after the start the maintenance of logs begins.";
    "log.cleanup.policy": List = "delete" where ListOf(&["compact", "delete"]), Medium, ClusterWide,
        yes("server::config_effects::cleanup_policy_is_kept"),
        "`delete`, `compact`, or both.";
    "log.flush.interval.messages": Long = "9223372036854775807" where AtLeast(1), High, ClusterWide,
        yes("server::config_effects::flush_by_records"),
        "Records after which a partition is forced to disk.";
    "log.flush.interval.ms": Long = none where Any, High, ClusterWide,
        yes("server::config_effects::flush_by_time"),
        "Longest time that records stay unforced; `log.flush.scheduler.interval.ms` if not set.";
    "log.flush.scheduler.interval.ms": Long = "9223372036854775807" where Any, High, ReadOnly,
        Warn,
        "How often it is looked for partitions to force to disk.";
    "log.flush.offset.checkpoint.interval.ms": Int = "60000" where AtLeast(0), High, ReadOnly,
        yes("server::config_effects::checkpoints"),
        "How often recovery points are written.";
    "log.flush.start.offset.checkpoint.interval.ms": Int = "60000" where AtLeast(0), High, ReadOnly,
        yes("server::config_effects::checkpoints"),
        "How often log start offsets are written.";
    "log.index.interval.bytes": Int = "4096" where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::index_settings"),
        "Bytes of records between two entries of an index.";
    "log.index.size.max.bytes": Int = "10485760" where AtLeast(4), Medium, ClusterWide,
        yes("server::config_effects::index_settings"),
        "Largest index of a segment; a full one rolls the segment.";
    "log.preallocate": Boolean = "false" where Any, Medium, ClusterWide,
        yes("server::config_effects::preallocated_segments"),
        "Whether a segment takes its whole size on disk at once.";
    "log.message.timestamp.type": String = "CreateTime" where OneOf(&["CreateTime", "LogAppendTime"]), Medium, ClusterWide,
        yes("server::config_effects::timestamps"),
        "`CreateTime` keeps the producer's timestamps, `LogAppendTime` sets the broker's.";
    "log.message.timestamp.before.max.ms": Long = "9223372036854775807" where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::timestamps"),
        "How far a timestamp may lie before the broker's clock.";
    "log.message.timestamp.after.max.ms": Long = "3600000" where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::timestamps"),
        "How far a timestamp may lie after the broker's clock.";
    "message.max.bytes": Int = "1048588" where AtLeast(0), High, ClusterWide,
        yes("server::config_effects::message_max_bytes"),
        "Largest record batch that is taken.";
    "max.decompressed.message.bytes": Int = "2147483639" where Between(1, 2_147_483_639), Medium, ClusterWide,
        yes("server::config_effects::decompression_bound"),
        "Most bytes to which one batch may decompress when the broker must read it.";
    "compression.type": String = "producer" where OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), High, ClusterWide,
        yes("server::config_effects::recompression"),
        "Codec in which batches are stored; `producer` keeps what came.";
    "compression.gzip.level": Int = "-1" where GzipLevel, Medium, ClusterWide,
        yes("server::config_effects::recompression_levels"),
        "Level of gzip when the broker compresses.";
    "compression.lz4.level": Int = "9" where Between(1, 17), Medium, ClusterWide,
        Warn,
        "Level of lz4 when the broker compresses.";
    "compression.zstd.level": Int = "3" where Between(-131_072, 22), Medium, ClusterWide,
        yes("server::config_effects::recompression_levels"),
        "Level of zstd when the broker compresses.";
    "log.cleaner.enable": Boolean = "true" where Any, Medium, ReadOnly,
        yes("server::config_effects::nothing_is_compacted_without_a_cleaner"),
        "Whether compaction runs.";
    "log.cleaner.threads": Int = "1" where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::cleaners_are_threads"),
        "Threads that compact.";
    "log.cleaner.backoff.ms": Long = "15000" where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::the_last_value_of_each_key_stays"),
        "Pause of a cleaner thread that found nothing to do.";
    "log.cleaner.dedupe.buffer.size": Long = "134217728" where Any, Medium, ClusterWide,
        yes("server::config_effects::a_pass_takes_as_many_keys_as_fit_the_buffer"),
        "Memory for the keys of all cleaner threads.";
    "log.cleaner.io.buffer.size": Int = "524288" where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::a_pass_reads_as_much_at_once_as_fits_the_buffer"),
        "Memory for reading and writing of all cleaner threads.";
    "log.cleaner.io.buffer.load.factor": Double = "0.9" where Any, Medium, ClusterWide,
        yes("server::config_effects::the_buffer_is_filled_up_to_the_load_factor"),
        "How full the map of keys may get.";
    "log.cleaner.io.max.bytes.per.second": Double = "1.7976931348623157E308" where Any, Medium, ClusterWide,
        yes("server::config_effects::a_pass_goes_no_faster_than_the_rate"),
        "Most bytes that cleaners read and write in a second.";
    "log.cleaner.min.cleanable.ratio": Double = "0.5" where Ratio(0.0, 1.0), Medium, ClusterWide,
        yes("server::config_effects::a_log_is_compacted_when_enough_of_it_is_new"),
        "Share of uncompacted bytes from which a log is worth compacting.";
    "log.cleaner.min.compaction.lag.ms": Long = "0" where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::records_stay_for_a_compaction_lag"),
        "How long a record stays uncompacted at least.";
    "log.cleaner.max.compaction.lag.ms": Long = "9223372036854775807" where AtLeast(1), Medium, ClusterWide,
        yes("server::config_effects::a_log_is_compacted_when_a_record_has_waited_long_enough"),
        "How long a record stays uncompacted at most.";
    "log.cleaner.delete.retention.ms": Long = "86400000" where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::tombstones_outlive_compaction_for_a_while"),
        "How long tombstones and transaction markers outlive compaction.";
    "producer.id.expiration.ms": Int = "86400000" where AtLeast(1), Low, ClusterWide,
        yes("server::config_effects::a_silent_producer_is_forgotten"),
        "How long a silent idempotent producer is remembered.";
    #internal "producer.id.expiration.check.interval.ms": Int = "600000" where AtLeast(1), Low, ReadOnly,
        Warn,
        "How often forgotten producers are looked for.";
}
