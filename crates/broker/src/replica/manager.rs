//! The partitions that this broker holds, kept in step with the metadata image.
//!
//! Looking a partition up takes no lock: the map is replaced as a whole when the metadata changes, which is rare.
//!
//! The manager becomes a publisher once this node has caught up with the metadata: what the first image does not know, the
//! cluster does not know, and its log is set aside. A partial image would make strays of logs that are only younger.

mod waiting;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use ottla_env::collections::HashMap;
use ottla_env::task;
use ottla_metadata::config::BrokerConfig;
use ottla_metadata::delta::TopicsDelta;
use ottla_metadata::image::{ConfigResourceType, MetadataImage, PartitionRegistration, TopicImage};
use ottla_metadata::{MetadataDelta, MetadataPublisher};
use ottla_protocol::Uuid;
use ottla_storage::{Log, LogDir, LogManager, Placement, StorageError, WantedLog};
use parking_lot::Mutex;

use super::assignments::DirectoryAssignments;
use super::moves::ReplicaMoves;
use super::partition::Partition;
use crate::dynamic_config::changes_broker;
use crate::topic_log_config::log_config;

/// Why a partition is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// No such topic.
    UnknownTopic,
    /// The topic has no such partition.
    UnknownPartition,
    /// Other brokers hold it.
    NotReplica,
    /// It is ours, but its log cannot be used.
    Offline,
}

/// Why a replica does not move to a log directory.
#[derive(Debug, thiserror::Error)]
pub enum MoveRefused {
    /// See [`LogManager::can_move`].
    #[error("the topic name is too long")]
    NameTooLong,
    /// `log.dirs` does not name it.
    #[error("no such directory in log.dirs")]
    NoSuchDirectory,
    /// It takes no new replicas.
    #[error("the log directory is cordoned")]
    Cordoned,
    /// Its log cannot be used.
    #[error("the partition is offline here")]
    PartitionOffline,
    /// The topic has it, but this broker holds no replica; the directory is remembered.
    #[error("this broker holds no replica")]
    NotHere,
    /// No such partition; the directory is remembered.
    #[error("no such partition is known")]
    UnknownPartition,
    /// A directory is offline, or files cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// One partition of a topic as this broker has it.
#[derive(Debug, Clone)]
enum Held {
    Online(Arc<Partition>),
    /// Its log could not be opened.
    Offline,
    /// Its log could not be made, or opened, for want of space or descriptors, and is tried again.
    Waiting {
        /// It was new when that was tried first.
        is_new: bool,
        cause: Arc<str>,
    },
    Elsewhere,
}

impl Held {
    fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }
}

#[derive(Debug, Default, Clone)]
struct Topic {
    name: Arc<str>,
    partitions: BTreeMap<i32, Held>,
}

impl Topic {
    /// Whether this broker holds a replica, which may be offline.
    fn is_here(&self, index: i32) -> bool {
        matches!(self.partitions.get(&index), Some(Held::Online(_) | Held::Offline | Held::Waiting { .. }))
    }

    /// How many partitions wait, and for what the first of them does.
    fn waiting(&self) -> Option<(usize, Arc<str>)> {
        let mut causes = self.partitions.values().filter_map(|held| match held {
            Held::Waiting { cause, .. } => Some(cause),
            Held::Online(_) | Held::Offline | Held::Elsewhere => None,
        });
        let first = Arc::clone(causes.next()?);
        Some((1 + causes.count(), first))
    }
}

/// Logs by topic id and partition, for partitions that are about to be held.
type Opened = HashMap<(Uuid, i32), Result<Arc<Log>, StorageError>>;

