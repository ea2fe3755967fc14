//! The one task of a producer: asks the accumulator what is due, sends it to the leaders, and hands the answers back.
//!
//! Everything it waits for (connections, answers, metadata, a producer id) is a future in one set; between two events it
//! looks at the accumulator again. Requests to a broker are queued in the order of draining, so batches of a partition
//! arrive in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use ottla_env::{random, time};
use ottla_protocol::messages::produce_request::ProduceRequest;
use ottla_protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::accumulator::{Accumulator, Drained, ProducerIdAndEpoch, Ready, Returned};
use super::answer::{Verdict, judge};
use super::batch::Acknowledged;
use super::request::{find, init_producer_id, owned, start};
use crate::backoff::Backoff;
use crate::cluster::{Broker, Cluster, ClusterView, Lane, Topics};
use crate::config::ProducerConfig;
use crate::connection::{Address, Connection, Response};
use crate::error::{ConnectionError, Error};

/// What the producer's handles and its task share.
pub(super) struct Shared {
    pub(super) config: ProducerConfig,
    pub(super) cluster: Cluster,
    pub(super) accumulator: Mutex<Accumulator>,
    pub(super) wake: Notify,
}

/// Something the task waited for.
enum Event {
    Produced(i32, Vec<Drained>, Result<Option<Response<ProduceRequest<'static>>>, ConnectionError>),
    Connected(i32, Result<(), Error>),
    Refreshed(Result<(), Error>),
    ProducerId(Result<ProducerIdAndEpoch, Error>),
}

type Waiting = Pin<Box<dyn Future<Output = Event> + Send>>;

pub(super) struct Sender {
    shared: Arc<Shared>,
    waiting: FuturesUnordered<Waiting>,
    in_flight: BTreeMap<i32, usize>,
    connecting: BTreeSet<i32>,
    /// Brokers that asked us to be quiet (KIP-219), and until when.
    throttled_until_ms: BTreeMap<i32, i64>,
    refreshing: bool,
    initializing: bool,
    refresh_backoff: Backoff,
    init_backoff: Backoff,
}

/// Runs until it is aborted.
pub(super) async fn run(shared: Arc<Shared>) {
    let backoff = shared.cluster.backoff();
    let mut sender = Sender {
        shared,
        waiting: FuturesUnordered::new(),
        in_flight: BTreeMap::new(),
        connecting: BTreeSet::new(),
        throttled_until_ms: BTreeMap::new(),
        refreshing: false,
        initializing: false,
        refresh_backoff: backoff.clone(),
        init_backoff: backoff,
    };
    loop {
        let next_ms = sender.send_what_is_due();
        sender.wait(next_ms).await;
    }
}

impl Sender {
    /// Sends all that can be sent now; returns when to look again if nothing happens.
    fn send_what_is_due(&mut self) -> Option<i64> {
        let now_ms = time::monotonic_ms();
        let view = self.shared.cluster.view();
        let (expired, ready, needs_id) = {
            let mut accumulator = self.shared.accumulator.lock();
            let expired = accumulator.expire(now_ms);
            let ready = accumulator.ready(now_ms, |topic, p| view.leader(topic, p).map(|(leader, _)| leader));
            (expired, ready, accumulator.needs_producer_id())
        };
        for (batch, error) in expired {
            batch.complete(Err(error));
        }
        self.refresh_if_needed(&ready);
        if needs_id {
            if !ready.brokers.is_empty() {
                self.initialize();
            }
            return ready.next_ms;
        }
        let mut next_ms = ready.next_ms;
        for broker in ready.brokers {
            let until_ms = self.throttled_until_ms.get(&broker).copied().unwrap_or(0);
            if until_ms > now_ms {
                next_ms = Some(next_ms.map_or(until_ms, |n| n.min(until_ms)));
                continue;
            }
            self.send_to(broker, now_ms, &view);
        }
        next_ms
    }

