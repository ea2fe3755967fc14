//! This broker's share of the partitions.

pub mod assignments;
mod group_commit;
pub mod manager;
pub mod moves;
pub mod partition;
pub mod read;
pub mod role;
