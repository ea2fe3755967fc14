//! What changes while the manager runs (KIP-226).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::LogManager;
use crate::cleaner::{CleanerConfig, Crew};
use crate::error::StorageError;

impl LogManager {
    /// Lets the cleaner go on with other settings: as in Kafka its threads end, and as many as are wanted begin. A pass that is
    /// under way is given up and begun anew. Blocks until the threads have ended, which they do at their next step.
    ///
    /// # Errors
    /// When the system has no thread to give; nothing is compacted then until the settings change again or the next start.
    pub fn reconfigure_cleaner(self: &Arc<Self>, config: CleanerConfig) -> Result<(), StorageError> {
        let mut crew = self.cleaner_crew.lock();
        if *self.cleaner.config() == config {
            return Ok(());
        }
        tracing::debug!(?config, "the cleaner is reconfigured");
        let running = crew.take();
        let runs = running.is_some();
        if let Some(running) = running {
            running.end();
        }
        self.cleaner.set_config(config);
        if runs {
            *crew = Some(Crew::start(self)?);
        }
        Ok(())
    }

    /// How long a producer that writes nothing is remembered, in ms: at the next look for expired ones.
    pub fn set_producer_id_expiration_ms(&self, ms: i64) {
        self.producer_id_expiration_ms.store(ms, Ordering::Relaxed);
    }
}
