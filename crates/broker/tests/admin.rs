//! What administrators ask and do, over real sockets; where it says so, as Apache Kafka 4.4.0 was seen to answer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use ottla_metadata::CommittedBatch;
use ottla_metadata::MetadataRecord;
use ottla_metadata::controller_door::{ControllerDoor, DoorAnswer, DoorContext};
use ottla_metadata::records::{ConfigRecord, PartitionRecord, TopicRecord};
use ottla_protocol::message::Message;
use ottla_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_protocol::messages::create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::create_topics_response::CreateTopicsResponse;
use ottla_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_protocol::messages::delete_records_response::DeleteRecordsResponse;
use ottla_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use ottla_protocol::messages::delete_topics_response::DeleteTopicsResponse;
use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_protocol::messages::describe_cluster_response::DescribeClusterResponse;
use ottla_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_protocol::messages::describe_configs_response::DescribeConfigsResponse;
use ottla_protocol::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use ottla_protocol::messages::describe_log_dirs_response::DescribeLogDirsResponse;
use ottla_protocol::messages::describe_quorum_request::DescribeQuorumRequest;
use ottla_protocol::messages::describe_quorum_response::DescribeQuorumResponse;
use ottla_protocol::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use ottla_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponse;
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
use ottla_protocol::reader::Reader;
use ottla_protocol::writer::Writer;
use ottla_protocol::{ErrorCode, Uuid};
use support::{Client, Rig, TOPIC, TOPIC_ID, batch, decode, produce, with_broker, with_controller};

const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;
const GROUP_RESOURCE: i8 = 32;

fn code(code: ErrorCode) -> i16 {
    code.code()
}

/// Sends a request and gives the answer's bytes.
async fn ask<'a, M: Message<'a>>(client: &Client, version: i16, request: &M) -> Vec<u8> {
    client.send(version, 1, request).await;
    client.receive().await.1
}

/// Loads records into the broker's metadata.
fn load(rig: &Rig, records: Vec<MetadataRecord>) {
    rig.loader.load_batches([CommittedBatch { last_offset: 99, epoch: 1, records }]).unwrap();
}

fn partition(topic_id: Uuid, partition_id: i32) -> MetadataRecord {
    PartitionRecord {
        partition_id,
        topic_id,
        replicas: vec![1],
        isr: vec![1],
        leader: 1,
        leader_epoch: 0,
        directories: vec![Uuid([9; 16])],
        ..PartitionRecord::default()
    }
    .into()
}

fn set(kind: i8, name: &str, key: &str, value: &str) -> MetadataRecord {
    let (resource_name, name, value) = (name.to_owned(), key.to_owned(), Some(value.to_owned()));
    ConfigRecord { resource_type: kind, resource_name, name, value }.into()
}

fn describe<'a>(kind: i8, name: &'a str, keys: Option<Vec<&'a str>>) -> DescribeConfigsRequest<'a> {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name,
        configuration_keys: keys,
        ..DescribeConfigsResource::default()
    };
    DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
        ..DescribeConfigsRequest::default()
    }
}

