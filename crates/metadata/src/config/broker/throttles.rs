//! Throttles of replication: no property of a file, only of a running broker (`DynamicConfig.Broker` of Kafka).

use crate::config::refusals::THROTTLE;
use crate::config::row::rows;

rows! {
    "leader.replication.throttled.rate": Long = none where AtLeast(0), Medium, ClusterWide,
        Refuse(THROTTLE),
        "Bytes that leaders send in a second to the followers of throttled replicas.";
    "follower.replication.throttled.rate": Long = none where AtLeast(0), Medium, ClusterWide,
        Refuse(THROTTLE),
        "Bytes that throttled followers take in a second.";
    "replica.alter.log.dirs.io.max.bytes.per.second": Long = none where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::moves_between_log_directories"),
        "Bytes that are moved between log directories in a second.";
}
