//! What the metadata of a directory is, read from its files by other means than the product's: the newest snapshot, and then
//! batch after batch.

use std::sync::Arc;

use ottla_metadata::{MetadataDelta, MetadataImage, MetadataRecord};
use ottla_protocol::record_batch::{BatchHeader, batches, check_crc, records};

use super::files::Files;
use super::life::records_of;

const FOLDER: &str = "__cluster_metadata-0/";
/// The file that says how far the log is on the device.
pub(crate) const NOTES: &str = "recovery-point-offset-checkpoint";

/// The metadata after the snapshot, and after each whole batch behind it.
#[derive(Debug)]
pub(crate) struct Model {
    /// (offset behind it, records of the image)
    pub(crate) states: Vec<(i64, Vec<String>)>,
    /// Up to where the log is noted to be on the device; 0 if nothing is.
    pub(crate) noted: i64,
    /// Leader epoch of the last batch.
    pub(crate) epoch: i32,
}

impl Model {
    pub(crate) fn of(files: &Files) -> Self {
        let mut state = Arc::new(MetadataImage::default());
        let (mut next, mut epoch) = (0, 0);
        if let Some((name, bytes)) = files.iter().rfind(|(name, _)| name.ends_with(".checkpoint")) {
            let id = name.strip_prefix(FOLDER).expect("of the log");
            next = id[..20].parse().expect("a number");
            epoch = id[21..31].parse().expect("a number");
            if next > 0 {
                let all = whole(bytes).flat_map(|(header, batch)| decode(&header, batch)).collect::<Vec<_>>();
                state = applied(&state, &all);
            }
        }
        let mut states = vec![(next, records_of(&state))];
        let logs = files.iter().filter(|(name, _)| name.ends_with(".log"));
        for (header, batch) in logs.flat_map(|(_, bytes)| whole(bytes)) {
            if header.base_offset != next {
                continue;
            }
            state = applied(&state, &decode(&header, batch));
            (next, epoch) = (header.next_offset(), header.partition_leader_epoch);
            states.push((next, records_of(&state)));
        }
        let notes = files.get(NOTES).map(|bytes| String::from_utf8_lossy(bytes));
        let noted = notes
            .and_then(|text| text.lines().find_map(|line| line.strip_prefix("__cluster_metadata 0 ")?.parse().ok()));
        Self { states, noted: noted.unwrap_or(0), epoch }
    }

    /// Whether these are the records of a prefix of the log that ends at or behind an offset.
    pub(crate) fn has_prefix(&self, records: &[String], from: i64) -> bool {
        self.states.iter().any(|(end, state)| *end >= from && state == records)
    }

    /// Where the last batch begins.
    pub(crate) fn last_batch(&self) -> i64 {
        self.states.iter().nth_back(1).map_or(0, |(end, _)| *end)
    }

    pub(crate) fn last(&self) -> &[String] {
        self.states.last().map_or(&[], |(_, records)| records)
    }
}

/// The batches up to the first that is not whole.
fn whole(bytes: &[u8]) -> impl Iterator<Item = (BatchHeader, &[u8])> {
    batches(bytes).map_while(Result::ok).take_while(|(_, batch)| check_crc(batch))
}

fn decode(header: &BatchHeader, batch: &[u8]) -> Vec<MetadataRecord> {
    if header.is_control() {
        return Vec::new();
    }
    let mut scratch = Vec::new();
    let all = records(batch, &mut scratch, 1 << 20).expect("records");
    let values = all.map(|record| record.expect("a record").value.expect("a value"));
    values.map(|value| MetadataRecord::decode(value).expect("known")).collect()
}

fn applied(state: &Arc<MetadataImage>, records: &[MetadataRecord]) -> Arc<MetadataImage> {
    let mut delta = MetadataDelta::new(Arc::clone(state));
    for record in records {
        match record {
            // Only the first records of all are a transaction, and whole.
            MetadataRecord::BeginTransaction(_) | MetadataRecord::EndTransaction(_) => {}
            record => delta.replay(record).expect("fits"),
        }
    }
    Arc::new(delta.apply(0, 0))
}
