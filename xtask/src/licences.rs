//! The licence of every crate that is built here, against what `deny.toml` allows. cargo-deny looks deeper, where it is
//! installed; this needs nothing but cargo, so that a forbidden licence never passes for want of a tool.
//!
//! Looked at are the dependencies of this platform, those of tests and build scripts among them.

use anyhow::{Context, Result, bail};

use crate::shell::{Cmd, root};

/// Fails with every dependency whose licence is not allowed.
pub(crate) fn check() -> Result<()> {
    let deny = std::fs::read_to_string(root().join("deny.toml")).context("deny.toml cannot be read")?;
    let tree =
        ["tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}|{l}"];
    let complaints = complaints(&Cmd::cargo(tree).output()?, &allowed(&deny)?);
    if !complaints.is_empty() {
        bail!("deny.toml allows no such licence:\n{}", complaints.join("\n"));
    }
    Ok(())
}

/// The names in `allow = [...]` of the section `[licenses]`.
fn allowed(deny: &str) -> Result<Vec<&str>> {
    let section = deny.split("[licenses]").nth(1).context("deny.toml has no section [licenses]")?;
    let list = section.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']'));
    let (list, _) = list.context("[licenses] of deny.toml has no list `allow`")?;
    let names: Vec<&str> =
        list.split(',').map(|name| name.trim().trim_matches('"')).filter(|n| !n.is_empty()).collect();
    if names.is_empty() {
        bail!("deny.toml allows no licence at all");
    }
    Ok(names)
}

/// A sentence for each line `name version|licence` whose licence is not allowed, each crate once.
fn complaints(tree: &str, allowed: &[&str]) -> Vec<String> {
    let mut complaints: Vec<String> = tree
        .lines()
        .filter_map(|line| line.trim_end_matches(" (*)").rsplit_once('|'))
        .filter(|(_, licence)| !is_allowed(licence, allowed))
        .map(|(package, licence)| match licence {
            "" => format!("{package} names no licence"),
            _ => format!("{package} is under {licence}"),
        })
        .collect();
    complaints.sort();
    complaints.dedup();
    complaints
}

/// Whether an SPDX expression can be met with what is allowed: one side of an OR is enough, an AND needs both. What cannot be
/// read is not allowed.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    // Crates of old wrote `/` for OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut reader = Expression { words: spaced.split_whitespace().peekable(), allowed };
    reader.either() == Some(true) && reader.words.next().is_none()
}

struct Expression<'a, I: Iterator<Item = &'a str>> {
    words: std::iter::Peekable<I>,
    allowed: &'a [&'a str],
}

impl<'a, I: Iterator<Item = &'a str>> Expression<'a, I> {
    fn either(&mut self) -> Option<bool> {
        let mut met = self.both()?;
        while self.words.next_if_eq(&"OR").is_some() {
            met |= self.both()?;
        }
        Some(met)
    }

    fn both(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.words.next_if_eq(&"AND").is_some() {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.words.next_if_eq(&"(").is_some() {
            let met = self.either()?;
            return (self.words.next()? == ")").then_some(met);
        }
        let name = self.words.next().filter(|word| !matches!(*word, "OR" | "AND" | "WITH" | ")"))?;
        if self.words.next_if_eq(&"WITH").is_none() {
            return Some(self.allowed.contains(&name));
        }
        let whole = format!("{name} WITH {}", self.words.next()?);
        Some(self.allowed.contains(&whole.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: [&str; 4] = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];

    #[test]
    fn an_expression_is_met_or_not() {
        for met in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/GPL-2.0",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "GPL-3.0 OR MIT AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(is_allowed(met, &ALLOWED), "{met}");
        }
        for not in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0) AND GPL-3.0",
            "MIT WITH Classpath-exception-2.0",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT Apache-2.0",
        ] {
            assert!(!is_allowed(not, &ALLOWED), "{not}");
        }
    }

    #[test]
    fn every_crate_that_is_not_allowed_is_named_once() {
        let tree = "a v1.0.0|MIT\n\nb v2.0.0|GPL-3.0\nb v2.0.0|GPL-3.0 (*)\nc v3.0.0|\n";
        let complaints = complaints(tree, &ALLOWED);
        assert_eq!(complaints, ["b v2.0.0 is under GPL-3.0", "c v3.0.0 names no licence"]);
    }

    #[test]
    fn what_is_built_here_is_allowed() {
        check().expect("every licence is allowed");
    }

    #[test]
    fn the_list_of_deny_toml_is_read() {
        let deny = "# [other]\n[licenses]\nallow = [\"MIT\", \"Apache-2.0 WITH LLVM-exception\"]\n[bans]\ndeny = []\n";
        assert_eq!(allowed(deny).expect("a list"), ["MIT", "Apache-2.0 WITH LLVM-exception"]);
        assert!(allowed("[bans]\nallow = [\"MIT\"]\n").is_err());
    }
}
