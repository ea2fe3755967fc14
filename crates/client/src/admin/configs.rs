//! Configurations of topics, brokers and groups: describe, alter one by one (KIP-339).

use ottla_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use super::Admin;
use crate::cluster::Lane;
use crate::connection::Connection;
use crate::error::{Error, check};

/// Whose configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    /// Of a topic.
    Topic(String),
    /// Of a broker; without an id, the defaults of all brokers.
    Broker(Option<i32>),
    /// Of a group.
    Group(String),
}

impl ConfigResource {
    fn type_and_name(&self) -> (i8, String) {
        match self {
            Self::Topic(name) => (2, name.clone()),
            Self::Broker(id) => (4, id.map_or_else(String::new, |id| id.to_string())),
            Self::Group(name) => (32, name.clone()),
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set on this broker, while it ran.
    DynamicBroker,
    /// Set for all brokers, while they ran.
    DynamicDefaultBroker,
    /// From the broker's properties file.
    StaticBroker,
    /// Nobody set it.
    Default,
    /// Set on the group.
    Group,
    /// A source that this client does not know.
    Other(i8),
}

impl ConfigSource {
    fn from_code(code: i8) -> Self {
        match code {
            1 => Self::Topic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            8 => Self::Group,
            other => Self::Other(other),
        }
    }
}

/// One property with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Name.
    pub name: String,
    /// Value; `None` when it is sensitive, or not set.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed while the broker runs.
    pub is_read_only: bool,
    /// Whether its value is kept secret.
    pub is_sensitive: bool,
}

/// A change of one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// Sets it.
    Set(String),
    /// Back to its default.
    Delete,
    /// Adds to a list.
    Append(String),
    /// Takes from a list.
    Subtract(String),
}

impl ConfigChange {
    fn operation_and_value(&self) -> (i8, Option<&str>) {
        match self {
            Self::Set(value) => (0, Some(value)),
            Self::Delete => (1, None),
            Self::Append(value) => (2, Some(value)),
            Self::Subtract(value) => (3, Some(value)),
        }
    }
}

impl Admin {
    /// All properties of a resource.
    ///
    /// # Errors
    /// When it does not exist, may not be described, or no broker answers.
    pub async fn describe_configs(&self, resource: &ConfigResource) -> Result<Vec<ConfigEntry>, Error> {
        let (resource_type, name) = resource.type_and_name();
        self.retrying("describing a configuration", || async {
            let asked = DescribeConfigsResource {
                resource_type,
                resource_name: &name,
                configuration_keys: None,
                ..Default::default()
            };
            let request = DescribeConfigsRequest { resources: vec![asked], ..Default::default() };
            let response = self.connection_for(resource).await?.send(&request).await?;
            let mut entries = Vec::new();
            for result in &response.decode()?.results {
                check(result.error_code, || format!("configuration of {}", describe(resource)), result.error_message)?;
                entries.extend(result.configs.iter().map(entry));
            }
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(entries)
        })
        .await
    }

    /// Changes properties of a resource; those not named stay as they are.
    ///
    /// # Errors
    /// When a change is refused; then none of them is made.
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &[(String, ConfigChange)],
        validate_only: bool,
    ) -> Result<(), Error> {
        let (resource_type, name) = resource.type_and_name();
        let configs = changes.iter().map(|(name, change)| {
            let (config_operation, value) = change.operation_and_value();
            AlterableConfig { name, config_operation, value, ..Default::default() }
        });
        let altered = AlterConfigsResource {
            resource_type,
            resource_name: &name,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = IncrementalAlterConfigsRequest { resources: vec![altered], validate_only, ..Default::default() };
        let response = self.connection_for(resource).await?.send(&request).await?;
        for result in &response.decode()?.responses {
            check(result.error_code, || format!("configuration of {}", describe(resource)), result.error_message)?;
        }
        Ok(())
    }

    /// A broker answers for its own configuration, any broker for the others.
    async fn connection_for(&self, resource: &ConfigResource) -> Result<Connection, Error> {
        match resource {
            ConfigResource::Broker(Some(id)) => self.cluster.broker(Lane::General, *id).await,
            _ => self.cluster.any_broker().await,
        }
    }
}

fn describe(resource: &ConfigResource) -> String {
    match resource {
        ConfigResource::Topic(name) => format!("topic {name}"),
        ConfigResource::Broker(Some(id)) => format!("broker {id}"),
        ConfigResource::Broker(None) => "all brokers".to_owned(),
        ConfigResource::Group(name) => format!("group {name}"),
    }
}

fn entry(config: &DescribeConfigsResourceResult<'_>) -> ConfigEntry {
    ConfigEntry {
        name: config.name.to_owned(),
        value: config.value.map(str::to_owned),
        source: ConfigSource::from_code(config.config_source),
        is_read_only: config.read_only,
        is_sensitive: config.is_sensitive,
    }
}
