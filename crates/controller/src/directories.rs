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
    change.lost.retain(|lost| *lost != broker);
    if !online {
        change.target_isr.retain(|r| *r != broker);
    }
    Ok(change.build())
}

#[cfg(test)]
mod tests {
    use ottla_metadata::records::{BrokerRegistrationChangeRecord, PartitionRecord, TopicRecord};

    use super::*;
    use crate::partitions::broker_back;
    use crate::testing::{Cluster, decode};

    const TOPIC: Uuid = Uuid([9; 16]);
    const ONLINE: Uuid = Uuid([51; 16]);

    fn cluster() -> Cluster {
        let mut cluster = Cluster::new(2);
        let partition = PartitionRecord {
            partition_id: 0,
            topic_id: TOPIC,
            replicas: vec![1, 2],
            isr: vec![1, 2],
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            directories: vec![Uuid::UNASSIGNED_DIRECTORY; 2],
            ..Default::default()
        };
        let second = BrokerRegistrationChangeRecord {
            broker_id: 1,
            broker_epoch: 101,
            log_dirs: vec![ONLINE, Uuid([77; 16])],
            ..Default::default()
        };
        cluster.apply(&[
            TopicRecord { name: "orders".into(), topic_id: TOPIC }.into(),
            partition.into(),
            second.into(),
        ]);
        cluster
    }

    fn assign(cluster: &mut Cluster, id: Uuid, topic_id: Uuid, partition_index: i32) -> i16 {
        let partitions = vec![q::PartitionData { partition_index, ..Default::default() }];
        let topics = vec![q::TopicData { topic_id, partitions, ..Default::default() }];
        let directories = vec![q::DirectoryData { id, topics, ..Default::default() }];
        let request =
            q::AssignReplicasToDirsRequest { broker_id: 1, broker_epoch: 101, directories, ..Default::default() };
        let (body, _) = cluster.run(|view| assign_replicas(view, &request, 0));
        let response: a::AssignReplicasToDirsResponse<'_> = decode(&body, 0);
        response.directories[0].topics[0].partitions[0].error_code
    }

    #[test]
    fn a_replica_is_noted_in_its_directory() {
        let mut cluster = cluster();
        assert_eq!(assign(&mut cluster, ONLINE, TOPIC, 0), 0);
        let partition = cluster.image.topics.by_id(TOPIC).expect("there").partitions[&0].clone();
        assert_eq!(partition.directories, [ONLINE, Uuid::UNASSIGNED_DIRECTORY]);
        assert_eq!((partition.leader, partition.leader_epoch), (1, 0), "nobody else leads for it");
        assert_eq!(assign(&mut cluster, ONLINE, TOPIC, 7), ErrorCode::UnknownTopicOrPartition as i16);
        assert_eq!(assign(&mut cluster, ONLINE, Uuid([8; 16]), 0), ErrorCode::UnknownTopicId as i16);
    }

    /// The broker comes back without the directory that failed.
    #[test]
    fn a_replica_in_a_lost_directory_is_not_elected() {
        let mut cluster = cluster();
        assert_eq!(assign(&mut cluster, ONLINE, TOPIC, 0), 0);
        let changed = |log_dirs: Vec<Uuid>| {
            let change =
                BrokerRegistrationChangeRecord { broker_id: 1, broker_epoch: 101, log_dirs, ..Default::default() };
            MetadataRecord::from(change)
        };
        let leaderless = PartitionChangeRecord {
            topic_id: TOPIC,
            partition_id: 0,
            leader: -1,
            isr: Some(vec![1]),
            ..Default::default()
        };
        cluster.apply(&[changed(vec![Uuid([77; 16])]), leaderless.into()]);
        let leader = |cluster: &Cluster| cluster.image.topics.by_id(TOPIC).expect("there").partitions[&0].leader;
        let random = || [0; 16];
        assert!(broker_back(&cluster.view(&random), 1).is_empty());
        assert_eq!(leader(&cluster), -1);
        cluster.apply(&[changed(vec![ONLINE])]);
        let elected = broker_back(&cluster.view(&random), 1);
        cluster.apply(&elected);
        assert_eq!(leader(&cluster), 1, "the disk is back");
    }

    #[test]
    fn a_replica_in_a_failed_directory_leads_no_more() {
        let mut cluster = cluster();
        assert_eq!(assign(&mut cluster, Uuid([99; 16]), TOPIC, 0), 0);
        let partition = cluster.image.topics.by_id(TOPIC).expect("there").partitions[&0].clone();
        assert_eq!((partition.leader, partition.isr), (2, vec![2]));
    }
}
