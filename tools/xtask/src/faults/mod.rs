// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Boots with slow and broken firmware, and what came of them.

pub mod matrix;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bringup_model::expect::{self, Kexec, KexecSeen};
use bringup_model::results::Run;
use bringup_model::timeline::Outcome;
use bringup_model::verdict::{Status, Verdict};
use camino::Utf8Path;
use guest_protocol::{Action, Expect, Step};

use crate::context::Context;
use crate::stages::boot::accel::AccelRequest;
use crate::stages::boot::guest::DEBUGFS_DIR;
use crate::stages::boot::{self, BootOutcome, BootRequest, check, command, firmware, kexec};
use crate::stages::build::Built;
use crate::stages::collect;
use matrix::{After, Arm, Case};

/// What the names of files end with as they are before the guest does anything to CPUs.
const BEFORE: &str = "-before";

/// Which CPUs are online.
const ONLINE_FILE: &str = "/sys/devices/system/cpu/online";

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

/// What cases are run with.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// The kernel.
    pub built: &'a Built,
    /// An archive with the program that starts another kernel.
    pub root: Option<&'a Utf8Path>,
}

/// Runs one case.
pub fn run(context: &Context, arm: &Arm, case: &Case, means: Means<'_>) -> Finding {
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
    let mut repeat = again(arm, case);
    match boot(context, arm, case, means, &mut repeat) {
        Err(error) => finding.verdict = Verdict::failed(&name, format!("{error:#}")),
        Ok(Seen { mut run, wrong, is_proven, outcome }) => {
            arm.name.clone_into(&mut run.arm);
            let detail = wrong.join("\n");
            let kept = outcome.folder.as_ref();
            let kept =
                kept.map_or(String::new(), |folder| format!("\nfiles kept from it: {folder}"));
            // It shows what the series is for; it is not ours to mend. What goes wrong without a
            // fault is.
            let is_base = arm.kernel.expected() == expect::Kernel::Base;
            let is_excused = is_base && !case.faults.is_empty() && is_proven;
            finding.verdict = match (wrong.is_empty(), is_excused) {
                (true, _) => finding.verdict,
                (false, true) => Verdict {
                    detail: format!("base gets this wrong:\n{detail}"),
                    ..finding.verdict
                },
                (false, false) => Verdict::failed(&name, detail + &kept),
            };
            (finding.run, finding.wrong, finding.outcome) = (Some(run), wrong, Some(outcome));
        }
    }
    finding.verdict = finding.verdict.taking(start.elapsed()).repeated_by(repeat);
    finding
}

/// The command that runs one case alone.
fn again(arm: &Arm, case: &Case) -> String {
    let words = ["cargo", "xtask", "faults", "--arms", arm.name, "--only", &case.name];
    // None of ours holds the NUL that cannot be quoted.
    shlex::try_join(words).unwrap_or_default()
}

/// What came of the boot of a case.
struct Seen {
    /// Its run; of several kernels, the first one's.
    run: Run,
    /// What is wrong with it.
    wrong: Vec<String>,
    /// Whether the trace shows that the faults were there.
    is_proven: bool,
    /// All that it left.
    outcome: BootOutcome,
}

