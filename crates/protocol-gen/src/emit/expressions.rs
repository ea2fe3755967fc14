//! The Rust of one field: its type and default, the expression that reads it, the statement that writes it.

use super::Emitter;
use crate::definition::{Field, Type, Versions, snake};

impl Emitter<'_> {
    pub(super) fn rust_type(&self, f: &Field) -> String {
        let plain = plain_type(&f.ty);
        if f.nullable.is_some() && f.ty != Type::Records { format!("Option<{plain}>") } else { plain }
    }

    /// The expression that reads a field.
    pub(super) fn read(&self, f: &Field, context: Versions) -> String {
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
    pub(super) fn write(&self, f: &Field, context: Versions) -> String {
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
            // Who sends the response may still have to change it.
            (Type::Int32, _) if f.name == "ThrottleTimeMs" => format!("w.throttle_time_ms(self.{id});"),
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

pub(super) fn ident(f: &Field) -> String {
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

pub(super) fn default(f: &Field) -> String {
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
pub(super) fn differs(f: &Field) -> String {
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