#[derive(Debug, Default, Clone)]
struct Topics {
    by_name: HashMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

/// See the module.
#[derive(Debug)]
pub struct ReplicaManager {
    config: Arc<BrokerConfig>,
    logs: Arc<LogManager>,
    topics: ArcSwap<Topics>,
    /// An image was published: strays have been set aside.
    has_image: AtomicBool,
    /// Some partition waits for space or descriptors.
    is_waiting: AtomicBool,
    /// One change of the map at a time: the metadata's, or that a directory failed.
    changing: Mutex<()>,
    assignments: Arc<DirectoryAssignments>,
    moves: Arc<ReplicaMoves>,
}

impl ReplicaManager {
    /// A manager that holds nothing until the first metadata arrives.
    #[must_use]
    pub fn new(config: Arc<BrokerConfig>, logs: Arc<LogManager>) -> Self {
        let assignments = Arc::<DirectoryAssignments>::default();
        let threads = config.num_replica_alter_log_dirs_threads;
        let moves = ReplicaMoves::new(Arc::clone(&logs), Arc::clone(&assignments), threads);
        Self {
            config,
            logs,
            topics: ArcSwap::default(),
            has_image: AtomicBool::new(false),
            is_waiting: AtomicBool::new(false),
            changing: Mutex::new(()),
            assignments,
            moves: Arc::new(moves),
        }
    }

    /// Replicas that move between log directories.
    #[must_use]
    pub fn moves(&self) -> &Arc<ReplicaMoves> {
        &self.moves
    }

    /// Begins to move a replica to the log directory at `path`, or calls a move off if the replica lies there; where there is no
    /// replica yet, the directory is remembered. Makes files: it blocks for the disk. Kafka: `alterReplicaLogDirs`.
    ///
    /// # Errors
    /// Why it does not move.
    pub fn alter_log_dir(&self, topic: &str, index: i32, path: &Path) -> Result<(), MoveRefused> {
        if !LogManager::can_move(topic, index) {
            return Err(MoveRefused::NameTooLong);
        }
        let dir = self.logs.log_dir(path).ok_or(MoveRefused::NoSuchDirectory)?;
        dir.check_online()?;
        if dir.is_cordoned() {
            return Err(MoveRefused::Cordoned);
        }
        let _one_at_a_time = self.changing.lock();
        let partition = match self.find(topic, index) {
            Ok(partition) => partition,
            Err(Missing::Offline) => return Err(MoveRefused::PartitionOffline),
            Err(missing @ (Missing::NotReplica | Missing::UnknownTopic | Missing::UnknownPartition)) => {
                self.logs.prefer(topic, index, dir.path());
                let is_known = missing == Missing::NotReplica;
                return Err(if is_known { MoveRefused::NotHere } else { MoveRefused::UnknownPartition });
            }
        };
        if self.logs.future(topic, index).is_some_and(|future| !Arc::ptr_eq(future.dir(), dir)) {
            self.moves.cancel(topic, index);
            self.logs.delete_future(topic, index)?;
        }
        if let Some(future) = self.logs.create_future(topic, index, dir)? {
            tracing::info!(topic, partition = index, from = %partition.log().dir().path().display(),
                to = %future.dir().path().display(), "a replica moves to another log directory");
            self.moves.add(&partition);
        }
        Ok(())
    }

    /// The log of a partition was lost while it was exchanged for its copy: it is offline until a start finds the copy.
    pub(super) fn partition_failed(&self, failed: &Arc<Partition>) {
        let _one_at_a_time = self.changing.lock();
        let mut topics = Topics::clone(&self.topics.load());
        let Some(topic) = topics.by_id.get(&failed.topic_id) else { return };
        let mut topic = Topic::clone(topic);
        let held = topic.partitions.get_mut(&failed.index);
        if let Some(held) = held
            && let Held::Online(partition) = &*held
            && Arc::ptr_eq(partition, failed)
        {
            *held = Held::Offline;
            let topic = Arc::new(topic);
            topics.by_name.insert(Arc::clone(&topic.name), Arc::clone(&topic));
            topics.by_id.insert(failed.topic_id, topic);
            self.topics.store(Arc::new(topics));
            failed.retire();
        }
    }

    /// The logs.
    #[must_use]
    pub fn logs(&self) -> &Arc<LogManager> {
        &self.logs
    }

    /// What the controller is yet to be told of where replicas lie.
    #[must_use]
    pub fn assignments(&self) -> &Arc<DirectoryAssignments> {
        &self.assignments
    }

