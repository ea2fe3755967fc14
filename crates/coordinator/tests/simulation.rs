//! Random clients, a log that holds commits back or refuses writes, time that jumps, coordinators that change: whatever
//! happens, these hold.
//!
//! * Generations never go back while a coordinator lives, and all members of one speak the same protocol.
//! * Every member gets exactly what the leader of its generation assigned to it.
//! * A committed offset that was acknowledged is never lost, and what is fetched never goes back.
//! * What a coordinator shows as committed is what its log says, read by another one.
//! * Every request is answered exactly once (the harness sees to "at most"; the end of a run to "at least").
//!
//! A failure prints the seed; `run(seed)` replays it.

mod harness;

use std::collections::{BTreeMap, BTreeSet};

use harness::{Driver, GROUP, prompt_config, protocol};
use ottla_coordinator::group::api::{
    GroupRequest, GroupResponse, HeartbeatRequest, JoinResponse, LeaveRequest, LeavingMember, Opaque, SyncRequest,
    SyncResponse,
};
use ottla_coordinator::group::config::GroupConfig;
use ottla_protocol::ErrorCode;
use proptest::prelude::*;

const CLIENTS: usize = 5;
const STEPS: usize = 400;

/// A small generator (xorshift), so that a run is its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

/// What a client waits for.
#[derive(Debug, Clone, Copy)]
enum Wait {
    Join(u64),
    Sync(u64),
}

#[derive(Debug, Default, Clone)]
struct Client {
    instance: Option<String>,
    member_id: String,
    generation: i32,
    /// Set on a leader between JoinGroup and SyncGroup: whom to assign to.
    to_assign: Option<Vec<(String, String)>>,
    has_joined: bool,
    has_synced: bool,
    wait: Option<Wait>,
    subscription: u64,
}

struct World {
    driver: Driver,
    dice: Dice,
    clients: Vec<Client>,
    /// Protocol of a generation.
    protocols: BTreeMap<i32, String>,
    /// What leaders handed in for a generation, by instance or member id; several if a leader tried again.
    handed_in: BTreeMap<i32, Vec<BTreeMap<String, Opaque>>>,
    generation: i32,
    next_offset: i64,
    acknowledged: i64,
    fetched: i64,
    /// Offsets on their way, by token.
    commits: BTreeMap<u64, i64>,
    /// Every request that must be answered in the end.
    open: BTreeSet<u64>,
    stamp: u64,
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
        world.read_replies();
        world.check();
    }
    world.finish();
}

impl World {
    fn new(seed: u64) -> Self {
        let config = GroupConfig { max_size: CLIENTS - 1, ..prompt_config() };
        let client = |i: usize| Client { instance: (i < 2).then(|| format!("instance-{i}")), ..Client::default() };
        Self {
            driver: Driver::loaded(config, Vec::new(), 1_000_000),
            dice: Dice(seed | 1),
            clients: (0..CLIENTS).map(client).collect(),
            protocols: BTreeMap::new(),
            handed_in: BTreeMap::new(),
            generation: 0,
            next_offset: 1,
            acknowledged: -1,
            fetched: -1,
            commits: BTreeMap::new(),
            open: BTreeSet::new(),
            stamp: 0,
        }
    }

    fn step(&mut self) {
        match self.dice.roll(100) {
            0..70 => {
                let i = self.dice.roll(CLIENTS as u64) as usize;
                self.client_acts(i);
            }
            70..80 => {
                let ms = if self.dice.one_in(4) { 15_000 } else { 500 };
                let ms = self.dice.roll(ms) as i64;
                self.driver.advance(ms);
            }
            80..86 => self.driver.hold_commits = true,
            86..92 => {
                self.driver.hold_commits = false;
                self.driver.commit();
            }
            92..94 => {
                let codes = [ErrorCode::NotEnoughReplicas, ErrorCode::KafkaStorageError, ErrorCode::RecordListTooLarge];
                self.driver.refuse = Some(codes[self.dice.roll(3) as usize]);
            }
            94..99 => self.driver.refuse = None,
            _ => self.fail_over(),
        }
    }

    fn send(&mut self, request: GroupRequest) -> u64 {
        let token = self.driver.send(request);
        self.open.insert(token);
        token
    }

    fn client_acts(&mut self, i: usize) {
        let client = self.clients[i].clone();
        if client.wait.is_some() {
            // It may lose patience and its connection; the answer is then lost.
            if self.dice.one_in(10) {
                self.clients[i].wait = None;
            }
            return;
        }
        match self.dice.roll(12) {
            0 if client.has_joined => self.leave(i),
            0 | 1 if client.instance.is_some() => {
                // A restart: a static member comes back without its id.
                self.clients[i].member_id.clear();
                self.join(i);
            }
            1 | 2 => self.join(i),
            3..=6 if client.has_joined && !client.has_synced => self.sync(i),
            3..=6 if !client.has_joined => self.join(i),
            3..=8 if client.has_synced => self.commit(i),
            _ if client.has_joined => self.heartbeat(i),
            _ => self.join(i),
        }
    }

