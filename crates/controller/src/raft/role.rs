//! What a replica is at a moment.
//!
//! ```text
//!                    election timeout            pre-votes of a majority         votes of a majority
//!   Unattached ───────────────────────> Prospective ──────────────────> Candidate ──────────────> Leader
//!       │  ▲                             ▲   │  ▲                          │                        │
//!       │  └─ a higher epoch, no leader ─┼───┘  └─ election timeout ───────┘       resign, or no    │
//!       │     known (from any role)      │                                         majority fetches │
//!       └─> Follower ── fetch timeout ───┘                 Unattached in the next epoch <── Resigned <┘
//!           (a leader is known)
//! ```
//!
//! A vote given is not a role of its own: it is [`super::ElectionState::voted`] of an unattached replica. A replica that is
//! not among the voters (an observer) is only ever unattached or follower: its deadlines make it look for the leader
//! instead of standing.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{ReplyId, RequestId, SnapshotId};
use super::progress::Progress;

#[derive(Debug)]
pub(super) enum Role {
    /// No leader is known.
    Unattached(Unattached),
    /// Asks who would vote for it, without promising or demanding anything (KIP-996).
    Prospective(Campaign),
    /// Asks for votes in an epoch of its own.
    Candidate(Campaign),
    Leader(Leader),
    Follower(Follower),
    /// Led this epoch, and will not again.
    Resigned(Resigned),
}

#[derive(Debug)]
pub(super) struct Unattached {
    /// When to stand; an observer asks the next voter then.
    pub(super) deadline_ms: i64,
    /// An observer's search for the leader.
    pub(super) probe: Option<RequestId>,
}

#[derive(Debug)]
pub(super) struct Campaign {
    pub(super) deadline_ms: i64,
    pub(super) granted: BTreeSet<i32>,
    pub(super) rejected: BTreeSet<i32>,
    /// Votes asked for and not yet answered.
    pub(super) asked: BTreeMap<RequestId, i32>,
    /// Voters to be asked again, and when.
    pub(super) retry_at_ms: BTreeMap<i32, i64>,
}

#[derive(Debug)]
pub(super) struct Leader {
    /// Offset of this epoch's LeaderChange record: nothing commits before something at or after it does.
    pub(super) epoch_start_offset: i64,
    /// How far the others have fetched.
    pub(super) progress: Progress,
    /// Fetches that wait for records or a new high watermark.
    pub(super) parked: Vec<Parked>,
    /// When to resign unless a majority fetched since the last time.
    pub(super) majority_deadline_ms: i64,
    /// Who fetched since then.
    pub(super) fetched_since: BTreeSet<i32>,
}

/// A fetch that is answered when something changes, at the latest at its deadline.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) reply: ReplyId,
    pub(super) fetch_offset: i64,
    pub(super) max_bytes: u32,
    pub(super) deadline_ms: i64,
}

#[derive(Debug)]
pub(super) struct Follower {
    pub(super) leader_id: i32,
    /// When to give the leader up.
    pub(super) deadline_ms: i64,
    /// Whether this leader has answered a fetch: then nobody else gets a pre-vote.
    pub(super) fetched: bool,
    /// The fetch under way.
    pub(super) fetching: Option<RequestId>,
    /// Not before this.
    pub(super) fetch_at_ms: i64,
    /// The snapshot that is being fetched.
    pub(super) snapshot: Option<SnapshotFetch>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SnapshotFetch {
    pub(super) id: SnapshotId,
    /// Bytes received.
    pub(super) position: i64,
}

#[derive(Debug)]
pub(super) struct Resigned {
    /// When to leave the epoch.
    pub(super) deadline_ms: i64,
}
