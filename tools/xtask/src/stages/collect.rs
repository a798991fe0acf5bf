// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 6: from what a boot left behind to a run of the results. The thinking is done by
//! [`bringup_model::collect`]; this is the bridge to it.

use bringup_model::collect::{self, Evidence};
use bringup_model::results::{Clock, Failure, Run, Setup};

use guest_protocol::Action;

use super::boot;
use super::boot::accel::Accel;
use super::boot::verdict::Verdict;
use super::boot::{BootOutcome, BootRequest};
use crate::error;

/// The run that `outcome` is, by the name that the request gives it.
pub fn run(request: &BootRequest, outcome: &BootOutcome) -> Run {
    let setup = Setup {
        arm: request.label.clone(),
        cpus: request.cpus,
        parallel: request.parallel,
        window: request.window.map(|window| window.to_string()),
        accel: outcome.accel.to_string(),
        clock: clock(outcome.accel, request.icount),
        firmware: boot::interposer::profile_name(request),
    };
    let file = |name: &str| outcome.files.get(name).map(String::as_str);
    let evidence = Evidence {
        timeline: file("timeline"),
        kernel_log: file("dmesg"),
        online: file("online"),
        console: &outcome.console,
        host_cpu: outcome.host_cpu,
        failure: failure(&outcome.verdict),
    };
    let mut run = collect::run(setup, evidence);
    run.faults = request.faults.iter().map(ToString::to_string).collect();
    run.hotplug = request.steps.iter().any(|step| is_hotplug(&step.action));
    run
}

/// Whether a step brings CPUs up that the boot had left out, or once more.
fn is_hotplug(action: &Action) -> bool {
    match action {
        Action::Online { .. }
        | Action::Offline { .. }
        | Action::Storm { .. }
        | Action::Hibernate { .. } => true,
        Action::WriteFile { path, .. } => path.contains("/sys/devices/system/cpu/"),
        _ => false,
    }
}

/// Why a verb that made this run cannot end with success; `None` if it can.
pub fn error(run: &Run, outcome: &BootOutcome) -> Option<error::Failure> {
    let failure = run.failure.as_ref()?;
    Some(match &outcome.verdict {
        Verdict::Fail(cause) => cause.to_failure(&run.arm),
        Verdict::Pass => {
            let Failure { kind, detail, .. } = failure;
            error::Failure::Check(format!("{}: {kind}: {detail}", run.arm))
        }
    })
}

/// What the console of a failed run ended with, for people; empty if it said nothing.
pub fn last_lines(run: &Run) -> String {
    let lines = run.failure.as_ref().map_or(&[][..], |failure| &failure.console_tail);
    if lines.is_empty() {
        return String::new();
    }
    format!("the console's last lines:\n{}\n", lines.join("\n"))
}

fn clock(accel: Accel, icount: bool) -> Clock {
    match accel {
        Accel::Kvm => Clock::Counter,
        Accel::Tcg if icount => Clock::Icount,
        Accel::Tcg => Clock::Host,
    }
}

fn failure(verdict: &Verdict) -> Option<Failure> {
    match verdict {
        Verdict::Pass => None,
        Verdict::Fail(failure) => Some(Failure {
            kind: failure.kind.to_string(),
            detail: failure.detail.clone(),
            console_tail: failure.console_tail.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn outcome(accel: Accel) -> BootOutcome {
        let log =
            "[ 0.1] smp: Bringing up secondary CPUs ...\n[ 0.3] smp: Brought up 1 node, 1 CPU\n";
        BootOutcome {
            verdict: Verdict::Pass,
            console: "text".to_owned(),
            files: BTreeMap::from([("dmesg".to_owned(), log.to_owned())]),
            steps: Vec::new(),
            first: None,
            trace: Vec::new(),
            elapsed: Duration::from_secs(1),
            host_cpu: None,
            accel,
            qemu_version: String::new(),
            folder: None,
        }
    }

    #[test]
    fn the_clock_is_named_by_what_drives_it() {
        let mut request = BootRequest::new("p1", "/k/Image", 1);
        request.parallel = Some(true);
        request.window = Some("4".parse().unwrap());
        let collected = run(&request, &outcome(Accel::Kvm));
        assert_eq!((collected.clock, collected.accel.as_str()), (Clock::Counter, "kvm"));
        assert_eq!(collected.smp_ns, Some(200_000_000));
        assert_eq!(collected.window.as_deref(), Some("4"));
        assert_eq!(run(&request, &outcome(Accel::Tcg)).clock, Clock::Host);
        request.icount = true;
        assert_eq!(run(&request, &outcome(Accel::Tcg)).clock, Clock::Icount);
    }

    #[test]
    fn cpus_that_come_after_the_boot_are_told() {
        let of = |action: Action| {
            let mut request = BootRequest::new("p1", "/k/Image", 4);
            request.steps.push(action.into());
            run(&request, &outcome(Accel::Tcg)).hotplug
        };
        let write = |path: &str| Action::WriteFile { path: path.into(), content: "0".into() };
        assert!(of(Action::Online { cpu: 3 }) && of(Action::Offline { cpu: 3 }));
        assert!(of(Action::Storm { rounds: 1, cpus: vec![1], module: None, read: Vec::new() }));
        assert!(of(Action::Hibernate { test: "processors".into() }));
        assert!(of(write("/sys/devices/system/cpu/cpu1/online")));
        assert!(!of(write("/proc/sys/kernel/printk")) && !of(Action::Sleep { milliseconds: 1 }));
    }
}
