//! Brokers as child processes: started on free ports, waited for, killed, restarted.
//!
//! A [`Server`] is ours or Apache Kafka's; both take the same `server.properties`. Its directory, with data, properties
//! and log, is temporary unless [`Server::keep_directory`] is called, and its process never outlives it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use ottla_env::fs;
use ottla_env::net::{TcpListener, TcpStream};
use ottla_env::time::{Instant, sleep, timeout};
use tempfile::TempDir;

/// How long a broker may take until it listens: a JVM on a busy machine needs most of it.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// How long it may take to end after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// Why a broker could not be started, stopped or asked.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The system refused something.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It ended before it listened.
    #[error("it ended with {status} before it listened; its log ends:\n{log}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// It did not listen, or did not end, in time.
    #[error("{what} took longer than {}; its log ends:\n{log}", patience.as_secs())]
    TooSlow {
        /// What was waited for.
        what: &'static str,
        /// How long.
        patience: Duration,
        /// The last lines of its log.
        log: String,
    },
}

/// What is started.
#[derive(Clone, Debug)]
pub enum Program {
    /// The `ottla` binary.
    Ottla(PathBuf),
    /// A directory with Apache Kafka's jars under `server/`.
    Kafka(PathBuf),
}

/// A broker, running or not.
#[derive(Debug)]
pub struct Server {
    program: Program,
    directory: TempDir,
    port: u16,
    controller_port: u16,
    data: PathBuf,
    flags: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Makes a directory with the properties of a single node (broker and controller) on two free ports, with `extra`
    /// properties on top; does not start it yet. `{port}` and `{controller_port}` in a value stand for the ports. With
    /// `controller.quorum.bootstrap.servers` the quorum is a dynamic one, and `log.dir` takes the place of `log.dirs`.
    ///
    /// # Errors
    /// Those of the file system and of finding ports.
    pub async fn new(program: Program, extra: &[(&str, &str)]) -> Result<Self, ProcessError> {
        let directory = TempDir::with_prefix("ottla-test-")?;
        let (port, controller_port) = two_free_ports().await?;
        let properties = properties(directory.path(), port, controller_port, extra);
        fs::write_atomically(directory.path().join("server.properties"), properties)?;
        let own = directory.path().join("data");
        let data = extra.iter().find(|(key, _)| *key == "log.dirs").map_or(own, |(_, dirs)| PathBuf::from(dirs));
        Ok(Self { program, directory, port, controller_port, data, flags: Vec::new(), child: None })
    }

    /// Flags for every start of an Ottla server, after its properties file.
    #[must_use]
    pub fn with_flags(mut self, flags: &[&str]) -> Self {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where its controller listens.
    #[must_use]
    pub fn controller_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.controller_port).into()
    }

    /// Its properties file.
    #[must_use]
    pub fn properties_file(&self) -> PathBuf {
        self.directory.path().join("server.properties")
    }

    /// The log directory of its properties.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts it and waits until it accepts connections.
    ///
    /// # Errors
    /// [`ProcessError`]; `AddrInUse` among them if somebody else listens on its port, whom a test would mistake for it.
    ///
    /// # Panics
    /// If it runs already.
    pub async fn start(&mut self) -> Result<(), ProcessError> {
        assert!(self.child.is_none(), "it runs already");
        drop(TcpListener::bind(self.address()).await?);
        let mut command = self.command()?;
        self.child = Some(command.stdin(Stdio::null()).spawn()?);
        let began = Instant::now();
        while !self.accepts().await {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                self.child = None;
                return Err(ProcessError::Ended { status, log: self.log_tail() });
            }
            if began.elapsed() > START_PATIENCE {
                return Err(self.too_slow("the start", START_PATIENCE));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Whether its port accepts a connection now.
    async fn accepts(&self) -> bool {
        matches!(timeout(Duration::from_millis(100), TcpStream::connect(self.address())).await, Ok(Ok(_)))
    }

    /// `kill -9`, and waits until the process is gone.
    ///
    /// # Errors
    /// Those of the system.
    pub fn kill(&mut self) -> Result<(), ProcessError> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// [`ProcessError::TooSlow`] if it does not end; it is then still running.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn stop(&mut self) -> Result<ExitStatus, ProcessError> {
        terminate(self.child.as_ref().expect("it runs"))?;
        self.ended().await
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub async fn ended(&mut self) -> Result<ExitStatus, ProcessError> {
        let began = Instant::now();
        while began.elapsed() < STOP_PATIENCE {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                self.child = None;
                return Ok(status);
            }
            sleep(POLL).await;
        }
        Err(self.too_slow("the stop", STOP_PATIENCE))
    }

    /// All that it has printed, in all of its lives.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.path().join("log.txt")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The last lines of what it has printed.
    #[must_use]
    pub fn log_tail(&self) -> String {
        const LINES: usize = 30;
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Leaves the directory behind, for a look at it after a failure; returns it.
    pub fn keep_directory(&mut self) -> &Path {
        self.directory.disable_cleanup(true);
        self.directory.path()
    }

    fn too_slow(&self, what: &'static str, patience: Duration) -> ProcessError {
        ProcessError::TooSlow { what, patience, log: self.log_tail() }
    }

    fn command(&self) -> Result<Command, ProcessError> {
        let properties = self.properties_file();
        let mut command = match &self.program {
            Program::Ottla(binary) => {
                let mut command = Command::new(binary);
                command.args(["server", "--config"]).arg(properties).args(&self.flags);
                command
            }
            Program::Kafka(home) => {
                if !fs::exists(self.data().join("meta.properties")) {
                    self.format_kafka(home, &properties)?;
                }
                let mut command = java(home);
                command.args(["-Xmx512M", "kafka.Kafka"]).arg(properties);
                command
            }
        };
        // Ottla reads OTTLA_… as properties; those of a test run are not meant for it.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTTLA_")) {
            command.env_remove(name);
        }
        let file = log_file(&self.directory.path().join("log.txt"))?;
        command.stdout(file.try_clone()?).stderr(file);
        Ok(command)
    }

    fn format_kafka(&self, home: &Path, properties: &Path) -> Result<(), ProcessError> {
        let mut format = java(home);
        format.args(["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c"]).arg(properties);
        let output = format.stdin(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(());
        }
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(ProcessError::Ended { status: output.status, log })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that fails must not leave a broker behind.
        let _ = self.kill();
    }
}

