//! What a topic may be called (`org.apache.kafka.common.internals.Topic`).

/// Longest name, in bytes: with `-partition` and a suffix it must still fit into a file name.
pub const MAX_BYTES: usize = 249;

/// Why a text is no topic name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    /// Nothing.
    #[error("a topic name must not be empty")]
    Empty,
    /// `.` or `..`.
    #[error("a topic name must not be `.` or `..`")]
    Dots,
    /// Too long.
    #[error("a topic name has at most {MAX_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// A character that is not allowed.
    #[error("a topic name consists of ASCII letters and digits, `.`, `_` and `-`, not of {0:?}")]
    Character(char),
}

/// Checks a name.
///
/// # Errors
/// [`TopicNameError`].
pub fn check(name: &str) -> Result<(), TopicNameError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Err(TopicNameError::Empty),
        "." | ".." => Err(TopicNameError::Dots),
        _ if name.len() > MAX_BYTES => Err(TopicNameError::TooLong(name.len())),
        _ => name.chars().find(|c| !allowed(*c)).map_or(Ok(()), |c| Err(TopicNameError::Character(c))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_kafka_takes() {
        for good in ["a", "A.b_c-9", "...", "__consumer_offsets", &"x".repeat(249)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check(""), Err(TopicNameError::Empty));
        assert_eq!(check(".."), Err(TopicNameError::Dots));
        assert_eq!(check(&"x".repeat(250)), Err(TopicNameError::TooLong(250)));
        assert_eq!(check("a b"), Err(TopicNameError::Character(' ')));
        assert_eq!(check("ä"), Err(TopicNameError::Character('ä')));
    }
}
