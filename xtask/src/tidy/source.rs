//! The tree as text: what git would take in, read once.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

/// Folders that hold no source of ours.
const SKIPPED: [&str; 6] = ["target", ".git", "node_modules", "ottla-data", "__pycache__", "corpus"];

/// Every text file by its path from the root, with forward slashes.
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        walk(root, root, &mut files)?;
        Ok(Self { files })
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    pub(super) fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.contains_key(path)
            || self.files.range(folder.clone()..).next().is_some_and(|(p, _)| p.starts_with(&folder))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files below a folder (or all, for the empty one).
    pub(super) fn rust<'a>(&'a self, below: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter().filter(move |(path, _)| path.ends_with(".rs") && path.starts_with(below))
    }

    /// The crates under `crates/`, by folder name.
    pub(super) fn crates(&self) -> Vec<&str> {
        self.files
            .keys()
            .filter_map(|path| path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"))
            .filter(|name| !name.contains('/'))
            .collect()
    }
}

fn walk(root: &Path, dir: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, files)?;
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let relative = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            files.insert(relative, text);
        }
    }
    Ok(())
}

/// Code of a Rust file without what follows its `#[cfg(test)] mod`: tests may do what the product may not.
pub(super) fn without_tests(text: &str) -> &str {
    let at = text.find("\n#[cfg(test)]\nmod tests {").or_else(|| text.find("\n#[cfg(all(test"));
    at.map_or(text, |at| &text[..at])
}

/// Whether a path holds tests, benches or examples only.
pub(super) fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/") || path.contains("/examples/") || path.ends_with("tests.rs")
}
