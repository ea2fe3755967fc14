//! Group coordination: classic groups, consumer groups, share groups, streams groups and their state.

use crate::config::row::rows;

rows! {
    "group.initial.rebalance.delay.ms": Int = "3000" where Any, Medium, ReadOnly,
        yes("server::config_effects::initial_rebalance_delay"),
        "How long a new classic group waits for more members before its first rebalance.";
    "group.min.session.timeout.ms": Int = "6000" where Any, Medium, ReadOnly,
        yes("server::config_effects::session_timeout_bounds"),
        "Shortest session timeout that a classic member may ask for.";
    "group.max.session.timeout.ms": Int = "1800000" where Any, Medium, ReadOnly,
        yes("server::config_effects::session_timeout_bounds"),
        "Longest session timeout that a classic member may ask for.";
    "group.max.size": Int = "2147483647" where AtLeast(1), Medium, ReadOnly,
        yes("server::config_effects::group_max_size"),
        "Members that a classic group may have.";
    "group.coordinator.rebalance.protocols": List = "classic,consumer,streams" where ListOf(&["consumer", "classic", "share", "streams"]), Medium, ReadOnly,
        Warn,
        "Kinds of groups that are served.";
    "group.coordinator.threads": Int = "4" where AtLeast(1), High, ReadOnly,
        Warn,
        "Threads that run group coordinators.";
    "group.coordinator.background.threads": Int = "2" where AtLeast(1), High, ReadOnly,
        Warn,
        "Threads for the coordinators' long work.";
    "group.coordinator.append.linger.ms": Int = "-1" where AtLeast(-1), Medium, ReadOnly,
        Warn,
        "How long a coordinator collects records before it writes them; -1 lets it choose.";
    "group.coordinator.cached.buffer.max.bytes": Int = "1048588" where AtLeast(524_288), Medium, ClusterWide,
        Warn,
        "Largest write buffer that a coordinator keeps for reuse.";
    "offsets.topic.num.partitions": Int = "50" where AtLeast(1), High, ReadOnly,
        yes("server::config_effects::offsets_topic"),
        "Partitions of `__consumer_offsets`; must not change once it exists.";
    "offsets.topic.replication.factor": Short = "3" where AtLeast(1), High, ReadOnly,
        yes("server::config_effects::offsets_topic"),
        "Replicas of `__consumer_offsets`.";
    "offsets.topic.segment.bytes": Int = "104857600" where AtLeast(1), High, ReadOnly,
        yes("server::config_effects::offsets_topic"),
        "Segment size of `__consumer_offsets`.";
    "offsets.topic.compression.codec": Int = "0" where Any, High, ReadOnly,
        Warn,
        "Codec of coordinator records.";
    "offsets.load.buffer.size": Int = "5242880" where AtLeast(1), High, ReadOnly,
        Warn,
        "Bytes that are read at once when a coordinator loads its state.";
    "offsets.commit.timeout.ms": Int = "5000" where AtLeast(1), High, ReadOnly,
        yes("broker::groups::a_commit_that_the_follower_does_not_take_is_given_up"),
        "How long a commit of offsets may take to be replicated.";
    "offset.metadata.max.bytes": Int = "4096" where Any, High, ReadOnly,
        yes("server::config_effects::offset_commits"),
        "Largest text that may go with a committed offset.";
    "offsets.retention.minutes": Int = "10080" where AtLeast(1), High, ReadOnly,
        yes("server::config_effects::offsets_expire"),
        "How long committed offsets outlive the last use of their group.";
    "offsets.retention.check.interval.ms": Long = "600000" where AtLeast(1), High, ReadOnly,
        yes("server::config_effects::offsets_expire"),
        "How often expired offsets are looked for.";
    "group.consumer.session.timeout.ms": Int = "45000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "How long a member of a consumer group may be silent.";
    "group.consumer.min.session.timeout.ms": Int = "45000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Shortest session timeout that a group may set.";
    "group.consumer.max.session.timeout.ms": Int = "60000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Longest session timeout that a group may set.";
    "group.consumer.heartbeat.interval.ms": Int = "5000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "How often members of consumer groups send heartbeats.";
    "group.consumer.min.heartbeat.interval.ms": Int = "5000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Shortest heartbeat interval that a group may set.";
    "group.consumer.max.heartbeat.interval.ms": Int = "15000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Longest heartbeat interval that a group may set.";
    "group.consumer.assignment.interval.ms": Int = "1000" where AtLeast(0), Medium, ClusterWide,
        Warn,
        "Shortest time between two assignments of a group.";
    "group.consumer.min.assignment.interval.ms": Int = "0" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Lowest such time that a group may set.";
    "group.consumer.max.assignment.interval.ms": Int = "15000" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Highest such time that a group may set.";
    #internal "group.consumer.assignor.offload.enable": Boolean = "true" where Any, Medium, ClusterWide,
        Warn,
        "Whether assignments are computed off the coordinator's thread.";
    "group.consumer.assignors": List = "uniform,range" where Any, Medium, ReadOnly,
        Warn,
        "Assignors of consumer groups; the first is the default.";
    "group.consumer.max.size": Int = "2147483647" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Members that a consumer group may have.";
    "group.consumer.migration.policy": String = "bidirectional" where OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), Medium, ReadOnly,
        Warn,
        "Which way groups may change between the classic and the consumer protocol.";
    #internal "group.consumer.regex.refresh.interval.ms": Int = "600000" where AtLeast(10_000), Medium, ReadOnly,
        Warn,
        "How often subscribed patterns are matched against the topics again.";
    "group.share.session.timeout.ms": Int = "45000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "How long a member of a share group may be silent.";
    "group.share.min.session.timeout.ms": Int = "45000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Shortest session timeout that a share group may set.";
    "group.share.max.session.timeout.ms": Int = "60000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Longest session timeout that a share group may set.";
    "group.share.heartbeat.interval.ms": Int = "5000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "How often members of share groups send heartbeats.";
    "group.share.min.heartbeat.interval.ms": Int = "5000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Shortest heartbeat interval that a share group may set.";
    "group.share.max.heartbeat.interval.ms": Int = "15000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Longest heartbeat interval that a share group may set.";
    "group.share.assignment.interval.ms": Int = "1000" where AtLeast(0), Medium, ClusterWide,
        Warn,
        "Shortest time between two assignments of a share group.";
    "group.share.min.assignment.interval.ms": Int = "0" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Lowest such time that a share group may set.";
    "group.share.max.assignment.interval.ms": Int = "15000" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Highest such time that a share group may set.";
    #internal "group.share.assignor.offload.enable": Boolean = "true" where Any, Medium, ClusterWide,
        Warn,
        "Whether assignments of share groups are computed off the coordinator's thread.";
    "group.share.assignors": List = "simple" where Any, Medium, ReadOnly,
        Warn,
        "Assignor of share groups.";
    "group.share.delivery.count.limit": Int = "5" where Between(2, 10), Medium, ReadOnly,
        Warn,
        "How often a record is delivered before it is given up.";
    "group.share.min.delivery.count.limit": Int = "2" where Between(2, 5), Medium, ReadOnly,
        Warn,
        "Lowest such count that a share group may set.";
    "group.share.max.delivery.count.limit": Int = "10" where Between(5, 25), Medium, ReadOnly,
        Warn,
        "Highest such count that a share group may set.";
    #internal "group.share.dlq.manager.class.name": String = "org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager" where Any, Medium, ReadOnly,
        Warn,
        "Class that writes given-up records to a dead-letter queue.";
    #internal "group.share.initialize.retry.interval.ms": Int = "30000" where AtLeast(1), Low, ReadOnly,
        Warn,
        "How soon a failed initialization of share state is tried again.";
    "group.share.partition.max.record.locks": Int = "2000" where Between(100, 10_000), Medium, ReadOnly,
        Warn,
        "Records of a partition that may be out for delivery at once.";
    "group.share.min.partition.max.record.locks": Int = "100" where Between(100, 2000), Medium, ReadOnly,
        Warn,
        "Lowest such number that a share group may set.";
    "group.share.max.partition.max.record.locks": Int = "4000" where Between(2000, 10_000), Medium, ReadOnly,
        Warn,
        "Highest such number that a share group may set.";
    "group.share.record.lock.duration.ms": Int = "30000" where Between(1000, 3_600_000), Medium, ReadOnly,
        Warn,
        "How long a delivered record waits for its acknowledgement.";
    "group.share.min.record.lock.duration.ms": Int = "15000" where Between(1000, 30_000), Medium, ReadOnly,
        Warn,
        "Shortest such time that a share group may set.";
    "group.share.max.record.lock.duration.ms": Int = "60000" where Between(30_000, 3_600_000), Medium, ReadOnly,
        Warn,
        "Longest such time that a share group may set.";
    "group.share.max.share.sessions": Int = "2000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Share sessions that this broker keeps.";
    "group.share.max.size": Int = "200" where Between(1, 1000), Medium, ReadOnly,
        Warn,
        "Members that a share group may have.";
    #internal "group.share.persister.class.name": String = "org.apache.kafka.server.share.persister.DefaultStatePersister" where Any, Medium, ReadOnly,
        Warn,
        "Class that keeps the state of share groups.";
    "share.coordinator.threads": Int = "1" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Threads that run share coordinators.";
    "share.coordinator.append.linger.ms": Int = "-1" where AtLeast(-1), Medium, ReadOnly,
        Warn,
        "How long a share coordinator collects records before it writes them; -1 lets it choose.";
    "share.coordinator.cached.buffer.max.bytes": Int = "1048588" where AtLeast(524_288), Medium, ClusterWide,
        Warn,
        "Largest write buffer that a share coordinator keeps for reuse.";
    #internal "share.coordinator.cold.partition.snapshot.interval.ms": Int = "300000" where AtLeast(1), Low, ReadOnly,
        Warn,
        "How often share partitions without traffic are written as snapshots.";
    "share.coordinator.load.buffer.size": Int = "5242880" where AtLeast(1), High, ReadOnly,
        Warn,
        "Bytes that are read at once when a share coordinator loads its state.";
    "share.coordinator.snapshot.update.records.per.snapshot": Int = "500" where Between(0, 500), Medium, ReadOnly,
        Warn,
        "Updates of share state after which a snapshot is written.";
    "share.coordinator.state.topic.num.partitions": Int = "50" where AtLeast(1), High, ReadOnly,
        Warn,
        "Partitions of `__share_group_state`.";
    "share.coordinator.state.topic.replication.factor": Short = "3" where AtLeast(1), High, ReadOnly,
        Warn,
        "Replicas of `__share_group_state`.";
    "share.coordinator.state.topic.min.isr": Short = "2" where AtLeast(1), High, ReadOnly,
        Warn,
        "Replicas in sync that `__share_group_state` needs.";
    "share.coordinator.state.topic.segment.bytes": Int = "104857600" where AtLeast(1), High, ReadOnly,
        Warn,
        "Segment size of `__share_group_state`.";
    "share.coordinator.state.topic.compression.codec": Int = "0" where Any, High, ReadOnly,
        Warn,
        "Codec of share state records.";
    #internal "share.coordinator.state.topic.prune.interval.ms": Int = "300000" where AtLeast(1), Low, ReadOnly,
        Warn,
        "How often records of `__share_group_state` that are no longer needed are deleted.";
    "share.coordinator.write.timeout.ms": Int = "5000" where AtLeast(1), High, ReadOnly,
        Warn,
        "How long a write of share state may take to be replicated.";
    "group.streams.session.timeout.ms": Int = "45000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "How long a member of a streams group may be silent.";
    "group.streams.min.session.timeout.ms": Int = "45000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Shortest session timeout that a streams group may set.";
    "group.streams.max.session.timeout.ms": Int = "60000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Longest session timeout that a streams group may set.";
    "group.streams.heartbeat.interval.ms": Int = "5000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "How often members of streams groups send heartbeats.";
    "group.streams.min.heartbeat.interval.ms": Int = "5000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Shortest heartbeat interval that a streams group may set.";
    "group.streams.max.heartbeat.interval.ms": Int = "15000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Longest heartbeat interval that a streams group may set.";
    "group.streams.assignment.interval.ms": Int = "1000" where AtLeast(0), Medium, ClusterWide,
        Warn,
        "Shortest time between two assignments of a streams group.";
    "group.streams.min.assignment.interval.ms": Int = "0" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Lowest such time that a streams group may set.";
    "group.streams.max.assignment.interval.ms": Int = "15000" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Highest such time that a streams group may set.";
    #internal "group.streams.assignor.offload.enable": Boolean = "true" where Any, Medium, ClusterWide,
        Warn,
        "Whether tasks are assigned off the coordinator's thread.";
    "group.streams.assignors": List = "sticky" where Any, Medium, ReadOnly,
        Warn,
        "Assignors of streams groups; the first is the default.";
    "group.streams.initial.rebalance.delay.ms": Int = "3000" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "How long a new streams group waits for more members.";
    "group.streams.max.size": Int = "2147483647" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Members that a streams group may have.";
    "group.streams.num.standby.replicas": Int = "0" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Standby copies of each stateful task.";
    "group.streams.max.standby.replicas": Int = "2" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Most standby copies that a streams group may set.";
    #internal "group.streams.num.warmup.replicas": Int = "2" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Copies of tasks that may catch up at once before they take over.";
    #internal "group.streams.max.warmup.replicas": Int = "20" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Most such copies that a streams group may set.";
    #internal "group.streams.acceptable.recovery.lag": Long = "10000" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Records that a copy may lack to count as caught up.";
    #internal "group.streams.task.offset.interval.ms": Int = "60000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "How often members report the offsets of their tasks.";
    #internal "group.streams.min.task.offset.interval.ms": Int = "15000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Lowest such interval that a streams group may set.";
    "group.streams.rack.aware.assignment.tags": List = "" where Any, Low, ReadOnly,
        Warn,
        "Client tags over which standby copies are spread.";
    "group.streams.topology.description.plugin.class": Class = none where Any, Medium, ReadOnly,
        Warn,
        "Class that keeps descriptions of topologies.";
}
