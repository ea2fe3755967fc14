//! Messages as the JSON that Kafka's `*JsonConverter` classes and Jackson make of them, character by character: no spaces,
//! names in camel case, bytes in base64, fields in the order of their definition.

use ottla_protocol::reader::{DecodeError, Reader};
use ottla_protocol::schema::{MessageSchema, Scalar, Visitor, named};

/// The JSON of the message at the start of `r`'s bytes.
///
/// # Errors
/// When the bytes are not that message.
pub(super) fn to_json(schema: &MessageSchema, r: &mut Reader<'_>, version: i16) -> Result<String, DecodeError> {
    let mut writer = JsonWriter::default();
    schema.visit(r, version, &mut writer)?;
    Ok(writer.out)
}

/// As [`to_json`], of a classic group; the bytes in which members of a group of consumers say what they want and got are
/// told field by field too.
///
/// # Errors
/// When the bytes are not that message.
pub(super) fn group_to_json(schema: &MessageSchema, r: &mut Reader<'_>, version: i16) -> Result<String, DecodeError> {
    let mut writer = JsonWriter { group: Some(false), ..JsonWriter::default() };
    schema.visit(r, version, &mut writer)?;
    Ok(writer.out)
}

#[derive(Default)]
struct JsonWriter {
    out: String,
    field: &'static str,
    /// In a classic group, whether its protocol is that of consumers.
    group: Option<bool>,
}

impl JsonWriter {
    /// A value follows: behind another one of its array, a comma goes first.
    fn begin_value(&mut self) {
        if !matches!(self.out.as_bytes().last(), None | Some(b'[' | b'{' | b':')) {
            self.out.push(',');
        }
    }

    fn member_bytes(&self, bytes: &[u8]) -> Option<String> {
        if self.group != Some(true) {
            return None;
        }
        let name = match self.field {
            "subscription" => "ConsumerProtocolSubscription",
            "assignment" => "ConsumerProtocolAssignment",
            _ => return None,
        };
        let mut r = Reader::new(bytes);
        let version = r.i16().ok()?;
        to_json(named(name)?, &mut r, version).ok()
    }
}

impl Visitor for JsonWriter {
    fn begin_struct(&mut self) {
        self.begin_value();
        self.out.push('{');
    }

    fn field(&mut self, name: &'static str) {
        self.begin_value();
        self.field = name;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    fn end_struct(&mut self) {
        self.out.push('}');
    }

    fn begin_array(&mut self) {
        self.begin_value();
        self.out.push('[');
    }

    fn end_array(&mut self) {
        self.out.push(']');
    }

    fn scalar(&mut self, value: Scalar<'_>) {
        self.begin_value();
        match value {
            Scalar::Null => self.out.push_str("null"),
            Scalar::Bool(b) => self.out.push_str(if b { "true" } else { "false" }),
            Scalar::Int(n) => self.out.push_str(&n.to_string()),
            Scalar::Float(f) => self.out.push_str(&java_double(f)),
            Scalar::Uuid(id) => self.out.push_str(&format!("\"{id}\"")),
            Scalar::Text(text) => {
                if self.field == "protocolType" && self.group.is_some() {
                    self.group = Some(text == "consumer");
                }
                push_quoted(&mut self.out, text);
            }
            Scalar::Bytes(bytes) => match self.member_bytes(bytes) {
                Some(json) => self.out.push_str(&json),
                None => self.out.push_str(&format!("\"{}\"", base64(bytes))),
            },
        }
    }
}

/// Text in quotes, as Jackson escapes it.
fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// As `Double.toString`: plain from 10^-3 up to 10^7, else with an exponent.
fn java_double(f: f64) -> String {
    let size = f.abs();
    if !f.is_finite() {
        let name = if f.is_nan() {
            "NaN"
        } else if f > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        return format!("\"{name}\"");
    }
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{f:?}");
    }
    let text = format!("{f:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for piece in bytes.chunks(3) {
        let at = |i: usize| u32::from(piece.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= piece.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_numbers_and_bytes_look_as_in_kafka() {
        let mut text = String::new();
        push_quoted(&mut text, "a\"\\\n\u{1}ü/");
        assert_eq!(text, r#""a\"\\\n\u0001ü/""#);
        let doubles = [(1000.0, "1000.0"), (1e7, "1.0E7"), (0.0005, "5.0E-4"), (1.25e-9, "1.25E-9"), (0.0, "0.0")];
        for (f, text) in doubles {
            assert_eq!(java_double(f), text);
        }
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"\xff\xfe\xfd", "//79")]
        {
            assert_eq!(base64(bytes), text);
        }
    }
}
