//! Finalized features (KIP-584, KIP-778, KIP-1022).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::records::{FeatureLevelRecord, LATEST_METADATA_VERSION, MetadataRecord};

/// The feature that describes the metadata log itself.
pub const METADATA_VERSION_FEATURE: &str = "metadata.version";

/// Levels by feature, `metadata.version` among them. A level of 0 is the same as none, so none is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeaturesImage {
    levels: Arc<BTreeMap<String, i16>>,
}

impl FeaturesImage {
    /// The finalized level of a feature; 0 when it is not finalized.
    #[must_use]
    pub fn level(&self, feature: &str) -> i16 {
        self.levels.get(feature).copied().unwrap_or(0)
    }

    /// The finalized `metadata.version`, or Kafka 4.4's while none is (a log that is only being begun).
    #[must_use]
    pub fn metadata_version(&self) -> i16 {
        self.levels.get(METADATA_VERSION_FEATURE).copied().unwrap_or(LATEST_METADATA_VERSION)
    }

    /// All finalized features.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i16)> {
        self.levels.iter().map(|(name, level)| (name.as_str(), *level))
    }

    pub(crate) fn set(&mut self, record: &FeatureLevelRecord) {
        let levels = Arc::make_mut(&mut self.levels);
        if record.feature_level == 0 {
            levels.remove(&record.name);
        } else {
            levels.insert(record.name.clone(), record.feature_level);
        }
    }

    pub(crate) fn write(&self, sink: &mut dyn FnMut(MetadataRecord)) {
        let (first, rest): (Vec<_>, Vec<_>) = self.iter().partition(|(name, _)| *name == METADATA_VERSION_FEATURE);
        for (name, feature_level) in first.into_iter().chain(rest) {
            sink(FeatureLevelRecord { name: name.to_owned(), feature_level }.into());
        }
    }
}
