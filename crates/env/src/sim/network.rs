//! The wires between hosts: connections as ordered bytes with a time of arrival, links with latency that can be cut.
//!
//! What is not simulated: packets. TCP's promises hold (in order, no loss within a connection); a cut link holds bytes
//! back until it is healed, a dead host resets its connections.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::task::Waker;

use super::rng::Rng;

/// How bytes travel from one host to another.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The shortest time on the way, in nanoseconds.
    pub min_latency_ns: u64,
    /// The longest; each write draws between the two, and none overtakes an earlier one.
    pub max_latency_ns: u64,
    /// Nothing passes.
    pub cut: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self { min_latency_ns: 50_000, max_latency_ns: 500_000, cut: false }
    }
}

/// Bytes that a connection takes in one direction before a writer has to wait.
const WINDOW: usize = 64 * 1024;

/// The first port given to whoever asks for none.
const FIRST_FREE_PORT: u16 = 40_000;

#[derive(Debug)]
pub(super) struct Network {
    links: BTreeMap<(usize, usize), Link>,
    listeners: BTreeMap<(usize, u16), Listener>,
    connections: BTreeMap<u64, [End; 2]>,
    next_connection: u64,
    next_port: u16,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            links: BTreeMap::new(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            next_port: FIRST_FREE_PORT,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Listener {
    /// Connections that wait to be accepted.
    pub(super) waiting: VecDeque<u64>,
    pub(super) wakers: Vec<Waker>,
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct End {
    pub(super) host: usize,
    pub(super) address: SocketAddr,
    /// What the peer has sent and nobody has read.
    inbound: VecDeque<Segment>,
    inbound_bytes: usize,
    last_arrival_ns: u64,
    /// This end was dropped: the peer's writes fail.
    closed: bool,
    reset: bool,
    /// Whoever waits to read or write here.
    wakers: Vec<Waker>,
}

#[derive(Debug)]
struct Segment {
    /// `None` while a cut link holds it back.
    arrives_ns: Option<u64>,
    /// Empty: the peer's last word.
    bytes: Vec<u8>,
    read: usize,
}

/// What an end can be waited for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Waits {
    No,
    Until(u64),
    Forever,
}

/// Why a write or read did not happen.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    WouldBlock,
    Reset,
    BrokenPipe,
}

impl End {
    fn new(host: usize, address: SocketAddr) -> Self {
        Self {
            host,
            address,
            inbound: VecDeque::new(),
            inbound_bytes: 0,
            last_arrival_ns: 0,
            closed: false,
            reset: false,
            wakers: Vec::new(),
        }
    }
}

impl Network {
    pub(super) fn link(&self, from: usize, to: usize) -> Link {
        if from == to {
            return Link { min_latency_ns: 5_000, max_latency_ns: 20_000, cut: false };
        }
        self.links.get(&(from, to)).copied().unwrap_or_default()
    }

    /// Changes a link; returns whom to wake. Bytes that it held back set out now if it is no longer cut.
    pub(super) fn set_link(&mut self, from: usize, to: usize, link: Link, now_ns: u64) -> Vec<Waker> {
        self.links.insert((from, to), link);
        let mut wakers = Vec::new();
        for [a, b] in self.connections.values_mut() {
            let hosts = (a.host, b.host);
            for (way, receiver) in [(hosts, b), ((hosts.1, hosts.0), a)] {
                if way == (from, to) {
                    receiver.hold_or_release(link, now_ns);
                    wakers.append(&mut receiver.wakers);
                }
            }
        }
        wakers
    }

    pub(super) fn listen(&mut self, host: usize, port: u16) -> Option<u16> {
        let port = if port == 0 { self.free_port() } else { port };
        if self.listeners.contains_key(&(host, port)) {
            return None;
        }
        self.listeners.insert((host, port), Listener::default());
        Some(port)
    }

    pub(super) fn stop_listening(&mut self, host: usize, port: u16) -> Vec<Waker> {
        let Some(listener) = self.listeners.remove(&(host, port)) else { return Vec::new() };
        listener.waiting.iter().flat_map(|&connection| self.close(connection, 1, true)).collect()
    }

    pub(super) fn listener(&mut self, host: usize, port: u16) -> Option<&mut Listener> {
        self.listeners.get_mut(&(host, port))
    }

