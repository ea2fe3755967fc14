//! A full disk under a running node, for real: an ext4 in a file, on a loop device. Producers are told, readers are served, the
//! metadata goes on from its reserve, and once there is space again so does everything, by itself. Needs root, and counts as
//! not run without it. `broker/tests/disk_full.rs` has the same on a tmpfs, from within.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ottla_client::admin::{ConfigChange, ConfigResource, OffsetSpec};
use ottla_client::{Error, Producer, ProducerRecord, TopicPartition};
use ottla_env::fs::{self, File};
use ottla_env::time::{self, Instant};
use ottla_protocol::ErrorCode;
use support::{Node, PATIENCE, eventually, with_node};

const IMAGE_BYTES: u64 = 64 << 20;
const FILLER_BYTES: u64 = 8 << 20;

/// A mounted file system, gone with the value.
struct Mounted(PathBuf);

impl Mounted {
    /// None where it may not be made.
    fn below(dir: &Path) -> Option<Self> {
        let (image, at) = (dir.join("image"), dir.join("disk"));
        File::create(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
        fs::create_dir_all(&at).unwrap();
        let done = |command: &mut Command| command.output().is_ok_and(|out| out.status.success());
        // No blocks kept for root, who runs this.
        let made = done(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image));
        (made && done(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at))).then_some(Self(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // The node may still hold files.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Takes what is left of a disk, to the last byte. What the file system sets apart for blocks that it has yet to place comes back
/// with a sync.
fn fill(disk: &Path) -> PathBuf {
    let filler = disk.join("filler");
    let file = File::create(&filler).unwrap();
    let (mut at, mut before) = (0, None);
    while before != Some(at) {
        before = Some(at);
        let mut step = 1 << 20;
        while step > 0 {
            match file.write_all_at(&vec![1; step], at) {
                Ok(()) => at += step as u64,
                Err(_) => step /= 2,
            }
        }
        fs::sync_file_system(disk).unwrap();
    }
    filler
}

/// How many lines the node has printed with these words.
fn lines(node: &Node, words: &str) -> usize {
    node.server.log().lines().filter(|line| line.contains(words)).count()
}

/// Fills the disk, and then the last block of a segment with small records, until not even one of these fits. Gives the filler,
/// and how many records were acknowledged.
async fn fill_and_append(node: &Node, disk: &Path) -> (PathBuf, i64) {
    let producer = node.producer(&[("linger.ms", "0"), ("enable.idempotence", "false"), ("retries", "0")]).await;
    // It takes the block.
    sent(&producer, b"small").await.unwrap();
    let filler = fill(disk);
    let mut acknowledged = 1;
    loop {
        match sent(&producer, b"small").await {
            Ok(_) => acknowledged += 1,
            refused => {
                assert!(is_storage_error(&refused) && acknowledged > 1, "{acknowledged}, {refused:?}");
                return (filler, acknowledged);
            }
        }
    }
}

async fn sent(producer: &Producer, value: &[u8]) -> Result<i64, Error> {
    Ok(producer.send(ProducerRecord::new("t", value)).await?.wait().await?.offset)
}

fn is_storage_error(outcome: &Result<i64, Error>) -> bool {
    matches!(outcome, Err(Error::Broker { code: ErrorCode::KafkaStorageError, .. }))
}

#[test]
fn a_full_disk_is_told_and_passes() {
    let temp = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::below(temp.path()) else {
        println!("NOT RUN: a full ext4 needs root, mkfs.ext4 and a loop device");
        return;
    };
    let (data, filler) = (mounted.0.join("data"), mounted.0.join("filler"));
    let properties = [
        ("log.dirs", data.to_str().unwrap()),
        // Checkpoints find the disk full, too.
        ("replica.high.watermark.checkpoint.interval.ms", "50"),
        ("log.flush.offset.checkpoint.interval.ms", "200"),
    ];
    let disk = mounted.0.clone();
    with_node(&properties, |mut node| async move {
        File::create(&filler).unwrap().write_all_at(&vec![1; FILLER_BYTES as usize], 0).unwrap();
        node.create("t", &[]).await;
        let properties = [("linger.ms", "0"), ("enable.idempotence", "false"), ("retries", "0")];
        let producer = node.producer(&properties).await;
        assert_eq!(sent(&producer, b"first").await.unwrap(), 0);
        let mut acknowledged = 1;
        // Whoever begins now has his group's partitions there already.
        let mut consumer =
            node.consumer("g", &[("auto.offset.reset", "earliest"), ("enable.auto.commit", "false")]).await;
        consumer.assign([TopicPartition::new("t", 0)]);
        let mut read = 0;
        while read < 1 {
            read += consumer.poll(Duration::from_secs(1)).await.unwrap().len() as i64;
        }
        // Until not even a small one fits.
        for bytes in [500_000, 50_000, 1_000] {
            let value = vec![b'x'; bytes];
            let refused = loop {
                match sent(&producer, &value).await {
                    Ok(offset) => assert_eq!(offset, acknowledged),
                    refused => break refused,
                }
                acknowledged += 1;
            };
            assert!(is_storage_error(&refused), "{bytes} bytes: {refused:?}");
        }
        assert!(acknowledged > 20, "{acknowledged}");
        assert!(fs::space(&disk).unwrap().available < 200_000, "{:?}", fs::space(&disk));

        let began = Instant::now();
        while read < acknowledged {
            assert!(began.elapsed() < PATIENCE, "{read} of {acknowledged} are read");
            read += consumer.poll(Duration::from_secs(1)).await.unwrap().len() as i64;
        }
        let topic = ConfigResource::Topic("t".to_owned());
        for n in 0..50 {
            let change = [("retention.ms".to_owned(), ConfigChange::Set((1_000_000 + n).to_string()))];
            node.admin().await.alter_configs(&topic, &change, false).await.expect("the metadata log has its reserve");
        }
        assert!(is_storage_error(&sent(&producer, &[b'x'; 1_000]).await), "it is full still");

        fs::remove_file(&filler).unwrap();
        assert_eq!(sent(&producer, &[b'y'; 500_000]).await.expect("at once"), acknowledged, "and without a gap");
        let log = node.server.log();
        assert!(!log.contains("log directory is offline"), "{log}");
        assert!(node.server.stop().await.unwrap().success());
        node.server.start().await.unwrap();
        assert_eq!(node.offset("t", OffsetSpec::Latest).await, acknowledged + 1);
        node.server.kill().unwrap();
    });
}

/// It could not begin: the partitions of its topic were made when there was no space, and stayed offline until the next start.
/// Apache Kafka takes the log directory offline for that, and stops if it is the last one.
#[test]
fn a_first_group_waits_for_space() {
    let temp = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::below(temp.path()) else {
        println!("NOT RUN: a full ext4 needs root, mkfs.ext4 and a loop device");
        return;
    };
    let data = mounted.0.join("data");
    let properties = [("log.dirs", data.to_str().unwrap()), ("offsets.topic.num.partitions", "3")];
    let disk = mounted.0.clone();
    with_node(&properties, |mut node| async move {
        node.create("t", &[]).await;
        node.produce(ProducerRecord::new("t", b"first")).await.unwrap();
        let filler = fill(&disk);
        let mut consumer = node.consumer("g", &[("auto.offset.reset", "earliest")]).await;
        consumer.subscribe(["t"]).unwrap();
        let began = Instant::now();
        while lines(&node, "partitions wait for space") == 0 {
            assert!(began.elapsed() < PATIENCE, "it is told: {}", node.server.log_tail());
            assert_eq!(
                consumer.poll(Duration::from_millis(50)).await.unwrap().len(),
                0,
                "nobody coordinates the group"
            );
        }
        fs::remove_file(&filler).unwrap();
        let began = Instant::now();
        while consumer.poll(Duration::from_millis(50)).await.unwrap().is_empty() {
            assert!(began.elapsed() < PATIENCE, "the group begins: {}", node.server.log_tail());
        }
        consumer.commit().await.unwrap();
        assert_eq!(lines(&node, "partitions wait for space"), 1, "once for all of them, however often it was tried");
        assert!(lines(&node, "partitions that waited for space or descriptors are served") > 0);
        node.server.kill().unwrap();
    });
}

/// What the node has told of its checkpoints, in order: that they wait (true), and that they do no more.
fn told_of_checkpoints(node: &Node) -> Vec<bool> {
    let log = node.server.log();
    let told = log.lines().filter_map(|line| match () {
        () if line.contains("checkpoints wait for space") => Some(true),
        () if line.contains("checkpoints are written") => Some(false),
        () => None,
    });
    told.collect()
}

/// Fills the disk so that checkpoints wait, which a block may hinder that one of them gives back just then. Gives the filler, and
/// how many records were acknowledged.
async fn fill_until_checkpoints_wait(node: &Node, disk: &Path) -> (PathBuf, i64) {
    let (began, mut acknowledged) = (Instant::now(), 0);
    loop {
        let (filler, more) = fill_and_append(node, disk).await;
        acknowledged += more;
        for _ in 0..50 {
            if told_of_checkpoints(node).last() == Some(&true) {
                return (filler, acknowledged);
            }
            time::sleep(Duration::from_millis(20)).await;
        }
        assert!(began.elapsed() < PATIENCE, "it is told: {}", node.server.log_tail());
        fs::remove_file(&filler).unwrap();
    }
}

/// The line about checkpoints came with each of them, twenty times a second here; and the stop was not clean, since the metadata
/// log gave its reserve back only after it had tried to write.
#[test]
fn checkpoints_wait_quietly_and_a_stop_is_clean() {
    let temp = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::below(temp.path()) else {
        println!("NOT RUN: a full ext4 needs root, mkfs.ext4 and a loop device");
        return;
    };
    let data = mounted.0.join("data");
    let properties = [
        ("log.dirs", data.to_str().unwrap()),
        ("replica.high.watermark.checkpoint.interval.ms", "50"),
        ("log.flush.offset.checkpoint.interval.ms", "50"),
    ];
    let disk = mounted.0.clone();
    with_node(&properties, |mut node| async move {
        node.create("t", &[]).await;
        let (filler, mut acknowledged) = fill_until_checkpoints_wait(&node, &disk).await;
        fs::remove_file(&filler).unwrap();
        eventually("it is over", async || told_of_checkpoints(&node).last() == Some(&false)).await;
        let (filler, more) = fill_until_checkpoints_wait(&node, &disk).await;
        acknowledged += more;

        assert!(node.server.stop().await.unwrap().success(), "{}", node.server.log_tail());
        assert!(fs::exists(disk.join("data/.kafka_cleanshutdown")));
        let told = told_of_checkpoints(&node);
        assert!(told.is_sorted_by(|before, next| before != next), "never the same twice: {told:?}");
        fs::remove_file(&filler).unwrap();
        node.server.start().await.unwrap();
        assert_eq!(node.offset("t", OffsetSpec::Latest).await, acknowledged);
        node.server.kill().unwrap();
    });
}

/// Where no reserve is given back there is no space for what a clean stop promises. It is said once, and nothing is lost.
#[test]
fn a_stop_without_a_byte_of_space_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::below(temp.path()) else {
        println!("NOT RUN: a full ext4 needs root, mkfs.ext4 and a loop device");
        return;
    };
    let (data, metadata) = (mounted.0.join("data"), temp.path().join("metadata"));
    let properties = [
        ("log.dirs", data.to_str().unwrap()),
        ("metadata.log.dir", metadata.to_str().unwrap()),
        // Only the stop writes what is written beside the records.
        ("replica.high.watermark.checkpoint.interval.ms", "3600000"),
        ("log.flush.offset.checkpoint.interval.ms", "3600000"),
    ];
    let disk = mounted.0.clone();
    with_node(&properties, |mut node| async move {
        node.create("t", &[]).await;
        let (filler, acknowledged) = fill_and_append(&node, &disk).await;
        assert!(!node.server.stop().await.unwrap().success());
        assert!(!fs::exists(disk.join("data/.kafka_cleanshutdown")), "it would be a lie");
        let log = node.server.log();
        let said: Vec<_> = log.lines().filter(|line| line.contains("stop") && line.contains("No space left")).collect();
        assert!(said.len() == 1 && said[0].contains("the next start recovers the logs"), "{said:?}");
        fs::remove_file(&filler).unwrap();
        node.server.start().await.unwrap();
        assert_eq!(node.offset("t", OffsetSpec::Latest).await, acknowledged);
        assert!(node.server.stop().await.unwrap().success());
    });
}
