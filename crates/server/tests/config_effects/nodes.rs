//! A node and what others are told of it: roles, identity, listeners.

use crate::support::with_node;

/// The settings of the file that Apache Kafka 4.4 ships as `config/server.properties`, but for ports and directory.
#[test]
fn a_shipped_server_properties_starts() {
    let shipped = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        ),
        ("num.network.threads", "3"),
        ("num.io.threads", "8"),
        ("socket.send.buffer.bytes", "102400"),
        ("socket.receive.buffer.bytes", "102400"),
        ("socket.request.max.bytes", "104857600"),
        ("num.partitions", "1"),
        ("num.recovery.threads.per.data.dir", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("log.retention.hours", "168"),
        ("log.segment.bytes", "1073741824"),
        ("log.retention.check.interval.ms", "300000"),
    ];
    with_node(&shipped, |node| async move {
        assert_eq!(node.admin().await.describe_cluster().await.unwrap().brokers[0].id, 1);
    });
}

#[test]
fn listeners_are_bound_and_advertised() {
    with_node(&[("advertised.listeners", "PLAINTEXT://broker.example:1234")], |node| async move {
        let cluster = node.admin().await.describe_cluster().await.unwrap();
        assert_eq!(cluster.brokers[0].address.to_string(), "broker.example:1234");
    });
}

#[test]
fn rack_is_registered() {
    with_node(&[("broker.rack", "a-rack")], |node| async move {
        let cluster = node.admin().await.describe_cluster().await.unwrap();
        assert_eq!(cluster.brokers[0].rack.as_deref(), Some("a-rack"));
    });
}
