//! Snapshots of the metadata log: `<end offset>-<epoch>.checkpoint`, batches that begin with a header record and end with a
//! footer record (KIP-630).

use std::path::Path;

use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::records;

use super::records;
use super::reporter::Reporter;
use crate::inspect::batch_file::{BatchFile, Step};
use crate::inspect::finding::{Finding, Severity, Watcher};

/// What a directory is formatted with; neither named nor framed as the others.
const BOOTSTRAP: &str = "bootstrap.checkpoint";
/// A control record unpacks to no more.
const CONTROL_BYTES_MAX: usize = 1 << 20;

const REMEDY: &str = "remove the file while the node is stopped if an older snapshot is there, or if other controllers can send this node a new one; a node without any goes by its log alone";

/// Reads a snapshot.
pub(super) fn verify(path: &Path, name: &str, running: bool, reporter: &mut Reporter<'_>) {
    if name != BOOTSTRAP && !well_named(name) {
        let problem = "it is not named `<offset>-<epoch>.checkpoint`, so no node reads it";
        reporter.found(Finding::new(Severity::Note, path, problem));
        return;
    }
    match read(path, name != BOOTSTRAP, reporter) {
        Ok(()) => {}
        Err(error) => reporter.unreadable(path, &error, running),
    }
}

fn well_named(name: &str) -> bool {
    let stem = name.strip_suffix(".checkpoint").unwrap_or_default();
    stem.split_once('-').is_some_and(|(offset, epoch)| offset.parse::<i64>().is_ok() && epoch.parse::<i32>().is_ok())
}

fn read(path: &Path, framed: bool, reporter: &mut Reporter<'_>) -> std::io::Result<()> {
    let mut file = BatchFile::open(path)?;
    let mut window = Vec::new();
    let (mut first, mut last) = (None, None);
    let mut batches = 0u64;
    let damage = |position: u64, problem: String, reporter: &mut Reporter<'_>| {
        reporter.found(Finding::new(Severity::Damage, path, problem).at(position).remedy(REMEDY));
    };
    loop {
        let at = match file.next_step()? {
            Step::Batch(at) => at,
            Step::End => break,
            Step::Cut { position, bytes } => {
                damage(position, format!("its last {bytes} bytes are no whole batch"), reporter);
                return Ok(());
            }
            Step::Broken { position, error } => {
                damage(position, format!("no batch is here: {error}"), reporter);
                return Ok(());
            }
        };
        reporter.read(at.header.size_bytes() as u64);
        if !file.crc_fits(&at)? {
            damage(at.position, "the checksum of the batch does not fit".to_owned(), reporter);
            return Ok(());
        }
        batches += 1;
        let bytes = file.bytes(&at)?;
        match records::check(&at.header, bytes, &mut window) {
            Ok(inside) => {
                reporter.totals_mut().batches += 1;
                reporter.totals_mut().records += inside.records;
            }
            Err(reason) => damage(at.position, format!("the batch is not well formed: {reason}"), reporter),
        }
        let kinds = if at.header.is_control() { control_records(bytes) } else { Vec::new() };
        if batches == 1 {
            first = kinds.first().copied();
        }
        last = kinds.last().copied();
    }
    if framed && first != Some(ControlRecordType::SnapshotHeader) {
        damage(0, "it does not begin with a snapshot header".to_owned(), reporter);
    }
    if framed && last != Some(ControlRecordType::SnapshotFooter) {
        damage(
            file.len(),
            "it does not end with a snapshot footer, so it was not written to its end".to_owned(),
            reporter,
        );
    }
    Ok(())
}

fn control_records(batch: &[u8]) -> Vec<ControlRecordType> {
    let mut scratch = Vec::new();
    let Ok(found) = records_of(batch, &mut scratch) else { return Vec::new() };
    found
}

fn records_of(
    batch: &[u8],
    scratch: &mut Vec<u8>,
) -> Result<Vec<ControlRecordType>, ottla_protocol::record_batch::BatchError> {
    let mut kinds = Vec::new();
    for record in records(batch, scratch, CONTROL_BYTES_MAX)? {
        kinds.extend(record?.key.and_then(ControlRecordType::from_key));
    }
    Ok(kinds)
}
