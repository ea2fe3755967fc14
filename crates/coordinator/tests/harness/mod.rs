//! A shard with a log in memory instead of a partition: what the broker's driver does, by hand.
//!
//! Not every test file uses all of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;

use ottla_coordinator::group::api::{
    CommitPartition, CommitTopic, DeleteGroupsRequest, GroupRequest, GroupResponse, HeartbeatRequest, JoinRequest,
    JoinResponse, LeaveRequest, LeaveResponse, LeavingMember, OffsetCommitRequest, Protocol, SyncRequest, SyncResponse,
};
use ottla_coordinator::group::config::GroupConfig;
use ottla_coordinator::{CoordinatorRecord, Effect, GroupShard, Now};
use ottla_protocol::{ErrorCode, Uuid};

pub const GROUP: &str = "g";
pub const SESSION_MS: i32 = 10_000;
pub const REBALANCE_MS: i32 = 60_000;

/// A config whose groups hardly wait for more members.
pub fn prompt_config() -> GroupConfig {
    GroupConfig { initial_rebalance_delay_ms: 10, ..GroupConfig::default() }
}

pub struct Driver {
    pub shard: GroupShard,
    pub config: GroupConfig,
    pub now_ms: i64,
    /// Every record that was appended.
    pub log: Vec<CoordinatorRecord>,
    /// How many of them are committed.
    pub high_watermark: usize,
    /// Appended records stay uncommitted while this is set.
    pub hold_commits: bool,
    /// Appends are refused with this.
    pub refuse: Option<ErrorCode>,
    pub replies: BTreeMap<u64, GroupResponse>,
    next_token: u64,
    next_random: u128,
}

impl Driver {
    pub fn new(config: GroupConfig) -> Self {
        Self {
            shard: GroupShard::new(config.clone()),
            config,
            now_ms: 1_000_000,
            log: Vec::new(),
            high_watermark: 0,
            hold_commits: false,
            refuse: None,
            replies: BTreeMap::new(),
            next_token: 0,
            next_random: 0,
        }
    }

    /// The wall clock runs a day ahead of the monotonic one, so that a mix-up shows.
    pub fn now(&self) -> Now {
        Now { monotonic_ms: self.now_ms, wall_ms: self.now_ms + 86_400_000 }
    }

    /// A driver whose shard has loaded these records.
    pub fn loaded(config: GroupConfig, log: Vec<CoordinatorRecord>, now_ms: i64) -> Self {
        let mut driver = Self::new(config);
        for record in &log {
            driver.shard.replay(None, Some(&record.key), record.value.as_deref()).unwrap();
        }
        driver.high_watermark = log.len();
        driver.log = log;
        driver.now_ms = now_ms;
        let effects = driver.shard.loaded(driver.now());
        driver.apply(effects);
        driver
    }

    /// The committed part of the log, loaded by another coordinator.
    pub fn fail_over(&self) -> Self {
        let mut next = Self::loaded(self.config.clone(), self.log[..self.high_watermark].to_vec(), self.now_ms);
        next.next_random = self.next_random;
        next.next_token = self.next_token;
        next
    }