    fn send_to(&mut self, broker: i32, now_ms: i64, view: &ClusterView) {
        let Some(connection) = self.shared.cluster.ready(Lane::General, broker) else {
            self.connect(broker);
            return;
        };
        let max_bytes = self.shared.config.max_request_size;
        while self.in_flight.get(&broker).copied().unwrap_or(0) < self.shared.config.max_in_flight {
            let leads = |topic: &str, p: i32| view.leader(topic, p).is_some_and(|(leader, _)| leader == broker);
            let drained = self.shared.accumulator.lock().drain(now_ms, max_bytes, leads);
            if drained.is_empty() {
                return;
            }
            self.produce(broker, &connection, drained, view);
        }
    }

    /// Queues one request on the connection, and its answer among the events.
    fn produce(&mut self, broker: i32, connection: &Connection, drained: Vec<Drained>, view: &ClusterView) {
        *self.in_flight.entry(broker).or_default() += 1;
        let started = start(connection, &self.shared.config, &drained, view);
        self.waiting.push(Box::pin(async move {
            let outcome = match started {
                Ok(started) => started.await,
                Err(e) => Err(e),
            };
            Event::Produced(broker, drained, outcome)
        }));
    }

    fn connect(&mut self, broker: i32) {
        if self.connecting.insert(broker) {
            let cluster = self.shared.cluster.clone();
            self.waiting.push(Box::pin(async move {
                Event::Connected(broker, cluster.broker(Lane::General, broker).await.map(drop))
            }));
        }
    }

    fn refresh_if_needed(&mut self, ready: &Ready) {
        if self.refreshing || !(ready.leaderless || self.shared.cluster.needs_refresh()) {
            return;
        }
        self.refreshing = true;
        let cluster = self.shared.cluster.clone();
        let first = self.refresh_backoff.attempts() == 0;
        let wait = self.refresh_backoff.next(random::next_u64());
        self.waiting.push(Box::pin(async move {
            if !first {
                time::sleep(wait).await;
            }
            cluster.mark_stale();
            Event::Refreshed(cluster.refresh(Topics::Used, false).await.map(drop))
        }));
    }

    fn initialize(&mut self) {
        if self.initializing {
            return;
        }
        self.initializing = true;
        let cluster = self.shared.cluster.clone();
        let first = self.init_backoff.attempts() == 0;
        let wait = self.init_backoff.next(random::next_u64());
        self.waiting.push(Box::pin(async move {
            if !first {
                time::sleep(wait).await;
            }
            Event::ProducerId(init_producer_id(&cluster).await)
        }));
    }

    async fn wait(&mut self, next_ms: Option<i64>) {
        let wait = next_ms.map(|at| Duration::from_millis((at - time::monotonic_ms()).max(0) as u64));
        let event = tokio::select! {
            biased;
            Some(event) = self.waiting.next(), if !self.waiting.is_empty() => Some(event),
            () = self.shared.wake.notified() => None,
            () = time::sleep(wait.unwrap_or_default()), if wait.is_some() => None,
        };
        match event {
            Some(Event::Produced(broker, drained, outcome)) => self.produced(broker, drained, outcome),
            Some(Event::Connected(broker, outcome)) => {
                self.connecting.remove(&broker);
                if let Err(e) = outcome {
                    tracing::debug!(broker, error = %e, "the producer cannot connect to a leader");
                }
            }
            Some(Event::Refreshed(outcome)) => {
                self.refreshing = false;
                match outcome {
                    Ok(()) => tracing::trace!("the producer has new metadata"),
                    Err(e) => tracing::debug!(error = %e, "the producer cannot fetch metadata"),
                }
            }
            Some(Event::ProducerId(outcome)) => self.initialized(outcome),
            None => {}
        }
    }

    fn initialized(&mut self, outcome: Result<ProducerIdAndEpoch, Error>) {
        self.initializing = false;
        match outcome {
            Ok(producer) => {
                self.init_backoff.reset();
                self.shared.accumulator.lock().set_producer(producer);
            }
            Err(e) if e.is_retriable() => tracing::debug!(error = %e, "no producer id yet"),
            // What waits fails when its delivery.timeout.ms is over; the log says why.
            Err(e) => tracing::warn!(error = %e, "the broker gives no producer id; idempotent records cannot be sent"),
        }
    }

