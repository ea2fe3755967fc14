//! Quotas as an argument of the dispatch: how long a client is asked to wait (KIP-219: it is answered at once, told the
//! time in `throttle_time_ms`, and its connection is muted for as long).

use crate::context::ConnectionInfo;

/// Decides how long a client must pause.
pub trait Quota: Send + Sync + std::fmt::Debug {
    /// Notes that a client moved `bytes` by a request of `kind` and gives the pause in milliseconds; 0 for none.
    fn throttle_ms(&self, connection: &ConnectionInfo, client_id: Option<&str>, kind: QuotaKind, bytes: usize) -> i32;
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaKind {
    /// Bytes produced (`producer_byte_rate`).
    Produce,
    /// Bytes fetched (`consumer_byte_rate`).
    Fetch,
}

/// No client is ever paused: no quota is configured.
#[derive(Debug, Clone, Copy)]
pub struct Unlimited;

impl Quota for Unlimited {
    fn throttle_ms(&self, _: &ConnectionInfo, _: Option<&str>, _: QuotaKind, _: usize) -> i32 {
        0
    }
}
