//! Topics that come into being because somebody asked for them: by Metadata, and the internal ones by FindCoordinator.

use ottla_metadata::controller_door::DoorContext;
use ottla_protocol::ErrorCode;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_protocol::messages::create_topics_response::CreateTopicsResponse;

use crate::broker::Broker;
use crate::forward;

const VERSION: i16 = 7;
const TIMEOUT_MS: i32 = 30_000;

/// Asks the controller for a topic and gives the code that a client gets meanwhile: UNKNOWN_TOPIC_OR_PARTITION once it is
/// on its way, as Kafka answers, else why it cannot be.
pub async fn create(broker: &Broker, context: DoorContext, name: &str) -> ErrorCode {
    if let Err(cause) = ottla_metadata::topic_name::check(name) {
        tracing::debug!(topic = name, %cause, "not creating a topic of that name");
        return ErrorCode::InvalidTopicException;
    }
    let config = &broker.config;
    let (partitions, factor, configs) = match name {
        "__consumer_offsets" => (
            config.offsets_topic_num_partitions,
            config.offsets_topic_replication_factor,
            vec![
                ("compression.type", "producer".to_owned()),
                ("cleanup.policy", "compact".to_owned()),
                ("segment.bytes", config.offsets_topic_segment_bytes.to_string()),
            ],
        ),
        _ => (-1, -1, Vec::new()),
    };
    let topic = CreatableTopic {
        name,
        num_partitions: partitions,
        replication_factor: factor,
        configs: configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name, value: Some(value), ..CreatableTopicConfig::default() })
            .collect(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, ..CreateTopicsRequest::default() };
    match broker.ask_controller(context, ApiKey::CreateTopics, VERSION, &request).await {
        Ok(body) => verdict(name, &body),
        Err(cause) => {
            tracing::warn!(topic = name, %cause, "cannot create the topic now");
            ErrorCode::LeaderNotAvailable
        }
    }
}

fn verdict(name: &str, body: &[u8]) -> ErrorCode {
    let response: CreateTopicsResponse<'_> = match forward::decode(body, VERSION) {
        Ok(response) => response,
        Err(cause) => {
            tracing::error!(topic = name, %cause, "the controller's answer to CreateTopics cannot be decoded");
            return ErrorCode::UnknownServerError;
        }
    };
    let Some(result) = response.topics.first() else { return ErrorCode::UnknownServerError };
    match ErrorCode::from_code(result.error_code) {
        // The client asks again, and finds it.
        Some(ErrorCode::None | ErrorCode::TopicAlreadyExists) => ErrorCode::UnknownTopicOrPartition,
        Some(code) => {
            tracing::warn!(topic = name, %code, cause = result.error_message.unwrap_or_default(),
                "the topic cannot be created");
            // A client that asked for metadata knows this one; what is behind it stands in the log.
            if code == ErrorCode::InvalidReplicationFactor { code } else { ErrorCode::UnknownTopicOrPartition }
        }
        None => ErrorCode::UnknownServerError,
    }
}
