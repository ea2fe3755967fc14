use ottla_metadata::image::PartitionRegistration;
use ottla_metadata::records::{PartitionRecord, TopicRecord};
use ottla_protocol::messages::broker_registration_request::{Feature, Listener};

use super::*;
use crate::features;
use crate::testing::{Cluster, decode};

const TOPIC: Uuid = Uuid([9; 16]);

/// A cluster with one partition on these brokers, all in sync.
fn with_partition(brokers: i32, replicas: &[i32]) -> Cluster {
    let mut cluster = Cluster::new(brokers);
    let partition = PartitionRecord {
        partition_id: 0,
        topic_id: TOPIC,
        replicas: replicas.to_vec(),
        isr: replicas.to_vec(),
        leader: replicas[0],
        leader_epoch: 0,
        partition_epoch: 0,
        directories: replicas.iter().map(|id| Uuid([*id as u8 + 50; 16])).collect(),
        ..Default::default()
    };
    cluster.apply(&[TopicRecord { name: "orders".into(), topic_id: TOPIC }.into(), partition.into()]);
    cluster
}

fn partition(cluster: &Cluster) -> PartitionRegistration {
    cluster.image.topics.by_id(TOPIC).expect("there").partitions[&0].clone()
}

fn request(id: i32, incarnation: u8, previous_broker_epoch: i64) -> BrokerRegistrationRequest<'static> {
    BrokerRegistrationRequest {
        broker_id: id,
        cluster_id: "cluster",
        incarnation_id: Uuid([incarnation; 16]),
        listeners: vec![Listener { name: "PLAINTEXT", host: "h", port: 9092, ..Default::default() }],
        features: features::supported()
            .map(|(name, min, max)| Feature {
                name,
                min_supported_version: min,
                max_supported_version: max,
                ..Default::default()
            })
            .collect(),
        log_dirs: vec![Uuid([id as u8 + 50; 16])],
        previous_broker_epoch,
        ..Default::default()
    }
}

fn register_broker(cluster: &mut Cluster, request: &BrokerRegistrationRequest<'_>) -> (i16, i64) {
    let decided = cluster.decide(|v| register(v, request, 4).expect("decides"), |d| d.decision.records.clone());
    if let Some(News::Registered(id)) = decided.news {
        cluster.sessions.registered(id, cluster.now_ms);
    }
    let response: BrokerRegistrationResponse<'_> = decode(&decided.decision.body, 4);
    (response.error_code, response.broker_epoch)
}

/// One heartbeat; returns (error, fenced, should shut down).
fn beat(cluster: &mut Cluster, id: i32, want_fence: bool, want_shut_down: bool) -> (i16, bool, bool) {
    let broker_epoch = cluster.image.cluster.broker(id).map_or(-1, |b| b.epoch);
    let request = BrokerHeartbeatRequest {
        broker_id: id,
        broker_epoch,
        current_metadata_offset: cluster.image.offset,
        want_fence,
        want_shut_down,
        ..Default::default()
    };
    let decided = cluster.decide(|v| heartbeat(v, &request, 1).expect("decides"), |d| d.decision.records.clone());
    if let Some(News::Heard(heartbeat)) = decided.news {
        cluster.sessions.heard(heartbeat, cluster.now_ms);
    }
    let response: BrokerHeartbeatResponse<'_> = decode(&decided.decision.body, 1);
    (response.error_code, response.is_fenced, response.should_shut_down)
}

fn expire(cluster: &mut Cluster) -> Vec<i32> {
    let ids = cluster.sessions.expired(&cluster.image, cluster.now_ms);
    for id in &ids {
        let broker = cluster.image.cluster.broker(*id).expect("registered").clone();
        cluster.decide(|view| fence(view, &broker), Clone::clone);
    }
    ids
}

#[test]
fn a_new_broker_is_fenced_until_it_has_caught_up() {
    let mut cluster = Cluster::new(0);
    let (error, epoch) = register_broker(&mut cluster, &request(1, 1, -1));
    assert_eq!((error, epoch), (0, cluster.image.offset), "the epoch is the offset of the record");
    assert!(cluster.image.cluster.broker(1).expect("registered").fenced);
    let behind = BrokerHeartbeatRequest { broker_id: 1, broker_epoch: epoch, ..Default::default() };
    let behind = BrokerHeartbeatRequest { current_metadata_offset: epoch - 1, ..behind };
    let decided = cluster.decide(|v| heartbeat(v, &behind, 1).expect("decides"), |d| d.decision.records.clone());
    assert!(decided.decision.records.is_empty());
    assert_eq!(beat(&mut cluster, 1, true, false), (0, true, false), "it does not want to yet");
    assert_eq!(beat(&mut cluster, 1, false, false), (0, false, false));
    assert!(cluster.image.cluster.broker(1).expect("registered").is_active());
}

#[test]
fn a_silent_broker_is_fenced_and_its_partitions_move() {
    let mut cluster = with_partition(2, &[1, 2]);
    cluster.now_ms = 8999;
    beat(&mut cluster, 2, false, false);
    assert_eq!(expire(&mut cluster), Vec::<i32>::new());
    cluster.now_ms = 9000;
    assert_eq!(expire(&mut cluster), [1]);
    let p = partition(&cluster);
    assert_eq!((p.leader, p.isr, p.leader_epoch), (2, vec![2], 1));
    assert!(cluster.image.cluster.broker(1).expect("registered").fenced);
}

