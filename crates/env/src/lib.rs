//! Clock, randomness, files, sockets and tasks: real, or simulated under cfg(sim).
