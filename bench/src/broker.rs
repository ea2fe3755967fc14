//! The brokers that are compared: built or fetched once, started on a directory of their own.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Where they listen, one at a time; the controller of Ottla and of Kafka is one above.
pub const PORT: u16 = 19_777;
const START_PATIENCE: Duration = Duration::from_secs(300);
const STOP_PATIENCE: Duration = Duration::from_secs(300);
/// Directories made so far.
static HOMES: AtomicU32 = AtomicU32::new(0);
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

/// The directory of one, formatted, with its configuration; removed when dropped.
pub struct Home<'a> {
    kind: &'a Kind,
    directory: PathBuf,
}

/// A running one; killed when dropped.
pub struct Broker {
    child: Child,
    name: &'static str,
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

    /// Whether it is there at all in a row that the floor cannot do: it keeps nothing.
    pub fn keeps_logs(&self) -> bool {
        !matches!(self.what, What::Floor(_))
    }

    /// A fresh directory for one, with properties beyond those that all have.
    pub fn home(&self, more: &[&str]) -> Result<Home<'_>> {
        let n = HOMES.fetch_add(1, Ordering::Relaxed);
        let place = format!("ottla-bench-{}-{n}", std::process::id());
        let home = Home { kind: self, directory: std::env::temp_dir().join(place) };
        // Left behind by a run that was interrupted.
        let _ = std::fs::remove_dir_all(&home.directory);
        std::fs::create_dir_all(&home.directory)?;
        let mut properties = properties_of(&home.directory);
        if let What::Kafka { more, .. } = &self.what {
            properties += more;
        }
        more.iter().for_each(|line| properties += &format!("{line}\n"));
        std::fs::write(home.properties(), properties)?;
        if matches!(self.what, What::Kafka { .. }) {
            let mut format = self.java();
            format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]).arg(home.properties());
            ensure!(format.output()?.status.success(), "Kafka could not format its directory");
        }
        Ok(home)
    }

    fn java(&self) -> Command {
        let mut command = Command::new("java");
        if let What::Kafka { jars, logging, jvm, .. } = &self.what {
            command.args(*jvm).arg("-cp").arg(format!("{}/*", jars.display()));
            command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        }
        command
    }

    fn command(&self, home: &Home) -> Command {
        match &self.what {
            What::Floor(binary) => {
                let mut command = Command::new(binary);
                command.arg(PORT.to_string()).arg(&home.directory);
                command
            }
            What::Ottla(binary) => {
                let mut command = Command::new(binary);
                command
                    .args(["server", "--config"])
                    .arg(home.properties())
                    .env_remove("OTTLA_BIN")
                    .env_remove("OTTLA_KAFKA_SERVER");
                command
            }
            What::Kafka { .. } => {
                let mut command = self.java();
                command.arg("kafka.Kafka").arg(home.properties());
                command
            }
        }
    }
}

impl Home<'_> {
    fn properties(&self) -> PathBuf {
        self.directory.join("server.properties")
    }

    /// Its place: the log directory is `data` in it, and what the broker says `broker.log`.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Bytes of the files of a topic's partition.
    pub fn bytes_of(&self, partition: &str) -> u64 {
        let Ok(files) = std::fs::read_dir(self.directory.join("data").join(partition)) else { return 0 };
        files.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    }

    /// What it says.
    fn log(&self) -> PathBuf {
        self.directory.join("broker.log")
    }

    /// Starts one here and waits until it listens.
    pub fn start(&self) -> Result<Broker> {
        let mut command = self.kind.command(self);
        // A stranger on the port would be measured instead.
        drop(TcpListener::bind(("127.0.0.1", PORT)).with_context(|| format!("port {PORT} is in use"))?);
        let log = std::fs::File::create(self.log())?;
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut broker = Broker { child, name: self.kind.name, started };
        while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            broker.check_alive()?;
            if started.elapsed() > START_PATIENCE {
                bail!("{} does not listen after {START_PATIENCE:?}", self.kind.name);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        broker.check_alive()?;
        Ok(broker)
    }
}

impl Drop for Home<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
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
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has ended: {status}", self.name);
        }
        Ok(())
    }

    /// Stops it as a service manager does, and waits until it has ended.
    pub fn stop(mut self) -> Result<()> {
        nix::sys::signal::kill(Pid::from_raw(i32::try_from(self.id())?), Signal::SIGTERM)?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(asked.elapsed() < STOP_PATIENCE, "{} does not stop within {STOP_PATIENCE:?}", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It is our child, and a stopped measurement must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
