//! Where replicas lie, told to the controller (KIP-858): it has to know which of them a failed directory takes along.
//!
//! ```text
//!   metadata says X, the log lies in Y ──> pending ──> AssignReplicasToDirs ──> metadata says Y ──> gone from here
//! ```
//! What is pending is told again until the metadata agrees. Kafka class: `AssignmentsManager`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_env::time;
use ottla_metadata::controller_door::DoorContext;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::assign_replicas_to_dirs_request::{
    AssignReplicasToDirsRequest, DirectoryData, PartitionData, TopicData,
};
use ottla_protocol::messages::assign_replicas_to_dirs_response::AssignReplicasToDirsResponse;
use ottla_protocol::{ErrorCode, Uuid};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::broker::Broker;
use crate::forward;
use crate::purgatory::Waiter;

const VERSION: i16 = 0;
/// Assignments told in one request (Kafka's number).
const PER_REQUEST: usize = 2_250;
/// Pause before what the controller did not take is told again.
const RETRY: Duration = Duration::from_millis(500);

/// Topic id and partition.
type Place = (Uuid, i32);

/// See the module.
#[derive(Debug, Default)]
pub struct DirectoryAssignments {
    pending: Mutex<BTreeMap<Place, Uuid>>,
    waiter: Waiter,
}

impl DirectoryAssignments {
    /// The metadata notes `noted` for a replica whose log lies in `lies`. A directory without an id cannot be told of.
    pub fn note(&self, place: Place, noted: Uuid, lies: Uuid) {
        if lies.is_zero() || noted == lies {
            self.pending.lock().remove(&place);
        } else {
            self.assign(place, lies);
        }
    }

    /// Whether the controller is still to be told of a replica.
    #[must_use]
    pub fn is_pending(&self, place: Place) -> bool {
        self.pending.lock().contains_key(&place)
    }

    /// Has the controller told that a replica lies in a directory, or is about to.
    pub fn assign(&self, place: Place, directory: Uuid) {
        if self.pending.lock().insert(place, directory) != Some(directory) {
            self.waiter.wake();
        }
    }

    /// Tells the controller until `stopping`.
    pub(crate) async fn run(self: Arc<Self>, broker: Arc<Broker>, mut stopping: watch::Receiver<bool>) {
        loop {
            let batch: Vec<_> = self.pending.lock().iter().take(PER_REQUEST).map(|(p, d)| (*p, *d)).collect();
            let pause = async { if batch.is_empty() { self.waiter.woken().await } else { time::sleep(RETRY).await } };
            if !batch.is_empty()
                && let Err(cause) = self.tell(&broker, &batch).await
            {
                tracing::warn!(%cause, "the controller was not told in which directories replicas lie");
            }
            if self.pending.lock().is_empty() || batch.is_empty() || self.still_pending(&batch) {
                tokio::select! {
                    biased;
                    _ = stopping.wait_for(|stop| *stop) => return,
                    () = pause => {}
                }
            }
        }
    }

    fn still_pending(&self, batch: &[(Place, Uuid)]) -> bool {
        let pending = self.pending.lock();
        batch.iter().any(|(place, directory)| pending.get(place) == Some(directory))
    }

    /// Tells of a batch. What the controller took is done; so is what it will never take.
    async fn tell(&self, broker: &Broker, batch: &[(Place, Uuid)]) -> Result<(), String> {
        let request = AssignReplicasToDirsRequest {
            broker_id: broker.config.node_id,
            broker_epoch: broker.epoch(),
            directories: directories(batch),
            ..AssignReplicasToDirsRequest::default()
        };
        let from = DoorContext::of_this_node(&broker.config.inter_broker_listener_name);
        let body = broker
            .ask_controller(from, ApiKey::AssignReplicasToDirs, VERSION, &request)
            .await
            .map_err(|error| error.to_string())?;
        let response: AssignReplicasToDirsResponse<'_> =
            forward::decode(&body, VERSION).map_err(|error| error.to_string())?;
        if response.error_code != ErrorCode::None.code() {
            return Err(format!("error {}", response.error_code));
        }
        let mut pending = self.pending.lock();
        for directory in &response.directories {
            for topic in &directory.topics {
                for partition in &topic.partitions {
                    let place = (topic.topic_id, partition.partition_index);
                    if pending.get(&place) == Some(&directory.id) {
                        pending.remove(&place);
                    }
                }
            }
        }
        Ok(())
    }
}

fn directories(batch: &[(Place, Uuid)]) -> Vec<DirectoryData<'static>> {
    let mut grouped: BTreeMap<Uuid, BTreeMap<Uuid, Vec<PartitionData<'static>>>> = BTreeMap::new();
    for ((topic_id, index), directory) in batch {
        let partition = PartitionData { partition_index: *index, ..PartitionData::default() };
        grouped.entry(*directory).or_default().entry(*topic_id).or_default().push(partition);
    }
    let topics = |topics: BTreeMap<Uuid, Vec<_>>| {
        let topic = |(topic_id, partitions)| TopicData { topic_id, partitions, ..TopicData::default() };
        topics.into_iter().map(topic).collect()
    };
    grouped.into_iter().map(|(id, t)| DirectoryData { id, topics: topics(t), ..DirectoryData::default() }).collect()
}
