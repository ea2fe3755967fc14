//! Sockets: accepting, reading frames, answering in order, sending record bytes from files.

pub mod acceptor;
pub mod connection;
pub mod connection_counts;
pub mod memory;
pub mod reaper;
mod send;