#[test]
fn a_topics_configs_are_described_with_their_sources() {
    with_broker(&[1], &["log.segment.bytes=2097152"], |rig| async move {
        load(
            &rig,
            vec![
                set(TOPIC_RESOURCE, TOPIC, "retention.ms", "777"),
                set(BROKER_RESOURCE, "", "min.insync.replicas", "1"),
            ],
        );
        let client = rig.connect().await;
        let answer = ask(&client, 4, &describe(TOPIC_RESOURCE, TOPIC, None)).await;
        let response: DescribeConfigsResponse<'_> = decode(&answer, 4, true);
        let configs = &response.results[0].configs;
        assert_eq!(configs.len(), 37, "all properties, not only those that were set");
        let of = |name: &str| configs.iter().find(|c| c.name == name).unwrap();
        let source = |name| (of(name).value.unwrap(), of(name).config_source);
        assert_eq!(source("retention.ms"), ("777", 1));
        assert_eq!(source("min.insync.replicas"), ("1", 3));
        assert_eq!(source("segment.bytes"), ("2097152", 4));
        assert_eq!(source("cleanup.policy"), ("delete", 5));
        let synonyms: Vec<_> = of("segment.bytes").synonyms.iter().map(|s| (s.name, s.source)).collect();
        assert_eq!(synonyms, [("log.segment.bytes", 4), ("log.segment.bytes", 5)]);
        assert_eq!((of("retention.ms").config_type, of("cleanup.policy").config_type), (5, 7));
        assert!(of("retention.ms").documentation.unwrap().contains("How long records are kept"));
        assert!(configs.iter().all(|c| !c.read_only && !c.is_sensitive));

        let of_two = describe(TOPIC_RESOURCE, TOPIC, Some(vec!["retention.ms", "nothing"]));
        let answer = ask(&client, 1, &DescribeConfigsRequest { include_documentation: false, ..of_two }).await;
        let response: DescribeConfigsResponse<'_> = decode(&answer, 1, false);
        assert_eq!(response.results[0].configs.len(), 1);
    });
}

#[test]
fn a_broker_describes_itself_and_what_was_set_for_all() {
    with_broker(&[1], &[], |rig| async move {
        load(&rig, vec![set(BROKER_RESOURCE, "", "log.retention.ms", "5000")]);
        let client = rig.connect().await;
        let answer = ask(&client, 4, &describe(BROKER_RESOURCE, "1", None)).await;
        let response: DescribeConfigsResponse<'_> = decode(&answer, 4, true);
        let configs = &response.results[0].configs;
        let of = |name: &str| configs.iter().find(|c| c.name == name).unwrap();
        assert_eq!((of("node.id").value, of("node.id").read_only), (Some("1"), true));
        assert_eq!((of("log.retention.ms").value, of("log.retention.ms").config_source), (Some("5000"), 3));
        assert_eq!((of("ssl.key.password").value, of("ssl.key.password").is_sensitive), (None, true));

        let answer = ask(&client, 4, &describe(BROKER_RESOURCE, "", None)).await;
        let response: DescribeConfigsResponse<'_> = decode(&answer, 4, true);
        let names: Vec<_> = response.results[0].configs.iter().map(|c| c.name).collect();
        assert_eq!(names, ["log.retention.ms"]);
    });
}

/// The codes are those that Apache Kafka 4.4.0 answered to the same questions; loggers and client metrics it serves.
#[test]
fn what_cannot_be_described_is_answered_with_kafkas_codes() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        for (kind, name, expected) in [
            (TOPIC_RESOURCE, "nope", ErrorCode::UnknownTopicOrPartition),
            (TOPIC_RESOURCE, "a b", ErrorCode::InvalidTopicException),
            (TOPIC_RESOURCE, "", ErrorCode::InvalidTopicException),
            (BROKER_RESOURCE, "2", ErrorCode::InvalidRequest),
            (BROKER_RESOURCE, "x", ErrorCode::InvalidRequest),
            (GROUP_RESOURCE, "", ErrorCode::InvalidRequest),
            (8, "1", ErrorCode::InvalidRequest),
            (16, "m", ErrorCode::InvalidRequest),
            (77, "m", ErrorCode::InvalidRequest),
        ] {
            let answer = ask(&client, 4, &describe(kind, name, None)).await;
            let response: DescribeConfigsResponse<'_> = decode(&answer, 4, true);
            let result = &response.results[0];
            assert_eq!((result.error_code, result.resource_type), (code(expected), kind), "{kind} {name}");
            assert!(result.error_message.is_some_and(|m| !m.is_empty()), "{kind} {name}");
        }
        let answer = ask(&client, 4, &describe(GROUP_RESOURCE, "any", None)).await;
        let response: DescribeConfigsResponse<'_> = decode(&answer, 4, true);
        assert_eq!((response.results[0].error_code, response.results[0].configs.len()), (0, 21));
    });
}

