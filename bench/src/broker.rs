//! The brokers that are compared: built or fetched once, started anew for every run on a fresh directory.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Where they listen, one at a time; the controller of Ottla and of Kafka is one above.
pub const PORT: u16 = 19_777;
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Any id will do; that of Kafka's own examples.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qk";
/// Kafka's start script: its heap and collector.
const JVM_SHIPPED: &[&str] = &[
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
];
/// As whoever runs it on two cores would set it.
const JVM_TUNED: &[&str] = &["-Xmx4G", "-Xms4G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"];

/// A kind of broker.
pub struct Kind {
    /// As `results.json` and the report say it.
    pub name: &'static str,
    what: What,
}

enum What {
    Floor(PathBuf),
    Ottla(PathBuf),
    Kafka { jars: PathBuf, logging: PathBuf, jvm: &'static [&'static str], more: &'static str },
}

/// A running one; killed, and its directory removed, when dropped.
pub struct Broker {
    child: Child,
    directory: PathBuf,
    /// When its process was started.
    pub started: Instant,
}

fn cargo_build(args: &[&str], root: &Path) -> Result<()> {
    let status = Command::new("cargo").args(["build", "--release", "--quiet"]).args(args).current_dir(root).status()?;
    ensure!(status.success(), "cargo build {} failed", args.join(" "));
    Ok(())
}

impl Kind {
    /// Builds the floor broker.
    pub fn build_floor(root: &Path) -> Result<Self> {
        cargo_build(&["--manifest-path", "bench/floor/Cargo.toml", "--target-dir", "target/bench-floor"], root)?;
        Ok(Self { name: "floor", what: What::Floor(root.join("target/bench-floor/release/floor")) })
    }

    /// Builds Ottla, unless `OTTLA_BIN` names a binary.
    pub fn build_ottla(root: &Path) -> Result<Self> {
        let binary = match std::env::var_os("OTTLA_BIN") {
            Some(binary) => binary.into(),
            None => {
                cargo_build(&["--package", "ottla-server"], root)?;
                root.join("target/release/ottla")
            }
        };
        Ok(Self { name: "Ottla", what: What::Ottla(binary) })
    }

    /// Apache Kafka as it is shipped, and tuned for a machine of two cores, from the jars that `cargo xtask prepare` fetches.
    pub fn kafkas(root: &Path) -> Result<[Self; 2]> {
        let jars =
            std::env::var_os("OTTLA_KAFKA_SERVER").map_or_else(|| root.join("target/kafka/server"), PathBuf::from);
        ensure!(
            jars.is_dir(),
            "Apache Kafka's jars are not in {}: `cargo xtask prepare` fetches them, --without-kafka leaves it out",
            jars.display()
        );
        let logging = root.join("compat/kafka-peer/log4j2.xml");
        let kind = |name, jvm, more| Self {
            name,
            what: What::Kafka { jars: jars.clone(), logging: logging.clone(), jvm, more },
        };
        Ok([
            kind("Kafka", JVM_SHIPPED, ""),
            kind("Kafka, tuned", JVM_TUNED, "num.network.threads=2\nnum.io.threads=2\n"),
        ])
    }

    /// Whether it must be warmed up until its compiler has seen the hot path.
    pub fn has_compiler(&self) -> bool {
        matches!(self.what, What::Kafka { .. })
    }

    /// Starts one on a fresh directory and waits until it listens.
    pub fn start(&self) -> Result<Broker> {
        // A stranger on the port would be measured instead.
        drop(TcpListener::bind(("127.0.0.1", PORT)).with_context(|| format!("port {PORT} is in use"))?);
        let directory = std::env::temp_dir().join(format!("ottla-bench-{}", std::process::id()));
        // Left behind by a run that was interrupted.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory)?;
        let mut command = self.command(&directory)?;
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut broker = Broker { child, directory, started };
        while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            broker.check_alive(self.name)?;
            if started.elapsed() > START_PATIENCE {
                bail!("{} does not listen after {START_PATIENCE:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        broker.check_alive(self.name)?;
        Ok(broker)
    }

    fn command(&self, directory: &Path) -> Result<Command> {
        let properties = directory.join("server.properties");
        match &self.what {
            What::Floor(binary) => {
                let mut command = Command::new(binary);
                command.arg(PORT.to_string()).arg(directory);
                Ok(command)
            }
            What::Ottla(binary) => {
                std::fs::write(&properties, properties_of(directory))?;
                let mut command = Command::new(binary);
                command
                    .args(["server", "--config"])
                    .arg(properties)
                    .env_remove("OTTLA_BIN")
                    .env_remove("OTTLA_KAFKA_SERVER");
                Ok(command)
            }
            What::Kafka { jars, logging, jvm, more } => {
                std::fs::write(&properties, properties_of(directory) + more)?;
                let java = || {
                    let mut command = Command::new("java");
                    command.args(*jvm).arg("-cp").arg(format!("{}/*", jars.display()));
                    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
                    command
                };
                let mut format = java();
                format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]).arg(&properties);
                ensure!(format.output()?.status.success(), "Kafka could not format its directory");
                let mut command = java();
                command.arg("kafka.Kafka").arg(properties);
                Ok(command)
            }
        }
    }
}

/// One node with Kafka's defaults and a single partition.
fn properties_of(directory: &Path) -> String {
    let controller = PORT + 1;
    format!(
        "process.roles=broker,controller\nnode.id=1\nlog.dirs={}\nnum.partitions=1\n\
         listeners=PLAINTEXT://127.0.0.1:{PORT},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{PORT}\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\noffsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n",
        directory.join("data").display()
    )
}

impl Broker {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails if it has ended.
    pub fn check_alive(&mut self, name: &str) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{name} has ended: {status}");
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It is our child, and a stopped measurement must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
