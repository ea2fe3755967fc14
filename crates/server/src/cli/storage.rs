//! `ottla storage format|info|random-uuid`, as Kafka's `kafka-storage`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use ottla_controller::format::{self, DirectoryState, FormatOptions, InitialController, QuorumKind};
use ottla_controller::raft::Endpoint;
use ottla_env::{fs, random, time};
use ottla_metadata::config::broker_config::QuorumKind as ConfiguredQuorum;
use ottla_metadata::config::{BrokerConfig, Settings};
use ottla_protocol::Uuid;

/// Formats log directories, shows what they are, or makes a cluster id.
#[derive(Debug, Args)]
pub(crate) struct StorageArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Format the log directories of a properties file
    Format(FormatArgs),
    /// Show what lies in the log directories of a properties file
    Info {
        /// Properties file
        #[arg(long, short = 'c', value_name = "FILE")]
        config: PathBuf,
    },
    /// Print a random cluster id or directory id
    RandomUuid,
}

#[derive(Debug, Args)]
struct FormatArgs {
    /// Properties file
    #[arg(long, short = 'c', value_name = "FILE")]
    config: PathBuf,
    /// Id of the cluster, as `ottla storage random-uuid` prints one
    #[arg(long, short = 't', value_name = "UUID")]
    cluster_id: String,
    /// Leave formatted directories alone instead of failing
    #[arg(long, short = 'g')]
    ignore_formatted: bool,
    /// The release whose metadata.version and features to begin with, such as 4.4 or 4.4-IV2
    #[arg(long, short = 'r', value_name = "RELEASE")]
    release_version: Option<String>,
    /// Level of a feature other than the release's default; may be given again
    #[arg(long, short = 'f', value_name = "FEATURE=LEVEL")]
    feature: Vec<String>,
    #[command(flatten)]
    quorum: QuorumArgs,
}

/// How the voters of a dynamic quorum are found; a static one has `controller.quorum.voters`.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct QuorumArgs {
    /// Begin a dynamic quorum with this node alone
    #[arg(long, short = 's')]
    standalone: bool,
    /// Leave the voters to the others, whose quorum this node will join
    #[arg(long, short = 'N')]
    no_initial_controllers: bool,
    /// Begin a dynamic quorum with these: ID@HOST:PORT:DIRECTORY-ID,…
    #[arg(long, short = 'I', value_name = "CONTROLLERS")]
    initial_controllers: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(args: &StorageArgs) -> anyhow::Result<()> {
    match &args.verb {
        Verb::Format(args) => format_directories(args),
        Verb::Info { config } => info(config),
        Verb::RandomUuid => {
            println!("{}", random_uuid());
            Ok(())
        }
    }
}

/// As Kafka: none that a command line would take for an option.
fn random_uuid() -> Uuid {
    loop {
        let id = Uuid::from_random_bytes(random::bytes16());
        if !id.to_string().starts_with('-') {
            return id;
        }
    }
}

fn load(path: &Path) -> anyhow::Result<BrokerConfig> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut settings = Settings::empty();
    settings.add_file(&path.display().to_string(), &bytes)?;
    let (config, warnings) = BrokerConfig::from_settings(&settings)?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    Ok(config)
}

fn format_directories(args: &FormatArgs) -> anyhow::Result<()> {
    let config = load(&args.config)?;
    args.cluster_id.parse::<Uuid>().context("--cluster-id")?;
    let options = FormatOptions {
        cluster_id: args.cluster_id.clone(),
        node_id: config.node_id,
        log_dirs: config.log_dirs.iter().map(PathBuf::from).collect(),
        metadata_log_dir: PathBuf::from(&config.metadata_log_dir),
        quorum: quorum(&config, &args.quorum)?,
        release_version: args.release_version.clone(),
        features: args.feature.iter().map(|f| feature(f)).collect::<anyhow::Result<BTreeMap<_, _>>>()?,
        ignore_formatted: args.ignore_formatted,
    };
    for sentence in format::format(&options, time::wall_clock_ms(), &mut random::bytes16)? {
        println!("{sentence}");
    }
    Ok(())
}

fn quorum(config: &BrokerConfig, args: &QuorumArgs) -> anyhow::Result<QuorumKind> {
    let dynamic = args.standalone || args.no_initial_controllers || args.initial_controllers.is_some();
    if let ConfiguredQuorum::Static { .. } = &config.quorum {
        if dynamic {
            bail!(
                "controller.quorum.voters makes the quorum static; remove it and set controller.quorum.bootstrap.servers \
                 to format for a dynamic one"
            );
        }
        return Ok(QuorumKind::Static);
    }
    if let Some(controllers) = &args.initial_controllers {
        let name = controller_endpoint(config)?.listener;
        let controllers = controllers.split(',').map(|c| initial_controller(c, &name));
        return Ok(QuorumKind::InitialControllers(controllers.collect::<anyhow::Result<_>>()?));
    }
    if args.standalone {
        return Ok(QuorumKind::Standalone { endpoint: controller_endpoint(config)? });
    }
    if args.no_initial_controllers {
        return Ok(QuorumKind::NoInitialControllers);
    }
    bail!(
        "controller.quorum.voters is not set, so say how the voters are found: --standalone for a cluster that begins with \
         this node, --initial-controllers, or --no-initial-controllers"
    )
}

