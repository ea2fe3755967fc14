//! The threads that compact, one log at a time each.

use std::sync::Arc;

use ottla_env::task::{self, Thread};
use ottla_env::time;

use super::CleanReport;
use crate::error::StorageError;
use crate::log_manager::LogManager;

/// Starts the threads that the configuration asks for.
pub(crate) fn start(manager: &Arc<LogManager>) -> Result<Vec<Thread>, StorageError> {
    let config = manager.cleaner().config();
    let count = if config.enable { config.threads } else { 0 };
    let mut threads = Vec::with_capacity(count);
    for _ in 0..count {
        let manager = Arc::clone(manager);
        threads.push(task::thread("log-cleaner", move || work(&manager))?);
    }
    Ok(threads)
}

fn work(manager: &LogManager) {
    let backoff_ms = manager.cleaner().config().backoff_ms;
    loop {
        let CleanReport { cleaned } = manager.clean_once(time::wall_clock_ms());
        // One pass may not have got to the end, and other logs may be due.
        let pause_ms = if cleaned.is_some() { 0 } else { backoff_ms };
        if manager.stop_signal().wait_ms(pause_ms) {
            return;
        }
    }
}
