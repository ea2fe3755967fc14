//! Fetches what the rings need into `target/`, once: a second run finds it there and does nothing.
//!
//! A fresh machine is Debian with Rust. As root, missing programs are installed with apt; otherwise each is named, and the rings that
//! need it count as not run. Nothing here fails the run: what is lacking is said.

mod clients;
mod kafka;
mod programs;

use std::path::{Path, PathBuf};

use anyhow::Result;

/// What is there now.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The jars of Apache Kafka's server.
    pub(crate) server: Option<PathBuf>,
    /// The jars of Kafka's command-line tools.
    pub(crate) tools: Option<PathBuf>,
    /// Kafka's own message definitions.
    pub(crate) definitions: Option<PathBuf>,
    /// The Python with the clients under test.
    pub(crate) python: Option<PathBuf>,
    /// The Python with older clients, for `compat --full`.
    pub(crate) old_python: Option<PathBuf>,
    /// The `node_modules` with KafkaJS.
    pub(crate) node_modules: Option<PathBuf>,
    /// The `node_modules` with what is built from source, for `compat --full`.
    pub(crate) node_modules_full: Option<PathBuf>,
    /// The directory of the built Go drivers.
    pub(crate) go: Option<PathBuf>,
    /// Whether kcat is installed.
    pub(crate) kcat: bool,
    /// A sentence for each thing that is not there.
    pub(crate) lacking: Vec<String>,
}

impl Prepared {
    /// Says what is lacking, or that nothing is.
    pub(crate) fn report(&self) {
        for lack in &self.lacking {
            println!("lacking: {lack}");
        }
        if self.lacking.is_empty() {
            println!("everything is there");
        }
    }

    fn jars(&mut self, root: &Path, kafka: &Path) {
        self.tools = self.keep("Kafka's tools", kafka::jars(root, kafka, "tools"));
        self.server = self.keep("Apache Kafka", kafka::jars(root, kafka, "server"));
    }

    /// Keeps what a step brought, or why it brought nothing.
    fn keep<T>(&mut self, what: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(got) => Some(got),
            Err(e) => {
                self.lacking.push(format!("{what}: {e:#}"));
                None
            }
        }
    }
}

/// Everything but what only `--full` needs.
pub(crate) fn everything(root: &Path) -> Prepared {
    let target = crate::shell::target();
    let mut prepared = Prepared::default();
    programs::install(&mut prepared.lacking);
    prepared.kcat = crate::shell::has("kcat");

    let kafka = target.join("kafka");
    prepared.jars(root, &kafka);
    if let Some(server) = prepared.server.clone() {
        prepared.definitions = prepared.keep("Kafka's message definitions", kafka::definitions(&server, &kafka));
    }

    let compat = target.join("compat");
    let python = clients::python(root, &compat, "requirements");
    prepared.python = prepared.keep("the Python clients", python);
    prepared.node_modules = prepared.keep("KafkaJS", clients::node(root, &compat));
    prepared.go = prepared.keep("the Go clients", clients::go(root, &compat));
    prepared
}

/// Apache Kafka and its tools alone.
pub(crate) fn kafka_alone(root: &Path) -> Prepared {
    let mut prepared = Prepared::default();
    programs::install(&mut prepared.lacking);
    prepared.jars(root, &crate::shell::target().join("kafka"));
    prepared
}

/// What `compat --full` adds.
pub(crate) fn more_clients(root: &Path, prepared: &mut Prepared) {
    let compat = crate::shell::target().join("compat");
    prepared.old_python = prepared.keep("older Python clients", clients::python(root, &compat, "requirements-old"));
    prepared.node_modules_full = prepared.keep("kafka-javascript", clients::node_from_source(root, &compat));
}

/// Runs `work` unless `dir` was brought to this `version` before; the stamp is written last, so half a fetch is fetched again.
fn once(dir: &Path, version: &str, work: impl FnOnce() -> Result<()>) -> Result<PathBuf> {
    let stamp = dir.join(".prepared");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == version) {
        return Ok(dir.to_path_buf());
    }
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::create_dir_all(dir)?;
    println!("fetching into {}", dir.display());
    work()?;
    std::fs::write(&stamp, version)?;
    Ok(dir.to_path_buf())
}
