use ottla_metadata::records::{PartitionChangeRecord, TopicRecord};
use ottla_protocol::messages::alter_partition_request as isr_q;
use ottla_protocol::messages::alter_partition_response::AlterPartitionResponse;
use ottla_protocol::messages::create_partitions_request::CreatePartitionsAssignment;

use super::*;
use crate::alter_partition::alter_partition;
use crate::testing::{Cluster, decode};

const TOPIC: Uuid = Uuid([9; 16]);

fn with_partition(brokers: i32, replicas: &[i32], isr: &[i32]) -> Cluster {
    let mut cluster = Cluster::new(brokers);
    let partition = PartitionRecord {
        partition_id: 0,
        topic_id: TOPIC,
        replicas: replicas.to_vec(),
        isr: isr.to_vec(),
        leader: isr[0],
        leader_epoch: 3,
        partition_epoch: 5,
        directories: vec![Uuid::UNASSIGNED_DIRECTORY; replicas.len()],
        ..Default::default()
    };
    cluster.apply(&[TopicRecord { name: "orders".into(), topic_id: TOPIC }.into(), partition.into()]);
    cluster
}

fn partition(cluster: &Cluster) -> PartitionRegistration {
    cluster.image.topics.by_id(TOPIC).expect("there").partitions[&0].clone()
}

fn grow(cluster: &mut Cluster, topic: CreatePartitionsTopic<'_>) -> i16 {
    let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
    let (body, _) = cluster.run(|view| create_partitions(view, &request, 3));
    let response: CreatePartitionsResponse<'_> = decode(&body, 3);
    response.results[0].error_code
}

