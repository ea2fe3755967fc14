//! A device that is full, for real: a small tmpfs. Producers are told, readers are served, and everything goes on by itself
//! once there is space again. Needs root, and counts as not run without it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ottla_broker::replica::manager::Missing;
use ottla_env::fs::{self, File};
use ottla_env::time::{self, Instant};
use ottla_metadata::records::RemoveTopicRecord;
use ottla_metadata::{CommittedBatch, MetadataRecord};
use ottla_protocol::messages::produce_response::ProduceResponse;
use ottla_protocol::{ErrorCode, Uuid};
use ottla_storage::{AppendOrigin, Log, LogConfig, LogDir, OpenOptions};
use support::{Client, TOPIC, batch, decode, produce, topic, with_written_logs};

const SIZE: u64 = 8 << 20;
const RESERVE: u64 = 1 << 20;

/// A tmpfs, gone with the value.
struct Mounted(PathBuf);

impl Mounted {
    fn at(path: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "none"]).arg(path);
        let done = mount.output().is_ok_and(|out| out.status.success());
        done.then(|| Self(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Files may still be open in the broker.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The code and base offset that a batch is answered with.
async fn produced(client: &Client, value: &str) -> (Option<ErrorCode>, i64) {
    client.send(9, 1, &produce(-1, 20_000, &batch(value))).await;
    let (_, answer) = client.receive().await;
    let response: ProduceResponse<'_> = decode(&answer, 9, true);
    let partition = &response.responses[0].partition_responses[0];
    (ErrorCode::from_code(partition.error_code), partition.base_offset)
}

/// Takes what is left of the device.
fn fill(path: &Path) -> PathBuf {
    let filler = path.join("filler");
    let file = File::create(&filler).unwrap();
    let (mut at, mut step) = (0, 1 << 20);
    while step > 0 {
        match file.write_all_at(&vec![1; step], at) {
            Ok(()) => at += step as u64,
            Err(_) => step /= 2,
        }
    }
    filler
}

/// A log that keeps space in reserve, as that of the metadata does.
fn reserved(dir: &Arc<LogDir>) -> Arc<Log> {
    let config = LogConfig { reserve_bytes: RESERVE, ..LogConfig::default() };
    let options = OpenOptions { clean_shutdown: true, ..OpenOptions::default() };
    let log = Log::open(dir, "reserved", 0, Uuid([8; 16]), Arc::new(config), options).unwrap();
    note(&log).unwrap();
    log
}

fn note(log: &Log) -> Result<(), ottla_storage::AppendError> {
    log.append_as_leader(&mut batch(&"x".repeat(1000)), 0, AppendOrigin::RaftLeader, 0).map(|_| ())
}

#[test]
fn a_full_device_is_told_and_passes() {
    let mut mounted = None;
    with_written_logs(
        |dir| mounted = Mounted::at(dir),
        |rig| async move {
            let log = rig.broker.replicas.find(TOPIC, 0).unwrap().log().clone();
            let dir = Arc::clone(log.dir());
            if fs::space(dir.path()).unwrap().total > SIZE {
                println!("NOT RUN: a full device needs root, to mount a tmpfs");
                return;
            }
            let client = rig.connect().await;
            assert_eq!(produced(&client, "before").await, (Some(ErrorCode::None), 0));
            let reserved = reserved(&dir);
            let filler = fill(dir.path());

            let large = "y".repeat(100_000);
            assert_eq!(produced(&client, &large).await.0, Some(ErrorCode::KafkaStorageError));
            assert!(dir.check_online().is_ok(), "a full device is not a broken one");
            assert_eq!(
                log.read(0, 1 << 20, 1, true).unwrap().slice.unwrap().read().unwrap().len(),
                batch("before").len()
            );
            for _ in 0..100 {
                note(&reserved).expect("it has its reserve");
            }
            let file = reserved.path().join("00000000000000000000.log");
            assert_eq!(fs::file_len(&file).unwrap(), reserved.size_bytes(), "which is no part of its length");

            fs::remove_file(filler).unwrap();
            assert_eq!(produced(&client, &large).await, (Some(ErrorCode::None), 1), "at once, and without a gap");
            let before = fs::space(dir.path()).unwrap().available;
            reserved.close().unwrap();
            let after = fs::space(dir.path()).unwrap().available;
            assert!(after >= before + RESERVE / 4, "the reserve is given back: {before} and {after}");
        },
    );
    drop(mounted);
}

/// They stayed offline until the next start.
#[test]
fn partitions_that_are_made_without_space_are_served_when_there_is_some() {
    let mut mounted = None;
    with_written_logs(
        |dir| mounted = Mounted::at(dir),
        |rig| async move {
            // All of it: without its last part, the broker stops.
            let rig = &rig;
            let dir = Arc::clone(rig.broker.replicas.find(TOPIC, 0).unwrap().log().dir());
            if fs::space(dir.path()).unwrap().total > SIZE {
                println!("NOT RUN: a full device needs root, to mount a tmpfs");
                return;
            }
            let load = |last_offset, records: Vec<MetadataRecord>| {
                rig.loader.load_batches([CommittedBatch { last_offset, epoch: 1, records }]).unwrap();
            };
            let found =
                |name: &str| rig.broker.replicas.find(name, 0).map(|partition| partition.check_leader(-1).is_ok());
            let filler = fill(dir.path());
            let (kept, gone) = (Uuid([10; 16]), Uuid([11; 16]));
            load(14, [topic("kept", kept), topic("gone", gone)].concat());
            assert_eq!((found("kept"), found("gone")), (Err(Missing::Offline), Err(Missing::Offline)));
            assert!(dir.check_online().is_ok());
            load(15, vec![RemoveTopicRecord { topic_id: gone }.into()]);

            fs::remove_file(filler).unwrap();
            let began = Instant::now();
            while found("kept") != Ok(true) {
                assert!(began.elapsed() < Duration::from_secs(30), "it is tried again: {:?}", found("kept"));
                time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(found("gone"), Err(Missing::UnknownTopic));
            assert!(!rig.broker.replicas.is_waiting());
        },
    );
    drop(mounted);
}