    /// A log directory has failed: its partitions are offline, whoever waits on them hears so, and the others go on.
    pub fn directory_failed(&self, dir: &Arc<LogDir>) {
        let _one_at_a_time = self.changing.lock();
        let mut topics = Topics::clone(&self.topics.load());
        let mut failed: BTreeMap<Arc<str>, Vec<Arc<Log>>> = BTreeMap::new();
        for log in self.logs.let_go(dir) {
            failed.entry(Arc::clone(log.topic())).or_default().push(log);
        }
        let mut retired = Vec::new();
        for (name, logs) in failed {
            let Some(topic) = topics.by_name.get(&name) else { continue };
            let mut topic = Topic::clone(topic);
            for log in logs {
                if let Some(held) = topic.partitions.get_mut(&log.partition())
                    && let Held::Online(partition) = &*held
                    && Arc::ptr_eq(&partition.log(), &log)
                {
                    retired.push(Arc::clone(partition));
                    *held = Held::Offline;
                }
            }
            let topic = Arc::new(topic);
            topics.by_id.values_mut().filter(|known| known.name == name).for_each(|known| *known = Arc::clone(&topic));
            topics.by_name.insert(name, topic);
        }
        self.topics.store(Arc::new(topics));
        tracing::error!(dir = %dir.path().display(), partitions = retired.len(), "partitions of a failed log directory are offline");
        retired.iter().for_each(|partition| partition.retire());
    }

    /// A partition.
    ///
    /// # Errors
    /// Why it is not here.
    pub fn find(&self, topic: &str, index: i32) -> Result<Arc<Partition>, Missing> {
        let topics = self.topics.load();
        let topic = topics.by_name.get(topic).ok_or(Missing::UnknownTopic)?;
        match topic.partitions.get(&index) {
            Some(Held::Online(partition)) => Ok(Arc::clone(partition)),
            Some(Held::Offline | Held::Waiting { .. }) => Err(Missing::Offline),
            Some(Held::Elsewhere) => Err(Missing::NotReplica),
            None => Err(Missing::UnknownPartition),
        }
    }

    /// The name of a topic id.
    #[must_use]
    pub fn topic_name(&self, id: Uuid) -> Option<Arc<str>> {
        self.topics.load().by_id.get(&id).map(|topic| Arc::clone(&topic.name))
    }

    /// All partitions that are online here.
    #[must_use]
    pub fn online(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.load();
        let held = topics.by_name.values().flat_map(|topic| topic.partitions.values());
        held.filter_map(|held| if let Held::Online(p) = held { Some(Arc::clone(p)) } else { None }).collect()
    }

    fn hold(&self, topic: &TopicImage, previous: Option<&Topic>, opened: &mut Opened, is_first: bool) -> Topic {
        let held = |(index, registration): (&i32, &PartitionRegistration)| {
            let before = previous.and_then(|t| t.partitions.get(index));
            (*index, self.hold_partition(topic, *index, registration, before, opened, is_first))
        };
        let held = Topic { name: Arc::clone(&topic.name), partitions: topic.partitions.iter().map(held).collect() };
        if let Some((partitions, cause)) = held.waiting()
            && previous.and_then(Topic::waiting).is_none()
        {
            tracing::warn!(topic = %topic.name, partitions, %cause,
                "partitions wait for space or descriptors in the log directory, and are served as soon as there are some");
        }
        held
    }