#[test]
fn partitions_are_added_behind_those_that_are_there() {
    let mut cluster = with_partition(3, &[1, 2], &[1, 2]);
    let count = |count| CreatePartitionsTopic { name: "orders", count, assignments: None, ..Default::default() };
    assert_eq!(grow(&mut cluster, count(1)), ErrorCode::InvalidPartitions as i16);
    assert_eq!(grow(&mut cluster, count(0)), ErrorCode::InvalidPartitions as i16);
    let unknown = CreatePartitionsTopic { name: "x", ..count(2) };
    assert_eq!(grow(&mut cluster, unknown), ErrorCode::UnknownTopicOrPartition as i16);
    let assigned = |brokers: &[&[i32]], total| CreatePartitionsTopic {
        assignments: Some(
            brokers
                .iter()
                .map(|b| CreatePartitionsAssignment { broker_ids: b.to_vec(), ..Default::default() })
                .collect(),
        ),
        ..count(total)
    };
    let bad = ErrorCode::InvalidReplicaAssignment as i16;
    assert_eq!(grow(&mut cluster, assigned(&[&[1, 2], &[2, 3]], 2)), bad, "one too many");
    assert_eq!(grow(&mut cluster, assigned(&[&[1]], 2)), bad, "another replication factor");
    assert_eq!(grow(&mut cluster, assigned(&[&[3, 1]], 2)), 0);
    assert_eq!(grow(&mut cluster, count(4)), 0);
    let partitions = cluster.image.topics.by_id(TOPIC).expect("there").partitions.clone();
    assert_eq!(partitions.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(partitions[&1].replicas, [3, 1]);
    assert!(partitions.values().all(|p| p.replicas.len() == 2));
}

fn propose(cluster: &mut Cluster, leader: i32, isr: &[i32], adjust: impl FnOnce(&mut isr_q::PartitionData<'_>)) -> i16 {
    let broker =
        |id: i32| isr_q::BrokerState { broker_id: id, broker_epoch: i64::from(100 + id), ..Default::default() };
    let mut wanted = isr_q::PartitionData {
        partition_index: 0,
        leader_epoch: 3,
        partition_epoch: 5,
        new_isr_with_epochs: isr.iter().map(|id| broker(*id)).collect(),
        ..Default::default()
    };
    adjust(&mut wanted);
    let topic = isr_q::TopicData { topic_id: TOPIC, partitions: vec![wanted], ..Default::default() };
    let request = isr_q::AlterPartitionRequest {
        broker_id: leader,
        broker_epoch: i64::from(100 + leader),
        topics: vec![topic],
        ..Default::default()
    };
    let (body, _) = cluster.run(|view| alter_partition(view, &request, 3));
    let response: AlterPartitionResponse<'_> = decode(&body, 3);
    assert_eq!(response.error_code, 0);
    response.topics[0].partitions[0].error_code
}

#[test]
fn a_leader_shrinks_and_grows_its_isr() {
    let mut cluster = with_partition(3, &[1, 2, 3], &[1, 2, 3]);
    assert_eq!(propose(&mut cluster, 1, &[1], |_| {}), 0);
    let p = partition(&cluster);
    assert_eq!((p.isr, p.partition_epoch, p.leader_epoch), (vec![1], 6, 3), "a shrunken ISR is no new leader epoch");
    assert_eq!(propose(&mut cluster, 1, &[1, 2], |w| w.partition_epoch = 6), 0);
    assert_eq!(partition(&cluster).isr, [1, 2]);
}

#[test]
fn every_refusal_of_an_isr_has_kafkas_code() {
    let mut cluster = with_partition(3, &[1, 2], &[1, 2]);
    type Adjust = fn(&mut isr_q::PartitionData<'_>);
    let cases: [(i32, &[i32], Adjust, ErrorCode); 9] = [
        (1, &[1], |w| w.partition_index = 7, ErrorCode::UnknownTopicOrPartition),
        (1, &[1], |w| w.leader_epoch = 4, ErrorCode::NotController),
        (1, &[1], |w| w.partition_epoch = 6, ErrorCode::NotController),
        (1, &[1], |w| w.leader_epoch = 2, ErrorCode::FencedLeaderEpoch),
        (1, &[1], |w| w.partition_epoch = 4, ErrorCode::InvalidUpdateVersion),
        (2, &[2], |_| {}, ErrorCode::InvalidRequest),
        (1, &[2], |_| {}, ErrorCode::InvalidRequest),
        (1, &[1, 3], |_| {}, ErrorCode::InvalidRequest),
        (1, &[1, 2], |w| w.new_isr_with_epochs[1].broker_epoch = 1, ErrorCode::IneligibleReplica),
    ];
    for (leader, isr, adjust, error) in cases {
        assert_eq!(propose(&mut cluster, leader, isr, adjust), error as i16, "{leader} {isr:?} {error:?}");
    }
    assert_eq!(partition(&cluster).partition_epoch, 5, "nothing was taken over");
}

fn changed(
    cluster: &Cluster,
    adjust: impl FnOnce(&mut PartitionChange<'_>),
    alive: &[i32],
) -> Option<PartitionRegistration> {
    let p = partition(cluster);
    let may_lead = |id: i32| alive.contains(&id);
    let random = || [0; 16];
    let topic = cluster.image.topics.by_id(TOPIC).expect("there").clone();
    let mut wanted = change(&cluster.view(&random), &topic, 0, &p, &may_lead);
    adjust(&mut wanted);
    let record: Option<PartitionChangeRecord> = wanted.build();
    record.map(|record| p.merge(&record).expect("fits"))
}

#[test]
fn who_leaves_a_small_isr_stays_eligible() {
    let mut cluster = with_partition(3, &[1, 2, 3], &[1, 2]);
    cluster.options.min_insync_replicas = 2;
    let p = changed(&cluster, |w| w.target_isr = vec![2], &[2, 3]).expect("changes");
    assert_eq!((p.leader, p.isr, p.elr), (2, vec![2], vec![1]));
    let p = changed(&cluster, |w| w.target_isr = vec![], &[]).expect("changes");
    assert_eq!((p.leader, p.isr, p.elr, p.last_known_elr), (-1, vec![], vec![1, 2], vec![1]));
}

#[test]
fn without_eligible_leader_replicas_the_last_isr_stays() {
    let cluster = with_partition(2, &[1, 2], &[1]);
    let p = changed(&cluster, |w| (w.elr_enabled, w.target_isr) = (false, vec![]), &[2]).expect("changes");
    assert_eq!((p.leader, p.isr), (-1, vec![1]), "2 lacks what is committed");
    let unclean = |w: &mut PartitionChange<'_>| {
        (w.elr_enabled, w.target_isr, w.election) = (false, vec![], Election::Unclean);
    };
    let p = changed(&cluster, unclean, &[2]).expect("changes");
    assert_eq!((p.leader, p.isr, p.leader_recovery_state), (2, vec![2], 1));
}

#[test]
fn a_leader_that_may_stay_stays_unless_the_preferred_one_is_wanted() {
    let cluster = with_partition(3, &[1, 2, 3], &[2, 1]);
    assert_eq!(changed(&cluster, |_| {}, &[1, 2, 3]), None, "nothing to change");
    let p = changed(&cluster, |w| w.election = Election::Preferred, &[1, 2, 3]).expect("changes");
    assert_eq!((p.leader, p.leader_epoch), (1, 4));
}