/// Offsets, codes and low watermarks as Apache Kafka 4.4.0 answered them for a log of five records.
#[test]
fn records_are_deleted_up_to_an_offset() {
    with_broker(&[1], &[], |rig| async move {
        let compacted = Uuid([3; 16]);
        load(
            &rig,
            vec![
                TopicRecord { name: "tc".into(), topic_id: compacted }.into(),
                partition(compacted, 0),
                set(TOPIC_RESOURCE, "tc", "cleanup.policy", "compact"),
            ],
        );
        let client = rig.connect().await;
        for value in ["a", "b", "c", "d", "e"] {
            ask(&client, 9, &produce(1, 1000, &batch(value))).await;
        }
        for (topic, index, offset, expected, low_watermark) in [
            (TOPIC, 0, 9, ErrorCode::OffsetOutOfRange, -1),
            (TOPIC, 0, 2, ErrorCode::None, 2),
            (TOPIC, 0, 1, ErrorCode::None, 2),
            (TOPIC, 0, -1, ErrorCode::None, 5),
            (TOPIC, 0, -2, ErrorCode::OffsetOutOfRange, -1),
            (TOPIC, 7, 0, ErrorCode::UnknownTopicOrPartition, -1),
            ("nope", 0, 0, ErrorCode::UnknownTopicOrPartition, -1),
            ("__consumer_offsets", 0, 0, ErrorCode::InvalidTopicException, -1),
            ("tc", 0, 0, ErrorCode::PolicyViolation, -1),
        ] {
            let asked = DeleteRecordsPartition { partition_index: index, offset, ..DeleteRecordsPartition::default() };
            let asked = DeleteRecordsTopic { name: topic, partitions: vec![asked], ..DeleteRecordsTopic::default() };
            let request = DeleteRecordsRequest { topics: vec![asked], timeout_ms: 1000, ..Default::default() };
            let answer = ask(&client, 2, &request).await;
            let response: DeleteRecordsResponse<'_> = decode(&answer, 2, true);
            let result = &response.topics[0].partitions[0];
            let expected = (code(expected), low_watermark);
            assert_eq!((result.error_code, result.low_watermark), expected, "{topic}-{index} {offset}");
        }
        assert_eq!(rig.broker.replicas.find(TOPIC, 0).unwrap().log().log_start_offset(), 5);
    });
}

#[test]
fn the_cluster_is_described_on_the_listener_that_was_asked() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let request = DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            endpoint_type: 1,
            ..DescribeClusterRequest::default()
        };
        let answer = ask(&client, 2, &request).await;
        let response: DescribeClusterResponse<'_> = decode(&answer, 2, true);
        assert_eq!((response.error_code, response.cluster_id, response.controller_id), (0, "a-cluster", 1));
        let nodes: Vec<_> = response.brokers.iter().map(|b| (b.broker_id, b.port, b.is_fenced)).collect();
        let port = i32::from(rig.address.port());
        assert_eq!(nodes, [(1, port, false), (2, port, false)]);
        // Apache Kafka 4.4.0 names these: CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS,
        // IDEMPOTENT_WRITE.
        let bits = [5, 7, 8, 9, 10, 11, 12].iter().fold(0, |bits, n| bits | 1 << n);
        assert_eq!(response.cluster_authorized_operations, bits);

        for (endpoint_type, expected) in
            [(2, ErrorCode::MismatchedEndpointType), (9, ErrorCode::UnsupportedEndpointType)]
        {
            let answer = ask(&client, 1, &DescribeClusterRequest { endpoint_type, ..Default::default() }).await;
            let response: DescribeClusterResponse<'_> = decode(&answer, 1, true);
            assert_eq!((response.error_code, response.brokers.len()), (code(expected), 0));
        }
    });
}

