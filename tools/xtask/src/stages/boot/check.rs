// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whether a boot came to what its faults and its firmware must lead to: the CPUs' outcomes and the
//! log, which [`bringup_model::expect`] judges, and the interposer's trace, which proves that the
//! faults were there. Pure.

use bringup_model::expect::{self, judge};
use bringup_model::fault::{Fault, Kind};
use bringup_model::profile::Profile;
use bringup_model::results::Run;
use interposer_core::trace::{self, Record};
use interposer_core::{psci, table};

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
        wrong.extend(unproven(request, run, trace));
    }
    wrong
}

/// What the trace does not show of the faults. Where the boot came to nothing, it need not.
pub fn unproven(request: &BootRequest, run: &Run, trace: &[Record]) -> Vec<String> {
    if run.failure.is_some() && run.per_cpu.is_empty() {
        return Vec::new();
    }
    let missing = request.faults.iter().filter(|fault| !is_shown(fault, run, trace));
    missing.map(|fault| format!("--fault {fault}: the trace does not show it")).collect()
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
        Kind::CtxGarbage => enter.is_some_and(|record| record.arguments[2] == table::GARBAGE),
        Kind::CtxSwap(_) => enter.is_some_and(|record| {
            let [_, own, delivered] = record.arguments;
            // A kernel that gives each CPU a zero has nothing to swap.
            own != delivered || own == 0
        }),
        Kind::OnError(error) => call.is_some_and(|record| record.answer == i64::from(error)),
        Kind::OnBlock(ms) => call.is_some_and(|record| took(record) >= u64::from(ms) * MS),
        Kind::No52BitVa | Kind::NoGranule | Kind::DieEarly | Kind::Panic => true,
    }
}

#[cfg(test)]
mod tests {
    use bringup_model::results::{Clock, Setup};
    use bringup_model::timeline::Timeline;

    use super::*;

    const TIMELINE: &str = "\
# cpu_bringup timeline v1 unit=ns parallel=1 window=all
cpu\tmpidr\tnode\tkick\tkicked\tentry\talive\trelease\tstarting\tonline\tactive\toutcome
0\t0x0\t0\t-\t-\t-\t-\t-\t-\t-\t-\tboot
1\t0x1\t0\t1\t2\t3\t4\t5\t6\t7\t5000\tonline
";

    fn run() -> Run {
        let setup = Setup {
            arm: "p1".to_owned(),
            cpus: 2,
            parallel: None,
            window: None,
            accel: "tcg".to_owned(),
            clock: Clock::Icount,
            firmware: None,
        };
        let mut run = Run::new(setup).with_timeline(&Timeline::parse(TIMELINE).unwrap());
        run.smp_ns = Some(30_000_000);
        run
    }

    fn enter(context: u64, delivered: u64, took_ns: u64) -> Record {
        Record {
            kind: trace::Kind::Enter,
            cpu: 1,
            function: 0,
            arguments: [0x4000_0000, context, delivered],
            answer: 0,
            since_ns: 100,
            at_ns: 100 + took_ns,
        }
    }

    #[test]
    fn a_fault_has_to_be_in_the_trace() {
        let shown =
            |fault: &str, record: Record| is_shown(&fault.parse().unwrap(), &run(), &[record]);
        let call = Record {
            kind: trace::Kind::Call,
            cpu: 0,
            function: psci::CPU_ON_64,
            arguments: [1, 0x4000_0000, 1],
            answer: -2,
            since_ns: 0,
            at_ns: 50_000_000,
        };
        let park = Record { kind: trace::Kind::Park, ..enter(1, 1, 0) };
        for (fault, with, without) in [
            ("never", park, enter(1, 1, 0)),
            ("late,arg=20", enter(1, 1, 20_000_000), enter(1, 1, 19_999_999)),
            ("ctx-zero", enter(1, 0, 0), enter(1, 1, 0)),
            ("ctx-garbage", enter(1, table::GARBAGE, 0), enter(1, 7, 0)),
            ("ctx-swap,arg=2", enter(1, 2, 0), enter(1, 1, 0)),
            ("on-error,arg=-2", call, Record { answer: 0, ..call }),
            ("on-block,arg=50", call, Record { at_ns: 49_999_999, ..call }),
            ("on-error,arg=-2", call, Record { arguments: [2, 0, 0], ..call }),
        ] {
            let fault = format!("cpu=1,kind={fault}");
            assert!(shown(&fault, with), "{fault}");
            assert!(!shown(&fault, without), "{fault}");
        }
    }

    #[test]
    fn the_trace_is_looked_at_beside_all_else() {
        let mut request = BootRequest::new("p1", "/k/Image", 2);
        request.faults = vec!["cpu=1,kind=late,arg=20".parse().unwrap()];
        let log = "CPU1: Booted secondary processor 0x1\n";
        let wrong = |trace: &[Record]| {
            evidence(&request, expect::Kernel::Patched, &run(), log, trace).join("\n")
        };
        assert_eq!(wrong(&[enter(1, 1, 20_000_000)]), "");
        assert_eq!(wrong(&[]), "--fault cpu=1,kind=late,arg=20: the trace does not show it");
    }
}
