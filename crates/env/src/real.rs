//! The real platform: the system's clock, randomness, files and sockets, and tokio.
// These modules are what the disallowed methods are replaced by.
#![allow(clippy::disallowed_methods)]

pub(crate) mod fs;
pub(crate) mod lock;
pub(crate) mod net;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod task;
pub(crate) mod time;
