//! This broker's share of the partitions.

pub mod manager;
pub mod partition;
pub mod read;
pub mod role;
