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
use ottla_env::time::Instant;
use ottla_protocol::ErrorCode;
use support::{PATIENCE, with_node};

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
