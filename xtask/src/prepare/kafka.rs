//! Apache Kafka itself: its jars by Maven, and the message definitions inside them.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::once;
use crate::shell::{Cmd, has};

/// Copies the jars that `compat/kafka-peer/{part}.xml` names, and theirs, into `kafka/{part}`.
pub(super) fn jars(root: &Path, kafka: &Path, part: &str) -> Result<PathBuf> {
    let pom = root.join("compat/kafka-peer").join(format!("{part}.xml"));
    let version = std::fs::read_to_string(&pom)?;
    let dir = kafka.join(part);
    once(&dir, &version, || {
        ensure!(has("mvn"), "mvn is not installed");
        // The pom is read where Maven may write beside it.
        let own = kafka.join(format!("{part}.pom.xml"));
        std::fs::copy(&pom, &own)?;
        Cmd::new("mvn")
            .args(["-q", "-B", "-f"])
            .args([&own])
            .args(["dependency:copy-dependencies".to_owned(), format!("-DoutputDirectory={}", dir.display())])
            .output()
            .map(drop)
    })
}

/// Unpacks every message, metadata-record and coordinator-record definition of the server's jars into `kafka/definitions`.
pub(super) fn definitions(server: &Path, kafka: &Path) -> Result<PathBuf> {
    let dir = kafka.join("definitions");
    let mut jars: Vec<PathBuf> = std::fs::read_dir(server)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    jars.retain(|jar| jar.file_name().is_some_and(|n| n.to_string_lossy().starts_with("kafka-")));
    jars.sort();
    let version = jars.iter().map(|jar| format!("{}\n", jar.display())).collect::<String>();
    once(&dir, &version, || {
        ensure!(has("unzip"), "unzip is not installed");
        for jar in &jars {
            // unzip ends with 11 for a jar that holds none of them, which is most.
            let _ = Cmd::new("unzip")
                .args(["-qo"])
                .args([jar])
                .args(["common/*.json", "common/*/*.json", "message/*.json", "-d"])
                .args([&dir])
                .output();
        }
        let found = std::fs::read_dir(dir.join("common/message"))?.count();
        ensure!(found > 100, "only {found} definitions in {}", server.display());
        Ok(())
    })
}
