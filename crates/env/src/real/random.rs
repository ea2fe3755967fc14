//! The kernel's randomness.

use std::sync::OnceLock;

#[cfg(target_os = "linux")]
pub(crate) fn fill(bytes: &mut [u8]) {
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => filled += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no randomness: {error}"),
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn fill(bytes: &mut [u8]) {
    use std::io::Read;
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(bytes))
        .unwrap_or_else(|error| panic!("/dev/urandom gives no randomness: {error}"));
}

/// The seed of the process's hashed maps.
pub(crate) fn hash_seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(crate::random::next_u64)
}
