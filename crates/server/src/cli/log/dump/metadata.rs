//! Records of the metadata log, and control records: transaction markers and what the quorum writes about itself.

use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::reader::Reader;
use ottla_protocol::schema::{LOGGED, MessageKind, MessageSchema, named};
use serde_json::{Value, json};

use super::message_json::to_json;
use super::record::DumpRecord;

/// Version of the frame around each record.
const FRAME_VERSION: u32 = 1;

/// A record of the metadata log as JSON. Kafka classes: `MetadataRecordSerde`, and for the frame `AbstractApiMessageSerde`:
/// frame version, id and version as varints, then the record.
///
/// # Errors
/// A sentence that says why the bytes are none.
pub(super) fn record(value: Option<&[u8]>) -> Result<String, String> {
    let mut r = Reader::new(value.ok_or("the record has no value")?);
    let mut number = |what| r.uvarint().map_err(|e| format!("Error while reading {what}: {e}"));
    let frame = number("frame version")?;
    if frame != FRAME_VERSION {
        return Err(format!(
            "Could not deserialize metadata record with frame version {frame}. Only version {FRAME_VERSION} is supported."
        ));
    }
    let (id, version) = (number("type")?, number("version")?);
    let schema = i16::try_from(id).ok().and_then(schema).ok_or_else(|| format!("Unknown metadata id {id}"))?;
    let version = i16::try_from(version).map_err(|_| format!("Value for version was too large: {version}"))?;
    let data =
        to_json(schema, &mut r, version).map_err(|e| format!("Failed to deserialize record with type {id}: {e}"))?;
    match r.remaining() {
        0 => {
            let name = upper_snake(schema.name);
            Ok(format!("{{\"type\":\"{name}\",\"version\":{version},\"data\":{data}}}"))
        }
        left => Err(format!("Found {left} byte(s) of garbage after record of type {id}")),
    }
}

/// The records of `__remote_log_metadata` have ids of their own, which begin with 0 again.
fn schema(id: i16) -> Option<&'static MessageSchema> {
    LOGGED.iter().find(|m| m.kind == MessageKind::Metadata && m.key == Some(id) && !m.name.starts_with("Remote"))
}

/// `PartitionRecord` to `PARTITION_RECORD`, as Kafka's `MetadataRecordType` has it.
fn upper_snake(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

/// What a control record says.
pub(super) struct Control {
    pub(super) text: String,
    pub(super) json: Value,
}

/// Reads a control record.
pub(super) fn control_record(record: &DumpRecord<'_>) -> Control {
    let key = record.key.unwrap_or_default();
    let value = record.value.unwrap_or_default();
    let quorum = |label: &str, name: &str| {
        let data = quorum_record(name, value);
        let json = json!({ "type": name, "data": serde_json::from_str::<Value>(&data).unwrap_or(json!(data)) });
        Control { text: format!("{label} {data}"), json }
    };
    match ControlRecordType::from_key(key) {
        Some(ControlRecordType::Abort) => end_of_transaction("ABORT", value),
        Some(ControlRecordType::Commit) => end_of_transaction("COMMIT", value),
        Some(ControlRecordType::LeaderChange) => quorum("LeaderChange:", "LeaderChangeMessage"),
        Some(ControlRecordType::SnapshotHeader) => quorum("SnapshotHeader", "SnapshotHeaderRecord"),
        Some(ControlRecordType::SnapshotFooter) => quorum("SnapshotFooter", "SnapshotFooterRecord"),
        Some(ControlRecordType::KRaftVersion) => quorum("KRaftVersion", "KRaftVersionRecord"),
        Some(ControlRecordType::KRaftVoters) => quorum("KRaftVoters", "VotersRecord"),
        None => {
            let number = key.get(2..).and_then(|b| b.first_chunk::<2>()).map_or(-1, |b| i16::from_be_bytes(*b));
            Control { text: format!("controlType: UNKNOWN({number})"), json: json!({ "type": number }) }
        }
    }
}

fn end_of_transaction(kind: &str, value: &[u8]) -> Control {
    // version i16, coordinator epoch i32
    let epoch = value.get(2..).and_then(|b| b.first_chunk::<4>()).map_or(-1, |b| i32::from_be_bytes(*b));
    Control {
        text: format!("endTxnMarker: {kind} coordinatorEpoch: {epoch}"),
        json: json!({ "type": kind, "coordinator_epoch": epoch }),
    }
}

/// They begin with their version.
fn quorum_record(name: &str, value: &[u8]) -> String {
    let version = value.first_chunk::<2>().map_or(0, |b| i16::from_be_bytes(*b));
    let Some(schema) = named(name) else { return "{}".to_owned() };
    to_json(schema, &mut Reader::new(value), version).unwrap_or_else(|e| format!("({e})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_are_none_are_told_in_a_sentence() {
        assert_eq!(record(Some(&[1, 20, 0, 0])).as_deref(), Ok(r#"{"type":"NO_OP_RECORD","version":0,"data":{}}"#));
        for (bytes, part) in [
            (&[][..], "frame version"),
            (&[2, 20, 0, 0], "frame version 2"),
            (&[1, 99, 0], "Unknown metadata id 99"),
            (&[1, 20, 9, 0], "type 20"),
            (&[1, 20, 0, 0, 7], "1 byte(s) of garbage"),
        ] {
            let reason = record(Some(bytes)).expect_err("no record");
            assert!(reason.contains(part), "{reason}");
        }
        assert!(record(None).is_err());
    }
}
