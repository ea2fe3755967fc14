//! Several cores over simulated disks and a simulated network, each run repeatable from its seed: messages are lost,
//! delayed and reordered, replicas are cut off from each other and crash, losing what was not synced.

use std::collections::BTreeMap;

use super::random::Random;
use super::*;

const PAYLOAD_BYTES: usize = 8;
const SNAPSHOT_BYTES: i64 = 100;
const REQUEST_TIMEOUT_MS: i64 = 500;

#[derive(Debug, Clone, PartialEq)]
struct Record {
    epoch: i32,
    payload: u64,
    control: Option<ControlRecord>,
}

/// A replica's disk, and its core while it is up.
struct Node {
    key: ReplicaKey,
    core: Option<RaftCore>,
    election: ElectionState,
    records: Vec<Record>,
    synced: usize,
    snapshots: Vec<SnapshotId>,
    /// Counts lives, so that what belongs to an earlier one does not reach this one.
    life: u64,
}

enum Arrival {
    Request { from: i32, to: i32, id: RequestId, request: Request },
    Response { to: i32, life: u64, id: RequestId, from: i32, response: Option<Response> },
    Synced { node: i32, life: u64, end: i64, generation: u64 },
    Tick { node: i32 },
    Restart { node: i32 },
}

struct Cluster {
    now: i64,
    random: Random,
    voters: VoterSet,
    nodes: BTreeMap<i32, Node>,
    queue: BTreeMap<(i64, u64), Arrival>,
    sequence: u64,
    waiting: BTreeMap<u64, (i32, u64, RequestId)>,
    /// Replicas that cannot be reached now.
    cut_off: Vec<i32>,
    lossy: bool,
    leaders: BTreeMap<i32, i32>,
    committed: Vec<Record>,
    next_payload: u64,
    seed: u64,
}

fn voter_set(ids: &[i32]) -> VoterSet {
    VoterSet::new(ids.iter().map(|id| Voter {
        key: ReplicaKey { id: *id, directory_id: Some([*id as u8; 16]) },
        endpoints: vec![],
        min_kraft_version: 0,
        max_kraft_version: 1,
    }))
}

impl Cluster {
    fn new(seed: u64, voters: &[i32], observers: &[i32]) -> Self {
        let mut cluster = Self {
            now: 0,
            random: Random::new(seed),
            voters: voter_set(voters),
            nodes: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            waiting: BTreeMap::new(),
            cut_off: vec![],
            lossy: true,
            leaders: BTreeMap::new(),
            committed: vec![],
            next_payload: 1,
            seed,
        };
        for id in voters.iter().chain(observers) {
            let key = ReplicaKey { id: *id, directory_id: Some([*id as u8; 16]) };
            let node = Node {
                key,
                core: None,
                election: ElectionState::default(),
                records: vec![],
                synced: 0,
                snapshots: vec![],
                life: 0,
            };
            cluster.nodes.insert(*id, node);
            cluster.restart(*id);
        }
        cluster
    }

