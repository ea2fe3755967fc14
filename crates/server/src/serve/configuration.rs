//! The settings of a node: file, environment and flags, read, checked, and complained about.

use anyhow::Context as _;
use ottla_env::fs;
use ottla_metadata::config::{BrokerConfig, Settings};

use super::ServerArgs;

/// Reads them.
pub(super) fn load(args: &ServerArgs) -> anyhow::Result<BrokerConfig> {
    let mut settings = match &args.config {
        None => Settings::first_run(),
        Some(path) => {
            let name = path.display().to_string();
            let bytes = fs::read(path).context("the configuration cannot be read")?;
            let mut settings = Settings::empty();
            settings.add_file(&name, &bytes)?;
            settings
        }
    };
    settings.add_environment(std::env::vars());
    for flag in &args.set {
        settings.add_flag(flag)?;
    }
    let (config, warnings) = BrokerConfig::from_settings(&settings).context("the configuration is refused")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(config)
}
