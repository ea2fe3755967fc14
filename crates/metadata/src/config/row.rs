//! [`Row`]: all there is to know about one property. Parsing, validation, DescribeConfigs, IncrementalAlterConfigs and
//! `docs/configuration.md` derive from the rows and from nothing else.

/// Type of a value (`ConfigDef.Type`); the numbers are those of DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean = 1,
    /// Text.
    String = 2,
    /// 32 bits.
    Int = 3,
    /// 16 bits.
    Short = 4,
    /// 64 bits.
    Long = 5,
    /// A floating point number.
    Double = 6,
    /// Texts separated by commas.
    List = 7,
    /// Name of a Java class.
    Class = 8,
    /// Text that is never shown.
    Password = 9,
}

impl ConfigType {
    /// The name in documentation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Int => "int",
            Self::Short => "short",
            Self::Long => "long",
            Self::Double => "double",
            Self::List => "list",
            Self::Class => "class",
            Self::Password => "password",
        }
    }
}

/// Which values of its type a property takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check {
    /// All.
    Any,
    /// Numbers from here on.
    AtLeast(i64),
    /// Numbers from the first to the second, both included.
    Between(i64, i64),
    /// Floating point numbers from the first to the second, both included.
    Ratio(f64, f64),
    /// -1, or 1 to 9.
    GzipLevel,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// One of these, in any mix of cases.
    OneOfAnyCase(&'static [&'static str]),
    /// A list of some of these.
    ListOf(&'static [&'static str]),
    /// Text that is not empty.
    NonEmpty,
    /// A list that, when it is given, has an element.
    NonEmptyList,
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
    /// `earliest`, `latest`, or `by_duration:` and a duration of ISO 8601.
    ShareOffsetReset,
}

/// How much a property matters to an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Look at it first.
    High,
    /// Look at it when tuning.
    Medium,
    /// Rarely of interest.
    Low,
}

/// Where a property may be changed while the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Nowhere: it is read at the start.
    ReadOnly,
    /// For one broker.
    PerBroker,
    /// For one broker or for all.
    ClusterWide,
    /// For a topic or a group.
    PerResource,
}

/// Whether setting a property does what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// It does, as this test shows on a running broker.
    Yes {
        /// Crate, file and name of the test.
        test: &'static str,
    },
    /// Not yet; a value other than the default is accepted, and a warning names it.
    Warn,
    /// Not yet, and to ignore it would weaken security, durability or placement: a value other than the default is refused
    /// with this sentence.
    Refuse(&'static str),
}

/// A broker property that a topic property falls back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    /// Name of the broker property.
    pub name: &'static str,
    /// What its value is multiplied with.
    pub factor: i64,
}

/// A property.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Kafka's name.
    pub name: &'static str,
    /// Type.
    pub kind: ConfigType,
    /// Default as text; `None` is null, or that there is none.
    pub default: Option<&'static str>,
    /// Values that it takes.
    pub check: Check,
    /// How much it matters.
    pub importance: Importance,
    /// Where it may be changed.
    pub scope: Scope,
    /// Whether it does what it says.
    pub served: Served,
    /// Left out of DescribeConfigs and of the documentation, as in Kafka.
    pub internal: bool,
    /// Of a topic property: the broker properties that give its default, the first that is set.
    pub synonyms: &'static [Synonym],
    /// What it is for, in a sentence.
    pub doc: &'static str,
}

impl Row {
    /// Whether values must never be shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigType::Password
    }
}

pub(crate) const fn yes(test: &'static str) -> Served {
    Served::Yes { test }
}

pub(crate) const fn same(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

pub(crate) const fn minutes(name: &'static str) -> Synonym {
    Synonym { name, factor: 60 * 1000 }
}

pub(crate) const fn hours(name: &'static str) -> Synonym {
    Synonym { name, factor: 60 * 60 * 1000 }
}

/// Declares `ROWS`. A row reads
///
/// ```text
///   [#internal] "name": Type = "default"|none where Check, Importance, Scope,
///       yes("crate::file::test")|Warn|Refuse(SENTENCE)[, [synonyms]],
///       "What it is for.";
/// ```
macro_rules! rows {
    ($($(#$internal:ident)? $name:literal: $kind:ident = $default:tt where $check:expr, $importance:ident, $scope:ident,
        $served:expr, $([$($synonym:expr),*],)? $doc:literal;)*) => {
        #[allow(unused_imports, reason = "not every table has rows of all kinds")]
        use crate::config::row::{Check::*, Importance::*, Scope::*, Served::*, hours, minutes, same, yes};

        /// The rows of this file.
        pub(crate) const ROWS: &[crate::config::row::Row] = &[$(crate::config::row::Row {
            name: $name,
            kind: crate::config::row::ConfigType::$kind,
            default: rows!(@default $default),
            check: $check,
            importance: $importance,
            scope: $scope,
            served: $served,
            internal: rows!(@internal $($internal)?),
            synonyms: &[$($($synonym),*)?],
            doc: $doc,
        },)*];
    };
    (@default none) => { None };
    (@default $default:literal) => { Some($default) };
    (@internal) => { false };
    (@internal internal) => { true };
}
pub(crate) use rows;
