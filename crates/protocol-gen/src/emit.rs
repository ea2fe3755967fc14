//! Writes the Rust of one message: a struct per Kafka struct, with `decode`, `encode` and Kafka's defaults.
//!
//! What is emitted borrows from the frame (`&'a str`, `&'a [u8]`), asks the reader before it allocates
//! (`Reader::array`), and leaves typed holes for record bytes (`Writer::records`). The emitted text relies only on
//! `crate::{reader, writer, message}` of `ottla-protocol`.

mod expressions;
mod schemas;

use std::fmt::Write as _;

use crate::definition::{Field, Kind, Message, Versions};
use expressions::{default, differs, ident};

pub use schemas::emit_schemas;

/// The module of one message, or `None` for one that has no valid version left.
#[must_use]
pub fn emit(message: &Message) -> Option<String> {
    let valid = message.versions?;
    let emitter = Emitter { message, valid };
    let mut out = String::from(
        "#[allow(unused_imports)]\nuse crate::{ids::Uuid, message::{Message, Records, UnknownTags}, reader::{DecodeError, Reader}, writer::{EncodeError, Writer}};\n\n",
    );
    emitter.structure(&mut out, &message.name, &message.doc, &message.fields, valid);
    for s in &message.structs {
        if let Some(versions) = s.versions.intersect(valid) {
            emitter.structure(&mut out, &s.name, &s.doc, &s.fields, versions);
        }
    }
    emitter.message_impl(&mut out);
    Some(out)
}

/// The index of all messages: their modules, and the macro that names every type.
#[must_use]
pub fn emit_index(files: &[(String, Message)]) -> String {
    let mut out = String::new();
    let live: Vec<_> = files.iter().filter(|(_, m)| m.versions.is_some()).collect();
    for (module, m) in &live {
        for line in &m.doc {
            let _ = writeln!(out, "/// {line}");
        }
        let _ = writeln!(
            out,
            "#[allow(missing_docs, clippy::all, clippy::pedantic, unused_mut, unused_variables, unused_assignments)]\n#[rustfmt::skip]\npub mod {module} {{ include!(concat!(env!(\"OUT_DIR\"), \"/messages/{module}.rs\")); }}"
        );
    }
    out.push_str("/// Calls the macro `$m` with every message type, so that a test can visit all of them.\n#[macro_export]\nmacro_rules! for_each_message {\n    ($m:ident) => { $m! {\n");
    for (module, m) in &live {
        let _ = writeln!(out, "        {module}::{},", m.name);
    }
    out.push_str("    } };\n}\n");
    out
}

/// The rows of `api.rs`: one for each request, in the order of keys.
#[must_use]
pub fn emit_api_keys(files: &[(String, Message)]) -> String {
    let mut requests: Vec<_> =
        files.iter().map(|(_, m)| m).filter(|m| m.kind == Kind::Request && m.versions.is_some()).collect();
    requests.sort_by_key(|m| m.key);
    let mut out = String::from("api_keys! {\n");
    for m in requests {
        let (Some(key), Some(v)) = (m.key, m.versions) else { continue };
        let on = |listener: &str| m.listeners.iter().any(|l| l == listener);
        let _ = writeln!(
            out,
            "    {} = {key}, {}, {}, {}, {}, {};",
            m.name.trim_end_matches("Request"),
            v.first,
            v.last - i16::from(m.latest_unstable),
            m.flexible.map_or(-1, |f| f.first),
            on("broker"),
            on("controller"),
        );
    }
    out.push_str("}\n");
    out
}

struct Emitter<'a> {
    message: &'a Message,
    valid: Versions,
}