    pub fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { token, response } => {
                    assert!(self.replies.insert(token, response).is_none(), "a request is answered once");
                }
                Effect::Write { write, records } => {
                    assert!(!records.is_empty(), "no write is empty");
                    let result = match self.refuse {
                        Some(error) => Err(error),
                        None => {
                            self.log.extend(records);
                            Ok(self.log.len() as i64 - 1)
                        }
                    };
                    let effects = self.shard.written(write, result, self.now());
                    self.apply(effects);
                }
            }
        }
        if !self.hold_commits && self.high_watermark < self.log.len() {
            self.commit();
        }
    }

    pub fn commit(&mut self) {
        self.high_watermark = self.log.len();
        let effects = self.shard.committed(self.high_watermark as i64, self.now());
        self.apply(effects);
    }

    /// Sends a request; the token finds its reply.
    pub fn send(&mut self, request: GroupRequest) -> u64 {
        self.next_token += 1;
        let token = self.next_token;
        let effects = self.shard.request(token, request, self.now());
        self.apply(effects);
        token
    }

    /// Lets time pass, stopping at each deadline.
    pub fn advance(&mut self, ms: i64) {
        let until = self.now_ms + ms;
        while let Some(at) = self.shard.next_deadline_ms().filter(|at| *at <= until) {
            self.now_ms = self.now_ms.max(at);
            let effects = self.shard.tick(self.now());
            self.apply(effects);
        }
        self.now_ms = until;
    }

    pub fn join_request(&mut self, member_id: &str) -> JoinRequest {
        self.next_random += 1;
        JoinRequest {
            group_id: GROUP.into(),
            member_id: member_id.into(),
            group_instance_id: None,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: "consumer".into(),
            protocols: vec![protocol("range", b"r")],
            known_member_id_required: true,
            skip_assignment_supported: true,
            random: Uuid(self.next_random.to_be_bytes()),
        }
    }

    pub fn send_join(&mut self, member_id: &str) -> u64 {
        let request = self.join_request(member_id);
        self.send(GroupRequest::Join(request))
    }

    /// Asks for a member id as clients since KIP-394 do.
    pub fn new_member_id(&mut self) -> String {
        let token = self.send_join("");
        let response = self.joined(token);
        assert_eq!(response.error, ErrorCode::MemberIdRequired);
        response.member_id
    }

    pub fn joined(&mut self, token: u64) -> JoinResponse {
        match self.replies.remove(&token) {
            Some(GroupResponse::Join(response)) => response,
            other => panic!("JoinGroup is not answered: {other:?}"),
        }
    }

    pub fn is_waiting(&self, token: u64) -> bool {
        !self.replies.contains_key(&token)
    }

    pub fn send_sync(&mut self, member_id: &str, generation_id: i32, assignments: &[(&str, &[u8])]) -> u64 {
        self.send(GroupRequest::Sync(SyncRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member_id.into(),
            group_instance_id: None,
            protocol_type: None,
            protocol_name: None,
            assignments: assignments.iter().map(|(id, bytes)| ((*id).to_owned(), (*bytes).into())).collect(),
        }))
    }

    pub fn synced(&mut self, token: u64) -> SyncResponse {
        match self.replies.remove(&token) {
            Some(GroupResponse::Sync(response)) => response,
            other => panic!("SyncGroup is not answered: {other:?}"),
        }
    }

    pub fn heartbeat(&mut self, member_id: &str, generation_id: i32) -> ErrorCode {
        self.heartbeat_as(member_id, None, generation_id)
    }

    pub fn heartbeat_as(&mut self, member_id: &str, instance: Option<&str>, generation_id: i32) -> ErrorCode {
        let token = self.send(GroupRequest::Heartbeat(HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member_id.into(),
            group_instance_id: instance.map(str::to_owned),
        }));
        match self.replies.remove(&token) {
            Some(GroupResponse::Heartbeat(error)) => error,
            other => panic!("Heartbeat is not answered: {other:?}"),
        }
    }

    pub fn leave(&mut self, member_id: &str, instance: Option<&str>) -> LeaveResponse {
        let leaving = LeavingMember { member_id: member_id.to_owned(), group_instance_id: instance.map(str::to_owned) };
        let token = self.send(GroupRequest::Leave(LeaveRequest { group_id: GROUP.into(), members: vec![leaving] }));
        match self.replies.remove(&token) {
            Some(GroupResponse::Leave(response)) => response,
            other => panic!("LeaveGroup is not answered: {other:?}"),
        }
    }

    pub fn commit_request(&self, member_id: &str, generation_id: i32, topic: &str, offset: i64) -> OffsetCommitRequest {
        OffsetCommitRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member_id.into(),
            group_instance_id: None,
            retention_time_ms: None,
            group_id_not_found_supported: true,
            topics: vec![CommitTopic {
                name: topic.into(),
                topic_id: Uuid::ZERO,
                partitions: vec![CommitPartition {
                    partition: 0,
                    offset,
                    leader_epoch: 3,
                    metadata: format!("at {offset}"),
                }],
            }],
        }
    }

    pub fn send_commit(&mut self, member_id: &str, generation_id: i32, topic: &str, offset: i64) -> u64 {
        let request = self.commit_request(member_id, generation_id, topic, offset);
        self.send(GroupRequest::OffsetCommit(request))
    }

    /// Commits an offset of partition 0; the code.
    pub fn commit_offset(&mut self, member_id: &str, generation_id: i32, topic: &str, offset: i64) -> ErrorCode {
        let token = self.send_commit(member_id, generation_id, topic, offset);
        self.commit_code(token)
    }

    pub fn commit_code(&mut self, token: u64) -> ErrorCode {
        match self.replies.remove(&token) {
            Some(GroupResponse::OffsetCommit(topics)) => topics[0].partitions[0].1,
            other => panic!("OffsetCommit is not answered: {other:?}"),
        }
    }

    /// The committed offset of partition 0; -1 for none.
    pub fn offset(&self, topic: &str) -> i64 {
        let fetched = self.shard.fetch_offsets(GROUP, &Some(vec![(topic.to_owned(), vec![0])]), false);
        fetched[0].partitions[0].offset
    }

    pub fn delete_group(&mut self, group: &str) -> ErrorCode {
        let token = self.send(GroupRequest::Delete(DeleteGroupsRequest { groups: vec![group.to_owned()] }));
        match self.replies.remove(&token) {
            Some(GroupResponse::Delete(results)) => results[0].1,
            other => panic!("DeleteGroups is not answered: {other:?}"),
        }
    }

    pub fn state(&self) -> &'static str {
        self.shard.describe(GROUP).state
    }

    /// A stable group of `n` dynamic members: their ids, leader first, and the generation.
    pub fn stable_group(&mut self, n: usize) -> (Vec<String>, i32) {
        let ids: Vec<String> = (0..n).map(|_| self.new_member_id()).collect();
        let tokens: Vec<u64> = ids.iter().map(|id| self.send_join(id)).collect();
        self.advance(20);
        let responses: Vec<JoinResponse> = tokens.into_iter().map(|t| self.joined(t)).collect();
        let generation = responses[0].generation_id;
        assert!(responses.iter().all(|r| r.error.is_none() && r.generation_id == generation));
        let leader = responses[0].leader.clone();
        let mut ids = ids;
        ids.sort_by_key(|id| *id != leader);
        let assignments: Vec<(&str, &[u8])> = ids.iter().map(|id| (id.as_str(), id.as_bytes())).collect();
        for id in &ids {
            let given = if *id == leader { assignments.as_slice() } else { &[] };
            let token = self.send_sync(id, generation, given);
            if *id == leader {
                let response = self.synced(token);
                assert_eq!((response.error, &*response.assignment), (ErrorCode::None, id.as_bytes()));
            } else {
                assert_eq!(&*self.synced(token).assignment, id.as_bytes());
            }
        }
        assert_eq!(self.state(), "Stable");
        (ids, generation)
    }
}

pub fn protocol(name: &str, metadata: &[u8]) -> Protocol {
    Protocol { name: name.into(), metadata: metadata.into() }
}

/// A `ConsumerProtocolSubscription` of version 0.
pub fn subscription(topics: &[&str]) -> Vec<u8> {
    use ottla_protocol::message::Message as _;
    use ottla_protocol::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
    let mut writer = ottla_protocol::writer::Writer::new();
    writer.i16(0);
    ConsumerProtocolSubscription { topics: topics.to_vec(), ..Default::default() }.encode(&mut writer, 0).unwrap();
    writer.into_bytes()
}
