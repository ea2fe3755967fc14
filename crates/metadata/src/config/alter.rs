//! One operation of IncrementalAlterConfigs (KIP-339) on one value.

use std::collections::BTreeMap;

use crate::config::row::{ConfigType, Row};
use crate::config::{broker, group, topic};
use crate::image::ConfigResourceType;

/// What to do with a value (`AlterConfigOp.OpType`); the numbers are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum AlterOp {
    /// Set it.
    Set = 0,
    /// Forget it, so that the default holds again.
    Delete = 1,
    /// Add elements to a list.
    Append = 2,
    /// Take elements out of a list.
    Subtract = 3,
}

impl AlterOp {
    /// The operation of a number.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Set, Self::Delete, Self::Append, Self::Subtract].into_iter().find(|op| *op as i8 == code)
    }
}

/// Why an operation is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlterError {
    /// No value where one is needed (`INVALID_REQUEST`).
    #[error("`{0}` needs a value for this operation")]
    NoValue(String),
    /// Append or subtract on something else than a list (`INVALID_CONFIG`).
    #[error("nothing can be appended to or subtracted from `{0}`: it is not a list")]
    NotAList(String),
}

/// The row of a property of some resource.
#[must_use]
pub fn row_of(kind: ConfigResourceType, name: &str) -> Option<&'static Row> {
    match kind {
        ConfigResourceType::Topic => topic::row(name),
        ConfigResourceType::Broker => broker::dynamic_row(name),
        ConfigResourceType::Group => group::row(name),
        ConfigResourceType::BrokerLogger | ConfigResourceType::ClientMetrics => None,
    }
}

/// The value after an operation; `None` when none is left. A list that was not set is appended to, or subtracted from, as
/// its default stands. Whether the result is valid is [`check_topic_configs`](crate::config::check_topic_configs)'s
/// business.
///
/// # Errors
/// [`AlterError`].
pub fn alter(
    kind: ConfigResourceType,
    name: &str,
    current: Option<&str>,
    op: AlterOp,
    value: Option<&str>,
) -> Result<Option<String>, AlterError> {
    let given = || value.ok_or_else(|| AlterError::NoValue(name.to_owned()));
    let row = row_of(kind, name);
    match op {
        AlterOp::Delete => Ok(None),
        AlterOp::Set => Ok(Some(given()?.to_owned())),
        AlterOp::Append | AlterOp::Subtract if row.is_none_or(|row| row.kind != ConfigType::List) => {
            Err(AlterError::NotAList(name.to_owned()))
        }
        AlterOp::Append => {
            let mut items = elements(current.or(row.and_then(|row| row.default)));
            for item in elements(Some(given()?)) {
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            Ok(Some(items.join(",")))
        }
        AlterOp::Subtract => {
            let gone = elements(Some(given()?));
            let mut items = elements(current.or(row.and_then(|row| row.default)));
            items.retain(|item| !gone.contains(item));
            Ok(Some(items.join(",")))
        }
    }
}

/// The values of a resource after several operations, each a name, what to do, and with what.
///
/// # Errors
/// [`AlterError`] of the first operation that is not possible.
pub fn apply<'a>(
    kind: ConfigResourceType,
    old: &BTreeMap<String, String>,
    operations: impl IntoIterator<Item = (&'a str, AlterOp, Option<&'a str>)>,
) -> Result<BTreeMap<String, String>, AlterError> {
    let mut new = old.clone();
    for (name, op, value) in operations {
        match alter(kind, name, old.get(name).map(String::as_str), op, value)? {
            Some(value) => new.insert(name.to_owned(), value),
            None => new.remove(name),
        };
    }
    Ok(new)
}

fn elements(list: Option<&str>) -> Vec<&str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(
        name: &str,
        current: Option<&str>,
        op: AlterOp,
        value: Option<&str>,
    ) -> Result<Option<String>, AlterError> {
        alter(ConfigResourceType::Topic, name, current, op, value)
    }

    #[test]
    fn set_and_delete() {
        assert_eq!(topic("retention.ms", Some("1"), AlterOp::Set, Some("2")), Ok(Some("2".into())));
        assert_eq!(topic("retention.ms", Some("1"), AlterOp::Delete, None), Ok(None));
        let missing = Err(AlterError::NoValue("retention.ms".into()));
        assert_eq!(topic("retention.ms", None, AlterOp::Set, None), missing);
    }

    #[test]
    fn lists_grow_and_shrink_from_where_they_stand() {
        let name = "cleanup.policy";
        // Not set means the default, `delete`.
        assert_eq!(topic(name, None, AlterOp::Append, Some("compact")), Ok(Some("delete,compact".into())));
        assert_eq!(topic(name, Some("compact"), AlterOp::Append, Some("compact")), Ok(Some("compact".into())));
        assert_eq!(topic(name, Some("compact, delete"), AlterOp::Subtract, Some("delete")), Ok(Some("compact".into())));
        let name = "leader.replication.throttled.replicas";
        assert_eq!(topic(name, None, AlterOp::Append, Some("0:1,1:1")), Ok(Some("0:1,1:1".into())));
        assert_eq!(topic(name, Some("0:1"), AlterOp::Subtract, Some("0:1")), Ok(Some(String::new())));
    }

    #[test]
    fn only_lists_are_appended_to() {
        let refused = Err(AlterError::NotAList("retention.ms".into()));
        assert_eq!(topic("retention.ms", None, AlterOp::Append, Some("1")), refused);
        assert_eq!(AlterOp::from_code(3), Some(AlterOp::Subtract));
        assert_eq!(AlterOp::from_code(4), None);
    }
}
