//! How many tests ran, passed and were skipped, and which judges there were.
//!
//! The test harness can't skip a test at run time: a test that returns because its judge is missing passes there. So
//! each request for a judge leaves a line in a log, and tests whose judge was missing are subtracted from the passed
//! ones.

use std::collections::BTreeSet;
use std::fmt;

const FOUND: &str = "found";
const MISSING: &str = "missing";

/// A line of the log: whether a test found a judge.
pub(crate) fn line(found: bool, judge: &str, program: &str, test: &str) -> String {
    let word = if found { FOUND } else { MISSING };
    format!("{word}\t{judge}\t{program}\t{test}\n")
}

/// The result of a run of `cargo test`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    ran: BTreeSet<String>,
    missing: BTreeSet<String>,
}

impl Tally {
    /// Takes a line of what the tests print: only the results of whole programs count.
    pub fn read(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else { return };
        for count in counts.1.split("; ") {
            match count.split_once(' ').map(|(number, word)| (number.parse().unwrap_or(0), word)) {
                Some((number, "passed")) => self.passed += number,
                Some((number, "failed")) => self.failed += number,
                Some((number, "ignored")) => self.skipped += number,
                _ => {}
            }
        }
    }

    /// Reads the log of judges: a test that missed any of its judges was skipped.
    pub fn judge(&mut self, log: &str) {
        let mut skipped = BTreeSet::new();
        for (number, line) in log.lines().enumerate() {
            let mut parts = line.split('\t');
            let (Some(word), Some(judge), Some(program), Some(test)) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            if word == FOUND {
                self.ran.insert(judge.to_owned());
            } else {
                self.missing.insert(judge.to_owned());
                // Run one by one, all tests have the name of the main thread.
                let number = if test == "main" { number } else { 0 };
                skipped.insert((program, test, number));
            }
        }
        let skipped = skipped.len().min(self.passed);
        self.passed -= skipped;
        self.skipped += skipped;
    }
}

/// Two lines: the judges, and the numbers.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |set: &BTreeSet<String>| match set.len() {
            0 => "none".to_owned(),
            _ => set.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        };
        // A judge that one test missed and another found counts as missing.
        let ran: BTreeSet<String> = self.ran.difference(&self.missing).cloned().collect();
        writeln!(f, "judges: ran: {}; missing: {}", names(&ran), names(&self.missing))?;
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(printed: &str, log: &str) -> Tally {
        let mut tally = Tally::default();
        printed.lines().for_each(|line| tally.read(line));
        tally.judge(log);
        tally
    }

    const TWO: &str = "\
running 3 tests
test a ... ok
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.52s
";

    #[test]
    fn results_of_all_programs_are_added() {
        let tally = tally(TWO, "");
        assert_eq!(tally.to_string(), "judges: ran: none; missing: none\n4 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_test_without_its_judge_is_not_counted_as_passed_and_only_once() {
        let log = [
            line(true, "jq", "e2e-1", "a"),
            line(false, "just", "e2e-1", "a"),
            line(false, "helm", "e2e-1", "a"),
            line(false, "helm", "lab-1", "a"),
            line(true, "kubectl", "lab-1", "b"),
        ];
        let tally = tally(TWO, &log.concat());
        let said = "judges: ran: jq, kubectl; missing: helm, just\n2 passed, 2 failed, 3 skipped";
        assert_eq!(tally.to_string(), said);
    }

    #[test]
    fn tests_that_run_one_by_one_are_told_apart_by_their_lines() {
        let log = [line(false, "helm", "lab-1", "main"), line(false, "jq", "lab-1", "main")];
        let tally = tally(TWO, &log.concat());
        assert!(tally.to_string().ends_with("2 passed, 2 failed, 3 skipped"), "{tally}");
    }
}
