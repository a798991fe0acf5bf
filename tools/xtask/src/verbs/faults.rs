// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask faults`: boots with slow and broken firmware.

use std::fmt::Write as _;

use anyhow::Result;
use bringup_model::profile::Profile;
use bringup_model::results::{Manifest, Results, Run};
use bringup_model::verdict::{self, Status, Verdict};
use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::Failure;
use crate::faults::matrix::{self, After, Arm, Case};
use crate::faults::{self, Finding, Means};
use crate::output::VerdictFiles;
use crate::progress::Progress;
use crate::stages::build::Built;
use crate::stages::lab::userland;
use crate::stages::manifest::manifest;
use crate::stages::{self, build};
use crate::{host, output};

/// Boot with slow and broken firmware, and judge what becomes of every CPU
///
/// Runs a matrix of faults on the kernel without the series (base), and on the kernel with it, both
/// one CPU after the other (p0) and in parallel (p1). What base gets wrong is shown, but does not
/// count as a failure.
#[derive(Debug, Args)]
pub struct Faults {
    /// Only these arms
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "base,p0,p1")]
    arms: Vec<String>,
    /// Only the case of this name or, if there is none, those whose name contains this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// List the cases without running any
    #[arg(long)]
    list: bool,
    /// Write the findings to this file [default: faults/results.json in the output folder]
    #[arg(long, value_name = "FILE")]
    json: Option<Utf8PathBuf>,
    #[command(flatten)]
    files: VerdictFiles,
}

/// The JSON file: a results file, with what each case came to.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    results: Results,
    cases: Vec<Entry<'a>>,
}

/// A case of the JSON file.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    arm: &'a str,
    firmware: &'a str,
    faults: Vec<String>,
    result: &'a str,
    wrong: &'a [String],
    detail: &'a str,
    seconds: f64,
    again: &'a str,
    /// Its place among the runs.
    run: Option<usize>,
}

impl Faults {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        let arms = self.arms()?;
        let mut cases = matrix::cases();
        if let Some(text) = &self.only {
            // A whole name may be a part of others.
            let is_name = cases.iter().any(|case| case.name == *text);
            cases.retain(|case| match is_name {
                true => case.name == *text,
                false => case.name.contains(text.as_str()),
            });
            if cases.is_empty() {
                let text = format!("--only: no case has `{text}` in its name; --list shows them");
                return Err(Failure::Usage(text).into());
            }
        }
        if self.list {
            cases.iter().for_each(|case| say!("{}{}", case.name, described(case)));
            return Ok(());
        }
        host::ensure(context)?;
        let folder = context.output.join("faults");
        fs_err::create_dir_all(&folder)?;

        let mut findings = Vec::new();
        let mut newest: Option<Built> = None;
        // For the manifest: QEMU is the same in all.
        let mut outcome = None;
        for arm in &arms {
            let kernels = Kernels::prepare(context, arm, &cases)?;
            for case in &cases {
                let means = match kernels.means(case) {
                    Ok(means) => means,
                    Err(needs) => {
                        let finding = skipped(arm, case, needs);
                        say!("{}", line(&finding));
                        findings.push(finding);
                        continue;
                    }
                };
                let progress = Progress::on_terminal(format!("{}: {}", arm.name, case.name));
                let mut finding = faults::run(context, arm, case, means);
                drop(progress);
                outcome = outcome.or(finding.outcome.take());
                // The consoles of all boots need not be kept.
                finding.outcome = None;
                say!("{}", line(&finding));
                findings.push(finding);
            }
            let patches = |built: &Built| built.configured.tree.patches.len();
            if newest.as_ref().is_none_or(|newest| patches(newest) < patches(&kernels.plain)) {
                newest = Some(kernels.plain);
            }
        }
        let manifest = manifest(context, newest.as_ref(), outcome.as_slice());
        self.write(&folder, manifest, &findings)?;
        let verdicts: Vec<Verdict> =
            findings.iter().map(|finding| finding.verdict.clone()).collect();
        put!("{}", table(&arms, &findings));
        say!("{}", verdict::closing_line(&verdicts));
        say!("results: {}", self.json.as_ref().unwrap_or(&folder.join("results.json")));
        match verdict::counts(&verdicts)[1] {
            0 => Ok(()),
            1 => Err(Failure::Check("a case failed".to_owned()).into()),
            count => Err(Failure::Check(format!("{count} cases failed")).into()),
        }
    }

    fn arms(&self) -> Result<Vec<Arm>> {
        let known = matrix::arms();
        let find = |name: &String| {
            let found = known.iter().find(|arm| arm.name == name).cloned();
            let names = known.iter().map(|arm| arm.name).collect::<Vec<_>>().join(", ");
            let text = format!("--arms: there is no arm `{name}`; there are {names}");
            Ok(found.ok_or(Failure::Usage(text))?)
        };
        self.arms.iter().map(find).collect()
    }

    fn write(&self, folder: &Utf8PathBuf, manifest: Manifest, findings: &[Finding]) -> Result<()> {
        let verdicts: Vec<Verdict> =
            findings.iter().map(|finding| finding.verdict.clone()).collect();
        let mut runs: Vec<Run> = Vec::new();
        let mut cases = Vec::new();
        for finding in findings {
            cases.push(entry(finding, finding.run.is_some().then_some(runs.len())));
            runs.extend(finding.run.clone());
        }
        let document = Document { results: Results::new(manifest, runs), cases };
        let json = serde_json::to_string_pretty(&document)? + "\n";
        output::write(self.json.as_ref().unwrap_or(&folder.join("results.json")), &json)?;
        self.files.write(folder, "cargo xtask faults", &verdicts)
    }
}

