//! AlterPartition (56): a leader proposes the ISR of its partitions.

use ottla_metadata::image::{PartitionRegistration, TopicImage};
use ottla_metadata::records::{MetadataRecord, PartitionChangeRecord};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_partition_request as q;
use ottla_protocol::messages::alter_partition_response::{AlterPartitionResponse, PartitionData, TopicData};
use ottla_protocol::writer::EncodeError;

use crate::decision::{Decision, View};
use crate::partition_change::RECOVERING;
use crate::partitions::{change, may_lead};

/// Takes over each ISR that its leader may propose.
pub(crate) fn alter_partition(
    view: &View<'_>,
    request: &q::AlterPartitionRequest<'_>,
    version: i16,
) -> Result<Decision, EncodeError> {
    if let Err(error) = check_broker_epoch(view, request.broker_id, request.broker_epoch) {
        let response = AlterPartitionResponse { error_code: error as i16, ..Default::default() };
        return Decision::new(vec![], &response, version);
    }
    let mut records = Vec::new();
    let mut topics = Vec::new();
    for topic in &request.topics {
        let image = view.image.topics.by_id(topic.topic_id);
        let mut partitions = Vec::new();
        for wanted in &topic.partitions {
            let outcome = match image {
                None => Err(ErrorCode::UnknownTopicId),
                Some(image) => alter_one(view, request.broker_id, image, wanted, version, &mut records),
            };
            partitions.push(answer(wanted.partition_index, outcome));
        }
        topics.push(TopicData { topic_id: topic.topic_id, partitions, ..Default::default() });
    }
    Decision::new(records, &AlterPartitionResponse { topics, ..Default::default() }, version)
}

fn answer(partition_index: i32, outcome: Result<PartitionRegistration, ErrorCode>) -> PartitionData<'static> {
    match outcome {
        Ok(partition) => PartitionData {
            partition_index,
            leader_id: partition.leader,
            leader_epoch: partition.leader_epoch,
            isr: partition.isr,
            leader_recovery_state: partition.leader_recovery_state,
            partition_epoch: partition.partition_epoch,
            ..Default::default()
        },
        Err(error) => PartitionData { partition_index, error_code: error as i16, ..Default::default() },
    }
}

/// Whether a request comes from the broker's present life.
pub(crate) fn check_broker_epoch(view: &View<'_>, broker: i32, epoch: i64) -> Result<(), ErrorCode> {
    match view.image.cluster.broker(broker) {
        Some(registered) if registered.epoch == epoch => Ok(()),
        _ => Err(ErrorCode::StaleBrokerEpoch),
    }
}

fn alter_one(
    view: &View<'_>,
    broker: i32,
    topic: &TopicImage,
    wanted: &q::PartitionData<'_>,
    version: i16,
    records: &mut Vec<MetadataRecord>,
) -> Result<PartitionRegistration, ErrorCode> {
    let id = wanted.partition_index;
    let partition = topic.partitions.get(&id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let isr = new_isr(wanted, version);
    check(view, broker, partition, wanted, &isr)?;
    let alive = |id: i32| may_lead(view, id);
    let mut change = change(view, topic, id, partition, &alive);
    change.target_isr = isr.iter().map(|(id, _)| *id).collect();
    change.recovery_state = Some(wanted.leader_recovery_state);
    let record: Option<PartitionChangeRecord> = change.build();
    let Some(record) = record else { return Ok(partition.clone()) };
    let changed = partition.merge(&record).map_err(|_| ErrorCode::UnknownServerError)?;
    records.push(record.into());
    if changed.leader == broker { Ok(changed) } else { Err(ErrorCode::NewLeaderElected) }
}

/// The replicas proposed, with the broker epochs in which the leader saw them fetch; -1 where it does not say.
fn new_isr(wanted: &q::PartitionData<'_>, version: i16) -> Vec<(i32, i64)> {
    if version >= 3 {
        wanted.new_isr_with_epochs.iter().map(|b| (b.broker_id, b.broker_epoch)).collect()
    } else {
        wanted.new_isr.iter().map(|id| (*id, -1)).collect()
    }
}

fn check(
    view: &View<'_>,
    broker: i32,
    partition: &PartitionRegistration,
    wanted: &q::PartitionData<'_>,
    isr: &[(i32, i64)],
) -> Result<(), ErrorCode> {
    if wanted.leader_epoch > partition.leader_epoch || wanted.partition_epoch > partition.partition_epoch {
        // The leader knows more than we do: another controller must be active.
        return Err(ErrorCode::NotController);
    }
    if wanted.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if broker != partition.leader {
        return Err(ErrorCode::InvalidRequest);
    }
    if wanted.partition_epoch < partition.partition_epoch {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    let replicas_only = isr.iter().all(|(id, _)| partition.has_replica(*id));
    let with_leader = isr.iter().any(|(id, _)| *id == broker);
    let state = wanted.leader_recovery_state;
    let bad_state = !(0..=RECOVERING).contains(&state)
        || (state == RECOVERING && (isr.len() > 1 || partition.leader_recovery_state != RECOVERING));
    if !replicas_only || !with_leader || bad_state {
        return Err(ErrorCode::InvalidRequest);
    }
    let eligible = |(id, epoch): &(i32, i64)| {
        let registered = view.image.cluster.broker(*id);
        registered.is_some_and(|b| b.is_active() && (*epoch == -1 || *epoch == b.epoch))
    };
    if isr.iter().all(eligible) { Ok(()) } else { Err(ErrorCode::IneligibleReplica) }
}
