//! Batches and records of `.log` and `.checkpoint` files.

use std::path::Path;

use anyhow::{Context as _, bail};
use ottla_protocol::compression::Compression;
use ottla_protocol::record_batch::{BatchHeader, MAGIC, TimestampType};
use ottla_storage::inspect::{BatchAt, BatchFile, Step};
use serde_json::{Value, json};

use super::DumpArgs;
use super::complaints::Complaints;
use super::decoders::{Decoder, Parsed};
use super::metadata::control_record;
use super::record::{self, DumpRecord};
use super::sink::{Form, Sink};

/// Stands before each record.
const INDENT: &str = "|";
/// The snapshot that a directory is formatted with.
const BOOTSTRAP_SNAPSHOT: &str = "bootstrap.checkpoint";

/// Prints a file.
pub(super) fn dump(
    path: &Path,
    args: &DumpArgs,
    decoder: &Decoder,
    sink: &mut Sink,
    complaints: &mut Complaints,
) -> anyhow::Result<()> {
    let heading = heading(path)?;
    sink.heading(&heading)?;
    let mut file = BatchFile::open(path)?;
    let whole = args.max_bytes == i32::MAX;
    file.limit(u64::try_from(args.max_bytes).unwrap_or(u64::MAX));
    let deep = args.deep_iteration || args.prints_data();
    let mut records = Records { path, args, decoder, last_offset: -1, scratch: Vec::new() };
    loop {
        match file.next_step()? {
            Step::Batch(at) => {
                let valid = file.crc_fits(&at)?;
                batch_line(&at, valid, sink)?;
                if deep {
                    records.dump(&at, file.bytes(&at)?, sink, complaints)?;
                }
            }
            Step::End => return Ok(()),
            // A limit cuts where it likes.
            Step::Cut { .. } if !whole => return Ok(()),
            Step::Cut { bytes, .. } => {
                let name = path.file_name().unwrap_or_default().display();
                let text = format!("Found {bytes} invalid bytes at the end of {name}");
                return sink.line("invalid_bytes", || text, || json!({ "bytes": bytes }));
            }
            Step::Broken { position, error } => {
                bail!("no batch at position {position} of {}: {error}", path.display());
            }
        }
    }
}

fn heading(path: &Path) -> anyhow::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name == BOOTSTRAP_SNAPSHOT {
        return Ok("KRaft bootstrap snapshot".to_owned());
    }
    let stem = name.split('.').next().unwrap_or_default();
    if name.ends_with(".checkpoint") {
        let (offset, epoch) = stem
            .split_once('-')
            .and_then(|(offset, epoch)| Some((offset.parse::<i64>().ok()?, epoch.parse::<i32>().ok()?)))
            .with_context(|| format!("`{name}` is not named `offset-epoch.checkpoint`, as snapshots are"))?;
        return Ok(format!("Snapshot end offset: {offset}, epoch: {epoch}"));
    }
    let base: i64 = stem.parse().with_context(|| format!("`{name}` is not named for an offset, as segments are"))?;
    Ok(format!("Log starting offset: {base}"))
}

fn timestamp_type(header: &BatchHeader) -> &'static str {
    match (header.magic, header.timestamp_type()) {
        (0, _) => "NoTimestampType",
        (_, TimestampType::CreateTime) => "CreateTime",
        (_, TimestampType::LogAppendTime) => "LogAppendTime",
    }
}

fn batch_line(at: &BatchAt, valid: bool, sink: &mut Sink) -> anyhow::Result<()> {
    let h = &at.header;
    let codec = h.compression().map_or("unknown", Compression::name);
    let horizon = h.has_delete_horizon().then_some(h.base_timestamp);
    let text = || {
        let head = if h.magic >= MAGIC {
            let horizon = horizon.map_or("OptionalLong.empty".to_owned(), |ms| format!("OptionalLong[{ms}]"));
            format!(
                "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
                 partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {horizon}",
                h.base_offset,
                h.last_offset(),
                h.record_count,
                h.base_sequence,
                h.last_sequence(),
                h.producer_id,
                h.producer_epoch,
                h.partition_leader_epoch,
                h.is_transactional(),
                h.is_control(),
            )
        } else {
            format!("offset: {}", h.last_offset())
        };
        format!(
            "{head} position: {} {}: {} size: {} magic: {} compresscodec: {codec} crc: {} isvalid: {valid}",
            at.position,
            timestamp_type(h),
            h.max_timestamp,
            h.size_bytes(),
            h.magic,
            h.crc,
        )
    };
    let object = || {
        json!({
            "base_offset": h.base_offset, "last_offset": h.last_offset(), "count": h.record_count,
            "base_sequence": h.base_sequence, "last_sequence": h.last_sequence(),
            "producer_id": h.producer_id, "producer_epoch": h.producer_epoch,
            "partition_leader_epoch": h.partition_leader_epoch, "transactional": h.is_transactional(),
            "control": h.is_control(), "delete_horizon_ms": horizon, "position": at.position,
            "timestamp_type": timestamp_type(h), "max_timestamp": h.max_timestamp, "size": h.size_bytes(),
            "magic": h.magic, "codec": codec, "crc": h.crc, "valid": valid,
        })
    };
    sink.line("batch", text, object)
}

