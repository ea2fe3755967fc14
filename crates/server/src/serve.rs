//! `ottla server`: from settings to a running node, and back down.
//!
//! ```text
//!   settings ─> directories ─> listeners bound ─> controller ─> metadata loaded ─> logs recovered ─> broker registered ─> accepting
//!   signal ──> accepting stops ─> leaderships handed over ─> connections closed ─> controller ─> logs flushed, marked clean
//! ```
//!
//! Everything that can refuse does so before the first client is accepted, with a sentence that says what to do.

mod configuration;
mod controller;
mod directories;
mod listeners;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ottla_broker::Broker;
use ottla_broker::broker::{Parts, SupportedFeature};
use ottla_broker::dynamic_config::{DynamicConfigPublisher, cleaner_config};
use ottla_broker::lifecycle::{self, Registration, Running};
use ottla_broker::topic_log_config::log_config;
use ottla_controller::{QuorumController, features};
use ottla_env::task::{self, Runtime, signal};
use ottla_env::time::{self, Instant};
use ottla_metadata::config::{BrokerConfig, DynamicBrokerConfig};
use ottla_metadata::image::MetadataImage;
use ottla_metadata::{ControllerDoor, MetadataLoader};
use ottla_protocol::Uuid;
use ottla_storage::{LogDir, LogManager, LogManagerOptions, NotedReplica};

use directories::Identity;

/// The node stopped because it could not go on.
const FAILED: u8 = 3;
/// A second signal came before the stop was finished.
const CUT_SHORT: u8 = 4;
/// A clean stop may take this long, then what is left is recovered at the next start.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether too many log directories have failed.
const OFFLINE_CHECK: Duration = Duration::from_millis(200);
/// The controller may keep the broker waiting this long for its consent to stop.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(10);

/// What `ottla server` is told on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServerArgs {
    /// Properties file, such as Kafka's server.properties; without one a node for trying things out starts on
    /// 127.0.0.1:9092 with its data in ./ottla-data
    #[arg(long, short = 'c', value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A property on top of the file and the environment; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// A node whose parts are up.
struct Node {
    running: Running,
    controller: Arc<QuorumController>,
    logs: Arc<LogManager>,
    metadata_dir: Arc<LogDir>,
    broker: Arc<Broker>,
}

/// Runs a node until it is told to stop.
pub(crate) fn run(args: &ServerArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let config = Arc::new(configuration::load(args)?);
    let identity = directories::prepare(&config)?;
    let runtime = Runtime::new(config.num_network_threads).context("cannot start threads")?;
    let code = runtime.block_on(live(&config, &identity, started));
    runtime.shut_down(Duration::from_secs(1));
    code
}

async fn live(config: &Arc<BrokerConfig>, identity: &Identity, started: Instant) -> anyhow::Result<ExitCode> {
    let mut node = start(config, identity).await?;
    let listening: Vec<_> = lifecycle::addresses(&node.broker);
    tracing::info!(
        "ready: listening on {}, data in {}, cluster {}, started in {} ms",
        listening.join(", "),
        config.log_dirs.join(", "),
        identity.cluster_id,
        started.elapsed().as_millis()
    );
    let failure = tokio::select! {
        () = signal::terminate() => None,
        ended = node.controller.ended() => Some(ended.map_or_else(|e| e.to_string(), |()| "the controller ended".into())),
        cause = too_many_offline(&node.logs, &node.metadata_dir) => Some(cause),
        cause = node.running.gave_up() => Some(cause),
    };
    if let Some(cause) = &failure {
        tracing::error!("stopping, since the node cannot go on: {cause}");
    }
    let stopped = tokio::select! {
        biased;
        stopped = stop(node) => stopped,
        () = signal::terminate() => {
            tracing::warn!("stopping at once: a second signal came; the next start recovers the logs");
            return Ok(ExitCode::from(CUT_SHORT));
        }
    };
    match (failure, stopped) {
        (None, stopped) => stopped.map(|()| ExitCode::SUCCESS),
        (Some(_), stopped) => {
            if let Err(cause) = stopped {
                tracing::error!("the stop was not clean: {cause:#}");
            }
            Ok(ExitCode::from(FAILED))
        }
    }
}

