//! What is read while devices may fail: what comes is right, or nothing does and the directory is offline.

use ottla_env::sim::note;
use ottla_env::{random, time};
use ottla_storage::{Log, ReadError};

use crate::chance;
use crate::run::Run;

impl Run {
    pub(crate) fn fetch(&self, at: usize) {
        let (part, log) = (&self.parts[at], self.log(at));
        let fetch = part.random_fetch(&log);
        if self.can(&log, || log.read_verified(fetch.offset, fetch.budget, fetch.bound, fetch.at_least_one)) {
            self.with_a_sound_disk(|| part.check_fetch(&log, fetch));
        }
    }

    /// Whether something can be read. If the device fails, its directory is offline from then on.
    fn can<T>(&self, log: &Log, read: impl FnOnce() -> Result<T, ReadError>) -> bool {
        match read() {
            Err(ReadError::Storage(error)) => {
                note(&format!("failed: {error}"));
                assert!(self.is_broken() && log.dir().check_online().is_err(), "{error}, and nobody knows");
                false
            }
            Ok(_) | Err(_) => true,
        }
    }

    pub(crate) fn look_up(&mut self, at: usize) {
        let (part, log) = (&self.parts[at], self.log(at));
        part.check_epochs(&log);
        let any = time::wall_clock_ms() - i64::try_from(random::below(8_000)).expect("small");
        let known = part.visible().nth(chance(8)).map(|batch| batch.header.max_timestamp);
        for timestamp in [any].into_iter().chain(known) {
            if !self.can(&log, || log.offset_for_timestamp(timestamp)) {
                return;
            }
            self.with_a_sound_disk(|| part.check_time(&log, timestamp));
        }
    }
}
