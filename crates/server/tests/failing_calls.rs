//! System calls that fail, for real: `strace` makes them fail in a running node. Within a second of the first failure its log
//! directory is offline; nothing is acknowledged any more, and what was acknowledged before is there after a restart. A failure
//! to send costs its connection alone. Counts as not run where nobody may trace.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use ottla_client::admin::OffsetSpec;
use ottla_client::{Producer, ProducerConfig, ProducerRecord, TopicPartition};
use ottla_env::time::{self, Instant};
use ottla_env::{fs, task};
use support::{Node, with_talkative_node};
use tempfile::NamedTempFile;

/// How long a node may take to notice, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(20);

/// From the failure of a call to the end of its log directory, told by the clock of the machine that both share.
const OFFLINE_WITHIN_MS: i64 = 1_000;

/// A strace that makes calls of a process fail, until it is dropped, and the file that it tells them in.
struct Failing(Child, NamedTempFile);

impl Failing {
    /// `calls` fail with EIO from now on; None if nobody may trace here.
    async fn calls(node: &Node, calls: &str) -> Option<Self> {
        let id = node.server.id().unwrap();
        let mut strace = Command::new("strace");
        let told = NamedTempFile::new().unwrap();
        strace.args(["-f", "-qq", "-ttt", "-o"]).arg(told.path()).args(["-e", &format!("trace={calls}")]);
        strace.args(["-e", &format!("inject={calls}:error=EIO"), "-p", &id.to_string()]);
        let mut failing = Self(strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().ok()?, told);
        let began = Instant::now();
        loop {
            let status = fs_status(id);
            if status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")) {
                return Some(failing);
            }
            if failing.0.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(began.elapsed() < PATIENCE, "strace does not attach");
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// When the first call failed, in ms of the clock. Its line is there a moment after it.
    async fn first_ms(&self) -> i64 {
        let mut first = None;
        let began = Instant::now();
        while first.is_none() {
            assert!(began.elapsed() < PATIENCE, "no call fails");
            time::sleep(Duration::from_millis(5)).await;
            let told = fs::read_to_string(self.1.path()).unwrap_or_default();
            let line = told.lines().find(|line| line.ends_with("(INJECTED)"));
            // The process, the time, the call.
            first = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        }
        first.map_or(0, |seconds| (seconds * 1000.0) as i64)
    }
}

/// The time of day of a line of the node, in ms: `2026-11-28T11:24:33.123Z`.
fn ms_of_day(line: &serde_json::Value) -> i64 {
    let text = line["timestamp"].as_str().unwrap();
    let number = |at: std::ops::Range<usize>| text[at].parse::<i64>().unwrap();
    ((number(11..13) * 60 + number(14..16)) * 60 + number(17..19)) * 1000 + number(20..23)
}

impl Drop for Failing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the kernel says of a process. It says so in files whose length is 0.
#[allow(clippy::disallowed_methods, reason = "a file of the kernel, not of the node")]
fn fs_status(id: u32) -> String {
    std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default()
}

/// Whether a record is acknowledged. One that is not may be in the log all the same.
async fn is_acknowledged(node: &Node) -> bool {
    let attempt = async {
        let mut config = ProducerConfig { client: node.client(), ..ProducerConfig::default() };
        for (name, ms) in [("delivery.timeout.ms", "1500"), ("request.timeout.ms", "1000"), ("max.block.ms", "1000")] {
            config.set(name, ms).unwrap();
        }
        let Ok(producer) = Producer::connect(config).await else { return false };
        match producer.send(ProducerRecord::new("t", b"x")).await {
            Ok(sent) => sent.wait().await.is_ok(),
            Err(_) => false,
        }
    };
    // A node whose last directory failed ends, and then there is nobody to connect to.
    time::timeout(Duration::from_secs(4), attempt).await.unwrap_or(false)
}

/// A machine that does not let the node run for a second says nothing of the node: then it is tried again, on another one.
fn nothing_is_acknowledged_after(calls: &str, properties: &[(&str, &str)]) {
    const ATTEMPTS: usize = 3;
    let mut attempts = (0..ATTEMPTS).map(|_| offline_after_ms(calls, properties));
    assert!(attempts.any(|took_ms| took_ms <= OFFLINE_WITHIN_MS), "{calls}: each of {ATTEMPTS} nodes took longer");
}

/// Makes calls fail in a new node and judges it. Gives how long it took to go offline.
fn offline_after_ms(calls: &str, properties: &[(&str, &str)]) -> i64 {
    const DAY_MS: i64 = 86_400_000;
    let took = Arc::new(AtomicI64::new(0));
    let note = Arc::clone(&took);
    with_talkative_node(properties, |mut node| async move {
        node.create("t", &[("flush.messages", "1")]).await;
        node.fill("t", 3, 10).await;
        let mut acknowledged = 3;
        let Some(failing) = Failing::calls(&node, calls).await else {
            println!("NOT RUN: failing {calls} needs strace, and to be allowed to trace");
            return;
        };
        // Calls that fail in the background may take a moment to come.
        let began = Instant::now();
        while is_acknowledged(&node).await {
            acknowledged += 1;
            assert!(began.elapsed() < PATIENCE, "{calls} fail, and it is acknowledged all the same");
        }
        let failed_ms = failing.first_ms().await % DAY_MS;
        drop(failing);
        for _ in 0..2 {
            assert!(!is_acknowledged(&node).await, "the calls succeed again, which proves nothing");
        }
        let offline = node.told("log directory is offline; its partitions are not served");
        let told_ms = ms_of_day(offline.first().expect("it is told"));
        let took_ms = (told_ms - failed_ms).rem_euclid(DAY_MS);
        // The two clocks may differ by a tick.
        let took_ms = if took_ms > DAY_MS / 2 { 0 } else { took_ms };
        println!("{calls}: offline {took_ms} ms after the first failure");
        note.store(took_ms, Ordering::Relaxed);
        node.server.kill().unwrap();
        node.server.start().await.unwrap();
        let end = node.offset("t", OffsetSpec::Latest).await;
        assert!(end >= acknowledged, "{acknowledged} were acknowledged, {end} are there");
        assert!(is_acknowledged(&node).await, "a restart has looked at the directory again");
        assert!(fs::exists(node.server.data().join("t-0")));
    });
    took.load(Ordering::Relaxed)
}

#[test]
fn syncs() {
    nothing_is_acknowledged_after("fdatasync,fsync", &[]);
}

#[test]
fn writes() {
    nothing_is_acknowledged_after("pwrite64", &[]);
}

/// Kafka's way: an error while a response is sent closes its connection (`Selector.pollSelectionKeys`), whichever side of
/// sendfile it came from, and says nothing of the log. A look at the records, as any read of bytes that nobody has checked yet,
/// would find out about the device.
#[test]
fn a_send_that_fails_costs_its_connection_alone() {
    with_talkative_node(&[], |node| async move {
        node.create("t", &[]).await;
        node.fill("t", 3, 10).await;
        let mut consumer = node.consumer("g", &[("auto.offset.reset", "earliest")]).await;
        consumer.assign([TopicPartition::new("t", 0)]);
        let Some(failing) = Failing::calls(&node, "sendfile").await else {
            println!("NOT RUN: failing sendfile needs strace, and to be allowed to trace");
            return;
        };
        let received = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&received);
        let reading = task::spawn("reading", async move {
            while counted.load(Ordering::Relaxed) < 4 {
                if let Ok(records) = consumer.poll(Duration::from_millis(200)).await {
                    counted.fetch_add(records.len(), Ordering::Relaxed);
                }
            }
        });
        failing.first_ms().await;
        assert!(is_acknowledged(&node).await, "others are served");
        assert_eq!(received.load(Ordering::Relaxed), 0, "nothing can be sent");
        drop(failing);
        time::timeout(PATIENCE, reading).await.expect("the consumer comes back and reads on").unwrap();
        assert!(!node.server.log().contains("log directory is offline"), "{}", node.server.log_tail());
    });
}

/// Checkpoints are replaced by renaming.
#[test]
fn renames() {
    nothing_is_acknowledged_after("rename", &[("replica.high.watermark.checkpoint.interval.ms", "100")]);
}
