// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The workspace itself: unit tests, format, lints.

use std::process::Command;

use anyhow::Result;
use xshell::cmd;

use super::{Ending, Runner};
use crate::context::Context;
use crate::stages::boot::{guest, interposer};

/// How much of a failed command's output is shown.
const LINES: usize = 40;

/// Runs the cases of this file.
pub fn run(runner: &mut Runner<'_>) {
    cargo(runner, "unit tests", &["test", "--workspace", "--no-fail-fast"], |code, text| {
        count_tests(code == Some(0), text)
    });
    cargo(runner, "format", &["fmt", "--all", "--check"], success);
    let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    cargo(runner, "lints", &lints, success);
    lints_on_target(runner, "the guest program", ("guest-init", guest::TARGET));
    lints_on_target(runner, "the interposer", ("interposer", interposer::TARGET));
}

/// The lints of a package that runs elsewhere.
fn lints_on_target(runner: &mut Runner<'_>, what: &str, (package, target): (&str, &str)) {
    let lints = ["clippy", "--package", package, "--target", target, "--", "-D", "warnings"];
    cargo(runner, &format!("lints of {what} on its target"), &lints, |code, text| {
        if text.contains("may not be installed") {
            return Ending::Skipped(format!("needs `rustup target add {target}`"));
        }
        success(code, text)
    });
}

fn cargo(
    runner: &mut Runner<'_>,
    name: &str,
    arguments: &[&str],
    judge: impl FnOnce(Option<i32>, &str) -> Ending,
) {
    let reproduce = format!("cargo {}", arguments.join(" "));
    runner.case(name, &reproduce, |runner| -> Result<Ending> {
        let (code, text) = runner.output(name, command(runner.context, arguments))?;
        Ok(judge(code, &text))
    });
}

fn command(context: &Context, arguments: &[&str]) -> Command {
    let mut command = Command::from(cmd!(context.sh, "cargo {arguments...}"));
    // A snapshot that differs is a failure, not a file to be reviewed.
    command.current_dir(&context.repo).env("INSTA_UPDATE", "no").env("CARGO_TERM_COLOR", "never");
    command
}

/// Passed if the command did; else its last words are the cause.
pub fn success(code: Option<i32>, text: &str) -> Ending {
    match code {
        Some(0) => Ending::Passed,
        _ => Ending::failed(last_lines(text)),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Adds up the `test result:` lines of cargo.
fn count_tests(succeeded: bool, text: &str) -> Ending {
    let [mut passed, mut failed, mut skipped] = [0; 3];
    for line in text.lines() {
        let Some(result) = line.strip_prefix("test result: ") else { continue };
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(count), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(count) = count.parse::<usize>() else { continue };
            match what {
                "passed" => passed += count,
                "failed" => failed += count,
                "ignored" => skipped += count,
                _ => {}
            }
        }
    }
    // It did not compile, or a test program crashed.
    if !succeeded && failed == 0 {
        failed = 1;
    }
    let cause = if succeeded { String::new() } else { failures(text) };
    Ending::Many { passed, failed, skipped, cause }
}

/// What the failed tests printed; the last lines if there is no such part.
fn failures(text: &str) -> String {
    let shown: Vec<&str> = text
        .split("\nfailures:\n\n")
        .skip(1)
        .filter_map(|part| part.split("\nfailures:\n").next())
        .filter(|part| part.starts_with("---- "))
        .collect();
    if shown.is_empty() { last_lines(text) } else { shown.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
running 3 tests
test a ... ok
test b ... FAILED

failures:

---- b stdout ----
thread 'b' panicked at x.rs:1

failures:
    b

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 2.82s
test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn the_tests_of_all_crates_add_up() {
        let Ending::Many { passed, failed, skipped, cause } = count_tests(false, TEXT) else {
            panic!("many tests")
        };
        assert_eq!((passed, failed, skipped), (5, 1, 1));
        assert_eq!(cause, "---- b stdout ----\nthread 'b' panicked at x.rs:1\n");
    }

    #[test]
    fn what_does_not_compile_is_a_failure() {
        let text = "error: mismatched types\n";
        let Ending::Many { failed: 1, cause, .. } = count_tests(false, text) else {
            panic!("one failure")
        };
        assert_eq!(cause, "error: mismatched types");
        assert_eq!(success(Some(0), text), Ending::Passed);
        assert_eq!(success(None, text), Ending::failed("error: mismatched types"));
    }
}
