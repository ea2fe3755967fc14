//! Delegation tokens (KIP-900), kept as their records are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::records::{DelegationTokenRecord, MetadataRecord};

/// A delegation token: what the log has of it. Its secret is derived, never stored.
pub type DelegationToken = DelegationTokenRecord;

/// Tokens by id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DelegationTokensImage {
    by_id: Arc<BTreeMap<String, DelegationToken>>,
}

impl DelegationTokensImage {
    /// All tokens, ascending by id.
    pub fn iter(&self) -> impl Iterator<Item = &DelegationToken> {
        self.by_id.values()
    }

    pub(crate) fn set(&mut self, record: &DelegationTokenRecord) {
        Arc::make_mut(&mut self.by_id).insert(record.token_id.clone(), record.clone());
    }

    /// Removing what is not there changes nothing, as in Kafka.
    pub(crate) fn remove(&mut self, token_id: &str) {
        Arc::make_mut(&mut self.by_id).remove(token_id);
    }

    pub(crate) fn write(&self, sink: &mut dyn FnMut(MetadataRecord)) {
        for token in self.iter() {
            sink(token.clone().into());
        }
    }
}
