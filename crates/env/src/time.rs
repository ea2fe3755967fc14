//! Time: a monotonic clock for durations, the wall clock for timestamps, sleeping, and timeouts.

use std::future::Future;
use std::ops::{Add, Sub};
use std::time::Duration;

use crate::platform::time as platform;

/// A point of the monotonic clock, in nanoseconds since the process (or the simulation) started.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Instant(u64);

impl Instant {
    /// The present.
    #[must_use]
    pub fn now() -> Self {
        Self(platform::now_ns())
    }

    /// The time that has passed since `self`; zero if `self` lies in the future.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }

    /// The time from `earlier` to `self`; zero if `earlier` is the later one.
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Milliseconds since the process started.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0 / 1_000_000).expect("2^64 ns are fewer than 2^63 ms")
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of the clock, 584 years after the start.
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(nanos(rhs)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// Saturates at the start of the process.
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(rhs)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds since the Unix epoch. The wall clock may jump: use it for timestamps, never for timeouts.
#[must_use]
pub fn wall_clock_ms() -> i64 {
    platform::wall_clock_ms()
}

/// Milliseconds of the monotonic clock, as [`Instant::as_millis`].
#[must_use]
pub fn monotonic_ms() -> i64 {
    Instant::now().as_millis()
}

/// Waits for `duration`.
pub async fn sleep(duration: Duration) {
    platform::sleep(duration).await;
}

/// Waits until `at`; returns at once if it has passed.
pub async fn sleep_until(at: Instant) {
    platform::sleep(at.saturating_duration_since(Instant::now())).await;
}

/// The future given to [`timeout`] had not finished in time. It has been dropped.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

/// Drives `future` for at most `duration`.
///
/// # Errors
/// [`Elapsed`] if it did not finish; a future that is ready at the deadline wins.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    platform::timeout(duration, future).await
}

/// Blocks the calling thread for `duration`. Only for threads made by [`crate::task::thread`]: a task that calls it
/// takes a worker away from everybody. To be woken early, wait on a [`crate::task::StopSignal`] instead.
pub fn sleep_thread(duration: Duration) {
    platform::sleep_thread(duration);
}

#[cfg(all(test, not(sim)))]
mod tests {
    use super::*;
    use crate::task::Runtime;

    #[test]
    fn instants_are_ordered_and_saturate() {
        let start = Instant::now();
        let later = start + Duration::from_millis(5);
        assert!(later > start);
        assert_eq!(later.saturating_duration_since(start), Duration::from_millis(5));
        assert_eq!(start.saturating_duration_since(later), Duration::ZERO);
        assert_eq!(later - Duration::from_millis(5), start);
        assert_eq!(Instant(3) - Duration::from_secs(1), Instant(0));
        assert_eq!(Instant(3) + Duration::MAX, Instant(u64::MAX));
    }

    #[test]
    fn wall_clock_is_of_this_century() {
        assert!(wall_clock_ms() > 1_700_000_000_000);
    }

    #[test]
    fn timeout_lets_the_fast_through_and_stops_the_slow() {
        Runtime::new(1).expect("a runtime").block_on(async {
            assert_eq!(timeout(Duration::from_secs(60), async { 7 }).await, Ok(7));
            let began = Instant::now();
            let slow = timeout(Duration::from_millis(20), sleep(Duration::from_secs(60))).await;
            assert_eq!(slow, Err(Elapsed));
            assert!(began.elapsed() >= Duration::from_millis(20));
        });
    }
}
