//! Formatting log directories as Kafka 4.4's `kafka-storage format` does.
//!
//! ```text
//!   every log directory   meta.properties: cluster id, node id, an id of its own
//!   the metadata one      __cluster_metadata-0/00000000000000000000-0000000000.checkpoint: the feature levels with which the
//!                         first leader begins the log, and in a dynamic quorum kraft.version 1 and the voters
//! ```
//!
//! A directory keeps its kind: without a voters record it belongs to a static quorum, whose voters stand in
//! `controller.quorum.voters`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ottla_env::fs;
use ottla_metadata::records::{FeatureLevelRecord, MetadataRecord};
use ottla_protocol::ids::Uuid;
use ottla_storage::meta_properties::{MetaProperties, MetaPropertiesError};

use crate::features::{self, FeatureError, KRAFT_VERSION, METADATA_VERSION, METADATA_VERSION_MAX};
use crate::quorum_wire::METADATA_TOPIC;
use crate::raft::{Endpoint, ReplicaKey, SnapshotId, Voter, VoterSet};
use crate::snapshot_file::{self, SnapshotError, SnapshotHead};

/// Names the bootstrap snapshot.
pub(crate) const BOOTSTRAP: SnapshotId = SnapshotId { end_offset: 0, epoch: 0 };

/// Range of kraft.version that this release supports as a voter.
const KRAFT_VERSIONS: (i16, i16) = (0, 1);

/// How the voters of the quorum are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuorumKind {
    /// In the configuration: `controller.quorum.voters`.
    Static,
    /// In the log; this node alone at first (`--standalone`).
    Standalone {
        /// Where the others reach it: the controller listener.
        endpoint: Endpoint,
    },
    /// In the log; these at first (`--initial-controllers`), this node among them.
    InitialControllers(Vec<InitialController>),
    /// In the log, which comes from the others (`--no-initial-controllers`).
    NoInitialControllers,
}

/// One of the voters of a new dynamic quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialController {
    /// Node id.
    pub id: i32,
    /// Id of its metadata directory.
    pub directory_id: Uuid,
    /// Its controller listener.
    pub endpoint: Endpoint,
}

/// What is to be formatted.
#[derive(Debug, Clone)]
pub struct FormatOptions {
    /// Cluster id, as given: it is written as it is.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: i32,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, by default the first of `log.dirs`.
    pub metadata_log_dir: PathBuf,
    /// Static or dynamic.
    pub quorum: QuorumKind,
    /// The release whose metadata.version and default features to use; the newest when `None`.
    pub release_version: Option<String>,
    /// Levels other than the release's defaults.
    pub features: BTreeMap<String, i16>,
    /// Leave formatted directories alone instead of refusing.
    pub ignore_formatted: bool,
}

/// Why directories cannot be formatted.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// One has been formatted before.
    #[error(
        "log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others",
        .0.display()
    )]
    AlreadyFormatted(PathBuf),
    /// No directories.
    #[error("no log directories are configured")]
    NoDirectories,
    /// Directories of other clusters or nodes.
    #[error("{}: the directory belongs to {found}, not to {expected}", path.display())]
    BelongsElsewhere {
        /// Which.
        path: PathBuf,
        /// Cluster or node that it names.
        found: String,
        /// The one that was expected.
        expected: String,
    },
    /// Feature levels.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// kraft.version does not go with the way in which voters are found.
    #[error("kraft.version {level} does not go with {kind}; leave kraft.version out and it will fit")]
    KRaftVersion {
        /// Level asked for.
        level: i16,
        /// Static or dynamic.
        kind: &'static str,
    },
    /// This node is not among the initial controllers.
    #[error("the initial controllers do not name this node, {0}")]
    NotAmongInitialControllers(i32),
    /// meta.properties.
    #[error(transparent)]
    MetaProperties(#[from] MetaPropertiesError),
    /// The bootstrap snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A directory.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl FormatError {
    /// Whether the disk is at fault, not what somebody configured.
    #[must_use]
    pub fn is_io(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::MetaProperties(MetaPropertiesError::Io(_)))
    }
}

