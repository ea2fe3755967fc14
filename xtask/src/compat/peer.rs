//! The broker that the drivers speak to: Ottla's release binary, or Apache Kafka as the control. Both read the same properties file.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::prepare::Prepared;
use crate::rings;
use crate::shell::{Cmd, root, signal_group, wait_at_most};

/// A JVM on two busy cores needs most of it; Ottla none.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Whose broker it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    #[default]
    Ottla,
    Kafka,
}

/// How the voters of the metadata quorum are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quorum {
    /// From the properties.
    Static,
    /// From the metadata log (KIP-853).
    Dynamic,
}

/// Where a broker lives: its directory with properties, data and log, and its ports. More than one broker may live there, one
/// after another.
#[derive(Debug, Clone)]
pub(super) struct Place {
    dir: PathBuf,
    port: u16,
    controller_port: u16,
    quorum: Quorum,
}

impl Place {
    /// Free ports, and the properties of one node with `extra` ones on top.
    pub(super) fn new(dir: &Path, quorum: Quorum, extra: &[(&str, &str)]) -> Result<Self> {
        let (port, controller_port) = two_free_ports()?;
        let place = Self { dir: dir.to_owned(), port, controller_port, quorum };
        let mut text = properties(port, controller_port, quorum, &place.data());
        for (name, value) in extra {
            writeln!(text, "{name}={value}").expect("writing to a string cannot fail");
        }
        std::fs::write(place.config(), text)?;
        Ok(place)
    }

    fn config(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A running broker; dropping it kills it.
#[derive(Debug)]
pub(super) struct Broker {
    child: Child,
    log: PathBuf,
    pub(super) bootstrap: String,
    pub(super) controller: String,
    pub(super) data: PathBuf,
}

impl Broker {
    /// Starts it there, with its words in `log`, and waits until it listens.
    pub(super) fn start(peer: Peer, prepared: &Prepared, place: &Place, log: &str) -> Result<Self> {
        let (data, log, config) = (place.data(), place.dir.join(log), place.config());
        let child = match peer {
            Peer::Ottla => Cmd::new(rings::ottla())
                .args(["server", "--config"])
                .args([&config])
                .without("OTTLA_BIN")
                .spawn_to(&log)?,
            Peer::Kafka => kafka(prepared, place)?.spawn_to(&log)?,
        };
        let controller = format!("127.0.0.1:{}", place.controller_port);
        let mut broker = Self { child, log, bootstrap: place.bootstrap(), controller, data };
        let end = Instant::now() + START_LIMIT;
        while TcpStream::connect(&broker.bootstrap).is_err() {
            if !broker.is_alive() || Instant::now() > end {
                bail!("the broker does not listen; its last words:\n{}", broker.last_words());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("{peer:?} listens on {}", broker.bootstrap);
        Ok(broker)
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGTERM, and a clean exit in bounded time.
    pub(super) fn stop(&mut self) -> Result<()> {
        signal_group(&self.child, "-TERM");
        match wait_at_most(&mut self.child, STOP_LIMIT)? {
            // A JVM ends with 128 + 15.
            Some(status) if status.success() || status.code() == Some(143) => Ok(()),
            Some(status) => bail!("the broker ended with {status}"),
            None => bail!("the broker still runs {} s after SIGTERM", STOP_LIMIT.as_secs()),
        }
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) -> Result<()> {
        signal_group(&self.child, "-KILL");
        self.child.wait()?;
        Ok(())
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.is_alive() {
            signal_group(&self.child, "-KILL");
            let _ = self.child.wait();
        }
    }
}

/// One node that is broker and controller; the rest are Kafka's defaults as far as one node allows.
fn properties(port: u16, controller_port: u16, quorum: Quorum, data: &Path) -> String {
    let voters = match quorum {
        Quorum::Static => format!("controller.quorum.voters=1@127.0.0.1:{controller_port}"),
        Quorum::Dynamic => format!("controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}"),
    };
    let mut text = String::new();
    for line in [
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        voters,
        format!("listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"),
        format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        format!("log.dirs={}", data.display()),
        "num.partitions=4".to_owned(),
        "offsets.topic.replication.factor=1".to_owned(),
        "transaction.state.log.replication.factor=1".to_owned(),
        "transaction.state.log.min.isr=1".to_owned(),
        "share.coordinator.state.topic.replication.factor=1".to_owned(),
        "share.coordinator.state.topic.min.isr=1".to_owned(),
        "group.initial.rebalance.delay.ms=0".to_owned(),
    ] {
        writeln!(text, "{line}").expect("writing to a string cannot fail");
    }
    text
}

/// Formats the directory if it is new, and makes the command that starts Apache Kafka.
fn kafka(prepared: &Prepared, place: &Place) -> Result<Cmd> {
    let jars = prepared.server.as_ref().context("Apache Kafka's jars are not there")?;
    let java = || {
        let logging = root().join("compat/kafka-peer/log4j2.xml");
        Cmd::new("java")
            .args(["-Xmx1G", "-cp"])
            .args([format!("{}/*", jars.display()), format!("-Dlog4j2.configurationFile={}", logging.display())])
    };
    if !place.data().join("meta.properties").exists() {
        let alone: &[&str] = if place.quorum == Quorum::Dynamic { &["--standalone"] } else { &[] };
        let format = java().args(["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk"]).args(alone);
        format.args(["-c"]).args([place.config()]).output()?;
    }
    Ok(java().args(["kafka.Kafka"]).args([place.config()]))
}

/// Bound together, so that they differ.
fn two_free_ports() -> Result<(u16, u16)> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}