    fn join(&mut self, i: usize) {
        if self.dice.one_in(4) {
            self.clients[i].subscription += 1;
        }
        let mut request = self.driver.join_request(&self.clients[i].member_id);
        request.group_instance_id = self.clients[i].instance.clone();
        request.known_member_id_required = i != 2;
        request.skip_assignment_supported = !self.dice.one_in(2);
        let metadata = self.clients[i].subscription.to_be_bytes();
        request.protocols = if i.is_multiple_of(2) {
            vec![protocol("range", &metadata), protocol("sticky", &metadata)]
        } else {
            vec![protocol("sticky", &metadata), protocol("range", &metadata)]
        };
        let token = self.send(GroupRequest::Join(request));
        self.clients[i].wait = Some(Wait::Join(token));
    }

    fn sync(&mut self, i: usize) {
        let client = self.clients[i].clone();
        let mut assignments = Vec::new();
        if let Some(members) = &client.to_assign {
            let mut by_place = BTreeMap::new();
            for (member_id, place) in members {
                // A leader may leave a member out.
                if !self.dice.one_in(8) {
                    self.stamp += 1;
                    let bytes: Opaque = self.stamp.to_be_bytes().as_slice().into();
                    assignments.push((member_id.clone(), bytes.clone()));
                    by_place.insert(place.clone(), bytes);
                }
            }
            self.handed_in.entry(client.generation).or_default().push(by_place);
        }
        let token = self.send(GroupRequest::Sync(SyncRequest {
            group_id: GROUP.into(),
            generation_id: client.generation,
            member_id: client.member_id,
            group_instance_id: client.instance,
            protocol_type: Some("consumer".into()),
            protocol_name: None,
            assignments,
        }));
        self.clients[i].wait = Some(Wait::Sync(token));
    }

