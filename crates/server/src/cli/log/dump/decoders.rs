//! How keys and values of records are read: as text or numbers, or as the records of one of Kafka's internal topics.

use anyhow::{Context as _, bail};
use ottla_protocol::reader::Reader;
use ottla_protocol::schema::{LOGGED, MessageKind, MessageSchema};
use serde_json::Value;

use super::record::DumpRecord;
use super::{DecoderArgs, message_json, metadata, remote_log};

/// The class that reads bytes as UTF-8, which is what happens when none is named.
pub(super) const STRING: &str = "org.apache.kafka.tools.api.StringDecoder";

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    Plain { key: Plain, value: Plain },
    Coordinator(Topic),
    ClusterMetadata,
    RemoteLog,
}

/// What needs no definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    Text,
    Integer,
    Long,
}

/// A coordinator's topic. The numbers of record types mean something else in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Offsets,
    Transactions,
    ShareGroups,
}

/// What became of a record. Text that is JSON begins with `{`.
pub(super) struct Parsed {
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    /// Whether a definition made them, so that they may be JSON.
    from_definition: bool,
}

impl Parsed {
    /// For `-o json`: the message itself instead of its text.
    pub(super) fn json_of(&self, text: &str) -> Value {
        let message = if self.from_definition { serde_json::from_str(text).ok() } else { None };
        message.unwrap_or_else(|| Value::String(text.to_owned()))
    }
}

impl Decoder {
    pub(super) fn chosen(args: &DecoderArgs) -> anyhow::Result<Self> {
        let plain = |class: &Option<String>| class.as_deref().map_or(Ok(Plain::Text), Plain::of_class);
        Ok(if args.offsets_decoder {
            Self::Coordinator(Topic::Offsets)
        } else if args.transaction_log_decoder {
            Self::Coordinator(Topic::Transactions)
        } else if args.cluster_metadata_decoder {
            Self::ClusterMetadata
        } else if args.remote_log_metadata_decoder {
            Self::RemoteLog
        } else if args.share_group_state_decoder {
            Self::Coordinator(Topic::ShareGroups)
        } else {
            Self::Plain { key: plain(&args.key_decoder_class)?, value: plain(&args.value_decoder_class)? }
        })
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Where Kafka's tool ends too: no key where there must be one, a number of too few bytes.
    pub(super) fn parse(&self, record: &DumpRecord<'_>) -> anyhow::Result<Parsed> {
        match self {
            Self::Plain { key, value } => Ok(Parsed {
                key: record.key.map(|bytes| key.read(bytes, record.offset)).transpose()?,
                value: record.value.map(|bytes| value.read(bytes, record.offset)).transpose()?,
                from_definition: false,
            }),
            Self::Coordinator(topic) => topic.parse(record),
            // Their records have no keys.
            Self::ClusterMetadata => {
                let text = metadata::record(record.value)
                    .unwrap_or_else(|e| format!("Error at {}, skipping. {e}", record.offset));
                Ok(Parsed { key: None, value: Some(text), from_definition: true })
            }
            Self::RemoteLog => {
                let text = remote_log::record(record.value)
                    .unwrap_or_else(|e| format!("Error at offset {}, skipping. {e}", record.offset));
                Ok(Parsed { key: None, value: Some(text), from_definition: true })
            }
        }
    }
}

impl Plain {
    fn of_class(class: &str) -> anyhow::Result<Self> {
        Ok(match class.strip_prefix("org.apache.kafka.tools.api.").unwrap_or(class) {
            "StringDecoder" => Self::Text,
            "IntegerDecoder" => Self::Integer,
            "LongDecoder" => Self::Long,
            _ => bail!(
                "`{class}` is a Java class, which Ottla cannot run; of Kafka's own it knows StringDecoder, IntegerDecoder and \
                 LongDecoder, and the decoders of internal topics have flags of their own"
            ),
        })
    }

