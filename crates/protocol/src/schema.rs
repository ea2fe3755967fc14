//! The definitions of what lies in logs, as data: bytes are read by a table instead of by a type, and every field is told
//! by the name that Kafka's own JSON has for it. For tools that show what is there; whoever works with a message takes its
//! type from [`crate::messages`].
//!
//! ```text
//!   find(kind, key) ──> MessageSchema ── visit(bytes, version) ──> Visitor: begin_struct, field "group", text, ...
//! ```
//! Fields come in the order of the definition, as `org.apache.kafka.common.message.*JsonConverter` writes them: a tagged
//! field stands where it is defined, if it is there, and not at the end, where its bytes are. A visit allocates nothing but
//! a list of the tagged fields that are there.

use crate::ids::Uuid;
use crate::reader::{DecodeError, Reader};

include!(concat!(env!("OUT_DIR"), "/messages/schemas.rs"));

/// First and last version, both included.
type Range = (i16, i16);

/// Where a message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// The metadata log (KIP-631).
    Metadata,
    /// The key of a record of a coordinator's topic.
    CoordinatorKey,
    /// The value of one.
    CoordinatorValue,
    /// Control records, producer snapshots, `quorum-state`, the metadata of remote segments.
    Data,
}

/// A message.
#[derive(Debug)]
pub struct MessageSchema {
    /// Kafka's name, such as `OffsetCommitValue`.
    pub name: &'static str,
    /// Where it lies.
    pub kind: MessageKind,
    /// Metadata record id or coordinator record type.
    pub key: Option<i16>,
    /// Its versions.
    pub versions: (i16, i16),
    first_flexible: Option<i16>,
    fields: &'static [FieldSchema],
}

#[derive(Debug)]
struct FieldSchema {
    name: &'static str,
    ty: TypeSchema,
    versions: Range,
    nullable: Option<Range>,
    tag: Option<(u32, Range)>,
    /// Keeps the classic encoding in flexible versions.
    classic: bool,
}

