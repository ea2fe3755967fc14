//! Writes the Rust of one message: a struct per Kafka struct, with `decode`, `encode` and Kafka's defaults.
//!
//! What is emitted borrows from the frame (`&'a str`, `&'a [u8]`), asks the reader before it allocates
//! (`Reader::array`), and leaves typed holes for record bytes (`Writer::records`). The emitted text relies only on
//! `crate::{reader, writer, message}` of `ottla-protocol`.

use std::fmt::Write as _;

use crate::definition::{Field, Kind, Message, Type, Versions, snake};

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
            emitter.structure(&mut out, &s.name, &[], &s.fields, versions);
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

    fn rust_type(&self, f: &Field) -> String {
        let plain = plain_type(&f.ty);
        if f.nullable.is_some() && f.ty != Type::Records { format!("Option<{plain}>") } else { plain }
    }

    /// The expression that reads a field.
    fn read(&self, f: &Field, context: Versions) -> String {
        let flex = if f.never_flexible { "false" } else { "flex" };
        let id = ident(f);
        let read = match (&f.ty, f.nullable.is_some()) {
            (Type::String, true) => format!("r.nullable_string({flex})?"),
            (Type::String, false) => format!("r.string({flex}, \"{id}\")?"),
            (Type::Bytes, true) => format!("r.nullable_bytes({flex})?"),
            (Type::Bytes, false) => format!("r.bytes({flex}, \"{id}\")?"),
            (Type::Records, _) => format!("r.records({flex})?"),
            (Type::Array(element), nullable) => {
                let min = self.min_size(element, f.versions.intersect(context).unwrap_or(context));
                let one = element_read(element);
                let ty = plain_type(element);
                let body = format!("let mut v: Vec<{ty}> = Vec::with_capacity(n); for _ in 0..n {{ v.push({one}); }}");
                if nullable {
                    format!(
                        "match r.nullable_array({flex}, {min}, size_of::<{ty}>())? {{ None => None, Some(n) => {{ {body} Some(v) }} }}"
                    )
                } else {
                    format!("{{ let n = r.array({flex}, {min}, size_of::<{ty}>(), \"{id}\")?; {body} v }}")
                }
            }
            (Type::Struct(name), true) => {
                format!("if r.nullable_struct()? {{ Some({name}::decode_body(r, version)?) }} else {{ None }}")
            }
            (ty, _) => element_read(ty),
        };
        // A field may be nullable in some of its versions only.
        let null_from = f.nullable.and_then(|n| Self::condition(n, f.versions.intersect(context)?));
        match null_from {
            Some(c) if f.ty != Type::Records => format!(
                "{{ let x = {read}; if x.is_none() && !({c}) {{ return Err(DecodeError::UnexpectedNull {{ field: \"{id}\" }}); }} x }}"
            ),
            _ => read,
        }
    }

    /// The statement that writes a field.
    fn write(&self, f: &Field, context: Versions) -> String {
        let flex = if f.never_flexible { "false" } else { "flex" };
        let id = ident(f);
        let write = match (&f.ty, f.nullable.is_some()) {
            (Type::String, true) => format!("w.nullable_string({flex}, self.{id})?;"),
            (Type::String, false) => format!("w.string({flex}, self.{id})?;"),
            (Type::Bytes, true) => format!("w.nullable_bytes({flex}, self.{id});"),
            (Type::Bytes, false) => format!("w.bytes({flex}, self.{id});"),
            (Type::Records, _) => format!("w.records({flex}, self.{id});"),
            (Type::Array(element), nullable) => {
                let one = element_write(element);
                if nullable {
                    format!(
                        "match &self.{id} {{ None => w.null_array({flex}), Some(v) => {{ w.array({flex}, v.len()); for x in v {{ {one} }} }} }}"
                    )
                } else {
                    format!("w.array({flex}, self.{id}.len()); for x in &self.{id} {{ {one} }}")
                }
            }
            (Type::Struct(_), true) => format!(
                "match &self.{id} {{ None => w.i8(-1), Some(x) => {{ w.i8(1); x.encode_body(w, version)?; }} }}"
            ),
            (Type::Struct(_), false) => format!("self.{id}.encode_body(w, version)?;"),
            (ty, _) => format!("w.{}(self.{id});", primitive(ty)),
        };
        let null_from = f.nullable.and_then(|n| Self::condition(n, f.versions.intersect(context)?));
        match null_from {
            Some(c) if f.ty != Type::Records => format!(
                "if self.{id}.is_none() && !({c}) {{ return Err(EncodeError::UnexpectedNull {{ message: \"{}\", field: \"{id}\", version }}); }} {write}",
                self.message.name
            ),
            _ => write,
        }
    }

    /// The fewest bytes that one value of the type takes in any of the versions.
    fn min_size(&self, ty: &Type, versions: Versions) -> usize {
        let versions = versions.intersect(self.valid).unwrap_or(self.valid);
        (versions.first..=versions.last).map(|v| self.min_size_in(ty, v)).min().unwrap_or(1).max(1)
    }

    fn min_size_in(&self, ty: &Type, version: i16) -> usize {
        let flexible = self.message.flexible.is_some_and(|f| f.contains(version));
        match ty {
            Type::Bool | Type::Int8 => 1,
            Type::Int16 | Type::Uint16 => 2,
            Type::Int32 | Type::Uint32 => 4,
            Type::Int64 | Type::Float64 => 8,
            Type::Uuid => 16,
            Type::String => {
                if flexible {
                    1
                } else {
                    2
                }
            }
            Type::Bytes | Type::Records | Type::Array(_) => {
                if flexible {
                    1
                } else {
                    4
                }
            }
            Type::Struct(name) => {
                let fields = self.message.fields_of(name);
                let plain: usize = fields
                    .iter()
                    .filter(|f| f.tag.is_none() && f.versions.contains(version))
                    .map(|f| match (&f.ty, f.nullable.is_some()) {
                        (Type::Struct(_), true) => 1,
                        (ty, _) => self.min_size_in(ty, version),
                    })
                    .sum();
                plain + usize::from(flexible)
            }
        }
    }
}

