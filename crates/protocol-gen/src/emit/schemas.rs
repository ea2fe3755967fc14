//! Definitions as data: one static table for each message that lies in a log, from which `ottla-protocol` reads bytes
//! without the message's own type and tells each field by Kafka's name.

use std::fmt::Write as _;

use crate::definition::{Field, Kind, Message, Type, Versions};

/// The tables, and the list of all of them. Requests, responses and headers have none: they never lie in a log.
#[must_use]
pub fn emit_schemas(files: &[(String, Message)]) -> String {
    let mut out = String::from(
        "/// Every message that may lie in a log or in a file beside it.\npub static LOGGED: &[MessageSchema] = &[\n",
    );
    for (_, m) in files {
        let (Some(kind), Some(versions)) = (kind(m.kind), m.versions) else { continue };
        let _ = writeln!(
            out,
            "    MessageSchema {{ name: \"{}\", kind: MessageKind::{kind}, key: {:?}, versions: {}, first_flexible: {:?}, fields: {} }},",
            m.name,
            m.key,
            range(versions),
            m.flexible.map(|f| f.first),
            fields(m, &m.fields)
        );
    }
    out.push_str("];\n");
    out
}

fn kind(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Metadata => Some("Metadata"),
        Kind::CoordinatorKey => Some("CoordinatorKey"),
        Kind::CoordinatorValue => Some("CoordinatorValue"),
        Kind::Data => Some("Data"),
        Kind::Request | Kind::Response | Kind::Header => None,
    }
}

fn range(v: Versions) -> String {
    format!("({}, {})", v.first, v.last)
}

fn fields(m: &Message, fields: &[Field]) -> String {
    let mut out = String::from("&[");
    for f in fields {
        let nullable = f.nullable.map_or("None".to_owned(), |v| format!("Some({})", range(v)));
        let tag = f.tag.map_or("None".to_owned(), |(tag, v)| format!("Some(({tag}, {}))", range(v)));
        let _ = write!(
            out,
            "FieldSchema {{ name: \"{}\", ty: {}, versions: {}, nullable: {nullable}, tag: {tag}, classic: {} }}, ",
            lower_first(&f.name),
            type_of(m, &f.ty),
            range(f.versions),
            f.never_flexible
        );
    }
    out.push(']');
    out
}

fn type_of(m: &Message, ty: &Type) -> String {
    match ty {
        Type::Struct(name) => format!("TypeSchema::Struct({})", fields(m, m.fields_of(name))),
        Type::Array(element) => format!("TypeSchema::Array(&{})", type_of(m, element)),
        plain => format!("TypeSchema::{plain:?}"),
    }
}

/// Kafka's JSON has the names so.
fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}
