// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A measurement on a KVM host that QEMU emulates with its hypervisor mode, under icount: virtual
//! time advances with the instructions executed, and nothing reaches the host from outside while
//! the guest runs. So a run repeats.
//!
//! This program itself, built for arm64, runs there: the code that measures is the one that would
//! measure on a real host.

use std::time::Duration;

use anyhow::{Result, bail};
use bringup_model::results::{Clock, Failure as RunFailure, Results, Run, Setup};
use guest_protocol::{Action, MODULES_PATH, Step};

use super::userland;
use super::{EmulatedHost, Host, LabOutcome, LabRequest};
use crate::context::Context;
use crate::stages::boot::accel::AccelRequest;
use crate::stages::boot::plan::{BootRequest, GuestFile};
use crate::stages::boot::{self, BootOutcome, guest};
use crate::stages::collect;

/// Our folder on the emulated host.
const FOLDER: &str = "lab";

/// What the results of the run there are called.
pub const RESULTS: &str = "results";
/// What this program's output there is called.
pub const OUTPUT: &str = "output";

/// Measures once.
pub fn run(context: &Context, request: &LabRequest, host: &EmulatedHost) -> Result<LabOutcome> {
    let boot = host_boot(context, request, host, measurement(request))?;
    let outcome = boot::run(context, &boot)?;

    let mut run = match outcome.files.get(RESULTS).map(|text| Results::from_json(text)) {
        Some(Ok(mut results)) if results.runs.len() == 1 => results.runs.remove(0),
        _ => not_measured(&boot, request, &outcome),
    };
    run.arm.clone_from(&request.label);
    run.clock = Clock::Icount;
    run.host_cpu_ns = outcome.host_cpu.and_then(|time| u64::try_from(time.as_nanos()).ok());
    // Also of a run that was not measured it is known where that was.
    let kvm = run.kvm.get_or_insert_default();
    (kvm.pcpus, kvm.host_hz) = (Some(request.pcpus), host.hz);
    Ok(LabOutcome { run, boot: outcome })
}

/// Boots the guest of `request` once on its emulated host with this program's verb `boot`, as
/// anybody would on a real one. Nothing is measured. Returns the emulated host's boot.
pub fn boot_on_emulated_host(
    context: &Context,
    request: &LabRequest,
) -> Result<(BootRequest, BootOutcome)> {
    let Host::Emulated(host) = &request.host else { bail!("the host is not emulated") };
    let mut words = vec!["boot".to_owned()];
    words.extend(guest_arguments(request));
    words.extend(["--cpus".to_owned(), request.vcpus.to_string()]);
    words.extend(["--accel".to_owned(), "kvm".to_owned()]);
    let boot = host_boot(context, request, host, words)?;
    let outcome = boot::run(context, &boot)?;
    Ok((boot, outcome))
}

/// The boot of the emulated host, in which this program is run with `arguments`.
fn host_boot(
    context: &Context,
    request: &LabRequest,
    host: &EmulatedHost,
    arguments: Vec<String>,
) -> Result<BootRequest> {
    let root = userland::prepare(context, host.root.as_deref())?;
    let init = guest::build(context)?;
    let program = guest::build_program(context, "xtask", &["--no-default-features"])?;
    let label = format!("host-of-{}", request.label);
    let mut boot = BootRequest::new(label, host.image.clone(), request.pcpus);
    boot.accel = AccelRequest::Tcg;
    (boot.icount, boot.hypervisor) = (true, true);
    (boot.keep, boot.quiet) = (request.keep, request.quiet);
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
    for (number, source) in host.modules.iter().enumerate() {
        let folder = MODULES_PATH.trim_start_matches('/');
        let name = source.file_name().unwrap_or("module.ko");
        let path = format!("{folder}/{number:03}-{name}");
        boot.files.push(GuestFile { path, executable: false, source: source.clone() });
    }
    let mount = |kind: &str, target: &str| {
        Step::from(Action::Mount { kind: kind.to_owned(), target: target.to_owned() })
    };
    let results = format!("/{FOLDER}/results.json");
    let mut words = vec!["--cache".to_owned(), format!("/{FOLDER}/cache")];
    words.extend(arguments);
    words.extend(["--json".to_owned(), results.clone()]);
    let run = Action::Run {
        program: format!("/{FOLDER}/xtask"),
        arguments: words,
        limit_ms: u64::try_from(limit(request).as_millis()).unwrap_or(u64::MAX),
        name: OUTPUT.to_owned(),
    };
    let read = Action::ReadFile { path: results, name: RESULTS.to_owned() };
    boot.steps = vec![
        mount("tracefs", "/sys/kernel/tracing"),
        mount("tmpfs", "/tmp"),
        run.into(),
        read.into(),
    ];
    Ok(boot)
}

/// By the emulated host's clock, which is much slower than ours.
fn limit(request: &LabRequest) -> Duration {
    request.guest().limit() + Duration::from_secs(30)
}

/// Which guest, in words for this program there.
fn guest_arguments(request: &LabRequest) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |list: &[&str]| words.extend(list.iter().map(|&word| word.to_owned()));
    add(&["--kernel", &format!("/{FOLDER}/Image")]);
    if request.module.is_some() {
        add(&["--module", &format!("/{FOLDER}/cpu_bringup.ko")]);
    }
    if let Some(parallel) = request.parallel {
        add(&["--parallel", if parallel { "1" } else { "0" }]);
    }
    if let Some(window) = request.window {
        add(&["--window", &window.to_string()]);
    }
    if !request.append.is_empty() {
        add(&["--append", &request.append]);
    }
    words
}

/// What to type there for this measurement.
fn measurement(request: &LabRequest) -> Vec<String> {
    let mut words = vec!["kvm-lab".to_owned()];
    words.extend(guest_arguments(request));
    let mut add = |list: &[&str]| words.extend(list.iter().map(|&word| word.to_owned()));
    add(&["--real", "--runs", "1"]);
    add(&["--vcpus", &request.vcpus.to_string(), "--pcpus", &request.pcpus.to_string()]);
    add(&[if request.pin { "--pin" } else { "--no-pin" }]);
    if !request.trace {
        add(&["--no-trace"]);
    }
    add(&["--first-repetition", &request.repetition.to_string()]);
    add(&["--limit", &request.guest().limit().as_secs().to_string()]);
    words
}

/// The run of a measurement that did not come to an end.
fn not_measured(boot: &BootRequest, request: &LabRequest, outcome: &BootOutcome) -> Run {
    let host = collect::run(boot, outcome);
    let failure = host.failure.unwrap_or_else(|| RunFailure {
        kind: "lab".to_owned(),
        detail: "the emulated host has sent no readable results".to_owned(),
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
