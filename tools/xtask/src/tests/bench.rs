// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Benches and comparisons with real boots: one is killed and goes on, its results are compared.

use anyhow::{Context as _, Result};
use bringup_model::results::Results;
use camino::{Utf8Path, Utf8PathBuf};

use super::command_line::{command, ours, shown};
use super::{Ending, LIMIT, Runner};
use crate::output;
use crate::process::{self, End, Verdict};
use crate::stages::build::Built;

/// Two arms, three repeats.
const RUNS: usize = 6;

/// Runs the cases, if both kernels were built: the arms are the kernels of the usual preset.
pub fn run(runner: &mut Runner<'_>, base: Option<&Built>, patched: Option<&Built>) {
    if base.is_none() || patched.is_none() {
        runner.case("benches and comparisons", "cargo xtask bench", |_| {
            Ok(Ending::Skipped("a kernel was not built".to_owned()))
        });
        return;
    }
    let file = |name: &str| runner.folder.join(name);
    let (json, slower, ktap) = (file("bench.json"), file("bench-slower.json"), file("bench.ktap"));
    let bench = ["bench", "--arms", "base,p1", "--cpus", "2", "--runs", "3", "--icount"];
    let with = |further: &[&'static str]| -> Vec<&str> {
        let paths = ["--resume", json.as_str(), "--ktap", ktap.as_str()];
        bench.iter().copied().chain(paths).chain(further.iter().copied()).collect()
    };

    let mut start = bench.to_vec();
    start.extend(["--json", json.as_str()]);
    runner.case("a bench that is killed keeps what it has", &shown(&start), |runner| {
        // What an earlier test left would count as made.
        let _ = fs_err::remove_file(&json);
        let log = runner.folder.join("logs/bench-killed.log");
        let end = process::run_logged(ours(runner, &start)?, &log, LIMIT, |_| match made(&json) {
            0 => Verdict::Continue,
            _ => Verdict::Stop,
        })?;
        Ok(match (end, made(&json)) {
            (End::Stopped, 1..RUNS) => Ending::Passed,
            (end, made) => Ending::failed(format!("{end:?} with {made} of {RUNS} runs; see {log}")),
        })
    });
    let other = ["--seed", "7"];
    command(
        runner,
        "a bench goes on only with the same plan",
        &with(&other),
        (2, &["of another bench: seed: 7 here, 1 there"]),
    );
    command(
        runner,
        "a bench that was killed goes on",
        &with(&["--bound", "1000%"]),
        (0, &["p1 against base", "(counted)", "2 passed, 0 failed, 0 skipped"]),
    );
    runner.case("the results of a bench are whole", &shown(&with(&[])), |_| {
        let results = read(&json)?;
        let mut slots: Vec<_> =
            results.runs.iter().map(|run| (run.repeat, run.arm.as_str())).collect();
        slots.dedup();
        let verdicts = fs_err::read_to_string(&ktap)?;
        let good = results.runs.iter().all(|run| run.ok && run.bringup_ns.is_some());
        Ok(if slots.len() == RUNS && good && verdicts.contains("\nok 2 p1 with 2 CPUs\n") {
            Ending::Passed
        } else {
            Ending::failed(format!("{json} has {slots:?}, {ktap} says\n{verdicts}"))
        })
    });
    let same = ["compare", json.as_str(), json.as_str(), "--bound", "0"];
    let all_the_same: (i32, &[&str]) = (0, &["p1, 2 CPUs", "no total got longer"]);
    command(runner, "results do not differ from themselves", &same, all_the_same);

    let worse = ["compare", json.as_str(), slower.as_str(), "--bound", "5%"];
    runner.case("a fifth longer is a regression", &shown(&worse), |runner| {
        let mut results = read(&json)?;
        for run in &mut results.runs {
            run.bringup_ns = run.bringup_ns.map(|ns| ns + ns / 5);
        }
        output::write(&slower, &results.to_json()?)?;
        let (code, text) = runner.output("a-fifth-longer", ours(runner, &worse)?)?;
        let words =
            ["+20.0 % (counted)", "longer by more than 5 %: base with 2 CPUs, p1 with 2 CPUs"];
        Ok(Ending::of(super::judge::exit(code, &text, 1, &words)))
    });
    let reverse = ["compare", slower.as_str(), json.as_str(), "--bound", "5%"];
    command(runner, "a sixth shorter is none", &reverse, (0, &["no total got longer"]));
}

/// How many runs the file has; none while it is not there.
fn made(file: &Utf8Path) -> usize {
    read(file).map_or(0, |results| results.runs.len())
}

fn read(file: &Utf8Path) -> Result<Results> {
    let text = fs_err::read_to_string(file)?;
    Results::from_json(&text).with_context(|| Utf8PathBuf::from(file).into_string())
}