    fn hold_partition(
        &self,
        topic: &TopicImage,
        index: i32,
        registration: &PartitionRegistration,
        before: Option<&Held>,
        opened: &mut Opened,
        is_first: bool,
    ) -> Held {
        let is_new = is_new(before, is_first);
        let before = before.and_then(|held| if let Held::Online(partition) = held { Some(partition) } else { None });
        if !registration.replicas.contains(&self.config.node_id) {
            before.inspect(|partition| partition.retire());
            return Held::Elsewhere;
        }
        let outcome = match before {
            Some(partition) => partition.assign(registration).map(|()| Arc::clone(partition)),
            None => self.hold_new(topic, index, registration, opened.remove(&(topic.id, index))),
        };
        match outcome {
            Ok(partition) => {
                let (noted, lies) = (registration.directory_of(self.config.node_id), partition.log().directory_id());
                if !self.moves.is_promoting(&topic.name, index) {
                    self.assignments.note((topic.id, index), noted.unwrap_or_default(), lies);
                }
                Held::Online(partition)
            }
            Err(cause) if cause.may_pass() => {
                before.inspect(|partition| partition.retire());
                self.is_waiting.store(true, Ordering::Release);
                Held::Waiting { is_new, cause: Arc::from(cause.to_string()) }
            }
            Err(cause) => {
                tracing::error!(topic = %topic.name, partition = index, %cause,
                    "the partition is offline here: look at its log directory, then restart the broker");
                before.inspect(|partition| partition.retire());
                Held::Offline
            }
        }
    }

    fn hold_new(
        &self,
        topic: &TopicImage,
        index: i32,
        registration: &PartitionRegistration,
        opened: Option<Result<Arc<Log>, StorageError>>,
    ) -> Result<Arc<Partition>, StorageError> {
        let log = opened.unwrap_or(Err(StorageError::NoDirectory))?;
        let name = Arc::clone(&topic.name);
        let partition = Arc::new(Partition::new(name, topic.id, index, self.config.node_id, log, registration)?);
        if self.logs.future(&topic.name, index).is_some() {
            // An earlier process had begun to move it.
            self.moves.add(&partition);
        }
        Ok(partition)
    }

    /// Opens or makes the logs of all partitions that are ours, in one go, if they are wanted as they are held now.
    fn open_logs(
        &self,
        image: &MetadataImage,
        changed: &[&Arc<TopicImage>],
        topics: &Topics,
        is_first: bool,
        is_wanted: fn(Option<&Held>) -> bool,
    ) -> Opened {
        let (mut places, mut wanted) = (Vec::new(), Vec::new());
        for topic in changed {
            let previous = topics.by_id.get(&topic.id);
            let mut config = None;
            for (index, registration) in topic.partitions.iter() {
                let before = previous.and_then(|t| t.partitions.get(index));
                let Some(directory) = registration.directory_of(self.config.node_id) else { continue };
                if !is_wanted(before) {
                    continue;
                }
                let config = config.get_or_insert_with(|| Arc::new(log_config(&self.config, image, &topic.name)));
                places.push((topic.id, *index));
                wanted.push(WantedLog {
                    topic: Arc::clone(&topic.name),
                    partition: *index,
                    topic_id: topic.id,
                    config: Arc::clone(config),
                    placement: placement(directory, is_new(before, is_first)),
                });
            }
        }
        places.into_iter().zip(self.logs.create_all(wanted)).collect()
    }

    /// Deletes a topic that cannot be found any more: those who wait are woken and must not find it again.
    fn let_go(&self, topic: &Topic) {
        let mut ours = Vec::with_capacity(topic.partitions.len());
        for (index, held) in &topic.partitions {
            if let Held::Online(partition) = held {
                partition.retire();
            }
            if !matches!(held, Held::Elsewhere) {
                ours.push(*index);
            }
        }
        self.delete_logs(&topic.name, &ours);
    }

    fn delete_logs(&self, topic: &str, partitions: &[i32]) {
        partitions.iter().for_each(|index| self.moves.drop_move(topic, *index));
        for (index, cause) in self.logs.delete_all(topic, partitions) {
            tracing::error!(topic, partition = index, %cause,
                "the log of a replica that is not here any more cannot be removed; remove its directory by hand");
        }
    }

    /// Whether the metadata knows nothing of a log, or gives its partition to others.
    fn is_stray(&self, log: &Log, image: &MetadataImage) -> bool {
        let topic = image.topics.by_name(log.topic()).filter(|topic| topic.id == log.topic_id());
        let registration = topic.and_then(|topic| topic.partitions.get(&log.partition()));
        !registration.is_some_and(|registration| registration.replicas.contains(&self.config.node_id))
    }

