//! Listeners, connections, sockets and the queues of requests.

use crate::config::refusals::{SASL, TLS};
use crate::config::row::rows;

rows! {
    "listeners": List = "PLAINTEXT://:9092" where Any, High, PerBroker,
        yes("server::config_effects::listeners_are_served_by_their_names"),
        "Addresses that this node listens on, as `NAME://host:port`; no host means all interfaces.";
    "advertised.listeners": List = none where Any, High, ReadOnly,
        yes("server::config_effects::listeners_are_bound_and_advertised"),
        "Addresses that clients are told, as `NAME://host:port`; those of `listeners` if not set.";
    "listener.security.protocol.map": String = "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT" where Any, Low, PerBroker,
        yes("server::config_effects::listeners_are_served_by_their_names"),
        "Security protocol of each listener, as `NAME:PROTOCOL`.";
    "inter.broker.listener.name": String = none where Any, Medium, ReadOnly,
        yes("server::config_effects::listeners_are_served_by_their_names"),
        "Listener on which brokers talk to each other.";
    "early.start.listeners": List = none where Any, High, ReadOnly,
        Warn,
        "Listeners that accept connections before the authorizer has loaded.";
    "security.inter.broker.protocol": String = "PLAINTEXT" where OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Medium, ReadOnly,
        Refuse(TLS),
        "Security protocol between brokers when no listener is named for it.";
    "num.network.threads": Int = "3" where AtLeast(1), High, ClusterWide,
        yes("server::config_effects::network_threads"),
        "Threads that read, handle and answer requests.";
    "num.io.threads": Int = "8" where AtLeast(1), High, ClusterWide,
        Warn,
        "Threads that handle requests in Kafka; here requests are handled where they are read.";
    "queued.max.requests": Int = "500" where AtLeast(1), High, ReadOnly,
        Warn,
        "Requests of all connections that may be in work before no more are read.";
    "queued.max.request.bytes": Long = "-1" where Any, Medium, ReadOnly,
        yes("broker::limits::queue_bounds"),
        "Memory for frames, decoded requests and copied responses; -1 leaves the size to Ottla.";
    "socket.request.max.bytes": Int = "104857600" where AtLeast(1), High, ReadOnly,
        yes("server::config_effects::oversize_requests_close_the_connection"),
        "Largest request that is read; a larger one closes its connection.";
    "socket.receive.buffer.bytes": Int = "102400" where Any, High, ReadOnly,
        Warn,
        "Receive buffer of client sockets (SO_RCVBUF); -1 leaves it to the system.";
    "socket.send.buffer.bytes": Int = "102400" where Any, High, ReadOnly,
        Warn,
        "Send buffer of client sockets (SO_SNDBUF); -1 leaves it to the system.";
    "socket.listen.backlog.size": Int = "50" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Connections that the system may hold before they are accepted.";
    "socket.connection.setup.timeout.ms": Long = "10000" where Any, Medium, ReadOnly,
        Warn,
        "How long a connection to another node may take to be made.";
    "socket.connection.setup.timeout.max.ms": Long = "30000" where Any, Medium, ReadOnly,
        Warn,
        "Longest such time after repeated failures.";
    "connections.max.idle.ms": Long = "600000" where Any, Medium, ReadOnly,
        yes("server::config_effects::idle_connections_close"),
        "How long a connection may be silent before it is closed.";
    "connections.max.reauth.ms": Long = "0" where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Longest life of a SASL session before the client must authenticate again; 0 for no limit.";
    "connection.failed.authentication.delay.ms": Int = "100" where AtLeast(0), Low, ReadOnly,
        Warn,
        "How long the close of a connection is delayed after a failed authentication.";
    "max.connections": Int = "2147483647" where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::connection_limits"),
        "Connections that this broker holds at once.";
    "max.connections.per.ip": Int = "2147483647" where AtLeast(0), Medium, ClusterWide,
        yes("server::config_effects::connection_limits"),
        "Connections from one address.";
    "max.connections.per.ip.overrides": String = "" where Any, Medium, ClusterWide,
        yes("server::config_effects::connection_limits_of_hosts"),
        "Other limits for some hosts, as `host:count`.";
    "max.connection.creation.rate": Int = "2147483647" where AtLeast(0), Medium, ClusterWide,
        Warn,
        "Connections that may be made in a second.";
    "max.incremental.fetch.session.cache.slots": Int = "1000" where AtLeast(0), Medium, ReadOnly,
        yes("broker::limits::fetch_session_slots"),
        "Incremental fetch sessions that are kept.";
    "max.request.partition.size.limit": Int = "2000" where AtLeast(1), Medium, ReadOnly,
        yes("broker::admin::partitions_are_described_page_by_page"),
        "Partitions in one answer to DescribeTopicPartitions.";
    "fetch.max.bytes": Int = "57671680" where AtLeast(1024), Medium, ReadOnly,
        yes("broker::limits::fetch_max_bytes"),
        "Most bytes of records in one answer to a fetch.";
    "request.timeout.ms": Int = "30000" where Any, High, ReadOnly,
        Warn,
        "How long this node waits for an answer from another.";
    "fetch.purgatory.purge.interval.requests": Int = "1000" where Any, Medium, ReadOnly,
        Warn,
        "Finished fetches after which Kafka sweeps its purgatory; here they leave it at once.";
    "producer.purgatory.purge.interval.requests": Int = "1000" where Any, Medium, ReadOnly,
        Warn,
        "Finished produce requests after which Kafka sweeps its purgatory; here they leave it at once.";
    "delete.records.purgatory.purge.interval.requests": Int = "1" where Any, Medium, ReadOnly,
        Warn,
        "Finished deletions after which Kafka sweeps its purgatory; here they leave it at once.";
    "share.fetch.purgatory.purge.interval.requests": Int = "1000" where Any, Medium, ReadOnly,
        Warn,
        "Finished share fetches after which Kafka sweeps its purgatory.";
}
