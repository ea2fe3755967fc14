//! Replicas move between the log directories of a node that is used, killed and restarted meanwhile (KIP-113).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/moves.rs"]
mod moving;
mod support;

use std::path::Path;
use std::time::Duration;

use ottla_client::admin::{ConfigChange, ConfigResource, OffsetSpec};
use ottla_client::{ProducerRecord, TopicPartition};
use ottla_env::task::Runtime;
use ottla_env::{fs, task, time};
use ottla_protocol::ErrorCode;
use ottla_testkit::process::{Program, Server};

use moving::{alter, copies_in, lies_in, replica_in, two_dirs};
use support::{Node, PATIENCE, binary, eventually, names, with_node};

const RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";

async fn set_rate(node: &Node, change: ConfigChange) {
    let this = ConfigResource::Broker(Some(1));
    node.admin().await.alter_configs(&this, &[(RATE.to_owned(), change)], false).await.unwrap();
}

/// Reads partition 0 from its start, until so many records are there: each holds its number.
async fn check_numbers(node: &Node, count: usize) {
    let mut consumer = node.consumer("", &[("group.id", "")]).await;
    let tp = TopicPartition::new("t", 0);
    consumer.assign([tp.clone()]);
    consumer.seek_to_beginning(&tp).unwrap();
    let mut next = 0;
    while next < count {
        let records = time::timeout(PATIENCE, consumer.poll(Duration::from_secs(1))).await.unwrap().unwrap();
        for record in records {
            assert_eq!((record.offset, record.value.as_deref()), (next as i64, Some(next.to_string().as_bytes())));
            next += 1;
        }
    }
}

async fn produce_numbers(node: &Node, numbers: std::ops::Range<usize>) {
    let producer = node.producer(&[("linger.ms", "0"), ("batch.size", "1")]).await;
    for number in numbers {
        let text = number.to_string();
        let sent = producer.send(ProducerRecord::new("t", text.as_bytes()).with_partition(0)).await.unwrap();
        assert_eq!(sent.wait().await.unwrap().offset, number as i64);
    }
}

/// There and back again, again and again, under a producer that hears of no error and misses nothing.
#[test]
fn a_partition_moves_while_it_is_written_and_read() {
    let disks = tempfile::tempdir().unwrap();
    let ([a, b], log_dirs) = two_dirs(disks.path());
    let often = ("log.retention.check.interval.ms", "100");
    with_node(&[("log.dirs", &*log_dirs), often], |node| async move {
        node.create("t", &[("file.delete.delay.ms", "100")]).await;
        let producer = node.producer(&[("linger.ms", "0"), ("retries", "0"), ("enable.idempotence", "false")]).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let writing = task::spawn("producer", async move {
            let mut count = 0_usize;
            while !*stopped.borrow() {
                let text = count.to_string();
                let sent = producer.send(ProducerRecord::new("t", text.as_bytes()).with_partition(0)).await.unwrap();
                assert_eq!(sent.wait().await.unwrap().offset, count as i64, "without an error, without a repetition");
                count += 1;
            }
            count
        });
        let (mut from, mut to) = if fs::exists(a.join("t-0")) { (&a, &b) } else { (&b, &a) };
        for _ in 0..6 {
            assert_eq!(alter(&node, "t", 0, to).await, ErrorCode::None);
            eventually("it has moved", async || lies_in(&node, "t", to, from).await).await;
            check_numbers(&node, 10).await;
            (from, to) = (to, from);
        }
        stop.send(true).unwrap();
        let count = writing.await.unwrap();
        check_numbers(&node, count).await;
        eventually("the old ones go", async || names(&a, "-delete").len() + names(&b, "-delete").len() == 0).await;
    });
}

/// A move is taken up by the next process, whatever the end of the last; the copy of a topic that goes, goes too.
#[test]
fn a_move_outlives_a_kill_and_a_restart() {
    let disks = tempfile::tempdir().unwrap();
    let ([a, b], log_dirs) = two_dirs(disks.path());
    with_node(&[("log.dirs", &*log_dirs)], |mut node| async move {
        node.create("t", &[]).await;
        produce_numbers(&node, 0..100).await;
        let (from, to) = if fs::exists(a.join("t-0")) { (&a, &b) } else { (&b, &a) };
        set_rate(&node, ConfigChange::Set("100".to_owned())).await;
        assert_eq!(alter(&node, "t", 0, to).await, ErrorCode::None);
        let copy = async |node: &Node| replica_in(node, "t", to).await.filter(|r| r.is_future && r.size_bytes > 0);
        eventually("it has begun", async || copy(&node).await.is_some()).await;

        node.server.kill().unwrap();
        node.server.start().await.unwrap();
        assert!(copy(&node).await.is_some(), "it is still on its way");
        produce_numbers(&node, 100..120).await;
        assert!(node.server.stop().await.unwrap().success());
        node.server.start().await.unwrap();
        assert!(copy(&node).await.is_some_and(|copy| copy.offset_lag > 0), "it is still on its way");
        check_numbers(&node, 120).await;

        // Called off, and begun anew.
        assert_eq!(alter(&node, "t", 0, from).await, ErrorCode::None);
        assert!(replica_in(&node, "t", to).await.is_none() && copies_in(to) == 0);
        assert_eq!(alter(&node, "t", 0, to).await, ErrorCode::None);
        set_rate(&node, ConfigChange::Delete).await;
        eventually("it has moved", async || lies_in(&node, "t", to, from).await).await;
        node.server.kill().unwrap();
        node.server.start().await.unwrap();
        assert!(lies_in(&node, "t", to, from).await, "and stays there");
        check_numbers(&node, 120).await;

        set_rate(&node, ConfigChange::Set("100".to_owned())).await;
        assert_eq!(alter(&node, "t", 0, from).await, ErrorCode::None);
        node.admin().await.delete_topics(&["t".to_owned()]).await.unwrap().remove("t").unwrap().unwrap();
        eventually("both are deleted", async || copies_in(from) == 0 && !fs::exists(to.join("t-0"))).await;
    });
}

