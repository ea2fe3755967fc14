//! The features of Kafka 4.4 (KIP-584) as this release supports them: their levels, and which level goes with which release.
//!
//! `metadata.version` says which records and record versions the metadata log may hold; the others switch protocols on.
//! `kraft.version` is a feature of the quorum: it lives in control records, never in a FeatureLevelRecord.

use std::collections::BTreeMap;

/// Feature that governs the metadata records.
pub const METADATA_VERSION: &str = "metadata.version";
/// Feature that governs the quorum's own control records (KIP-853).
pub const KRAFT_VERSION: &str = "kraft.version";
/// Feature that keeps eligible leader replicas (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS_VERSION: &str = "eligible.leader.replicas.version";

/// The oldest metadata.version that can be formatted or run: 3.3-IV3.
pub const METADATA_VERSION_MIN: i16 = 7;
/// The newest, and the default of a new cluster: 4.4-IV2.
pub const METADATA_VERSION_MAX: i16 = 33;

/// First metadata.version with RegisterControllerRecord (3.7-IV0).
pub(crate) const CONTROLLER_REGISTRATION_SINCE: i16 = 15;
/// First metadata.version whose replicas name their directories (3.7-IV2, KIP-858).
pub(crate) const DIRECTORY_ASSIGNMENT_SINCE: i16 = 17;
/// First metadata.version whose partitions keep eligible leader replicas (4.0-IV1, KIP-966).
pub(crate) const ELR_SINCE: i16 = 23;
/// First metadata.version with metadata transactions (3.6-IV1, KIP-868).
pub(crate) const TRANSACTIONS_SINCE: i16 = 13;

/// Names of metadata.versions, from level [`METADATA_VERSION_MIN`] on.
const METADATA_VERSIONS: [&str; 27] = [
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1",
    "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0",
    "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0", "4.4-IV0", "4.4-IV1", "4.4-IV2",
];

/// A feature that is not metadata.version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Kafka's name.
    pub name: &'static str,
    /// Highest level; the lowest is 0, which switches it off.
    pub max: i16,
    /// From which metadata.version on level 1, 2, … is the default of a new cluster.
    since: &'static [i16],
    /// The lowest metadata.version with which a level above 0 can be used at all.
    needs_metadata_version: i16,
}

/// All but metadata.version.
pub const FEATURES: [Feature; 6] = [
    Feature { name: ELIGIBLE_LEADER_REPLICAS_VERSION, max: 1, since: &[26], needs_metadata_version: ELR_SINCE },
    Feature { name: "group.version", max: 1, since: &[22], needs_metadata_version: METADATA_VERSION_MIN },
    Feature { name: KRAFT_VERSION, max: 1, since: &[21], needs_metadata_version: METADATA_VERSION_MIN },
    Feature { name: "share.version", max: 2, since: &[28, 31], needs_metadata_version: METADATA_VERSION_MIN },
    Feature { name: "streams.version", max: 1, since: &[29], needs_metadata_version: METADATA_VERSION_MIN },
    Feature { name: "transaction.version", max: 2, since: &[24, 24], needs_metadata_version: METADATA_VERSION_MIN },
];

impl Feature {
    /// The level that a new cluster of this metadata.version gets.
    #[must_use]
    pub fn default_level(&self, metadata_version: i16) -> i16 {
        self.since.iter().filter(|since| **since <= metadata_version).count() as i16
    }
}

/// Why feature levels cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// No such feature.
    #[error("unsupported feature {0}; the features are metadata.version, {names}", names = feature_names())]
    Unknown(String),
    /// No such level.
    #[error("feature {name} has no level {level}; its levels are {min} to {max}")]
    Level {
        /// Feature.
        name: String,
        /// Level asked for.
        level: i16,
        /// Lowest.
        min: i16,
        /// Highest.
        max: i16,
    },
    /// A level that needs a newer metadata.version.
    #[error("{name} {level} needs a metadata.version of at least {needed}, but it is {found}")]
    NeedsMetadataVersion {
        /// Feature.
        name: &'static str,
        /// Level.
        level: i16,
        /// Name of the metadata.version needed.
        needed: String,
        /// Name of the one found.
        found: String,
    },
    /// A release or metadata.version that is not known.
    #[error("unknown release version {0}; known are 3.3-IV3 to 4.4-IV2, or a release such as 4.4")]
    UnknownRelease(String),
}

fn feature_names() -> String {
    FEATURES.map(|f| f.name).join(", ")
}

/// The name of a level of metadata.version, such as `4.4-IV2`; the number itself when the level is not known.
#[must_use]
pub fn metadata_version_name(level: i16) -> String {
    let index = usize::try_from(level - METADATA_VERSION_MIN).ok();
    index.and_then(|i| METADATA_VERSIONS.get(i)).map_or_else(|| level.to_string(), |name| (*name).to_owned())
}

