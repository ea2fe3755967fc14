//! What changes while the manager runs (KIP-226).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::LogManager;
use crate::cleaner::{CleanerConfig, Crew};
use crate::error::StorageError;

impl LogManager {
    /// Lets the cleaner go on with other settings: as in Kafka its threads end, and as many as are wanted begin. A pass that is
    /// under way is given up and begun anew. Blocks until the threads have ended, which they do at their next step. With the
    /// settings that it has already, threads that could not be had before are started.
    ///
    /// # Errors
    /// When the system has no thread to give; nothing is compacted then until the next call or the next start.
    pub fn reconfigure_cleaner(self: &Arc<Self>, config: CleanerConfig) -> Result<(), StorageError> {
        let mut crew = self.cleaner_crew.lock();
        if *self.cleaner.config() == config && crew.as_ref().is_none_or(|crew| crew.is_whole(&config)) {
            return Ok(());
        }
        tracing::debug!(?config, "the cleaner is reconfigured");
        // Before the start there is none, and after the stop there must not be one again.
        let Some(running) = crew.as_mut() else {
            self.cleaner.set_config(config);
            return Ok(());
        };
        std::mem::replace(running, Crew::none()).end();
        self.cleaner.set_config(config);
        *running = Crew::start(self)?;
        Ok(())
    }

    /// How long a producer that writes nothing is remembered, in ms: at the next look for expired ones.
    pub fn set_producer_id_expiration_ms(&self, ms: i64) {
        self.producer_id_expiration_ms.store(ms, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(sim)))]
mod tests {
    use ottla_protocol::Uuid;

    use super::*;
    use crate::log_manager::LogManagerOptions;
    use crate::meta_properties::MetaProperties;

    /// Once the system had no thread for the cleaner, every later change found no threads to replace, and compaction was over
    /// until the next start.
    #[test]
    fn a_cleaner_without_threads_gets_them_at_the_next_change() {
        let dir = tempfile::tempdir().unwrap();
        let directory_id = Some(Uuid([7; 16]));
        MetaProperties { version: 1, cluster_id: "c".to_owned(), node_id: 1, directory_id }.write(dir.path()).unwrap();
        let options = LogManagerOptions { dirs: vec![dir.path().to_owned()], ..LogManagerOptions::default() };
        let manager = LogManager::open(options).unwrap();
        let is_whole = |manager: &LogManager| {
            let crew = manager.cleaner_crew.lock();
            crew.as_ref().map(|crew| crew.is_whole(&manager.cleaner().config()))
        };
        let two = CleanerConfig { threads: 2, ..CleanerConfig::default() };
        manager.reconfigure_cleaner(two.clone()).unwrap();
        assert_eq!(is_whole(&manager), None, "the manager has not been started");
        manager.start().unwrap();
        assert_eq!(is_whole(&manager), Some(true));
        // As if the system had had no thread to give.
        let lost = manager.cleaner_crew.lock().replace(Crew::none());
        lost.unwrap().end();
        assert_eq!(is_whole(&manager), Some(false));
        manager.reconfigure_cleaner(two).unwrap();
        assert_eq!(is_whole(&manager), Some(true), "with the same settings");
        manager.stop(-1).unwrap();
        manager.reconfigure_cleaner(CleanerConfig::default()).unwrap();
        assert_eq!(is_whole(&manager), None, "nothing begins after the stop");
    }
}
