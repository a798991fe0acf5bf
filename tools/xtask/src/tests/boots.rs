// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Real boots, in instruction-counted emulation unless a case says otherwise: what passes once
//! passes always.

use anyhow::Result;
use bringup_model::results::Run;
use bringup_model::timeline::{Outcome, Timeline};
use guest_protocol::{Action, Expect, Module, Step};

use super::judge::{self, Judgement};
use super::{Ending, Kernels, Runner};
use crate::stages::boot::accel::{self, AccelRequest};
use crate::stages::boot::command;
use crate::stages::boot::guest::{DEBUGFS_DIR, MODULE_NAME, MODULE_PATH};
use crate::stages::boot::{self, BootOutcome, BootRequest};
use crate::stages::build::Built;
use crate::stages::collect;

const ONLINE: &str = "/sys/devices/system/cpu/online";

/// Runs the cases of this file.
pub fn run(runner: &mut Runner<'_>, kernels: &Kernels) {
    let patched = kernels.patched.as_ref();
    for cpus in [1, 2, 16, 64] {
        for parallel in [false, true] {
            let name = format!("{cpus} CPUs with parallel={}", u8::from(parallel));
            let change = |request: &mut BootRequest| request.parallel = Some(parallel);
            boot(runner, &name, (patched, cpus), change, |run, _| all_up(run, parallel));
        }
    }
    let base = (kernels.base.as_ref(), 16);
    boot(runner, "16 CPUs without our feature", base, |_| {}, |run, _| all_up(run, false));
    without_icount(runner, patched);
    repeats(runner, patched);
    parameters(runner, patched);
    hotplug(runner, patched);
    refusals(runner, kernels);
}

/// Every CPU is up, in this mode, and the log agrees with the timeline.
fn all_up(run: &Run, parallel: bool) -> Judgement {
    judge::up(run, 0..run.cpus, &Outcome::Online)?;
    judge::mode(run, parallel)?;
    judge::totals_agree(run)
}

/// CPUs that really run side by side: on KVM where it is, and on threads of the host.
fn without_icount(runner: &mut Runner<'_>, patched: Option<&Built>) {
    let kvm = accel::choose(AccelRequest::Kvm, false, &accel::Host::probe());
    for parallel in [false, true] {
        let digit = u8::from(parallel);
        let name = format!("2 CPUs with parallel={digit}, by the host's clock");
        let change = |request: &mut BootRequest| {
            request.parallel = Some(parallel);
            request.icount = false;
        };
        boot(runner, &name, (patched, 2), change, |run, _| all_up(run, parallel));

        let name = format!("16 CPUs with parallel={digit} on KVM");
        if kvm.is_err() {
            runner.case(&name, "", |_| {
                Ok(Ending::Skipped("needs an arm64 host with KVM".to_owned()))
            });
            continue;
        }
        let change = |request: &mut BootRequest| {
            request.parallel = Some(parallel);
            (request.icount, request.accel) = (false, AccelRequest::Kvm);
        };
        boot(runner, &name, (patched, 16), change, |run, _| all_up(run, parallel));
    }
}

/// Two equal runs give equal figures.
fn repeats(runner: &mut Runner<'_>, patched: Option<&Built>) {
    let mut times = Vec::new();
    for name in ["16 CPUs, for comparison", "16 CPUs again take the same time"] {
        let change = |request: &mut BootRequest| request.parallel = Some(true);
        boot(runner, name, (patched, 16), change, |run, _| {
            times.push(run.bringup_ns);
            match times.as_slice() {
                [first, second] => judge::repeats(*first, *second),
                _ => Ok(()),
            }
        });
    }
}

/// Kernel parameters about CPUs.
fn parameters(runner: &mut Runner<'_>, patched: Option<&Built>) {
    let append =
        |words: &'static str| move |request: &mut BootRequest| request.append = words.into();
    boot(runner, "maxcpus=2 of 4", (patched, 4), append("maxcpus=2"), |run, _| {
        judge::up(run, 0..2, &Outcome::NotKicked)
    });
    for (max, online) in [(0, "0"), (1, "0"), (3, "0-2"), (5, "0-4")] {
        for topology in [None, Some("cores=4,threads=2")] {
            let machine = topology.unwrap_or("no topology");
            for parallel in [false, true] {
                let digit = u8::from(parallel);
                let name = format!("maxcpus={max} of 8 ({machine}) with parallel={digit}");
                let change = |request: &mut BootRequest| {
                    request.parallel = Some(parallel);
                    request.append = format!("maxcpus={max}");
                    request.topology = topology.and_then(|topology| topology.parse().ok());
                    request.steps = vec![require_online(online)];
                };
                boot(runner, &name, (patched, 8), change, |_, _| Ok(()));
            }
        }
    }
    boot(runner, "nosmp", (patched, 4), append("nosmp"), |run, outcome| {
        // The others are not even possible CPUs then, so that there need not be a row for them.
        if run.per_cpu.iter().any(|cpu| cpu.kick.is_some()) {
            return Err("a CPU was kicked".to_owned());
        }
        match outcome.files.get("online").map(|text| text.trim()) {
            Some("0") => Ok(()),
            other => Err(format!("CPUs online: {}", other.unwrap_or("not known"))),
        }
    });
    let bad = append("cpuhp.parallel=maybe");
    boot(runner, "a bad cpuhp.parallel is reported", (patched, 4), bad, |run, outcome| {
        let log = outcome.files.get("dmesg").map(String::as_str);
        judge::says("kernel log", log, "Malformed early option 'cpuhp.parallel'")?;
        all_up(run, true)
    });
}

