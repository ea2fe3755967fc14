//! What the system allows the process.

/// How many descriptors the process may have open at once; `u64::MAX` for any number. Raises the limit as far as the system
/// lets it first, as Java and Go do.
#[must_use]
pub fn descriptor_limit() -> u64 {
    crate::platform::process::descriptor_limit()
}
