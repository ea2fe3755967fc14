use ottla_protocol::messages::create_topics_request::CreatableTopicConfig;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;

use super::*;
use crate::testing::{Cluster, decode};

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic<'_> {
    CreatableTopic { name, num_partitions, replication_factor, ..Default::default() }
}

/// Creates topics; returns their error codes.
fn create(cluster: &mut Cluster, topics: Vec<CreatableTopic<'_>>) -> Vec<i16> {
    let request = CreateTopicsRequest { topics, ..Default::default() };
    let (body, _) = cluster.run(|view| create_topics(view, &request, 7));
    let response: CreateTopicsResponse<'_> = decode(&body, 7);
    response.topics.iter().map(|t| t.error_code).collect()
}

#[test]
fn a_topic_is_created_once_and_spread() {
    let mut cluster = Cluster::new(3);
    assert_eq!(create(&mut cluster, vec![topic("orders", 6, 3)]), [0]);
    let image = cluster.image.clone();
    let orders = image.topics.by_name("orders").expect("created");
    assert!(
        orders.partitions.values().all(|p| p.replicas.len() == 3 && p.isr == p.replicas && p.leader == p.replicas[0])
    );
    let leaders: BTreeSet<i32> = orders.partitions.values().map(|p| p.leader).collect();
    assert_eq!(leaders.len(), 3);
    let first = orders.partitions.values().next().expect("one");
    assert_eq!(first.directory_of(first.leader), Some(Uuid([first.leader as u8 + 50; 16])), "its only directory");
    assert_eq!(create(&mut cluster, vec![topic("orders", 1, 1)]), [ErrorCode::TopicAlreadyExists as i16]);
}

#[test]
fn defaults_fill_what_is_left_open() {
    let mut cluster = Cluster::new(2);
    (cluster.options.num_partitions, cluster.options.default_replication_factor) = (4, 2);
    assert_eq!(create(&mut cluster, vec![topic("orders", -1, -1)]), [0]);
    let orders = cluster.image.topics.by_name("orders").expect("created").clone();
    assert_eq!((orders.partitions.len(), orders.partitions[&0].replicas.len()), (4, 2));
}

#[test]
fn every_refusal_has_kafkas_code() {
    let mut cluster = Cluster::new(1);
    assert_eq!(create(&mut cluster, vec![topic("a_b", 1, 1)]), [0]);
    let cases = [
        (topic("", 1, 1), ErrorCode::InvalidTopicException),
        (topic("no spaces", 1, 1), ErrorCode::InvalidTopicException),
        (topic("__cluster_metadata", 1, 1), ErrorCode::InvalidTopicException),
        (topic("a.b", 1, 1), ErrorCode::InvalidTopicException),
        (topic("n", 0, 1), ErrorCode::InvalidPartitions),
        (topic("n", -2, 1), ErrorCode::InvalidPartitions),
        (topic("n", 1, 0), ErrorCode::InvalidReplicationFactor),
        (topic("n", 1, 2), ErrorCode::InvalidReplicationFactor),
        (topic("n", i32::MAX, 1), ErrorCode::PolicyViolation),
    ];
    for (topic, error) in cases {
        let name = topic.name.to_owned();
        assert_eq!(create(&mut cluster, vec![topic]), [error as i16], "{name}");
    }
    let twice = create(&mut cluster, vec![topic("n", 1, 1), topic("n", 1, 1), topic("m", 1, 1)]);
    assert_eq!(twice, [ErrorCode::InvalidRequest as i16, 0], "a name given twice is answered once");
    let colliding = create(&mut cluster, vec![topic("x.y", 1, 1), topic("x_y", 1, 1)]);
    assert_eq!(colliding, [0, ErrorCode::InvalidTopicException as i16]);
}

#[test]
fn configs_are_checked_and_kept() {
    let mut cluster = Cluster::new(1);
    let with = |name, key, value| CreatableTopic {
        configs: vec![CreatableTopicConfig { name: key, value, ..Default::default() }],
        ..topic(name, 1, 1)
    };
    let invalid = [ErrorCode::InvalidConfig as i16];
    assert_eq!(create(&mut cluster, vec![with("n", "retention.mss", Some("1"))]), invalid);
    assert_eq!(create(&mut cluster, vec![with("n", "retention.ms", Some("soon"))]), invalid);
    assert_eq!(create(&mut cluster, vec![with("n", "retention.ms", None)]), invalid);
    assert_eq!(create(&mut cluster, vec![with("n", "retention.ms", Some("1000"))]), [0]);
    let configs = cluster.image.configs.topic("n").expect("kept").clone();
    assert_eq!(configs.get("retention.ms").map(String::as_str), Some("1000"));
}

