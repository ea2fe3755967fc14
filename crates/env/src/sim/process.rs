//! The limits of a simulated process: few descriptors, so that running out of them is part of every run.

pub(crate) fn descriptor_limit() -> u64 {
    64
}

/// Runs share the process of their test.
pub(crate) fn refuse_huge_pages() {}
