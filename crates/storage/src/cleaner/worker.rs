//! The threads that compact, one log at a time each.

use std::sync::Arc;

use ottla_env::task::{self, StopSignal, Thread};
use ottla_env::time;

use super::{CleanReport, CleanerConfig};
use crate::error::StorageError;
use crate::log_manager::LogManager;

/// The threads that run, and what ends them: they begin and end together.
#[derive(Debug)]
pub(crate) struct Crew {
    stop: StopSignal,
    threads: Vec<Thread>,
}

impl Crew {
    /// Starts the threads that the configuration asks for.
    pub(crate) fn start(manager: &Arc<LogManager>) -> Result<Self, StorageError> {
        let config = manager.cleaner().config();
        let count = if config.enable { config.threads } else { 0 };
        let mut crew = Self { stop: StopSignal::new(), threads: Vec::with_capacity(count) };
        for _ in 0..count {
            let (manager, stop) = (Arc::clone(manager), crew.stop.clone());
            match task::thread("log-cleaner", move || work(&manager, &stop)) {
                Ok(thread) => crew.threads.push(thread),
                Err(error) => {
                    crew.end();
                    return Err(error.into());
                }
            }
        }
        Ok(crew)
    }

    /// Nobody: what is left when the system has no thread to give.
    pub(crate) fn none() -> Self {
        Self { stop: StopSignal::new(), threads: Vec::new() }
    }

    /// Whether it has as many threads as the configuration asks for.
    pub(crate) fn is_whole(&self, config: &CleanerConfig) -> bool {
        self.threads.len() == if config.enable { config.threads } else { 0 }
    }

    /// Asks the threads to end; what they are at is given up at the next step and begun anew by others.
    pub(crate) fn ask_to_end(&self) {
        self.stop.stop();
    }

    /// Ends the threads and waits for them.
    pub(crate) fn end(self) {
        self.stop.stop();
        for thread in self.threads {
            if let Err(error) = thread.join() {
                tracing::error!(%error, "a thread that compacts ended early");
            }
        }
    }
}

fn work(manager: &LogManager, stop: &StopSignal) {
    let backoff_ms = manager.cleaner().config().backoff_ms;
    loop {
        let CleanReport { cleaned } = manager.clean_until(time::wall_clock_ms(), stop);
        // One pass may not have got to the end, and other logs may be due.
        let pause_ms = if cleaned.is_some() { 0 } else { backoff_ms };
        if stop.wait_ms(pause_ms) {
            return;
        }
    }
}
