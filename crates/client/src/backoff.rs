//! How long to wait before the next attempt: exponential with jitter, as Kafka's clients do since 3.7 (KIP-580).

use std::time::Duration;

/// Jitter: the wait is spread over ±20 % so that many clients do not come back at the same moment.
const JITTER_PERCENT: u64 = 20;

/// Growing waits between attempts, from `retry.backoff.ms` to `retry.backoff.max.ms`.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    attempts: u32,
}

impl Backoff {
    /// Starts at `first`, doubles with each attempt, and never exceeds `most`.
    #[must_use]
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, attempts: 0 }
    }

    /// The wait before the next attempt. `random` decides the jitter.
    pub fn next(&mut self, random: u64) -> Duration {
        let exponent = self.attempts.min(20);
        self.attempts = self.attempts.saturating_add(1);
        let plain = self.first.saturating_mul(1 << exponent).min(self.most);
        let percent = 100 - JITTER_PERCENT + random % (2 * JITTER_PERCENT + 1);
        plain.mul_f64(percent as f64 / 100.0)
    }

    /// Begins again after a success.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Attempts since the last success.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let no_jitter = JITTER_PERCENT;
        let waits: Vec<u64> = (0..6).map(|_| backoff.next(no_jitter).as_millis() as u64).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(0), Duration::from_millis(80));
        backoff.reset();
        assert_eq!(backoff.next(40), Duration::from_millis(120));
    }
}