/// The level of a metadata.version (`4.4-IV2`) or of the newest one of a release (`4.4` or `4.4.0`).
///
/// # Errors
/// [`FeatureError::UnknownRelease`].
pub fn metadata_version_level(text: &str) -> Result<i16, FeatureError> {
    let mut parts = text.split('.');
    let release = match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if !text.contains("-IV") => format!("{major}.{minor}-"),
        _ => text.to_owned(),
    };
    let named = |name: &str| name == release || (release.ends_with('-') && name.starts_with(&release));
    let index = METADATA_VERSIONS.iter().rposition(|name| named(name));
    let index = index.ok_or_else(|| FeatureError::UnknownRelease(text.to_owned()))?;
    Ok(METADATA_VERSION_MIN + index as i16)
}

/// The levels of a new cluster: the defaults of its metadata.version, some of them overridden. Features at level 0 are
/// left out; metadata.version is among the result, kraft.version too unless it is 0.
///
/// # Errors
/// [`FeatureError`] when an override cannot be.
pub fn levels(metadata_version: i16, overrides: &BTreeMap<String, i16>) -> Result<BTreeMap<String, i16>, FeatureError> {
    let metadata_version = overrides.get(METADATA_VERSION).copied().unwrap_or(metadata_version);
    for (name, level) in overrides {
        let (min, max) = range(name).ok_or_else(|| FeatureError::Unknown(name.clone()))?;
        if !(min..=max).contains(level) {
            return Err(FeatureError::Level { name: name.clone(), level: *level, min, max });
        }
    }
    let mut levels = BTreeMap::from([(METADATA_VERSION.to_owned(), metadata_version)]);
    for feature in FEATURES {
        let level = overrides.get(feature.name).copied().unwrap_or_else(|| feature.default_level(metadata_version));
        if level > 0 && metadata_version < feature.needs_metadata_version {
            return Err(FeatureError::NeedsMetadataVersion {
                name: feature.name,
                level,
                needed: metadata_version_name(feature.needs_metadata_version),
                found: metadata_version_name(metadata_version),
            });
        }
        if level > 0 {
            levels.insert(feature.name.to_owned(), level);
        }
    }
    Ok(levels)
}

/// Lowest and highest level of a feature that this release supports; `None` when it does not know it.
#[must_use]
pub fn range(name: &str) -> Option<(i16, i16)> {
    if name == METADATA_VERSION {
        return Some((METADATA_VERSION_MIN, METADATA_VERSION_MAX));
    }
    FEATURES.iter().find(|f| f.name == name).map(|f| (0, f.max))
}

/// Every feature with the range that this release supports, as brokers and controllers register it.
pub fn supported() -> impl Iterator<Item = (&'static str, i16, i16)> {
    let metadata = std::iter::once((METADATA_VERSION, METADATA_VERSION_MIN, METADATA_VERSION_MAX));
    metadata.chain(FEATURES.iter().map(|f| (f.name, 0, f.max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cluster_gets_the_levels_of_kafka_4_4() {
        let levels = levels(METADATA_VERSION_MAX, &BTreeMap::new()).expect("levels");
        let expected = [
            ("eligible.leader.replicas.version", 1),
            ("group.version", 1),
            ("kraft.version", 1),
            ("metadata.version", 33),
            ("share.version", 2),
            ("streams.version", 1),
            ("transaction.version", 2),
        ];
        assert!(levels.iter().map(|(name, level)| (name.as_str(), *level)).eq(expected));
    }

    #[test]
    fn releases_name_their_newest_metadata_version() {
        for (text, level) in [("4.4", 33), ("4.4.0", 33), ("4.4-IV0", 31), ("3.9", 21), ("3.9.1", 21), ("4.0", 25)] {
            assert_eq!(metadata_version_level(text), Ok(level), "{text}");
        }
        for text in ["", "4", "4.5", "3.3-IV2", "x.y"] {
            assert!(metadata_version_level(text).is_err(), "{text}");
        }
        assert_eq!((metadata_version_name(33), metadata_version_name(99)), ("4.4-IV2".into(), "99".into()));
    }

    #[test]
    fn impossible_levels_are_refused() {
        let over = |name: &str, level| levels(METADATA_VERSION_MAX, &BTreeMap::from([(name.to_owned(), level)]));
        assert!(matches!(over("share.version", 3), Err(FeatureError::Level { .. })));
        assert!(matches!(over("shares.version", 1), Err(FeatureError::Unknown(_))));
        let old = BTreeMap::from([(ELIGIBLE_LEADER_REPLICAS_VERSION.to_owned(), 1)]);
        assert!(matches!(levels(21, &old), Err(FeatureError::NeedsMetadataVersion { .. })));
        assert!(over("share.version", 0).is_ok_and(|l| !l.contains_key("share.version")));
    }
}
