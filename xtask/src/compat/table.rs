//! The table of clients seen working, between two marks in the README.

use std::path::Path;

use anyhow::{Context, Result};

use super::Outcome;

const BEGIN: &str = "<!-- clients: written by `cargo xtask compat --write` -->\n";
const END: &str = "<!-- clients: end -->";

/// Steps that are told together, and the words that tell them.
const GROUPS: [(&str, &[&str]); 5] = [
    ("codecs", &["none", "gzip", "snappy", "lz4", "zstd"]),
    ("", &["idempotent"]),
    ("acks", &["acks-0", "acks-1", "acks-all"]),
    ("groups", &["rebalance", "commit-resume"]),
    ("topics", &["create", "delete"]),
];

/// The table in Markdown: a client, its version, what was seen working, and what failed.
pub(super) fn render(outcomes: &[Outcome]) -> String {
    let mut text = String::from("| Client | Version | Seen working | Failed |\n|---|---|---|---|\n");
    for outcome in outcomes {
        let failed: Vec<&str> = outcome.steps.iter().filter(|s| !s.ok).map(|s| s.name.as_str()).collect();
        text.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            outcome.client,
            outcome.version,
            working(outcome),
            failed.join(", ")
        ));
    }
    text
}

fn working(outcome: &Outcome) -> String {
    let ok = |name: &&&str| outcome.steps.iter().any(|s| s.ok && s.name == **name);
    let mut told = Vec::new();
    for (title, names) in GROUPS {
        let names: Vec<&str> = names.iter().filter(ok).map(|name| name.strip_prefix("acks-").unwrap_or(name)).collect();
        if !names.is_empty() {
            told.push(if title.is_empty() { names.join(", ") } else { format!("{title}: {}", names.join(" ")) });
        }
    }
    let grouped = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let tools: Vec<&str> =
        outcome.steps.iter().filter(|s| s.ok && !grouped(&s.name)).map(|s| s.name.as_str()).collect();
    if !tools.is_empty() {
        told.push(format!("tools: {}", tools.join(" ")));
    }
    told.join("; ")
}

/// Replaces what stands between the marks.
pub(super) fn write(readme: &Path, table: &str) -> Result<()> {
    let text = std::fs::read_to_string(readme)?;
    let written = replace(&text, table).with_context(|| format!("{} has no marks for the table", readme.display()))?;
    std::fs::write(readme, written)?;
    Ok(())
}

fn replace(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::super::Step;
    use super::*;

    #[test]
    fn tells_steps_together_and_replaces_only_what_is_between_the_marks() {
        let step = |name: &str, ok| Step { name: name.into(), ok, detail: String::new() };
        let outcome = Outcome {
            client: "kcat".into(),
            version: "1.7.1".into(),
            steps: vec![
                step("none", true),
                step("lz4", true),
                step("zstd", false),
                step("acks-all", true),
                step("dump-log", true),
            ],
        };
        let table = render(&[outcome]);
        assert!(table.ends_with("| kcat | 1.7.1 | codecs: none lz4; acks: all; tools: dump-log | zstd |\n"), "{table}");
        let text = format!("a\n{BEGIN}old\n{END}\nb\n");
        let replaced = replace(&text, &table).expect("the marks are there");
        assert_eq!(replaced, format!("a\n{BEGIN}{table}{END}\nb\n"));
        assert_eq!(replace("no marks", &table), None);
    }
}