/// The kernels of an arm.
struct Kernels {
    plain: Built,
    /// With more than every boot needs, if some case needs that.
    special: Option<Built>,
    /// Whether the special one can inject faults into itself.
    injects: bool,
    /// The archive with the program that starts another kernel; why there is none.
    root: Result<Utf8PathBuf, String>,
}

impl Kernels {
    fn prepare(context: &Context, arm: &Arm, cases: &[Case]) -> Result<Self> {
        let plain = stages::prepare(context, &arm.kernel, "guest", build::LIMIT)?;
        let injects = arm.kernel == stages::Kernel::Patched
            && stages::configure::has_option(&plain.configured.tree, "ARM64_CPU_BRINGUP_FAULT");
        let needs_kexec = cases.iter().any(Case::needs_kexec);
        let root = if needs_kexec {
            let root = userland::shell(context);
            root.map_err(|error| format!("needs the program kexec for arm64: {error:#}"))
        } else {
            Err(String::new())
        };
        let is_special = |case: &Case| {
            (case.needs_kexec() && root.is_ok() && (injects || !case.needs_injection()))
                || (case.needs_injection() && injects)
        };
        let special = if cases.iter().any(is_special) {
            Some(stages::prepare(context, &arm.kernel, "guest-faults", build::LIMIT)?)
        } else {
            None
        };
        Ok(Self { plain, special, injects, root })
    }

    /// What this case is run with, or what it needs that is not there.
    fn means(&self, case: &Case) -> Result<Means<'_>, String> {
        if case.needs_injection() && !self.injects {
            return Err("needs a kernel with CONFIG_ARM64_CPU_BRINGUP_FAULT".to_owned());
        }
        if !case.needs_injection() && !case.needs_kexec() {
            return Ok(Means { built: &self.plain, root: None });
        }
        let root = match &self.root {
            Ok(root) => Some(root.as_path()),
            Err(needs) if case.needs_kexec() => return Err(needs.clone()),
            Err(_) => None,
        };
        let built = self.special.as_ref().ok_or("needs a kernel with kexec")?;
        Ok(Means { built, root })
    }
}

fn skipped(arm: &Arm, case: &Case, needs: String) -> Finding {
    Finding {
        arm: arm.name,
        case: case.clone(),
        verdict: Verdict::skipped(format!("{}: {}", arm.name, case.name), needs),
        wrong: Vec::new(),
        run: None,
        outcome: None,
    }
}

fn entry(finding: &Finding, run: Option<usize>) -> Entry<'_> {
    let Finding { arm, case, verdict, wrong, .. } = finding;
    Entry {
        name: &case.name,
        arm,
        firmware: case.firmware,
        faults: case.faults.iter().map(ToString::to_string).collect(),
        result: finding.word(),
        wrong,
        detail: &verdict.detail,
        seconds: verdict.duration.as_secs_f64(),
        again: &verdict.repeat_command,
        run,
    }
}

/// What a case is made of.
fn described(case: &Case) -> String {
    let mut words = Vec::new();
    if case.firmware != Profile::none().name {
        words.push(format!("--firmware {}", case.firmware));
    }
    words.extend(case.faults.iter().map(|fault| format!("--fault {fault}")));
    let mut parts = vec![words.join(" ")];
    parts.extend(case.after.iter().map(|after| match after {
        After::Online(cpu) => format!("CPU {cpu} up"),
        After::OffAndOn(cpu) => format!("CPU {cpu} off and on"),
        After::Kexec => "kexec".to_owned(),
    }));
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", then ")) }
}

/// The line of a case, and below it why it failed.
fn line(finding: &Finding) -> String {
    let verdict = &finding.verdict;
    let word = match verdict.status {
        Status::Skipped => format!("skipped: {}", verdict.detail),
        _ => finding.word().to_owned(),
    };
    let mut text = format!("{} ... {word} ({:.1} s)", verdict.name, verdict.duration.as_secs_f64());
    if !finding.wrong.is_empty() || verdict.status == Status::Failed {
        for line in verdict.detail.lines() {
            let _ = write!(text, "\n    {line}");
        }
        let _ = write!(text, "\n    again: {}", verdict.repeat_command);
    }
    text
}

/// One row per case, one column per arm.
fn table(arms: &[Arm], findings: &[Finding]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for finding in findings {
        if !names.contains(&finding.case.name.as_str()) {
            names.push(&finding.case.name);
        }
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    let header = std::iter::once("case").chain(arms.iter().map(|arm| arm.name));
    table.set_header(header);
    for name in names {
        let cell = |arm: &Arm| {
            let found = findings
                .iter()
                .find(|finding| finding.arm == arm.name && finding.case.name == name);
            found.map_or("", Finding::word)
        };
        table.add_row(std::iter::once(name).chain(arms.iter().map(cell)));
    }
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_described_by_what_happens_in_it() {
        let of = |name: &str| {
            let case = matrix::cases().into_iter().find(|case| case.name == name).unwrap();
            format!("{name}{}", described(&case))
        };
        let names = [
            "firmware none",
            "firmware hip12",
            "never on one CPU",
            "kexec after a start by spin-table",
            "kexec after a CPU that was late and brought up",
        ];
        insta::assert_snapshot!(names.map(of).join("\n"), @r"
        firmware none
        firmware hip12: --firmware hip12
        never on one CPU: --fault cpu=2,kind=never
        kexec after a start by spin-table: --firmware spin-table, then kexec
        kexec after a CPU that was late and brought up: --fault cpu=3,kind=late,arg=45000, then CPU 3 up, then kexec
        ");
    }
}
