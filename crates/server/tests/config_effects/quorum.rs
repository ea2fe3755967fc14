//! The quorum, its log, and the life of a broker as the controller sees it.

use ottla_env::task::Runtime;
use ottla_env::time::Instant;
use ottla_protocol::messages::describe_quorum_request::{
    DescribeQuorumRequest, PartitionData as AskedPartition, TopicData as AskedTopic,
};
use ottla_testkit::process::{ProcessError, Program, Server};

use crate::support::{Node, PATIENCE, binary, eventually, names, with_node};

/// What a node says of its quorum.
#[derive(Debug, PartialEq, Eq)]
struct Quorum {
    /// Ids of the voters, and whether each is known by its directory too.
    voters: Vec<(i32, bool)>,
    /// Host and port of each.
    addresses: Vec<(String, u16)>,
    kraft_version: Option<i16>,
}

async fn quorum(node: &Node) -> Quorum {
    let connection = node.admin().await.cluster().any_broker().await.unwrap();
    let topic = AskedTopic {
        topic_name: "__cluster_metadata",
        partitions: vec![AskedPartition::default()],
        ..AskedTopic::default()
    };
    let request = DescribeQuorumRequest { topics: vec![topic], ..DescribeQuorumRequest::default() };
    let response = connection.send_at(2, &request, PATIENCE).await.unwrap();
    let described = response.decode().unwrap();
    let voters = &described.topics[0].partitions[0].current_voters;
    let listeners = described.nodes.iter().flat_map(|node| &node.listeners);
    Quorum {
        voters: voters.iter().map(|v| (v.replica_id, !v.replica_directory_id.is_zero())).collect(),
        addresses: listeners.map(|l| (l.host.to_owned(), l.port)).collect(),
        kraft_version: connection.versions().finalized_feature("kraft.version"),
    }
}

#[test]
fn a_quorum_is_static_or_dynamic() {
    with_node(&[("controller.quorum.voters", "1@localhost:{controller_port}")], |mut node| async move {
        let port = node.server.controller_address().port();
        let found = quorum(&node).await;
        assert_eq!(found.addresses, [("localhost".to_owned(), port)], "as the property says");
        assert_eq!((found.voters[0].0, found.kraft_version.unwrap_or(0)), (1, 0));
        node.create("t", &[]).await;
        node.server.kill().unwrap();
        node.server.start().await.unwrap();
        assert_eq!(quorum(&node).await, found);
        node.fill("t", 1, 10).await;
    });
    with_node(&[("controller.quorum.bootstrap.servers", "localhost:{controller_port}")], |mut node| async move {
        let found = quorum(&node).await;
        assert_eq!((found.voters.as_slice(), found.kraft_version), ([(1, true)].as_slice(), Some(1)));
        node.create("t", &[]).await;
        node.server.kill().unwrap();
        node.server.start().await.unwrap();
        assert_eq!(quorum(&node).await, found);
        node.fill("t", 1, 10).await;
    });
}

/// Snapshots of the metadata, but for the one of bootstrap records with which a directory is formatted.
fn snapshots(node: &Node) -> usize {
    let all = names(&node.server.data().join("__cluster_metadata-0"), ".checkpoint");
    all.iter().filter(|name| !name.starts_with("00000000000000000000-")).count()
}

#[test]
fn metadata_snapshots() {
    with_node(&[("metadata.log.max.record.bytes.between.snapshots", "1")], |node| async move {
        node.create("t", &[]).await;
        eventually("a snapshot by size", async || snapshots(&node) > 0).await;
    });
    with_node(&[("metadata.log.max.snapshot.interval.ms", "100")], |node| async move {
        node.create("t", &[]).await;
        eventually("a snapshot by time", async || snapshots(&node) > 0).await;
    });
    with_node(&[("metadata.log.max.snapshot.interval.ms", "0")], |node| async move {
        node.create("t", &[]).await;
        node.fill("t", 1, 10).await;
        assert_eq!(snapshots(&node), 0, "neither is due");
    });
}

async fn is_fenced(node: &Node) -> bool {
    node.admin().await.describe_cluster().await.unwrap().brokers[0].is_fenced
}

#[test]
fn a_silent_broker_is_fenced() {
    let seldom = [("broker.session.timeout.ms", "300"), ("broker.heartbeat.interval.ms", "600000")];
    with_node(&seldom, |node| async move {
        eventually("its session ends", async || is_fenced(&node).await).await;
    });
    let often = [("broker.session.timeout.ms", "1000"), ("broker.heartbeat.interval.ms", "50")];
    with_node(&often, |node| async move {
        let began = Instant::now();
        while began.elapsed().as_millis() < 2500 {
            assert!(!is_fenced(&node).await, "its heartbeats keep the session");
        }
    });
}

/// Nothing is registered in no time. (A patience of 1 ms was not short enough once: two decisions of a quorum on a disk
/// in memory took less.)
#[test]
fn a_broker_that_cannot_register_gives_up() {
    Runtime::new(2).unwrap().block_on(async {
        let properties = [("initial.broker.registration.timeout.ms", "0")];
        let mut server = Server::new(Program::Ottla(binary()), &properties).await.unwrap();
        // It may have begun to listen before it ends.
        match server.start().await {
            Ok(()) => assert!(!server.ended().await.unwrap().success()),
            Err(ProcessError::Ended { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        let log = server.log();
        assert!(log.contains("not registered within initial.broker.registration.timeout.ms (0 ms)"), "{log}");
    });
}
