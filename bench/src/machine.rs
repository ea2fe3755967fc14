//! The machine: what it is, how busy it is, and its memory kept warm.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::statvfs;

/// What the report says of the machine.
pub struct Machine {
    /// Processor, cores, memory.
    pub what: String,
    /// Load average over one minute.
    pub load: String,
}

impl Machine {
    /// Looks at /proc.
    pub fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':'))
                .map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
        };
        let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
        let gib = field(&memory, "MemTotal").trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / (1 << 20);
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        let what = format!("{cores} × {}, {gib} GiB, Linux {kernel}", field(&cpu, "model name"));
        Self { what, load: read("/proc/loadavg").split(' ').next().unwrap_or("unknown").to_owned() }
    }
}

/// Touches a few GiB, which go back to the kernel as warm pages. A virtual machine gives freed memory back to its host, and
/// the first touch of such a page costs several times as much: page-cache writes would look that much dearer.
pub fn warm_memory() {
    const PAGE: usize = 4_096;
    const CHUNK: usize = 64 << 20;
    let bytes = usize::try_from(available_bytes() / 2).unwrap_or(usize::MAX).min(4 << 30);
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    for _ in 0..bytes / CHUNK {
        let mut chunk = vec![0_u8; CHUNK];
        for page in chunk.chunks_mut(PAGE) {
            if let Some(first) = page.first_mut() {
                *first = 1;
            }
        }
        chunks.push(chunk);
    }
    std::hint::black_box(&chunks);
}

fn available_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1_024
}

/// Writes out what former runs left in the page cache.
pub fn sync() -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    Ok(())
}

/// Makes the kernel forget what it has in memory of a directory's files, so that a start finds a cold disk. (Of these files
/// only: a broker's program is warm, or a JVM would read a hundred MB first.)
pub fn forget_files(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            forget_files(&entry.path())?;
        } else {
            let file = std::fs::File::open(entry.path())?;
            file.sync_all()?;
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
    }
    Ok(())
}

/// Fails if a directory is in memory, where no device is measured, or has less space left than is wanted.
pub fn check_disk(directory: &Path, wanted: u64) -> Result<()> {
    let kind = statfs(directory)?.filesystem_type();
    ensure!(
        kind != TMPFS_MAGIC,
        "{} is in memory: TMPDIR must name a directory of a disk for this row",
        directory.display()
    );
    let found = statvfs(directory)?;
    let free = found.blocks_available() * found.fragment_size();
    ensure!(
        free >= wanted,
        "{} has {} MB left, and this row needs {}",
        directory.display(),
        free / 1_000_000,
        wanted / 1_000_000
    );
    Ok(())
}

/// The day, UTC.
pub fn today() -> Result<String> {
    let output = Command::new("date").args(["-u", "+%F"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What is measured, as git describes it.
pub fn commit(root: &std::path::Path) -> String {
    let output =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"]).current_dir(root).output();
    output.map_or("unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
