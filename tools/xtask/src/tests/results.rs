// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What is made of results: the page in a browser, files against their schema, jobs against what
//! their engines say of themselves.

use std::process::Command;

use anyhow::Context as _;
use camino::{Utf8Path, Utf8PathBuf};
use xshell::cmd;

use super::judge::exit;
use super::workspace::success;
use super::{Ending, Runner, command_line};
use crate::host;

/// Programs that are a Chromium, by what distributions call it.
const BROWSERS: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// Runs the cases that need no kernel.
pub fn run(runner: &mut Runner<'_>) {
    browser(runner);
    collected(runner);
    jobs(runner);
}

/// Runs the case that looks at what all others have written.
pub fn run_after_all(runner: &mut Runner<'_>) {
    let name = "results are as their schema says";
    let folder = runner.folder.clone();
    let filter = "what_verbs_have_written";
    let reproduce = format!("BRINGUP_RESULTS={folder} {}", shown("schema", filter));
    runner.case(name, &reproduce, |runner| {
        let mut command = tests(runner, "schema", filter);
        command.env("BRINGUP_RESULTS", folder.as_str());
        let (code, text) = runner.output(name, command)?;
        Ok(success(code, &text))
    });
}

/// The ignored tests of `file` whose names have `filter` in them.
fn tests(runner: &Runner<'_>, file: &str, filter: &str) -> Command {
    let sh = &runner.context.sh;
    let arguments =
        ["test", "--package", "bringup-model", "--test", file, "--", "--ignored", filter];
    let mut command = Command::from(cmd!(sh, "cargo {arguments...}"));
    command.current_dir(&runner.context.repo);
    command
}

fn shown(file: &str, filter: &str) -> String {
    format!("cargo test --package bringup-model --test {file} -- --ignored {filter}")
        .trim_end()
        .to_owned()
}

fn browser(runner: &mut Runner<'_>) {
    let name = "the report's page in a browser";
    let found = BROWSERS.into_iter().find(|program| host::has(program));
    let browser = std::env::var("BRINGUP_CHROMIUM").ok().or(found.map(str::to_owned));
    let reproduce = format!("BRINGUP_CHROMIUM=chromium {}", shown("browser", ""));
    let shots = runner.folder.join("screenshots");
    runner.case(name, &reproduce, |runner| {
        let Some(browser) = browser else {
            return Ok(Ending::Skipped("needs chromium".to_owned()));
        };
        let mut command = tests(runner, "browser", "");
        command.env("BRINGUP_CHROMIUM", browser).env("BRINGUP_SCREENSHOTS", shots.as_str());
        let (code, text) = runner.output(name, command)?;
        Ok(success(code, &text))
    });
}

/// A kernel log, as a machine's owner sends one.
const LOG: &str = "[    0.000000] Linux version 6.12.0 (a@b) #1 SMP\n\
    [    0.061002] smp: Bringing up secondary CPUs ...\n\
    [    0.064400] CPU1: Booted secondary processor 0x0000000001 [0x410fd083]\n\
    [    0.080963] smp: Brought up 1 node, 2 CPUs\n";

/// From a copied log to a page, by our own command line.
fn collected(runner: &mut Runner<'_>) {
    let name = "a copied kernel log becomes results and a report";
    let log = runner.folder.join("copied-dmesg");
    let [json, page] = ["collected.json", "collected.html"].map(|file| runner.folder.join(file));
    let collect = ["collect", "--dmesg", log.as_str(), "--json", json.as_str()];
    let report = ["report", json.as_str(), "--output", page.as_str()];
    runner.case(name, &command_line::shown(&collect), |runner| {
        fs_err::write(&log, LOG)?;
        for (arguments, word) in [(&collect[..], "20.0 ms"), (&report[..], "report: ")] {
            let (code, text) = runner.output(name, command_line::ours(runner, arguments)?)?;
            if let Err(cause) = exit(code, &text, 0, &[word]) {
                return Ok(Ending::failed(cause));
            }
        }
        let page = fs_err::read_to_string(&page)?;
        Ok(match page.contains("coarse: by the kernel log") {
            true => Ending::Passed,
            false => Ending::failed("the page does not say that the timeline is coarse"),
        })
    });
    for (name, content, word) in [
        ("a log of something else exits with 2", "Dear all,\n", "this is no kernel log"),
        ("a log that is cut off exits with 2", &LOG[..120], "it is cut off"),
    ] {
        let file = runner.folder.join("odd-dmesg");
        let arguments = ["collect", "--dmesg", file.as_str()];
        runner.case(name, &command_line::shown(&arguments), |runner| {
            fs_err::write(&file, content)?;
            let (code, text) = runner.output(name, command_line::ours(runner, &arguments)?)?;
            Ok(Ending::of(exit(code, &text, 2, &["kernel log, line ", word])))
        });
    }
}

/// Jobs of the example are valid for their engines, as far as these are installed.
fn jobs(runner: &mut Runner<'_>) {
    let python = std::env::var("BRINGUP_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let folder = runner.folder.join("jobs");
    let render = ["ci", "render", "--output", folder.as_str()];
    for (engine, files) in [("LAVA", "lava-"), ("TuxSuite", "tuxsuite-"), ("tuxrun", "tuxrun-")] {
        let name = format!("jobs are as {engine} wants them");
        runner.case(&name, "python3 ci/validate.py FOLDER_OF_CI_RENDER", |runner| {
            let (code, text) = runner.output(&name, command_line::ours(runner, &render)?)?;
            if let Err(cause) = exit(code, &text, 0, &["tuxsuite-plan.yaml"]) {
                return Ok(Ending::failed(cause));
            }
            if !host::has(&python) && !Utf8Path::new(&python).exists() {
                return Ok(Ending::Skipped("needs python3".to_owned()));
            }
            let script: Utf8PathBuf = runner.context.repo.join("ci/validate.py");
            let command = Command::from(cmd!(runner.context.sh, "{python} {script} {folder}"));
            let (_, text) = runner.output(&name, command).context("cannot run the validators")?;
            Ok(validated(&text, files))
        });
    }
}

/// What the validators said of the files whose names begin so: skipped if theirs is not installed.
fn validated(text: &str, files: &str) -> Ending {
    let said = |word: &str| {
        let start = format!("{word}: {files}");
        text.lines().find(|line| line.starts_with(&start)).map(str::to_owned)
    };
    if let Some(wrong) = said("wrong") {
        return Ending::failed(wrong);
    }
    match (said("valid"), said("skipped")) {
        (Some(_), _) => Ending::Passed,
        (None, Some(skipped)) => {
            Ending::Skipped(skipped.split(": ").nth(2).unwrap_or("no validator").to_owned())
        }
        (None, None) => Ending::failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_has_a_verdict_of_its_own() {
        let text = "valid: lava-a.yaml\nskipped: tuxsuite-plan.yaml: needs tuxsuite (attr)\n\
                    valid: tuxrun-a.sh\nwrong: tuxrun-b.sh: tuxrun would do nothing\n";
        assert_eq!(validated(text, "lava-"), Ending::Passed);
        let skipped = Ending::Skipped("needs tuxsuite (attr)".into());
        assert_eq!(validated(text, "tuxsuite-"), skipped);
        assert!(matches!(validated(text, "tuxrun-"), Ending::Failed(_)));
        assert!(matches!(validated("Traceback", "lava-"), Ending::Failed(_)));
    }
}
