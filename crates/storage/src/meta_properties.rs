//! `meta.properties`: to which cluster and node a log directory belongs, and its own id. Kafka class: `MetaProperties`.
//!
//! ```text
//! #
//! #Tue Nov 24 18:00:00 UTC 2026
//! cluster.id=MkU3OEVBNTcwNTJENDM2Qg
//! directory.id=9Qy3cUhOSkG3E2rSYxBzVA
//! node.id=1
//! version=1
//! ```
//! A Java properties file. Version 0 (ZooKeeper's time) names the node `broker.id` and is read but not written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ottla_env::fs;
use ottla_protocol::Uuid;

/// Name of the file.
pub const FILE_NAME: &str = "meta.properties";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    /// 0 or 1.
    pub version: i32,
    /// Any text; Kafka's tools make it a uuid.
    pub cluster_id: String,
    /// Node, if version 1, else `broker.id`.
    pub node_id: i32,
    /// Id of the directory (KIP-858); None in files from before Kafka 3.7.
    pub directory_id: Option<Uuid>,
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetaPropertiesError {
    /// A key is missing or has a value that makes no sense.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl MetaProperties {
    /// Reads the file in `dir`; None when there is none.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn read(dir: &Path) -> Result<Option<Self>, MetaPropertiesError> {
        let path = dir.join(FILE_NAME);
        if !fs::exists(&path) {
            return Ok(None);
        }
        let text =
            String::from_utf8(fs::read(&path)?).map_err(|error| format!("it is not UTF-8: {}", error.utf8_error()));
        text.and_then(|text| Self::parse(&text))
            .map(Some)
            .map_err(|reason| MetaPropertiesError::Invalid { path, reason })
    }

    /// Writes the file into `dir`, atomically and synced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), MetaPropertiesError> {
        let path = dir.join(FILE_NAME);
        Ok(fs::write_atomically(&path, self.to_text())?)
    }

    fn to_text(&self) -> String {
        let directory = self.directory_id.map_or(String::new(), |id| format!("directory.id={id}\n"));
        format!("#\ncluster.id={}\n{directory}node.id={}\nversion=1\n", self.cluster_id, self.node_id)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(c) = text.chars().find(|c| c.is_control() && !c.is_ascii_whitespace()) {
            return Err(format!("it holds the character {c:?}, which is none of a properties file"));
        }
        let properties = properties(text);
        let get = |key: &str| properties.get(key).map(String::as_str).ok_or_else(|| format!("{key} is missing"));
        let number = |key: &str| get(key).and_then(|v| v.parse::<i32>().map_err(|_| format!("{key}={v} is no number")));
        let version = number("version")?;
        let node_id = match version {
            0 => number("broker.id")?,
            1 => number("node.id")?,
            other => return Err(format!("version={other} is not known; this release reads 0 and 1")),
        };
        let directory_id = match get("directory.id") {
            Ok(id) => Some(id.parse().map_err(|e| format!("directory.id: {e}"))?),
            Err(_) => None,
        };
        Ok(Self { version, cluster_id: get("cluster.id")?.to_owned(), node_id, directory_id })
    }
}

/// `key=value` lines of a Java properties file. Of its escapes only a backslash before a character is known here: Java
/// writes `\:`, `\=`, `\#` and `\!` so; none of the four values can hold more.
fn properties(text: &str) -> BTreeMap<String, String> {
    let unescape = |s: &str| {
        let mut chars = s.chars();
        let mut out = String::new();
        while let Some(c) = chars.next() {
            out.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        out
    };
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '!']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (unescape(key.trim()), unescape(value.trim())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(MetaProperties::read(dir.path()).expect("none"), None);
        let meta = MetaProperties {
            version: 1,
            cluster_id: "MkU3OEVBNTcwNTJENDM2Qg".to_owned(),
            node_id: 3,
            directory_id: Some(Uuid(*b"0123456789abcdef")),
        };
        meta.write(dir.path()).expect("written");
        assert_eq!(MetaProperties::read(dir.path()).expect("read"), Some(meta));
    }

    #[test]
    fn javas_own_form_is_read() {
        let text = "#\n#Tue Nov 24 18:00:00 UTC 2026\ncluster.id=a\\:b\nnode.id=1\nversion=1\n";
        let meta = MetaProperties::parse(text).expect("parses");
        assert_eq!((meta.cluster_id.as_str(), meta.node_id, meta.directory_id), ("a:b", 1, None));
        let old = MetaProperties::parse("version=0\nbroker.id=9\ncluster.id=c").expect("version 0");
        assert_eq!((old.version, old.node_id), (0, 9));
        for wrong in [
            "",
            "version=2\nnode.id=1\ncluster.id=c",
            "version=1\ncluster.id=c",
            "version=1\nnode.id=x\ncluster.id=c",
            // A lost sector once made a node of a cluster with zeros in its id.
            "version=1\nnode.id=1\ncluster.id=c\0\0\0",
        ] {
            assert!(MetaProperties::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
