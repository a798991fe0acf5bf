// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The KVM lab, small: a guest with more CPUs than its host, on an emulated one.

use bringup_model::results::{Results, Run};
use bringup_model::timeline::Outcome;

use super::judge::{self, Judgement};
use super::{Ending, Runner};
use crate::stages::build::Built;
use crate::stages::collect;
use crate::stages::lab::{self, EmulatedHost, Host, LabRequest};

const VCPUS: u32 = 6;
const PCPUS: u32 = 2;

/// Runs the cases of this file with `guest` as the guest's kernel and `host` as the host's.
pub fn run(runner: &mut Runner<'_>, guest: Option<&Built>, host: Option<&Built>) {
    let names = ["kvm-lab counts a guest's exits", "boot on KVM, on an emulated host"];
    let (Some(guest), Some(host)) = (guest, host) else {
        for name in names {
            runner.case(name, "", |_| Ok(Ending::Skipped("a kernel was not built".to_owned())));
        }
        return;
    };
    let request = LabRequest {
        label: "p1".to_owned(),
        image: guest.image.clone(),
        module: guest.module.clone(),
        vcpus: VCPUS,
        pcpus: PCPUS,
        parallel: Some(true),
        window: None,
        append: String::new(),
        pin: false,
        trace: true,
        repetition: 0,
        limit: None,
        host: Host::Emulated(EmulatedHost {
            image: host.image.clone(),
            hz: None,
            modules: Vec::new(),
            root: None,
        }),
        keep: false,
        quiet: true,
    };
    let reproduce =
        format!("cargo xtask kvm-lab --vcpus {VCPUS} --pcpus {PCPUS} --parallel 1 --runs 1");
    runner.case(names[0], &reproduce, |runner| {
        let outcome = lab::run(runner.context, &request)?;
        Ok(Ending::of(judge::healthy(&outcome.run).and_then(|()| counted(&outcome.run))))
    });
    runner.case(names[1], "", |runner| {
        let (boot, outcome) = lab::boot_on_emulated_host(runner.context, &request)?;
        let host = collect::run(&boot, &outcome);
        let there = || -> Judgement {
            judge::healthy(&host)?;
            let text = outcome.files.get(lab::RESULTS).map(String::as_str).unwrap_or_default();
            let results = Results::from_json(text).map_err(|error| error.to_string())?;
            let [run] = results.runs.as_slice() else {
                return Err(format!("{} runs instead of 1", results.runs.len()));
            };
            judge::healthy(run)?;
            if run.accel != "kvm" {
                return Err(format!("ran on {} instead of kvm", run.accel));
            }
            judge::up(run, 0..VCPUS, &Outcome::Online)
        };
        Ok(Ending::of(there()))
    });
}

/// What was counted must fit what is known of every bring-up.
fn counted(run: &Run) -> Judgement {
    judge::up(run, 0..VCPUS, &Outcome::Online)?;
    judge::mode(run, true)?;
    let (Some(kvm), Some(bringup)) = (&run.kvm, run.bringup_ns) else {
        return Err("nothing was counted".to_owned());
    };
    let count = |class: &str| kvm.exits.get(class).map_or(0, |exits| exits.count);
    // Each AP takes one call to start.
    let aps = u64::from(VCPUS - 1);
    if count("HVC64") < aps {
        return Err(format!("{} hypervisor calls for {aps} APs", count("HVC64")));
    }
    // Three of the guest's CPUs share one of the host's for longer than a tick.
    if count("IRQ") == 0 {
        return Err("no exit because of an interrupt".to_owned());
    }
    // Each CPU looks for its redistributor, at the first one at least.
    let reads = kvm.gicr_typer_reads.unwrap_or(0);
    if reads < aps || reads > count("DABT_LOW") {
        return Err(format!(
            "{reads} reads of GICR_TYPER, and {} exits because of data aborts",
            count("DABT_LOW")
        ));
    }
    let times: u64 = kvm.exits.values().filter_map(|exits| exits.time_ns).sum();
    let in_guest = kvm.guest_ns.unwrap_or(0);
    if in_guest == 0 || in_guest > bringup * u64::from(PCPUS) {
        return Err(format!(
            "{in_guest} ns in the guest on {PCPUS} CPUs, while the bring-up took {bringup} ns"
        ));
    }
    if times > bringup * u64::from(VCPUS) {
        return Err(format!("{times} ns in exits, while the bring-up took {bringup} ns"));
    }
    match kvm.waiting_ns {
        Some(waiting) if waiting > 0 && waiting <= in_guest => Ok(()),
        waiting => Err(format!("APs executed for {waiting:?} of {in_guest} ns while they waited")),
    }
}
