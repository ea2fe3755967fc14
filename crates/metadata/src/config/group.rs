//! The properties of a group (KIP-848, KIP-932, KIP-1071), for consumer, share and streams groups.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::config::row::{Row, rows};

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static Row>> =
    LazyLock::new(|| ROWS.iter().map(|row| (row.name, row)).collect());

/// The row of a group property.
#[must_use]
pub fn row(name: &str) -> Option<&'static Row> {
    BY_NAME.get(name).copied()
}

/// All rows, ascending by name.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    BY_NAME.values().copied()
}

rows! {
    "consumer.session.timeout.ms": Int = "45000" where AtLeast(1), Medium, PerResource,
        Warn,
        "How long a member may be silent.";
    "consumer.heartbeat.interval.ms": Int = "5000" where AtLeast(1), Medium, PerResource,
        Warn,
        "How often members send heartbeats.";
    "consumer.assignment.interval.ms": Int = "1000" where AtLeast(0), Medium, PerResource,
        Warn,
        "Shortest time between two assignments.";
    #internal "consumer.assignor.offload.enable": Boolean = "true" where Any, Medium, PerResource,
        Warn,
        "Whether assignments are computed off the coordinator's thread.";
    "share.session.timeout.ms": Int = "45000" where AtLeast(1), Medium, PerResource,
        Warn,
        "How long a member may be silent.";
    "share.heartbeat.interval.ms": Int = "5000" where AtLeast(1), Medium, PerResource,
        Warn,
        "How often members send heartbeats.";
    "share.assignment.interval.ms": Int = "1000" where AtLeast(0), Medium, PerResource,
        Warn,
        "Shortest time between two assignments.";
    #internal "share.assignor.offload.enable": Boolean = "true" where Any, Medium, PerResource,
        Warn,
        "Whether assignments are computed off the coordinator's thread.";
    "share.record.lock.duration.ms": Int = "30000" where AtLeast(1000), Medium, PerResource,
        Warn,
        "How long a delivered record waits for its acknowledgement.";
    "share.delivery.count.limit": Int = "5" where AtLeast(2), Medium, PerResource,
        Warn,
        "How often a record is delivered before it is given up.";
    "share.partition.max.record.locks": Int = "2000" where AtLeast(100), Medium, PerResource,
        Warn,
        "Records of a partition that may be out for delivery at once.";
    "share.auto.offset.reset": String = "latest" where ShareOffsetReset, Medium, PerResource,
        Warn,
        "Where a share group begins on a partition that it has not read.";
    "share.isolation.level": String = "read_uncommitted" where OneOf(&["read_committed", "read_uncommitted"]), Medium, PerResource,
        Warn,
        "Whether records of open and aborted transactions are delivered.";
    "share.renew.acknowledge.enable": Boolean = "true" where Any, Medium, PerResource,
        Warn,
        "Whether a member may prolong its hold on a record.";
    "streams.session.timeout.ms": Int = "45000" where AtLeast(1), Medium, PerResource,
        Warn,
        "How long a member may be silent.";
    "streams.heartbeat.interval.ms": Int = "5000" where AtLeast(1), Medium, PerResource,
        Warn,
        "How often members send heartbeats.";
    "streams.initial.rebalance.delay.ms": Int = "3000" where AtLeast(0), Medium, PerResource,
        Warn,
        "How long a new group waits for more members.";
    "streams.assignment.interval.ms": Int = "1000" where AtLeast(0), Medium, PerResource,
        Warn,
        "Shortest time between two assignments.";
    #internal "streams.assignor.offload.enable": Boolean = "true" where Any, Medium, PerResource,
        Warn,
        "Whether tasks are assigned off the coordinator's thread.";
    "streams.assignor.name": String = none where Any, Medium, PerResource,
        Warn,
        "Assignor of tasks; none takes the broker's first.";
    "streams.num.standby.replicas": Int = "0" where AtLeast(0), Medium, PerResource,
        Warn,
        "Standby copies of each stateful task.";
    #internal "streams.num.warmup.replicas": Int = "2" where AtLeast(0), Medium, PerResource,
        Warn,
        "Copies of tasks that may catch up at once before they take over.";
    #internal "streams.acceptable.recovery.lag": Long = "10000" where AtLeast(0), Medium, PerResource,
        Warn,
        "Records that a copy may lack to count as caught up.";
    #internal "streams.task.offset.interval.ms": Int = "60000" where AtLeast(1), Medium, PerResource,
        Warn,
        "How often members report the offsets of their tasks.";
    "streams.rack.aware.assignment.tags": List = "" where Any, Low, PerResource,
        Warn,
        "Client tags over which standby copies are spread.";
    "errors.deadletterqueue.topic.name": String = "" where Any, Medium, PerResource,
        Warn,
        "Topic that takes the records a share group gave up; empty for none.";
    "errors.deadletterqueue.copy.record.enable": Boolean = "false" where Any, Medium, PerResource,
        Warn,
        "Whether key and value are copied there too.";
}
