//! What tests are made of: processes to start and kill, histories of what clients saw, checkers of what must hold.
//!
//! ```text
//!   process   a broker (ours, or Apache Kafka) as a child: start, wait until it listens, kill -9, SIGTERM, restart
//!   history   what clients sent, were promised and read, in the order in which they saw it
//!   checker/  one invariant a file: history -> violations
//!   crash     the ring: a broker under load is killed again and again, its clients' history is judged
//! ```
//!
//! Simulation itself is `ottla_env::sim`; the scenarios that run on it lie in `tests/sim_*.rs` of the crates that they
//! try. Only tests and `xtask` depend on this crate.

pub mod checker;
pub mod crash;
pub mod history;
pub mod process;
