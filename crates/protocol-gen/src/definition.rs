//! The model of a message definition, shared by the parser, the checker, the emitter and the tests that compare our
//! definitions with Kafka's.

/// An inclusive range of versions; `None` stands for "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// First version.
    pub first: i16,
    /// Last version, `i16::MAX` when written `N+`.
    pub last: i16,
}

impl Versions {
    /// Whether `version` lies in the range.
    #[must_use]
    pub fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    /// The part that both ranges share.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(Self { first, last })
    }
}

/// What a message is, in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request of an API key.
    Request,
    /// The response to it.
    Response,
    /// A request or response header.
    Header,
    /// A record of the metadata log (KIP-631).
    Metadata,
    /// The key of a record of a coordinator topic.
    CoordinatorKey,
    /// The value of a record of a coordinator topic.
    CoordinatorValue,
    /// Anything else that is written in this encoding: control records, snapshots, `quorum-state`.
    Data,
}

/// A field's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `bool`, one byte.
    Bool,
    /// `int8`.
    Int8,
    /// `int16`.
    Int16,
    /// `uint16`.
    Uint16,
    /// `int32`.
    Int32,
    /// `uint32`.
    Uint32,
    /// `int64`.
    Int64,
    /// `float64`.
    Float64,
    /// `uuid`, 16 bytes.
    Uuid,
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// `records`: record batches.
    Records,
    /// A nested struct, by name.
    Struct(String),
    /// `[]T`.
    Array(Box<Type>),
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Kafka's name, unchanged.
    pub name: String,
    /// Lines of explanation.
    pub doc: Vec<String>,
    /// Type.
    pub ty: Type,
    /// Versions that have the field.
    pub versions: Versions,
    /// Versions in which it may be null.
    pub nullable: Option<Versions>,
    /// Tag and the versions in which the field is tagged.
    pub tag: Option<(u32, Versions)>,
    /// Whether a value may be dropped silently for a version without the field.
    pub ignorable: bool,
    /// Whether the field is (part of) the key of the array that holds its struct.
    pub key: bool,
    /// `flexible none`: the field keeps the classic encoding in flexible versions.
    pub never_flexible: bool,
    /// Default, as written.
    pub default: Option<String>,
    /// Fields of a struct that is defined in place.
    pub fields: Option<Vec<Field>>,
}

/// A struct that several fields of a message share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struct {
    /// Name.
    pub name: String,
    /// Lines of explanation.
    pub doc: Vec<String>,
    /// Versions.
    pub versions: Versions,
    /// Fields.
    pub fields: Vec<Field>,
}

/// A whole definition file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Kind.
    pub kind: Kind,
    /// Kafka's name.
    pub name: String,
    /// Lines of explanation.
    pub doc: Vec<String>,
    /// API key or record type.
    pub key: Option<i16>,
    /// Valid versions; `None` when the message was removed.
    pub versions: Option<Versions>,
    /// Flexible versions.
    pub flexible: Option<Versions>,
    /// Whether the last version is not yet stable and so never advertised.
    pub latest_unstable: bool,
    /// `broker`, `controller`.
    pub listeners: Vec<String>,
    /// Fields.
    pub fields: Vec<Field>,
    /// Shared structs.
    pub structs: Vec<Struct>,
}

impl Message {
    /// The fields of one of the message's structs, wherever it is defined; none for an unknown name.
    #[must_use]
    pub fn fields_of(&self, name: &str) -> &[Field] {
        fn within<'f>(fields: &'f [Field], name: &str) -> Option<&'f [Field]> {
            fields.iter().find_map(|f| {
                let inner = f.fields.as_deref()?;
                if f.ty.struct_name() == Some(name) { Some(inner) } else { within(inner, name) }
            })
        }
        within(&self.fields, name)
            .or_else(|| {
                self.structs
                    .iter()
                    .find_map(|s| if s.name == name { Some(&s.fields[..]) } else { within(&s.fields, name) })
            })
            .unwrap_or_default()
    }
}

impl Type {
    /// The struct that the type names, through arrays.
    #[must_use]
    pub fn struct_name(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(inner) => inner.struct_name(),
            _ => None,
        }
    }
}

/// `ThrottleTimeMs` to `throttle_time_ms`.
#[must_use]
pub fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            let after_lower = !chars[i - 1].is_ascii_uppercase() && chars[i - 1] != '_';
            let before_lower = chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
            if after_lower || before_lower {
                out.push('_');
            }
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::snake;

    #[test]
    fn names_become_snake_case_as_one_would_write_them() {
        for (camel, want) in [
            ("ThrottleTimeMs", "throttle_time_ms"),
            ("ISRChange", "isr_change"),
            ("KRaftVersionRecord", "k_raft_version_record"),
            ("group", "group"),
        ] {
            assert_eq!(snake(camel), want);
        }
    }
}