/// A step that is in order if exactly these CPUs are online.
pub fn require_online(cpus: &str) -> Step {
    Action::RequireContent { path: ONLINE.into(), content: cpus.into() }.into()
}

/// CPUs that go and come back.
fn hotplug(runner: &mut Runner<'_>, patched: Option<&Built>) {
    let steps = vec![
        Action::Offline { cpu: 1 }.into(),
        require_online("0,2-3"),
        Action::ReadFile { path: format!("{DEBUGFS_DIR}/timeline"), name: "off".into() }.into(),
        Action::Online { cpu: 1 }.into(),
        require_online("0-3"),
    ];
    let change = |request: &mut BootRequest| request.steps = steps;
    boot(runner, "a CPU goes off and on", (patched, 4), change, |run, outcome| {
        let off = outcome.files.get("off").map(String::as_str).unwrap_or_default();
        let off = Timeline::parse(off).map_err(|error| error.to_string())?;
        if off.cpus.get(1).map(|cpu| &cpu.outcome) != Some(&Outcome::Offline) {
            return Err("while CPU 1 is off, the timeline does not say `offline`".to_owned());
        }
        judge::up(run, 0..4, &Outcome::Online)?;
        let times: Vec<_> = run.per_cpu.iter().map(|cpu| (cpu.kick, cpu.active)).collect();
        match times.as_slice() {
            [_, (Some(kick), _), (_, Some(a)), (_, Some(b))] if kick > a && kick > b => Ok(()),
            _ => Err("the timeline is not about the last time that CPU 1 came up".to_owned()),
        }
    });

    let storm = Action::Storm {
        rounds: 20,
        cpus: vec![1, 2, 3],
        module: Some(Module { path: MODULE_PATH.into(), name: MODULE_NAME.into() }),
        read: ["timeline", "summary"].map(|name| format!("{DEBUGFS_DIR}/{name}")).to_vec(),
    };
    let change = |request: &mut BootRequest| {
        request.steps = vec![storm.into()];
        request.icount = false;
    };
    let name = "the module comes and goes while CPUs do";
    boot(runner, name, (patched, 4), change, |run, _| judge::up(run, 0..4, &Outcome::Online));
}

/// Kernels that record nothing.
fn refusals(runner: &mut Runner<'_>, kernels: &Kernels) {
    for (name, built, words) in [
        (
            "the module refuses a kernel with the recording off",
            kernels.untimed.as_ref(),
            "CONFIG_CPU_BRINGUP_TIMELINE",
        ),
        (
            "the module refuses the untouched kernel",
            kernels.pristine.as_ref(),
            "it lacks the recording patches",
        ),
    ] {
        let read = Action::ReadFile { path: format!("{DEBUGFS_DIR}/timeline"), name: "no".into() };
        let change = |request: &mut BootRequest| {
            request.module_refuses = true;
            request.steps = vec![Step { action: read, expect: Expect::Failure }];
        };
        boot(runner, name, (built, 4), change, |run, outcome| {
            judge::says("kernel log", outcome.files.get("dmesg").map(String::as_str), words)?;
            judge::totals_agree(run)
        });
    }
}

/// A case that boots a kernel with so many CPUs. What `judge` says counts if the boot went well.
pub fn boot(
    runner: &mut Runner<'_>,
    name: &str,
    (built, cpus): (Option<&Built>, u32),
    change: impl FnOnce(&mut BootRequest),
    judge: impl FnOnce(&Run, &BootOutcome) -> Judgement,
) {
    let Some(built) = built else {
        runner.case(name, "", |_| Ok(Ending::Skipped("the kernel was not built".to_owned())));
        return;
    };
    let label = built.configured.tree.kernel.to_string();
    let mut request = BootRequest::new(label, built.image.clone(), cpus);
    request.module.clone_from(&built.module);
    (request.icount, request.accel, request.quiet) = (true, AccelRequest::Tcg, true);
    change(&mut request);

    let file = format!("{}.steps.json", name.replace([' ', '/'], "-"));
    let steps = runner.folder.join("logs").join(file);
    let reproduce = command::boot(&request, &built.configured.preset, &steps);
    runner.case(name, &reproduce, |runner| -> Result<Ending> {
        if !request.steps.is_empty() {
            fs_err::write(&steps, serde_json::to_string_pretty(&request.steps)?)?;
        }
        let outcome = boot::run(runner.context, &request)?;
        let run = collect::run(&request, &outcome);
        let judgement = judge::healthy(&run).and_then(|()| judge(&run, &outcome));
        Ok(Ending::of(judgement.map_err(|cause| match &outcome.folder {
            Some(folder) => format!("{cause}\nfiles kept from this boot: {folder}"),
            None => cause,
        })))
    });
}
