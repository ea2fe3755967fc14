//! Access control lists (KIP-801), kept as their records are.

use crate::chunked_map::ChunkedMap;
use crate::image::ReplayError;
use crate::records::{AccessControlEntryRecord, MetadataRecord};

use ottla_protocol::Uuid;

/// ACLs by id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AclsImage {
    by_id: ChunkedMap<Uuid, AccessControlEntryRecord>,
}

impl AclsImage {
    /// All ACLs, ascending by id.
    pub fn iter(&self) -> impl Iterator<Item = &AccessControlEntryRecord> {
        self.by_id.iter().map(|(_, acl)| acl)
    }

    pub(crate) fn add(&mut self, record: &AccessControlEntryRecord) {
        self.by_id.insert(record.id, record.clone());
    }

    pub(crate) fn remove(&mut self, id: Uuid) -> Result<(), ReplayError> {
        self.by_id.remove(&id).map(|_| ()).ok_or(ReplayError::UnknownAcl(id))
    }

    pub(crate) fn write(&self, sink: &mut dyn FnMut(MetadataRecord)) {
        for acl in self.iter() {
            sink(acl.clone().into());
        }
    }
}