/// Pages of at most two partitions over topics of one, three and two.
#[test]
fn partitions_are_described_page_by_page() {
    with_broker(&[1], &["max.request.partition.size.limit=2"], |rig| async move {
        let (a, b) = (Uuid([1; 16]), Uuid([2; 16]));
        load(
            &rig,
            vec![
                TopicRecord { name: "a".into(), topic_id: a }.into(),
                partition(a, 0),
                partition(a, 1),
                partition(a, 2),
                TopicRecord { name: "b".into(), topic_id: b }.into(),
                partition(b, 0),
                partition(b, 1),
            ],
        );
        let client = rig.connect().await;
        let mut cursor: Option<(String, i32)> = None;
        let mut pages: Vec<Vec<(String, i32)>> = Vec::new();
        loop {
            let at = cursor.as_ref().map(|(topic_name, partition_index)| Cursor {
                topic_name,
                partition_index: *partition_index,
                ..Cursor::default()
            });
            let request = DescribeTopicPartitionsRequest { cursor: at, ..DescribeTopicPartitionsRequest::default() };
            let answer = ask(&client, 0, &request).await;
            let response: DescribeTopicPartitionsResponse<'_> = decode(&answer, 0, true);
            let page = response.topics.iter().flat_map(|t| {
                assert_eq!(t.error_code, 0);
                t.partitions.iter().map(|p| (t.name.unwrap().to_owned(), p.partition_index)).collect::<Vec<_>>()
            });
            pages.push(page.collect());
            match response.next_cursor {
                Some(next) => cursor = Some((next.topic_name.to_owned(), next.partition_index)),
                None => break,
            }
        }
        let page = |parts: &[(&str, i32)]| parts.iter().map(|(t, p)| ((*t).to_owned(), *p)).collect::<Vec<_>>();
        let expected = [page(&[("a", 0), ("a", 1)]), page(&[("a", 2), ("b", 0)]), page(&[("b", 1), (TOPIC, 0)])];
        assert_eq!(pages, expected);
    });
}

#[test]
fn named_topics_are_described_in_order_with_their_errors() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let topics = ["t", "nope", "a b", "t"].map(|name| TopicRequest { name, ..TopicRequest::default() });
        let request = DescribeTopicPartitionsRequest { topics: topics.to_vec(), ..Default::default() };
        let answer = ask(&client, 0, &request).await;
        let response: DescribeTopicPartitionsResponse<'_> = decode(&answer, 0, true);
        let results: Vec<_> = response.topics.iter().map(|t| (t.name.unwrap(), t.error_code)).collect();
        let unknown = code(ErrorCode::UnknownTopicOrPartition);
        assert_eq!(results, [("a b", code(ErrorCode::InvalidTopicException)), ("nope", unknown), ("t", 0)]);
        let described = &response.topics[2];
        assert_eq!((described.topic_id, described.partitions[0].leader_id), (TOPIC_ID, 1));
        assert_eq!(described.partitions[0].eligible_leader_replicas, Some(vec![]));
        // Apache Kafka 4.4.0 names these: READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
        let bits = [3, 4, 5, 6, 7, 8, 10, 11].iter().fold(0, |bits, n| bits | 1 << n);
        assert_eq!(described.topic_authorized_operations, bits);

        let cursor = Some(Cursor { topic_name: "t", partition_index: -1, ..Cursor::default() });
        let answer = ask(&client, 0, &DescribeTopicPartitionsRequest { cursor, ..request }).await;
        let response: DescribeTopicPartitionsResponse<'_> = decode(&answer, 0, true);
        assert!(response.topics.iter().all(|t| t.error_code == code(ErrorCode::InvalidRequest)));
    });
}

