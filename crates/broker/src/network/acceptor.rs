//! Accepts connections on one listener, within the limits of [`connection_counts`](super::connection_counts).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_env::net::{TcpListener, TcpStream};
use ottla_env::{task, time};
use ottla_metadata::config::listeners::Listener;
use tokio::sync::watch;

use super::connection;
use crate::broker::Broker;
use crate::context::ConnectionInfo;
use crate::security::Principal;

/// First and longest pause after a failed accept (descriptors run out).
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Accepts until `stopping` turns true.
pub async fn run(
    socket: TcpListener,
    listener: Arc<Listener>,
    broker: Arc<Broker>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut pause = BACK_OFF.0;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = BACK_OFF.0;
                admit(stream, peer, &listener, &broker);
            }
            Err(error) => {
                tracing::warn!(listener = %listener.name, %error, ?pause,
                    "cannot accept a connection; trying again (raise the limit of open files if this goes on)");
                time::sleep(pause).await;
                pause = (pause * 2).min(BACK_OFF.1);
            }
        }
    }
}

fn admit(stream: TcpStream, peer: SocketAddr, listener: &Arc<Listener>, broker: &Arc<Broker>) {
    let id = match broker.connection_counts.enter(peer.ip()) {
        Ok(id) => id,
        Err(cause) => {
            tracing::debug!(%peer, listener = %listener.name, %cause, "refusing a connection");
            return;
        }
    };
    let broker = Arc::clone(broker);
    let info = ConnectionInfo { peer, listener: Arc::clone(listener), principal: Principal::anonymous() };
    let pulse = broker.connections.add(id);
    broker.counters.connections.add(1);
    task::spawn("connection", async move {
        connection::serve(stream, info, Arc::clone(&broker), pulse).await;
        broker.connections.remove(id);
        broker.connection_counts.leave(peer.ip());
        broker.counters.connections.sub(1);
    });
}
