//! Roles, identity, the metadata quorum and its log, and a broker's life as the controller sees it.

use crate::config::refusals::JOIN;
use crate::config::row::rows;

rows! {
    "process.roles": List = none where ListOf(&["broker", "controller"]), High, ReadOnly,
        yes("server::config_effects::a_shipped_server_properties_starts"),
        "What this process is; Ottla serves `broker,controller` together.";
    "node.id": Int = none where AtLeast(0), High, ReadOnly,
        yes("server::config_effects::a_node_is_known_by_its_number"),
        "Number of this node, unique in the cluster.";
    "broker.id": Int = "-1" where Any, High, ReadOnly,
        yes("server::config_effects::a_node_is_known_by_its_number"),
        "Older name of `node.id`; if both are given they must agree.";
    "broker.rack": String = none where Any, Medium, ReadOnly,
        yes("server::config_effects::rack_is_registered"),
        "Rack, or availability zone, in which this broker stands; clients see it in metadata.";
    "controller.listener.names": List = none where Any, High, ReadOnly,
        yes("server::config_effects::listeners_are_served_by_their_names"),
        "Listeners on which the controller is asked; the first is the one this node uses to ask it.";
    "controller.quorum.voters": List = "" where NonEmptyList, High, ReadOnly,
        yes("server::config_effects::a_quorum_is_static_or_dynamic"),
        "Voters of a static quorum as `id@host:port`; only this node may be named.";
    "controller.quorum.bootstrap.servers": List = "" where NonEmptyList, High, ReadOnly,
        yes("server::config_effects::a_quorum_is_static_or_dynamic"),
        "Where the controllers of a dynamic quorum are found, as `host:port`; only this node may be named.";
    "controller.quorum.auto.join.enable": Boolean = "false" where Any, Low, ReadOnly,
        Refuse(JOIN),
        "Whether a controller that is not a voter asks to become one.";
    "controller.quorum.election.timeout.ms": Int = "1000" where AtLeast(0), High, ReadOnly,
        Warn,
        "How long a candidate waits for votes before it tries again.";
    "controller.quorum.election.backoff.max.ms": Int = "1000" where AtLeast(0), High, ReadOnly,
        Warn,
        "Longest pause between two elections that brought no leader.";
    "controller.quorum.fetch.timeout.ms": Int = "2000" where AtLeast(0), High, ReadOnly,
        Warn,
        "How long a voter goes without a fetch before it wants an election, and a leader without a majority before it resigns.";
    "controller.quorum.request.timeout.ms": Int = "2000" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "How long an answer from another voter is waited for.";
    "controller.quorum.retry.backoff.ms": Int = "20" where AtLeast(0), Low, ReadOnly,
        Warn,
        "Pause before a failed request to another voter is sent again.";
    "controller.quorum.append.linger.ms": Int = "25" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "How long the leader of the metadata log collects records before it writes them.";
    "controller.quorum.fetch.max.bytes": Int = "1048576" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Most bytes of the metadata log in one answer to a fetch.";
    "controller.quorum.fetch.snapshot.max.bytes": Int = "1048576" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Most bytes of a metadata snapshot in one answer.";
    "controller.socket.timeout.ms": Int = "30000" where Any, Medium, ReadOnly,
        Warn,
        "How long a broker waits on its connection to the controller.";
    #internal "controller.performance.sample.period.ms": Long = "60000" where AtLeast(100), Medium, ReadOnly,
        Warn,
        "How often the controller logs how long its events took.";
    #internal "controller.performance.always.log.threshold.ms": Long = "2000" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "Controller events that take longer than this are always logged.";
    "broker.heartbeat.interval.ms": Int = "2000" where Any, Medium, ReadOnly,
        yes("server::config_effects::a_silent_broker_is_fenced"),
        "How often a broker tells the controller that it lives.";
    "broker.session.timeout.ms": Int = "9000" where Any, Medium, ReadOnly,
        yes("server::config_effects::a_silent_broker_is_fenced"),
        "How long the controller hears nothing from a broker before it fences it.";
    "initial.broker.registration.timeout.ms": Int = "60000" where Any, Medium, ReadOnly,
        yes("server::config_effects::a_broker_that_cannot_register_gives_up"),
        "How long a starting broker tries to register before it gives up.";
    "controlled.shutdown.enable": Boolean = "true" where Any, Medium, ReadOnly,
        Warn,
        "Whether a stopping broker first hands its leaderships over.";
    #internal "server.max.startup.time.ms": Long = "9223372036854775807" where AtLeast(0), Medium, ReadOnly,
        Warn,
        "How long a start may take before the process gives up.";
    "metadata.log.dir": String = none where Any, High, ReadOnly,
        yes("server::config_effects::metadata_log_dir"),
        "Directory of the metadata log; the first of `log.dirs` if not set.";
    "metadata.log.segment.bytes": Int = "1073741824" where AtLeast(8_388_608), High, ReadOnly,
        Warn,
        "Size of a segment of the metadata log.";
    "metadata.log.segment.ms": Long = "604800000" where Any, High, ReadOnly,
        Warn,
        "Age at which a segment of the metadata log is rolled.";
    "metadata.log.max.record.bytes.between.snapshots": Long = "20971520" where AtLeast(1), High, ReadOnly,
        yes("server::config_effects::metadata_snapshots"),
        "Bytes of new metadata records after which a snapshot is written.";
    "metadata.log.max.snapshot.interval.ms": Long = "3600000" where AtLeast(0), High, ReadOnly,
        yes("server::config_effects::metadata_snapshots"),
        "Longest time between two snapshots while there are new records; 0 turns snapshots by time off.";
    "metadata.max.retention.bytes": Long = "104857600" where Any, High, ReadOnly,
        Warn,
        "Size of metadata log and snapshots above which the oldest are deleted.";
    "metadata.max.retention.ms": Long = "604800000" where Any, High, ReadOnly,
        Warn,
        "Age above which metadata segments and snapshots are deleted.";
    "metadata.max.idle.interval.ms": Int = "500" where AtLeast(0), Low, ReadOnly,
        Warn,
        "How often the active controller writes a record that changes nothing, so that the committed offset moves; 0 turns it off.";
    #internal "internal.metadata.delete.delay.millis": Long = "60000" where Any, Low, ReadOnly,
        Warn,
        "How long a deleted metadata segment or snapshot stays on disk.";
    #internal "internal.metadata.log.segment.bytes": Int = none where Any, Low, ReadOnly,
        Warn,
        "Size of a metadata segment without the lower bound, for tests.";
    #internal "internal.metadata.max.batch.size.in.bytes": Int = "8388608" where Any, Low, ReadOnly,
        Warn,
        "Largest batch that is appended to the metadata log.";
    #internal "unstable.api.versions.enable": Boolean = "false" where Any, High, ReadOnly,
        Warn,
        "Whether API versions that are still being worked on are offered.";
    #internal "unstable.feature.versions.enable": Boolean = "false" where Any, High, ReadOnly,
        Warn,
        "Whether feature levels that are still being worked on may be finalized.";
    "background.threads": Int = "10" where AtLeast(1), High, ClusterWide,
        Warn,
        "Threads for work that no request waits for.";
    "auto.leader.rebalance.enable": Boolean = "true" where Any, High, ReadOnly,
        Warn,
        "Whether leadership goes back to preferred replicas by itself.";
    "leader.imbalance.check.interval.seconds": Long = "300" where AtLeast(1), High, ReadOnly,
        Warn,
        "How often the controller looks for leaders that are not the preferred replica.";
    "unclean.leader.election.enable": Boolean = "false" where Any, High, ClusterWide,
        Warn,
        "Whether a replica that is not in sync may become leader, at the price of lost records.";
    #internal "unclean.leader.election.interval.ms": Long = "300000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "How often the controller looks for partitions that need an unclean election.";
}
