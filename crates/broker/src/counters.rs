//! The broker's counters, one registry: requests and errors per API, bytes and records in and out, connections.
//!
//! Names follow the metrics that Kafka's dashboards ask for (`kafka_server_brokertopicmetrics_…`,
//! `kafka_network_requestmetrics_…`). Counting is a relaxed atomic addition; reading gives a snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

use ottla_protocol::ErrorCode;
use ottla_protocol::api::ApiKey;

const API_SLOTS: usize = 128;
const ERROR_SLOTS: usize = 160;

/// One number that only grows, or a level that goes up and down.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes away, for levels.
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// Reads.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counters of one broker.
#[derive(Debug)]
pub struct Counters {
    requests: Box<[Counter]>,
    errors: Box<[Counter]>,
    /// `kafka_server_brokertopicmetrics_bytesin_total`.
    pub bytes_in: Counter,
    /// `kafka_server_brokertopicmetrics_bytesout_total`.
    pub bytes_out: Counter,
    /// `kafka_server_brokertopicmetrics_messagesin_total`.
    pub messages_in: Counter,
    /// `kafka_server_brokertopicmetrics_failedproducerequests_total`.
    pub failed_produce_requests: Counter,
    /// `kafka_server_brokertopicmetrics_failedfetchrequests_total`.
    pub failed_fetch_requests: Counter,
    /// `kafka_server_socket_server_metrics_connection_count`, a level.
    pub connections: Counter,
    /// Connections closed because of what they sent.
    pub refused_requests: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        let slots = |n: usize| (0..n).map(|_| Counter::default()).collect::<Vec<_>>().into_boxed_slice();
        Self {
            requests: slots(API_SLOTS),
            errors: slots(ERROR_SLOTS),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            messages_in: Counter::default(),
            failed_produce_requests: Counter::default(),
            failed_fetch_requests: Counter::default(),
            connections: Counter::default(),
            refused_requests: Counter::default(),
        }
    }
}

impl Counters {
    /// Counts a request (`kafka_network_requestmetrics_requests_total{request=…}`).
    pub fn request(&self, api: ApiKey) {
        if let Some(slot) = usize::try_from(api as i16).ok().and_then(|i| self.requests.get(i)) {
            slot.add(1);
        }
    }

    /// Counts an error that was answered (`kafka_network_requestmetrics_errors_total{error=…}`).
    pub fn error(&self, code: ErrorCode) {
        if !code.is_none()
            && let Some(slot) = usize::try_from(code.code() + 1).ok().and_then(|i| self.errors.get(i))
        {
            slot.add(1);
        }
    }

    /// Name, label and value of everything that is not zero.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(&'static str, Option<&'static str>, u64)> {
        let mut all = vec![
            ("kafka_server_brokertopicmetrics_bytesin_total", None, self.bytes_in.get()),
            ("kafka_server_brokertopicmetrics_bytesout_total", None, self.bytes_out.get()),
            ("kafka_server_brokertopicmetrics_messagesin_total", None, self.messages_in.get()),
            ("kafka_server_brokertopicmetrics_failedproducerequests_total", None, self.failed_produce_requests.get()),
            ("kafka_server_brokertopicmetrics_failedfetchrequests_total", None, self.failed_fetch_requests.get()),
            ("kafka_server_socket_server_metrics_connection_count", None, self.connections.get()),
            ("ottla_refused_requests_total", None, self.refused_requests.get()),
        ];
        for (code, slot) in self.requests.iter().enumerate() {
            if let Some(api) = i16::try_from(code).ok().and_then(ApiKey::from_code) {
                all.push(("kafka_network_requestmetrics_requests_total", Some(api.name()), slot.get()));
            }
        }
        for (i, slot) in self.errors.iter().enumerate() {
            if let Some(code) = i16::try_from(i).ok().and_then(|i| ErrorCode::from_code(i - 1)) {
                all.push(("kafka_network_requestmetrics_errors_total", Some(code.name()), slot.get()));
            }
        }
        all.retain(|(_, _, value)| *value > 0);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_found_under_its_name() {
        let counters = Counters::default();
        counters.request(ApiKey::Produce);
        counters.request(ApiKey::Produce);
        counters.error(ErrorCode::NotLeaderOrFollower);
        counters.error(ErrorCode::UnknownServerError);
        counters.error(ErrorCode::None);
        assert_eq!(
            counters.snapshot(),
            vec![
                ("kafka_network_requestmetrics_requests_total", Some("Produce"), 2),
                ("kafka_network_requestmetrics_errors_total", Some("UNKNOWN_SERVER_ERROR"), 1),
                ("kafka_network_requestmetrics_errors_total", Some("NOT_LEADER_OR_FOLLOWER"), 1),
            ]
        );
    }
}
