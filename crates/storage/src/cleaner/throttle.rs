//! `log.cleaner.io.max.bytes.per.second`: all cleaner threads together read and write no faster.

use ottla_env::task::StopSignal;
use ottla_env::time;
use parking_lot::Mutex;

/// A pause shorter than this is saved up.
const PAUSE_MIN_MS: f64 = 5.0;

/// See the module.
#[derive(Debug)]
pub(super) struct Throttle {
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    bytes_per_ms: f64,
    /// When, in ms of the monotonic clock, everything taken so far is paid for.
    paid_at: f64,
}

impl Account {
    /// A rate that is not positive counts as none.
    fn new(bytes_per_second: f64) -> Self {
        let rate = if bytes_per_second > 0.0 { bytes_per_second } else { f64::INFINITY };
        Self { bytes_per_ms: rate / 1_000.0, paid_at: 0.0 }
    }
}

impl Throttle {
    pub(super) fn new(bytes_per_second: f64) -> Self {
        Self { account: Mutex::new(Account::new(bytes_per_second)) }
    }

    /// From now on another rate; what is owed at the old one is forgotten.
    pub(super) fn set_rate(&self, bytes_per_second: f64) {
        *self.account.lock() = Account::new(bytes_per_second);
    }

    /// Waits until `bytes` more are within the rate, or until the stop; how many ms it asked for.
    pub(super) fn take(&self, bytes: u64, stop: &StopSignal) -> u64 {
        let pause_ms = {
            let mut account = self.account.lock();
            let cost_ms = bytes as f64 / account.bytes_per_ms;
            if cost_ms < 1e-6 {
                return 0;
            }
            let now = time::monotonic_ms() as f64;
            account.paid_at = account.paid_at.max(now) + cost_ms;
            account.paid_at - now
        };
        if pause_ms < PAUSE_MIN_MS {
            return 0;
        }
        let _stopped = stop.wait_ms(pause_ms as i64);
        pause_ms as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "threads that borrow, in a test without a simulation")]
    fn many_takers_together_keep_the_rate() {
        let throttle = Throttle::new(1_000_000.0);
        let stop = StopSignal::new();
        let began = time::monotonic_ms();
        // 200 kB at 1 MB/s: 200 ms, less what the last pauses have saved up.
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..100).map(|_| throttle.take(1_000, &stop)).sum::<u64>());
            }
        });
        let took = time::monotonic_ms() - began;
        assert!(took >= 180, "{took} ms");
    }

    #[test]
    fn no_rate_and_a_stop_do_not_wait() {
        let stop = StopSignal::new();
        let began = time::monotonic_ms();
        assert_eq!(Throttle::new(f64::MAX).take(u64::MAX, &stop), 0);
        assert_eq!(Throttle::new(0.0).take(u64::MAX, &stop), 0);
        stop.stop();
        assert_eq!(Throttle::new(1.0).take(1_000_000, &stop), 1_000_000_000);
        assert!(time::monotonic_ms() - began < 10_000);
    }
}