/// What a log directory is before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryState {
    /// Not there, or empty: may be formatted.
    Empty,
    /// Formatted.
    Formatted(MetaProperties),
    /// Something else lies there.
    Foreign,
}

/// Looks at a log directory.
///
/// # Errors
/// When it cannot be read, or its meta.properties is not understood.
pub fn inspect(dir: &Path) -> Result<DirectoryState, FormatError> {
    if !fs::exists(dir) {
        return Ok(DirectoryState::Empty);
    }
    if let Some(properties) = MetaProperties::read(dir)? {
        return Ok(DirectoryState::Formatted(properties));
    }
    let entries = fs::read_dir(dir).map_err(|source| FormatError::Io { path: dir.to_owned(), source })?;
    // A fresh file system has a lost+found, and a process that was refused here leaves its lock.
    let ours = |name: &str| matches!(name, "lost+found" | ".lock");
    Ok(if entries.iter().all(|e| ours(&e.name)) { DirectoryState::Empty } else { DirectoryState::Foreign })
}

/// Formats the directories that are not yet formatted, and returns a sentence for each. `random` gives sixteen random
/// bytes for each directory id.
///
/// # Errors
/// [`FormatError`]; what was formatted until then stays so.
pub fn format(
    options: &FormatOptions,
    now_ms: i64,
    random: &mut dyn FnMut() -> [u8; 16],
) -> Result<Vec<String>, FormatError> {
    let mut dirs = options.log_dirs.clone();
    if !dirs.contains(&options.metadata_log_dir) {
        dirs.push(options.metadata_log_dir.clone());
    }
    let mut unformatted = Vec::new();
    for dir in dirs.into_iter().filter(|d| !d.as_os_str().is_empty()) {
        match inspect(&dir)? {
            DirectoryState::Formatted(_) if !options.ignore_formatted => {
                return Err(FormatError::AlreadyFormatted(dir));
            }
            DirectoryState::Formatted(properties) => check_owner(options, &dir, &properties)?,
            DirectoryState::Empty | DirectoryState::Foreign => unformatted.push(dir),
        }
    }
    if options.log_dirs.is_empty() {
        return Err(FormatError::NoDirectories);
    }
    let levels = levels(options)?;
    let mut sentences = Vec::new();
    // The metadata directory last: a crash in between leaves a node that is refused, not one that begins an empty cluster.
    unformatted.sort_by_key(|dir| *dir == options.metadata_log_dir);
    for dir in unformatted {
        let directory_id = directory_id(options, &dir, random);
        // Whatever will be promised of what lies in it, its own name comes first.
        fs::create_dir_durably(&dir).map_err(|source| FormatError::Io { path: dir.clone(), source })?;
        let kind = if dir == options.metadata_log_dir {
            write_bootstrap(options, &dir, directory_id, &levels, now_ms)?;
            if options.quorum == QuorumKind::Static { "metadata directory" } else { "dynamic metadata voter directory" }
        } else {
            "data directory"
        };
        let cluster_id = options.cluster_id.clone();
        let properties =
            MetaProperties { version: 1, cluster_id, node_id: options.node_id, directory_id: Some(directory_id) };
        properties.write(&dir)?;
        let version = levels.get(METADATA_VERSION).copied().unwrap_or(METADATA_VERSION_MAX);
        let version = features::metadata_version_name(version);
        sentences.push(format!("Formatting {kind} {} with {METADATA_VERSION} {version}.", dir.display()));
    }
    if sentences.is_empty() {
        sentences.push("All of the log directories are already formatted.".to_owned());
    }
    Ok(sentences)
}

fn check_owner(options: &FormatOptions, dir: &Path, properties: &MetaProperties) -> Result<(), FormatError> {
    let (found, expected) = if properties.cluster_id != options.cluster_id {
        (format!("cluster {}", properties.cluster_id), format!("cluster {}", options.cluster_id))
    } else if properties.node_id != options.node_id {
        (format!("node {}", properties.node_id), format!("node {}", options.node_id))
    } else {
        return Ok(());
    };
    Err(FormatError::BelongsElsewhere { path: dir.to_owned(), found, expected })
}

