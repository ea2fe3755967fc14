//! AssignReplicasToDirs (73): a broker with several log directories says where it put its replicas (KIP-858).

use ottla_metadata::records::{MetadataRecord, PartitionChangeRecord};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::ids::Uuid;
use ottla_protocol::messages::assign_replicas_to_dirs_request as q;
use ottla_protocol::messages::assign_replicas_to_dirs_response as a;
use ottla_protocol::writer::EncodeError;

use crate::alter_partition::check_broker_epoch;
use crate::decision::{Decision, View};
use crate::partitions::{change, may_lead};

/// Notes the directory of each replica.
pub(crate) fn assign_replicas(
    view: &View<'_>,
    request: &q::AssignReplicasToDirsRequest<'_>,
    version: i16,
) -> Result<Decision, EncodeError> {
    if let Err(error) = check_broker_epoch(view, request.broker_id, request.broker_epoch) {
        let response = a::AssignReplicasToDirsResponse { error_code: error as i16, ..Default::default() };
        return Decision::new(vec![], &response, version);
    }
    let mut records = Vec::new();
    let mut directories = Vec::new();
    for directory in &request.directories {
        let mut topics = Vec::new();
        for topic in &directory.topics {
            let partitions = topic.partitions.iter().map(|p| {
                let index = p.partition_index;
                let outcome = assign_one(view, request.broker_id, directory.id, topic.topic_id, index);
                let error = match outcome {
                    Ok(record) => {
                        records.extend(record.map(MetadataRecord::from));
                        ErrorCode::None
                    }
                    Err(error) => error,
                };
                a::PartitionData { partition_index: index, error_code: error as i16, ..Default::default() }
            });
            let partitions = partitions.collect();
            topics.push(a::TopicData { topic_id: topic.topic_id, partitions, ..Default::default() });
        }
        directories.push(a::DirectoryData { id: directory.id, topics, ..Default::default() });
    }
    Decision::new(records, &a::AssignReplicasToDirsResponse { directories, ..Default::default() }, version)
}

fn assign_one(
    view: &View<'_>,
    broker: i32,
    directory: Uuid,
    topic_id: Uuid,
    partition_id: i32,
) -> Result<Option<PartitionChangeRecord>, ErrorCode> {
    let topic = view.image.topics.by_id(topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = topic.partitions.get(&partition_id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let place = partition.replicas.iter().position(|r| *r == broker).ok_or(ErrorCode::NotLeaderOrFollower)?;
    let online = view.image.cluster.broker(broker).is_some_and(|b| b.log_dirs.contains(&directory));
    let mut directories = partition.directories.clone();
    if let Some(entry) = directories.get_mut(place) {
        *entry = directory;
    }
    let alive = |id: i32| may_lead(view, id) && (id != broker || online);
    let mut change = change(view, topic, partition_id, partition, &alive);
    change.directories = Some(directories);
    if !online {
        change.target_isr.retain(|r| *r != broker);
    }
    Ok(change.build())
}
