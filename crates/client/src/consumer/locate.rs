//! Finds where partitions begin: at the group's committed offsets, otherwise where `auto.offset.reset` says.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_env::time;

use super::assignment::{Place, ResetTo};
use super::{Consumer, Event};
use crate::TopicPartition;
use crate::cluster::Cluster;
use crate::config::ConsumerConfig;
use crate::coordinator::Coordinator;
use crate::error::Error;
use crate::offsets;

/// The place of a partition that had none.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) tp: TopicPartition,
    /// The version of the question.
    pub(super) version: u64,
    pub(super) place: Result<Place, Error>,
}

impl Consumer {
    pub(super) fn start_locating(&mut self, now_ms: i64) {
        let unplaced = self.assignment.unplaced(now_ms);
        if self.locating || unplaced.is_empty() {
            return;
        }
        self.locating = true;
        let (cluster, coordinator, config) = (self.cluster.clone(), self.coordinator.clone(), Arc::clone(&self.config));
        self.waiting.push(Box::pin(async move {
            Event::Located(locate(&cluster, coordinator.as_deref(), &config, unplaced).await)
        }));
    }

    pub(super) fn located(&mut self, places: Vec<Located>) {
        self.locating = false;
        let retry_ms = time::monotonic_ms() + self.config.client.retry_backoff.as_millis() as i64;
        for Located { tp, version, place } in places {
            let Some(state) = self.assignment.current_mut(&tp, version) else { continue };
            match place {
                Ok(place) => {
                    state.place = place;
                    state.not_before_ms = 0;
                }
                Err(e) => {
                    state.not_before_ms = retry_ms;
                    if e.is_retriable() {
                        tracing::debug!(partition = %tp, error = %e, "no offset yet");
                    } else {
                        self.failed = Some(e);
                    }
                }
            }
        }
    }
}

/// Answers for all `unplaced`; retriable errors are to be asked again.
async fn locate(
    cluster: &Cluster,
    coordinator: Option<&Coordinator>,
    config: &ConsumerConfig,
    unplaced: Vec<(TopicPartition, u64, Place)>,
) -> Vec<Located> {
    let asks_group = |place: &Place| matches!(place, Place::Committed);
    let of_group: Vec<TopicPartition> =
        unplaced.iter().filter(|(.., place)| asks_group(place)).map(|(tp, ..)| tp.clone()).collect();
    let committed = match coordinator {
        Some(coordinator) if !of_group.is_empty() => offsets::fetch_committed(coordinator, Some(&of_group), true).await,
        _ => Ok(BTreeMap::new()),
    };
    let mut located = Vec::new();
    let mut to_reset = BTreeMap::new();
    for (tp, version, place) in unplaced {
        let reset = match place {
            Place::At { .. } => continue,
            Place::Reset(to) => Some(to),
            Place::Committed => match &committed {
                Err(e) => {
                    located.push(Located { tp, version, place: Err(e.clone()) });
                    continue;
                }
                Ok(found) => match found.get(&tp) {
                    Some(at) => {
                        let place = Ok(Place::At { position: at.offset, fetch: at.offset });
                        located.push(Located { tp, version, place });
                        continue;
                    }
                    None => ResetTo::of(config.auto_offset_reset),
                },
            },
        };
        match reset {
            Some(to) => {
                to_reset.insert(tp, (version, to));
            }
            None => {
                let (topic, partition) = (tp.topic.to_string(), tp.partition);
                located.push(Located { tp, version, place: Err(Error::NoOffset { topic, partition, offset: -1 }) });
            }
        }
    }
    located.extend(reset(cluster, config, to_reset).await);
    located
}

async fn reset(
    cluster: &Cluster,
    config: &ConsumerConfig,
    wanted: BTreeMap<TopicPartition, (u64, ResetTo)>,
) -> Vec<Located> {
    let timestamps = wanted.iter().map(|(tp, (_, to))| (tp.clone(), to.timestamp())).collect();
    let mut found = offsets::list_offsets(cluster, &timestamps, config.isolation_level).await;
    // No record is that young: begin at the end.
    let none = |offset: &Result<offsets::FoundOffset, Error>| matches!(offset, Ok(f) if f.offset < 0);
    let ends: BTreeMap<_, _> =
        found.iter().filter(|(_, o)| none(o)).map(|(tp, _)| (tp.clone(), ResetTo::Latest.timestamp())).collect();
    if !ends.is_empty() {
        found.extend(offsets::list_offsets(cluster, &ends, config.isolation_level).await);
    }
    let place = |tp: &TopicPartition| match found.get(tp) {
        Some(Ok(f)) => Ok(Place::At { position: f.offset.max(0), fetch: f.offset.max(0) }),
        Some(Err(e)) => Err(e.clone()),
        None => Err(Error::IllegalState(format!("no answer about {tp}"))),
    };
    wanted.iter().map(|(tp, (version, _))| Located { tp: tp.clone(), version: *version, place: place(tp) }).collect()
}
