//! What Kafka's own DumpLogSegments says of a directory that Ottla left.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::shell::{Cmd, root};

/// Every judgment, by name.
pub(super) fn all(tools: &Path, data: &Path) -> Vec<(&'static str, Result<String>)> {
    let files = match files(data) {
        Ok(files) => files,
        Err(e) => return vec![("dump-files", Err(e))],
    };
    let logs = |of: &dyn Fn(&str) -> bool| -> Vec<PathBuf> {
        files.iter().filter(|f| is(f, &["log"]) && of(&partition(f))).cloned().collect()
    };
    let with = |endings: &[&str]| -> Vec<PathBuf> { files.iter().filter(|f| is(f, endings)).cloned().collect() };
    let metadata: Vec<PathBuf> = files
        .iter()
        .filter(|f| partition(f).starts_with("__cluster") && is(f, &["log", "checkpoint"]))
        .cloned()
        .collect();
    let offsets = logs(&|p| p.starts_with("__consumer_offsets"));
    vec![
        ("dump-records", records(tools, &logs(&|p| !p.starts_with("__cluster")))),
        ("dump-indexes", indexes(tools, &with(&["index", "timeindex"]))),
        (
            "dump-verify-indexes",
            clean(tools, &["--verify-index-only"], &with(&["index", "timeindex"])).map(|_| String::new()),
        ),
        ("dump-snapshots", clean(tools, &[], &with(&["snapshot", "txnindex"])).map(|_| String::new())),
        (
            "dump-metadata",
            clean(tools, &["--cluster-metadata-decoder"], &metadata).and_then(|t| has(&t, "TOPIC_RECORD")),
        ),
        (
            "dump-offsets",
            clean(tools, &["--offsets-decoder"], &offsets)
                .and_then(|t| has(&t, "OffsetCommitKey").or_else(|_| has(&t, "\"group\""))),
        ),
    ]
}

/// Files of partitions that are not being deleted, the empty ones left out: the tool takes an empty index for a broken one.
fn files(data: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(data)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_partition = name.rsplit_once('-').is_some_and(|(_, p)| p.parse::<u32>().is_ok());
        if !entry.file_type()?.is_dir() || !is_partition {
            continue;
        }
        for file in std::fs::read_dir(entry.path())? {
            let file = file?;
            if file.metadata()?.len() > 0 {
                found.push(file.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is(file: &Path, endings: &[&str]) -> bool {
    file.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending))
}

fn partition(file: &Path) -> String {
    file.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Runs the tool; its output, unless it complains.
fn clean(tools: &Path, options: &[&str], files: &[PathBuf]) -> Result<String> {
    ensure!(!files.is_empty(), "there are no such files");
    let list: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    let logging = root().join("compat/java/exchange/log4j2.xml");
    let text = Cmd::new("java")
        .args(["-Xmx512M", "-XX:TieredStopAtLevel=1"])
        .args([format!("-Dlog4j2.configurationFile={}", logging.display())])
        .args(["-cp".to_owned(), format!("{}/*", tools.display())])
        .args(["org.apache.kafka.tools.DumpLogSegments"])
        .args(options)
        .args(["--files", &list.join(",")])
        .output_of_both()?;
    let complaint = text.lines().find(|line| {
        ["isvalid: false", "Found ", "Mismatches in", "Exception", "rror "].iter().any(|word| line.contains(word))
    });
    match complaint {
        Some(line) => bail!("{line}"),
        None => Ok(text),
    }
}

fn has(text: &str, word: &str) -> Result<String> {
    let count = text.matches(word).count();
    ensure!(count > 0, "there is no {word}");
    Ok(format!("{count} of {word}"))
}

fn records(tools: &Path, logs: &[PathBuf]) -> Result<String> {
    let text = clean(tools, &["--deep-iteration", "--print-data-log"], logs)?;
    has(&text, "| offset:").map(|told| format!("{told} in {} segments", logs.len()))
}

fn indexes(tools: &Path, indexes: &[PathBuf]) -> Result<String> {
    let text = clean(tools, &["--index-sanity-check"], indexes)?;
    let passed = text.lines().filter(|line| line.ends_with("passed sanity check.")).count();
    ensure!(passed == indexes.len(), "{passed} of {} indexes passed", indexes.len());
    Ok(format!("{passed} indexes"))
}