    pub(super) fn free_port(&mut self) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_FREE_PORT);
        self.next_port
    }

    /// A new connection, whose end 0 connected and whose end 1 accepts.
    pub(super) fn connect(&mut self, from: (usize, SocketAddr), to: (usize, SocketAddr)) -> u64 {
        self.next_connection += 1;
        self.connections.insert(self.next_connection, [End::new(from.0, from.1), End::new(to.0, to.1)]);
        self.next_connection
    }

    pub(super) fn end(&self, connection: u64, side: usize) -> Option<&End> {
        self.connections.get(&connection).map(|ends| &ends[side])
    }

    pub(super) fn write(
        &mut self,
        connection: u64,
        side: usize,
        bytes: &[u8],
        now_ns: u64,
        rng: &mut Rng,
    ) -> Result<(usize, Vec<Waker>), Refused> {
        let own = self.end(connection, side).ok_or(Refused::Reset)?;
        let peer = self.end(connection, 1 - side).ok_or(Refused::Reset)?;
        if own.reset {
            return Err(Refused::Reset);
        }
        if peer.closed {
            return Err(Refused::BrokenPipe);
        }
        let len = bytes.len().min(WINDOW.saturating_sub(peer.inbound_bytes));
        if len == 0 && !bytes.is_empty() {
            return Err(Refused::WouldBlock);
        }
        // The seed decides how much a socket takes at once.
        let len = if len > 1 && rng.below(8) == 0 { 1 + rng.index(len) } else { len };
        Ok((len, self.send(connection, side, bytes[..len].to_vec(), now_ns, rng)))
    }

    /// Puts bytes (none: the last word) on the way to the other side.
    fn send(&mut self, connection: u64, side: usize, bytes: Vec<u8>, now_ns: u64, rng: &mut Rng) -> Vec<Waker> {
        let (Some(own), Some(peer)) = (self.end(connection, side), self.end(connection, 1 - side)) else {
            return Vec::new();
        };
        let link = self.link(own.host, peer.host);
        let latency_ns = link.min_latency_ns + rng.below(link.max_latency_ns - link.min_latency_ns + 1);
        let Some(ends) = self.connections.get_mut(&connection) else { return Vec::new() };
        let peer = &mut ends[1 - side];
        peer.last_arrival_ns = peer.last_arrival_ns.max(now_ns + latency_ns);
        let arrives_ns = (!link.cut).then_some(peer.last_arrival_ns);
        peer.inbound_bytes += bytes.len();
        peer.inbound.push_back(Segment { arrives_ns, bytes, read: 0 });
        std::mem::take(&mut peer.wakers)
    }

    pub(super) fn read(
        &mut self,
        connection: u64,
        side: usize,
        max: usize,
        now_ns: u64,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(usize, Vec<Waker>), Refused> {
        let ends = self.connections.get_mut(&connection).ok_or(Refused::Reset)?;
        let own = &mut ends[side];
        let (mut got, mut ended) = (0, max == 0);
        while got < max
            && let Some(segment) = own.inbound.front_mut()
            && segment.arrives_ns.is_some_and(|at| at <= now_ns)
        {
            if segment.bytes.is_empty() {
                // The last word stays for every later read.
                ended = true;
                break;
            }
            let len = (max - got).min(segment.bytes.len() - segment.read);
            take(&segment.bytes[segment.read..segment.read + len]);
            segment.read += len;
            got += len;
            if segment.read == segment.bytes.len() {
                own.inbound.pop_front();
            }
        }
        if got == 0 && !ended {
            return Err(if own.reset { Refused::Reset } else { Refused::WouldBlock });
        }
        own.inbound_bytes -= got;
        Ok((got, std::mem::take(&mut ends[1 - side].wakers)))
    }

    pub(super) fn waits_to_read(&self, connection: u64, side: usize, now_ns: u64) -> Waits {
        let Some(own) = self.end(connection, side) else { return Waits::No };
        match own.inbound.front() {
            _ if own.reset => Waits::No,
            Some(Segment { arrives_ns: Some(at), .. }) if *at <= now_ns => Waits::No,
            Some(Segment { arrives_ns: Some(at), .. }) => Waits::Until(*at),
            _ => Waits::Forever,
        }
    }

    pub(super) fn waits_to_write(&self, connection: u64, side: usize) -> Waits {
        let (Some(own), Some(peer)) = (self.end(connection, side), self.end(connection, 1 - side)) else {
            return Waits::No;
        };
        if own.reset || peer.closed || peer.inbound_bytes < WINDOW { Waits::No } else { Waits::Forever }
    }

    pub(super) fn wait_at(&mut self, connection: u64, side: usize, waker: Waker) {
        if let Some(ends) = self.connections.get_mut(&connection) {
            ends[side].wakers.push(waker);
        }
    }

    /// Says the last word of a side, once.
    pub(super) fn finish(&mut self, connection: u64, side: usize, now_ns: u64, rng: &mut Rng) -> Vec<Waker> {
        let peer = self.end(connection, 1 - side);
        if peer.and_then(|peer| peer.inbound.back()).is_some_and(|last| last.bytes.is_empty()) {
            return Vec::new();
        }
        self.send(connection, side, Vec::new(), now_ns, rng)
    }

    /// Closes a side, rudely or not; the connection is forgotten when both are closed.
    pub(super) fn close(&mut self, connection: u64, side: usize, reset: bool) -> Vec<Waker> {
        let Some(ends) = self.connections.get_mut(&connection) else { return Vec::new() };
        ends[side].closed = true;
        let peer = &mut ends[1 - side];
        peer.reset |= reset;
        let wakers = std::mem::take(&mut peer.wakers);
        if peer.closed {
            self.connections.remove(&connection);
        }
        wakers
    }

    /// A host has died: its listeners are gone, its connections are reset.
    pub(super) fn end_host(&mut self, host: usize) -> Vec<Waker> {
        self.listeners.retain(|(owner, _), _| *owner != host);
        let ends = self.connections.iter().flat_map(|(&connection, ends)| {
            ends.iter()
                .enumerate()
                .filter(|(_, end)| end.host == host && !end.closed)
                .map(move |(side, _)| (connection, side))
        });
        let ends: Vec<_> = ends.collect();
        ends.into_iter().flat_map(|(connection, side)| self.close(connection, side, true)).collect()
    }
}

impl End {
    /// Applies a changed link to what is on the way to this end.
    fn hold_or_release(&mut self, link: Link, now_ns: u64) {
        for segment in &mut self.inbound {
            let on_the_way = segment.arrives_ns.is_none_or(|at| at > now_ns);
            if on_the_way && link.cut {
                segment.arrives_ns = None;
            } else if segment.arrives_ns.is_none() {
                self.last_arrival_ns = self.last_arrival_ns.max(now_ns + link.min_latency_ns);
                segment.arrives_ns = Some(self.last_arrival_ns);
            }
        }
    }
}
