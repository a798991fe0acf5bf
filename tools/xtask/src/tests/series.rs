// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The series as a maintainer would look at it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::{Ending, Runner};
use crate::stages::apply::{self, Series, Tree};
use crate::stages::boot::accel::AccelRequest;
use crate::stages::boot::{self, BootRequest};
use crate::stages::series::compile::{ARCHITECTURES, By, Trees};
use crate::stages::series::text::PatchText;
use crate::stages::series::{
    Finding, applies, checkpatch, coccinelle, compile, export, rules, rust,
};
use crate::stages::{self, Kernel, build, collect, fetch};

/// What the checks look at.
struct Subject {
    series: Series,
    patched: Tree,
    /// Every file that a patch touches.
    touched: BTreeSet<String>,
}

impl Subject {
    fn new(runner: &Runner<'_>) -> Result<Self> {
        let source = fetch::run(runner.context)?;
        let patched = apply::run(runner.context, &source, &Kernel::Patched)?;
        let series = Series::load(&runner.context.repo.join("patches"), &source.version)?;
        let mut touched = BTreeSet::new();
        for patch in &series.patches {
            let text = String::from_utf8_lossy(&fs_err::read(&patch.path)?).into_owned();
            touched.extend(PatchText::parse(&text).files);
        }
        Ok(Self { series, patched, touched })
    }
}

/// The checks that take seconds: part of every test run.
pub fn run(runner: &mut Runner<'_>) {
    if let Some(subject) = subject(runner) {
        quick(runner, &subject);
    }
}

/// All checks; with `each` also a build and a boot after every patch.
pub fn run_all(runner: &mut Runner<'_>, each: bool) {
    let Some(subject) = subject(runner) else { return };
    quick(runner, &subject);
    others(runner, &subject);
    compilers(runner, &subject);
    if each {
        for count in 1..=subject.series.patches.len() {
            after(runner, &subject, count);
        }
    }
}

/// The series on the tree that kernels are made from: a case, and what the others need.
fn subject(runner: &mut Runner<'_>) -> Option<Subject> {
    let mut subject = None;
    let name = "the series applies to the tree that kernels are built from";
    runner.always(name, "cargo xtask apply", |runner| {
        let made = Subject::new(runner)?;
        let said =
            format!("{} patches on {}", made.patched.patches.len(), made.patched.source.version);
        subject = Some(made);
        Ok(Ending::Noted(said))
    });
    subject
}

fn quick(runner: &mut Runner<'_>, subject: &Subject) {
    let again = |only: &str| format!("cargo xtask series check --only {only}");
    runner.case("the series' changelogs", &again("changelogs"), |_| changelogs(&subject.series));
    runner.case("checkpatch --strict", &again("checkpatch"), |runner| {
        ending(checkpatch::check(&runner.desk(), &subject.patched.dir, &subject.series))
    });
    runner.case("the series' files are what export writes", &again("export"), |runner| {
        exports(runner, subject)
    });
    let others = fetch::others().unwrap_or_default();
    for (name, other) in others.iter().filter(|(_, other)| other.must_apply) {
        try_on(runner, subject, name, other);
    }
}

fn others(runner: &mut Runner<'_>, subject: &Subject) {
    for (name, other) in fetch::others().unwrap_or_default() {
        if !other.must_apply {
            try_on(runner, subject, &name, &other);
        }
    }
}

fn try_on(runner: &mut Runner<'_>, subject: &Subject, name: &str, other: &fetch::Other) {
    let title = format!("the series on {}", other.what);
    let again = format!("cargo xtask series check --only '{}'", other.what);
    runner.case(&title, &again, |runner| {
        let main = &subject.patched.source;
        if other.is_upstream() && main.version == other.version {
            if fetch::is_upstream(runner.context, main)? {
                return Ok(Ending::Noted("kernels are built from it".to_owned()));
            }
        }
        let source = match fetch::other(runner.context, name, other) {
            Ok(source) => source,
            Err(error) => return Ok(Ending::Skipped(format!("needs its source: {error:#}"))),
        };
        let finding = applies::check(&runner.desk(), &source, &subject.series.patches)?;
        Ok(match finding {
            // Not made for it: a report.
            Finding::Wrong(text) if !other.must_apply => Ending::Noted(text),
            finding => finding.into(),
        })
    });
}

