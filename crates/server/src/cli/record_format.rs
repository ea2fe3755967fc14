//! How `ottla consume` writes a record: columns, a format of the user's own (as kcat's `-f`), or a JSON object a line.

use std::fmt::Write;

use ottla_client::ConsumerRecord;
use serde_json::{Value, json};

use crate::logging::Utc;

/// A way to write records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RecordFormat {
    /// Parts of the record and literal text.
    Parts(Vec<Part>),
    /// One JSON object a line.
    Json,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Topic,
    Partition,
    Offset,
    Timestamp,
    TimeOfDay,
    Key,
    Value,
    KeyLength,
    ValueLength,
    Headers,
}

/// Which columns stand before the value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Columns {
    pub(super) timestamp: bool,
    pub(super) partition: bool,
    pub(super) offset: bool,
    pub(super) headers: bool,
    pub(super) key: bool,
}

impl RecordFormat {
    /// Columns with `separator` between them, the value last.
    pub(super) fn columns(columns: Columns, separator: &str) -> Self {
        let chosen = [
            (columns.timestamp, Part::TimeOfDay),
            (columns.partition, Part::Partition),
            (columns.offset, Part::Offset),
            (columns.headers, Part::Headers),
            (columns.key, Part::Key),
        ];
        let mut parts = Vec::new();
        for (_, part) in chosen.into_iter().filter(|(wanted, _)| *wanted) {
            parts.extend([part, Part::Text(separator.to_owned())]);
        }
        parts.extend([Part::Value, Part::Text("\n".to_owned())]);
        Self::Parts(parts)
    }

    /// Reads `%t %p %o %T %k %s %K %S %h %%` and `\n \t \r \\`.
    ///
    /// # Errors
    /// A sentence that names what is unknown.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => literal.push(match chars.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some('\\') | None => '\\',
                    Some(other) => return Err(format!("`\\{other}` is unknown; \\n, \\t, \\r and \\\\ are possible")),
                }),
                '%' => {
                    let part = match chars.next() {
                        Some('%') => {
                            literal.push('%');
                            continue;
                        }
                        Some('t') => Part::Topic,
                        Some('p') => Part::Partition,
                        Some('o') => Part::Offset,
                        Some('T') => Part::Timestamp,
                        Some('k') => Part::Key,
                        Some('s') => Part::Value,
                        Some('K') => Part::KeyLength,
                        Some('S') => Part::ValueLength,
                        Some('h') => Part::Headers,
                        other => {
                            let other = other.map(String::from).unwrap_or_default();
                            return Err(format!(
                                "`%{other}` is unknown; %t topic, %p partition, %o offset, %T timestamp, %k key, %s value, \
                                 %K and %S their lengths, %h headers and %% are possible"
                            ));
                        }
                    };
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(part);
                }
                c => literal.push(c),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self::Parts(parts))
    }

    /// Appends a record as this format writes it; bytes of keys and values as they are.
    pub(super) fn write(&self, out: &mut Vec<u8>, record: &ConsumerRecord) {
        match self {
            Self::Json => {
                out.extend_from_slice(json(record).to_string().as_bytes());
                out.push(b'\n');
            }
            Self::Parts(parts) => parts.iter().for_each(|part| part.write(out, record)),
        }
    }
}

impl Part {
    fn write(&self, out: &mut Vec<u8>, record: &ConsumerRecord) {
        let length = |bytes: Option<&[u8]>| bytes.map_or(-1, |b| b.len() as i64);
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::Topic => record.topic.to_string(),
            Self::Partition => record.partition.to_string(),
            Self::Offset => record.offset.to_string(),
            Self::Timestamp => record.timestamp_ms.to_string(),
            Self::TimeOfDay if record.timestamp_ms < 0 => "-".to_owned(),
            Self::TimeOfDay => Utc(record.timestamp_ms).to_string(),
            Self::KeyLength => length(record.key.as_deref()).to_string(),
            Self::ValueLength => length(record.value.as_deref()).to_string(),
            Self::Headers => headers(record),
            Self::Key => return out.extend_from_slice(record.key.as_deref().unwrap_or(b"null")),
            Self::Value => return out.extend_from_slice(record.value.as_deref().unwrap_or(b"null")),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

fn headers(record: &ConsumerRecord) -> String {
    let mut text = String::new();
    for (key, value) in &record.headers {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value.as_deref().map_or("null".into(), String::from_utf8_lossy);
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{}={value}", String::from_utf8_lossy(key));
    }
    text
}

/// Text as a string; other bytes as `{"hex": "…"}`, so that nothing is lost.
fn bytes(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|b| (b, std::str::from_utf8(b))) {
        None => Value::Null,
        Some((_, Ok(text))) => Value::String(text.to_owned()),
        Some((b, Err(_))) => json!({ "hex": b.iter().map(|b| format!("{b:02x}")).collect::<String>() }),
    }
}

fn json(record: &ConsumerRecord) -> Value {
    json!({
        "topic": &*record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": bytes(record.key.as_deref()),
        "value": bytes(record.value.as_deref()),
        "headers": record.headers.iter().map(|(k, v)| json!([bytes(Some(k)), bytes(v.as_deref())])).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use ottla_protocol::record_batch::TimestampType;

    use super::*;

    fn record() -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition: 2,
            offset: 7,
            leader_epoch: 0,
            timestamp_ms: 1000,
            timestamp_type: TimestampType::CreateTime,
            key: None,
            value: Some(b"v\xff".to_vec().into()),
            headers: vec![(b"h".to_vec().into(), Some(b"1".to_vec().into())), (b"h".to_vec().into(), None)],
        }
    }

    fn written(format: &RecordFormat) -> Vec<u8> {
        let mut out = Vec::new();
        format.write(&mut out, &record());
        out
    }

    #[test]
    fn a_format_of_the_users_own_names_every_part() {
        let format = RecordFormat::parse("%t/%p@%o %T %k %S %h%%\\n").expect("known parts");
        assert_eq!(written(&format), b"t/2@7 1000 null 2 h=1,h=null%\n");
        assert!(RecordFormat::parse("%x").is_err() && RecordFormat::parse("\\x").is_err());
    }

    #[test]
    fn columns_stand_before_the_value_and_bytes_stay_as_they_are() {
        let columns = Columns { timestamp: true, offset: true, ..Columns::default() };
        assert_eq!(written(&RecordFormat::columns(columns, "|")), b"1970-01-01T00:00:01.000Z|7|v\xff\n");
    }

    #[test]
    fn json_loses_nothing() {
        let text = String::from_utf8(written(&RecordFormat::Json)).expect("JSON is text");
        assert!(text.contains(r#""value":{"hex":"76ff"}"#) && text.contains(r#""key":null"#), "{text}");
        assert!(text.contains(r#""headers":[["h","1"],["h",null]]"#) && text.ends_with('\n'), "{text}");
    }
}
