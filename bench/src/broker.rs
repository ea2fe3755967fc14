//! The brokers that are compared: built once, started anew for every run on a fresh directory.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Where they listen, one at a time; the controller of Ottla is one above.
pub const PORT: u16 = 19_777;
const START_PATIENCE: Duration = Duration::from_secs(20);

/// A kind of broker.
pub struct Kind {
    /// As the report says it.
    pub name: &'static str,
    binary: PathBuf,
}

/// A running one; killed, and its directory removed, when dropped.
pub struct Broker {
    child: Child,
    directory: PathBuf,
}

fn cargo_build(args: &[&str], root: &Path) -> Result<()> {
    let status = Command::new("cargo").args(["build", "--release", "--quiet"]).args(args).current_dir(root).status()?;
    if !status.success() {
        bail!("cargo build {} failed", args.join(" "));
    }
    Ok(())
}

impl Kind {
    /// Builds the floor broker.
    pub fn build_floor(root: &Path) -> Result<Self> {
        cargo_build(&["--manifest-path", "bench/floor/Cargo.toml", "--target-dir", "target/bench-floor"], root)?;
        Ok(Self { name: "floor", binary: root.join("target/bench-floor/release/floor") })
    }

    /// Builds Ottla, unless `OTTLA_BIN` names a binary.
    pub fn build_ottla(root: &Path) -> Result<Self> {
        if let Some(binary) = std::env::var_os("OTTLA_BIN") {
            return Ok(Self { name: "Ottla", binary: binary.into() });
        }
        cargo_build(&["--package", "ottla-server"], root)?;
        Ok(Self { name: "Ottla", binary: root.join("target/release/ottla") })
    }

    /// Starts one on a fresh directory and waits until it listens.
    pub fn start(&self) -> Result<Broker> {
        // A stranger on the port would be measured instead.
        drop(TcpListener::bind(("127.0.0.1", PORT)).with_context(|| format!("port {PORT} is in use"))?);
        let directory = std::env::temp_dir().join(format!("ottla-bench-{}", std::process::id()));
        // Left behind by a run that was interrupted.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory)?;
        let child =
            self.command(&directory)?.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut broker = Broker { child, directory };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            broker.check_alive(self.name)?;
            if began.elapsed() > START_PATIENCE {
                bail!("{} does not listen after {START_PATIENCE:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        broker.check_alive(self.name)?;
        Ok(broker)
    }

    fn command(&self, directory: &Path) -> Result<Command> {
        let mut command = Command::new(&self.binary);
        if self.name == "floor" {
            command.arg(PORT.to_string()).arg(directory);
            return Ok(command);
        }
        let properties = directory.join("server.properties");
        std::fs::write(&properties, properties_of(directory))?;
        command.args(["server", "--config"]).arg(properties).env_remove("OTTLA_BIN");
        Ok(command)
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
         controller.quorum.voters=1@127.0.0.1:{controller}\noffsets.topic.replication.factor=1\n",
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
