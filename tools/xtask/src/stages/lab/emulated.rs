// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A measurement on a KVM host that QEMU emulates with its hypervisor mode, under icount: virtual
//! time advances with the instructions executed, and nothing reaches the host from outside while
//! the guest runs. So a run repeats.
//!
//! This program itself, built for arm64, runs there: the code that measures is the one that would
//! measure on a real host.

use std::time::Duration;

use anyhow::Result;
use bringup_model::results::{Clock, Failure as RunFailure, Results, Run, Setup};
use guest_protocol::{Action, Step};

use super::userland;
use super::{EmulatedHost, LabOutcome, LabRequest};
use crate::context::Context;
use crate::stages::boot::accel::AccelRequest;
use crate::stages::boot::plan::{BootRequest, GuestFile};
use crate::stages::boot::{self, guest};
use crate::stages::collect;

/// Our folder on the emulated host.
const FOLDER: &str = "lab";

/// What the results of the run there are called.
const RESULTS: &str = "results";
const OUTPUT: &str = "lab-output";

/// Measures once.
pub fn run(context: &Context, request: &LabRequest, host: &EmulatedHost) -> Result<LabOutcome> {
    let mut boot = host_boot(context, request, host)?;
    let path = |name: &str| format!("/{FOLDER}/{name}");
    boot.steps.push(run_step(measurement(request), limit(request)));
    let read = Action::ReadFile { path: path("results.json"), name: RESULTS.to_owned() };
    boot.steps.push(read.into());
    let outcome = boot::run(context, &boot)?;

    let mut run = match outcome.files.get(RESULTS).map(|text| Results::from_json(text)) {
        Some(Ok(mut results)) if results.runs.len() == 1 => results.runs.remove(0),
        _ => not_measured(&boot, request, &outcome),
    };
    run.arm.clone_from(&request.label);
    run.clock = Clock::Icount;
    run.host_cpu_ns = outcome.host_cpu.and_then(|time| u64::try_from(time.as_nanos()).ok());
    if let Some(kvm) = &mut run.kvm {
        kvm.host_hz = host.hz;
    }
    Ok(LabOutcome { run, boot: outcome })
}

/// The boot of the emulated host, with all that it needs for a guest but no steps.
pub fn host_boot(
    context: &Context,
    request: &LabRequest,
    host: &EmulatedHost,
) -> Result<BootRequest> {
    let root = userland::prepare(context, host.root.as_deref())?;
    let init = guest::build(context)?;
    let program = guest::build_program(context, "xtask", &["--no-default-features"])?;
    let label = format!("host-of-{}", request.label);
    let mut boot = BootRequest::new(label, host.image.clone(), request.pcpus);
    boot.accel = AccelRequest::Tcg;
    (boot.icount, boot.hypervisor, boot.keep) = (true, true, request.keep);
    boot.seed = 1 + u64::from(request.repetition);
    // The guest's memory, its trace, and the user space twice: packed and unpacked.
    let guest = request.guest();
    boot.memory_mib = Some(guest.memory_mib() + 1024 + 32 * u64::from(request.pcpus));
    // Addresses shall not differ from run to run, nor work be put off to a time of its own.
    boot.append = "quiet norandmaps nokaslr transparent_hugepage=always".to_owned();
    boot.limit = Some(limit(request) * 4);
    boot.root = Some(root);
    let mut add = |name: &str, executable: bool, source: &camino::Utf8Path| {
        let path = format!("{FOLDER}/{name}");
        boot.files.push(GuestFile { path, executable, source: source.to_owned() });
    };
    add("xtask", true, &program);
    add(guest::PROGRAM, true, &init);
    add("Image", false, &request.image);
    if let Some(module) = &request.module {
        add("cpu_bringup.ko", false, module);
    }
    let mount = |kind: &str, target: &str| {
        Step::from(Action::Mount { kind: kind.to_owned(), target: target.to_owned() })
    };
    boot.steps = vec![mount("tracefs", "/sys/kernel/tracing"), mount("tmpfs", "/tmp")];
    Ok(boot)
}

/// A step that runs this program on the emulated host.
pub fn run_step(arguments: Vec<String>, limit: Duration) -> Step {
    let folder = format!("/{FOLDER}/cache");
    let mut words = vec!["--cache".to_owned(), folder];
    words.extend(arguments);
    Step::from(Action::Run {
        program: format!("/{FOLDER}/xtask"),
        arguments: words,
        limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        name: OUTPUT.to_owned(),
    })
}

/// By the emulated host's clock, which is much slower than ours.
fn limit(request: &LabRequest) -> Duration {
    request.guest().limit() + Duration::from_secs(30)
}

/// What to type there for this measurement.
fn measurement(request: &LabRequest) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |list: &[&str]| words.extend(list.iter().map(|&word| word.to_owned()));
    add(&["kvm-lab", "--real", "--runs", "1"]);
    add(&["--kernel", &format!("/{FOLDER}/Image")]);
    if request.module.is_some() {
        add(&["--module", &format!("/{FOLDER}/cpu_bringup.ko")]);
    }
    add(&["--vcpus", &request.vcpus.to_string(), "--pcpus", &request.pcpus.to_string()]);
    if let Some(parallel) = request.parallel {
        add(&["--parallel", if parallel { "1" } else { "0" }]);
    }
    if let Some(window) = request.window {
        add(&["--window", &window.to_string()]);
    }
    if !request.append.is_empty() {
        add(&["--append", &request.append]);
    }
    if !request.pin {
        add(&["--no-pin"]);
    }
    if !request.trace {
        add(&["--no-trace"]);
    }
    add(&["--first-repetition", &request.repetition.to_string()]);
    add(&["--limit", &request.guest().limit().as_secs().to_string()]);
    add(&["--json", &format!("/{FOLDER}/results.json")]);
    words
}

/// The run of a measurement that did not come to an end.
fn not_measured(boot: &BootRequest, request: &LabRequest, outcome: &boot::BootOutcome) -> Run {
    let host = collect::run(boot, outcome);
    let failure = host.failure.unwrap_or_else(|| RunFailure {
        kind: "lab".to_owned(),
        detail: "the emulated host has sent no results that can be read".to_owned(),
        console_tail: Vec::new(),
    });
    let setup = Setup {
        arm: request.label.clone(),
        cpus: request.vcpus,
        parallel: request.parallel,
        window: request.window.map(|window| window.to_string()),
        accel: "kvm".to_owned(),
        clock: Clock::Icount,
        firmware: None,
    };
    Run::new(setup).with_failure(failure)
}

/// Reads the ticks per second out of a kernel's configuration.
pub fn hz(config: &str) -> Option<u32> {
    config.lines().find_map(|line| line.strip_prefix("CONFIG_HZ=")?.parse().ok())
}