/// Prints the records of batch after batch.
struct Records<'a> {
    path: &'a Path,
    args: &'a DumpArgs,
    decoder: &'a Decoder,
    last_offset: i64,
    scratch: Vec<u8>,
}

impl Records<'_> {
    fn dump(&mut self, at: &BatchAt, bytes: &[u8], sink: &mut Sink, complaints: &mut Complaints) -> anyhow::Result<()> {
        let (path, args, decoder) = (self.path, self.args, self.decoder);
        let last_offset = &mut self.last_offset;
        record::for_each(at, bytes, &mut self.scratch, |record| {
            if record.offset != *last_offset + 1 {
                complaints.gap(path, *last_offset, record.offset);
            }
            *last_offset = record.offset;
            let parsed = if args.prints_data() && !at.header.is_control() {
                Some(decoder.parse(record).inspect_err(|_| drop(sink.flush()))?)
            } else {
                None
            };
            match sink.form() {
                Form::Text => sink.text(&text(&at.header, record, args.skip_record_metadata, parsed.as_ref())),
                Form::Json => sink.line("record", String::new, || object(&at.header, record, parsed.as_ref())),
            }
        })
    }
}

fn text(header: &BatchHeader, record: &DumpRecord<'_>, bare: bool, parsed: Option<&Parsed>) -> String {
    let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |b| b.len() as i64);
    let mut line = String::new();
    if !bare {
        line = format!(
            "{INDENT} offset: {} {}: {} keySize: {} valueSize: {}",
            record.offset,
            timestamp_type(header),
            record.timestamp,
            size(record.key),
            size(record.value)
        );
        if let Some((sequence, headers)) = &record.modern {
            let names: Vec<_> = headers.iter().map(|name| String::from_utf8_lossy(name)).collect();
            line += &format!(" sequence: {sequence} headerKeys: [{}]", names.join(","));
        }
        if let Some((valid, crc)) = record.legacy {
            line += &format!(" isValid: {valid} crc: {crc}");
        }
        if header.is_control() {
            line += &format!(" {}", control_record(record).text);
        }
    }
    if let Some(parsed) = parsed {
        let mut prefix = if bare { format!("{INDENT} ") } else { " ".to_owned() };
        if let Some(key) = &parsed.key {
            line += &format!("{prefix}key: {key}");
            prefix = " ".to_owned();
        }
        if let Some(value) = &parsed.value {
            line += &format!("{prefix}payload: {value}");
        }
    }
    line.push('\n');
    line
}

fn object(header: &BatchHeader, record: &DumpRecord<'_>, parsed: Option<&Parsed>) -> Value {
    let mut object = json!({
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key_size": record.key.map(<[u8]>::len),
        "value_size": record.value.map(<[u8]>::len),
    });
    if let Some((sequence, headers)) = &record.modern {
        object["sequence"] = json!(sequence);
        object["header_keys"] = headers.iter().map(|name| String::from_utf8_lossy(name)).collect();
    }
    if let Some((valid, crc)) = record.legacy {
        object["valid"] = json!(valid);
        object["crc"] = json!(crc);
    }
    if header.is_control() {
        object["control"] = control_record(record).json;
    }
    if let Some(parsed) = parsed {
        object["key"] = parsed.key.as_ref().map_or(Value::Null, |key| parsed.json_of(key));
        object["value"] = parsed.value.as_ref().map_or(Value::Null, |value| parsed.json_of(value));
    }
    object
}
