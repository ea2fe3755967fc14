//! `docs/configuration.md`, written from the rows.

use std::fmt::Write as _;

use crate::config::dynamic::only_at_the_start;
use crate::config::row::{Check, Importance, Row, Scope, Served};
use crate::config::{broker, group, topic};

const HEAD: &str = "\
# Configuration

Written from the table in `crates/metadata/src/config`; a test fails when this file and the table differ.

`ottla server --config FILE` reads a `server.properties` as Apache Kafka does. Environment variables go before the file
(`OTTLA_NUM_PARTITIONS=3` or `KAFKA_NUM_PARTITIONS=3`; `_` stands for `.`, `__` for `_`, `___` for `-`), and
`--set num.partitions=3` goes before both. Without a file Ottla starts one node for this machine: listeners on
127.0.0.1:9092 and 127.0.0.1:9093, data in `./ottla-data`, internal topics with one replica.

What is changeable for all brokers, or for each (KIP-226), is changed with `kafka-configs --entity-type brokers` and
`--entity-default` or `--entity-name ID`; it holds at once and after a restart, and goes before what was given at the start:
this broker's own, else that of all brokers, else the start's. What is changeable for all brokers may be set for one as well.

The last column says what setting a property does today:

* **served**: what it says;
* **not yet**: it is accepted without effect, and a warning at the start names it; a broker that runs refuses it;
* **refused**: any value but the default is refused with a sentence, since to ignore it would weaken security, durability or
  placement.

A property that Kafka 4.4 does not have is refused for topics and for `--set`, and warned about in a file, with the nearest
name that it has.
";

/// The whole document.
#[must_use]
pub fn configuration_md() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n## Broker\n");
    for subject in broker::SUBJECTS {
        section(&mut text, "###", subject.title, subject.rows.iter());
    }
    section(&mut text, "###", "Only while it runs", broker::DYNAMIC_ONLY.iter());
    section(&mut text, "##", "Topic", topic::rows());
    text.push_str("\nA topic property that is not set takes the value of the broker property of the same meaning:\n\n");
    text.push_str("| topic | broker, the first that is set |\n|---|---|\n");
    for row in topic::rows().filter(|row| !row.synonyms.is_empty()) {
        let names: Vec<String> = row.synonyms.iter().map(|synonym| format!("`{}`", synonym.name)).collect();
        line(&mut text, format_args!("| `{}` | {} |", row.name, names.join(", ")));
    }
    section(&mut text, "##", "Group", group::rows());
    text
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(text, "{what}").expect("writing to a string cannot fail");
}

fn section<'r>(text: &mut String, level: &str, title: &str, rows: impl Iterator<Item = &'r Row>) {
    line(text, format_args!("\n{level} {title}\n"));
    text.push_str("| property | type | default | valid | importance | changeable | what it is for | |\n");
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for row in rows.filter(|row| !row.internal) {
        let default = match row.default {
            None => "none".to_owned(),
            Some("") => "empty".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        line(
            text,
            format_args!(
                "| `{}` | {} | {default} | {} | {} | {} | {} | {} |",
                row.name,
                row.kind.name(),
                valid(row.check),
                importance(row.importance),
                changeable(row),
                row.doc,
                served(row.served)
            ),
        );
    }
}

fn valid(check: Check) -> String {
    let words = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match check {
        Check::Any => String::new(),
        Check::AtLeast(min) => format!("{min} and more"),
        Check::Between(min, max) => format!("{min} to {max}"),
        Check::Ratio(min, max) => format!("{min} to {max}"),
        Check::GzipLevel => "1 to 9, or -1".into(),
        Check::OneOf(all) | Check::OneOfAnyCase(all) => words(all),
        Check::ListOf(all) => format!("some of {}", words(all)),
        Check::NonEmpty | Check::NonEmptyList => "not empty".into(),
        Check::ThrottledReplicas => "`*`, or `partition:broker` pairs".into(),
        Check::ShareOffsetReset => "`earliest`, `latest`, `by_duration:PT1H`".into(),
    }
}

fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::High => "high",
        Importance::Medium => "medium",
        Importance::Low => "low",
    }
}

fn changeable(row: &Row) -> &'static str {
    match row.scope {
        Scope::ReadOnly => "at the start",
        _ if only_at_the_start(row.name).is_some() => "at the start",
        Scope::PerBroker => "per broker",
        Scope::ClusterWide => "for all brokers",
        Scope::PerResource => "any time",
    }
}

fn served(served: Served) -> &'static str {
    match served {
        Served::Yes { .. } => "served",
        Served::Warn => "not yet",
        Served::Refuse(_) => "refused",
    }
}
