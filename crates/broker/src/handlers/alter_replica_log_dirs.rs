//! AlterReplicaLogDirs (34), versions 1-2: moves replicas between the log directories of this broker, or calls moves off.
//!
//! * Answered as soon as the copies are begun; DescribeLogDirs tells how far they are.
//! * The directory where the replica lies: a move elsewhere is called off, otherwise nothing happens. Another one than that of a
//!   move under way: it begins anew there.
//! * A partition of which there is no replica here yet: the directory is remembered until one is made, and the answer is
//!   REPLICA_NOT_AVAILABLE, or UNKNOWN_TOPIC_OR_PARTITION if the cluster has no such partition, as in Kafka.
//! * A directory that `log.dirs` does not name: LOG_DIR_NOT_FOUND. A cordoned one: INVALID_REPLICA_ASSIGNMENT. An offline one,
//!   an offline partition, and any move while some directory is offline: KAFKA_STORAGE_ERROR. A topic whose name leaves no room
//!   for that of the copy: INVALID_TOPIC_EXCEPTION.
//! * Alter on the cluster: else CLUSTER_AUTHORIZATION_FAILED for every partition.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_env::task;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_replica_log_dirs_request::AlterReplicaLogDirsRequest;
use ottla_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsResponse,
};

use crate::context::{Answer, Refusal, RequestContext};
use crate::replica::manager::{MoveRefused, ReplicaManager};
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: AlterReplicaLogDirsRequest<'_> = cx.decode()?;
    // Of a partition that is named twice, the last directory counts, as in Kafka.
    let mut wanted: BTreeMap<(String, i32), String> = BTreeMap::new();
    for dir in &request.dirs {
        for topic in &dir.topics {
            for index in &topic.partitions {
                wanted.insert((topic.name.to_owned(), *index), dir.path.to_owned());
            }
        }
    }
    let codes: Vec<((String, i32), ErrorCode)> = if cx.authorized(Operation::Alter, Resource::Cluster) {
        let replicas = Arc::clone(&cx.broker.replicas);
        task::blocking("alter replica log dirs", move || {
            let alter = |(partition, path): ((String, i32), String)| {
                let code = alter(&replicas, &partition.0, partition.1, &path);
                (partition, code)
            };
            wanted.into_iter().map(alter).collect()
        })
        .await
    } else {
        wanted.into_keys().map(|partition| (partition, ErrorCode::ClusterAuthorizationFailed)).collect()
    };
    let mut results: BTreeMap<&str, Vec<AlterReplicaLogDirPartitionResult<'_>>> = BTreeMap::new();
    for ((topic, partition_index), code) in &codes {
        cx.count_error(*code);
        results.entry(topic).or_default().push(AlterReplicaLogDirPartitionResult {
            partition_index: *partition_index,
            error_code: code.code(),
            ..AlterReplicaLogDirPartitionResult::default()
        });
    }
    let topic = |(topic_name, partitions)| AlterReplicaLogDirTopicResult {
        topic_name,
        partitions,
        ..AlterReplicaLogDirTopicResult::default()
    };
    let results = results.into_iter().map(topic).collect();
    cx.answer(&AlterReplicaLogDirsResponse { results, ..AlterReplicaLogDirsResponse::default() })
}

fn alter(replicas: &ReplicaManager, topic: &str, index: i32, path: &str) -> ErrorCode {
    let Err(refused) = replicas.alter_log_dir(topic, index, Path::new(path)) else { return ErrorCode::None };
    tracing::warn!(topic, partition = index, path, %refused, "a replica is not moved");
    match refused {
        MoveRefused::NameTooLong => ErrorCode::InvalidTopicException,
        MoveRefused::NoSuchDirectory => ErrorCode::LogDirNotFound,
        MoveRefused::Cordoned => ErrorCode::InvalidReplicaAssignment,
        MoveRefused::NotHere => ErrorCode::ReplicaNotAvailable,
        MoveRefused::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        MoveRefused::PartitionOffline | MoveRefused::Storage(_) => ErrorCode::KafkaStorageError,
    }
}
