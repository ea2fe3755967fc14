//! Bugs that a scenario has asked for.

use super::context::Context;

/// See [`crate::planted::is`].
#[must_use]
pub fn is(bug: &str) -> bool {
    Context::has_planted(bug)
}
