//! The handle of the controller: starts its task, asks it (it is this node's [`ControllerDoor`]), and stops it.

use std::sync::Arc;
use std::time::Duration;

use ottla_env::{task, time};
use ottla_metadata::MetadataLoader;
use ottla_metadata::controller_door::{ControllerDoor, DoorAnswer, DoorContext, DoorError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::ControllerError;
use crate::event_loop::{Command, EventLoop, Reports, Request};
use crate::load_queue::load_queue;
use crate::options::{ControllerOptions, QuorumOptions};
use crate::quorum_store::{self, Opened};
use crate::raft::ReplicaKey;
use crate::raft_driver::RaftDriver;

/// Requests that wait for the controller's task; more wait outside, each holding its own frame's memory.
const REQUESTS_MAX: usize = 1024;

/// A request that is not answered by then is given up by who asked, though it may yet take effect.
const ANSWER_TIMEOUT_MS: i64 = 60_000;

/// The handle of a running controller. Cheap to clone behind an `Arc`; it is the [`ControllerDoor`] of this node.
#[derive(Debug)]
pub struct QuorumController {
    commands: mpsc::Sender<Command>,
    /// How the task ended, once it has.
    ended: watch::Receiver<Option<Result<(), Arc<ControllerError>>>>,
    caught_up: watch::Receiver<bool>,
}

impl QuorumController {
    /// Opens the metadata log, loads the newest snapshot into `loader`, and starts the controller's task. Reads and may
    /// recover files, so it belongs on a thread that may block, within the runtime.
    ///
    /// # Errors
    /// [`ControllerError`], with a sentence for whoever starts the node.
    pub fn start(
        options: ControllerOptions,
        quorum: QuorumOptions,
        loader: Arc<MetadataLoader>,
    ) -> Result<Self, ControllerError> {
        let local = ReplicaKey::new(options.node_id, quorum.dir.directory_id());
        let opened = quorum_store::open(quorum, local, &loader)?;
        Ok(Self::run(options, opened, loader))
    }

    fn run(options: ControllerOptions, opened: Opened, loader: Arc<MetadataLoader>) -> Self {
        let (commands, received) = mpsc::channel(REQUESTS_MAX);
        let (ending, ended) = watch::channel(None);
        let (loads, load_task, loaded) = load_queue(Arc::clone(&loader), opened.loaded);
        let (driver, sync_done) = RaftDriver::new(opened, Arc::clone(&loader), loads);
        let (noting, caught_up) = watch::channel(false);
        let event_loop = EventLoop::new(options, driver, loader, noting);
        let loading = task::spawn("metadata-loader", load_task.run());
        task::spawn("controller", async move {
            let result = event_loop.run(received, Reports { sync_done, loaded }).await;
            // Nothing is published any more once the controller has ended. A panic there was told by the loop's end.
            let _ = loading.await;
            if let Err(error) = &result {
                tracing::error!("the controller stops: {error}");
            }
            ending.send_replace(Some(result.map_err(Arc::new)));
        });
        Self { commands, ended, caught_up }
    }

    /// Waits until the loader has everything that is committed as far as this node knows: after the first election, and not
    /// only the newest snapshot. False if the controller's task ended before; [`Self::ended`] tells why.
    pub async fn caught_up(&self) -> bool {
        self.caught_up.clone().wait_for(|caught_up| *caught_up).await.is_ok()
    }

    /// Waits until the controller's task has ended: after [`Self::stop`], or because it could not go on.
    ///
    /// # Errors
    /// What it could not go on for.
    pub async fn ended(&self) -> Result<(), Arc<ControllerError>> {
        let mut ended = self.ended.clone();
        // The sender is dropped without a word only with the runtime.
        let _ = ended.wait_for(Option::is_some).await;
        let result = ended.borrow().clone();
        result.unwrap_or(Ok(()))
    }

    /// Stops the controller: it steps down, syncs what it has, and ends.
    ///
    /// # Errors
    /// When it had ended already for this.
    pub async fn stop(&self) -> Result<(), Arc<ControllerError>> {
        // A task that ended takes no command, and need not.
        let _ = self.commands.send(Command::Stop).await;
        self.ended().await
    }
}

impl ControllerDoor for QuorumController {
    fn request<'a>(&'a self, context: DoorContext, api_key: i16, version: i16, body: Vec<u8>) -> DoorAnswer<'a> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let request = Request { listener: context.listener, api_key, version, body, reply };
            self.commands.send(Command::Request(request)).await.map_err(|_| DoorError::Stopping)?;
            match time::timeout(Duration::from_millis(ANSWER_TIMEOUT_MS.unsigned_abs()), answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(DoorError::Stopping),
                Err(_) => Err(DoorError::TimedOut { after_ms: ANSWER_TIMEOUT_MS }),
            }
        })
    }
}
