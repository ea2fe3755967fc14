//! The sweep: a node's metadata directory is made from a seed; one file of it is damaged, a controller starts on it, goes on,
//! ends, and another one starts.
//!
//! ```text
//!   fixture: the directory as a clean stop, a kill, and a loss of power amid requests left it
//!      │ one file, one damage
//!      ▼
//!   life ──> a topic more ──> stop or kill ──> life                            (trial)
//!      │
//!      ▼
//!   the image held against the undamaged one, and against what any prefix of its log would make (model) ──> outcome ──> rules
//! ```

#[path = "../../../storage/tests/corruption_sweep/sweep/damage.rs"]
mod damage;
#[path = "../../../storage/tests/corruption_sweep/sweep/files.rs"]
mod files;
mod fixture;
mod kind;
mod life;
#[path = "../../../storage/tests/corruption_sweep/sweep/lines.rs"]
mod lines;
mod model;
#[path = "../../../storage/tests/corruption_sweep/sweep/random.rs"]
mod random;
mod rules;
#[path = "../../../storage/tests/corruption_sweep/sweep/tally.rs"]
mod tally;
mod trial;

use random::Random;
pub(crate) use tally::Tally;
pub(crate) use trial::trials;

/// Trials on one directory.
pub(crate) const TRIALS: u64 = 10;
