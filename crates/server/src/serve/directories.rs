//! The log directories before anything is opened in them: formatted ones must be this node's and of one cluster, empty
//! ones are formatted, others are refused. One that cannot be read is left to be offline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ottla_controller::format::{self, DirectoryState, FormatOptions, QuorumKind};
use ottla_controller::raft::Endpoint;
use ottla_env::{random, time};
use ottla_metadata::config::BrokerConfig;
use ottla_metadata::config::broker_config::QuorumKind as Configured;
use ottla_protocol::Uuid;
use ottla_storage::meta_properties::MetaProperties;

/// What the directories say of the node.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) cluster_id: String,
}

/// All directories, each once.
fn all(config: &BrokerConfig) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = config.log_dirs.iter().map(PathBuf::from).collect();
    let metadata = PathBuf::from(&config.metadata_log_dir);
    if !dirs.contains(&metadata) {
        dirs.push(metadata);
    }
    dirs
}

/// Looks at all directories and formats those that are empty.
pub(super) fn prepare(config: &BrokerConfig) -> anyhow::Result<Identity> {
    let mut formatted: Option<(PathBuf, MetaProperties)> = None;
    let (mut empty, mut unusable) = (Vec::new(), Vec::new());
    let metadata = Path::new(&config.metadata_log_dir);
    for dir in all(config) {
        let inspected = match format::inspect(&dir) {
            // A disk that cannot be read is offline from the start, as long as another one can be used.
            Err(cause) if dir != metadata && cause.is_io() => {
                tracing::error!("log directory {} cannot be used: {cause}", dir.display());
                unusable.push(dir);
                continue;
            }
            inspected => inspected?,
        };
        match inspected {
            DirectoryState::Empty => empty.push(dir),
            DirectoryState::Formatted(properties) => {
                check(config, &dir, &properties, formatted.as_ref())?;
                formatted = formatted.or(Some((dir, properties)));
            }
            DirectoryState::Foreign => bail!(
                "log directory {} is not empty and has no meta.properties: it is not a log directory, or its \
                 meta.properties was lost; name another one in log.dirs, or put the file back",
                dir.display()
            ),
        }
    }
    let known = formatted.map(|(_, properties)| properties.cluster_id);
    if known.is_some() && empty.iter().any(|dir| dir == metadata) {
        bail!(
            "log directory {} is empty while others are formatted, and it is the one with the metadata: put its content \
             back, or name the right one in metadata.log.dir",
            metadata.display()
        );
    }
    let cluster_id = known.unwrap_or_else(|| Uuid::from_random_bytes(random::bytes16()).to_string());
    if !empty.is_empty() {
        format_empty(config, &cluster_id, &unusable)?;
    }
    Ok(Identity { cluster_id })
}

fn check(
    config: &BrokerConfig,
    dir: &Path,
    properties: &MetaProperties,
    other: Option<&(PathBuf, MetaProperties)>,
) -> anyhow::Result<()> {
    if properties.node_id != config.node_id {
        bail!(
            "log directory {} belongs to node {}, but node.id is {}: set node.id={} or name another directory in log.dirs",
            dir.display(),
            properties.node_id,
            config.node_id,
            properties.node_id
        );
    }
    if let Some((first, known)) = other.filter(|(_, known)| known.cluster_id != properties.cluster_id) {
        bail!(
            "log directory {} belongs to cluster {}, {} to cluster {}: directories of one node belong to one cluster",
            dir.display(),
            properties.cluster_id,
            first.display(),
            known.cluster_id
        );
    }
    Ok(())
}

fn format_empty(config: &BrokerConfig, cluster_id: &str, unusable: &[PathBuf]) -> anyhow::Result<()> {
    let quorum = match &config.quorum {
        Configured::Static { .. } => QuorumKind::Static,
        Configured::Dynamic { .. } => QuorumKind::Standalone { endpoint: controller_endpoint(config)? },
    };
    let options = FormatOptions {
        cluster_id: cluster_id.to_owned(),
        node_id: config.node_id,
        log_dirs: config.log_dirs.iter().map(PathBuf::from).filter(|dir| !unusable.contains(dir)).collect(),
        metadata_log_dir: PathBuf::from(&config.metadata_log_dir),
        quorum,
        release_version: None,
        features: BTreeMap::new(),
        ignore_formatted: true,
    };
    for sentence in format::format(&options, time::wall_clock_ms(), &mut random::bytes16)? {
        tracing::info!("{sentence}");
    }
    Ok(())
}

/// Where the controller of this node is reached by others.
fn controller_endpoint(config: &BrokerConfig) -> anyhow::Result<Endpoint> {
    let listener = config.controller_listeners().next().context("controller.listener.names names no listener")?;
    Ok(Endpoint {
        listener: listener.name.clone(),
        host: listener.advertised.host.clone(),
        port: listener.advertised.port,
    })
}
