//! rdkafka_performance, from the source of librdkafka that ships in the crate rdkafka-sys.
//!
//! `bench/rdkafka` names the crate; Cargo fetches it, and librdkafka's own configure and make build it under target/.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::broker::PORT;

/// What the workloads do not need of librdkafka: then it needs no libraries of the system but zstd's.
const CONFIGURE: [&str; 5] =
    ["--disable-ssl", "--disable-gssapi", "--disable-curl", "--disable-lz4-ext", "--enable-static"];

/// The load generator.
pub struct Client {
    binary: PathBuf,
}

/// A load without an end; killed when dropped.
pub struct Endless(Child);

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a load generator says of a run.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Load {
    /// Messages acknowledged, or read.
    pub messages: u64,
    /// From the first to the last of them.
    pub milliseconds: u64,
    /// Percentiles 50, 99 and 99.9 in microseconds; 0 of a generator that tells none.
    pub latency_us: [f64; 3],
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

    /// Sends messages with several processes at once, each to a topic of its own, and waits until all are acknowledged.
    pub fn produce(&self, processes: u64, size: u32, messages: u64, properties: &[&str]) -> Result<Load> {
        let each = messages.div_ceil(processes);
        let mut children = Vec::new();
        for process in 0..processes {
            let mut command = self.command(&["-P", "-a", "-1"], process, each);
            command.args(["-s", &size.to_string()]);
            for property in properties {
                command.args(["-X", property]);
            }
            children.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
        }
        let mut whole = Load::default();
        for child in children {
            let load = finish(child, produced)?;
            ensure!(load.messages == each, "only {} of {each} messages were acknowledged", load.messages);
            whole.messages += load.messages;
            whole.milliseconds = whole.milliseconds.max(load.milliseconds);
        }
        Ok(whole)
    }

    /// Sends messages to the first topic until the value is dropped.
    pub fn endless(&self, size: u32, properties: &[&str]) -> Result<Endless> {
        let mut command = self.command(&["-P", "-a", "-1"], 0, u64::from(u32::MAX >> 1));
        command.args(["-s", &size.to_string()]);
        for property in properties {
            command.args(["-X", property]);
        }
        Ok(Endless(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
    }

    /// Reads messages from the beginning of the first topic.
    pub fn consume(&self, messages: u64) -> Result<Load> {
        let mut command = self.command(&["-C", "-o", "beginning"], 0, messages);
        // Enough in flight that the client's own queue is not what is measured.
        command.args(["-X", "queued.max.messages.kbytes=262144", "-X", "fetch.message.max.bytes=8388608"]);
        let load = finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?, consumed)?;
        ensure!(load.messages >= messages, "only {} of {messages} messages were read", load.messages);
        Ok(load)
    }

    fn command(&self, mode: &[&str], topic: u64, messages: u64) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(mode).args(["-t", &format!("bench-{topic}"), "-p", "0", "-c", &messages.to_string()]);
        command.args(["-b", &format!("127.0.0.1:{PORT}")]);
        command
    }
}

fn finish(child: Child, parse: fn(&str) -> Option<Load>) -> Result<Load> {
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if said.contains("compression codec") && said.contains("not supported") {
        bail!("the load would not have been compressed:\n{said}");
    }
    said.lines()
        .rev()
        .find_map(parse)
        .with_context(|| format!("no result in the words of rdkafka_performance:\n{said}"))
}

/// Reads `% N messages produced (B bytes), N delivered (offset O, 0 failed) in Mms: …`.
fn produced(line: &str) -> Option<Load> {
    let (before, after) = line.split_once(" delivered ")?;
    let messages = before.rsplit([' ', ',']).next()?.parse().ok()?;
    let (_, time) = after.split_once(") in ")?;
    Some(Load { messages, milliseconds: time.split_once("ms")?.0.parse().ok()?, ..Load::default() })
}

/// Reads `% N messages (B bytes) consumed in Mms: …`.
fn consumed(line: &str) -> Option<Load> {
    let (before, after) = line.split_once(" consumed in ")?;
    let messages = before.strip_prefix("% ")?.split_once(" messages")?.0.parse().ok()?;
    Some(Load { messages, milliseconds: after.split_once("ms")?.0.parse().ok()?, ..Load::default() })
}

/// Where Cargo has put librdkafka.
fn source(root: &Path) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path", "bench/rdkafka/Cargo.toml"])
        .current_dir(root)
        .output()?;
    ensure!(output.status.success(), "cargo cannot fetch rdkafka-sys: {}", String::from_utf8_lossy(&output.stderr));
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
        let load = |messages, milliseconds| Some(Load { messages, milliseconds, ..Load::default() });
        assert_eq!(produced(line), load(199_990, 133));
        assert_eq!(produced("% Sending 200000 messages of size 100 bytes"), None);
        let line = "% 1500000 messages (1536000000 bytes) consumed in 1234ms: 1215559 msgs/s (1244.73 MB/s)";
        assert_eq!(consumed(line), load(1_500_000, 1_234));
        assert_eq!(consumed("% INTERVAL: 10 messages (10 bytes) produced"), None);
    }
}
