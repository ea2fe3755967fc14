//! What documents link, and the files of ours that they name in backticks, exist.

use super::source::Tree;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.ends_with(".md")) {
        for link in links(text) {
            let target = resolve(path, link);
            if !tree.has(&target) {
                complaints.push(format!("{path}: links {link}, and there is no {target}"));
            }
        }
        for named in named_files(text) {
            if !tree.has(named) && !tree.has(&format!("crates/{named}")) {
                complaints.push(format!("{path}: names {named}, and there is no such file"));
            }
        }
    }
    complaints
}

/// Targets of `[text](target)` that lie in the tree, without their `#anchor`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let link = rest.split([')', ' ', '\n']).next()?.split('#').next()?;
        let outside = link.is_empty() || link.contains("://") || link.starts_with("mailto:") || link.starts_with('<');
        (!outside).then_some(link)
    })
}

/// Words in backticks that are a path of a source file: `crates/env/src/fs.rs`, or `env/src/fs.rs` for short.
fn named_files(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|word| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        let ours =
            word.contains("/src/") || ["xtask/", "compat/", "docs/", "crates/"].iter().any(|top| word.starts_with(top));
        plain && ours
    })
}

/// The link as a path from the root.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_named_exists() {
        let tree = Tree::of(&[
            ("a.md", "`env/src/fs.rs` and `crates/env/src/gone.rs`, not `docs/<name>.md` nor `a/b`"),
            ("crates/env/src/fs.rs", ""),
        ]);
        assert_eq!(check(&tree), ["a.md: names crates/env/src/gone.rs, and there is no such file"]);
    }

    #[test]
    fn follows_links_from_where_they_stand() {
        let tree = Tree::of(&[
            ("docs/design/a.md", "[up](../b.md#part) [gone](c.md) [web](https://x.y/z) [dir](../../crates)"),
            ("docs/b.md", ""),
            ("crates/env/Cargo.toml", ""),
        ]);
        assert_eq!(check(&tree), ["docs/design/a.md: links c.md, and there is no docs/design/c.md"]);
    }
}