impl Emitter<'_> {
    fn structure(&self, out: &mut String, name: &str, doc: &[String], fields: &[Field], versions: Versions) {
        let fields: Vec<&Field> = fields.iter().filter(|f| f.versions.intersect(self.valid).is_some()).collect();
        for line in doc {
            let _ = writeln!(out, "/// {line}");
        }
        let _ = writeln!(out, "#[derive(Debug, Clone, PartialEq)]\npub struct {name}<'a> {{");
        for f in &fields {
            for line in &f.doc {
                let _ = writeln!(out, "    /// {line}");
            }
            let _ = writeln!(out, "    pub {}: {},", ident(f), self.rust_type(f));
        }
        out.push_str("    /// Tagged fields that this version of the definition does not know.\n    pub unknown_tagged_fields: UnknownTags<'a>,\n}\n\n");
        let _ = writeln!(out, "impl<'a> Default for {name}<'a> {{\n    fn default() -> Self {{\n        Self {{");
        for f in &fields {
            let _ = writeln!(out, "            {}: {},", ident(f), default(f));
        }
        out.push_str("            unknown_tagged_fields: UnknownTags::default(),\n        }\n    }\n}\n\n");
        let _ = writeln!(out, "impl<'a> {name}<'a> {{");
        self.decode(out, &fields, versions);
        self.encode(out, name, &fields, versions);
        out.push_str("}\n\n");
        for f in &fields {
            if let (Some(inner), Some(name)) = (&f.fields, f.ty.struct_name())
                && let Some(versions) = f.versions.intersect(versions)
            {
                self.structure(out, name, &f.doc, inner, versions);
            }
        }
    }

    fn flex(&self) -> String {
        match self.message.flexible {
            Some(f) if f.first <= self.valid.first => "true".to_owned(),
            Some(f) => format!("version >= {}", f.first),
            None => "false".to_owned(),
        }
    }

    /// A condition that holds for the versions in `range`, or `None` when it always does within `context`.
    fn condition(range: Versions, context: Versions) -> Option<String> {
        let mut parts = Vec::new();
        if range.first > context.first {
            parts.push(format!("version >= {}", range.first));
        }
        if range.last < context.last {
            parts.push(format!("version <= {}", range.last));
        }
        (!parts.is_empty()).then(|| parts.join(" && "))
    }

    fn decode(&self, out: &mut String, fields: &[&Field], context: Versions) {
        let _ = writeln!(
            out,
            "    pub(crate) fn decode_body(r: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {{\n        let flex = {};\n        let mut out = Self::default();",
            self.flex()
        );
        for f in fields.iter().filter(|f| f.tag.is_none()) {
            let read = format!("out.{} = {};", ident(f), self.read(f, context));
            match Self::condition(f.versions, context) {
                Some(c) => {
                    let _ = writeln!(out, "        if {c} {{ {read} }}");
                }
                None => {
                    let _ = writeln!(out, "        {read}");
                }
            }
        }
        if self.message.flexible.is_some() && fields.iter().all(|f| f.tag.is_none()) {
            out.push_str("        if flex { r.unknown_tags(&mut out.unknown_tagged_fields)?; }\n");
        } else if self.message.flexible.is_some() {
            out.push_str("        if flex {\n            for _ in 0..r.tag_count()? {\n                let (tag, after) = r.begin_tag()?;\n                match tag {\n");
            for f in fields {
                if let Some((tag, versions)) = f.tag {
                    let guard = Self::condition(versions, context).map_or(String::new(), |c| format!(" if {c}"));
                    let _ = writeln!(
                        out,
                        "                    {tag}{guard} => {{ out.{} = {}; }}",
                        ident(f),
                        self.read(f, context)
                    );
                }
            }
            out.push_str("                    _ => r.unknown_tag(tag, &mut out.unknown_tagged_fields)?,\n                }\n                r.end_tag(after)?;\n            }\n        }\n");
        }
        out.push_str("        Ok(out)\n    }\n\n");
    }

    fn encode(&self, out: &mut String, name: &str, fields: &[&Field], context: Versions) {
        let _ = writeln!(
            out,
            "    pub(crate) fn encode_body(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {{\n        let flex = {};",
            self.flex()
        );
        for f in fields {
            let id = ident(f);
            let refuse = format!(
                "if {} {{ return Err(EncodeError::FieldUnsupported {{ message: \"{name}\", field: \"{id}\", version }}); }}",
                differs(f)
            );
            let condition = Self::condition(f.versions, context);
            match (f.tag.is_some(), condition) {
                (false, Some(c)) if f.ignorable => {
                    let _ = writeln!(out, "        if {c} {{ {} }}", self.write(f, context));
                }
                (false, Some(c)) => {
                    let _ = writeln!(out, "        if {c} {{ {} }} else {{ {refuse} }}", self.write(f, context));
                }
                (false, None) => {
                    let _ = writeln!(out, "        {}", self.write(f, context));
                }
                (true, Some(c)) if !f.ignorable => {
                    let _ = writeln!(out, "        if !({c}) {{ {refuse} }}");
                }
                (true, _) => {}
            }
        }
        if self.message.flexible.is_some() && fields.iter().all(|f| f.tag.is_none()) {
            out.push_str("        if flex { w.unknown_tags(&self.unknown_tagged_fields); }\n");
        } else if self.message.flexible.is_some() {
            self.encode_tags(out, fields, context);
        }
        let _ = writeln!(
            out,
            "        if !flex && !self.unknown_tagged_fields.is_empty() {{ return Err(EncodeError::FieldUnsupported {{ message: \"{name}\", field: \"unknown_tagged_fields\", version }}); }}\n        Ok(())\n    }}"
        );
    }

    fn encode_tags(&self, out: &mut String, fields: &[&Field], context: Versions) {
        let mut tagged: Vec<_> = fields.iter().filter_map(|f| f.tag.map(|(tag, v)| (tag, v, *f))).collect();
        tagged.sort_by_key(|t| t.0);
        let set = |f: &Field, v: Versions| match Self::condition(v, context) {
            Some(c) => format!("({c}) && {}", differs(f)),
            None => differs(f),
        };
        out.push_str("        if flex {\n            let mut tags = self.unknown_tagged_fields.len();\n");
        for (_, v, f) in &tagged {
            let _ = writeln!(out, "            if {} {{ tags += 1; }}", set(f, *v));
        }
        out.push_str(
            "            w.tag_count(tags);\n            let mut unknown = self.unknown_tagged_fields.iter();\n",
        );
        for (tag, v, f) in &tagged {
            let _ = writeln!(
                out,
                "            unknown.write_below(w, {tag});\n            if {} {{ let start = w.begin_tag({tag}); {} w.end_tag(start); }}",
                set(f, *v),
                self.write(f, context)
            );
        }
        out.push_str("            unknown.write_below(w, u32::MAX);\n        }\n");
    }

    fn message_impl(&self, out: &mut String) {
        let m = self.message;
        let option = |v: Option<i16>| v.map_or("None".to_owned(), |v| format!("Some({v})"));
        let _ = writeln!(
            out,
            "impl<'a> Message<'a> for {name}<'a> {{\n    const NAME: &'static str = \"{name}\";\n    const API_KEY: Option<i16> = {key};\n    const MIN_VERSION: i16 = {min};\n    const MAX_VERSION: i16 = {max};\n    const FIRST_FLEXIBLE: Option<i16> = {flex};\n    fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {{\n        if version < {min} || version > {max} {{ return Err(DecodeError::UnsupportedVersion {{ message: \"{name}\", version }}); }}\n        Self::decode_body(r, version)\n    }}\n    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {{\n        if version < {min} || version > {max} {{ return Err(EncodeError::UnsupportedVersion {{ message: \"{name}\", version }}); }}\n        self.encode_body(w, version)\n    }}\n}}",
            name = m.name,
            key = option(m.key),
            min = self.valid.first,
            max = self.valid.last,
            flex = option(m.flexible.map(|f| f.first)),
        );
    }
}
