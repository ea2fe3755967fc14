//! The system's clocks and tokio's timer.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::Elapsed;

static START: OnceLock<Instant> = OnceLock::new();

pub(crate) fn now_ns() -> u64 {
    let start = START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_nanos()).expect("a process does not live for 584 years")
}

pub(crate) fn wall_clock_ms() -> i64 {
    // A clock before 1970 is a broken one; answering the epoch keeps timestamps valid (they are never negative).
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

pub(crate) async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    tokio::time::timeout(duration, future).await.map_err(|_| Elapsed)
}

pub(crate) fn sleep_thread(duration: Duration) {
    std::thread::sleep(duration);
}
