// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Boots with slow and broken firmware, and what came of them.

pub mod matrix;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use bringup_model::expect;
use bringup_model::results::Run;
use bringup_model::timeline::Outcome;
use bringup_model::verdict::{Status, Verdict};
use camino::Utf8Path;
use guest_protocol::{Action, Step};

use crate::context::Context;
use crate::stages::boot::accel::AccelRequest;
use crate::stages::boot::guest::DEBUGFS_DIR;
use crate::stages::boot::{self, BootOutcome, BootRequest, check, command, firmware};
use crate::stages::build::Built;
use crate::stages::collect;
use matrix::{After, Arm, Case};

/// What the guest calls files as they are before it does anything to CPUs.
const BEFORE: &str = "before";

/// What one boot came to.
#[derive(Debug)]
pub struct Finding {
    /// The arm's name.
    pub arm: &'static str,
    /// The case.
    pub case: Case,
    /// For people and programs. What base does wrong is no failure, and its detail says it.
    pub verdict: Verdict,
    /// What is not as it must be.
    pub wrong: Vec<String>,
    /// The boot, as it was before anything was done to CPUs.
    pub run: Option<Run>,
    /// All that the boot left.
    pub outcome: Option<BootOutcome>,
}

/// Runs one case.
pub fn run(context: &Context, arm: &Arm, case: &Case, built: &Built, folder: &Utf8Path) -> Finding {
    let start = Instant::now();
    let name = format!("{}: {}", arm.name, case.name);
    let mut finding = Finding {
        arm: arm.name,
        case: case.clone(),
        verdict: Verdict::passed(&name),
        wrong: Vec::new(),
        run: None,
        outcome: None,
    };
    let mut repeat = String::new();
    match boot(context, arm, case, built, folder, &mut repeat) {
        Err(error) => finding.verdict = Verdict::failed(&name, format!("{error:#}")),
        Ok((mut run, wrong, outcome)) => {
            arm.name.clone_into(&mut run.arm);
            let detail = wrong.join("\n");
            let kept = outcome.folder.as_ref();
            let kept =
                kept.map_or(String::new(), |folder| format!("\nall that is left of it: {folder}"));
            finding.verdict = match (wrong.is_empty(), arm.kernel.expected()) {
                (true, _) => finding.verdict,
                // It shows what the series is for; it is not ours to mend.
                (false, expect::Kernel::Base) => Verdict {
                    detail: format!("base does this wrong:\n{detail}"),
                    ..finding.verdict
                },
                (false, expect::Kernel::Patched) => Verdict::failed(&name, detail + &kept),
            };
            (finding.run, finding.wrong, finding.outcome) = (Some(run), wrong, Some(outcome));
        }
    }
    finding.verdict = finding.verdict.taking(start.elapsed()).repeated_by(repeat);
    finding
}

/// Makes the boot. Returns its run, what is wrong with it, and all that it left.
fn boot(
    context: &Context,
    arm: &Arm,
    case: &Case,
    built: &Built,
    folder: &Utf8Path,
    repeat: &mut String,
) -> Result<(Run, Vec<String>, BootOutcome)> {
    let kernel = arm.kernel.expected();
    let mut request = request(context, arm, case, built)?;
    let steps = folder.join(format!("{} {}.steps.json", arm.name, case.name).replace(' ', "-"));
    if request.steps.is_empty() {
        *repeat = command::boot(&request, &built.configured.preset, &steps) + " --check";
        request.settle(kernel);
    } else {
        *repeat = command::boot(&request, &built.configured.preset, &steps);
        fs_err::write(&steps, serde_json::to_string_pretty(&request.steps)?)?;
    }
    let mut outcome = boot::run(context, &request)?;
    let last = collect::run(&request, &outcome);
    put_back(&mut outcome.files);
    let first = collect::run(&request, &outcome);
    let mut wrong = check::run(&request, kernel, &first, &outcome);
    wrong.extend(afterwards(case, &last, &outcome));
    Ok((first, wrong, outcome))
}

fn request(context: &Context, arm: &Arm, case: &Case, built: &Built) -> Result<BootRequest> {
    let kernel = arm.kernel.expected();
    let label = arm.kernel.to_string();
    let mut request = BootRequest::new(label, built.image.clone(), case.cpus);
    request.module.clone_from(&built.module);
    request.parallel = arm.parallel;
    request.firmware = Some(firmware::find(context, case.firmware)?);
    request.faults.clone_from(&case.faults);
    (request.accel, request.icount, request.quiet) = (AccelRequest::Tcg, case.can_count(), true);
    // Each lost CPU costs ten seconds of the guest's time, in the worst case twice.
    request.limit = Some(Duration::from_secs(240 + 25 * u64::from(case.cpus)));
    let steps: Vec<Step> = match case.after {
        After::Nothing => return Ok(request),
        After::Online(cpu) => vec![Action::Online { cpu }.into()],
        After::OffAndOn(cpu) => {
            vec![Action::Offline { cpu }.into(), Action::Online { cpu }.into()]
        }
    };
    request.settle(kernel);
    let read = |path: &str, name: &str| {
        let name = format!("{name}-{BEFORE}");
        Step::from(Action::ReadFile { path: path.to_owned(), name })
    };
    request.steps.push(read(&format!("{DEBUGFS_DIR}/timeline"), "timeline"));
    request.steps.push(read("/sys/devices/system/cpu/online", "online"));
    request.steps.extend(steps);
    Ok(request)
}

/// Replaces what was read last by what was read before, where there is such.
fn put_back(files: &mut BTreeMap<String, String>) {
    for name in ["timeline", "online"] {
        if let Some(text) = files.remove(&format!("{name}-{BEFORE}")) {
            files.insert(name.to_owned(), text);
        }
    }
}

/// What is wrong after the CPUs were brought up or went off and on.
fn afterwards(case: &Case, last: &Run, outcome: &BootOutcome) -> Vec<String> {
    let (After::Online(cpu) | After::OffAndOn(cpu)) = case.after else { return Vec::new() };
    let mut wrong = Vec::new();
    let found = last.per_cpu.iter().find(|row| row.cpu == cpu).map(|row| &row.outcome);
    if found != Some(&Outcome::Online) {
        let found = found.map_or("not known".to_owned(), ToString::to_string);
        wrong.push(format!("in the end CPU {cpu} is {found} instead of online"));
    }
    let failed = outcome.steps.iter().filter(|step| !step.ok);
    wrong.extend(failed.map(|step| format!("{}: {}", step.action, step.detail)));
    wrong
}

impl Finding {
    /// Its result in a word.
    pub fn word(&self) -> &'static str {
        match self.verdict.status {
            Status::Passed if !self.wrong.is_empty() => "wrong",
            Status::Passed => "ok",
            Status::Failed => "FAILED",
            Status::Skipped => "skipped",
        }
    }
}