fn compilers(runner: &mut Runner<'_>, subject: &Subject) {
    let Subject { patched, touched, .. } = subject;
    let mut base = None;
    let mut prepare = |runner: &Runner<'_>| -> Result<Tree> {
        if base.is_none() {
            base = Some(apply::run(runner.context, &patched.source, &Kernel::Pristine)?);
        }
        base.clone().context("no tree")
    };
    for architecture in &ARCHITECTURES {
        for (by, what) in [(By::Compiler, "W=1"), (By::Sparse, "sparse")] {
            let name = format!("{what} on {} adds nothing", architecture.name);
            let again =
                format!("cargo xtask series check --only '{what} on {}'", architecture.name);
            runner.case(&name, &again, |runner| {
                let base = &prepare(runner)?;
                let trees = Trees { base, patched };
                ending(compile::check(&runner.desk(), trees, architecture, touched, by))
            });
        }
    }
    runner.case(
        "coccinelle adds nothing",
        "cargo xtask series check --only coccinelle",
        |runner| {
            let base = &prepare(runner)?;
            ending(coccinelle::check(&runner.desk(), Trees { base, patched }, touched))
        },
    );
    for check in rust::CHECKS {
        let again = format!("cargo xtask series check --only {}", check.0);
        runner.case(check.0, &again, |runner| {
            ending(rust::check(&runner.desk(), patched, check, touched))
        });
    }
}

fn changelogs(series: &Series) -> Result<Ending> {
    let cover = fs_err::read_to_string(series.dir.join(export::COVER))?;
    let author = PatchText::parse(&cover).from;
    let mut problems = Vec::new();
    for patch in &series.patches {
        let text = String::from_utf8_lossy(&fs_err::read(&patch.path)?).into_owned();
        problems.extend(rules::check(patch.name(), &PatchText::parse(&text), &author));
    }
    Ok(Finding::of(&problems, format!("{} patches by {author}", series.patches.len())).into())
}

/// What `apply` made of the files gives the same files, twice.
fn exports(runner: &Runner<'_>, subject: &Subject) -> Result<Ending> {
    let Subject { series, patched, .. } = subject;
    let cover = fs_err::read_to_string(series.dir.join(export::COVER))?;
    let again = || export::generate(runner.context, &patched.dir, None, &series.kernel, &cover);
    let files = again()?;
    let mut problems = export::differences(&files, &series.dir)?;
    if again()? != files {
        problems.push("the second time other files are written".to_owned());
    }
    Ok(Finding::of(&problems, format!("{} files", files.len())).into())
}

/// Builds and boots the kernel after the first `count` patches.
fn after(runner: &mut Runner<'_>, subject: &Subject, count: usize) {
    let Some(patch) = subject.series.patches.get(count - 1) else { return };
    let name = format!("after {}", patch.name());
    runner.timed(&name, "cargo xtask series check --each", |runner| {
        let text = String::from_utf8_lossy(&fs_err::read(&patch.path)?).into_owned();
        let preset = preset_for(&PatchText::parse(&text).files);
        let kernel = Kernel::First(count);
        let built = stages::prepare(runner.context, &kernel, preset, build::LIMIT)?;
        let mut request = BootRequest::new(kernel.to_string(), built.image.clone(), 4);
        (request.icount, request.accel, request.quiet) = (true, AccelRequest::Tcg, true);
        request.steps = vec![
            guest_protocol::Action::Offline { cpu: 1 }.into(),
            guest_protocol::Action::Online { cpu: 1 }.into(),
            super::boots::require_online("0-3"),
        ];
        let outcome = boot::run(runner.context, &request)?;
        let run = collect::run(&request, &outcome);
        Ok(match super::judge::healthy(&run) {
            Ok(()) => Ending::Noted(format!("{preset}, 4 CPUs")),
            Err(cause) => Ending::Failed(cause),
        })
    });
}

/// The smallest configuration that compiles what a patch touches.
fn preset_for(files: &BTreeSet<String>) -> &'static str {
    let is_rust = |file: &String| Utf8Path::new(file).starts_with("rust");
    if files.iter().any(is_rust) { rust::PRESET } else { "guest-minimal" }
}

fn ending(finding: Result<Finding>) -> Result<Ending> {
    Ok(finding?.into())
}

impl From<Finding> for Ending {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Clean(text) => Self::Noted(text),
            Finding::Wrong(text) => Self::Failed(text),
            Finding::Needs(what) => Self::Skipped(format!("needs {what}")),
        }
    }
}