    fn follow(&self, changes: &TopicsDelta, image: &MetadataImage, is_first: bool) {
        let _one_at_a_time = self.changing.lock();
        let mut topics = Topics::clone(&self.topics.load());
        let gone: Vec<_> = changes.deleted.keys().filter_map(|id| topics.by_id.remove(id)).collect();
        if !gone.is_empty() {
            for topic in &gone {
                topics.by_name.remove(&topic.name);
            }
            // Deletion comes first: a topic may have been made again under the name.
            self.topics.store(Arc::new(topics.clone()));
            gone.iter().for_each(|topic| self.let_go(topic));
        }
        let changed: Vec<&Arc<TopicImage>> = changes.changed.keys().filter_map(|id| image.topics.by_id(*id)).collect();
        let is_not_open = |held: Option<&Held>| !matches!(held, Some(Held::Online(_)));
        let mut opened = self.open_logs(image, &changed, &topics, is_first, is_not_open);
        let mut left = Vec::new();
        for changed in changed {
            let previous = topics.by_id.get(&changed.id).map(|t| &**t);
            let topic = Arc::new(self.hold(changed, previous, &mut opened, is_first));
            let went =
                |index: &i32| previous.is_some_and(|previous| previous.is_here(*index)) && !topic.is_here(*index);
            left.extend(topic.partitions.keys().copied().filter(went).map(|index| (Arc::clone(&topic.name), index)));
            topics.by_name.insert(Arc::clone(&changed.name), Arc::clone(&topic));
            topics.by_id.insert(changed.id, topic);
        }
        self.topics.store(Arc::new(topics));
        for (topic, index) in left {
            self.delete_logs(&topic, &[index]);
        }
    }

    fn reconfigure(&self, image: &MetadataImage, name: &str) {
        let topics = self.topics.load();
        let Some(topic) = topics.by_name.get(name) else { return };
        let config = Arc::new(log_config(&self.config, image, name));
        for held in topic.partitions.values() {
            if let Held::Online(partition) = held {
                partition.log().set_config(Arc::clone(&config));
                if let Some(future) = self.logs.future(name, partition.index) {
                    future.set_config(Arc::clone(&config));
                }
            }
        }
    }
}

/// Whether a partition cannot have been here before, given how it is held. At the start nobody knows.
fn is_new(before: Option<&Held>, is_first: bool) -> bool {
    match before {
        Some(Held::Waiting { is_new, .. }) => *is_new,
        Some(Held::Online(_) | Held::Offline) => false,
        Some(Held::Elsewhere) | None => !is_first,
    }
}

/// What a replica's directory in the metadata says of where its log goes if it is not found.
///
/// Apache Kafka takes what the first image says for new, too, and makes an empty log beside the one in an offline directory.
fn placement(directory: Uuid, is_new: bool) -> Placement {
    match directory {
        Uuid::UNASSIGNED_DIRECTORY if is_new => Placement::Anywhere,
        Uuid::UNASSIGNED_DIRECTORY => Placement::Unnoted,
        noted => Placement::In(noted),
    }
}

impl MetadataPublisher for ReplicaManager {
    fn name(&self) -> &str {
        "replica manager"
    }

    fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        let is_first = !self.has_image.swap(true, Ordering::SeqCst);
        let changes = delta.topics();
        if is_first || !changes.deleted.is_empty() || !changes.changed.is_empty() {
            // On the task that loads metadata, after which the controller answers. Directories are made, renamed and synced:
            // the worker's other tasks go on elsewhere meanwhile.
            task::blocking_here(|| {
                if is_first {
                    self.logs.set_strays_aside(|log| self.is_stray(log, image));
                }
                self.follow(changes, image, is_first);
            });
        }
        if changes_broker(delta, self.config.node_id) {
            // The defaults of topics are the broker's.
            let names: Vec<Arc<str>> = self.topics.load().by_name.keys().cloned().collect();
            names.iter().for_each(|name| self.reconfigure(image, name));
        }
        for resource in delta.configs().iter().filter(|r| r.kind == ConfigResourceType::Topic) {
            self.reconfigure(image, &resource.name);
        }
    }
}
