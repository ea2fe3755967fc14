//! A fetch session may name a topic id before this broker knows the topic; it is served once it does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use ottla_metadata::records::{PartitionRecord, TopicRecord};
use ottla_metadata::{CommittedBatch, MetadataRecord};
use ottla_protocol::messages::fetch_request::FetchRequest;
use ottla_protocol::messages::fetch_response::FetchResponse;
use ottla_protocol::{ErrorCode, Uuid};
use support::{Client, TOPIC_ID, decode, fetch, with_broker};

const LATER: Uuid = Uuid([8; 16]);

/// The session's id, and each partition listed: its topic id and code.
async fn fetched(client: &Client, request: &FetchRequest<'_>) -> (i32, Vec<(Uuid, ErrorCode)>) {
    client.send(15, 1, request).await;
    let (_, answer) = client.receive().await;
    let response: FetchResponse<'_> = decode(&answer, 15, true);
    assert_eq!(response.error_code, 0);
    let code = |code| ErrorCode::from_code(code).unwrap();
    let partitions =
        response.responses.iter().flat_map(|t| t.partitions.iter().map(|p| (t.topic_id, code(p.error_code))));
    (response.session_id, partitions.collect())
}

#[test]
fn an_id_resolves_once_its_topic_is_known() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let mut full = FetchRequest { session_epoch: 0, ..fetch(-1, -1, 0) };
        let known = full.topics[0].clone();
        full.topics.push(ottla_protocol::messages::fetch_request::FetchTopic { topic_id: LATER, ..known });
        let (session_id, listed) = fetched(&client, &full).await;
        assert_ne!(session_id, 0);
        assert_eq!(listed, [(TOPIC_ID, ErrorCode::None), (LATER, ErrorCode::UnknownTopicId)]);

        let incremental =
            |session_epoch| FetchRequest { session_id, session_epoch, topics: vec![], ..fetch(-1, -1, 0) };
        let (_, listed) = fetched(&client, &incremental(1)).await;
        assert_eq!(listed, [(LATER, ErrorCode::UnknownTopicId)], "still unknown, and told each time");

        let partition = PartitionRecord {
            partition_id: 0,
            topic_id: LATER,
            replicas: vec![1],
            isr: vec![1],
            leader: 1,
            directories: vec![Uuid([9; 16])],
            ..PartitionRecord::default()
        };
        let records: Vec<MetadataRecord> =
            vec![TopicRecord { name: "later".into(), topic_id: LATER }.into(), partition.into()];
        rig.loader.load_batches([CommittedBatch { last_offset: 12, epoch: 1, records }]).unwrap();
        let (_, listed) = fetched(&client, &incremental(2)).await;
        assert_eq!(listed, [(LATER, ErrorCode::None)], "known now");
        assert_eq!(fetched(&client, &incremental(3)).await.1, [], "and told");
    });
}
