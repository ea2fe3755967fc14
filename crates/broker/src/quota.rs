//! Quotas as an argument of the dispatch: how long a client is asked to pause. It is answered at once, told the time in
//! `throttle_time_ms` where the version has the field, and its connection is neither read nor answered for as long (KIP-219).
//!
//! ```text
//!   dispatch ── door ──────────────── answer ── the longest pause of all that were asked ──> connection: send, then mute
//!      │          └─ bytes produced or fetched ─> Quota
//!      └─ time that threads worked on it, for every request ─> Quota
//! ```
//!
//! A quota supplies numbers and nothing else. Absent: quotas that are configured; until there are, [`Unlimited`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ottla_env::time::Instant;

use crate::broker::Broker;
use crate::context::{Answer, ConnectionInfo, LaterResponse, Refusal, RequestContext};

/// Decides how long a client must pause. Asked on network threads: it must not wait.
pub trait Quota: Send + Sync + std::fmt::Debug {
    /// Notes what a client used and gives the pause in milliseconds; 0 for none.
    fn throttle_ms(&self, connection: &ConnectionInfo, client_id: Option<&str>, kind: QuotaKind, amount: u64) -> i32;

    /// Whether nobody ever has to pause: then the time of requests is not even taken.
    fn is_unlimited(&self) -> bool {
        false
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaKind {
    /// Bytes produced (`producer_byte_rate`).
    Produce,
    /// Bytes fetched (`consumer_byte_rate`).
    Fetch,
    /// Nanoseconds that threads worked on a request (`request_percentage`, KIP-124), once for each that is not exempt.
    Request,
}

/// No client is ever paused: no quota is configured.
#[derive(Debug, Clone, Copy)]
pub struct Unlimited;

impl Quota for Unlimited {
    fn throttle_ms(&self, _: &ConnectionInfo, _: Option<&str>, _: QuotaKind, _: u64) -> i32 {
        0
    }

    fn is_unlimited(&self) -> bool {
        true
    }
}

/// Who pays for a request, and the time that was spent on it so far.
pub(crate) struct Bill {
    broker: Arc<Broker>,
    connection: Arc<ConnectionInfo>,
    client_id: Option<String>,
    spent: Duration,
}

impl Bill {
    /// A bill for this request; `None` when nobody pays.
    pub(crate) fn open(cx: &RequestContext) -> Option<Self> {
        if cx.broker.quota.is_unlimited() {
            return None;
        }
        Some(Self {
            broker: Arc::clone(&cx.broker),
            connection: Arc::clone(&cx.connection),
            client_id: cx.client_id().map(str::to_owned),
            spent: Duration::ZERO,
        })
    }

    /// Does the work, and lets the client pause for it as the quota says, now or once the answer is known.
    pub(crate) fn charge(mut self, work: impl FnOnce() -> Result<Answer, Refusal>) -> Result<Answer, Refusal> {
        let began = Instant::now();
        let answer = work();
        self.spent += began.elapsed();
        answer.map(|answer| self.settle(answer))
    }

    fn settle(self, answer: Answer) -> Answer {
        match answer {
            Answer::Later(later) => Answer::Later(Box::pin(Metered { later, bill: Some(self) })),
            Answer::Reply(response) if response.is_exempt => Answer::Reply(response),
            now => now.throttled(self.pause_ms()),
        }
    }

    fn pause_ms(&self) -> i32 {
        let spent_ns = u64::try_from(self.spent.as_nanos()).unwrap_or(u64::MAX);
        self.broker.quota.throttle_ms(&self.connection, self.client_id.as_deref(), QuotaKind::Request, spent_ns)
    }
}

/// An answer that is not known yet, and the bill for it. Only the time in which it is worked on counts, not that in which it
/// waits.
struct Metered {
    later: LaterResponse,
    bill: Option<Bill>,
}

impl Future for Metered {
    type Output = Result<Answer, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let began = Instant::now();
        let polled = self.later.as_mut().poll(cx);
        if let Some(bill) = &mut self.bill {
            bill.spent += began.elapsed();
        }
        polled.map_ok(|answer| match self.bill.take() {
            Some(bill) => bill.settle(answer),
            None => answer,
        })
    }
}
