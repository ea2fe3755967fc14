//! Words that must not be committed: unfinished work, and paths of one machine.

use super::source::Tree;

/// Each word in two halves, so that this file does not find itself, and why not.
const BANNED: [(&str, &str, &str); 7] = [
    ("todo", "!(", "unfinished code lands as a refusal with a sentence, or not at all"),
    ("unimplemented", "!(", "unfinished code lands as a refusal with a sentence, or not at all"),
    ("FIX", "ME", "repair it, or write it into docs/roadmap.md"),
    ("/home", "/", "a path of one machine"),
    ("/work", "/", "a path of one machine"),
    ("/root", "/", "a path of one machine"),
    ("@ts-", "ignore", "say what is wrong instead"),
];

/// Files whose subject is not ours to word.
const EXEMPT: [&str; 3] = ["Cargo.lock", "go.sum", "package-lock.json"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| !EXEMPT.iter().any(|file| path.ends_with(file))) {
        for (number, line) in text.lines().enumerate() {
            for (head, tail, why) in BANNED {
                if stands_alone(line, &format!("{head}{tail}")) {
                    complaints.push(format!("{path}:{}: {head}{tail}: {why}", number + 1));
                }
            }
        }
    }
    complaints
}

/// A banned path is absolute: it follows no letter, digit or dot, as a path inside the tree or an address on the web would.
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_paths_of_one_machine_but_no_part_of_a_longer_word() {
        let (here, there) = (format!("see /{}/x", "work"), format!("target/{}/x", "work"));
        assert_eq!(check(&Tree::of(&[("a.md", &here)])).len(), 1);
        assert!(check(&Tree::of(&[("a.md", &there)])).is_empty());
        assert_eq!(check(&Tree::of(&[("a.rs", &format!("{}!()", "todo"))])).len(), 1);
    }
}
