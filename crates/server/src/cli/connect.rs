//! How the tools reach a cluster.

use clap::Args;
use ottla_client::config::ConfigError;
use ottla_client::{Admin, ClientConfig, ConsumerConfig, ProducerConfig};

/// Where to look when `--bootstrap-server` is not given.
const BOOTSTRAP_VARIABLE: &str = "OTTLA_BOOTSTRAP_SERVER";
/// What a tool waits for at most, where Kafka's clients wait a minute: somebody sits in front of it.
const PATIENCE_MS: &str = "15000";

/// The flags of every verb that speaks to a cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectArgs {
    /// Brokers to begin with, separated by commas [default: $OTTLA_BOOTSTRAP_SERVER, else localhost:9092]
    #[arg(long, short = 'b', value_name = "HOST:PORT", help_heading = "Connection")]
    bootstrap_server: Option<String>,
    /// A client property by Kafka's name; may be given again
    #[arg(long = "property", short = 'X', value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Connection")]
    properties: Vec<(String, String)>,
}

impl ConnectArgs {
    fn bootstrap_server(&self) -> String {
        let from_environment = || std::env::var(BOOTSTRAP_VARIABLE).ok().filter(|s| !s.trim().is_empty());
        self.bootstrap_server.clone().or_else(from_environment).unwrap_or_else(|| "localhost:9092".to_owned())
    }

    /// Sets the properties of a tool, then those of the command line.
    fn apply(
        &self,
        defaults: &[(&str, &str)],
        mut set: impl FnMut(&str, &str) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        set("bootstrap.servers", &self.bootstrap_server())?;
        set("client.id", "ottla-cli")?;
        set("default.api.timeout.ms", PATIENCE_MS)?;
        let given = self.properties.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        defaults.iter().copied().chain(given).try_for_each(|(key, value)| set(key, value))
    }

    pub(super) fn producer(&self, defaults: &[(&str, &str)]) -> Result<ProducerConfig, ConfigError> {
        let mut config = ProducerConfig::default();
        config.set("max.block.ms", PATIENCE_MS)?;
        self.apply(defaults, |key, value| config.set(key, value))?;
        Ok(config)
    }

    pub(super) fn consumer(&self, defaults: &[(&str, &str)]) -> Result<ConsumerConfig, ConfigError> {
        let mut config = ConsumerConfig::default();
        self.apply(defaults, |key, value| config.set(key, value))?;
        Ok(config)
    }

    pub(super) async fn admin(&self) -> anyhow::Result<Admin> {
        let mut config = ClientConfig::default();
        self.apply(&[], |key, value| config.set(key, value))?;
        Ok(Admin::connect(&config).await?)
    }
}

/// Reads `key=value`.
pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("KEY=VALUE is expected".to_owned()),
    }
}
