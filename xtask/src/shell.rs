//! Child processes, told in one line each, and the places in the tree.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The bench harness: a workspace of its own, so that nothing of it is built with the product.
pub(crate) const BENCH: &str = "bench/Cargo.toml";

/// The root of the repository: the directory above `xtask`.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_path_buf()
}

/// The target directory, which may have been moved by the environment.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Whether a program is on the path.
pub(crate) fn has(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// A command that runs in the root of the repository.
pub(crate) struct Cmd(Command);

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root()).stdin(Stdio::null());
        Self(command)
    }

    pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(args)
    }

    /// The same for the bench harness, which is built under target/ too.
    pub(crate) fn cargo_on_bench<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        Self::cargo(args).args(["--manifest-path", BENCH, "--target-dir"]).args([target().join("bench")])
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(key, value);
        self
    }

    /// Keeps a variable of ours from a broker, which reads every `OTTLA_...` as a property.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.0.env_remove(key);
        self
    }

    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.0.current_dir(dir);
        self
    }

    fn told(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        let mut told: String = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        if let Some((cut, _)) = told.char_indices().nth(160) {
            told.truncate(cut);
            told.push_str(" ...");
        }
        told
    }

    /// Runs with this process's output; a failure is an error that names the command.
    pub(crate) fn run(mut self) -> Result<()> {
        let told = self.told();
        let status = self.0.status().with_context(|| format!("cannot start `{told}`"))?;
        if !status.success() {
            bail!("`{told}` ended with {status}");
        }
        Ok(())
    }

    /// Runs quietly and returns what was printed; on failure the error carries the end of it.
    pub(crate) fn output(mut self) -> Result<String> {
        let told = self.told();
        let out = self.0.output().with_context(|| format!("cannot start `{told}`"))?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        if !out.status.success() {
            let all = format!("{text}{}", String::from_utf8_lossy(&out.stderr));
            let tail: Vec<&str> = all.lines().rev().take(15).collect();
            bail!("`{told}` ended with {}:\n{}", out.status, tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        Ok(text)
    }

    /// Runs with each line of standard output given to `line`; standard error passes through. Returns whether it succeeded.
    pub(crate) fn lines(mut self, mut line: impl FnMut(&str)) -> Result<bool> {
        let told = self.told();
        let mut child = self.0.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{told}`"))?;
        let stdout = child.stdout.take().expect("standard output was piped");
        for read in BufReader::new(stdout).split(b'\n') {
            line(String::from_utf8_lossy(&read?).trim_end());
        }
        Ok(child.wait()?.success())
    }

    /// Starts it with all output in a file, in a process group of its own, so that its children end with it.
    pub(crate) fn spawn_to(mut self, log: &Path) -> Result<Child> {
        use std::os::unix::process::CommandExt;
        let told = self.told();
        let file = std::fs::File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        self.0.stdout(file.try_clone()?).stderr(file).process_group(0);
        self.0.spawn().with_context(|| format!("cannot start `{told}`"))
    }
}

impl Cmd {
    /// Starts it with its input and output piped and its errors in a file, in a process group of its own.
    pub(crate) fn spawn_talking(mut self, log: &Path) -> Result<Child> {
        use std::os::unix::process::CommandExt;
        let told = self.told();
        let file = std::fs::File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        self.0.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file).process_group(0);
        self.0.spawn().with_context(|| format!("cannot start `{told}`"))
    }

    /// As [`Self::output`], with what was printed as errors behind it.
    pub(crate) fn output_of_both(mut self) -> Result<String> {
        let told = self.told();
        let out = self.0.output().with_context(|| format!("cannot start `{told}`"))?;
        let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        if !out.status.success() {
            let tail: Vec<&str> = text.lines().rev().take(15).collect();
            bail!("`{told}` ended with {}:\n{}", out.status, tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        Ok(text)
    }
}

/// Signals the whole group of a child that [`Cmd::spawn_to`] started.
pub(crate) fn signal_group(child: &Child, signal: &str) {
    // `kill` of the shell: std has no signals, and a build tool needs no crate for two of them.
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
}

/// Waits for the child until the deadline; `None` if it still runs then.
pub(crate) fn wait_at_most(child: &mut Child, limit: Duration) -> Result<Option<std::process::ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > end {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs one piece of work with its name and time printed around it.
pub(crate) fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    println!("==> {name}");
    let start = Instant::now();
    let done = work();
    println!("<== {name}: {:.1} s", start.elapsed().as_secs_f64());
    done
}
