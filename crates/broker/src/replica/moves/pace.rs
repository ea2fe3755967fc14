//! How fast replicas are copied: all workers together no faster than `replica.alter.log.dirs.io.max.bytes.per.second`. Pure.

use std::time::Duration;

/// However much is owed, the rate is looked at again after this long: it may have changed.
const REST_MAX_MS: f64 = 500.0;

/// See the module. What was copied is owed, and paid off at the rate; nothing is copied while anything is owed.
#[derive(Debug, Default)]
pub(super) struct Pace {
    owed_bytes: f64,
    /// Up to when it was paid, in ms of the monotonic clock.
    paid_at_ms: i64,
}

impl Pace {
    /// How long to rest before the next chunk, and then to ask again; zero if it may be copied now. Without a rate, always.
    pub(super) fn rest(&mut self, now_ms: i64, bytes_per_second: Option<u64>) -> Duration {
        let Some(rate) = bytes_per_second else {
            self.owed_bytes = 0.0;
            return Duration::ZERO;
        };
        let per_ms = rate as f64 / 1_000.0;
        let passed_ms = now_ms.saturating_sub(self.paid_at_ms).max(0);
        // Nothing is paid in advance: no burst follows a rest.
        self.owed_bytes = (self.owed_bytes - passed_ms as f64 * per_ms).max(0.0);
        self.paid_at_ms = now_ms;
        if self.owed_bytes == 0.0 && rate > 0 {
            return Duration::ZERO;
        }
        // A rate of 0 lets nothing through.
        let ms = if rate > 0 { (self.owed_bytes / per_ms).clamp(1.0, REST_MAX_MS) } else { REST_MAX_MS };
        Duration::from_millis(ms as u64)
    }

    /// So many bytes were copied.
    pub(super) fn copied(&mut self, bytes: u64) {
        self.owed_bytes += bytes as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_over_time() {
        let (mut pace, mut now, mut copied) = (Pace::default(), 10_000, 0);
        while now < 20_000 {
            match pace.rest(now, Some(100_000)) {
                Duration::ZERO => {
                    pace.copied(3_000);
                    copied += 3_000;
                }
                rest => now += i64::try_from(rest.as_millis()).unwrap(),
            }
        }
        assert!((950_000..=1_050_000).contains(&copied), "{copied} bytes in 10 s at 100 kB/s");
    }

    #[test]
    fn a_new_rate_counts_at_once() {
        let mut pace = Pace::default();
        pace.copied(1_000_000);
        assert_eq!(pace.rest(0, Some(1)), Duration::from_millis(500), "it is looked at again");
        assert_eq!(pace.rest(1_000, Some(1_000_000)), Duration::ZERO, "paid off in a second");
        pace.copied(1_000_000);
        assert_eq!(pace.rest(1_000, Some(0)), Duration::from_millis(500), "nothing goes");
        assert_eq!(pace.rest(1_000, None), Duration::ZERO, "it was lifted");
    }
}
