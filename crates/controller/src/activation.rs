//! The first records of a controller that becomes active (Kafka: `ActivationRecordsGenerator`).

use std::collections::BTreeMap;

use ottla_metadata::MetadataImage;
use ottla_metadata::records::{
    AbortTransactionRecord, BeginTransactionRecord, ConfigRecord, EndTransactionRecord, FeatureLevelRecord,
    MetadataRecord,
};
use ottla_protocol::ids::Uuid;

use crate::configs;
use crate::controllers::own_registration;
use crate::features::{
    self, CONTROLLER_REGISTRATION_SINCE, ELIGIBLE_LEADER_REPLICAS_VERSION, KRAFT_VERSION, METADATA_VERSION,
    METADATA_VERSION_MAX, TRANSACTIONS_SINCE,
};
use crate::options::ControllerOptions;

/// Name that Kafka gives the transaction around the first records of a log.
const BOOTSTRAP_TRANSACTION: &str = "Bootstrap records";

/// The records that begin an empty log: the feature levels of formatting. With eligible leader replicas the cluster has a
/// min.insync.replicas of its own, because brokers must not differ in it (KIP-966).
pub(crate) fn bootstrap(formatted: Vec<MetadataRecord>, options: &ControllerOptions) -> Vec<MetadataRecord> {
    let mut records = if formatted.is_empty() { default_levels() } else { formatted };
    let level = |wanted: &str| {
        records.iter().find_map(|r| match r {
            MetadataRecord::FeatureLevel(f) if f.name == wanted => Some(f.feature_level),
            _ => None,
        })
    };
    let (elr, metadata_version) = (level(ELIGIBLE_LEADER_REPLICAS_VERSION), level(METADATA_VERSION));
    if elr.is_some_and(|level| level > 0) {
        let config = ConfigRecord {
            resource_type: configs::BROKER,
            resource_name: String::new(),
            name: "min.insync.replicas".to_owned(),
            value: Some(options.min_insync_replicas.to_string()),
        };
        records.push(config.into());
    }
    if metadata_version.unwrap_or(METADATA_VERSION_MAX) < TRANSACTIONS_SINCE {
        return records;
    }
    let begin = BeginTransactionRecord { name: Some(BOOTSTRAP_TRANSACTION.to_owned()) };
    std::iter::once(begin.into()).chain(records).chain(std::iter::once(EndTransactionRecord {}.into())).collect()
}

fn default_levels() -> Vec<MetadataRecord> {
    let levels = features::levels(METADATA_VERSION_MAX, &BTreeMap::new()).unwrap_or_default();
    let written = levels.into_iter().filter(|(name, _)| name != KRAFT_VERSION);
    written.map(|(name, feature_level)| FeatureLevelRecord { name, feature_level }.into()).collect()
}

/// Ends the transaction that an earlier leader did not live to end: none of its records ever takes effect.
pub(crate) fn abort() -> MetadataRecord {
    let reason = Some("The controller that began the transaction did not end it.".to_owned());
    AbortTransactionRecord { reason }.into()
}

/// This controller's registration, unless this life of it is registered already.
pub(crate) fn registration(
    image: &MetadataImage,
    options: &ControllerOptions,
    incarnation_id: Uuid,
) -> Option<MetadataRecord> {
    let known = image.cluster.controllers.get(&options.node_id).is_some_and(|c| c.incarnation_id == incarnation_id);
    let supported = image.features.metadata_version() >= CONTROLLER_REGISTRATION_SINCE;
    (supported && !known).then(|| own_registration(options, incarnation_id).into())
}