#[test]
fn a_manual_assignment_is_taken_as_it_is_or_refused() {
    let mut cluster = Cluster::new(3);
    let assign = |lists: &[(i32, &[i32])]| CreatableTopic {
        assignments: lists
            .iter()
            .map(|(partition_index, brokers)| CreatableReplicaAssignment {
                partition_index: *partition_index,
                broker_ids: brokers.to_vec(),
                ..Default::default()
            })
            .collect(),
        ..topic("n", -1, -1)
    };
    let bad = [ErrorCode::InvalidReplicaAssignment as i16];
    assert_eq!(create(&mut cluster, vec![assign(&[(1, &[1])])]), bad, "not from 0 on");
    assert_eq!(create(&mut cluster, vec![assign(&[(0, &[1]), (0, &[2])])]), bad, "twice");
    assert_eq!(create(&mut cluster, vec![assign(&[(0, &[1, 1])])]), bad, "a broker twice");
    assert_eq!(create(&mut cluster, vec![assign(&[(0, &[9])])]), bad, "no such broker");
    assert_eq!(create(&mut cluster, vec![assign(&[(0, &[])])]), bad, "nobody");
    assert_eq!(create(&mut cluster, vec![assign(&[(0, &[1]), (1, &[1, 2])])]), bad, "uneven");
    let counted = CreatableTopic { num_partitions: 2, ..assign(&[(0, &[1])]) };
    assert_eq!(create(&mut cluster, vec![counted]), [ErrorCode::InvalidRequest as i16]);
    assert_eq!(create(&mut cluster, vec![assign(&[(0, &[3, 1]), (1, &[2, 3])])]), [0]);
    let partitions = cluster.image.topics.by_name("n").expect("created").partitions.clone();
    assert_eq!((partitions[&0].replicas.clone(), partitions[&1].replicas.clone()), (vec![3, 1], vec![2, 3]));
}

#[test]
fn validating_changes_nothing() {
    let mut cluster = Cluster::new(1);
    let topics = vec![topic("orders", 1, 1)];
    let request = CreateTopicsRequest { topics, validate_only: true, ..Default::default() };
    let (body, records) = cluster.run(|view| create_topics(view, &request, 7));
    let response: CreateTopicsResponse<'_> = decode(&body, 7);
    assert_eq!((response.topics[0].error_code, records.len()), (0, 0));
}

fn delete(cluster: &mut Cluster, topics: Vec<DeleteTopicState<'_>>) -> Vec<i16> {
    let request = DeleteTopicsRequest { topics, ..Default::default() };
    let (body, _) = cluster.run(|view| delete_topics(view, &request, 6));
    let response: DeleteTopicsResponse<'_> = decode(&body, 6);
    response.responses.iter().map(|t| t.error_code).collect()
}

#[test]
fn each_setting_of_a_deleted_topic_is_taken_back_by_a_record() {
    let mut cluster = Cluster::new(1);
    let configs = vec![CreatableTopicConfig { name: "retention.ms", value: Some("1"), ..Default::default() }];
    create(&mut cluster, vec![CreatableTopic { configs, ..topic("a", 1, 1) }]);
    let topics = vec![DeleteTopicState { name: Some("a"), ..Default::default() }];
    let request = DeleteTopicsRequest { topics, ..Default::default() };
    let (_, records) = cluster.run(|view| delete_topics(view, &request, 6));
    let forgotten = ConfigRecord {
        resource_type: configs::TOPIC,
        resource_name: "a".into(),
        name: "retention.ms".into(),
        value: None,
    };
    assert_eq!(records.first(), Some(&forgotten.into()));
    assert!(matches!(records.last(), Some(MetadataRecord::RemoveTopic(_))) && records.len() == 2);
}

#[test]
fn topics_are_deleted_by_name_or_id_and_take_their_configs_along() {
    let mut cluster = Cluster::new(1);
    let configs = vec![CreatableTopicConfig { name: "retention.ms", value: Some("1"), ..Default::default() }];
    create(&mut cluster, vec![CreatableTopic { configs, ..topic("a", 1, 1) }, topic("b", 1, 1)]);
    let id_of_b = cluster.image.topics.by_name("b").expect("created").id;
    let by_name = |name| DeleteTopicState { name: Some(name), ..Default::default() };
    let by_id = |topic_id| DeleteTopicState { topic_id, ..Default::default() };
    let unknown = (ErrorCode::UnknownTopicOrPartition as i16, ErrorCode::UnknownTopicId as i16);
    let both = delete(&mut cluster, vec![by_name("a"), by_id(id_of_b), by_name("c"), by_id(Uuid([7; 16]))]);
    assert_eq!(both, [0, 0, unknown.0, unknown.1]);
    assert!(cluster.image.topics.is_empty() && cluster.image.configs.topic("a").is_none());
    create(&mut cluster, vec![topic("b", 1, 1)]);
    assert_ne!(cluster.image.topics.by_name("b").expect("created").id, id_of_b, "a new topic has a new id");
    cluster.options.delete_topic_enable = false;
    assert_eq!(delete(&mut cluster, vec![by_name("b")]), [ErrorCode::TopicDeletionDisabled as i16]);
}
