//! Binds the sockets of all listeners before anything else starts, so that a taken port is found at once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use ottla_broker::lifecycle::BoundListener;
use ottla_env::net::{self, TcpListener};
use ottla_metadata::config::BrokerConfig;
use ottla_metadata::config::listeners::Listener;

/// Binds every listener.
pub(super) async fn bind(config: &BrokerConfig) -> anyhow::Result<Vec<BoundListener>> {
    let mut bound = Vec::with_capacity(config.listeners.len());
    for listener in &config.listeners {
        bound.push(bind_one(listener).await?);
    }
    Ok(bound)
}

async fn bind_one(listener: &Listener) -> anyhow::Result<BoundListener> {
    let name = &listener.name;
    let address = address(listener).await.with_context(|| format!("listener {name} has no address"))?;
    let socket = TcpListener::bind(address).await.with_context(|| {
        format!("listener {name} cannot be bound to {address}; stop what listens there, or change `listeners`")
    })?;
    let port = socket.local_addr()?.port();
    let mut listener = listener.clone();
    if listener.advertised.is_wildcard() {
        listener.advertised.host = net::host_name();
    }
    Ok(BoundListener { listener: Arc::new(listener), socket, port })
}

/// All interfaces are bound by the address of IPv4, as no host has only the other.
async fn address(listener: &Listener) -> std::io::Result<SocketAddr> {
    let (host, port) = (listener.bind.host.as_str(), listener.bind.port);
    if host.is_empty() {
        return Ok(SocketAddr::new(IpAddr::from([0, 0, 0, 0]), port));
    }
    let found = net::resolve(host, port).await?;
    // A name that has addresses of both kinds is bound by the one that clients try when they are told 127.0.0.1.
    let first = found.iter().find(|a| a.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))
}
