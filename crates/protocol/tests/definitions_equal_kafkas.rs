//! Our definitions compared, field by field, with those inside Kafka's own jars: names, keys, versions, types, tags,
//! nullability, defaults, listeners.
//!
//! The jars' definitions are found in the directory that `OTTLA_KAFKA_DEFINITIONS` names, or else in
//! `target/kafka/definitions`, where `cargo xtask test` unpacks them.

#![allow(clippy::disallowed_methods, reason = "a test reads files of the build")]

mod every_message;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ottla_protocol_gen::{Field, Kind, Message, Type, Versions};
use serde_json::Value;

fn directory() -> PathBuf {
    std::env::var_os("OTTLA_KAFKA_DEFINITIONS")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kafka/definitions"))
}

#[test]
fn every_definition_equals_kafkas() {
    let directory = directory();
    let mut files = Vec::new();
    find_json(&directory, &mut files);
    if files.is_empty() {
        eprintln!("NOT RUN: definitions compared with Kafka's: no JSON definitions in {}", directory.display());
        return;
    }
    let theirs: BTreeMap<String, Vec<String>> = files.iter().map(|path| their_lines(path)).collect();
    let ours: BTreeMap<String, Vec<String>> =
        every_message::definitions().into_values().map(|m| (m.name.clone(), our_lines(&m))).collect();
    let mut differences = Vec::new();
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for name in names {
        match (ours.get(name), theirs.get(name)) {
            (Some(ours), Some(theirs)) => {
                let of = |a: &[String], b: &[String], whose: &str| {
                    a.iter().filter(|l| !b.contains(l)).map(|l| format!("{name}, {whose}: {l}")).collect::<Vec<_>>()
                };
                differences.extend(of(ours, theirs, "ours"));
                differences.extend(of(theirs, ours, "Kafka's"));
                if ours != theirs && of(ours, theirs, "").is_empty() && of(theirs, ours, "").is_empty() {
                    differences.push(format!("{name}: the order of fields differs"));
                }
            }
            (Some(_), None) => differences.push(format!("{name} is not Kafka's")),
            (None, _) => differences.push(format!("{name} is missing")),
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert_eq!(ours.len(), 286, "Kafka 4.4.0 has so many");
}

fn find_json(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.map(|e| e.expect("readable").path()) {
        if path.is_dir() {
            find_json(&path, found);
        } else if path.extension().is_some_and(|e| e == "json") {
            found.push(path);
        }
    }
}

/// Every fact of ours, one field a line.
fn our_lines(m: &Message) -> Vec<String> {
    let kind = match m.kind {
        Kind::Request => "request",
        Kind::Response => "response",
        Kind::Header => "header",
        Kind::Metadata => "metadata",
        Kind::CoordinatorKey => "coordinator-key",
        Kind::CoordinatorValue => "coordinator-value",
        Kind::Data => "data",
    };
    let mut listeners = m.listeners.clone();
    listeners.sort();
    let mut lines = vec![format!(
        "{kind} key {:?} versions {} flexible {} unstable {} on {listeners:?}",
        m.key,
        range(m.versions),
        range(m.flexible),
        m.latest_unstable
    )];
    our_fields("", &m.fields, &mut lines);
    for s in &m.structs {
        lines.push(format!("struct {} versions {}", s.name, range(Some(s.versions))));
        our_fields(&s.name, &s.fields, &mut lines);
    }
    lines
}

fn our_fields(path: &str, fields: &[Field], lines: &mut Vec<String>) {
    for f in fields {
        let path = format!("{path}.{}", f.name);
        lines.push(line(
            &path,
            &type_name(&f.ty),
            [
                range(Some(f.versions)),
                range(f.nullable),
                f.tag.map_or(String::new(), |(tag, v)| format!("{tag} {}", range(Some(v)))),
                f.ignorable.to_string(),
                f.key.to_string(),
                f.never_flexible.to_string(),
                f.default.clone().unwrap_or_default(),
            ],
        ));
        our_fields(&path, f.fields.as_deref().unwrap_or_default(), lines);
    }
}

/// One field as a line; the facts are versions, nullable versions, tag, ignorable, key, never flexible, default.
fn line(path: &str, ty: &str, [versions, nullable, tag, ignorable, key, inflexible, default]: [String; 7]) -> String {
    format!(
        "{path} {ty} versions {versions} nullable {nullable} tag {tag} ignorable {ignorable} key {key} \
         never flexible {inflexible} default {default}"
    )
}

fn type_name(ty: &Type) -> String {
    match ty {
        Type::Struct(name) => name.clone(),
        Type::Array(inner) => format!("[]{}", type_name(inner)),
        fixed => format!("{fixed:?}").to_lowercase(),
    }
}

fn range(versions: Option<Versions>) -> String {
    match versions {
        None => "none".to_owned(),
        Some(Versions { first, last: i16::MAX }) => format!("{first}+"),
        Some(Versions { first, last }) if first == last => first.to_string(),
        Some(Versions { first, last }) => format!("{first}-{last}"),
    }
}

/// The name and every fact of one of Kafka's files, in the same form.
fn their_lines(path: &Path) -> (String, Vec<String>) {
    let text = std::fs::read_to_string(path).expect("readable");
    let json: Value =
        serde_json::from_str(&without_comments(&text)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut listeners: Vec<&str> =
        json["listeners"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    listeners.sort_unstable();
    let mut lines = vec![format!(
        "{} key {:?} versions {} flexible {} unstable {} on {listeners:?}",
        json["type"].as_str().expect("every message has a type"),
        json["apiKey"].as_i64(),
        their_range(&json["validVersions"]),
        their_range(&json["flexibleVersions"]),
        json["latestVersionUnstable"].as_bool().unwrap_or(false),
    )];
    their_fields("", &json["fields"], &mut lines);
    for s in json["commonStructs"].as_array().into_iter().flatten() {
        let name = s["name"].as_str().expect("named");
        lines.push(format!("struct {name} versions {}", their_range(&s["versions"])));
        their_fields(name, &s["fields"], &mut lines);
    }
    (json["name"].as_str().expect("named").to_owned(), lines)
}

fn their_fields(path: &str, fields: &Value, lines: &mut Vec<String>) {
    for f in fields.as_array().into_iter().flatten() {
        let path = format!("{path}.{}", f["name"].as_str().expect("named"));
        let flag = |name: &str| f[name].as_bool().unwrap_or(false).to_string();
        let tag = f["tag"].as_i64().map_or(String::new(), |t| format!("{t} {}", their_range(&f["taggedVersions"])));
        let default = match &f["default"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // A tagged field may leave its versions out: they are then those in which it is tagged. A default that is null
        // without quotes is none at all: Kafka's generator takes only the word for null.
        let versions = if f["versions"].is_null() { &f["taggedVersions"] } else { &f["versions"] };
        let facts = [
            their_range(versions),
            their_range(&f["nullableVersions"]),
            tag,
            flag("ignorable"),
            flag("mapKey"),
            (f["flexibleVersions"] == "none").to_string(),
            default,
        ];
        lines.push(line(&path, f["type"].as_str().expect("typed"), facts));
        their_fields(&path, &f["fields"], lines);
    }
}

/// A range as Kafka writes it, put into one form: `0-0` is `0`, and nothing is `none`.
fn their_range(value: &Value) -> String {
    let text = value.as_str().unwrap_or("none");
    match text.split_once('-') {
        Some((first, last)) if first == last => first.to_owned(),
        _ => text.to_owned(),
    }
}

/// Kafka's files are JSON with lines of comment.
fn without_comments(text: &str) -> String {
    text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect::<Vec<_>>().join("\n")
}
