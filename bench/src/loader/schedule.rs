//! When each request of an open loop is due, however the ones before it fared.

use std::time::{Duration, Instant};

/// A fixed rate from a moment on.
pub struct Schedule {
    began: Instant,
    per_second: u64,
}

impl Schedule {
    /// Beginning with the request that is due at once.
    pub fn new(began: Instant, per_second: u64) -> Self {
        Self { began, per_second }
    }

    /// When the n-th request is due. Each is reckoned from the beginning, so that no rounding adds up.
    pub fn due(&self, n: u64) -> Instant {
        let whole = Duration::from_secs(n / self.per_second);
        self.began + whole + Duration::from_nanos(n % self.per_second * 1_000_000_000 / self.per_second)
    }

    /// How long before `now` the n-th request was due.
    pub fn late(&self, n: u64, now: Instant) -> Duration {
        now.saturating_duration_since(self.due(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let began = Instant::now();
        let schedule = Schedule::new(began, 3);
        let nanoseconds = |n| schedule.due(n).duration_since(began).as_nanos();
        assert_eq!([0, 1, 2, 3].map(nanoseconds), [0, 333_333_333, 666_666_666, 1_000_000_000]);
        assert_eq!(nanoseconds(3 * 3_600), 3_600_000_000_000);
    }

    #[test]
    fn lateness_counts_from_when_a_request_was_due() {
        let began = Instant::now();
        let schedule = Schedule::new(began, 1_000);
        // A stall of 10 ms: the requests of that time are the later the earlier they were due.
        let now = began + Duration::from_millis(10);
        assert_eq!([0, 4, 10, 11].map(|n| schedule.late(n, now).as_millis()), [10, 6, 0, 0]);
    }
}
