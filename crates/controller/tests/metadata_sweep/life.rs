//! One life of a controller, as `ottla server` begins it, and what it makes of its directory.

use std::path::Path;
use std::sync::Arc;

use ottla_controller::format::{DirectoryState, inspect};
use ottla_controller::raft::{ElectionState, VoterSet};
use ottla_controller::{ControllerListener, ControllerOptions, QuorumController, QuorumOptions};
use ottla_env::fs;
use ottla_metadata::{MetadataImage, MetadataLoader, MetadataRecord};
use ottla_storage::LogDir;
use ottla_storage::meta_properties::MetaProperties;

use crate::support::{CLUSTER_ID, Node, endpoint, static_voters};

/// Segments are short: a few topics, by the pace in which the fixture makes them.
const SEGMENT_MS: i64 = 150;

/// How the directory is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The voters stand in the log.
    pub(crate) is_dynamic: bool,
    pub(crate) snapshot_after_bytes: u64,
}

/// What a controller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The records that would make its image, without those of controllers: each life makes its own.
    pub(crate) records: Vec<String>,
    /// Cluster, node, directory.
    pub(crate) identity: MetaProperties,
    /// In which it was elected.
    pub(crate) epoch: i32,
}

/// The records of an image, to be compared.
pub(crate) fn records_of(image: &MetadataImage) -> Vec<String> {
    let told = |record: &MetadataRecord| !matches!(record, MetadataRecord::RegisterController(_));
    let mut records: Vec<_> = image.to_records().iter().filter(|r| told(r)).map(|r| format!("{r:?}")).collect();
    records.sort_unstable();
    records
}

/// Starts a controller and waits until it knows everything. `Err`: why it does not start.
pub(crate) async fn start(root: &Path, setting: Setting) -> Result<(Node, MetaProperties), String> {
    let properties = match inspect(root).map_err(|error| error.to_string())? {
        DirectoryState::Formatted(properties) => properties,
        other => return Err(format!("{}/meta.properties: the directory is {other:?}", root.display())),
    };
    if properties.node_id != 1 {
        return Err(format!("{}/meta.properties belongs to node {}", root.display(), properties.node_id));
    }
    let dir = LogDir::open(root).map_err(|error| error.to_string())?;
    let directory_id = dir.directory_id();
    let mut options = ControllerOptions::new(1, properties.cluster_id.clone());
    options.listeners = vec![ControllerListener { endpoint: endpoint(), security_protocol: 0 }];
    options.snapshot_after_bytes = setting.snapshot_after_bytes;
    let voters = if setting.is_dynamic { VoterSet::default() } else { static_voters() };
    let quorum = QuorumOptions::new(dir, properties.cluster_id.clone(), 7);
    let quorum = QuorumOptions { voters, segment_ms: SEGMENT_MS, ..quorum };
    let loader = Arc::new(MetadataLoader::new());
    let controller = QuorumController::start(options, quorum, Arc::clone(&loader)).map_err(|e| e.to_string())?;
    if !controller.caught_up().await {
        return Err(controller.ended().await.expect_err("it ended early").to_string());
    }
    Ok((Node { controller, loader, log_dirs: vec![directory_id] }, properties))
}

fn look(root: &Path, node: &Node, identity: &MetaProperties) -> Seen {
    let state = fs::read_to_string(root.join("__cluster_metadata-0/quorum-state")).expect("saved");
    let epoch = ElectionState::from_json(&state).expect("whole").epoch;
    Seen { records: records_of(&node.loader.current()), identity: identity.clone(), epoch }
}

/// A whole life, which makes a topic: what it found, and what it left. `Err`: why it did not start.
pub(crate) async fn live(
    root: &Path,
    setting: Setting,
    topic: &str,
    is_clean_end: bool,
) -> Result<(Seen, Seen), String> {
    let (node, identity) = start(root, setting).await?;
    let found = look(root, &node, &identity);
    // A broker of another cluster, or without a directory, would be refused.
    if identity.cluster_id == CLUSTER_ID && identity.directory_id.is_some() {
        node.register_broker(-1).await;
        assert_eq!(node.create_topic(topic, 2, &[("retention.ms", "77")]).await, 0, "a topic more");
    }
    let left = look(root, &node, &identity);
    if is_clean_end {
        node.controller.stop().await.expect("stops");
    }
    Ok((found, left))
}
