//! Which log directories take no new replicas (KIP-1066).

use crate::config::broker_config::BrokerConfig;
use crate::config::layers::Layers;

/// The log directories that take no new replicas, by the strongest layer that says so; `*` is all of them. Paths are those of
/// `log.dirs`.
#[must_use]
pub fn cordoned_log_dirs(config: &BrokerConfig, layers: &Layers<'_>) -> Vec<String> {
    let named = layers.broker_value("cordoned.log.dirs").unwrap_or_default();
    let named: Vec<&str> = named.split(',').map(str::trim).filter(|path| !path.is_empty()).collect();
    let is_named = |path: &&String| named.contains(&"*") || named.contains(&path.as_str());
    config.log_dirs.iter().filter(is_named).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Settings;
    use crate::image::ConfigsImage;

    fn cordoned(value: &str) -> Vec<String> {
        let mut settings = Settings::first_run();
        for flag in ["log.dirs=/a,/b", &format!("cordoned.log.dirs={value}")] {
            settings.add_flag(flag).unwrap();
        }
        let (config, _) = BrokerConfig::from_settings(&settings).unwrap();
        let configs = ConfigsImage::default();
        cordoned_log_dirs(&config, &Layers::of_broker(&config, &configs))
    }

    #[test]
    fn directories_are_named_by_their_paths_or_all_at_once() {
        assert!(cordoned("").is_empty());
        assert_eq!(cordoned("/b"), ["/b"]);
        assert_eq!(cordoned("*"), ["/a", "/b"]);
        assert_eq!(cordoned("/a, /b, /c"), ["/a", "/b"]);
    }
}
