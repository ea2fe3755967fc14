//! Counts what test runners print, so that nothing is skipped silently.

use std::fmt;

/// Tests seen so far. `NOT RUN:` lines and ignored tests are skipped ones.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Each sentence after `NOT RUN:`.
    pub(crate) not_run: Vec<String>,
}

impl Count {
    /// Reads one line of a test run: Cargo's `test result:` line or a `NOT RUN:` sentence.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some((_, why)) = line.split_once("NOT RUN:") {
            self.not_run(why.trim());
        } else if let Some(result) = line.trim_start().strip_prefix("test result:") {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
            self.skipped += number_before(result, " ignored");
        }
    }

    /// Counts one thing that could not run, and keeps why. The same sentence again (one per test binary) counts once.
    pub(crate) fn not_run(&mut self, why: &str) {
        if !self.not_run.iter().any(|known| known == why) {
            self.skipped += 1;
            self.not_run.push(why.to_owned());
        }
    }

    pub(crate) fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped - other.not_run.len() as u64;
        for why in other.not_run {
            self.not_run(&why);
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

fn number_before(line: &str, word: &str) -> u64 {
    let digits = line.find(word).map(|at| &line[..at]).and_then(|before| before.rsplit([' ', '.', ';']).next());
    digits.and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cargos_result_line_and_sentences_of_what_did_not_run() {
        let mut count = Count::default();
        count
            .read("test result: FAILED. 12 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.10s");
        count.read("NOT RUN: no java");
        count.read("NOT RUN: no java");
        count.read("test some::name ... ok");
        assert_eq!(count.to_string(), "12 passed, 1 failed, 4 skipped");
        let mut sum = Count::default();
        sum.add(count.clone());
        sum.add(count);
        assert_eq!(
            sum.to_string(),
            "24 passed, 2 failed, 7 skipped",
            "one sentence is one skip, however often it is said"
        );
    }
}
