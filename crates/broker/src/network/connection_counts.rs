//! Connections counted by address, within `max.connections`, `max.connections.per.ip` and its overrides. The limits may change
//! at any time; connections that are open then stay. Kafka class: `ConnectionQuotas`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use ottla_env::collections::HashMap;
use ottla_env::{net, task};
use ottla_metadata::config::DynamicBrokerConfig;
use parking_lot::Mutex;

/// How many connections there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    total: u32,
    per_address: u32,
    overrides: HashMap<IpAddr, u32>,
    /// Hosts of overrides whose addresses are not known yet.
    hosts: Vec<(String, u32)>,
}

impl Limits {
    /// What the configuration says.
    #[must_use]
    pub fn of(config: &DynamicBrokerConfig) -> Self {
        let mut limits = Self {
            total: config.max_connections,
            per_address: config.max_connections_per_ip,
            overrides: HashMap::default(),
            hosts: Vec::new(),
        };
        for (host, limit) in &config.max_connections_per_ip_overrides {
            match host.parse::<IpAddr>() {
                Ok(address) => {
                    limits.overrides.insert(address, *limit);
                }
                Err(_) => limits.hosts.push((host.clone(), *limit)),
            }
        }
        limits
    }

    fn of_address(&self, address: IpAddr) -> u32 {
        self.overrides.get(&address).copied().unwrap_or(self.per_address)
    }
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("max.connections ({0}) are open")]
    Total(u32),
    #[error("as many ({0}) are open from this address as max.connections.per.ip or its override allows")]
    Address(u32),
}

/// See the module. Shared by all listeners.
#[derive(Debug)]
pub struct ConnectionCounts {
    by_address: Mutex<HashMap<IpAddr, u32>>,
    limits: ArcSwap<Limits>,
    next_id: AtomicU64,
}

impl ConnectionCounts {
    /// Nothing is open.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { by_address: Mutex::default(), limits: ArcSwap::from_pointee(limits), next_id: AtomicU64::new(0) }
    }

    /// For the connections from now on.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    pub(super) fn enter(&self, address: IpAddr) -> Result<u64, Refused> {
        let limits = self.limits.load();
        let mut by_address = self.by_address.lock();
        if by_address.values().sum::<u32>() >= limits.total {
            return Err(Refused::Total(limits.total));
        }
        let count = by_address.entry(address).or_default();
        let limit = limits.of_address(address);
        if *count >= limit {
            if *count == 0 {
                by_address.remove(&address);
            }
            return Err(Refused::Address(limit));
        }
        *count += 1;
        Ok(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn leave(&self, address: IpAddr) {
        let mut by_address = self.by_address.lock();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// Looks up the hosts that overrides name, in the background: their limits hold once they are found.
pub(crate) fn find_hosts(counts: Arc<ConnectionCounts>) {
    let asked = counts.limits.load_full();
    if asked.hosts.is_empty() {
        return;
    }
    task::spawn("hosts of max.connections.per.ip.overrides", async move {
        let mut found = Limits { hosts: Vec::new(), ..Limits::clone(&asked) };
        for (host, limit) in &asked.hosts {
            match net::resolve(host, 0).await {
                Ok(addresses) => {
                    for address in addresses {
                        // What is given as an address goes before what a name stands for.
                        found.overrides.entry(address.ip()).or_insert(*limit);
                    }
                }
                Err(cause) => tracing::warn!(host, %cause,
                    "a host of max.connections.per.ip.overrides has no address; its limit does not hold"),
            }
        }
        // Unless others were set meanwhile.
        counts.limits.compare_and_swap(&asked, Arc::new(found));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(total: u32, per_address: u32, overrides: &[(IpAddr, u32)]) -> Limits {
        Limits { total, per_address, overrides: overrides.iter().copied().collect(), hosts: Vec::new() }
    }

    #[test]
    fn limits_hold_per_address_and_in_total_and_places_come_back() {
        let counts = ConnectionCounts::new(limits(3, 2, &[]));
        let (a, b): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        assert!(counts.enter(a).is_ok());
        assert!(counts.enter(a).is_ok());
        assert_eq!(counts.enter(a), Err(Refused::Address(2)));
        assert!(counts.enter(b).is_ok());
        assert_eq!(counts.enter(b), Err(Refused::Total(3)));
        counts.leave(a);
        assert!(counts.enter(a).is_ok());
    }

    #[test]
    fn limits_change_while_connections_are_open() {
        let a: IpAddr = [127, 0, 0, 1].into();
        let counts = ConnectionCounts::new(limits(10, 1, &[]));
        assert!(counts.enter(a).is_ok());
        assert_eq!(counts.enter(a), Err(Refused::Address(1)));
        counts.set_limits(limits(10, 1, &[(a, 2)]));
        assert!(counts.enter(a).is_ok(), "an address of its own limit");
        counts.set_limits(limits(1, 9, &[]));
        assert_eq!(counts.enter(a), Err(Refused::Total(1)), "those that are open stay");
        counts.set_limits(limits(9, 9, &[(a, 0)]));
        assert_eq!(counts.enter(a), Err(Refused::Address(0)));
    }
}
