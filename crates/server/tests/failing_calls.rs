//! System calls that fail, for real: `strace` makes them fail in a running node. After the first failure nothing is
//! acknowledged any more, and what was acknowledged before is there after a restart. Counts as not run where nobody may trace.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ottla_client::admin::OffsetSpec;
use ottla_client::{Producer, ProducerConfig, ProducerRecord};
use ottla_env::fs;
use ottla_env::time::{self, Instant};
use support::{Node, with_node};

/// How long a node may take to notice, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(20);

/// A strace that makes calls of a process fail, until it is dropped.
struct Failing(Child);

impl Failing {
    /// `calls` fail with EIO from now on; None if nobody may trace here.
    async fn calls(node: &Node, calls: &str) -> Option<Self> {
        let id = node.server.id().unwrap();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        strace.args(["-e", &format!("inject={calls}:error=EIO"), "-p", &id.to_string()]);
        let mut failing = Self(strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().ok()?);
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

fn nothing_is_acknowledged_after(calls: &str, properties: &[(&str, &str)]) {
    with_node(properties, |mut node| async move {
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
        drop(failing);
        for _ in 0..2 {
            assert!(!is_acknowledged(&node).await, "the calls succeed again, which proves nothing");
        }
        let said = node.server.log();
        assert!(said.contains("log directory is offline"), "{said}");
        node.server.kill().unwrap();
        node.server.start().await.unwrap();
        let end = node.offset("t", OffsetSpec::Latest).await;
        assert!(end >= acknowledged, "{acknowledged} were acknowledged, {end} are there");
        assert!(is_acknowledged(&node).await, "a restart has looked at the directory again");
        assert!(fs::exists(node.server.data().join("t-0")));
    });
}

#[test]
fn syncs() {
    nothing_is_acknowledged_after("fdatasync,fsync", &[]);
}

#[test]
fn writes() {
    nothing_is_acknowledged_after("pwrite64", &[]);
}

/// Checkpoints are replaced by renaming.
#[test]
fn renames() {
    nothing_is_acknowledged_after("rename", &[("replica.high.watermark.checkpoint.interval.ms", "100")]);
}