fn controller_endpoint(config: &BrokerConfig) -> anyhow::Result<Endpoint> {
    let listener = config.controller_listeners().next().context("controller.listener.names names no listener")?;
    let address = &listener.advertised;
    if address.is_wildcard() || address.port == 0 {
        bail!(
            "the controller listener {} needs a host and a port that others can reach; name them in listeners or \
             advertised.listeners",
            listener.name
        );
    }
    Ok(Endpoint { listener: listener.name.clone(), host: address.host.clone(), port: address.port })
}

/// Reads `id@host:port:directory-id`.
fn initial_controller(text: &str, listener: &str) -> anyhow::Result<InitialController> {
    let parsed = || {
        let (id, rest) = text.trim().split_once('@')?;
        let (address, directory_id) = rest.rsplit_once(':')?;
        let (host, port) = address.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let endpoint = Endpoint { listener: listener.to_owned(), host: host.to_owned(), port: port.parse().ok()? };
        Some(InitialController { id: id.parse().ok()?, directory_id: directory_id.parse().ok()?, endpoint })
    };
    parsed().with_context(|| format!("`{text}` is not ID@HOST:PORT:DIRECTORY-ID"))
}

fn feature(text: &str) -> anyhow::Result<(String, i16)> {
    let parsed = text.split_once('=').and_then(|(name, level)| Some((name.to_owned(), level.parse().ok()?)));
    parsed.with_context(|| format!("`{text}` is not FEATURE=LEVEL"))
}

fn info(path: &Path) -> anyhow::Result<()> {
    let config = load(path)?;
    let mut dirs: Vec<PathBuf> = config.log_dirs.iter().map(PathBuf::from).collect();
    let metadata = PathBuf::from(&config.metadata_log_dir);
    if !dirs.contains(&metadata) {
        dirs.push(metadata);
    }
    println!("Found log directories:");
    dirs.iter().for_each(|dir| println!("  {}", dir.display()));
    let mut problems = Vec::new();
    let mut clusters: Vec<String> = Vec::new();
    println!("\nFound metadata:");
    for dir in &dirs {
        match format::inspect(dir)? {
            DirectoryState::Formatted(p) => {
                let directory = p.directory_id.map_or_else(|| "none".to_owned(), |id| id.to_string());
                let (cluster, node, version) = (&p.cluster_id, p.node_id, p.version);
                let shown =
                    format!("cluster.id={cluster}, directory.id={directory}, node.id={node}, version={version}");
                println!("  {}: {{{shown}}}", dir.display());
                if node != config.node_id {
                    problems.push(format!("{} belongs to node {node}, not {}", dir.display(), config.node_id));
                }
                clusters.push(p.cluster_id);
            }
            DirectoryState::Empty => problems.push(format!("{} is not formatted", dir.display())),
            DirectoryState::Foreign => {
                problems.push(format!("{} is not formatted, and other files lie in it", dir.display()));
            }
        }
    }
    clusters.sort_unstable();
    clusters.dedup();
    if clusters.len() > 1 {
        problems.push(format!("the directories belong to several clusters: {}", clusters.join(", ")));
    }
    if problems.is_empty() {
        return Ok(());
    }
    println!("\nFound problems:");
    problems.iter().for_each(|problem| println!("  {problem}"));
    bail!("{} of the log directories cannot be used as they are", problems.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_controllers_are_read_as_kafka_writes_them() {
        let one = initial_controller("1@[::1]:9093:MMsrTcw0TDaxC5mqEsAE2Q", "CONTROLLER").expect("reads");
        assert_eq!((one.id, one.endpoint.host.as_str(), one.endpoint.port), (1, "::1", 9093));
        assert_eq!(one.directory_id.to_string(), "MMsrTcw0TDaxC5mqEsAE2Q");
        for bad in ["", "1@localhost:9093", "x@localhost:9093:MMsrTcw0TDaxC5mqEsAE2Q", "1@localhost:9093:short"] {
            assert!(initial_controller(bad, "CONTROLLER").is_err(), "{bad}");
        }
    }

    #[test]
    fn features_are_read() {
        assert_eq!(feature("kraft.version=1").expect("reads"), ("kraft.version".to_owned(), 1));
        assert!(feature("kraft.version").is_err() && feature("kraft.version=x").is_err());
    }
}
