//! Producer ids handed out so far (KIP-730).

use crate::records::{MetadataRecord, ProducerIdsRecord};

/// The first producer id of the block that will be handed out next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProducerIdsImage {
    /// 0 when none was handed out.
    pub next_producer_id: i64,
}

impl ProducerIdsImage {
    pub(crate) fn set(&mut self, record: &ProducerIdsRecord) {
        self.next_producer_id = record.next_producer_id;
    }

    pub(crate) fn write(&self, sink: &mut dyn FnMut(MetadataRecord)) {
        if self.next_producer_id > 0 {
            // Which broker had the last block does not matter any more; Kafka's snapshots leave it out as well.
            let record = ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id: self.next_producer_id };
            sink(record.into());
        }
    }
}
