//! What waits in the purgatory: a produce request for the high watermark, a fetch for enough bytes.

pub mod fetch;
pub mod produce;
