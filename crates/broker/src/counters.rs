//! The broker's counters, one registry: requests per API, errors per API and code, bytes and records in and out, connections.
//!
//! Names follow the metrics that Kafka's dashboards ask for (`kafka_server_brokertopicmetrics_…`,
//! `kafka_network_requestmetrics_…`). Counting is a relaxed atomic addition into a table that is there from the start, without a
//! lock or an allocation; reading gives a snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

use ottla_protocol::ErrorCode;
use ottla_protocol::api::ApiKey;

const API_SLOTS: usize = 128;
/// Kafka 4.4's codes go from -1 to 133. With every API that is 160 KiB, once.
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
    /// [`ERROR_SLOTS`] for each API.
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
            errors: slots(API_SLOTS * ERROR_SLOTS),
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
        if let Some(slot) = api_slot(api).and_then(|i| self.requests.get(i)) {
            slot.add(1);
        }
    }

    /// Counts an error that was answered (`kafka_network_requestmetrics_errors_total{request=…,error=…}`).
    pub fn error(&self, api: ApiKey, code: ErrorCode) {
        if !code.is_none()
            && let Some(slot) = error_slot(api, code).and_then(|i| self.errors.get(i))
        {
            slot.add(1);
        }
    }

    /// How often an API was answered with a code.
    #[must_use]
    pub fn errors(&self, api: ApiKey, code: ErrorCode) -> u64 {
        error_slot(api, code).and_then(|i| self.errors.get(i)).map_or(0, Counter::get)
    }

    /// Everything that is not zero.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Sample> {
        let plain = |name, counter: &Counter| Sample { name, labels: Vec::new(), value: counter.get() };
        let mut all = vec![
            plain("kafka_server_brokertopicmetrics_bytesin_total", &self.bytes_in),
            plain("kafka_server_brokertopicmetrics_bytesout_total", &self.bytes_out),
            plain("kafka_server_brokertopicmetrics_messagesin_total", &self.messages_in),
            plain("kafka_server_brokertopicmetrics_failedproducerequests_total", &self.failed_produce_requests),
            plain("kafka_server_brokertopicmetrics_failedfetchrequests_total", &self.failed_fetch_requests),
            plain("kafka_server_socket_server_metrics_connection_count", &self.connections),
            plain("ottla_refused_requests_total", &self.refused_requests),
        ];
        let apis = || (0..API_SLOTS).filter_map(|slot| ApiKey::from_code(i16::try_from(slot).ok()?));
        let codes = || (0..ERROR_SLOTS).filter_map(|slot| ErrorCode::from_code(i16::try_from(slot).ok()? - 1));
        for api in apis() {
            let value = api_slot(api).and_then(|i| self.requests.get(i)).map_or(0, Counter::get);
            let labels = vec![("request", api.name())];
            all.push(Sample { name: "kafka_network_requestmetrics_requests_total", labels, value });
        }
        for (api, code) in apis().flat_map(|api| codes().map(move |code| (api, code))) {
            let value = self.errors(api, code);
            if value > 0 {
                let labels = vec![("request", api.name()), ("error", code.name())];
                all.push(Sample { name: "kafka_network_requestmetrics_errors_total", labels, value });
            }
        }
        all.retain(|sample| sample.value > 0);
        all
    }
}

/// One number of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The metric's name.
    pub name: &'static str,
    /// Names and values of its labels.
    pub labels: Vec<(&'static str, &'static str)>,
    /// Its value.
    pub value: u64,
}

fn api_slot(api: ApiKey) -> Option<usize> {
    usize::try_from(api as i16).ok().filter(|slot| *slot < API_SLOTS)
}

fn error_slot(api: ApiKey, code: ErrorCode) -> Option<usize> {
    let code = usize::try_from(code.code() + 1).ok().filter(|slot| *slot < ERROR_SLOTS)?;
    Some(api_slot(api)? * ERROR_SLOTS + code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &'static str, labels: &[(&'static str, &'static str)], value: u64) -> Sample {
        Sample { name, labels: labels.to_vec(), value }
    }

    #[test]
    fn what_was_counted_is_found_under_its_name() {
        let counters = Counters::default();
        counters.request(ApiKey::Produce);
        counters.request(ApiKey::Produce);
        counters.error(ApiKey::Produce, ErrorCode::NotLeaderOrFollower);
        counters.error(ApiKey::Produce, ErrorCode::None);
        counters.error(ApiKey::Fetch, ErrorCode::NotLeaderOrFollower);
        counters.error(ApiKey::Fetch, ErrorCode::NotLeaderOrFollower);
        counters.error(ApiKey::Fetch, ErrorCode::UnknownServerError);
        let errors = "kafka_network_requestmetrics_errors_total";
        assert_eq!(
            counters.snapshot(),
            [
                sample("kafka_network_requestmetrics_requests_total", &[("request", "Produce")], 2),
                sample(errors, &[("request", "Produce"), ("error", "NOT_LEADER_OR_FOLLOWER")], 1),
                sample(errors, &[("request", "Fetch"), ("error", "UNKNOWN_SERVER_ERROR")], 1),
                sample(errors, &[("request", "Fetch"), ("error", "NOT_LEADER_OR_FOLLOWER")], 2),
            ]
        );
    }

    /// No slot is shared, and none is missing: what the tables of APIs and codes know, is counted.
    #[test]
    fn every_api_and_code_has_a_slot_of_its_own() {
        let counters = Counters::default();
        let codes = || (-1..i16::MAX).filter_map(ErrorCode::from_code).filter(|code| !code.is_none());
        let apis = || (0..i16::MAX).filter_map(ApiKey::from_code);
        for (api, code) in apis().flat_map(|api| codes().map(move |code| (api, code))) {
            assert_eq!(counters.errors(api, code), 0, "{} {}", api.name(), code.name());
            counters.error(api, code);
            assert_eq!(counters.errors(api, code), 1, "{} {}", api.name(), code.name());
        }
    }
}
