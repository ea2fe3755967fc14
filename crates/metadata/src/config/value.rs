//! [`Value`]: a property's text, parsed by its type and checked by its row.

use crate::config::row::{Check, ConfigType, Row};

/// A parsed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a boolean.
    Boolean(bool),
    /// Of a short, int or long.
    Number(i64),
    /// Of a double.
    Double(f64),
    /// Of a string, class or password.
    Text(String),
    /// Of a list; elements are trimmed.
    List(Vec<String>),
}

/// A text that is no value of a property.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot be `{shown}`: {why}")]
pub struct InvalidValue {
    /// Property.
    pub name: &'static str,
    /// The text, or a placeholder where it must not be shown.
    pub shown: String,
    /// What would be valid.
    pub why: String,
}

/// Longest part of a bad value that is shown.
const SHOWN_MAX: usize = 200;

impl Row {
    /// Parses and checks a text.
    ///
    /// # Errors
    /// [`InvalidValue`], with a sentence that says what would be valid.
    pub fn parse(&self, text: &str) -> Result<Value, InvalidValue> {
        let invalid = |why: String| InvalidValue {
            name: self.name,
            shown: if self.is_sensitive() { "[hidden]".into() } else { text.chars().take(SHOWN_MAX).collect() },
            why,
        };
        let value = parse_as(self.kind, text).map_err(invalid)?;
        match unmet(self.check, &value) {
            None => Ok(value),
            Some(why) => Err(invalid(why)),
        }
    }
}

fn parse_as(kind: ConfigType, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    let number = |min: i64, max: i64| match trimmed.parse::<i64>() {
        Ok(n) if (min..=max).contains(&n) => Ok(Value::Number(n)),
        _ => Err(format!("it must be a whole number from {min} to {max}")),
    };
    match kind {
        ConfigType::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
        ConfigType::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
        ConfigType::Boolean => Err("it must be true or false".into()),
        ConfigType::Short => number(i64::from(i16::MIN), i64::from(i16::MAX)),
        ConfigType::Int => number(i64::from(i32::MIN), i64::from(i32::MAX)),
        ConfigType::Long => number(i64::MIN, i64::MAX),
        ConfigType::Double => trimmed.parse().map(Value::Double).map_err(|_| "it must be a number".into()),
        ConfigType::String | ConfigType::Class | ConfigType::Password => Ok(Value::Text(trimmed.to_owned())),
        ConfigType::List if trimmed.is_empty() => Ok(Value::List(Vec::new())),
        ConfigType::List => Ok(Value::List(trimmed.split(',').map(|item| item.trim().to_owned()).collect())),
    }
}

/// Why a value does not meet a check; `None` when it does.
fn unmet(check: Check, value: &Value) -> Option<String> {
    let either = |words: &[&str]| words.join(", ");
    match (check, value) {
        (Check::AtLeast(min), Value::Number(n)) if *n < min => Some(format!("it must be at least {min}")),
        (Check::Between(min, max), Value::Number(n)) if !(min..=max).contains(n) => {
            Some(format!("it must be from {min} to {max}"))
        }
        (Check::Ratio(min, max), Value::Double(n)) if !(min..=max).contains(n) => {
            Some(format!("it must be from {min} to {max}"))
        }
        (Check::GzipLevel, Value::Number(n)) if *n != -1 && !(1..=9).contains(n) => {
            Some("it must be from 1 to 9, or -1 for the library's choice".into())
        }
        (Check::OneOf(words), Value::Text(text)) if !words.contains(&text.as_str()) => {
            Some(format!("it must be one of {}", either(words)))
        }
        (Check::OneOfAnyCase(words), Value::Text(text)) if !words.iter().any(|w| w.eq_ignore_ascii_case(text)) => {
            Some(format!("it must be one of {}", either(words)))
        }
        (Check::ListOf(words), Value::List(items)) => {
            let stranger = items.iter().find(|item| !words.contains(&item.as_str()))?;
            Some(format!("`{stranger}` is none of {}", either(words)))
        }
        (Check::NonEmpty, Value::Text(text)) if text.is_empty() => Some("it must not be empty".into()),
        (Check::NonEmptyList, Value::List(items)) if items.is_empty() => Some("it must not be empty".into()),
        (Check::ThrottledReplicas, Value::List(items)) => {
            let wanted = || "it must be `*`, or partition:broker pairs separated by commas".to_owned();
            (!is_throttle_list(items)).then(wanted)
        }
        (Check::ShareOffsetReset, Value::Text(text)) => {
            let wanted = || "it must be earliest, latest, or by_duration: and a duration such as PT1H".to_owned();
            (!is_share_offset_reset(text)).then(wanted)
        }
        _ => None,
    }
}