#[test]
fn log_directories_are_described_with_what_lies_there() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let record = batch("one");
        ask(&client, 9, &produce(1, 1000, &record)).await;
        for (topics, partitions) in [(None, 1), (Some(vec![]), 0), (Some(vec!["other"]), 0), (Some(vec![TOPIC]), 1)] {
            let named = |topic| DescribableLogDirTopic { topic, partitions: vec![0], ..Default::default() };
            let topics = topics.map(|topics: Vec<&str>| topics.into_iter().map(named).collect());
            let answer = ask(&client, 4, &DescribeLogDirsRequest { topics, ..Default::default() }).await;
            let response: DescribeLogDirsResponse<'_> = decode(&answer, 4, true);
            let dir = &response.results[0];
            assert_eq!((response.results.len(), dir.error_code), (1, 0));
            assert!(dir.total_bytes >= dir.usable_bytes && dir.usable_bytes > 0);
            let found: Vec<_> = dir.topics.iter().flat_map(|t| &t.partitions).collect();
            assert_eq!(found.len(), partitions);
            for partition in found {
                let size = i64::try_from(record.len()).unwrap();
                assert_eq!((partition.partition_size, partition.offset_lag, partition.is_future_key), (size, 0, false));
            }
        }
    });
}

fn alter<'a>(kind: i8, name: &'a str, configs: &[(&'a str, i8, Option<&'a str>)]) -> AlterConfigsResource<'a> {
    let config = |(name, config_operation, value): &(&'a str, i8, Option<&'a str>)| AlterableConfig {
        name,
        config_operation: *config_operation,
        value: *value,
        ..AlterableConfig::default()
    };
    AlterConfigsResource {
        resource_type: kind,
        resource_name: name,
        configs: configs.iter().map(config).collect(),
        ..AlterConfigsResource::default()
    }
}

/// Nobody is behind the controller's door here: what would go there is answered REQUEST_TIMED_OUT.
#[test]
fn without_a_controller_clients_are_told_to_come_back() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let timed_out = code(ErrorCode::RequestTimedOut);

        let topic = CreatableTopic { name: "new", num_partitions: 1, replication_factor: 1, ..Default::default() };
        let answer = ask(&client, 7, &CreateTopicsRequest { topics: vec![topic], ..Default::default() }).await;
        let response: CreateTopicsResponse<'_> = decode(&answer, 7, true);
        assert_eq!((response.topics[0].name, response.topics[0].error_code), ("new", timed_out));

        let answer = ask(&client, 5, &DeleteTopicsRequest { topic_names: vec![TOPIC], ..Default::default() }).await;
        let response: DeleteTopicsResponse<'_> = decode(&answer, 5, true);
        assert_eq!((response.responses[0].name, response.responses[0].error_code), (Some(TOPIC), timed_out));

        let answer = ask(&client, 2, &DescribeQuorumRequest::default()).await;
        let response: DescribeQuorumResponse<'_> = decode(&answer, 2, true);
        assert_eq!(response.error_code, timed_out);
    });
}

#[test]
fn deletion_of_topics_can_be_disabled() {
    with_broker(&[1], &["delete.topic.enable=false"], |rig| async move {
        let client = rig.connect().await;
        for (version, flexible, expected) in
            [(5, true, ErrorCode::TopicDeletionDisabled), (2, false, ErrorCode::InvalidRequest)]
        {
            let request = DeleteTopicsRequest { topic_names: vec![TOPIC], ..Default::default() };
            let answer = ask(&client, version, &request).await;
            let response: DeleteTopicsResponse<'_> = decode(&answer, version, flexible);
            assert_eq!(response.responses[0].error_code, code(expected));
        }
    });
}

/// Keeps nothing and does everything: answers CreatePartitions, and IncrementalAlterConfigs, with success for what it is
/// asked.
struct Obliging;

