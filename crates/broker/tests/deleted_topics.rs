//! Topics that go: those who wait on them hear at once, and logs of which the metadata knows nothing are set aside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ottla_broker::replica::manager::{Missing, ReplicaManager};
use ottla_env::{fs, time};
use ottla_metadata::config::{BrokerConfig, Settings};
use ottla_metadata::records::{PartitionRecord, RemoveTopicRecord};
use ottla_metadata::{CommittedBatch, MetadataLoader, MetadataRecord};
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::fetch_response::FetchResponse;
use ottla_protocol::messages::produce_response::ProduceResponse;
use ottla_protocol::{ErrorCode, Uuid};
use ottla_storage::LogManager;
use support::{TOPIC_ID, batch, decode, open_logs, produce, topic, with_broker};

/// How long a client waits in the requests below; an answer within [`AT_ONCE`] did not wait for that.
const LONG_MS: i32 = 120_000;
const AT_ONCE: Duration = Duration::from_secs(30);

fn removed(topic_id: Uuid) -> MetadataRecord {
    RemoveTopicRecord { topic_id }.into()
}

/// A consumer at the end of the log, and a producer whose second replica never fetches: both would wait for two minutes.
#[test]
fn who_waits_on_a_topic_hears_that_it_is_deleted() {
    with_broker(&[1, 2], &[], |rig| async move {
        let (producer, consumer) = (rig.connect().await, rig.connect().await);
        producer.send(9, 1, &produce(-1, LONG_MS, &batch("one"))).await;
        let partition = FetchPartition { partition: 0, partition_max_bytes: 1 << 20, ..FetchPartition::default() };
        let fetch = FetchRequest {
            max_wait_ms: LONG_MS,
            min_bytes: 1,
            max_bytes: 1 << 20,
            session_epoch: -1,
            topics: vec![FetchTopic { topic_id: TOPIC_ID, partitions: vec![partition], ..FetchTopic::default() }],
            ..FetchRequest::default()
        };
        consumer.send(15, 1, &fetch).await;
        let held = rig.broker.replicas.find("t", 0).unwrap();
        while held.readable().is_empty() || held.committed().is_empty() {
            time::sleep(Duration::from_millis(5)).await;
        }
        let records = vec![removed(TOPIC_ID)];
        rig.loader.load_batches([CommittedBatch { last_offset: 11, epoch: 1, records }]).unwrap();

        let (_, answer) = time::timeout(AT_ONCE, producer.receive()).await.expect("the producer is answered");
        let produced: ProduceResponse<'_> = decode(&answer, 9, true);
        let code = produced.responses[0].partition_responses[0].error_code;
        assert_eq!(ErrorCode::from_code(code), Some(ErrorCode::NotLeaderOrFollower));
        let (_, answer) = time::timeout(AT_ONCE, consumer.receive()).await.expect("the consumer is answered");
        let fetched: FetchResponse<'_> = decode(&answer, 15, true);
        let code = fetched.responses[0].partitions[0].error_code;
        assert_eq!(ErrorCode::from_code(code), Some(ErrorCode::UnknownTopicId));
        assert!(held.check_leader(-1).is_err(), "whoever still holds it appends no more");
    });
}

fn manager(dir: &Path, logs: &Arc<LogManager>) -> Arc<ReplicaManager> {
    let mut settings = Settings::first_run();
    settings.add_flag(&format!("log.dirs={}", dir.display())).unwrap();
    let (config, _) = BrokerConfig::from_settings(&settings).unwrap();
    Arc::new(ReplicaManager::new(Arc::new(config), Arc::clone(logs)))
}

fn names(dir: &Path, ending: &str) -> Vec<String> {
    fs::read_dir(dir).unwrap().into_iter().map(|entry| entry.name).filter(|name| name.ends_with(ending)).collect()
}

/// The node died after the deletions of `gone` and `again` were committed and before their logs were renamed; `again` was
/// made again before it is back.
#[test]
fn the_first_image_after_a_start_tells_which_logs_are_strays() {
    let (old, new, kept) = (Uuid([1; 16]), Uuid([2; 16]), Uuid([3; 16]));
    let dir = tempfile::tempdir().unwrap();
    let logs = open_logs(dir.path());
    for (name, id) in [("gone", old), ("again", old), ("kept", kept)] {
        logs.create(name, 0, id, Arc::default()).unwrap();
    }
    let loader = MetadataLoader::new();
    let replicas = manager(dir.path(), &logs);
    loader.load_batches([batch_of(10, [topic("again", new), topic("kept", kept)].concat())]).unwrap();
    loader.add_publisher(Arc::clone(&replicas) as _);

    assert_eq!(replicas.find("again", 0).unwrap().log().topic_id(), new, "it is served");
    assert_eq!(replicas.find("kept", 0).unwrap().log().topic_id(), kept);
    assert!(logs.get("gone", 0).is_none() && !fs::exists(dir.path().join("gone-0")));
    assert_eq!(names(dir.path(), "-stray").len(), 2, "what was there is kept");

    // Deleted and made again in one step: nothing is a stray, since the deletion is known.
    let records = [vec![removed(new)], topic("again", old).to_vec()].concat();
    loader.load_batches([batch_of(13, records)]).unwrap();
    assert_eq!(replicas.find("again", 0).unwrap().log().topic_id(), old);
    assert_eq!((names(dir.path(), "-stray").len(), names(dir.path(), "-delete").len()), (2, 1));
}

/// A reassignment has given the partition to another broker: its log goes while the broker runs, not only at the next start.
#[test]
fn a_replica_that_is_reassigned_to_others_is_deleted() {
    let id = Uuid([3; 16]);
    let dir = tempfile::tempdir().unwrap();
    let logs = open_logs(dir.path());
    let loader = MetadataLoader::new();
    let replicas = manager(dir.path(), &logs);
    loader.load_batches([batch_of(10, topic("t", id).to_vec())]).unwrap();
    loader.add_publisher(Arc::clone(&replicas) as _);
    let held = replicas.find("t", 0).unwrap();
    let elsewhere = PartitionRecord {
        partition_id: 0,
        topic_id: id,
        replicas: vec![2],
        isr: vec![2],
        leader: 2,
        leader_epoch: 1,
        directories: vec![Uuid([8; 16])],
        ..PartitionRecord::default()
    };
    loader.load_batches([batch_of(11, vec![elsewhere.into()])]).unwrap();
    assert_eq!(replicas.find("t", 0).err(), Some(Missing::NotReplica));
    assert!(held.check_leader(-1).is_err() && logs.get("t", 0).is_none());
    assert_eq!((fs::exists(dir.path().join("t-0")), names(dir.path(), "-delete").len()), (false, 1));
}

fn batch_of(last_offset: i64, records: Vec<MetadataRecord>) -> CommittedBatch {
    CommittedBatch { last_offset, epoch: 1, records }
}
