// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What `cargo xtask test` runs: one file per kind of case, the judgement apart from the running.
//!
//! Not to be confused with the unit tests beside the code, which are one of the cases here.

mod bench;
mod boots;
mod command_line;
mod firmware;
mod judge;
mod lab;
mod matrix;
mod models;
mod module;
mod report;
mod results;
mod series;
mod tree;
mod workspace;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bringup_model::verdict::Verdict;
use camino::Utf8PathBuf;

use crate::context::Context;
use crate::error::Failure;
use crate::host;
use crate::output::VerdictFiles;
use crate::process::{self, End};
use crate::progress::Progress;
use crate::stages::build::{self, Built};
use crate::stages::series::Desk;
use crate::stages::{self, Kernel};
pub use report::{Case, Ending};

/// No command of a test takes as long, kernel builds apart.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// The kernels that the cases boot; `None` for one that could not be built.
struct Kernels {
    base: Option<Built>,
    patched: Option<Built>,
    untimed: Option<Built>,
    pristine: Option<Built>,
    kvm_host: Option<Built>,
}

/// What cases are given and where they leave their results.
struct Runner<'a> {
    context: &'a Context,
    /// Logs and results of the cases.
    folder: Utf8PathBuf,
    cases: Vec<Case>,
    /// Only cases whose name contains this are run.
    only: Option<String>,
}

/// Runs every case, or with `quick` those that need no kernel. An error says how many failed.
pub fn run(context: &Context, quick: bool, only: Option<&str>, files: &VerdictFiles) -> Result<()> {
    let mut runner = Runner::new(context, "test", only)?;
    if !quick {
        host::ensure(context)?;
    }
    workspace::run(&mut runner);
    command_line::run(&mut runner);
    results::run(&mut runner);
    models::run(&mut runner);
    if !quick {
        series::run(&mut runner);
        let kernels = Kernels {
            patched: runner.kernel(Kernel::Patched, "guest"),
            base: runner.kernel(Kernel::Base, "guest"),
            untimed: runner.kernel(Kernel::Patched, "guest-untimed"),
            pristine: runner.kernel(Kernel::Pristine, "guest"),
            kvm_host: runner.kernel(Kernel::Base, stages::lab::HOST_PRESET),
        };
        command_line::run_with_kernel(&mut runner, kernels.patched.as_ref());
        module::run(&mut runner, kernels.patched.as_ref());
        boots::run(&mut runner, &kernels);
        firmware::run(&mut runner, &kernels);
        bench::run(&mut runner, kernels.base.as_ref(), kernels.patched.as_ref());
        lab::run(&mut runner, kernels.patched.as_ref(), kernels.kvm_host.as_ref());
    }
    results::run_after_all(&mut runner);
    runner.require_asked_for()?;
    runner.finish("cargo xtask test", files)
}

/// Runs the regression matrix.
pub fn run_long(context: &Context, only: Option<&str>, files: &VerdictFiles) -> Result<()> {
    let mut runner = Runner::new(context, "test-long", only)?;
    host::ensure(context)?;
    matrix::run(&mut runner);
    runner.require_asked_for()?;
    runner.finish("cargo xtask test --long", files)
}

/// Checks the series, with `each` after every patch. An error says how many checks failed.
pub fn check_series(
    context: &Context,
    each: bool,
    against: &[Utf8PathBuf],
    only: Option<&str>,
    files: &VerdictFiles,
) -> Result<()> {
    let mut runner = Runner::new(context, "series-check", only)?;
    series::run_all(&mut runner, each, against);
    runner.require_asked_for()?;
    runner.finish("cargo xtask series check", files)
}

impl<'a> Runner<'a> {
    fn new(context: &'a Context, name: &str, only: Option<&str>) -> Result<Self> {
        let folder = context.output.join(name);
        fs_err::create_dir_all(folder.join("logs"))?;
        Ok(Self { context, folder, cases: Vec::new(), only: only.map(str::to_owned) })
    }