fn ident(f: &Field) -> String {
    let name = snake(&f.name);
    if matches!(name.as_str(), "type" | "match" | "ref" | "move" | "fn" | "impl" | "mod" | "use" | "where" | "loop") {
        format!("{name}_")
    } else {
        name
    }
}

fn primitive(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::Int8 => "i8",
        Type::Int16 => "i16",
        Type::Uint16 => "u16",
        Type::Int32 => "i32",
        Type::Uint32 => "u32",
        Type::Int64 => "i64",
        Type::Float64 => "f64",
        Type::Uuid => "uuid",
        Type::String | Type::Bytes | Type::Records | Type::Struct(_) | Type::Array(_) => {
            unreachable!("only called for types of one fixed size")
        }
    }
}

fn plain_type(ty: &Type) -> String {
    match ty {
        Type::Uuid => "Uuid".to_owned(),
        Type::String => "&'a str".to_owned(),
        Type::Bytes => "&'a [u8]".to_owned(),
        Type::Records => "Records<'a>".to_owned(),
        Type::Struct(name) => format!("{name}<'a>"),
        Type::Array(element) => format!("Vec<{}>", plain_type(element)),
        fixed => primitive(fixed).to_owned(),
    }
}

fn element_read(ty: &Type) -> String {
    match ty {
        Type::String => "r.string(flex, \"element\")?".to_owned(),
        Type::Bytes => "r.bytes(flex, \"element\")?".to_owned(),
        Type::Records => "r.records(flex)?".to_owned(),
        Type::Struct(name) => format!("{name}::decode_body(r, version)?"),
        Type::Array(_) => unreachable!("Kafka has no arrays of arrays"),
        fixed => format!("r.{}()?", primitive(fixed)),
    }
}

fn element_write(ty: &Type) -> String {
    match ty {
        Type::String => "w.string(flex, x)?;".to_owned(),
        Type::Bytes => "w.bytes(flex, x);".to_owned(),
        Type::Records => "w.records(flex, *x);".to_owned(),
        Type::Struct(_) => "x.encode_body(w, version)?;".to_owned(),
        Type::Array(_) => unreachable!("Kafka has no arrays of arrays"),
        fixed => format!("w.{}(*x);", primitive(fixed)),
    }
}

fn default(f: &Field) -> String {
    let is_null = f.default.as_deref() == Some("null");
    if f.ty == Type::Records {
        return "Records::Null".to_owned();
    }
    if f.nullable.is_some() && is_null {
        return "None".to_owned();
    }
    let plain = match (&f.ty, f.default.as_deref()) {
        (Type::Bool, d) => d.unwrap_or("false").to_owned(),
        (Type::Float64, d) => format!("{}f64", d.unwrap_or("0")),
        (Type::Uuid, _) => "Uuid::ZERO".to_owned(),
        (Type::String, d) => format!("\"{}\"", d.unwrap_or("")),
        (Type::Bytes, _) => "&[]".to_owned(),
        (Type::Array(_), _) => "Vec::new()".to_owned(),
        (Type::Struct(name), _) => format!("{name}::default()"),
        (_, d) => d.unwrap_or("0").to_owned(),
    };
    if f.nullable.is_some() { format!("Some({plain})") } else { plain }
}

/// The condition under which a field does not hold its default.
fn differs(f: &Field) -> String {
    let id = ident(f);
    match (&f.ty, f.nullable.is_some(), f.default.as_deref() == Some("null")) {
        (Type::Records, _, _) => format!("self.{id} != Records::Null"),
        (_, true, true) => format!("self.{id}.is_some()"),
        (Type::Array(_), true, false) => format!("self.{id}.as_ref().is_none_or(|v| !v.is_empty())"),
        (_, true, false) => format!("self.{id} != {}", default(f)),
        (Type::Bool, ..) if f.default.as_deref() == Some("true") => format!("!self.{id}"),
        (Type::Bool, ..) => format!("self.{id}"),
        (Type::Array(_) | Type::Bytes, ..) => format!("!self.{id}.is_empty()"),
        _ => format!("self.{id} != {}", default(f)),
    }
}