#[derive(Debug)]
#[allow(dead_code, reason = "what lies in logs does not use every type")]
enum TypeSchema {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(&'static [FieldSchema]),
    Array(&'static TypeSchema),
}

/// What a field holds, if it is neither a struct nor an array.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// Null, also in place of a struct or an array.
    Null,
    /// A truth value.
    Bool(bool),
    /// Any whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A uuid.
    Uuid(Uuid),
    /// Text.
    Text(&'a str),
    /// Bytes; records count as such.
    Bytes(&'a [u8]),
}

/// Told what a message holds, from its first field to its last.
pub trait Visitor {
    /// A struct begins; the message itself is one.
    fn begin_struct(&mut self);
    /// Its next field.
    fn field(&mut self, name: &'static str);
    /// It ends.
    fn end_struct(&mut self);
    /// An array begins.
    fn begin_array(&mut self);
    /// It ends.
    fn end_array(&mut self);
    /// The value of a field, or the next element of an array.
    fn scalar(&mut self, value: Scalar<'_>);
}

/// Hears nothing: a visit that only passes over a message.
impl Visitor for () {
    fn begin_struct(&mut self) {}
    fn field(&mut self, _: &'static str) {}
    fn end_struct(&mut self) {}
    fn begin_array(&mut self) {}
    fn end_array(&mut self) {}
    fn scalar(&mut self, _: Scalar<'_>) {}
}

/// The message of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static MessageSchema> {
    LOGGED.iter().find(|m| m.name == name)
}

impl MessageSchema {
    /// Reads the message at the start of `r`'s bytes; what follows it is left there.
    ///
    /// # Errors
    /// When the bytes are not this message at this version. The visitor has heard the part before by then.
    pub fn visit(&self, r: &mut Reader<'_>, version: i16, visitor: &mut impl Visitor) -> Result<(), DecodeError> {
        if !within(self.versions, version) {
            return Err(DecodeError::UnsupportedVersion { message: self.name, version });
        }
        let flexible = self.first_flexible.is_some_and(|first| version >= first);
        Walk { version, flexible }.structure(self.fields, r, visitor)
    }
}

fn within(range: Range, version: i16) -> bool {
    range.0 <= version && version <= range.1
}

/// What holds for a whole message.
#[derive(Clone, Copy)]
struct Walk {
    version: i16,
    flexible: bool,
}

impl Walk {
    fn tag(self, f: &FieldSchema) -> Option<u32> {
        f.tag.filter(|(_, versions)| within(*versions, self.version)).map(|(tag, _)| tag)
    }

    fn structure(
        self,
        fields: &[FieldSchema],
        r: &mut Reader<'_>,
        visitor: &mut impl Visitor,
    ) -> Result<(), DecodeError> {
        let has_tags = self.flexible && fields.iter().any(|f| self.tag(f).is_some());
        let mut tagged = Vec::new();
        let mut end = None;
        if has_tags {
            // Their bytes come last, so the struct is passed over once before it is told.
            let mut ahead = Reader::new(r.rest());
            for f in fields.iter().filter(|f| self.tag(f).is_none() && within(f.versions, self.version)) {
                self.value(f, &mut ahead, &mut ())?;
            }
            tagged = tagged_fields(&mut ahead, |tag| fields.iter().any(|f| self.tag(f) == Some(tag)))?;
            end = Some(ahead.remaining());
        }
        visitor.begin_struct();
        for f in fields.iter().filter(|f| within(f.versions, self.version)) {
            match self.tag(f) {
                None => {
                    visitor.field(f.name);
                    self.value(f, r, visitor)?;
                }
                Some(tag) => {
                    if let Some((_, bytes)) = tagged.iter().find(|(t, _)| *t == tag) {
                        visitor.field(f.name);
                        let mut inner = Reader::new(bytes);
                        self.value(f, &mut inner, visitor)?;
                        if inner.remaining() > 0 {
                            return Err(DecodeError::TrailingTagBytes(inner.remaining()));
                        }
                    }
                }
            }
        }
        match end {
            Some(left) => {
                r.take(r.remaining() - left)?;
            }
            None if self.flexible => {
                tagged_fields(r, |_| false)?;
            }
            None => {}
        }
        visitor.end_struct();
        Ok(())
    }

    fn value(self, f: &FieldSchema, r: &mut Reader<'_>, visitor: &mut impl Visitor) -> Result<(), DecodeError> {
        let flexible = self.flexible && !f.classic;
        let may_be_null = f.nullable.is_some_and(|versions| within(versions, self.version));
        let null = |visitor: &mut dyn FnMut(Scalar<'_>)| {
            if may_be_null {
                visitor(Scalar::Null);
                Ok(())
            } else {
                Err(DecodeError::UnexpectedNull { field: f.name })
            }
        };
        match &f.ty {
            TypeSchema::String => match r.nullable_string(flexible)? {
                Some(text) => visitor.scalar(Scalar::Text(text)),
                None => null(&mut |value| visitor.scalar(value))?,
            },
            TypeSchema::Bytes | TypeSchema::Records => match r.nullable_bytes(flexible)? {
                Some(bytes) => visitor.scalar(Scalar::Bytes(bytes)),
                None => null(&mut |value| visitor.scalar(value))?,
            },
            TypeSchema::Array(element) => match r.nullable_array(flexible, 1, 0)? {
                Some(count) => {
                    visitor.begin_array();
                    for _ in 0..count {
                        self.element(element, flexible, r, visitor)?;
                    }
                    visitor.end_array();
                }
                None => null(&mut |value| visitor.scalar(value))?,
            },
            // Only a struct that may be null says whether it is there (KIP-893).
            TypeSchema::Struct(_) if may_be_null && !r.nullable_struct()? => visitor.scalar(Scalar::Null),
            other => self.element(other, flexible, r, visitor)?,
        }
        Ok(())
    }

    /// A value that is not null: an element of an array, or a field of such a type.
    fn element(
        self,
        ty: &TypeSchema,
        flexible: bool,
        r: &mut Reader<'_>,
        visitor: &mut impl Visitor,
    ) -> Result<(), DecodeError> {
        visitor.scalar(match ty {
            TypeSchema::Bool => Scalar::Bool(r.bool()?),
            TypeSchema::Int8 => Scalar::Int(r.i8()?.into()),
            TypeSchema::Int16 => Scalar::Int(r.i16()?.into()),
            TypeSchema::Uint16 => Scalar::Int(r.u16()?.into()),
            TypeSchema::Int32 => Scalar::Int(r.i32()?.into()),
            TypeSchema::Uint32 => Scalar::Int(r.u32()?.into()),
            TypeSchema::Int64 => Scalar::Int(r.i64()?),
            TypeSchema::Float64 => Scalar::Float(r.f64()?),
            TypeSchema::Uuid => Scalar::Uuid(r.uuid()?),
            TypeSchema::String => Scalar::Text(r.string(flexible, "element")?),
            TypeSchema::Bytes | TypeSchema::Records => Scalar::Bytes(r.bytes(flexible, "element")?),
            TypeSchema::Struct(fields) => return self.structure(fields, r, visitor),
            TypeSchema::Array(inner) => {
                let count = r.array(flexible, 1, 0, "element")?;
                visitor.begin_array();
                for _ in 0..count {
                    self.element(inner, flexible, r, visitor)?;
                }
                visitor.end_array();
                return Ok(());
            }
        });
        Ok(())
    }
}

/// Passes over the tagged fields of a struct and gives those that are wanted.
fn tagged_fields<'a>(r: &mut Reader<'a>, wanted: impl Fn(u32) -> bool) -> Result<Vec<(u32, &'a [u8])>, DecodeError> {
    let mut found = Vec::new();
    let mut before = None;
    for _ in 0..r.tag_count()? {
        let tag = r.uvarint()?;
        let size = r.uvarint()? as usize;
        let bytes = r.take(size)?;
        if before.is_some_and(|before| before >= tag) {
            return Err(DecodeError::TagOrder(tag));
        }
        before = Some(tag);
        if wanted(tag) {
            found.push((tag, bytes));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
