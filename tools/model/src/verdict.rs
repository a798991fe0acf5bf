// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Verdicts of checks for programs: as KTAP version 1, which the kernel's own tests speak, and as
//! JUnit, which continuous integration services read. Pure: whoever made the verdicts writes the
//! file.

use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// As it should.
    Passed,
    /// Otherwise; the detail says how.
    Failed,
    /// It could not be made here; the detail says what it needs.
    Skipped,
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The name of the check.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// Of a failure, its cause; of a skipped check, what it needs; else what is worth to be known,
    /// mostly nothing. May have several lines.
    pub detail: String,
    /// How long it took.
    pub duration: Duration,
    /// The command that repeats it by hand; may be empty.
    pub repeat_command: String,
}

impl Verdict {
    /// A check that passed.
    pub fn passed(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            status: Status::Passed,
            detail: String::new(),
            duration: Duration::ZERO,
            repeat_command: String::new(),
        }
    }

    /// A check that failed for the cause given.
    pub fn failed(name: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { status: Status::Failed, detail: cause.into(), ..Self::passed(name) }
    }

    /// A check that could not be made, for it needs what `reason` says.
    pub fn skipped(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { status: Status::Skipped, detail: reason.into(), ..Self::passed(name) }
    }

    /// The verdict with the time that it took.
    #[must_use]
    pub fn taking(self, duration: Duration) -> Self {
        Self { duration, ..self }
    }

    /// The verdict with the command that repeats it.
    #[must_use]
    pub fn repeated_by(self, command: impl Into<String>) -> Self {
        Self { repeat_command: command.into(), ..self }
    }
}

/// How many verdicts passed, failed and were skipped.
pub fn counts(verdicts: &[Verdict]) -> [usize; 3] {
    [Status::Passed, Status::Failed, Status::Skipped]
        .map(|status| verdicts.iter().filter(|verdict| verdict.status == status).count())
}

/// The last line, whose form scripts rely on: `N passed, N failed, N skipped`.
pub fn closing_line(verdicts: &[Verdict]) -> String {
    let [passed, failed, skipped] = counts(verdicts);
    format!("{passed} passed, {failed} failed, {skipped} skipped")
}

/// The verdicts as KTAP, version 1. Causes and commands stand as diagnostic lines before the result
/// that they belong to.
pub fn ktap(verdicts: &[Verdict]) -> String {
    let mut text = format!("KTAP version 1\n1..{}\n", verdicts.len());
    for (verdict, number) in verdicts.iter().zip(1..) {
        let name = one_line(&verdict.name);
        let (ok, directive) = match verdict.status {
            Status::Passed => ("ok", String::new()),
            Status::Failed => ("not ok", String::new()),
            Status::Skipped => ("ok", format!(" # SKIP {}", one_line(&verdict.detail))),
        };
        if verdict.status != Status::Skipped {
            for line in verdict.detail.lines() {
                let _ = writeln!(text, "# {}", without_controls(line));
            }
        }
        if verdict.status == Status::Failed && !verdict.repeat_command.is_empty() {
            let _ = writeln!(text, "# again: {}", without_controls(&verdict.repeat_command));
        }
        let _ = writeln!(text, "{ok} {number} {name}{}", directive.trim_end());
    }
    text
}

/// The verdicts as JUnit, in one test suite of that name.
///
/// # Errors
///
/// None that these types can cause: what XML cannot hold is left out.
pub fn junit(suite: &str, verdicts: &[Verdict]) -> Result<String, quick_junit::SerializeError> {
    let mut tests = TestSuite::new(suite);
    for verdict in verdicts {
        let first = verdict.detail.lines().next().unwrap_or_default();
        let mut status = match verdict.status {
            Status::Passed => TestCaseStatus::success(),
            Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
            Status::Skipped => TestCaseStatus::skipped(),
        };
        if verdict.status != Status::Passed {
            status.set_message(first);
        }
        if verdict.status == Status::Failed {
            let mut description = verdict.detail.trim_end().to_owned();
            if !verdict.repeat_command.is_empty() {
                let _ = write!(description, "\nagain: {}", verdict.repeat_command);
            }
            status.set_type("failure").set_description(description);
        }
        let mut case = TestCase::new(without_line_ends(&verdict.name), status);
        case.set_classname(suite).set_time(verdict.duration);
        tests.add_test_case(case);
    }
    let total = verdicts.iter().map(|verdict| verdict.duration).sum();
    tests.set_time(total);
    let mut report = Report::new(suite);
    report.set_time(total);
    report.add_test_suite(tests);
    report.to_string()
}

/// Text for the line of a result: what follows a `#` is a directive, and a line end would begin
/// another line.
fn one_line(text: &str) -> String {
    without_line_ends(&without_controls(text).replace('#', ""))
}

fn without_line_ends(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn without_controls(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdicts() -> Vec<Verdict> {
        let second = Duration::from_millis(1250);
        vec![
            Verdict::passed("case #1").taking(second).repeated_by("cargo test"),
            Verdict::failed("case <2>", "CPU 3 is late\nsecond & last \u{1b}[31mline\u{7}\n")
                .taking(second)
                .repeated_by("cargo xtask faults --only 'late'"),
            Verdict::skipped("case 3\nnot ok", "needs an arm64 host\n# with KVM"),
        ]
    }

    #[test]
    fn programs_read_ktap() {
        insta::assert_snapshot!(ktap(&verdicts()), @r"
        KTAP version 1
        1..3
        ok 1 case 1
        # CPU 3 is late
        # second & last  [31mline 
        # again: cargo xtask faults --only 'late'
        not ok 2 case <2>
        ok 3 case 3 not ok # SKIP needs an arm64 host with KVM
        ");
    }

    #[test]
    fn services_read_junit() {
        insta::assert_snapshot!(junit("cpu-bringup", &verdicts()).unwrap(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="cpu-bringup" tests="3" skipped="1" failures="1" errors="0" time="2.500">
            <testsuite name="cpu-bringup" tests="3" skipped="1" errors="0" failures="1" time="2.500">
                <testcase name="case #1" classname="cpu-bringup" time="1.250"/>
                <testcase name="case &lt;2&gt;" classname="cpu-bringup" time="1.250">
                    <failure message="CPU 3 is late" type="failure">CPU 3 is late
        second &amp; last line
        again: cargo xtask faults --only &apos;late&apos;</failure>
                </testcase>
                <testcase name="case 3 not ok" classname="cpu-bringup" time="0.000">
                    <skipped message="needs an arm64 host"/>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn they_are_counted() {
        assert_eq!(closing_line(&verdicts()), "1 passed, 1 failed, 1 skipped");
        assert_eq!(counts(&[]), [0, 0, 0]);
    }

    proptest! {
        #[test]
        fn one_result_a_line_whatever_it_is_called(name in any::<String>(), detail in any::<String>()) {
            let verdicts = [Verdict::failed(&*name, &*detail), Verdict::skipped(name, detail)];
            let text = ktap(&verdicts);
            let results = |start| text.lines().filter(|line: &&str| line.starts_with(start)).count();
            prop_assert_eq!((results("not ok 1"), results("ok 2")), (1, 1));
            let others = text.lines().skip(2).filter(|line| !line.starts_with("# "));
            prop_assert_eq!(others.filter(|line| *line != "#").count(), 2);
            prop_assert!(junit("x", &verdicts).is_ok());
        }
    }
}
