//! Followers and how far they may fall behind.

use crate::config::row::rows;

rows! {
    "replica.lag.time.max.ms": Long = "30000" where Any, High, ReadOnly,
        Warn,
        "How long a follower may not have reached the log end before it leaves the ISR.";
    "replica.high.watermark.checkpoint.interval.ms": Long = "5000" where Any, High, ReadOnly,
        yes("server::config_effects::checkpoints"),
        "How often high watermarks are written.";
    "replica.fetch.max.bytes": Int = "1048576" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Most bytes of one partition that a follower asks for.";
    "replica.fetch.response.max.bytes": Int = "10485760" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Most bytes that a follower asks for at once.";
    "replica.fetch.min.bytes": Int = "1" where Any, High, ReadOnly,
        Warn,
        "Bytes that a follower waits for.";
    "replica.fetch.wait.max.ms": Int = "500" where Any, High, ReadOnly,
        Warn,
        "How long a follower waits for them.";
    "replica.fetch.backoff.ms": Int = "1000" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Pause of a follower after a failed fetch.";
    "replica.socket.timeout.ms": Int = "30000" where Any, High, ReadOnly,
        Warn,
        "How long a follower waits on its connection.";
    "replica.socket.receive.buffer.bytes": Int = "65536" where Any, High, ReadOnly,
        Warn,
        "Receive buffer of a follower's connection.";
    "replica.selector.class": String = none where Any, Medium, ReadOnly,
        Warn,
        "Class that picks the replica from which a consumer should read.";
    "num.replica.fetchers": Int = "1" where AtLeast(1), High, ClusterWide,
        Warn,
        "Connections with which a follower fetches from one leader.";
    "num.replica.alter.log.dirs.threads": Int = none where Any, High, ReadOnly,
        yes("server::config_effects::moves_between_log_directories"),
        "Threads that move replicas between log directories.";
    "follower.fetch.last.tiered.offset.enable": Boolean = "false" where Any, Medium, ClusterWide,
        Warn,
        "Whether a new follower starts at the last offset that is in remote storage.";
}
