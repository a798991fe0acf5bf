// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The models in `tools/models`: what they show, and that they would show the opposite.

use std::process::Command;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use xshell::cmd;

use super::{Ending, Runner};
use crate::host;

/// A model to be verified.
struct Variant {
    /// Macros of the model that choose the variant.
    defines: &'static [&'static str],
    /// What the verifier has to find wrong; `None` if nothing.
    error: Option<&'static str>,
}

const fn holds(defines: &'static [&'static str]) -> Variant {
    Variant { defines, error: None }
}

const fn fails(defines: &'static [&'static str], error: &'static str) -> Variant {
    Variant { defines, error: Some(error) }
}

/// Somebody waits for ever.
const STUCK: &str = "invalid end state";
/// An AP is released on the grounds of what an earlier attempt has left.
const STALE: &str = "assertion violated (checked_for==attempt)";

/// See `handshake.pml` for what each one is.
const HANDSHAKE: [Variant; 15] = [
    holds(&[]),
    holds(&["NO_CPU_DIE"]),
    fails(&["NO_RETRY_REPORT"], STUCK),
    fails(&["STALE_ALIVE"], STALE),
    fails(&["NO_ARRIVED"], STALE),
    fails(&["LOSE_RELEASE"], STUCK),
    fails(&["NO_REVOKE"], "assertion violated  !(released)"),
    fails(&["BLIND_REVOKE"], "assertion violated  !(let_go)"),
    fails(&["FAIL_AFTER_RELEASE"], STUCK),
    fails(&["NO_SECOND_CALL"], STUCK),
    fails(&["RESET_ON_RETRY"], STUCK),
    fails(&["NO_SEV"], STUCK),
    fails(&["STATUS_BEFORE_NOTE"], "assertion violated note"),
    fails(&["TWO_REPORTS"], "assertion violated (reports==1)"),
    fails(&["NO_CPU_DIE", "ALWAYS_KILL_ME"], "assertion violated  !(on)"),
];

/// Runs the cases of this file.
pub fn run(runner: &mut Runner<'_>) {
    for variant in &HANDSHAKE {
        let name = ["model of the handshake"].iter().chain(variant.defines).copied();
        let name = name.collect::<Vec<_>>().join(" ");
        let defines: String = variant.defines.iter().map(|define| format!(" -D{define}")).collect();
        let reproduce = format!(
            "cd $(mktemp -d) && spin{defines} -a {}/tools/models/handshake.pml && \
             cc -DSAFETY -o pan pan.c && ./pan -m100000",
            runner.context.repo
        );
        runner.case(&name, &reproduce, |runner| verify(runner, &name, variant));
    }
}

fn verify(runner: &Runner<'_>, name: &str, variant: &Variant) -> Result<Ending> {
    if !host::has("spin") {
        return Ok(Ending::Skipped("needs spin, see `cargo xtask setup`".to_owned()));
    }
    let scratch = runner.scratch()?;
    let folder = Utf8PathBuf::try_from(scratch.path().to_owned())?;
    let model = runner.context.repo.join("tools/models/handshake.pml");
    let defines = variant.defines.iter().map(|define| format!("-D{define}"));
    let sh = &runner.context.sh;
    let steps = [
        cmd!(sh, "spin {defines...} -a {model}"),
        cmd!(sh, "cc -DSAFETY -o pan pan.c"),
        // A longest path that is never reached: what lies beyond would not be looked at.
        cmd!(sh, "./pan -m100000"),
    ];
    let mut text = String::new();
    for (number, step) in steps.into_iter().enumerate() {
        let mut command = Command::from(step);
        command.current_dir(&folder);
        let log = format!("{name} {}", number + 1);
        let (code, output) = runner.output(&log, command)?;
        anyhow::ensure!(code == Some(0), "step {} failed:\n{output}", number + 1);
        text = output;
    }
    let found = judge(&text).context("the verifier's answer is not understood")?;
    Ok(match (variant.error, found) {
        (None, Found::Nothing(states)) => Ending::Noted(format!("{states} states")),
        (None, Found::Error(error)) => Ending::failed(format!("it does not hold: {error}")),
        (Some(expected), Found::Error(error)) if error.contains(expected) => Ending::Passed,
        (Some(expected), Found::Error(error)) => {
            Ending::failed(format!("should end with `{expected}`, not with `{error}`"))
        }
        (Some(_), Found::Nothing(_)) => Ending::failed("holds although it is broken on purpose"),
    })
}

/// What the verifier has found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// No error in all of this many states.
    Nothing(u64),
    /// This error.
    Error(String),
}

/// Reads the output of Spin's verifier. `None` if it has not searched all of the states.
fn judge(text: &str) -> Option<Found> {
    if let Some(error) = text.lines().find_map(|line| line.strip_prefix("pan:1: ")) {
        return Some(Found::Error(error.to_owned()));
    }
    let complete = !text.contains("Search not completed") && !text.contains("max search depth");
    let clean = text.lines().any(|line| line.ends_with("errors: 0"));
    let states = text.lines().find_map(|line| line.trim().strip_suffix(" states, stored"))?;
    (complete && clean).then_some(Found::Nothing(states.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "Full statespace search for:\n\n\
        State-vector 36 byte, depth reached 101, errors: 0\n     3554 states, stored\n";

    #[test]
    fn verifiers_answers_are_read() {
        assert_eq!(judge(CLEAN), Some(Found::Nothing(3554)));
        let error = "pan:1: invalid end state (at depth 70)\npan: wrote handshake.pml.trail\n\
            \nWarning: Search not completed\n\
            State-vector 36 byte, depth reached 71, errors: 1\n      541 states, stored\n";
        let found = Found::Error("invalid end state (at depth 70)".to_owned());
        assert_eq!(judge(error), Some(found));
    }

    #[test]
    fn what_was_not_searched_is_no_proof() {
        assert_eq!(judge(""), None);
        assert_eq!(judge(&format!("error: max search depth too small\n{CLEAN}")), None);
        assert_eq!(judge(&format!("Warning: Search not completed\n{CLEAN}")), None);
        assert_eq!(judge(&CLEAN.replace("errors: 0", "errors: 10")), None);
    }
}
