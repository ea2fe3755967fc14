//! Reads the notation of `crates/protocol/messages/*.kmsg`.
//!
//! A file is one message, then the structs it shares; a line is one field:
//!
//! ```text
//! /// What it is for.
//! request FetchRequest key 1 versions 4-18 flexible 12+ on broker controller {
//!   ClusterId string 12+ nullable 12+ tag 0 12+ ignorable = null
//!   Topics []FetchTopic 0+ {
//!     Topic string 0-12 ignorable
//!   }
//! }
//! ```

use crate::definition::{Field, Kind, Message, Struct, Type, Versions};

/// Parses one definition.
///
/// # Errors
/// `line: what is wrong`.
pub fn parse(text: &str) -> Result<Message, String> {
    let mut lines = Lines { rest: text.lines().enumerate().collect(), at: 0 };
    let doc = lines.doc();
    let (n, head) = lines.next().ok_or("1: the file is empty")?;
    let mut message = head_line(head, doc).map_err(|e| format!("{}: {e}", n + 1))?;
    message.fields = lines.fields()?;
    loop {
        let doc = lines.doc();
        let Some((n, line)) = lines.next() else { break };
        let mut words = line.split_whitespace();
        let (Some("struct"), Some(name), Some(versions), Some("{")) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(format!("{}: expected `struct Name VERSIONS {{`, found `{line}`", n + 1));
        };
        let versions = range(versions).map_err(|e| format!("{}: {e}", n + 1))?;
        message.structs.push(Struct { name: name.to_owned(), doc, versions, fields: lines.fields()? });
    }
    Ok(message)
}

struct Lines<'a> {
    rest: Vec<(usize, &'a str)>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<(usize, &'a str)> {
        while let Some((n, line)) = self.rest.get(self.at) {
            self.at += 1;
            let line = line.trim();
            if !line.is_empty() {
                return Some((*n, line));
            }
        }
        None
    }

    /// Takes the `///` lines that stand here.
    fn doc(&mut self) -> Vec<String> {
        let mut doc = Vec::new();
        while let Some((_, line)) = self.next() {
            match line.strip_prefix("///") {
                Some(text) => doc.push(text.strip_prefix(' ').unwrap_or(text).to_owned()),
                None => {
                    self.at -= 1;
                    break;
                }
            }
        }
        doc
    }

    /// Takes fields up to and with the closing brace.
    fn fields(&mut self) -> Result<Vec<Field>, String> {
        let mut fields = Vec::new();
        loop {
            let doc = self.doc();
            let (n, line) = self.next().ok_or("the last brace is missing")?;
            if line == "}" {
                return Ok(fields);
            }
            let (line, nested) = match line.strip_suffix('{') {
                Some(line) => (line, true),
                None => (line, false),
            };
            let mut field = field_line(line, doc).map_err(|e| format!("{}: {e}", n + 1))?;
            if nested {
                field.fields = Some(self.fields()?);
            }
            fields.push(field);
        }
    }
}

fn head_line(line: &str, doc: Vec<String>) -> Result<Message, String> {
    let mut words = line.split_whitespace();
    let kind = match words.next() {
        Some("request") => Kind::Request,
        Some("response") => Kind::Response,
        Some("header") => Kind::Header,
        Some("metadata") => Kind::Metadata,
        Some("coordinator-key") => Kind::CoordinatorKey,
        Some("coordinator-value") => Kind::CoordinatorValue,
        Some("data") => Kind::Data,
        other => return Err(format!("unknown kind {other:?}")),
    };
    let name = words.next().ok_or("the name is missing")?.to_owned();
    let mut m = Message {
        kind,
        name,
        doc,
        key: None,
        versions: None,
        flexible: None,
        latest_unstable: false,
        listeners: Vec::new(),
        fields: Vec::new(),
        structs: Vec::new(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` wants a value"));
        match word {
            "key" => m.key = Some(value()?.parse().map_err(|e| format!("key: {e}"))?),
            "versions" => m.versions = optional_range(value()?)?,
            "flexible" => m.flexible = optional_range(value()?)?,
            "latest-unstable" => m.latest_unstable = true,
            "on" | "{" => {}
            "broker" | "controller" => m.listeners.push(word.to_owned()),
            other => return Err(format!("unknown word `{other}`")),
        }
    }
    Ok(m)
}

fn field_line(line: &str, doc: Vec<String>) -> Result<Field, String> {
    let (line, default) = match line.split_once(" = ") {
        Some((line, default)) => (line, Some(default.trim().trim_matches('"').to_owned())),
        None => (line, None),
    };
    let mut words = line.split_whitespace();
    let mut need = |what: &str| words.next().ok_or_else(|| format!("the {what} is missing"));
    let mut field = Field {
        name: need("name")?.to_owned(),
        doc,
        ty: ty(need("type")?),
        versions: range(need("version range")?)?,
        nullable: None,
        tag: None,
        ignorable: false,
        key: false,
        never_flexible: false,
        default,
        fields: None,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` wants a value"));
        match word {
            "nullable" => field.nullable = Some(range(value()?)?),
            "tag" => {
                let tag = value()?.parse().map_err(|e| format!("tag: {e}"))?;
                field.tag = Some((tag, range(value()?)?));
            }
            "ignorable" => field.ignorable = true,
            "key" => field.key = true,
            "flexible" => field.never_flexible = optional_range(value()?)?.is_none(),
            other => return Err(format!("unknown word `{other}`")),
        }
    }
    Ok(field)
}

fn ty(word: &str) -> Type {
    match word {
        "bool" => Type::Bool,
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "uint16" => Type::Uint16,
        "int32" => Type::Int32,
        "uint32" => Type::Uint32,
        "int64" => Type::Int64,
        "float64" => Type::Float64,
        "uuid" => Type::Uuid,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        other => match other.strip_prefix("[]") {
            Some(element) => Type::Array(Box::new(ty(element))),
            None => Type::Struct(other.to_owned()),
        },
    }
}

fn optional_range(word: &str) -> Result<Option<Versions>, String> {
    if word == "none" { Ok(None) } else { range(word).map(Some) }
}

fn range(word: &str) -> Result<Versions, String> {
    let number = |s: &str| s.parse::<i16>().map_err(|_| format!("`{word}` is no version range"));
    if let Some(first) = word.strip_suffix('+') {
        return Ok(Versions { first: number(first)?, last: i16::MAX });
    }
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Ok(Versions { first: number(first)?, last: number(last)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_read_with_every_word_it_has() {
        let m = parse(
            "/// For the test.\nrequest XRequest key 7 versions 1-3 flexible 2+ on broker {\n  /// Why.\n  A string 1+ nullable 2+ tag 4 3+ ignorable key = null\n  B []Part 1+ {\n    C int32 1+ = -1\n  }\n}\n\nstruct Other 2+ {\n  D uuid 2+\n}\n",
        )
        .expect("parses");
        assert_eq!((m.kind, m.key, m.doc.len(), m.structs.len()), (Kind::Request, Some(7), 1, 1));
        let a = &m.fields[0];
        assert_eq!(a.tag, Some((4, Versions { first: 3, last: i16::MAX })));
        assert!(a.ignorable && a.key && a.nullable.is_some());
        assert_eq!(a.default.as_deref(), Some("null"));
        assert_eq!(m.fields[1].fields.as_ref().map(Vec::len), Some(1));
    }

    #[test]
    fn an_error_names_the_line() {
        assert_eq!(
            parse("data X versions 0 flexible none {\n  A int32 zero\n}\n"),
            Err("2: `zero` is no version range".to_owned())
        );
    }
}