/// As Apache Kafka 4.4.0 recorded the same with one broker: cleanly stopped, it is the eligible leader that comes back;
/// killed, it comes back as a leader whose log may lack something.
#[test]
fn a_lone_broker_leads_again_after_a_clean_stop_and_after_a_kill() {
    let mut cluster = with_partition(1, &[1]);
    assert_eq!(beat(&mut cluster, 1, false, true), (0, false, false), "first its leaderships go");
    let p = partition(&cluster);
    assert_eq!((p.leader, p.isr, p.elr, p.last_known_elr), (-1, vec![], vec![1], vec![1]));
    assert_eq!(beat(&mut cluster, 1, false, true), (0, true, true));

    let stopped = cluster.image.cluster.broker(1).expect("registered").epoch;
    assert_eq!(register_broker(&mut cluster, &request(1, 2, stopped)).0, 0);
    assert_eq!(beat(&mut cluster, 1, false, false), (0, false, false));
    let p = partition(&cluster);
    assert_eq!((p.leader, p.isr, p.elr, p.leader_recovery_state), (1, vec![1], vec![], 0));

    cluster.now_ms += 60_000;
    assert_eq!(register_broker(&mut cluster, &request(1, 3, -1)).0, 0);
    let p = partition(&cluster);
    assert_eq!((p.leader, p.isr, p.elr, p.last_known_elr), (-1, vec![], vec![], vec![1]));
    assert_eq!(beat(&mut cluster, 1, false, false), (0, false, false));
    let p = partition(&cluster);
    assert_eq!((p.leader, p.isr, p.last_known_elr, p.leader_recovery_state), (1, vec![1], vec![], 1));
}

#[test]
fn an_orderly_stop_hands_leaderships_over_before_the_broker_may_go() {
    let mut cluster = with_partition(2, &[1, 2]);
    assert_eq!(beat(&mut cluster, 1, false, true), (0, false, false));
    assert_eq!(partition(&cluster).leader, 2);
    assert_eq!(beat(&mut cluster, 1, false, true), (0, false, false), "broker 2 has not read that it leads now");
    beat(&mut cluster, 2, false, false);
    assert_eq!(beat(&mut cluster, 1, false, true), (0, true, true));
}

#[test]
fn a_living_brokers_id_is_not_given_away() {
    let mut cluster = Cluster::new(1);
    let duplicate = ErrorCode::DuplicateBrokerRegistration as i16;
    assert_eq!(register_broker(&mut cluster, &request(1, 77, -1)).0, duplicate);
    cluster.now_ms = 9000;
    assert_eq!(register_broker(&mut cluster, &request(1, 77, -1)).0, 0);
    let mut cluster = Cluster::new(1);
    cluster.sessions.begin_life(1);
    assert_eq!(register_broker(&mut cluster, &request(1, 77, -1)).0, 0, "the earlier life of this very process");
    assert_eq!(register_broker(&mut cluster, &request(1, 78, -1)).0, duplicate);
}

#[test]
fn every_refusal_of_a_registration_has_kafkas_code() {
    let mut cluster = Cluster::new(2);
    cluster.now_ms = 9000;
    let codes = [
        (BrokerRegistrationRequest { cluster_id: "other", ..request(3, 3, -1) }, ErrorCode::InconsistentClusterId),
        (BrokerRegistrationRequest { listeners: vec![], ..request(3, 3, -1) }, ErrorCode::InvalidRegistration),
        (BrokerRegistrationRequest { log_dirs: vec![], ..request(3, 3, -1) }, ErrorCode::InvalidRegistration),
        (
            BrokerRegistrationRequest { log_dirs: vec![Uuid([52; 16])], ..request(3, 3, -1) },
            ErrorCode::InvalidRegistration,
        ),
        (BrokerRegistrationRequest { features: vec![], ..request(3, 3, -1) }, ErrorCode::UnsupportedVersion),
    ];
    for (request, error) in codes {
        assert_eq!(register_broker(&mut cluster, &request).0, error as i16);
    }
}

#[test]
fn heartbeats_of_another_life_are_refused() {
    let mut cluster = Cluster::new(1);
    let stale = BrokerHeartbeatRequest { broker_id: 1, broker_epoch: 7, ..Default::default() };
    let unknown = BrokerHeartbeatRequest { broker_id: 5, broker_epoch: 7, ..Default::default() };
    for (request, error) in [(stale, ErrorCode::StaleBrokerEpoch), (unknown, ErrorCode::BrokerIdNotRegistered)] {
        let decided = cluster.decide(|v| heartbeat(v, &request, 1).expect("decides"), |d| d.decision.records.clone());
        let response: BrokerHeartbeatResponse<'_> = decode(&decided.decision.body, 1);
        assert_eq!(response.error_code, error as i16);
    }
}

#[test]
fn a_broker_that_is_unregistered_is_forgotten() {
    let mut cluster = with_partition(2, &[1, 2]);
    cluster.run(|view| unregister(view, &UnregisterBrokerRequest { broker_id: 1, ..Default::default() }, 0));
    assert!(cluster.image.cluster.broker(1).is_none());
    assert_eq!(partition(&cluster).leader, 2);
}
