//! What only the quorum decides: the KRaft core and the control operations as pure functions.

pub mod raft;
