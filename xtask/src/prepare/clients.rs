//! The clients under test, at the versions that `compat/` pins.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::once;
use crate::shell::{Cmd, has};

/// A virtual environment with `compat/python/{list}.txt`; returns its interpreter.
pub(super) fn python(root: &Path, compat: &Path, list: &str) -> Result<PathBuf> {
    let requirements = root.join("compat/python").join(format!("{list}.txt"));
    let dir = compat.join(format!("python-{list}"));
    let interpreter = dir.join("bin/python");
    once(&dir, &std::fs::read_to_string(&requirements)?, || {
        ensure!(has("python3"), "python3 is not installed");
        Cmd::new("python3").args(["-m", "venv"]).args([&dir]).output()?;
        Cmd::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .args([&requirements])
            .output()
            .map(drop)
    })?;
    Ok(interpreter)
}

/// The packages of `compat/node/package-lock.json`; returns `node_modules`.
pub(super) fn node(root: &Path, compat: &Path) -> Result<PathBuf> {
    npm(&root.join("compat/node"), &compat.join("node"), |cmd| cmd)
}

/// Those that are built from source: librdkafka against the libraries of the system, the binding against the local Node's headers,
/// since neither a prebuilt binary nor headers can be downloaded everywhere. Wants g++, make, and headers of OpenSSL, zlib and zstd.
pub(super) fn node_from_source(root: &Path, compat: &Path) -> Result<PathBuf> {
    ensure!(has("g++") && has("make"), "g++ or make is not installed");
    let node = Cmd::new("node").args(["-p", "process.execPath"]).output()?;
    let prefix = Path::new(node.trim()).parent().and_then(Path::parent).context("node lies in no bin directory")?;
    ensure!(prefix.join("include/node/node.h").exists(), "{} has no headers of Node", prefix.display());
    npm(&root.join("compat/node/full"), &compat.join("node-full"), |cmd| {
        cmd.env("CKJS_LINKING", "dynamic").env("npm_config_nodedir", prefix)
    })
}

fn npm(source: &Path, dir: &Path, more: impl FnOnce(Cmd) -> Cmd) -> Result<PathBuf> {
    once(dir, &std::fs::read_to_string(source.join("package-lock.json"))?, || {
        ensure!(has("npm"), "npm is not installed");
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(source.join(file), dir.join(file))?;
        }
        more(Cmd::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).dir(dir)).output().map(drop)
    })?;
    Ok(dir.join("node_modules"))
}

/// Builds the drivers of `compat/go`; confluent-kafka-go brings a librdkafka of its own and needs cgo.
pub(super) fn go(root: &Path, compat: &Path) -> Result<PathBuf> {
    ensure!(has("go"), "go is not installed");
    let dir = compat.join("go");
    std::fs::create_dir_all(&dir)?;
    // No stamp: Go's own cache makes this a second when nothing has changed, and the drivers are sources of ours.
    Cmd::new("go")
        .args(["build", "-o"])
        .args([&dir])
        .args(["./kafkago", "./confluent"])
        .dir(root.join("compat/go"))
        .env("CGO_ENABLED", "1")
        .env("GOTOOLCHAIN", "local")
        .output()?;
    Ok(dir)
}