/// As Apache Kafka 4.4 answers.
#[test]
fn what_cannot_move_is_told() {
    let disks = tempfile::tempdir().unwrap();
    let ([a, b], log_dirs) = two_dirs(disks.path());
    let cordoned = ("cordoned.log.dirs", &*b.display().to_string());
    with_node(&[("log.dirs", &*log_dirs), cordoned], |node| async move {
        node.create("t", &[]).await;
        assert_eq!(alter(&node, "t", 0, &a).await, ErrorCode::None, "it lies there");
        assert_eq!(alter(&node, "t", 0, Path::new("/nowhere")).await, ErrorCode::LogDirNotFound);
        assert_eq!(alter(&node, "t", 0, &b).await, ErrorCode::InvalidReplicaAssignment);
        assert_eq!(alter(&node, &"t".repeat(249), 0, &a).await, ErrorCode::InvalidTopicException);
        assert_eq!(alter(&node, "t", 7, &a).await, ErrorCode::UnknownTopicOrPartition);
    });
}

/// The directory was asked for before there was a partition.
#[test]
fn a_partition_is_made_where_it_was_asked_for() {
    let disks = tempfile::tempdir().unwrap();
    let ([_, b], log_dirs) = two_dirs(disks.path());
    with_node(&[("log.dirs", &*log_dirs)], |node| async move {
        for partition in 0..4 {
            assert_eq!(alter(&node, "t", partition, &b).await, ErrorCode::UnknownTopicOrPartition);
        }
        node.try_create("t", Some(4), &[]).await.unwrap();
        assert_eq!((0..4).filter(|n| fs::exists(b.join(format!("t-{n}")))).count(), 4);
    });
}

/// Two directories that both are the log of one partition: only an operator can say which counts. Apache Kafka 4.4 does not start
/// either, with "Duplicate log directories for t-0 are found in both /a/t-0 and /b/t-0", and leaves him to find out what they
/// are; here he is told how they differ, which to keep, and what to do with the other. Whoever does so can start.
#[test]
fn a_partition_that_is_there_twice_is_refused() {
    let disks = tempfile::tempdir().unwrap();
    let ([a, b], log_dirs) = two_dirs(disks.path());
    Runtime::new(2).unwrap().block_on(async {
        let server = Server::new(Program::Ottla(binary()), &[("log.dirs", &log_dirs)]).await.unwrap();
        let mut node = Node { server };
        node.server.start().await.unwrap();
        node.create("t", &[]).await;
        produce_numbers(&node, 0..3).await;
        assert!(node.server.stop().await.unwrap().success());
        let (from, to) = if fs::exists(a.join("t-0")) { (&a, &b) } else { (&b, &a) };
        fs::create_dir_all(to.join("t-0")).unwrap();
        for file in fs::read_dir(from.join("t-0")).unwrap() {
            let content = fs::read(from.join("t-0").join(&file.name)).unwrap();
            fs::write_atomically(to.join("t-0").join(&file.name), content).unwrap();
        }
        // It may have opened its sockets before it looked.
        let started = node.server.start().await;
        if started.is_ok() {
            assert!(!node.server.ended().await.unwrap().success());
        }
        let said = node.server.log();
        let said = said.lines().find(|line| line.contains("partition t-0 lies in")).expect("it says why");
        for dir in [&a, &b] {
            let found = format!("{} (log end offset 3, leader epoch ", dir.join("t-0").display());
            assert!(said.contains(&found), "{said}");
        }
        let (_, advice) = said.split_once(": rename ").expect("it says what to do");
        let (other, rest) = advice.split_once(" to ").unwrap();
        fs::rename(other, rest.split(' ').next().unwrap()).unwrap();
        node.server.start().await.unwrap();
        assert_eq!(node.offset("t", OffsetSpec::Latest).await, 3);
        node.server.kill().unwrap();
    });
}