/// Makes the boot.
fn boot(
    context: &Context,
    arm: &Arm,
    case: &Case,
    means: Means<'_>,
    repeat: &mut String,
) -> Result<Seen> {
    let kernel = arm.kernel.expected();
    let profile = firmware::find(context, case.firmware)?;
    let mut request =
        BootRequest::new(arm.kernel.to_string(), means.built.image.clone(), case.cpus);
    request.module.clone_from(&means.built.module);
    request.parallel = arm.parallel;
    request.firmware = Some(profile.clone());
    request.faults.clone_from(&case.faults);
    (request.accel, request.icount, request.quiet) = (AccelRequest::Tcg, case.can_count(), true);
    // Each lost CPU costs ten seconds of the guest's time, in the worst case twice.
    request.limit = Some(Duration::from_secs(240 + 25 * u64::from(case.cpus)));
    if case.after.is_empty() {
        *repeat = command::boot(&request, &means.built.configured.preset, "".into()) + " --check";
    }
    request.settle(kernel);
    let parallel = arm.parallel.unwrap_or_default();
    let expected = request.situation(kernel, &profile, parallel).kexec(&case.brought_up());
    add_steps(&mut request, case, kernel, expected, means.root)?;

    let (mut outcome, second) = boot::run(context, &request)?.kernels();
    let last = collect::run(&request, &outcome);
    let text = |name: &str| outcome.files.get(name).cloned().unwrap_or_default();
    let [said, log] = [kexec::SAID, "dmesg"].map(text);
    put_back(&mut outcome.files);
    let first = collect::run(&request, &outcome);
    let mut wrong = check::run(&request, kernel, &first, &outcome);
    wrong.extend(afterwards(case, &last, &outcome));
    if case.needs_kexec() {
        let seen = KexecSeen { said: &said, log: &log, restarted: second.is_some() };
        wrong.extend(expect::judge_kexec(expected, &seen));
    }
    if let Some(second) = &second {
        let request = kexec::second(&request);
        let run = collect::run(&request, second);
        let of_second = check::run(&request, kernel, &run, second);
        wrong.extend(of_second.iter().map(|text| format!("the second kernel: {text}")));
    }
    let is_proven = check::unproven(&request, &first, &outcome.trace).is_empty();
    Ok(Seen { run: first, wrong, is_proven, outcome })
}

/// What the guest has to do for this case, once all CPUs have come that come.
fn add_steps(
    request: &mut BootRequest,
    case: &Case,
    kernel: expect::Kernel,
    expected: Kexec,
    root: Option<&Utf8Path>,
) -> Result<()> {
    if case.after.is_empty() {
        return Ok(());
    }
    let files =
        [("timeline", format!("{DEBUGFS_DIR}/timeline")), ("online", ONLINE_FILE.to_owned())];
    let read = |ending: &str| {
        let read = |(name, path): &(&str, String)| {
            Step::from(Action::ReadFile { path: path.clone(), name: format!("{name}{ending}") })
        };
        files.iter().map(read).collect::<Vec<_>>()
    };
    request.steps.extend(read(BEFORE));
    for after in &case.after {
        match *after {
            After::Online(cpu) => request.steps.push(Action::Online { cpu }.into()),
            After::OffAndOn(cpu) => {
                request
                    .steps
                    .extend([Action::Offline { cpu }, Action::Online { cpu }].map(Step::from));
            }
            After::Kexec => {
                // As the other kernel ends, so does this one without a chance to read anything.
                request.steps.extend(read(""));
                request.steps.push(Action::KernelLog { name: "dmesg".to_owned() }.into());
                let expect = match expected {
                    Kexec::CarriedOut => Expect::Success,
                    Kexec::Refused => Expect::Failure,
                    Kexec::Undecided => bail!("these faults do not say what becomes of kexec"),
                };
                let root = root.context("there is no program that starts another kernel")?;
                let mut second = kexec::second(request);
                second.settle(kernel);
                kexec::add(request, root.to_owned(), expect, second.steps);
            }
        }
    }
    Ok(())
}

/// Replaces what was read last by what was read before, where there is such.
fn put_back(files: &mut BTreeMap<String, String>) {
    for name in ["timeline", "online"] {
        if let Some(text) = files.remove(&format!("{name}{BEFORE}")) {
            files.insert(name.to_owned(), text);
        }
    }
}

/// What is wrong after the CPUs were brought up or went off and on.
fn afterwards(case: &Case, last: &Run, outcome: &BootOutcome) -> Vec<String> {
    let mut wrong = Vec::new();
    for after in &case.after {
        let (After::Online(cpu) | After::OffAndOn(cpu)) = *after else { continue };
        let found = last.per_cpu.iter().find(|row| row.cpu == cpu).map(|row| &row.outcome);
        if found != Some(&Outcome::Online) {
            let found = found.map_or("not known".to_owned(), ToString::to_string);
            wrong.push(format!("in the end CPU {cpu} is {found} instead of online"));
        }
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