    fn read(self, bytes: &[u8], offset: i64) -> anyhow::Result<String> {
        let short = || format!("the record at offset {offset} has fewer bytes than the decoder wants");
        Ok(match self {
            Self::Text => java_text(bytes),
            Self::Integer => i32::from_be_bytes(*bytes.first_chunk::<4>().with_context(short)?).to_string(),
            Self::Long => i64::from_be_bytes(*bytes.first_chunk::<8>().with_context(short)?).to_string(),
        })
    }
}

/// Bytes as Java reads them as UTF-8: what is none becomes U+FFFD, as here, but one of them for a surrogate, also for one
/// whose last byte is missing.
fn java_text(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|w| matches!(w, [0xed, 0xa0..=0xbf])) {
        let (before, surrogate) = rest.split_at(at);
        out.push_str(&String::from_utf8_lossy(before));
        out.push(char::REPLACEMENT_CHARACTER);
        let len = if matches!(surrogate, [_, _, 0x80..=0xbf, ..]) { 3 } else { 2 };
        rest = surrogate.get(len..).unwrap_or_default();
    }
    out.push_str(&String::from_utf8_lossy(rest));
    out
}

impl Topic {
    fn parse(self, record: &DumpRecord<'_>) -> anyhow::Result<Parsed> {
        let Some(key) = record.key else {
            bail!(
                "Failed to decode message at offset {} using the specified decoder (message had a missing key)",
                record.offset
            );
        };
        Ok(match self.read(key, record.value) {
            Ok((key, value)) => Parsed { key: Some(key), value: Some(value), from_definition: true },
            Err(Unread::Type(number)) => {
                let text = format!("Unknown record type {number} at offset {}, skipping.", record.offset);
                Parsed { key: Some(text), value: None, from_definition: true }
            }
            Err(Unread::Other(reason)) => {
                let text = format!("Error at offset {}, skipping. {reason}", record.offset);
                Parsed { key: Some(text), value: None, from_definition: true }
            }
        })
    }

    fn read(self, key: &[u8], value: Option<&[u8]>) -> Result<(String, String), Unread> {
        let mut r = Reader::new(key);
        let number = r.i16().map_err(|_| Unread::Other("Could not read version from key's buffer.".to_owned()))?;
        let schema = self.schema(MessageKind::CoordinatorKey, number).ok_or(Unread::Type(number))?;
        let data = message_json::to_json(schema, &mut r, 0).map_err(|e| {
            Unread::Other(format!("Could not read record with version {number} from key's buffer due to: {e}."))
        })?;
        let key = format!("{{\"type\":\"{number}\",\"data\":{data}}}");
        let Some(value) = value else { return Ok((key, "<DELETE>".to_owned())) };
        let mut r = Reader::new(value);
        let version = r.i16().map_err(|_| Unread::Other("Could not read version from value's buffer.".to_owned()))?;
        let schema = self.schema(MessageKind::CoordinatorValue, number).ok_or(Unread::Type(number))?;
        let read =
            if schema.name == "GroupMetadataValue" { message_json::group_to_json } else { message_json::to_json };
        let data = read(schema, &mut r, version).map_err(|e| {
            Unread::Other(format!("Could not read record with version {version} from value's buffer due to: {e}."))
        })?;
        Ok((key, format!("{{\"version\":\"{version}\",\"data\":{data}}}")))
    }

    fn schema(self, kind: MessageKind, number: i16) -> Option<&'static MessageSchema> {
        LOGGED.iter().find(|m| m.kind == kind && m.key == Some(number) && Self::of(m) == self)
    }

    fn of(schema: &MessageSchema) -> Self {
        if schema.name.starts_with("TransactionLog") {
            Self::Transactions
        } else if schema.name.starts_with("ShareSnapshot") || schema.name.starts_with("ShareUpdate") {
            Self::ShareGroups
        } else {
            Self::Offsets
        }
    }
}

/// Why a record of a coordinator was not read.
enum Unread {
    Type(i16),
    Other(String),
}

#[cfg(test)]
mod tests {
    use super::java_text;

    /// As `new String(bytes, UTF_8)` of Java 17 answered. The bytes of a random topic id were of the first of these kinds once.
    #[test]
    fn a_surrogate_is_one_character_that_is_none() {
        assert_eq!(java_text(b"a\xed\xa0\x80b\xffc\xc3\xbc"), "a\u{fffd}b\u{fffd}c\u{fc}");
        for (bytes, text) in [
            (&b"\xed\xa0\0"[..], "\u{fffd}\0"),
            (b"\xed\xa0", "\u{fffd}"),
            (b"\xed\0", "\u{fffd}\0"),
            (b"\xed\xbf\xed\xa0A", "\u{fffd}\u{fffd}A"),
            (b"\xe1\xed\xa0\x80A", "\u{fffd}\u{fffd}A"),
        ] {
            assert_eq!(java_text(bytes), text, "{bytes:x?}");
        }
    }
}
