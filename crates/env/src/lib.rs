//! The only door to the operating system: clock, randomness, files, sockets, tasks.
//!
//! ```text
//!   everything above          time  random  fs  net  task  collections      (one API, documented here)
//!                                          │
//!                        ┌─────────────────┴─────────────────┐
//!   platform         real/  the system and tokio         sim/  one thread, virtual time, a seed
//!                    (default)                            (--cfg sim, with a target directory of its own)
//! ```
//!
//! A door module holds what both platforms share (types, documentation, whatever is composed of smaller calls) and
//! takes the rest from `platform`. There are no traits and no generics for it: the platform is chosen by cfg, so that
//! code above reads as if there were one world. Nothing else in the workspace may read a clock, draw randomness, open
//! a file or a socket, or start a thread or a task; `clippy.toml` refuses it.
//!
//! What this crate does not know: Kafka. It has no word of records, topics or requests.

pub mod collections;
pub mod fs;
pub mod net;
pub mod planted;
pub mod process;
pub mod random;
pub mod task;
pub mod time;

#[cfg(not(sim))]
mod real;
#[cfg(sim)]
pub mod sim;

#[cfg(not(sim))]
use real as platform;
#[cfg(sim)]
use sim as platform;
