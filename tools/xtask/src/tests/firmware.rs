// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A few boots with slow and broken firmware. `cargo xtask faults` has all of them.

use bringup_model::expect;
use bringup_model::fault::{Fault, Kind};
use bringup_model::results::Run;

use super::boots::boot;
use super::judge::{self, Judgement};
use super::{Kernels, Runner};
use crate::stages::boot::{BootOutcome, BootRequest, check, firmware};
use crate::stages::build::Built;

/// Runs the cases of this file.
pub fn run(runner: &mut Runner<'_>, kernels: &Kernels) {
    let [base, patched] = [kernels.base.as_ref(), kernels.patched.as_ref()];
    let mut times = Vec::new();
    for name in ["slow firmware, for comparison", "slow firmware again takes the same time"] {
        checked(runner, name, (patched, 4, Some(true)), ("hip12", &[]), |run| {
            times.push(run.bringup_ns);
            match times.as_slice() {
                [first, second] => judge::repeats(*first, *second),
                _ => Ok(()),
            }
        });
    }
    let good = |_: &Run| Ok(());
    checked(
        runner,
        "slow firmware, one CPU after the other",
        (base, 4, None),
        ("hip12", &[]),
        good,
    );
    let spin_table = ("spin-table", &[][..]);
    checked(runner, "a spin-table", (patched, 4, Some(true)), spin_table, good);
    let several = [
        "cpu=1,kind=ctx-zero",
        "cpu=2,kind=on-error,arg=-2",
        "cpu=3,kind=ctx-swap,arg=1",
        "cpu=3,kind=on-block,arg=5",
        "cpu=4,kind=late,arg=7",
    ];
    for parallel in [false, true] {
        let name = format!("five faults with parallel={}", u8::from(parallel));
        checked(runner, &name, (patched, 6, Some(parallel)), ("fast", &several), good);
    }
    let lost = ("none", &["cpu=1,kind=never"][..]);
    checked(runner, "a CPU that never arrives", (patched, 3, Some(true)), lost, good);
}

/// A case that boots a kernel, so many CPUs and `cpuhp.parallel=`, with a firmware profile and
/// faults. All must be as these demand, and as `further` does.
fn checked(
    runner: &mut Runner<'_>,
    name: &str,
    (built, cpus, parallel): (Option<&Built>, u32, Option<bool>),
    (profile, faults): (&str, &[&str]),
    further: impl FnOnce(&Run) -> Judgement,
) {
    let profile = firmware::find(runner.context, profile);
    let faults: Result<Vec<Fault>, String> = faults.iter().map(|fault| fault.parse()).collect();
    let (profile, faults) = match (profile, faults) {
        (Ok(profile), Ok(faults)) => (profile, faults),
        (profile, faults) => {
            let wrong = format!("{:?}, {:?}", profile.err(), faults.err());
            runner.case(name, "", |_| Ok(super::Ending::failed(wrong)));
            return;
        }
    };
    let mut wanted = BootRequest::new("", "", cpus);
    // While a CPU is waited for, others execute more than can be counted in reasonable time.
    wanted.icount = !faults.iter().any(|fault: &Fault| fault.kind == Kind::Never);
    wanted.parallel = parallel;
    (wanted.firmware, wanted.faults) = (Some(profile), faults);
    let change = |request: &mut BootRequest| {
        request.icount = wanted.icount;
        request.parallel = wanted.parallel;
        request.firmware.clone_from(&wanted.firmware);
        request.faults.clone_from(&wanted.faults);
    };
    let kernel = built.map(|built| built.configured.tree.kernel.expected());
    boot(runner, name, (built, cpus), change, |run: &Run, outcome: &BootOutcome| {
        let kernel = kernel.unwrap_or(expect::Kernel::Patched);
        match check::run(&wanted, kernel, run, outcome) {
            wrong if wrong.is_empty() => further(run),
            wrong => Err(wrong.join("\n")),
        }
    });
}