async fn start(config: &Arc<BrokerConfig>, identity: &Identity) -> anyhow::Result<Node> {
    // Its lock comes before the sockets: a second node on the same directory must not be taken for this one.
    let metadata_dir = LogDir::open(Path::new(&config.metadata_log_dir))?;
    let bound = listeners::bind(config).await?;
    let loader = Arc::new(MetadataLoader::new());
    // Recovery reads and writes files, so all of it happens on threads that may block.
    let starting = {
        let (config, identity, loader) = (Arc::clone(config), identity.clone(), Arc::clone(&loader));
        let (listeners, dir) = (controller::listeners(&bound), Arc::clone(&metadata_dir));
        task::blocking("recovery", move || controller::start(&config, &identity, listeners, dir, loader))
    };
    let controller = Arc::new(starting.await?);
    // How a log is recovered depends on its topic's configuration: a hole is a loss, unless the topic is compacted.
    if !controller.caught_up().await {
        controller.ended().await?;
        anyhow::bail!("the controller ended before it had loaded the metadata");
    }
    let opening = {
        let (config, loader, dir) = (Arc::clone(config), Arc::clone(&loader), Arc::clone(&metadata_dir));
        task::blocking("recovery", move || open(&config, dir, &loader))
    };
    let logs = opening.await?;
    let broker = Broker::new(Parts {
        config: Arc::clone(config),
        cluster_id: Arc::from(identity.cluster_id.as_str()),
        features: features::supported().map(|(name, min, max)| SupportedFeature { name, min, max }).collect(),
        logs: Arc::clone(&logs),
        metadata: loader.view(),
        controller: Arc::clone(&controller) as Arc<dyn ControllerDoor>,
    });
    let registration = Registration {
        endpoints: lifecycle::endpoints(&bound),
        log_dirs: logs.dirs().iter().filter(|dir| dir.error.is_none()).map(|dir| dir.directory_id).collect(),
        previous_epoch: logs.clean_broker_epoch().unwrap_or(-1),
    };
    let trouble = "the broker cannot join its cluster";
    let due_ms = lifecycle::register(&broker, &registration).await.context(trouble)?;
    // Before the replicas, which are made where the directories take them.
    loader.add_publisher(Arc::new(DynamicConfigPublisher::new(Arc::clone(&broker))));
    // Only now: the replica manager sets aside what its first image does not know.
    loader.add_publisher(Arc::clone(&broker.replicas) as _);
    // After the replicas: a coordinator serves where this broker has begun to lead.
    loader.add_publisher(Arc::clone(&broker.groups) as _);
    lifecycle::unfence(&broker, due_ms).await.context(trouble)?;
    logs.start()?;
    let running = lifecycle::start(&broker, bound);
    Ok(Node { running, controller, logs, metadata_dir, broker })
}

/// Opens the logs of all partitions.
fn open(
    config: &Arc<BrokerConfig>,
    metadata_dir: Arc<LogDir>,
    loader: &Arc<MetadataLoader>,
) -> anyhow::Result<Arc<LogManager>> {
    let (topic_config, view, noted_view) = (Arc::clone(config), loader.view(), loader.view());
    let node_id = config.node_id;
    let dynamic_config = DynamicBrokerConfig::resolve(config, &view.current().configs);
    // A directory that is the metadata log's alone takes no partitions.
    let is_shared = config.log_dirs.contains(&config.metadata_log_dir);
    let opened = if is_shared { vec![metadata_dir] } else { Vec::new() };
    Ok(LogManager::open(LogManagerOptions {
        dirs: config.log_dirs.iter().map(PathBuf::from).collect(),
        opened,
        config_of: Box::new(move |topic| Arc::new(log_config(&topic_config, &view.current(), topic))),
        noted_of: Box::new(move |topic, partition| noted(&noted_view.current(), node_id, topic, partition)),
        retention_check_interval_ms: config.log_retention_check_interval_ms,
        flush_checkpoint_interval_ms: config.log_flush_offset_checkpoint_interval_ms,
        log_start_checkpoint_interval_ms: config.log_flush_start_offset_checkpoint_interval_ms,
        high_watermark_checkpoint_interval_ms: config.replica_high_watermark_checkpoint_interval_ms,
        producer_id_expiration_ms: dynamic_config.producer_id_expiration_ms,
        recovery_threads: dynamic_config.num_recovery_threads_per_data_dir,
        cleaner: cleaner_config(config, &dynamic_config),
        ..LogManagerOptions::default()
    })?)
}

/// What the metadata notes of this node's replica of a partition.
fn noted(image: &MetadataImage, node_id: i32, topic: &str, partition: i32) -> Option<NotedReplica> {
    let topic = image.topics.by_name(topic)?;
    let directory = topic.partitions.get(&partition).and_then(|registration| registration.directory_of(node_id));
    Some(NotedReplica { topic_id: topic.id, directory: directory.unwrap_or(Uuid::UNASSIGNED_DIRECTORY) })
}

/// Resolves with a sentence when the last log directory has failed, or that of the metadata log.
async fn too_many_offline(logs: &LogManager, metadata_dir: &LogDir) -> String {
    loop {
        if let Some(reason) = metadata_dir.offline_reason() {
            return format!("the log directory of the metadata, {}, failed: {reason}", metadata_dir.path().display());
        }
        if logs.log_dirs().iter().all(|dir| dir.offline_reason().is_some()) {
            return "every log directory is offline".to_owned();
        }
        time::sleep(OFFLINE_CHECK).await;
    }
}

/// Everything down, in the order that lets each part finish what it has begun.
async fn stop(node: Node) -> anyhow::Result<()> {
    tracing::info!("stopping");
    let broker_epoch = node.broker.epoch();
    node.running.stop(HAND_OVER_PATIENCE).await;
    let controller = time::timeout(STOP_PATIENCE, node.controller.stop()).await;
    // Whatever became of the controller, what producers were told is kept must be kept.
    let logs = Arc::clone(&node.logs);
    let flushed = task::blocking("stop", move || logs.stop(broker_epoch));
    time::timeout(STOP_PATIENCE, flushed)
        .await
        .context("the logs were not flushed in time; the next start recovers them")?
        .context("the stop is not clean, and the next start recovers the logs")?;
    controller.context("the controller did not stop in time")?.context("the controller did not stop cleanly")?;
    tracing::info!("stopped");
    Ok(())
}
