//! The consumer's fetches: one at a time per leader, answers into the buffer, records out of it.
//!
//! A partition is fetched ahead of what was handed out ([`Place::At`]), as long as the buffer has room; so the next answer
//! is on its way while the application works.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_env::time;
use ottla_protocol::ErrorCode;

use super::assignment::{Place, ResetTo};
use super::decode::{self, DecodeOptions, FetchedRecords};
use super::fetch::{self, FetchOutcome, PartitionOutcome};
use super::record::ConsumerRecord;
use super::session::{Plan, Wanted};
use super::{Consumer, Event};
use crate::TopicPartition;
use crate::error::Error;

impl Consumer {
    /// Starts a fetch from each leader that has none, as long as the buffer has room.
    pub(super) fn start_fetches(&mut self, now_ms: i64) {
        if self.buffer.bytes() >= self.config.fetch_max_bytes as usize {
            return;
        }
        let view = self.cluster.view();
        let mut per_broker: BTreeMap<i32, BTreeMap<TopicPartition, Wanted>> = BTreeMap::new();
        for (tp, state) in self.assignment.iter() {
            let Place::At { fetch, .. } = state.place else { continue };
            if state.paused || state.not_before_ms > now_ms {
                continue;
            }
            let topic_id = view.topic(&tp.topic).map(|t| t.id).unwrap_or_default();
            match view.leader(&tp.topic, tp.partition) {
                Some((leader, leader_epoch)) => {
                    let wanted = Wanted { topic_id, offset: fetch, leader_epoch };
                    per_broker.entry(leader).or_default().insert(tp.clone(), wanted);
                }
                None => self.cluster.mark_stale(),
            }
        }
        for (broker, wanted) in per_broker {
            if self.fetching.insert(broker) {
                self.start_fetch(broker, wanted);
            }
        }
    }

    fn start_fetch(&mut self, broker: i32, wanted: BTreeMap<TopicPartition, Wanted>) {
        let plan = self.sessions.entry(broker).or_default().plan(wanted);
        let (cluster, config) = (self.cluster.clone(), Arc::clone(&self.config));
        self.waiting.push(Box::pin(async move {
            let outcome = fetch::fetch(&cluster, broker, &plan, &config).await;
            Event::Fetched(broker, plan, outcome)
        }));
    }

    pub(super) fn fetched(&mut self, broker: i32, plan: Plan, outcome: FetchOutcome) {
        self.fetching.remove(&broker);
        let session = self.sessions.entry(broker).or_default();
        let retry_ms = time::monotonic_ms() + self.config.client.retry_backoff.as_millis() as i64;
        let response = match outcome {
            Ok(response) => response,
            Err(e) => {
                session.failed();
                self.cluster.mark_stale();
                self.delay(&plan, retry_ms);
                if !e.is_retriable() {
                    self.failed = Some(e);
                }
                return;
            }
        };
        let decoded = match response.decode() {
            Ok(decoded) => decoded,
            Err(e) => {
                session.failed();
                self.failed = Some(e.into());
                return;
            }
        };
        if decoded.error_code != 0 {
            // The session is gone, or topic ids changed under it: the next request is a full one.
            session.failed();
            if decoded.error_code != ErrorCode::FetchSessionIdNotFound.code() {
                self.cluster.mark_stale();
                self.delay(&plan, retry_ms);
            }
            return;
        }
        session.answered(decoded.session_id);
        for (tp, outcome) in fetch::outcomes(&self.cluster, &plan, &response, &decoded) {
            self.take_outcome(tp, &plan, outcome, retry_ms);
        }
    }

    fn delay(&mut self, plan: &Plan, until_ms: i64) {
        for tp in plan.all.keys() {
            if let Some(state) = self.assignment.get_mut(tp) {
                state.not_before_ms = until_ms;
            }
        }
    }

    fn take_outcome(&mut self, tp: TopicPartition, plan: &Plan, outcome: PartitionOutcome, retry_ms: i64) {
        let asked = plan.all.get(&tp).map(|w| w.offset);
        let options = DecodeOptions {
            check_crcs: self.config.check_crcs,
            max_batch_bytes: self.config.max_decompressed_batch_bytes,
        };
        let Some(state) = self.assignment.get_mut(&tp) else { return };
        // An answer for another offset than the one wanted now is of before a seek.
        let Place::At { position, fetch } = &mut state.place else { return };
        if asked != Some(*fetch) || state.paused {
            return;
        }
        match outcome {
            PartitionOutcome::Records { bytes, high_watermark, aborted } => {
                state.high_watermark = Some(high_watermark);
                if let Some(next) = decode::end_of(&bytes) {
                    let from = *position.max(fetch);
                    *fetch = next.max(from);
                    self.buffer.push(FetchedRecords::new(tp, bytes, from, aborted, options));
                }
            }
            PartitionOutcome::OutOfRange => {
                let (at, all_handed_out) = (*fetch, position == fetch);
                state.not_before_ms = retry_ms;
                // What is buffered comes first: only then is the place really lost.
                if all_handed_out {
                    self.out_of_range(&tp, at);
                }
            }
            PartitionOutcome::Again { code, hinted } => {
                tracing::debug!(partition = %tp, %code, hinted, "a partition is fetched again");
                if !hinted {
                    state.not_before_ms = retry_ms;
                }
            }
            PartitionOutcome::Failed(e) => {
                state.not_before_ms = retry_ms;
                self.failed = Some(e);
            }
        }
    }

    /// The log does not have the offset any more, or not yet.
    fn out_of_range(&mut self, tp: &TopicPartition, offset: i64) {
        match ResetTo::of(self.config.auto_offset_reset) {
            Some(reset) => {
                tracing::info!(partition = %tp, offset, ?reset, "the offset is out of range; resetting");
                self.assignment.move_to(tp, Place::Reset(reset));
            }
            None => {
                let (topic, partition) = (tp.topic.to_string(), tp.partition);
                self.failed = Some(Error::NoOffset { topic, partition, offset });
            }
        }
    }

    /// Up to `max.poll.records` records of the buffer.
    pub(super) fn take_buffered(&mut self) -> Result<Vec<ConsumerRecord>, Error> {
        let mut records = Vec::new();
        while records.len() < self.config.max_poll_records {
            let Some(front) = self.buffer.front_mut() else { break };
            let tp = front.topic_partition().clone();
            let next = front.next();
            let position = front.next_offset();
            if let Some(state) = self.assignment.get_mut(&tp)
                && let Place::At { position: p, fetch } = &mut state.place
            {
                *p = position;
                *fetch = (*fetch).max(position);
                if let Ok(Some(record)) = &next {
                    state.leader_epoch = record.leader_epoch;
                }
            }
            match next {
                Ok(Some(record)) => records.push(record),
                Ok(None) => self.buffer.pop_front(),
                // What was read before goes out first; the broken batch is met again by the next poll.
                Err(_) if !records.is_empty() => break,
                Err(e) => {
                    self.fetch_again(&tp);
                    return Err(e);
                }
            }
        }
        Ok(records)
    }

    /// A batch that cannot be read is fetched again: the damage may have happened on the way.
    fn fetch_again(&mut self, tp: &TopicPartition) {
        if let Some(position) = self.assignment.position(tp) {
            self.buffer.retain(|buffered| buffered != tp);
            self.assignment.move_to(tp, Place::At { position, fetch: position });
        }
    }
}