    fn heartbeat(&mut self, i: usize) {
        let client = self.clients[i].clone();
        self.send(GroupRequest::Heartbeat(HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: client.generation,
            member_id: client.member_id,
            group_instance_id: client.instance,
        }));
    }

    fn leave(&mut self, i: usize) {
        let client = self.clients[i].clone();
        let leaving = LeavingMember { member_id: client.member_id, group_instance_id: client.instance.clone() };
        self.send(GroupRequest::Leave(LeaveRequest { group_id: GROUP.into(), members: vec![leaving] }));
        self.clients[i] = Client { instance: client.instance, ..Client::default() };
    }

    fn commit(&mut self, i: usize) {
        let client = self.clients[i].clone();
        let offset = self.next_offset;
        self.next_offset += 1;
        let mut request = self.driver.commit_request(&client.member_id, client.generation, "t", offset);
        request.group_instance_id = client.instance;
        let token = self.send(GroupRequest::OffsetCommit(request));
        self.commits.insert(token, offset);
    }

    fn fail_over(&mut self) {
        self.driver = self.driver.fail_over();
        // Requests that waited are lost with the connections; a generation that was not written may come again.
        self.open.clear();
        self.commits.clear();
        self.protocols.clear();
        self.handed_in.clear();
        self.generation = 0;
        for client in &mut self.clients {
            client.wait = None;
            client.to_assign = None;
            client.has_synced = false;
            client.has_joined = false;
        }
    }

    fn read_replies(&mut self) {
        for (token, response) in std::mem::take(&mut self.driver.replies) {
            self.open.remove(&token);
            let waits = |c: &Client| matches!(c.wait, Some(Wait::Join(t) | Wait::Sync(t)) if t == token);
            let client = self.clients.iter().position(waits);
            if let Some(i) = client {
                self.clients[i].wait = None;
            }
            match response {
                GroupResponse::Join(response) => self.joined(client, response),
                GroupResponse::Sync(response) => self.synced(client, &response),
                GroupResponse::OffsetCommit(topics) => {
                    let offset = self.commits.remove(&token).expect("a commit that we sent");
                    if topics[0].partitions[0].1.is_none() {
                        self.acknowledged = self.acknowledged.max(offset);
                    }
                }
                GroupResponse::Heartbeat(_)
                | GroupResponse::Leave(_)
                | GroupResponse::OffsetDelete(_)
                | GroupResponse::Delete(_) => {}
            }
        }
    }

    fn joined(&mut self, client: Option<usize>, response: JoinResponse) {
        if response.error.is_none() {
            assert!(response.generation_id >= self.generation, "generations go forward");
            self.generation = response.generation_id;
            let name = response.protocol_name.clone().expect("a generation has a protocol");
            let before = self.protocols.entry(response.generation_id).or_insert_with(|| name.clone());
            assert_eq!(*before, name, "one protocol in a generation");
            assert!(response.members.len() < CLIENTS, "group.max.size");
        }
        let Some(client) = client.and_then(|i| self.clients.get_mut(i)) else { return };
        match response.error {
            ErrorCode::None => {
                client.member_id = response.member_id.clone();
                client.generation = response.generation_id;
                client.has_joined = true;
                client.has_synced = response.skip_assignment;
                let leads = response.leader == response.member_id && !response.skip_assignment;
                let place = |m: &ottla_coordinator::group::api::JoinedMember| {
                    (m.member_id.clone(), m.group_instance_id.clone().unwrap_or_else(|| m.member_id.clone()))
                };
                client.to_assign = leads.then(|| response.members.iter().map(place).collect());
            }
            ErrorCode::MemberIdRequired => client.member_id = response.member_id,
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId | ErrorCode::GroupMaxSizeReached => {
                client.member_id.clear();
                client.has_joined = false;
            }
            ErrorCode::RebalanceInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            | ErrorCode::UnknownServerError => client.has_joined = false,
            other => panic!("JoinGroup is answered {other}"),
        }
    }

    fn synced(&mut self, client: Option<usize>, response: &SyncResponse) {
        let Some(i) = client else { return };
        let client = &mut self.clients[i];
        match response.error {
            ErrorCode::None => {
                client.has_synced = true;
                let place = client.instance.clone().unwrap_or_else(|| client.member_id.clone());
                // What was handed in to an earlier coordinator is known to the log, no longer to us.
                if let Some(candidates) = self.handed_in.get_mut(&client.generation) {
                    let of_me = |c: &BTreeMap<String, Opaque>| c.get(&place).cloned().unwrap_or_default();
                    candidates.retain(|candidate| of_me(candidate) == response.assignment);
                    assert!(!candidates.is_empty(), "{place} got something that no leader handed in");
                }
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                client.member_id.clear();
                client.has_joined = false;
            }
            ErrorCode::RebalanceInProgress
            | ErrorCode::IllegalGeneration
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            | ErrorCode::UnknownServerError => client.has_joined = false,
            other => panic!("SyncGroup is answered {other}"),
        }
    }

    fn check(&mut self) {
        let offset = self.driver.offset("t");
        assert!(offset >= self.acknowledged, "offset {} was acknowledged, {offset} is fetched", self.acknowledged);
        assert!(offset >= self.fetched, "offset {} was fetched before, now {offset}", self.fetched);
        self.fetched = offset;
        let other = self.driver.fail_over();
        assert_eq!(
            other.shard.fetch_offsets(GROUP, &None, false),
            self.driver.shard.fetch_offsets(GROUP, &None, false)
        );
        let ours = self.driver.shard.describe(GROUP);
        if ours.state == "Stable" && self.driver.high_watermark == self.driver.log.len() {
            let theirs = other.shard.describe(GROUP);
            let places = |d: &ottla_coordinator::group::api::DescribedGroup| {
                let members = d.members.iter();
                members.map(|m| (m.member_id.clone(), m.assignment.clone())).collect::<BTreeMap<_, _>>()
            };
            assert_eq!((theirs.state, places(&theirs)), (ours.state, places(&ours)), "the log knows the generation");
        }
    }

    /// Everything settles: no request is left unanswered.
    fn finish(&mut self) {
        self.driver.refuse = None;
        self.driver.hold_commits = false;
        self.driver.commit();
        self.driver.advance(600_000);
        self.read_replies();
        assert!(self.open.is_empty(), "never answered: {:?}", self.open);
        assert_ne!(self.driver.state(), "Stable", "all members are silent, so their sessions have ended");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_whatever_happens(seed in any::<u64>()) {
        run(seed);
    }
}

/// The runs reach what they are about: without this a simulation may check nothing.
#[test]
fn the_runs_reach_stable_generations_and_acknowledged_offsets() {
    let mut generations = 0;
    let mut acknowledged = 0;
    for seed in 1..40 {
        let mut world = World::new(seed * 7_919);
        for _ in 0..STEPS {
            world.step();
            world.read_replies();
            generations += usize::from(world.driver.state() == "Stable");
        }
        acknowledged += usize::from(world.acknowledged > 0);
    }
    assert!(generations > 1_000 && acknowledged > 20, "{generations} stable steps, {acknowledged} runs with commits");
}
