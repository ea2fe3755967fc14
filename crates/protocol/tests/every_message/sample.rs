//! Makes bytes of a message at a version out of its definition, by a reading of the encoding that shares no code with the
//! generator's output. They are canonical: a tagged field is there only if it differs from its default, and tags ascend,
//! so that whoever reads them must write the very same bytes.

use ottla_protocol_gen::{Field, Message, Type};

use super::random::Random;

/// What the sample holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Random values, now and then null, empty or extreme.
    Random,
    /// As `Random`, and tagged fields that the definition does not know.
    UnknownTags,
    /// Every field at its default.
    Defaults,
}

/// The bytes of `message` at `version`.
pub(crate) fn sample(message: &Message, version: i16, fill: Fill, random: &mut Random) -> Vec<u8> {
    let flexible = message.flexible.is_some_and(|f| f.contains(version));
    let mut out = Vec::new();
    Sample { message, version, flexible, random }.fields(&message.fields, fill, 0, &mut out);
    out
}

struct Sample<'m> {
    message: &'m Message,
    version: i16,
    flexible: bool,
    random: &'m mut Random,
}

impl Sample<'_> {
    fn fields(&mut self, fields: &[Field], fill: Fill, depth: usize, out: &mut Vec<u8>) {
        let here: Vec<&Field> = fields.iter().filter(|f| f.versions.contains(self.version)).collect();
        let version = self.version;
        let tag = |f: &Field| f.tag.filter(|(_, v)| v.contains(version)).map(|(tag, _)| tag);
        let (mut tagged, plain): (Vec<&Field>, Vec<&Field>) = here.into_iter().partition(|f| tag(f).is_some());
        for f in plain {
            self.field(f, fill, depth, out);
        }
        if !self.flexible {
            return;
        }
        tagged.sort_by_key(|f| tag(f));
        let mut sections: Vec<(u32, Vec<u8>)> = Vec::new();
        for f in tagged {
            if fill == Fill::Defaults || self.random.one_in(3) {
                continue;
            }
            let (mut bytes, mut default) = (Vec::new(), Vec::new());
            self.field(f, fill, depth, &mut bytes);
            self.field(f, Fill::Defaults, depth, &mut default);
            if bytes != default {
                sections.push((f.tag.expect("it is tagged").0, bytes));
            }
        }
        if fill == Fill::UnknownTags && self.random.one_in(2) {
            let first = fields.iter().filter_map(|f| f.tag).map(|(tag, _)| tag + 1).max().unwrap_or(0);
            for step in 1..=1 + self.random.below(2) as u32 {
                let n = self.random.below(5);
                sections.push((first + step * 60, (0..n).map(|_| self.random.next() as u8).collect()));
            }
        }
        uvarint(sections.len() as u32, out);
        for (tag, bytes) in sections {
            uvarint(tag, out);
            uvarint(bytes.len() as u32, out);
            out.extend_from_slice(&bytes);
        }
    }

    fn field(&mut self, f: &Field, fill: Fill, depth: usize, out: &mut Vec<u8>) {
        let flexible = self.flexible && !f.never_flexible;
        let nullable = f.nullable.is_some_and(|n| n.contains(self.version));
        let null = match fill {
            // Record bytes have no other default than null.
            Fill::Defaults => f.default.as_deref() == Some("null") || f.ty == Type::Records && nullable,
            _ => nullable && self.random.one_in(4),
        };
        match &f.ty {
            Type::Struct(_) if nullable && null => out.push(0xff),
            Type::Struct(_) => {
                if nullable {
                    out.push(1);
                }
                self.value(f, &f.ty, fill, flexible, depth, out);
            }
            ty if null => length(ty, flexible, None, out),
            ty => self.value(f, ty, fill, flexible, depth, out),
        }
    }

    fn value(&mut self, f: &Field, ty: &Type, fill: Fill, flexible: bool, depth: usize, out: &mut Vec<u8>) {
        match ty {
            Type::Struct(name) => self.fields(self.message.fields_of(name), fill, depth + 1, out),
            Type::Array(element) => {
                let n = if fill == Fill::Defaults || depth > 3 { 0 } else { self.random.below(4) };
                length(ty, flexible, Some(n), out);
                for _ in 0..n {
                    self.value(f, element, fill, flexible, depth, out);
                }
            }
            Type::String => {
                let text = match (fill, f.default.as_deref()) {
                    (Fill::Defaults, default) => default.unwrap_or_default().to_owned(),
                    _ => ["", "a", "topic-é", "0123456789", &"long".repeat(50)][self.random.below(5)].to_owned(),
                };
                length(ty, flexible, Some(text.len()), out);
                out.extend_from_slice(text.as_bytes());
            }
            Type::Bytes | Type::Records => {
                let n = if fill == Fill::Defaults { 0 } else { self.random.below(20) };
                length(ty, flexible, Some(n), out);
                out.extend((0..n).map(|_| self.random.next() as u8));
            }
            fixed => {
                // An array's default is not that of its elements.
                let default = f
                    .default
                    .as_deref()
                    .filter(|_| *ty == f.ty)
                    .filter(|_| fill == Fill::Defaults || self.random.one_in(5));
                let number = match default {
                    Some(text) => number(text),
                    None if fill == Fill::Defaults => 0,
                    None => [1, i64::MIN, i64::MAX, self.random.next() as i64][self.random.below(4)],
                };
                match fixed {
                    Type::Bool => out.push((number & 1) as u8),
                    Type::Int8 => out.push(number as u8),
                    Type::Int16 | Type::Uint16 => out.extend_from_slice(&(number as u16).to_be_bytes()),
                    Type::Int32 | Type::Uint32 => out.extend_from_slice(&(number as u32).to_be_bytes()),
                    Type::Int64 => out.extend_from_slice(&number.to_be_bytes()),
                    Type::Float64 => out.extend_from_slice(&((number % 1000) as f64).to_be_bytes()),
                    _ => out
                        .extend((0..16).map(|i| if fill == Fill::Defaults { 0 } else { number.rotate_left(i) as u8 })),
                }
            }
        }
    }
}

/// A default as the notation has it.
fn number(text: &str) -> i64 {
    match text {
        "true" => 1,
        "false" => 0,
        text => match text.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).unwrap_or_else(|e| panic!("`{text}`: {e}")),
            None => text.parse().unwrap_or_else(|e| panic!("`{text}`: {e}")),
        },
    }
}

fn length(ty: &Type, flexible: bool, n: Option<usize>, out: &mut Vec<u8>) {
    match (flexible, ty) {
        (true, _) => uvarint(n.map_or(0, |n| n as u32 + 1), out),
        (false, Type::String) => out.extend_from_slice(&n.map_or(-1, |n| n as i16).to_be_bytes()),
        (false, _) => out.extend_from_slice(&n.map_or(-1, |n| n as i32).to_be_bytes()),
    }
}

fn uvarint(mut n: u32, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
