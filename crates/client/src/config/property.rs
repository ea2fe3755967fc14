//! Properties as text: parsing, refusing, and the macro that turns one row into a field, its default and its parser.

use std::time::Duration;

/// Why a property cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No property has this name.
    #[error("there is no client property `{name}`{}", suggestion(.nearest))]
    Unknown {
        /// As given.
        name: String,
        /// The known name that is nearest to it.
        nearest: Option<&'static str>,
    },
    /// The value is not one.
    #[error("`{value}` is no value for {name}: {expected} is expected")]
    Value {
        /// Property.
        name: String,
        /// As given.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Properties that contradict each other.
    #[error("{0}")]
    Conflict(String),
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |n| format!("; did you mean `{n}`?"))
}

/// A type that a property's text can become.
pub(super) trait Property: Sized {
    /// What a text must be, in words.
    const EXPECTED: &'static str;

    /// The value, if the text is one.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! number_property {
    ($($ty:ty, $expected:literal;)*) => { $(
        impl Property for $ty {
            const EXPECTED: &'static str = $expected;
            fn parse(text: &str) -> Option<Self> { text.parse().ok() }
        }
    )* };
}
number_property! {
    bool, "true or false";
    i32, "a whole number";
    u32, "a whole number that is not negative";
    usize, "a whole number that is not negative";
}

impl Property for Duration {
    const EXPECTED: &'static str = "a number of milliseconds that is not negative";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::from_millis)
    }
}

impl Property for String {
    const EXPECTED: &'static str = "text";
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Property for Option<String> {
    const EXPECTED: &'static str = "text";
    fn parse(text: &str) -> Option<Self> {
        Some((!text.is_empty()).then(|| text.to_owned()))
    }
}

impl Property for Vec<String> {
    const EXPECTED: &'static str = "a list separated by commas, with at least one element";
    fn parse(text: &str) -> Option<Self> {
        let list: Self = text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect();
        (!list.is_empty()).then_some(list)
    }
}

macro_rules! choice_property {
    ($ty:ty, $expected:literal: $($text:literal => $value:expr),*) => {
        impl Property for $ty {
            const EXPECTED: &'static str = $expected;
            fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($value),)* _ => None }
            }
        }
    };
}
pub(super) use choice_property;

/// Defines a struct of properties with Kafka's defaults.
macro_rules! properties {
    ($(#[$meta:meta])* pub struct $Name:ident $(with $common:ident: $Common:ty)? {
        $($(#[$doc:meta])* $key:literal $field:ident: $ty:ty = $default:expr,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $Name {
            $(
                /// Properties that every client has.
                pub $common: $Common,
            )?
            $(
                $(#[$doc])*
                #[doc = concat!("\n\n`", $key, "`")]
                pub $field: $ty,
            )*
        }

        impl Default for $Name {
            fn default() -> Self {
                Self { $($common: <$Common>::default(),)? $($field: $default,)* }
            }
        }

        impl $Name {
            /// The names of all properties.
            #[must_use]
            pub fn names() -> Vec<&'static str> {
                #[allow(unused_mut)]
                let mut names = vec![$($key),*];
                $(names.extend(<$Common>::names());)?
                names
            }

            /// Sets a property by Kafka's name.
            ///
            /// # Errors
            /// When there is no such property or the value is none for it.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
                match name {
                    $($key => self.$field = property::parse(name, value)?,)*
                    _ => {
                        $(if <$Common>::names().contains(&name) { return self.$common.set(name, value); })?
                        return Err(property::unknown(name, &Self::names()));
                    }
                }
                Ok(())
            }
        }
    };
}
pub(super) use properties;

pub(super) fn parse<T: Property>(name: &str, value: &str) -> Result<T, ConfigError> {
    T::parse(value.trim()).ok_or_else(|| ConfigError::Value {
        name: name.to_owned(),
        value: value.to_owned(),
        expected: T::EXPECTED,
    })
}

pub(super) fn unknown(name: &str, names: &[&'static str]) -> ConfigError {
    let nearest = names.iter().map(|n| (distance(name, n), *n)).min().filter(|(d, _)| *d <= 3 + name.len() / 4);
    ConfigError::Unknown { name: name.to_owned(), nearest: nearest.map(|(_, n)| n) }
}

/// Levenshtein's distance: the fewest single characters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
