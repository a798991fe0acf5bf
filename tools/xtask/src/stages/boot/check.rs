// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whether a boot came to what its faults and its firmware must lead to: the CPUs' outcomes and the
//! log, which [`bringup_model::expect`] judges, and the interposer's trace, which proves that the
//! faults were there. Pure.

use bringup_model::expect::{self, judge};
use bringup_model::fault::{Fault, Kind};
use bringup_model::profile::Profile;
use bringup_model::results::Run;
use interposer_core::psci;
use interposer_core::trace::{self, Record};

use super::{BootOutcome, BootRequest};

/// What is not as it must be; empty if all is.
pub fn run(
    request: &BootRequest,
    kernel: expect::Kernel,
    run: &Run,
    outcome: &BootOutcome,
) -> Vec<String> {
    let log = outcome.files.get("dmesg").map_or(outcome.console.as_str(), String::as_str);
    evidence(request, kernel, run, log, &outcome.trace)
}

fn evidence(
    request: &BootRequest,
    kernel: expect::Kernel,
    run: &Run,
    log: &str,
    trace: &[Record],
) -> Vec<String> {
    let none = Profile::none();
    let profile = request.firmware.as_ref().unwrap_or(&none);
    let default = kernel == expect::Kernel::Patched;
    let parallel = run.parallel.or(request.parallel).unwrap_or(default);
    let situation = request.situation(kernel, profile, parallel);
    let mut wrong = judge(&situation, run, log);
    // After a panic, not every CPU need have been started.
    if !situation.panics() {
        let missing = request.faults.iter().filter(|fault| !is_shown(fault, run, trace));
        wrong.extend(missing.map(|fault| format!("--fault {fault}: the trace does not show it")));
    }
    wrong
}

/// Whether the trace shows that this fault was there, as far as it is the interposer's.
fn is_shown(fault: &Fault, run: &Run, trace: &[Record]) -> bool {
    /// Nanoseconds of a millisecond.
    const MS: u64 = 1_000_000;
    let took = |record: &Record| record.at_ns.saturating_sub(record.since_ns);
    let mpidr = run.per_cpu.iter().find(|cpu| cpu.cpu == fault.cpu).map(|cpu| cpu.mpidr);
    let mut here = trace.iter().filter(|record| u32::from(record.cpu) == fault.cpu);
    let enter = here.clone().find(|record| record.kind == trace::Kind::Enter);
    let call = trace.iter().find(|record| {
        record.kind == trace::Kind::Call
            && record.function == psci::CPU_ON_64
            && mpidr == Some(record.arguments[0])
    });
    match fault.kind {
        Kind::Never => here.any(|record| record.kind == trace::Kind::Park),
        Kind::Late(ms) => enter.is_some_and(|record| took(record) >= u64::from(ms) * MS),
        // The base kernel gives every CPU a zero.
        Kind::CtxZero => enter.is_some_and(|record| record.arguments[2] == 0),
        Kind::CtxGarbage | Kind::CtxSwap(_) => {
            enter.is_some_and(|record| record.arguments[1] != record.arguments[2])
        }
        Kind::OnError(error) => call.is_some_and(|record| record.answer == i64::from(error)),
        Kind::OnBlock(ms) => call.is_some_and(|record| took(record) >= u64::from(ms) * MS),
        Kind::No52BitVa | Kind::NoGranule | Kind::DieEarly | Kind::Panic => true,
    }
}
