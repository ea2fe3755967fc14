//! Accepts connections on one listener, within `max.connections` and `max.connections.per.ip`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ottla_env::collections::HashMap;
use ottla_env::net::{TcpListener, TcpStream};
use ottla_env::{task, time};
use ottla_metadata::config::listeners::Listener;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::connection;
use crate::broker::Broker;
use crate::context::ConnectionInfo;
use crate::security::Principal;

/// First and longest pause after a failed accept (descriptors run out).
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Connections counted by address, shared by all listeners.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    by_address: Mutex<HashMap<IpAddr, u32>>,
    next_id: AtomicU64,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("max.connections ({0}) are open")]
    Total(u32),
    #[error("max.connections.per.ip ({0}) are open from this address")]
    Address(u32),
}

impl ConnectionCounts {
    fn enter(&self, address: IpAddr, max: u32, max_per_address: u32) -> Result<u64, Refused> {
        let mut by_address = self.by_address.lock();
        if by_address.values().sum::<u32>() >= max {
            return Err(Refused::Total(max));
        }
        let count = by_address.entry(address).or_default();
        if *count >= max_per_address {
            return Err(Refused::Address(max_per_address));
        }
        *count += 1;
        Ok(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    fn leave(&self, address: IpAddr) {
        let mut by_address = self.by_address.lock();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

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
    let config = &broker.config;
    let id = match broker.connection_counts.enter(peer.ip(), config.max_connections, config.max_connections_per_ip) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_per_address_and_in_total_and_places_come_back() {
        let counts = ConnectionCounts::default();
        let (a, b): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        assert!(counts.enter(a, 3, 2).is_ok());
        assert!(counts.enter(a, 3, 2).is_ok());
        assert_eq!(counts.enter(a, 3, 2), Err(Refused::Address(2)));
        assert!(counts.enter(b, 3, 2).is_ok());
        assert_eq!(counts.enter(b, 3, 2), Err(Refused::Total(3)));
        counts.leave(a);
        assert!(counts.enter(a, 3, 2).is_ok());
    }
}
