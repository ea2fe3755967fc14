//! [`Reader`]: typed values out of [`Settings`], by the rows, collecting every problem instead of stopping at the first.

use crate::config::broker;
use crate::config::row::{Row, Served};
use crate::config::settings::{Origin, Setting, Settings, did_you_mean, is_prefixed};
use crate::config::suggest::nearest;
use crate::config::value::Value;

/// What is wrong, and what an operator should know.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Each alone prevents the start.
    pub(crate) problems: Vec<String>,
    /// The start goes on.
    pub(crate) warnings: Vec<String>,
}

/// Reads settings; see the module.
#[derive(Debug)]
pub(crate) struct Reader<'s> {
    pub(crate) settings: &'s Settings,
    pub(crate) findings: Findings,
}

impl<'s> Reader<'s> {
    /// Checks every setting against its row.
    pub(crate) fn new(settings: &'s Settings) -> Self {
        let findings = Findings { problems: Vec::new(), warnings: settings.remarks().to_vec() };
        let mut reader = Self { settings, findings };
        let mut unserved = Vec::new();
        for (key, setting) in settings.iter() {
            match broker::row(key) {
                Some(row) => reader.check(row, setting, &mut unserved),
                None if is_prefixed(key) => reader.check_prefixed(key, setting),
                None => {
                    let hint = did_you_mean(nearest(key, broker::rows().map(|row| row.name)));
                    let origin = &setting.origin;
                    reader.warn(format!("{origin}: `{key}` is no property of Kafka 4.4 and is ignored{hint}"));
                }
            }
        }
        if !unserved.is_empty() {
            reader.warn(format!("not served yet, and without effect: {}", unserved.join(", ")));
        }
        reader
    }

    /// A reader of settings that were checked before.
    pub(crate) fn quiet(settings: &'s Settings) -> Self {
        Self { settings, findings: Findings::default() }
    }

    fn check(&mut self, row: &'static Row, setting: &Setting, unserved: &mut Vec<&'static str>) {
        let origin = &setting.origin;
        let value = match row.parse(&setting.value) {
            Ok(value) => value,
            Err(invalid) => return self.problem(format!("{origin}: {invalid}")),
        };
        let is_default = match row.default {
            Some(default) => row.parse(default).is_ok_and(|default| default == value),
            None => setting.value.trim().is_empty(),
        };
        match row.served {
            Served::Yes { .. } => {}
            _ if is_default => {}
            // Nobody asked for the first-run defaults: that they go beyond what is served need not be told.
            Served::Warn if *origin == Origin::FirstRun => {}
            Served::Warn => unserved.push(row.name),
            Served::Refuse(sentence) => self.problem(format!("{origin}: `{}`: {sentence}", row.name)),
        }
    }

    /// Properties of one listener, such as `listener.name.external.ssl.keystore.location`, and of plugins.
    fn check_prefixed(&mut self, key: &str, setting: &Setting) {
        let origin = &setting.origin;
        let of_listener = key.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.'));
        let secures = |inner: &str| {
            let row = broker::row(inner).map(|row| row.served);
            matches!(row, Some(Served::Refuse(_))) || inner.contains("sasl.") || inner.contains("ssl.")
        };
        match of_listener {
            Some((listener, inner)) if secures(inner) => self.problem(format!(
                "{origin}: `{key}`: TLS and SASL are not served yet; remove the property, and keep listener {listener} on \
                 a network that you trust"
            )),
            _ => self.warn(format!("{origin}: `{key}` is not served yet, and without effect")),
        }
    }

    pub(crate) fn problem(&mut self, sentence: String) {
        self.findings.problems.push(sentence);
    }

    pub(crate) fn warn(&mut self, sentence: String) {
        self.findings.warnings.push(sentence);
    }

    /// `server.properties:3: `key`` or, for a default, `` `key` ``: how a complaint begins.
    pub(crate) fn at(&self, key: &str) -> String {
        match self.settings.get(key) {
            Some(setting) => format!("{}: `{key}`", setting.origin),
            None => format!("`{key}`"),
        }
    }

    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.settings.get(key).is_some()
    }

    /// The value that was set, else the default; `None` when it has none. Invalid values were complained about already.
    fn value(&self, key: &'static str) -> Option<Value> {
        let row = broker::row(key).expect("only keys of the table are asked for");
        let set = self.settings.get(key).and_then(|setting| row.parse(&setting.value).ok());
        // A default such as the empty list of voters need not meet the check of what is set.
        let default =
            || row.default.and_then(|text| Row { check: crate::config::row::Check::Any, ..*row }.parse(text).ok());
        set.or_else(default)
    }

    /// A number that may be absent.
    pub(crate) fn maybe_number(&self, key: &'static str) -> Option<i64> {
        match self.value(key) {
            Some(Value::Number(n)) => Some(n),
            _ => None,
        }
    }

    /// A number that only a running broker has: what a file says of it is passed over, as in Kafka.
    pub(crate) fn dynamic_number(&self, key: &'static str) -> Option<i64> {
        let is_dynamic = |setting: &&Setting| matches!(setting.origin, Origin::Dynamic { .. });
        let setting = self.settings.get(key).filter(is_dynamic)?;
        match broker::dynamic_row(key)?.parse(&setting.value) {
            Ok(Value::Number(n)) => Some(n),
            Ok(_) | Err(_) => None,
        }
    }

    /// A number, within the range of `N`, which its type in the table promises.
    pub(crate) fn number<N: TryFrom<i64>>(&self, key: &'static str) -> N {
        // A negative count, where Kafka's table has no lower bound, is as good as none.
        N::try_from(self.signed(key)).or_else(|_| N::try_from(0)).ok().expect("every number type has a zero")
    }

    /// A number of which negative values mean something.
    pub(crate) fn signed(&self, key: &'static str) -> i64 {
        self.maybe_number(key).expect("the table has a default for it")
    }

    pub(crate) fn double(&self, key: &'static str) -> f64 {
        match self.value(key) {
            Some(Value::Double(number)) => number,
            _ => 0.0,
        }
    }

    pub(crate) fn boolean(&self, key: &'static str) -> bool {
        matches!(self.value(key), Some(Value::Boolean(true)))
    }

    pub(crate) fn text(&self, key: &'static str) -> Option<String> {
        match self.value(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(&self, key: &'static str) -> Vec<String> {
        match self.value(key) {
            Some(Value::List(items)) => items,
            _ => Vec::new(),
        }
    }
}
