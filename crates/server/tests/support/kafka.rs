//! Apache Kafka's own programs, where they are.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each scenario uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

use ottla_env::fs;

use crate::support::Ran;

const FETCHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/kafka");

/// The directory of jars that the variable names, or that was fetched.
fn jars(variable: &str, name: &str) -> Option<PathBuf> {
    let dir = std::env::var_os(variable).map_or_else(|| Path::new(FETCHED).join(name), PathBuf::from);
    fs::read_dir(&dir).is_ok_and(|files| files.iter().any(|f| f.name.ends_with(".jar"))).then_some(dir)
}

fn has_java() -> bool {
    Command::new("java").arg("-version").output().is_ok_and(|out| out.status.success())
}

/// What [`ottla_testkit::process::Program::Kafka`] wants; None is said, for the runner to count.
pub fn server(what: &str) -> Option<PathBuf> {
    let found = jars("OTTLA_KAFKA_SERVER", "server").filter(|_| has_java()).and_then(|d| Some(d.parent()?.to_owned()));
    if found.is_none() {
        println!("NOT RUN: {what} (no java, or no Kafka server in OTTLA_KAFKA_SERVER)");
    }
    found
}

/// Properties with which a single node of Kafka has internal topics.
pub const ONE_NODE: &[(&str, &str)] = &[
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("log.cleaner.backoff.ms", "200"),
];

/// Kafka's command-line tools.
pub struct Tools(PathBuf);

impl Tools {
    /// None is said, for the runner to count.
    pub fn found(what: &str) -> Option<Self> {
        let found = jars("OTTLA_KAFKA_TOOLS", "tools").filter(|_| has_java());
        if found.is_none() {
            println!("NOT RUN: {what} (no java, or no Kafka tools in OTTLA_KAFKA_TOOLS)");
        }
        found.map(Self)
    }

    /// Runs DumpLogSegments.
    pub fn dump(&self, flags: &[&str], files: &[PathBuf]) -> Ran {
        let list = files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(",");
        self.start("org.apache.kafka.tools.DumpLogSegments", &[flags, &["--files", &list]].concat())
    }

    /// Runs a tool that must succeed.
    pub fn run(&self, class: &str, args: &[&str]) -> Ran {
        let ran = self.start(class, args);
        assert_eq!(ran.code, Some(0), "{class} {args:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }

    /// Writes records into a topic in transactions, which commit.
    pub fn transactions(&self, topic: &str, address: &str) {
        let args = [
            "--topic",
            topic,
            "--num-records",
            "200",
            "--record-size",
            "50",
            "--throughput",
            "500",
            "--bootstrap-server",
            address,
            "--transactional-id",
            "x",
            "--transaction-duration-ms",
            "100",
        ];
        self.run("org.apache.kafka.tools.ProducerPerformance", &args);
    }

    fn start(&self, class: &str, args: &[&str]) -> Ran {
        let out = Command::new("java")
            .args(["-Xmx256M", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-cp"])
            .args([&format!("{}/*", self.0.display()), class])
            .args(args)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: out.status.code(), stdout: text(&out.stdout), stderr: text(&out.stderr) }
    }
}
