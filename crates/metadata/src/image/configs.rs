//! Configurations that were set: a map of key and value per resource. What they mean is [`crate::config`]'s business.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chunked_map::ChunkedMap;
use crate::image::ReplayError;
use crate::records::{ConfigRecord, MetadataRecord};

/// What a configuration belongs to (`ConfigResource.Type`); the numbers are those of the wire and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ConfigResourceType {
    /// A topic, by name.
    Topic = 2,
    /// A broker, by id; the empty name is the default of all brokers.
    Broker = 4,
    /// Log levels of a broker, by id. Never in the log: they last as long as the process.
    BrokerLogger = 8,
    /// A subscription of client metrics, by name (KIP-714).
    ClientMetrics = 16,
    /// A group, by id (KIP-848).
    Group = 32,
}

impl ConfigResourceType {
    /// The type of a number; `None` if Kafka 4.4 does not know it.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group]
            .into_iter()
            .find(|kind| *kind as i8 == code)
    }

    /// Kafka's name, such as `TOPIC`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "TOPIC",
            Self::Broker => "BROKER",
            Self::BrokerLogger => "BROKER_LOGGER",
            Self::ClientMetrics => "CLIENT_METRICS",
            Self::Group => "GROUP",
        }
    }
}

/// A resource that has configurations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigResource {
    /// Type.
    pub kind: ConfigResourceType,
    /// Name; empty for the default of all brokers.
    pub name: String,
}

impl ConfigResource {
    /// A topic.
    #[must_use]
    pub fn topic(name: &str) -> Self {
        Self { kind: ConfigResourceType::Topic, name: name.to_owned() }
    }

    /// A broker; `None` for the default of all brokers.
    #[must_use]
    pub fn broker(id: Option<i32>) -> Self {
        Self { kind: ConfigResourceType::Broker, name: id.map_or_else(String::new, |id| id.to_string()) }
    }
}

/// All configurations that were set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConfigsImage {
    /// No map is empty.
    resources: ChunkedMap<ConfigResource, Arc<BTreeMap<String, String>>>,
}

impl ConfigsImage {
    /// What was set for a resource; `None` when nothing was.
    #[must_use]
    pub fn of(&self, resource: &ConfigResource) -> Option<&Arc<BTreeMap<String, String>>> {
        self.resources.get(resource)
    }

    /// What was set for a topic.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<BTreeMap<String, String>>> {
        self.of(&ConfigResource::topic(name))
    }

    /// What was set for a broker, or with `None` for all brokers.
    #[must_use]
    pub fn broker(&self, id: Option<i32>) -> Option<&Arc<BTreeMap<String, String>>> {
        self.of(&ConfigResource::broker(id))
    }

    /// All resources and what was set for them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<BTreeMap<String, String>>)> {
        self.resources.iter()
    }

    /// Gives back the resource that it changed.
    pub(crate) fn set(&mut self, record: &ConfigRecord) -> Result<ConfigResource, ReplayError> {
        let kind = ConfigResourceType::from_code(record.resource_type)
            .ok_or(ReplayError::UnknownResourceType(record.resource_type))?;
        let resource = ConfigResource { kind, name: record.resource_name.clone() };
        match &record.value {
            Some(value) => {
                if self.resources.get(&resource).is_none() {
                    self.resources.insert(resource.clone(), Arc::default());
                }
                if let Some(values) = self.resources.get_mut(&resource) {
                    Arc::make_mut(values).insert(record.name.clone(), value.clone());
                }
            }
            None => {
                let values = self.resources.get_mut(&resource).map(Arc::make_mut);
                let left = values.map_or(0, |values| {
                    values.remove(&record.name);
                    values.len()
                });
                if left == 0 {
                    self.resources.remove(&resource);
                }
            }
        }
        Ok(resource)
    }

    /// Whether there was anything to remove.
    pub(crate) fn remove(&mut self, resource: &ConfigResource) -> bool {
        self.resources.remove(resource).is_some()
    }

    pub(crate) fn write(&self, sink: &mut dyn FnMut(MetadataRecord)) {
        for (resource, values) in self.iter() {
            for (name, value) in values.iter() {
                let record = ConfigRecord {
                    resource_type: resource.kind as i8,
                    resource_name: resource.name.clone(),
                    name: name.clone(),
                    value: Some(value.clone()),
                };
                sink(record.into());
            }
        }
    }
}
