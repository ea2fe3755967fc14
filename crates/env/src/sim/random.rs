//! Randomness from the seed.

use super::context::Context;

pub(crate) fn fill(bytes: &mut [u8]) {
    Context::current().world.state.lock().rng.fill(bytes);
}

/// A map may be made outside of a run (in a static); there is nothing to repeat then.
pub(crate) fn hash_seed() -> u64 {
    Context::try_current().map_or(0, |context| super::rng::mix(context.world.seed()))
}