/// The feature levels, kraft.version among them exactly when the quorum is dynamic.
fn levels(options: &FormatOptions) -> Result<BTreeMap<String, i16>, FormatError> {
    let metadata_version = match &options.release_version {
        Some(release) => features::metadata_version_level(release)?,
        None => METADATA_VERSION_MAX,
    };
    let mut levels = features::levels(metadata_version, &options.features)?;
    let (fitting, kind) = match options.quorum {
        QuorumKind::Static => (0, "a static quorum (controller.quorum.voters)"),
        _ => (1, "a dynamic quorum"),
    };
    if let Some(level) = options.features.get(KRAFT_VERSION).copied().filter(|level| *level != fitting) {
        return Err(FormatError::KRaftVersion { level, kind });
    }
    levels.remove(KRAFT_VERSION);
    if fitting > 0 {
        levels.insert(KRAFT_VERSION.to_owned(), fitting);
    }
    Ok(levels)
}

/// A random id, but for the metadata directory of an initial controller, whose id was given.
fn directory_id(options: &FormatOptions, dir: &Path, random: &mut dyn FnMut() -> [u8; 16]) -> Uuid {
    if let QuorumKind::InitialControllers(controllers) = &options.quorum
        && *dir == options.metadata_log_dir
        && let Some(own) = controllers.iter().find(|c| c.id == options.node_id)
    {
        return own.directory_id;
    }
    loop {
        // As Kafka: none that a command line would take for an option.
        let id = Uuid::from_random_bytes(random());
        if !id.to_string().starts_with('-') {
            return id;
        }
    }
}

fn voters(options: &FormatOptions, directory_id: Uuid) -> Result<Option<VoterSet>, FormatError> {
    let voter = |id: i32, directory_id: Uuid, endpoint: &Endpoint| Voter {
        key: ReplicaKey::new(id, directory_id),
        endpoints: vec![endpoint.clone()],
        min_kraft_version: KRAFT_VERSIONS.0,
        max_kraft_version: KRAFT_VERSIONS.1,
    };
    match &options.quorum {
        QuorumKind::Static | QuorumKind::NoInitialControllers => Ok(None),
        QuorumKind::Standalone { endpoint } => {
            Ok(Some(VoterSet::new([voter(options.node_id, directory_id, endpoint)])))
        }
        QuorumKind::InitialControllers(controllers) => {
            if !controllers.iter().any(|c| c.id == options.node_id) {
                return Err(FormatError::NotAmongInitialControllers(options.node_id));
            }
            Ok(Some(VoterSet::new(controllers.iter().map(|c| voter(c.id, c.directory_id, &c.endpoint)))))
        }
    }
}

fn write_bootstrap(
    options: &FormatOptions,
    dir: &Path,
    directory_id: Uuid,
    levels: &BTreeMap<String, i16>,
    now_ms: i64,
) -> Result<(), FormatError> {
    let metadata_dir = dir.join(format!("{METADATA_TOPIC}-0"));
    fs::create_dir_all(&metadata_dir).map_err(|source| FormatError::Io { path: metadata_dir.clone(), source })?;
    let metadata_version = levels.get(METADATA_VERSION).copied().unwrap_or(METADATA_VERSION_MAX);
    let head = SnapshotHead {
        id: BOOTSTRAP,
        timestamp_ms: now_ms,
        last_contained_log_timestamp_ms: now_ms,
        kraft_version: levels.get(KRAFT_VERSION).copied().unwrap_or(0),
        voters: voters(options, directory_id)?,
    };
    let bytes = snapshot_file::encode(&head, &level_records(levels), metadata_version).map_err(SnapshotError::from)?;
    Ok(snapshot_file::write(&metadata_dir, BOOTSTRAP, &bytes)?)
}

/// metadata.version first: what follows is read by it.
fn level_records(levels: &BTreeMap<String, i16>) -> Vec<MetadataRecord> {
    let mut names: Vec<(&String, &i16)> = levels.iter().filter(|(name, _)| *name != KRAFT_VERSION).collect();
    names.sort_by_key(|(name, _)| *name != METADATA_VERSION);
    let record = |(name, level): (&String, &i16)| FeatureLevelRecord { name: name.clone(), feature_level: *level };
    names.into_iter().map(record).map(MetadataRecord::from).collect()
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
