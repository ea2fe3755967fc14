//! rdkafka_performance, from the source of librdkafka that ships in the crate rdkafka-sys.
//!
//! `bench/rdkafka` names the crate; Cargo fetches it, and librdkafka's own configure and make build it under target/.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::broker::PORT;
use crate::workload::Workload;

const TOPIC: &str = "bench";
/// What the workloads do not need of librdkafka: then it needs no libraries of the system.
const CONFIGURE: [&str; 6] =
    ["--disable-ssl", "--disable-gssapi", "--disable-curl", "--disable-zstd", "--disable-lz4-ext", "--enable-static"];

/// The load generator.
pub struct Client {
    binary: PathBuf,
}

/// What it says of a run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Load {
    /// Messages acknowledged.
    pub delivered: u64,
    /// From the first to the last of them.
    pub milliseconds: u64,
}

impl Client {
    /// Builds it, unless a former run did.
    pub fn build(root: &Path) -> Result<Self> {
        let directory = root.join("target/librdkafka");
        let binary = directory.join("examples/rdkafka_performance");
        if !binary.exists() {
            println!("building librdkafka's rdkafka_performance");
            let source = source(root)?;
            let _ = std::fs::remove_dir_all(&directory);
            std::fs::create_dir_all(&directory)?;
            shell(Command::new("cp").arg("-r").arg(source.join(".")).arg(&directory))?;
            shell(Command::new("bash").arg("./configure").args(CONFIGURE).current_dir(&directory))?;
            shell(Command::new("make").args(["-j2", "-C", "src", "librdkafka.a"]).current_dir(&directory))?;
            shell(Command::new("make").args(["-C", "src-cpp", "librdkafka++.a"]).current_dir(&directory))?;
            shell(Command::new("make").args(["-C", "examples", "rdkafka_performance"]).current_dir(&directory))?;
        }
        Ok(Self { binary })
    }

    /// Sends messages and waits until all are acknowledged.
    pub fn produce(&self, workload: &Workload, messages: u64) -> Result<Load> {
        let mut command = Command::new(&self.binary);
        command.args(["-P", "-t", TOPIC, "-p", "0", "-a", "-1", "-b", &format!("127.0.0.1:{PORT}")]);
        command.args(["-s", &workload.size.to_string(), "-c", &messages.to_string()]);
        for property in workload.properties {
            command.args(["-X", property]);
        }
        let output = command.output().with_context(|| self.binary.display().to_string())?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let load = said.lines().rev().find_map(parse).with_context(|| format!("no result in its words:\n{said}"))?;
        if load.delivered != messages {
            bail!("only {} of {messages} messages were acknowledged:\n{said}", load.delivered);
        }
        Ok(load)
    }
}

/// Reads `% N messages produced (B bytes), N delivered (offset O, 0 failed) in Mms: …`.
fn parse(line: &str) -> Option<Load> {
    let (before, after) = line.split_once(" delivered ")?;
    let delivered = before.rsplit([' ', ',']).next()?.parse().ok()?;
    let (_, time) = after.split_once(") in ")?;
    let milliseconds = time.split_once("ms")?.0.parse().ok()?;
    Some(Load { delivered, milliseconds })
}

/// Where Cargo has put librdkafka.
fn source(root: &Path) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path", "bench/rdkafka/Cargo.toml"])
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        bail!("cargo cannot fetch rdkafka-sys: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let package = packages.iter().find(|package| package["name"] == "rdkafka-sys").context("no rdkafka-sys")?;
    let manifest = package["manifest_path"].as_str().context("rdkafka-sys has no manifest")?;
    Ok(Path::new(manifest).parent().context("a manifest lies in a directory")?.join("librdkafka"))
}

fn shell(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed:\n{}", said.lines().rev().take(20).collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_last_line_is_understood() {
        let line = "% 200000 messages produced (20000000 bytes), 199990 delivered (offset 199999, 10 failed) in 133ms: \
                    1494611 msgs/s and 149.46 MB/s, 0 produce failures, 0 in queue, no compression";
        assert_eq!(parse(line), Some(Load { delivered: 199_990, milliseconds: 133 }));
        assert_eq!(parse("% Sending 200000 messages of size 100 bytes"), None);
    }
}
