//! A node with more partitions than descriptors.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod support;

use std::path::{Path, PathBuf};

use ottla_client::ProducerRecord;
use ottla_env::fs;
use ottla_env::task::Runtime;
use ottla_env::time::Instant;
use ottla_testkit::process::{Program, Server};
use support::{Node, binary};

const TOPICS: usize = 3;
/// Of each topic: more in all than there are descriptors. By hand it was five topics of 2,000.
const PARTITIONS: i32 = 500;
const ROUNDS: usize = 2;
/// What is bounded on most systems unless somebody changed it.
const DESCRIPTORS: usize = 1_024;

/// The node's program, with a lower limit of descriptors.
fn limited(dir: &Path) -> PathBuf {
    let script = dir.join("limited");
    let lines = format!("#!/bin/sh\nulimit -n {DESCRIPTORS}\nexec {} \"$@\"\n", binary().display());
    fs::write_atomically(&script, lines).unwrap();
    let made = std::process::Command::new("chmod").arg("+x").arg(&script).status().unwrap();
    assert!(made.success());
    script
}

fn open_descriptors(node: &Node) -> usize {
    fs::read_dir(format!("/proc/{}/fd", node.server.id().unwrap())).unwrap().len()
}

#[test]
fn more_partitions_than_descriptors_are_written_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::Ottla(limited(dir.path()));
    Runtime::new(2).unwrap().block_on(async {
        let mut node = Node { server: Server::new(program, &[]).await.unwrap() };
        node.server.start().await.unwrap();
        let begun = Instant::now();
        for topic in 0..TOPICS {
            node.try_create(&format!("t{topic}"), Some(PARTITIONS), &[]).await.unwrap();
        }
        println!("created within {} ms", begun.elapsed().as_millis());
        let begun = Instant::now();
        let producer = node.producer(&[("linger.ms", "20"), ("delivery.timeout.ms", "120000")]).await;
        for round in 0..ROUNDS {
            let mut deliveries = Vec::new();
            for partition in 0..PARTITIONS {
                for topic in 0..TOPICS {
                    let topic = format!("t{topic}");
                    let record = ProducerRecord::new(&topic, b"x").with_partition(partition);
                    deliveries.push(producer.send(record).await.unwrap());
                }
            }
            for delivery in deliveries {
                assert_eq!(delivery.wait().await.unwrap().offset, round as i64);
            }
            assert!(open_descriptors(&node) < DESCRIPTORS, "{}", open_descriptors(&node));
        }
        println!("written within {} ms", begun.elapsed().as_millis());
        // There is room for others.
        assert_eq!(node.admin().await.describe_cluster().await.unwrap().brokers.len(), 1);
        let begun = Instant::now();
        assert!(node.server.stop().await.unwrap().success());
        println!("stopped within {} ms", begun.elapsed().as_millis());
        let begun = Instant::now();
        node.server.start().await.unwrap();
        let record = ProducerRecord::new("t0", b"x").with_partition(7);
        assert_eq!(node.produce(record).await.unwrap().offset, ROUNDS as i64);
        println!("started, and wrote, within {} ms", begun.elapsed().as_millis());
    });
}
