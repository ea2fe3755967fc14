//! The Java client's process: verbs in, STEP lines and DONE out.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::super::{Step, driver};
use crate::shell::{Cmd, root, signal_group};

/// The longest that one verb may take: each of its steps waits at most a minute, and most take a second.
const LIMIT: Duration = Duration::from_secs(300);

/// See the module. Dropping it ends the process.
pub(super) struct Conversation {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Conversation {
    /// Starts the process; what it prints beside the answers goes to `log`.
    pub(super) fn begin(server: &Path, classes: &Path, log: &Path) -> Result<Self> {
        let logging = root().join("compat/java/exchange/log4j2.xml");
        let mut child = Cmd::new("java")
            .args(["-Xmx512M", "-XX:TieredStopAtLevel=1"])
            .args([format!("-Dlog4j2.configurationFile={}", logging.display())])
            .args(["-cp".to_owned(), format!("{}:{}/*", classes.display(), server.display())])
            .args(["Exchange"])
            .spawn_talking(log)?;
        let stdin = child.stdin.take().context("its input was piped")?;
        let stdout = child.stdout.take().context("its output was piped")?;
        let (told, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, lines })
    }

    /// Says a verb and gives the steps of the answer.
    pub(super) fn say(&mut self, verb: &str) -> Result<Vec<Step>> {
        writeln!(self.stdin, "{verb}").and_then(|()| self.stdin.flush()).context("the Java client has ended")?;
        let end = Instant::now() + LIMIT;
        let mut text = String::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line == "DONE" => return Ok(driver::read(&text).steps),
                Ok(line) => text.extend([&line, "\n"]),
                Err(cause) => bail!("`{verb}` of the Java client: {cause}; so far: {text}"),
            }
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        signal_group(&self.child, "-KILL");
        let _ = self.child.wait();
    }
}
