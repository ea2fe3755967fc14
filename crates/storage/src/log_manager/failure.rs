//! A log directory that failed: its logs are let go, the others are not touched. Kafka: `LogManager.handleLogDirFailure`.

use std::sync::Arc;

use super::LogManager;
use crate::log::Log;
use crate::log_dir::LogDir;

impl LogManager {
    /// The logs of a directory, which is offline, are not the manager's any more. Gives them: whoever serves them must stop.
    pub fn let_go(&self, dir: &Arc<LogDir>) -> Vec<Arc<Log>> {
        let _one_at_a_time = self.changing.lock();
        let (copies, gone): (Vec<_>, Vec<_>) = self.logs_in(dir).into_iter().partition(|log| log.is_future());
        for log in &gone {
            self.forget(log.topic(), log.partition());
        }
        // What was on its way here stays where it is.
        for copy in &copies {
            self.forget_future(copy.topic(), copy.partition());
        }
        gone
    }
}
