//! Errors are counted by the API that answered them and by their code, wherever they were decided.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use ottla_protocol::ErrorCode;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use support::{TOPIC, batch, produce, with_broker};

#[test]
fn the_same_code_of_different_apis() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let records = batch("x");
        // Twice the same, and once in a partition that is there.
        let unknown =
            |index| PartitionProduceData { index, ..produce(1, 100, &records).topic_data[0].partition_data[0].clone() };
        let topic = TopicProduceData {
            name: TOPIC,
            partition_data: vec![unknown(0), unknown(7), unknown(8)],
            ..TopicProduceData::default()
        };
        let mut request = produce(1, 100, &records);
        request.topic_data = vec![topic];
        client.send(9, 1, &request).await;
        client.receive().await;

        let partition = FetchPartition { partition: 7, partition_max_bytes: 100, ..FetchPartition::default() };
        let topic = FetchTopic { topic: TOPIC, partitions: vec![partition], ..FetchTopic::default() };
        client.send(11, 2, &FetchRequest { session_epoch: -1, topics: vec![topic], ..FetchRequest::default() }).await;
        client.receive().await;

        let partition = ListOffsetsPartition { partition_index: 7, timestamp: -1, ..ListOffsetsPartition::default() };
        let topic = ListOffsetsTopic { name: TOPIC, partitions: vec![partition], ..ListOffsetsTopic::default() };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..ListOffsetsRequest::default() };
        client.send(5, 3, &request).await;
        client.receive().await;

        // There is no controller in this broker's world.
        let topic =
            CreatableTopic { name: "new", num_partitions: 1, replication_factor: 1, ..CreatableTopic::default() };
        client.send(5, 4, &CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() }).await;
        client.receive().await;

        let counted: Vec<_> = rig
            .broker
            .counters
            .snapshot()
            .into_iter()
            .filter(|sample| sample.name == "kafka_network_requestmetrics_errors_total")
            .map(|sample| (sample.labels[0].1, sample.labels[1].1, sample.value))
            .collect();
        let unknown = ErrorCode::UnknownTopicOrPartition.name();
        let [produced, fetched, listed, created] = counted.as_slice() else { panic!("{counted:?}") };
        assert_eq!(
            [*produced, *fetched, *listed],
            [("Produce", unknown, 2), ("Fetch", unknown, 1), ("ListOffsets", unknown, 1)]
        );
        assert_eq!((created.0, created.2), (ApiKey::CreateTopics.name(), 1));
    });
}