fn properties(directory: &Path, port: u16, controller_port: u16, extra: &[(&str, &str)]) -> String {
    let data = directory.join("data");
    let mut properties = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         offsets.topic.replication.factor=1\n\
         group.initial.rebalance.delay.ms=0\n"
    );
    let given = |name: &str| extra.iter().any(|(key, _)| *key == name);
    if !given("log.dir") {
        properties.push_str(&format!("log.dirs={}\n", data.display()));
    }
    if !given("controller.quorum.bootstrap.servers") {
        properties.push_str(&format!("controller.quorum.voters=1@127.0.0.1:{controller_port}\n"));
    }
    for (key, value) in extra {
        let value = value.replace("{port}", &port.to_string());
        let value = value.replace("{controller_port}", &controller_port.to_string());
        properties.push_str(&format!("{key}={value}\n"));
    }
    properties
}

/// Ports that nobody listens on at this moment. Both are bound at once, so that they differ.
async fn two_free_ports() -> io::Result<(u16, u16)> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (first, second) = (TcpListener::bind(any).await?, TcpListener::bind(any).await?);
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}

/// The child's output goes on where its former life left off.
#[allow(clippy::disallowed_methods, reason = "a child's output needs a descriptor of its own, opened for appending")]
fn log_file(path: &Path) -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new().create(true).append(true).open(path)
}

fn java(home: &Path) -> Command {
    let mut command = Command::new("java");
    let logging = home.join("log4j2-INFO.xml");
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command.arg("-cp").arg(home.join("server").join("*"));
    command
}

fn terminate(child: &Child) -> io::Result<()> {
    let id = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let id = id.ok_or_else(|| io::Error::other("a child's process id is a positive number"))?;
    Ok(rustix::process::kill_process(id, rustix::process::Signal::TERM)?)
}

// Processes are outside of any simulation.
#[cfg(all(test, not(sim)))]
mod tests {
    use super::*;
    use ottla_env::task::Runtime;

    #[test]
    fn properties_end_with_those_on_top() {
        let text = properties(Path::new("/d"), 1, 2, &[("log.segment.bytes", "1000")]);
        assert!(text.contains("controller.quorum.voters=1@127.0.0.1:2\n"), "{text}");
        assert!(text.contains("listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\n"), "{text}");
        assert!(text.contains("log.dirs=/d/data\n") && text.ends_with("log.segment.bytes=1000\n"), "{text}");
        let text = properties(Path::new("/d"), 1, 2, &[("controller.quorum.bootstrap.servers", "h:{controller_port}")]);
        assert!(text.ends_with("controller.quorum.bootstrap.servers=h:2\n") && !text.contains("voters"), "{text}");
    }

    #[test]
    fn a_program_that_ends_at_once_is_told_with_its_words() {
        Runtime::new(1).expect("a runtime").block_on(async {
            // Any program will do that complains about `server --config` and ends.
            let program = Program::Ottla("cat".into());
            let mut server = Server::new(program, &[]).await.expect("made");
            match server.start().await {
                Err(ProcessError::Ended { status, log }) => {
                    assert!(!status.success() && log.contains("config"), "{log}")
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(server.id(), None);
        });
    }

    #[test]
    fn a_strangers_port_is_refused() {
        Runtime::new(1).expect("a runtime").block_on(async {
            let mut server = Server::new(Program::Ottla("cat".into()), &[]).await.expect("made");
            let _stranger = TcpListener::bind(server.address()).await.expect("free");
            let error = server.start().await.expect_err("busy");
            assert!(matches!(&error, ProcessError::Io(error) if error.kind() == io::ErrorKind::AddrInUse), "{error}");
        });
    }
}
