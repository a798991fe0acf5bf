// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What came of the cases, for people and (as KTAP) for programs. Pure.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Passed,
    /// As it should, with something to say about it.
    Noted(String),
    /// For this cause.
    Failed(String),
    /// It cannot be run here, for this reason.
    Skipped(String),
    /// The case is a program with tests of its own, each of which counts.
    Many {
        /// How many passed.
        passed: usize,
        /// How many failed.
        failed: usize,
        /// How many were left out.
        skipped: usize,
        /// What the failed ones say.
        cause: String,
    },
}

impl Ending {
    /// A failure.
    pub fn failed(cause: impl Into<String>) -> Self {
        Self::Failed(cause.into())
    }

    /// Passed, or failed for the cause given.
    pub fn of(judgement: Result<(), String>) -> Self {
        match judgement {
            Ok(()) => Self::Passed,
            Err(cause) => Self::Failed(cause),
        }
    }

    /// How many tests passed, failed and were skipped.
    fn counts(&self) -> [usize; 3] {
        match self {
            Self::Passed | Self::Noted(_) => [1, 0, 0],
            Self::Failed(_) => [0, 1, 0],
            Self::Skipped(_) => [0, 0, 1],
            Self::Many { passed, failed, skipped, .. } => [*passed, *failed, *skipped],
        }
    }

    fn cause(&self) -> Option<&str> {
        match self {
            Self::Failed(cause) => Some(cause),
            Self::Many { failed, cause, .. } if *failed > 0 => Some(cause),
            _ => None,
        }
    }
}

/// A case that was run.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub elapsed: Duration,
    /// The command that runs it again by hand.
    pub reproduce: String,
}

/// The line of the case, and below it why it failed.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "test {} ... ", self.name)?;
        match &self.ending {
            Ending::Passed | Ending::Noted(_) => f.write_str("ok")?,
            Ending::Skipped(reason) => write!(f, "skipped: {reason}")?,
            Ending::Failed(_) => f.write_str("FAILED")?,
            Ending::Many { passed, failed: 0, .. } => write!(f, "ok, {passed} tests")?,
            Ending::Many { passed, failed, .. } => {
                write!(f, "FAILED, {failed} of {} tests", passed + failed)?;
            }
        }
        write!(f, " ({:.1} s)", self.elapsed.as_secs_f64())?;
        if let Ending::Noted(note) = &self.ending {
            for line in note.trim_end().lines() {
                write!(f, "\n    {line}")?;
            }
        }
        if let Some(cause) = self.ending.cause() {
            for line in cause.trim_end().lines() {
                write!(f, "\n    {line}")?;
            }
            write!(f, "\n    again: {}", self.reproduce)?;
        }
        Ok(())
    }
}

fn counts(cases: &[Case]) -> [usize; 3] {
    cases
        .iter()
        .map(|case| case.ending.counts())
        .fold([0; 3], |sum, counts| [sum[0] + counts[0], sum[1] + counts[1], sum[2] + counts[2]])
}

/// How many tests failed.
pub fn failed(cases: &[Case]) -> usize {
    counts(cases)[1]
}

/// The last line, whose form scripts rely on.
pub fn closing_line(cases: &[Case]) -> String {
    let [passed, failed, skipped] = counts(cases);
    format!("{passed} passed, {failed} failed, {skipped} skipped")
}

/// The cases as KTAP, version 1.
pub fn ktap(cases: &[Case]) -> String {
    let mut text = format!("KTAP version 1\n1..{}\n", cases.len());
    for (case, number) in cases.iter().zip(1..) {
        // What follows a `#` is a directive.
        let name = case.name.replace('#', "");
        let cause = case.ending.cause();
        let note = match &case.ending {
            Ending::Noted(note) => Some(note.as_str()),
            _ => cause,
        };
        for line in note.unwrap_or_default().lines() {
            let _ = writeln!(text, "# {line}");
        }
        let ok = if cause.is_some() { "not ok" } else { "ok" };
        let _ = match &case.ending {
            Ending::Skipped(reason) => writeln!(text, "{ok} {number} {name} # SKIP {reason}"),
            _ => writeln!(text, "{ok} {number} {name}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<Case> {
        let endings = [
            Ending::Many { passed: 7, failed: 0, skipped: 1, cause: String::new() },
            Ending::Many { passed: 6, failed: 1, skipped: 0, cause: "x panicked".into() },
            Ending::Passed,
            Ending::failed("CPU 3 is late\nsecond line\n"),
            Ending::Skipped("needs an arm64 host".into()),
        ];
        let case = |(index, ending)| Case {
            name: format!("case #{index}"),
            ending,
            elapsed: Duration::from_millis(1250),
            reproduce: "cargo test".into(),
        };
        endings.into_iter().enumerate().map(case).collect()
    }

    #[test]
    fn cases_read_like_those_of_a_test_runner() {
        let cases = cases();
        let mut text: String = cases.iter().map(|case| format!("{case}\n")).collect();
        text += &closing_line(&cases);
        insta::assert_snapshot!(text, @r"
        test case #0 ... ok, 7 tests (1.2 s)
        test case #1 ... FAILED, 1 of 7 tests (1.2 s)
            x panicked
            again: cargo test
        test case #2 ... ok (1.2 s)
        test case #3 ... FAILED (1.2 s)
            CPU 3 is late
            second line
            again: cargo test
        test case #4 ... skipped: needs an arm64 host (1.2 s)
        14 passed, 2 failed, 2 skipped
        ");
        assert_eq!(failed(&cases), 2);
    }

    #[test]
    fn programs_read_ktap() {
        insta::assert_snapshot!(ktap(&cases()), @r"
        KTAP version 1
        1..5
        ok 1 case 0
        # x panicked
        not ok 2 case 1
        ok 3 case 2
        # CPU 3 is late
        # second line
        not ok 4 case 3
        ok 5 case 4 # SKIP needs an arm64 host
        ");
    }
}
