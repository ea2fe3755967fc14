//! What to do next after an error: one sentence per cause that a user can do something about.

use ottla_client::{ConnectionError, Error};
use ottla_protocol::ErrorCode;

/// The advice for the first cause that has one.
pub(crate) fn for_error(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|e| e.downcast_ref::<Error>()).and_then(for_client_error)
}

fn for_client_error(error: &Error) -> Option<String> {
    match error {
        Error::Bootstrap { last, .. } | Error::Connection(last) => for_connection(last),
        Error::Broker { code, .. } => for_code(*code).map(str::to_owned),
        Error::Timeout { last: Some(last), .. } => for_client_error(last),
        Error::RecordTooLarge { property, .. } => Some(format!("raise it with -X {property}=BYTES")),
        Error::NoOffset { .. } => Some("begin elsewhere with --from-beginning or --offset".to_owned()),
        Error::CorruptRecords { .. } => {
            Some("the log or the way to it is damaged; go on behind it with --partition and --offset".to_owned())
        }
        Error::Timeout { last: None, .. } | Error::IllegalState(_) | Error::Config(_) | Error::Closed => None,
    }
}

fn for_connection(error: &ConnectionError) -> Option<String> {
    Some(match error {
        ConnectionError::Resolve { .. } => {
            "the name is not known here; check the spelling of --bootstrap-server, or the broker's advertised.listeners"
                .to_owned()
        }
        ConnectionError::Connect { .. } => {
            "is a broker running there? Start one with `ottla server`, or name another with --bootstrap-server"
                .to_owned()
        }
        ConnectionError::ConnectTimeout { .. } => {
            "something swallows the connection, such as a firewall; or what listens there speaks no Kafka".to_owned()
        }
        ConnectionError::Lost { .. } => {
            "the other side hung up: it may want TLS or SASL, be stopping, or speak no Kafka; its log says more"
                .to_owned()
        }
        ConnectionError::Timeout { .. } => "the broker is overloaded or stuck; its log says more".to_owned(),
        ConnectionError::NoCommonVersion { .. } => "upgrade the older side".to_owned(),
        ConnectionError::Busy { .. }
        | ConnectionError::Encode(_)
        | ConnectionError::Decode { .. }
        | ConnectionError::Refused { .. } => return None,
    })
}

fn for_code(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::UnknownTopicOrPartition => {
            "see what there is with `ottla topic list`, or create it with `ottla topic create`"
        }
        ErrorCode::TopicAlreadyExists => "add --if-not-exists if that is fine",
        ErrorCode::InvalidTopicException => "a name has 1 to 249 letters, digits, dots, underscores and dashes",
        ErrorCode::InvalidReplicationFactor => {
            "there cannot be more replicas than brokers; see `ottla cluster describe`, and pass --replication-factor"
        }
        ErrorCode::InvalidPartitions => "partitions can be added, not taken away; see `ottla topic describe`",
        ErrorCode::InvalidConfig => "`ottla topic describe --all-configs` shows the names and values of properties",
        ErrorCode::GroupIdNotFound => "see what there is with `ottla group list`",
        ErrorCode::NonEmptyGroup | ErrorCode::UnknownMemberId => {
            "stop the group's members first; `ottla group describe` shows them"
        }
        ErrorCode::GroupSubscribedToTopic => "members still read the topic; stop them first",
        ErrorCode::LeaderNotAvailable => {
            "the partition has no leader: its brokers are down, or it is just being created"
        }
        ErrorCode::CoordinatorNotAvailable => {
            "the group coordinator is not ready; with one broker set offsets.topic.replication.factor=1"
        }
        ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => {
            "fewer replicas are in sync than min.insync.replicas demands; see `ottla topic describe`"
        }
        ErrorCode::MessageTooLarge => "raise the topic's max.message.bytes with `ottla topic alter`",
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed => "ask for the right to do that, or use another principal",
        _ => return None,
    })
}