    fn produced(
        &mut self,
        broker: i32,
        drained: Vec<Drained>,
        outcome: Result<Option<Response<ProduceRequest<'static>>>, ConnectionError>,
    ) {
        if let Some(n) = self.in_flight.get_mut(&broker) {
            *n = n.saturating_sub(1);
        }
        let decoded = match &outcome {
            Ok(Some(response)) => response.decode().map(Some),
            Ok(None) => Ok(None),
            Err(e) => Err(e.clone()),
        };
        match decoded {
            Ok(Some(response)) => self.answered(broker, drained, &response),
            // acks=0: written to the socket is all that is ever known.
            Ok(None) => {
                for d in drained {
                    self.settle(d, Verdict::Written(Acknowledged { base_offset: -1, log_append_time_ms: -1 }));
                }
            }
            Err(e) => {
                self.shared.cluster.mark_stale();
                for d in drained {
                    let error = Error::Connection(e.clone());
                    self.settle(d, if e.is_retriable() { Verdict::Retry(error) } else { Verdict::Lost(error) });
                }
            }
        }
    }

    fn answered(&mut self, broker: i32, drained: Vec<Drained>, response: &ProduceResponse<'_>) {
        if response.throttle_time_ms > 0 {
            let until_ms = time::monotonic_ms() + i64::from(response.throttle_time_ms);
            self.throttled_until_ms.insert(broker, until_ms);
        }
        let view = self.shared.cluster.view();
        for d in drained {
            let verdict = match find(response, &d, &view) {
                Some(p) => {
                    let verdict = judge(owned(p), || format!("{}-{}", d.topic, d.partition));
                    if matches!(verdict, Verdict::Retry(_)) {
                        self.learn(response, &d, p);
                    }
                    verdict
                }
                None => Verdict::Retry(Error::IllegalState(format!(
                    "the broker did not answer for {}-{}",
                    d.topic, d.partition
                ))),
            };
            self.settle(d, verdict);
        }
    }

    /// A refusal may name the new leader (KIP-951); otherwise metadata is asked for.
    fn learn(&self, response: &ProduceResponse<'_>, d: &Drained, p: &PartitionProduceResponse<'_>) {
        let leader = &p.current_leader;
        let endpoint = response.node_endpoints.iter().find(|n| n.node_id == leader.leader_id).and_then(|n| {
            let address = Address { host: n.host.to_owned(), port: u16::try_from(n.port).ok()? };
            Some(Broker { id: n.node_id, address, rack: n.rack.map(str::to_owned) })
        });
        self.shared.cluster.apply_hint(&d.topic, d.partition, leader.leader_id, leader.leader_epoch, endpoint);
    }

    fn settle(&mut self, d: Drained, verdict: Verdict) {
        let may_retry = d.batch.attempts < self.shared.config.retries;
        match verdict {
            Verdict::Written(acknowledged) => {
                self.refresh_backoff.reset();
                let earlier = self.shared.accumulator.lock().written(&d.topic, d.partition, &d.batch);
                for batch in earlier {
                    batch.complete(Ok(Acknowledged { base_offset: -1, log_append_time_ms: -1 }));
                }
                d.batch.complete(Ok(acknowledged));
            }
            Verdict::Retry(e) if may_retry => self.retry(d, Returned::InDoubt, &e),
            Verdict::OutOfLine(e) if may_retry => self.retry(d, Returned::OutOfLine, &e),
            Verdict::Retry(e) | Verdict::OutOfLine(e) | Verdict::Lost(e) => {
                self.shared.accumulator.lock().lost(&d.topic, d.partition, &d.batch);
                d.batch.complete(Err(e));
            }
        }
    }

    fn retry(&self, d: Drained, why: Returned, error: &Error) {
        let mut backoff = self.shared.cluster.backoff();
        let wait = (0..=d.batch.attempts.min(10)).map(|_| backoff.next(random::next_u64())).last();
        let wait_ms = wait.unwrap_or_default().as_millis() as i64;
        tracing::debug!(topic = &*d.topic, partition = d.partition, %error, ?why, "a batch is sent again");
        self.shared.accumulator.lock().retry(d, why, time::monotonic_ms() + wait_ms);
    }
}