impl ControllerDoor for Obliging {
    fn request<'a>(&'a self, _: DoorContext, api_key: i16, version: i16, body: Vec<u8>) -> DoorAnswer<'a> {
        let mut w = Writer::new();
        if api_key == CreatePartitionsRequest::API_KEY.unwrap() {
            let request = CreatePartitionsRequest::decode(&mut Reader::new(&body), version).unwrap();
            let done = |t: &CreatePartitionsTopic<'_>| t.name.to_owned();
            let names: Vec<String> = request.topics.iter().map(done).collect();
            let results = names.iter().map(|name| CreatePartitionsTopicResult { name, ..Default::default() }).collect();
            CreatePartitionsResponse { results, ..Default::default() }.encode(&mut w, version).unwrap();
        } else {
            let request = IncrementalAlterConfigsRequest::decode(&mut Reader::new(&body), version).unwrap();
            let responses = request.resources.iter().map(|r| {
                ottla_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse {
                    resource_type: r.resource_type,
                    resource_name: r.resource_name,
                    ..Default::default()
                }
            });
            let responses = responses.collect();
            IncrementalAlterConfigsResponse { responses, ..Default::default() }.encode(&mut w, version).unwrap();
        }
        Box::pin(async move { Ok(w.into_bytes()) })
    }
}

#[test]
fn what_is_refused_here_is_added_to_the_controllers_answer() {
    with_controller(Arc::new(Obliging), &[1], &[], |rig| async move {
        let client = rig.connect().await;
        let named = |name| CreatePartitionsTopic { name, count: 3, assignments: None, ..Default::default() };
        let request = CreatePartitionsRequest {
            topics: vec![named("twice"), named(TOPIC), named("twice")],
            timeout_ms: 1000,
            ..CreatePartitionsRequest::default()
        };
        let answer = ask(&client, 3, &request).await;
        let response: CreatePartitionsResponse<'_> = decode(&answer, 3, true);
        let results: Vec<_> = response.results.iter().map(|r| (r.name, r.error_code)).collect();
        assert_eq!(results, [(TOPIC, 0), ("twice", code(ErrorCode::InvalidRequest))]);
    });
}

/// That keys and resources are named once and have values, and that a broker is asked of what it can change itself, Apache
/// Kafka 4.4.0 was seen to check with INVALID_REQUEST.
#[test]
fn alterations_that_cannot_be_are_refused_one_by_one() {
    with_controller(Arc::new(Obliging), &[1], &[], |rig| async move {
        let client = rig.connect().await;
        let resources = vec![
            alter(TOPIC_RESOURCE, TOPIC, &[("retention.ms", 0, Some("5")), ("segment.ms", 1, None)]),
            alter(TOPIC_RESOURCE, "keys", &[("retention.ms", 0, Some("5")), ("retention.ms", 0, Some("6"))]),
            alter(TOPIC_RESOURCE, "null", &[("retention.ms", 0, None)]),
            alter(BROKER_RESOURCE, "1", &[("num.partitions", 0, Some("5"))]),
            alter(BROKER_RESOURCE, "7", &[("log.retention.ms", 0, Some("5"))]),
            alter(BROKER_RESOURCE, "", &[("log.retention.ms", 0, Some("5"))]),
            alter(GROUP_RESOURCE, "g", &[("consumer.session.timeout.ms", 0, Some("46000"))]),
            alter(TOPIC_RESOURCE, "twice", &[]),
            alter(TOPIC_RESOURCE, "twice", &[]),
        ];
        let request = IncrementalAlterConfigsRequest { resources, ..IncrementalAlterConfigsRequest::default() };
        let answer = ask(&client, 1, &request).await;
        let response: IncrementalAlterConfigsResponse<'_> = decode(&answer, 1, true);
        let results: Vec<_> = response.responses.iter().map(|r| (r.resource_name, r.error_code)).collect();
        let no = code(ErrorCode::InvalidRequest);
        let taken = [(TOPIC, 0), ("", 0)];
        let expected = ["keys", "null", "1", "7", "g", "twice", "twice"].map(|name| (name, no));
        assert_eq!(results, [&taken[..], &expected[..]].concat());
        let refused = response.responses.iter().filter(|r| r.error_code != 0);
        assert!(refused.clone().count() == 7 && refused.clone().all(|r| r.error_message.is_some()));
    });
}
