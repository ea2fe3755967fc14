//! What the system allows the process.

/// How many descriptors the process may have open at once; `u64::MAX` for any number. Raises the limit as far as the system
/// lets it first, as Java and Go do.
#[must_use]
pub fn descriptor_limit() -> u64 {
    crate::platform::process::descriptor_limit()
}

/// Asks the system for no huge pages. An allocator that asks for them (mimalloc does) makes each touch of a region resident as a
/// whole: 2 MiB for a few bytes, 13 MiB of a process that uses two. The first thing to do; what was touched before stays.
pub fn refuse_huge_pages() {
    crate::platform::process::refuse_huge_pages();
}
