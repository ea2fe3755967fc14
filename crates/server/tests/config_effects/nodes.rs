//! A node and what others are told of it: roles, identity, listeners.

use std::net::SocketAddr;

use ottla_client::connection::{Address, Connection, ConnectionOptions};

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

/// The names of listeners are the operator's; each is served as what the properties make of it.
#[test]
fn listeners_are_served_by_their_names() {
    let properties = [
        ("listeners", "CLIENTS://127.0.0.1:{port},INSIDE://127.0.0.1:0,VOTES://127.0.0.1:{controller_port}"),
        ("advertised.listeners", "CLIENTS://127.0.0.1:{port},INSIDE://127.0.0.1:1"),
        ("listener.security.protocol.map", "CLIENTS:PLAINTEXT,INSIDE:PLAINTEXT,VOTES:PLAINTEXT"),
        ("controller.listener.names", "VOTES"),
        ("inter.broker.listener.name", "INSIDE"),
    ];
    with_node(&properties, |node| async move {
        const VOTE: i16 = 52;
        const PRODUCE: i16 = 0;
        let serves = async |address: SocketAddr, api: i16| {
            let address = Address { host: address.ip().to_string(), port: address.port() };
            let connection = Connection::connect(&address, &ConnectionOptions::default()).await.unwrap();
            connection.versions().range(api).is_some()
        };
        let (clients, votes) = (node.server.address(), node.server.controller_address());
        assert!(serves(clients, PRODUCE).await && !serves(clients, VOTE).await);
        assert!(serves(votes, VOTE).await && !serves(votes, PRODUCE).await);
        node.create("t", &[]).await;
        node.fill("t", 1, 10).await;
    });
}

#[test]
fn a_node_is_known_by_its_number() {
    for name in ["node.id", "broker.id"] {
        let properties = [("node.id", "7"), (name, "7"), ("controller.quorum.voters", "7@127.0.0.1:{controller_port}")];
        with_node(&properties, |node| async move {
            assert_eq!(node.admin().await.describe_cluster().await.unwrap().brokers[0].id, 7, "{name}");
        });
    }
}

#[test]
fn rack_is_registered() {
    with_node(&[("broker.rack", "a-rack")], |node| async move {
        let cluster = node.admin().await.describe_cluster().await.unwrap();
        assert_eq!(cluster.brokers[0].rack.as_deref(), Some("a-rack"));
    });
}
