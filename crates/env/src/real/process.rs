//! The limits of the process and its memory, through rustix.

use rustix::process::{Resource, getrlimit, setrlimit};

pub(crate) fn descriptor_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        // Where it is refused (macOS has a second limit) what there was stays.
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

pub(crate) fn refuse_huge_pages() {
    // Where that cannot be said, nothing is lost but memory.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