fn is_throttle_list(items: &[String]) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_pair = |item: &String| item.split_once(':').is_some_and(|(p, b)| is_number(p) && is_number(b));
    matches!(items, [star] if star == "*") || items.iter().all(is_pair)
}

/// Whether it is `earliest`, `latest` or `by_duration:` with days, hours, minutes and seconds in ISO 8601 (`PnDTnHnMn.nS`).
fn is_share_offset_reset(text: &str) -> bool {
    if ["earliest", "latest"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return true;
    }
    let Some((kind, duration)) = text.split_once(':') else { return false };
    let duration = duration.to_ascii_uppercase();
    let Some(parts) = duration.strip_prefix('P').filter(|_| kind.eq_ignore_ascii_case("by_duration")) else {
        return false;
    };
    let (days, time) = parts.split_once('T').map_or((parts, None), |(days, time)| (days, Some(time)));
    let days_fit = days.is_empty() || amounts_fit(days, "D");
    let time_fits = time.is_none_or(|time| amounts_fit(time, "HMS"));
    days_fit && time_fits && !(days.is_empty() && time.is_none())
}

/// Whether a text is amounts, each with one of these units, in the order of the units and none twice.
fn amounts_fit(mut text: &str, units: &str) -> bool {
    let mut left = units;
    while !text.is_empty() {
        let Some(at) = text.find(|c: char| !c.is_ascii_digit() && c != '.') else { return false };
        let (amount, rest) = text.split_at(at);
        let Some(unit) = rest.chars().next() else { return false };
        let Some(place) = left.find(unit) else { return false };
        if amount.is_empty() || amount.parse::<f64>().is_err() {
            return false;
        }
        left = left.get(place + 1..).unwrap_or("");
        text = rest.get(unit.len_utf8()..).unwrap_or("");
    }
    left.len() < units.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{broker, group, topic};

    fn parses(row: &Row, text: &str) -> bool {
        row.parse(text).is_ok()
    }

    #[test]
    fn values_are_parsed_by_type_and_checked() {
        let row = |name| broker::row(name).unwrap();
        assert_eq!(row("num.partitions").parse(" 3 "), Ok(Value::Number(3)));
        assert_eq!(row("delete.topic.enable").parse("TRUE"), Ok(Value::Boolean(true)));
        assert_eq!(row("log.dirs").parse("/a, /b"), Ok(Value::List(vec!["/a".into(), "/b".into()])));
        let refused = |name, text| row(name).parse(text).unwrap_err().to_string();
        assert_eq!(refused("num.partitions", "0"), "`num.partitions` cannot be `0`: it must be at least 1");
        assert_eq!(
            refused("num.partitions", "3000000000"),
            "`num.partitions` cannot be `3000000000`: it must be a whole number from -2147483648 to 2147483647"
        );
        assert_eq!(
            refused("process.roles", "voter"),
            "`process.roles` cannot be `voter`: `voter` is none of broker, controller"
        );
        assert!(!parses(row("compression.gzip.level"), "0") && parses(row("compression.gzip.level"), "-1"));
        assert!(!parses(row("log.cleaner.min.cleanable.ratio"), "1.5"));
    }

    #[test]
    fn odd_shapes_are_checked() {
        let throttled = topic::row("leader.replication.throttled.replicas").unwrap();
        assert!(parses(throttled, "*") && parses(throttled, "0:1,1:2") && parses(throttled, ""));
        assert!(!parses(throttled, "0:a") && !parses(throttled, "*,0:1"));
        let reset = group::row("share.auto.offset.reset").unwrap();
        for good in ["latest", "earliest", "by_duration:PT1H", "by_duration:P1DT2M0.5S", "by_duration:P3D"] {
            assert!(parses(reset, good), "{good}");
        }
        for bad in
            ["newest", "by_duration:", "by_duration:P", "by_duration:PT", "by_duration:PT1", "by_duration:PT1S2H"]
        {
            assert!(!parses(reset, bad), "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = Row { check: Check::NonEmpty, ..*broker::row("ssl.key.password").unwrap() };
        assert_eq!(secret.parse("").unwrap_err().shown, "[hidden]");
    }

    #[test]
    fn every_default_is_a_value() {
        for row in broker::rows().chain(topic::rows()).chain(group::rows()) {
            // Kafka lets these two be absent but not be set to nothing.
            if let Some(default) = row.default.filter(|d| !d.is_empty()) {
                row.parse(default).unwrap();
            }
        }
    }
}