    fn later(&mut self, delay: i64, arrival: Arrival) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), arrival);
    }

    fn restart(&mut self, id: i32) {
        let history = VoterHistory::new(self.voters.clone());
        let seed = self.seed.wrapping_mul(1000) + id as u64 + self.now as u64;
        let node = self.nodes.get_mut(&id).unwrap();
        let snapshot = node.snapshots.last().copied();
        let start = snapshot.map_or(0, |s| s.end_offset);
        let mut epochs: Vec<(i32, i64)> = vec![];
        for (offset, record) in (0..).zip(&node.records).skip(start as usize) {
            if epochs.last().is_none_or(|(e, _)| *e < record.epoch) {
                epochs.push((record.epoch, offset));
            }
        }
        node.synced = node.records.len();
        let log = LogView::new(start, node.records.len() as i64, epochs, snapshot);
        let core = RaftCore::new(RaftOptions::new("cluster", seed), node.key, node.election, log, history);
        node.core = Some(core);
        node.life += 1;
        self.step(id, Event::Start);
    }

    fn crash(&mut self, id: i32) {
        let node = self.nodes.get_mut(&id).unwrap();
        if node.core.take().is_none() {
            return;
        }
        // What was not synced survives in part.
        let kept = node.synced + self.random.below((node.records.len() - node.synced) as i64 + 1) as usize;
        node.records.truncate(kept);
        let longest = if self.random.below(2) == 0 { 200 } else { 3000 };
        let delay = self.random.below(longest);
        self.later(delay, Arrival::Restart { node: id });
    }

    fn step(&mut self, id: i32, event: Event) {
        let Some(core) = &mut self.nodes.get_mut(&id).unwrap().core else { return };
        let effects = core.step(event, self.now);
        for effect in effects {
            self.carry_out(id, effect);
        }
        self.check_leader(id);
        let deadline = self.nodes[&id].core.as_ref().and_then(RaftCore::next_deadline_ms);
        if let Some(deadline) = deadline {
            self.later((deadline - self.now).max(1), Arrival::Tick { node: id });
        }
    }

    fn carry_out(&mut self, id: i32, effect: Effect) {
        let node = self.nodes.get_mut(&id).unwrap();
        match effect {
            Effect::SaveQuorumState(state) => node.election = state,
            Effect::Append { base_offset, bytes } => {
                assert_eq!(base_offset, node.records.len() as i64);
                let payload = u64::from_be_bytes(bytes.try_into().unwrap());
                node.records.push(Record { epoch: node.election.epoch, payload, control: None });
                self.sync_later(id);
            }
            Effect::AppendControl { base_offset, epoch, records, .. } => {
                assert_eq!(base_offset, node.records.len() as i64);
                let records = records.into_iter().map(|c| Record { epoch, payload: 0, control: Some(c) });
                node.records.extend(records);
                self.sync_later(id);
            }
            Effect::AppendFetched(batch) => {
                assert_eq!(batch.base_offset, node.records.len() as i64);
                let payload = u64::from_be_bytes(batch.bytes.try_into().unwrap());
                let control = batch.control.into_iter().next().map(|(_, c)| c);
                node.records.push(Record { epoch: batch.epoch, payload, control });
                self.sync_later(id);
            }
            Effect::Truncate { end_offset } => {
                node.records.truncate(end_offset as usize);
                node.synced = node.synced.min(end_offset as usize);
                self.sync_later(id);
            }
            Effect::Send { request_id, to, request } => self.send(id, request_id, to, request),
            Effect::Reply { reply, response } => self.respond(id, reply, response),
            Effect::ReplyRecords { reply, mut response, fetch_offset, .. } => {
                let most = self.random.below(5) as usize + 1;
                let found = (fetch_offset..).zip(self.nodes[&id].records.iter().skip(fetch_offset as usize)).take(most);
                let batches = found.map(|(offset, r)| Batch {
                    base_offset: offset,
                    last_offset: offset,
                    epoch: r.epoch,
                    bytes: r.payload.to_be_bytes().to_vec(),
                    control: r.control.iter().map(|c| (offset, c.clone())).collect(),
                });
                response.content = FetchContent::Batches(batches.collect());
                self.respond(id, reply, Response::Fetch(response));
            }
            Effect::ReplySnapshot { reply, request } => self.respond_snapshot(id, reply, &request),
            Effect::WriteSnapshotChunk { .. } => {}
            Effect::InstallSnapshot(snapshot) => {
                // A snapshot holds committed records only, so its content is known here.
                node.records = self.committed[..snapshot.end_offset as usize].to_vec();
                node.synced = node.records.len();
                node.snapshots = vec![snapshot];
                let event = Event::SnapshotInstalled { id: snapshot, voters: None, kraft_version: 1 };
                self.step(id, event);
            }
            Effect::DeleteLogBefore { .. } | Effect::LeaderChanged { .. } => {}
            Effect::HighWatermark(offset) => self.check_committed(id, offset as usize),
            Effect::Fatal { reason } => panic!("seed {}: {reason}", self.seed),
        }
    }

    fn sync_later(&mut self, id: i32) {
        let node = &self.nodes[&id];
        let Some(core) = &node.core else { return };
        let (life, end, generation) = (node.life, node.records.len() as i64, core.log().generation());
        // Mostly quick, now and then slower than the network, so that followers are ahead of their leader's disk.
        let longest = if self.random.below(6) == 0 { 600 } else { 30 };
        let delay = self.random.below(longest);
        self.later(delay, Arrival::Synced { node: id, life, end, generation });
    }

    fn unreachable(&mut self, a: i32, b: i32) -> bool {
        self.cut_off.contains(&a) != self.cut_off.contains(&b) || (self.lossy && self.random.below(100) < 5)
    }

    fn send(&mut self, from: i32, id: RequestId, to: i32, request: Request) {
        let life = self.nodes[&from].life;
        self.later(REQUEST_TIMEOUT_MS, Arrival::Response { to: from, life, id, from: to, response: None });
        if !self.unreachable(from, to) {
            let delay = 1 + self.random.below(40);
            self.later(delay, Arrival::Request { from, to, id, request });
        }
    }

    fn respond(&mut self, from: i32, reply: ReplyId, response: Response) {
        let Some((to, life, id)) = self.waiting.remove(&reply.0) else { return };
        if !self.unreachable(from, to) {
            let delay = 1 + self.random.below(40);
            self.later(delay, Arrival::Response { to, life, id, from, response: Some(response) });
        }
    }

    fn respond_snapshot(&mut self, id: i32, reply: ReplyId, request: &FetchSnapshotRequest) {
        let node = &self.nodes[&id];
        let core = node.core.as_ref().unwrap();
        let found = node.snapshots.contains(&request.id);
        let error = if found { ErrorCode::None } else { ErrorCode::SnapshotNotFound };
        let standing = Standing { error, leader_id: core.leader_id(), epoch: core.election().epoch };
        let length = (SNAPSHOT_BYTES - request.position).clamp(0, 40);
        let response = FetchSnapshotResponse {
            standing,
            id: request.id,
            size: SNAPSHOT_BYTES,
            position: request.position,
            bytes: vec![0; length as usize],
        };
        self.respond(id, reply, Response::FetchSnapshot(response));
    }

    fn check_leader(&mut self, id: i32) {
        let node = &self.nodes[&id];
        let Some(core) = node.core.as_ref().filter(|c| c.is_leader()) else { return };
        let epoch = core.election().epoch;
        let leader = *self.leaders.entry(epoch).or_insert(id);
        assert_eq!(leader, id, "seed {}: two leaders in epoch {epoch}", self.seed);
        let newest = self.leaders.keys().next_back();
        if newest == Some(&epoch) {
            assert!(
                node.records.starts_with(&self.committed),
                "seed {}: leader {id} lacks what is committed",
                self.seed
            );
        }
    }

    fn check_committed(&mut self, id: i32, offset: usize) {
        let records = &self.nodes[&id].records;
        assert!(offset <= records.len(), "seed {}: {id} commits what it does not have", self.seed);
        let common = offset.min(self.committed.len());
        assert_eq!(records[..common], self.committed[..common], "seed {}: {id} commits something else", self.seed);
        self.committed.extend_from_slice(&records[common..offset]);
    }

    /// Runs until a time, with faults if wanted.
    fn run_until(&mut self, end: i64, faults: bool) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((at, _), arrival) = entry.remove_entry();
            self.now = at;
            self.arrive(arrival);
            if faults {
                self.maybe_fault();
            }
            if self.random.below(10) == 0 {
                self.append_somewhere();
            }
        }
        self.now = end;
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Request { from, to, id, request } => {
                if self.nodes[&to].core.is_some() {
                    self.sequence += 1;
                    let reply = self.sequence;
                    self.waiting.insert(reply, (from, self.nodes[&from].life, id));
                    self.step(to, Event::Request { reply: ReplyId(reply), request });
                }
            }
            Arrival::Response { to, life, id, from, response } => {
                if self.nodes[&to].life == life {
                    self.step(to, Event::Response { request: id, from, response });
                }
            }
            Arrival::Synced { node, life, end, generation } => {
                let disk = self.nodes.get_mut(&node).unwrap();
                let current = disk.core.as_ref().map(|c| c.log().generation());
                if disk.life == life && current == Some(generation) {
                    disk.synced = disk.synced.max((end as usize).min(disk.records.len()));
                    self.step(node, Event::Synced { end_offset: end, generation });
                }
            }
            Arrival::Tick { node } => {
                let due = self.nodes[&node].core.as_ref().and_then(RaftCore::next_deadline_ms);
                if due.is_some_and(|d| d <= self.now) {
                    self.step(node, Event::Tick);
                }
            }
            Arrival::Restart { node } => self.restart(node),
        }
    }

    fn maybe_fault(&mut self) {
        let ids: Vec<i32> = self.nodes.keys().copied().collect();
        let id = ids[self.random.below(ids.len() as i64) as usize];
        let rarity = [120, 300, 600][(self.seed % 3) as usize];
        match self.random.below(rarity) {
            0 => self.crash(id),
            1 => self.cut_off = ids.into_iter().filter(|_| self.random.below(2) == 0).collect(),
            2 => self.cut_off.clear(),
            3 => self.step(id, Event::Resign),
            4 => self.snapshot(id),
            _ => {}
        }
    }

    fn snapshot(&mut self, id: i32) {
        let node = self.nodes.get_mut(&id).unwrap();
        let Some(end) = node.core.as_ref().and_then(RaftCore::high_watermark).filter(|hw| *hw > 0) else { return };
        let snapshot = SnapshotId { end_offset: end, epoch: node.records[end as usize - 1].epoch };
        if node.snapshots.last().is_none_or(|last| last.end_offset < end) {
            node.snapshots.push(snapshot);
            self.step(id, Event::SnapshotWritten(snapshot));
        }
    }

    fn append_somewhere(&mut self) {
        let leaders: Vec<(i32, i32)> = self
            .nodes
            .iter()
            .filter_map(|(id, n)| n.core.as_ref().filter(|c| c.is_leader()).map(|c| (*id, c.election().epoch)))
            .collect();
        for (id, epoch) in leaders {
            self.next_payload += 1;
            let bytes = self.next_payload.to_be_bytes()[..PAYLOAD_BYTES].to_vec();
            self.step(id, Event::Append { epoch, record_count: 1, bytes });
        }
    }

    /// Everything works again: all replicas must come to agree, and to commit something new.
    fn heal_and_converge(&mut self) {
        self.cut_off.clear();
        self.lossy = false;
        let before = self.committed.len();
        self.run_until(self.now + 15_000, false);
        assert!(self.committed.len() > before, "seed {}: nothing more commits", self.seed);
        for (id, node) in &self.nodes {
            let core = node.core.as_ref().expect("restarted by now");
            let known = core.high_watermark().unwrap_or(0) as usize;
            assert!(known > before, "seed {}: replica {id} stays behind at {known} of {before}", self.seed);
        }
    }
}

