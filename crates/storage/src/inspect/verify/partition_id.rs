//! `partition.metadata`, and that all partitions of a topic have the same topic id.

use std::collections::BTreeMap;
use std::path::Path;

use ottla_protocol::Uuid;

use super::reporter::Reporter;
use crate::error::StorageError;
use crate::file_names::{DirKind, parse_partition_dir};
use crate::inspect::finding::{Finding, Severity, Watcher};
use crate::partition_metadata;

/// The quorum's own log, whose id is not written down in every directory.
pub(super) const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Topic ids met so far, with the first partition that has them.
#[derive(Debug, Default)]
pub(super) struct TopicIds(BTreeMap<String, (Uuid, String)>);

impl TopicIds {
    pub(super) fn check(&mut self, dir: &Path, name: &str, reporter: &mut Reporter<'_>) {
        let (DirKind::Partition { topic, .. } | DirKind::Future { topic, .. }) = parse_partition_dir(name) else {
            return;
        };
        let file = dir.join(partition_metadata::FILE_NAME);
        match partition_metadata::read(dir) {
            Ok(Some(id)) => {
                let (first_id, first) = self.0.entry(topic.to_owned()).or_insert_with(|| (id, name.to_owned()));
                if *first_id != id {
                    let problem = format!("its topic id is {id}, that of {first} is {first_id}");
                    reporter.found(Finding::new(Severity::Damage, file, problem).remedy(
                        "one of them is left over from a topic of the same name that was deleted; `ottla topic describe` tells the id that counts, and the other's directory can be removed while the broker is stopped",
                    ));
                }
            }
            Ok(None) if topic == CLUSTER_METADATA => {}
            Ok(None) => reporter.found(
                Finding::new(Severity::Repairable, file, "the file is missing, so that the partition waits until its topic claims it")
                    .remedy("a running controller that knows the topic gives it its id; otherwise the directory is a stray"),
            ),
            Err(StorageError::Corrupt { reason, .. }) => reporter.found(
                Finding::new(Severity::Damage, file, format!("the partition cannot be opened: {reason}")).remedy(
                    "write it anew as `version: 0` and `topic_id: ` with the id that `ottla topic describe` tells, while the broker is stopped",
                ),
            ),
            Err(other) => reporter.found(Finding::new(Severity::Damage, file, other.to_string())),
        }
    }
}
