//! [`MetadataImage`]: everything the metadata log says, as of one offset.
//!
//! ```text
//!   records ──> MetadataDelta::replay ──> MetadataImage ──> to_records() ──> a snapshot ──> the same image again
//! ```
//!
//! An image is immutable and cheap to clone: what may be large lies in [`ChunkedMap`](crate::chunked_map::ChunkedMap)s
//! and `Arc`s, which a later image shares with it. One file per subject; each subject knows how a record changes it
//! (`replay`) and which records make it again (`write`). Kafka's packages `org.apache.kafka.image` and
//! `org.apache.kafka.metadata`.

mod acls;
mod cluster;
mod configs;
mod features;
mod partition;
mod producer_ids;
mod quotas;
mod scram;
mod tokens;
mod topics;

pub use acls::AclsImage;
pub use cluster::{BrokerRegistration, ClusterImage, ControllerRegistration, Endpoint, VersionRange};
pub use configs::{ConfigResource, ConfigResourceType, ConfigsImage};
pub use features::{FeaturesImage, METADATA_VERSION_FEATURE};
pub use partition::{MIGRATING_DIRECTORY, NO_LEADER, NO_LEADER_CHANGE, PartitionRegistration};
pub use producer_ids::ProducerIdsImage;
pub use quotas::{ClientQuotasImage, QuotaEntity};
pub use scram::{ScramCredential, ScramImage};
pub use tokens::{DelegationToken, DelegationTokensImage};
pub use topics::{TopicImage, TopicsImage};

use crate::records::MetadataRecord;

/// A record that does not fit the state it is replayed on: the log and this code disagree, which no retry mends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A record about a topic that does not exist.
    #[error("{record}: no topic has the id {topic_id}")]
    UnknownTopic {
        /// Kafka's name of the record.
        record: &'static str,
        /// Topic id in it.
        topic_id: ottla_protocol::Uuid,
    },
    /// A change of a partition that does not exist.
    #[error("PartitionChangeRecord: topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
    },
    /// A record about a broker that is not registered, or is so with another epoch.
    #[error("{record}: broker {broker} is not registered with epoch {epoch}")]
    UnknownBroker {
        /// Kafka's name of the record.
        record: &'static str,
        /// Broker id.
        broker: i32,
        /// Epoch in the record.
        epoch: i64,
    },
    /// A record about a controller that is not registered.
    #[error("UnregisterControllerRecord: controller {0} is not registered")]
    UnknownController(i32),
    /// A removal of an ACL that does not exist.
    #[error("RemoveAccessControlEntryRecord: no ACL has the id {0}")]
    UnknownAcl(ottla_protocol::Uuid),
    /// A resource type of configurations that Kafka 4.4 does not know.
    #[error("ConfigRecord: resource type {0} is not known")]
    UnknownResourceType(i8),
    /// Lists of a partition that belong together differ in length.
    #[error("{record}: partition {partition} has {replicas} replicas and {directories} directories")]
    DirectoriesDoNotMatch {
        /// Kafka's name of the record.
        record: &'static str,
        /// Partition.
        partition: i32,
        /// Number of replicas.
        replicas: usize,
        /// Number of directories.
        directories: usize,
    },
    /// A change of registration with values that have no meaning.
    #[error("BrokerRegistrationChangeRecord: {field} is {value}")]
    BadChange {
        /// Field.
        field: &'static str,
        /// Value.
        value: i8,
    },
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataImage {
    /// Offset of the last record in it; -1 for an empty image.
    pub offset: i64,
    /// Leader epoch of the last record in it; -1 for an empty image.
    pub epoch: i32,
    /// Finalized features.
    pub features: FeaturesImage,
    /// Brokers and controllers.
    pub cluster: ClusterImage,
    /// Topics and their partitions.
    pub topics: TopicsImage,
    /// Configurations that were set.
    pub configs: ConfigsImage,
    /// Client quotas.
    pub client_quotas: ClientQuotasImage,
    /// The next block of producer ids.
    pub producer_ids: ProducerIdsImage,
    /// Access control lists.
    pub acls: AclsImage,
    /// SCRAM credentials.
    pub scram: ScramImage,
    /// Delegation tokens.
    pub delegation_tokens: DelegationTokensImage,
}

impl Default for MetadataImage {
    fn default() -> Self {
        Self {
            offset: -1,
            epoch: -1,
            features: FeaturesImage::default(),
            cluster: ClusterImage::default(),
            topics: TopicsImage::default(),
            configs: ConfigsImage::default(),
            client_quotas: ClientQuotasImage::default(),
            producer_ids: ProducerIdsImage::default(),
            acls: AclsImage::default(),
            scram: ScramImage::default(),
            delegation_tokens: DelegationTokensImage::default(),
        }
    }
}

impl MetadataImage {
    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Self { offset: -1, epoch: -1, ..self.clone() } == Self::default()
    }

    /// Calls `sink` with the records that make this image out of an empty one, in the order of Kafka's snapshots: features
    /// first, so that the versions of all that follows are known.
    pub fn write(&self, sink: &mut dyn FnMut(MetadataRecord)) {
        self.features.write(sink);
        self.cluster.write(sink);
        self.topics.write(sink);
        self.configs.write(sink);
        self.client_quotas.write(sink);
        self.producer_ids.write(sink);
        self.acls.write(sink);
        self.scram.write(sink);
        self.delegation_tokens.write(sink);
    }

    /// The records of [`Self::write`], together.
    #[must_use]
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        self.write(&mut |record| records.push(record));
        records
    }
}
