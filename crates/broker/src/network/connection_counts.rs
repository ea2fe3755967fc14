//! Connections counted by address, within `max.connections`, `max.connections.per.ip` and its overrides. The limits may change
//! at any time; connections that are open then stay. Kafka class: `ConnectionQuotas`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_env::collections::HashMap;
use ottla_env::{net, task, time};
use ottla_metadata::config::DynamicBrokerConfig;
use parking_lot::Mutex;

/// Pause before hosts that were not found are looked up again.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(10);

/// How many connections there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    total: u32,
    per_address: u32,
    /// Limits of hosts that are given as addresses.
    addresses: HashMap<IpAddr, u32>,
    /// Limits of hosts that are given as names, and their addresses once they are known.
    hosts: Vec<Host>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    name: String,
    limit: u32,
    addresses: Vec<IpAddr>,
}

impl Limits {
    /// What the configuration says.
    #[must_use]
    pub fn of(config: &DynamicBrokerConfig) -> Self {
        let mut limits = Self {
            total: config.max_connections,
            per_address: config.max_connections_per_ip,
            addresses: HashMap::default(),
            hosts: Vec::new(),
        };
        for (host, limit) in &config.max_connections_per_ip_overrides {
            match host.parse::<IpAddr>() {
                Ok(address) => {
                    limits.addresses.insert(address.to_canonical(), *limit);
                }
                Err(_) => limits.hosts.push(Host { name: host.clone(), limit: *limit, addresses: Vec::new() }),
            }
        }
        limits
    }

    /// What is given as an address goes before what a name stands for.
    fn of_address(&self, address: IpAddr) -> u32 {
        let of_host = || self.hosts.iter().find(|host| host.addresses.contains(&address)).map(|host| host.limit);
        self.addresses.get(&address).copied().or_else(of_host).unwrap_or(self.per_address)
    }

    /// Takes over the addresses that others know already.
    fn know(&mut self, others: &Self) {
        for host in &mut self.hosts {
            if let Some(known) = others.hosts.iter().find(|known| known.name == host.name) {
                host.addresses.clone_from(&known.addresses);
            }
        }
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

    /// For the connections from now on. Addresses of hosts that were named before stay known.
    pub(crate) fn set_limits(&self, mut limits: Limits) {
        limits.know(&self.limits.load());
        self.limits.store(Arc::new(limits));
    }

    /// On a socket of both kinds an address of IPv4 comes as one of IPv6; it is the same host.
    pub(super) fn enter(&self, address: IpAddr) -> Result<u64, Refused> {
        let address = address.to_canonical();
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
        let address = address.to_canonical();
        let mut by_address = self.by_address.lock();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// Looks up the hosts that overrides name, in the background and again until all are found or others are named: their limits
/// hold once they are found.
pub(crate) fn find_hosts(counts: Arc<ConnectionCounts>) {
    let is_unknown = |limits: &Limits| limits.hosts.iter().any(|host| host.addresses.is_empty());
    let mut limits = counts.limits.load_full();
    if !is_unknown(&limits) {
        return;
    }
    task::spawn("hosts of max.connections.per.ip.overrides", async move {
        loop {
            let mut found = Limits::clone(&limits);
            for host in found.hosts.iter_mut().filter(|host| host.addresses.is_empty()) {
                match net::resolve(&host.name, 0).await {
                    Ok(addresses) => host.addresses = addresses.iter().map(|a| a.ip().to_canonical()).collect(),
                    Err(cause) => tracing::warn!(host = host.name, %cause,
                        "a host of max.connections.per.ip.overrides has no address; its limit does not hold yet"),
                }
            }
            let found = Arc::new(found);
            let before = counts.limits.compare_and_swap(&limits, Arc::clone(&found));
            // Others were set meanwhile, and are looked after by another task.
            if !Arc::ptr_eq(&before, &limits) || !is_unknown(&found) {
                return;
            }
            limits = found;
            time::sleep(LOOK_UP_AGAIN).await;
            if !Arc::ptr_eq(&counts.limits.load(), &limits) {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(total: u32, per_address: u32, overrides: &[(IpAddr, u32)]) -> Limits {
        Limits { total, per_address, addresses: overrides.iter().copied().collect(), hosts: Vec::new() }
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

    /// With `max.connections.per.ip=0` everybody was refused until the hosts were found again.
    #[test]
    fn addresses_of_hosts_stay_known_over_a_change() {
        let a: IpAddr = [127, 0, 0, 1].into();
        let host = |limit, addresses| Host { name: "h".into(), limit, addresses };
        let counts = ConnectionCounts::new(Limits { hosts: vec![host(2, vec![a])], ..limits(10, 0, &[]) });
        assert!(counts.enter(a).is_ok());
        counts.set_limits(Limits { hosts: vec![host(3, Vec::new())], ..limits(9, 0, &[]) });
        assert!(counts.enter(a).is_ok() && counts.enter(a).is_ok());
        assert_eq!(counts.enter(a), Err(Refused::Address(3)), "its new limit");
        counts.set_limits(limits(9, 0, &[]));
        assert_eq!(counts.enter(a), Err(Refused::Address(0)), "it is named no more");
    }

    #[test]
    fn an_address_of_ipv4_is_the_same_on_a_socket_of_both_kinds() {
        let (a, mapped): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), "::ffff:127.0.0.1".parse().unwrap());
        let counts = ConnectionCounts::new(limits(10, 9, &[(a, 2)]));
        assert!(counts.enter(mapped).is_ok() && counts.enter(a).is_ok());
        assert_eq!(counts.enter(mapped), Err(Refused::Address(2)));
        counts.leave(mapped);
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
