//! Client quotas (KIP-546).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::records::{ClientQuotaRecord, EntityData, MetadataRecord};

/// What a quota is for: names by entity type (`user`, `client-id`, `ip`); no name is the default of that type.
pub type QuotaEntity = BTreeMap<String, Option<String>>;

/// Quota values by entity and key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClientQuotasImage {
    /// No inner map is empty.
    entities: Arc<BTreeMap<QuotaEntity, BTreeMap<String, f64>>>,
}

impl ClientQuotasImage {
    /// All entities and their quotas.
    pub fn iter(&self) -> impl Iterator<Item = (&QuotaEntity, &BTreeMap<String, f64>)> {
        self.entities.iter()
    }

    pub(crate) fn set(&mut self, record: &ClientQuotaRecord) {
        let entity: QuotaEntity =
            record.entity.iter().map(|e| (e.entity_type.clone(), e.entity_name.clone())).collect();
        let entities = Arc::make_mut(&mut self.entities);
        if !record.remove {
            entities.entry(entity).or_default().insert(record.key.clone(), record.value);
            return;
        }
        if let Some(quotas) = entities.get_mut(&entity) {
            quotas.remove(&record.key);
            if quotas.is_empty() {
                entities.remove(&entity);
            }
        }
    }

    pub(crate) fn write(&self, sink: &mut dyn FnMut(MetadataRecord)) {
        for (entity, quotas) in self.iter() {
            let part = |(kind, name): (&String, &Option<String>)| EntityData {
                entity_type: kind.clone(),
                entity_name: name.clone(),
            };
            for (key, value) in quotas {
                let record = ClientQuotaRecord {
                    entity: entity.iter().map(part).collect(),
                    key: key.clone(),
                    value: *value,
                    remove: false,
                };
                sink(record.into());
            }
        }
    }
}