    /// An error if `--only` has asked for nothing that there is. What others need is run anyway, and
    /// may have failed.
    fn require_asked_for(&self) -> Result<()> {
        let asked_for = self.cases.iter().any(|case| self.asked_for(&case.name));
        match &self.only {
            Some(only) if !asked_for && report::failed(&self.cases) == 0 => {
                let text = format!("--only {only}: no case has that in its name");
                Err(Failure::Usage(text).into())
            }
            _ => Ok(()),
        }
    }

    /// Writes the verdicts, says the closing line; an error if a case has failed. `suite` is the
    /// command that the cases belong to.
    fn finish(self, suite: &str, files: &VerdictFiles) -> Result<()> {
        let verdicts: Vec<Verdict> = self.cases.iter().map(Verdict::from).collect();
        files.write(&self.folder, suite, &verdicts)?;
        say!("{}", report::closing_line(&self.cases));
        match report::failed(&self.cases) {
            0 => Ok(()),
            1 => Err(Failure::Check("a test failed".to_owned()).into()),
            count => Err(Failure::Check(format!("{count} tests failed")).into()),
        }
    }

    /// Where checks of the series run their commands.
    fn desk(&self) -> Desk<'a> {
        Desk { context: self.context, logs: self.folder.join("logs") }
    }

    /// Runs one case and says what came of it. An error is a failure whose command is `reproduce`.
    fn case(&mut self, name: &str, reproduce: &str, body: impl FnOnce(&Self) -> Result<Ending>) {
        let progress = Progress::on_terminal(format!("test {name}"));
        self.timed(name, reproduce, |runner| {
            let ending = body(runner);
            drop(progress);
            ending
        });
    }

    /// As [`Self::case`], for a body that shows its progress itself.
    fn timed(&mut self, name: &str, reproduce: &str, body: impl FnOnce(&Self) -> Result<Ending>) {
        if self.asked_for(name) {
            self.always(name, reproduce, body);
        }
    }

    fn asked_for(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }

    /// As [`Self::timed`], for what others need.
    fn always(&mut self, name: &str, reproduce: &str, body: impl FnOnce(&Self) -> Result<Ending>) {
        let start = Instant::now();
        let ending = body(self).unwrap_or_else(|error| Ending::failed(format!("{error:#}")));
        let case = Case {
            name: name.to_owned(),
            ending,
            elapsed: start.elapsed(),
            reproduce: reproduce.to_owned(),
        };
        say!("{case}");
        self.cases.push(case);
    }

    /// Prepares a kernel, which is a case of its own.
    fn kernel(&mut self, kernel: Kernel, preset: &str) -> Option<Built> {
        let mut built = None;
        let name = format!("build {kernel} with {preset}");
        let reproduce = format!("cargo xtask build --kernel {kernel} --preset {preset}");
        self.always(&name, &reproduce, |runner| {
            built = Some(stages::prepare(runner.context, &kernel, preset, build::LIMIT)?);
            Ok(Ending::Passed)
        });
        built
    }

    /// Runs `command` with its output in the log `name`; returns how it ended and the output.
    fn output(&self, name: &str, command: Command) -> Result<(Option<i32>, String)> {
        let log = self.folder.join("logs").join(format!("{}.log", name.replace([' ', '/'], "-")));
        let go_on = |_| process::Verdict::Continue;
        let end = process::run_logged(command, &log, LIMIT, go_on)?;
        let text = String::from_utf8_lossy(&fs_err::read(&log)?).into_owned();
        match end {
            End::Exited(status) => Ok((status.code(), text)),
            End::TimedOut | End::Stopped => {
                anyhow::bail!("did not finish within {} s; its output is in {log}", LIMIT.as_secs())
            }
        }
    }

    /// A new empty folder, gone when dropped, on the same disk as all else that we build.
    fn scratch(&self) -> Result<tempfile::TempDir> {
        let folder = self.context.repo.join("target");
        fs_err::create_dir_all(&folder)?;
        tempfile::Builder::new()
            .prefix("test-")
            .tempdir_in(&folder)
            .with_context(|| format!("cannot make a folder in {folder}"))
    }
}
