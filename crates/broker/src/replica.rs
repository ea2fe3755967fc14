//! This broker's share of the partitions.

mod group_commit;
pub mod manager;
pub mod partition;
pub mod read;
pub mod role;
