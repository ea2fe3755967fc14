//! Remote storage.

use crate::config::refusals::REMOTE;
use crate::config::row::rows;

rows! {
    "remote.log.storage.system.enable": Boolean = "false" where Any, Medium, ReadOnly,
        Refuse(REMOTE),
        "Whether remote storage may be used at all.";
    "remote.log.storage.manager.class.name": String = none where NonEmpty, Medium, ReadOnly,
        Refuse(REMOTE),
        "Class that moves segments to and from remote storage.";
    "remote.log.storage.manager.class.path": String = none where Any, Medium, ReadOnly,
        Refuse(REMOTE),
        "Where that class is found.";
    "remote.log.storage.manager.impl.prefix": String = "rsm.config." where NonEmpty, Medium, ReadOnly,
        Warn,
        "Prefix of the properties that are passed to that class.";
    "remote.log.metadata.manager.class.name": String = "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager" where NonEmpty, Medium, ReadOnly,
        Refuse(REMOTE),
        "Class that remembers what is in remote storage.";
    "remote.log.metadata.manager.class.path": String = none where Any, Medium, ReadOnly,
        Refuse(REMOTE),
        "Where that class is found.";
    "remote.log.metadata.manager.impl.prefix": String = "rlmm.config." where NonEmpty, Medium, ReadOnly,
        Warn,
        "Prefix of the properties that are passed to that class.";
    "remote.log.metadata.manager.listener.name": String = none where NonEmpty, Medium, ReadOnly,
        Warn,
        "Listener that it uses to talk to brokers.";
    "remote.log.metadata.custom.metadata.max.bytes": Int = "128" where AtLeast(0), Low, ReadOnly,
        Warn,
        "Largest custom metadata that is kept for a segment.";
    "remote.log.index.file.cache.total.size.bytes": Long = "1073741824" where AtLeast(1), Low, ClusterWide,
        Warn,
        "Disk space for cached indexes of remote segments.";
    #internal "remote.log.index.file.cache.ttl.ms": Long = "900000" where AtLeast(-1), Low, ReadOnly,
        Warn,
        "How long an unused cached index is kept.";
    "remote.log.manager.thread.pool.size": Int = "2" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Threads that look for work to do with remote storage.";
    "remote.log.manager.copier.thread.pool.size": Int = "10" where AtLeast(1), Medium, ClusterWide,
        Warn,
        "Threads that copy segments to remote storage.";
    "remote.log.manager.expiration.thread.pool.size": Int = "10" where AtLeast(1), Medium, ClusterWide,
        Warn,
        "Threads that delete expired remote segments.";
    "remote.log.manager.follower.thread.pool.size": Int = "2" where AtLeast(1), Medium, ClusterWide,
        Warn,
        "Threads that follow what leaders copy.";
    "remote.log.manager.task.interval.ms": Long = "30000" where AtLeast(1), Low, ReadOnly,
        Warn,
        "How often that work is looked for.";
    #internal "remote.log.manager.task.retry.backoff.ms": Long = "500" where AtLeast(1), Low, ReadOnly,
        Warn,
        "First pause after a failure of that work.";
    #internal "remote.log.manager.task.retry.backoff.max.ms": Long = "30000" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Longest such pause.";
    #internal "remote.log.manager.task.retry.jitter": Double = "0.2" where Ratio(0.0, 0.5), Low, ReadOnly,
        Warn,
        "Share of the pause that is random.";
    "remote.log.manager.copy.max.bytes.per.second": Long = "9223372036854775807" where AtLeast(1), Medium, ClusterWide,
        Warn,
        "Most bytes that are copied to remote storage in a second.";
    "remote.log.manager.copy.quota.window.num": Int = "11" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Samples over which copying is measured.";
    "remote.log.manager.copy.quota.window.size.seconds": Int = "1" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Length of such a sample.";
    "remote.log.manager.fetch.max.bytes.per.second": Long = "9223372036854775807" where AtLeast(1), Medium, ClusterWide,
        Warn,
        "Most bytes that are read from remote storage in a second.";
    "remote.log.manager.fetch.quota.window.num": Int = "11" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Samples over which reading is measured.";
    "remote.log.manager.fetch.quota.window.size.seconds": Int = "1" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Length of such a sample.";
    "remote.log.reader.threads": Int = "10" where AtLeast(1), Medium, ClusterWide,
        Warn,
        "Threads that read from remote storage.";
    "remote.log.reader.max.pending.tasks": Int = "100" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Reads that may wait for those threads.";
    "remote.fetch.max.wait.ms": Int = "500" where AtLeast(1), Medium, ClusterWide,
        Warn,
        "How long a fetch waits for remote storage.";
    "remote.list.offsets.request.timeout.ms": Long = "30000" where AtLeast(1), Medium, ClusterWide,
        Warn,
        "How long ListOffsets waits for remote storage.";
    "log.local.retention.bytes": Long = "-2" where AtLeast(-2), Medium, ClusterWide,
        Warn,
        "Bytes that stay on local disk once a log is in remote storage; -2 means those of `log.retention.bytes`.";
    "log.local.retention.ms": Long = "-2" where AtLeast(-2), Medium, ClusterWide,
        Warn,
        "How long records stay on local disk once they are in remote storage; -2 means as long as `log.retention.ms`.";
    "log.remote.copy.lag.bytes": Long = "-1" where AtLeast(-1), Medium, ClusterWide,
        Warn,
        "Bytes that a segment must lie behind the log end before it is copied.";
    "log.remote.copy.lag.ms": Long = "0" where AtLeast(-1), Medium, ClusterWide,
        Warn,
        "Age that a segment must have before it is copied.";
}
