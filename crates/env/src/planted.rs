//! Bugs planted on purpose, so that tests can show that they would be found: a checker that has never caught one proves
//! nothing. A simulation chooses one by name (`Sim::with_planted`); in any other build there is none, and
//! the compiler takes the question out.

#[cfg(sim)]
pub use crate::platform::planted::is;

/// Whether the code shall behave as if it had this bug. Never, outside of a simulation.
#[cfg(not(sim))]
#[inline(always)]
#[must_use]
pub const fn is(_bug: &str) -> bool {
    false
}