#[test]
fn three_voters_and_an_observer_agree_whatever_happens() {
    for seed in 0..200 {
        let mut cluster = Cluster::new(seed, &[1, 2, 3], &[4]);
        cluster.run_until(20_000, true);
        cluster.heal_and_converge();
    }
}

#[test]
fn five_voters_agree_whatever_happens() {
    for seed in 1000..1050 {
        let mut cluster = Cluster::new(seed, &[1, 2, 3, 4, 5], &[]);
        cluster.run_until(20_000, true);
        cluster.heal_and_converge();
    }
}

#[test]
fn a_seed_repeats_its_run() {
    let run = || {
        let mut cluster = Cluster::new(42, &[1, 2, 3], &[]);
        cluster.run_until(20_000, true);
        (cluster.committed.len(), cluster.leaders.clone(), cluster.sequence)
    };
    let first = run();
    assert!(first.0 > 0 && first.1.len() > 1, "the run must have had something to repeat");
    assert_eq!(first, run());
}

#[test]
fn a_healthy_quorum_keeps_its_leader() {
    let mut cluster = Cluster::new(7, &[1, 2, 3], &[]);
    cluster.lossy = false;
    cluster.run_until(60_000, false);
    assert_eq!(cluster.leaders.len(), 1, "elections without need: {:?}", cluster.leaders);
}
