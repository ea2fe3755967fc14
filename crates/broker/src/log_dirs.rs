//! The log directories of this broker while it lives: one that fails goes offline alone, and the controller hears of it; those
//! that are cordoned take no new replicas.
//!
//! ```text
//!   a write or sync fails ──> LogDir is offline ──(noticed within 100 ms)──> its partitions answer KAFKA_STORAGE_ERROR
//!                                                                      └──> heartbeat now: offline_log_dirs
//!   controller ──> leaderships go elsewhere, or the partition has no leader
//! ```
//! A broker that cannot tell the controller for `log.dir.failure.timeout.ms` gives up: the cluster believes that it leads what it
//! does not have. A device that is only full is waited for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_env::{task, time};
use ottla_metadata::image::MetadataImage;
use ottla_protocol::Uuid;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::broker::Broker;
use crate::purgatory::Waiter;

/// How soon a failure is noticed after the write that found it.
const LOOK: Duration = Duration::from_millis(100);
/// How often it is tried to open what waits for space or descriptors.
const TRY_AGAIN_MS: i64 = 1_000;
/// First metadata.version that knows of cordoned directories (4.3-IV0).
const CORDONED_SINCE: i16 = 30;

/// See the module.
#[derive(Debug, Default)]
pub struct LogDirWatch {
    /// Failed directories whose partitions are not served any more, with the time since when.
    failed: Mutex<Vec<(PathBuf, i64)>>,
    /// Ids that the controller has been told are offline.
    told: Mutex<BTreeSet<Uuid>>,
    /// Woken when the controller should hear from this broker now.
    news: Waiter,
}

impl LogDirWatch {
    /// Resolves when there is something to tell the controller.
    pub(crate) async fn has_news(&self) {
        self.news.woken().await;
    }

    /// The controller took a heartbeat that named these as offline.
    pub(crate) fn told(&self, offline: &[Uuid]) {
        self.told.lock().extend(offline);
    }
}

/// Ids of the directories that are offline.
pub(crate) fn offline(broker: &Broker) -> Vec<Uuid> {
    let dirs = broker.replicas.logs().log_dirs().iter();
    dirs.filter(|dir| dir.offline_reason().is_some()).map(|dir| dir.directory_id()).filter(|id| !id.is_zero()).collect()
}

/// Ids of the directories that take no new replicas; None where the cluster does not know of that yet.
pub(crate) fn cordoned(broker: &Broker) -> Option<Vec<Uuid>> {
    if broker.image().features.metadata_version() < CORDONED_SINCE {
        return None;
    }
    let dirs = broker.replicas.logs().log_dirs().iter();
    Some(dirs.filter(|dir| dir.is_cordoned()).map(|dir| dir.directory_id()).filter(|id| !id.is_zero()).collect())
}

/// Looks after the directories until `stopping`, or until the broker cannot go on: then with a sentence.
pub(crate) async fn run(broker: Arc<Broker>, mut stopping: watch::Receiver<bool>) -> Option<String> {
    let timeout_ms = broker.config.log_dir_failure_timeout_ms;
    let mut try_again_ms = time::monotonic_ms();
    loop {
        notice_failures(&broker);
        if broker.replicas.is_waiting() && time::monotonic_ms() >= try_again_ms {
            open_waiting(&broker);
            try_again_ms = time::monotonic_ms() + TRY_AGAIN_MS;
        }
        if let Some(path) = overdue(&broker, timeout_ms) {
            return Some(format!(
                "the controller could not be told for log.dir.failure.timeout.ms ({timeout_ms} ms) that log directory {} failed",
                path.display()
            ));
        }
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return None,
            () = time::sleep(LOOK) => {}
        }
    }
}

/// Cordons what `cordoned.log.dirs` names now.
pub(crate) fn cordon(broker: &Broker, image: &MetadataImage) {
    let cordoned = if image.features.metadata_version() < CORDONED_SINCE {
        Vec::new()
    } else {
        broker.dynamic_config.load().cordoned_log_dirs.clone()
    };
    for dir in broker.replicas.logs().log_dirs() {
        let wanted = cordoned.iter().any(|path| dir.path() == std::path::Path::new(path));
        if wanted != dir.is_cordoned() {
            dir.set_cordoned(wanted);
            tracing::info!(dir = %dir.path().display(), cordoned = wanted, "log directory takes new replicas or not");
            broker.log_dirs.news.wake();
        }
    }
}

fn notice_failures(broker: &Broker) {
    for dir in broker.replicas.logs().log_dirs().iter().filter(|dir| dir.offline_reason().is_some()) {
        let mut failed = broker.log_dirs.failed.lock();
        if failed.iter().any(|(path, _)| path == dir.path()) {
            continue;
        }
        failed.push((dir.path().to_owned(), time::monotonic_ms()));
        drop(failed);
        // It waits for a creation of logs that is under way.
        task::blocking_here(|| broker.replicas.directory_failed(dir));
        broker.log_dirs.news.wake();
    }
}

/// There may be space again for partitions that were made, or given to this broker, when there was none. Apache Kafka takes the
/// directory offline then.
fn open_waiting(broker: &Broker) {
    if task::blocking_here(|| broker.replicas.open_waiting(|| broker.image())) {
        broker.groups.follow_all(&broker.image());
    }
}

/// A directory that the controller has not been told of for too long.
fn overdue(broker: &Broker, timeout_ms: i64) -> Option<PathBuf> {
    let (failed, told) = (broker.log_dirs.failed.lock(), broker.log_dirs.told.lock());
    let since = failed.iter().find(|(path, since_ms)| {
        // What had no id at the start was never registered.
        let id = broker.replicas.logs().log_dir(path).map_or(Uuid::ZERO, |dir| dir.directory_id());
        !id.is_zero() && !told.contains(&id) && time::monotonic_ms() - since_ms > timeout_ms
    });
    since.map(|(path, _)| path.clone())
}
