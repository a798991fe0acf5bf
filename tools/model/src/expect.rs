// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a boot must come to, derived from its faults, its firmware and its kernel; and whether it
//! did. The one place that knows this: nothing is listed by case.

use std::collections::BTreeSet;

use crate::dmesg::BringUp;
use crate::fault::{self, Fault, Kind};
use crate::profile::{EnableMethod, Profile};
use crate::results::{Clock, Run};
use crate::timeline::Outcome;

/// Which behaviour is to be expected of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Without the series: serial, gives a CPU up after five seconds, knows no context ID.
    Base,
    /// With the series.
    Patched,
}

/// What was booted.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The number of CPUs, all of which are to come up.
    pub cpus: u32,
    /// The kernel.
    pub kernel: Kernel,
    /// What starts the CPUs.
    pub profile: &'a Profile,
    /// What goes wrong.
    pub faults: &'a [Fault],
    /// Whether CPUs are started in parallel.
    pub parallel: bool,
}

/// What each kernel waits for a CPU that it has kicked, in nanoseconds.
fn timeout_ns(kernel: Kernel) -> u64 {
    match kernel {
        Kernel::Base => 5 * SECOND,
        Kernel::Patched => 10 * SECOND,
    }
}

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

/// The reasons of the timeline's `parked` for the faults that the kernel injects.
const NO_52BIT_VA: &str = "no-52bit-va";
const NO_GRANULE: &str = "no-granule";

/// Errors of the kernel, as the timeline has them.
const EPERM: i32 = -1;
const EINVAL: i32 = -22;
const EOPNOTSUPP: i32 = -95;
const EALREADY: i32 = -114;
const EINPROGRESS: i32 = -115;

/// The log's complaint about a context ID that is not the CPU's: one line with all of these.
const WRONG_CONTEXT_ID: [&str; 2] = ["[Firmware Bug]", "context ID"];

/// A line that names a CPU and has one of these says that it has not come up.
const FAILURE_WORDS: [&str; 9] = [
    "fail",
    "stuck",
    "died",
    "never",
    "late",
    "not arrive",
    "does not support",
    "timed out",
    "will not boot",
];

/// What becomes of a CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It ends with one of these outcomes. `Died` and `Parked` with an empty reason stand for any.
    Outcomes(Vec<Outcome>),
    /// The kernel panics because of it.
    Panic,
}

impl Fate {
    fn is_online(&self) -> bool {
        *self == Self::Outcomes(vec![Outcome::Online])
    }

    fn allows(&self, found: &Outcome) -> bool {
        let Self::Outcomes(outcomes) = self else { return false };
        outcomes.iter().any(|outcome| match (outcome, found) {
            (Outcome::Died(reason), Outcome::Died(_)) if reason.is_empty() => true,
            (Outcome::Parked(reason), Outcome::Parked(_)) if reason.is_empty() => true,
            (outcome, found) => outcome == found,
        })
    }
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Panic => f.write_str("panic"),
            Self::Outcomes(outcomes) => {
                let names: Vec<String> = outcomes.iter().map(Outcome::to_string).collect();
                f.write_str(&names.join(" or "))
            }
        }
    }
}

/// What becomes of an attempt to start another kernel by kexec, once all CPUs have come that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kexec {
    /// The other kernel runs.
    CarriedOut,
    /// The kernel does not even load it.
    Refused,
    /// The faults allow either, or leave no kernel to do it.
    Undecided,
}

/// What was seen of an attempt to start another kernel.
#[derive(Debug, Clone, Copy)]
pub struct KexecSeen<'a> {
    /// The output of the program that loads it.
    pub said: &'a str,
    /// The log of the kernel that was to be left.
    pub log: &'a str,
    /// The other kernel has got as far as to say so.
    pub restarted: bool,
}

/// What the kernel says when it refuses to load another one, and what the program makes of that.
const KEXEC_REFUSED: &str = "Can't kexec: CPUs are stuck in the kernel.";
const BUSY: &str = "Device or resource busy";

/// Whether a CPU of this outcome is in the kernel's text, or may get there at any time: another
/// kernel must not take its place then.
fn may_run_kernel_text(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Boot
        | Outcome::Online
        | Outcome::Offline
        | Outcome::NotKicked
        | Outcome::KickError(_)
        | Outcome::Died(_) => false,
        Outcome::NeverArrived | Outcome::Late | Outcome::Parked(_) | Outcome::Other(_) => true,
    }
}

/// How a CPU's latency lies to the time that the kernel waits. Where it is near the limit, what the
/// kernel had to do before decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    InTime,
    Doubtful,
    TooLate,
}

impl Situation<'_> {
    /// What becomes of the CPU of that logical number.
    pub fn fate(&self, cpu: u32) -> Fate {
        if cpu == 0 {
            return Fate::Outcomes(vec![Outcome::Boot]);
        }
        let mut outcomes = Vec::new();
        let mut in_kernel = Outcome::Online;
        for kind in fault::of(self.faults, cpu) {
            match kind {
                Kind::Never => outcomes.push(Outcome::NeverArrived),
                Kind::OnError(error) => outcomes.extend(self.refused(error)),
                Kind::No52BitVa => in_kernel = Outcome::Parked(NO_52BIT_VA.into()),
                Kind::NoGranule => in_kernel = Outcome::Parked(NO_GRANULE.into()),
                Kind::DieEarly => in_kernel = Outcome::Died(String::new()),
                Kind::Panic => return Fate::Panic,
                Kind::Late(_)
                | Kind::OnBlock(_)
                | Kind::CtxZero
                | Kind::CtxGarbage
                | Kind::CtxSwap(_) => {}
            }
        }
        if !outcomes.is_empty() {
            return Fate::Outcomes(outcomes);
        }
        let arrival = self.arrival(cpu);
        if arrival != Arrival::TooLate {
            outcomes.push(in_kernel.clone());
        }
        if arrival != Arrival::InTime {
            outcomes.push(Outcome::Late);
            // The base kernel turns it away and keeps no record of that. A CPU that arrives only to
            // be parked or to die may be told either way.
            if self.kernel == Kernel::Base || in_kernel != Outcome::Online {
                outcomes.push(Outcome::NeverArrived);
                if in_kernel != Outcome::Online && !outcomes.contains(&in_kernel) {
                    outcomes.push(in_kernel);
                }
            }
        }
        Fate::Outcomes(outcomes)
    }

    /// The outcomes of a CPU whose `CPU_ON` answers this error.
    fn refused(&self, error: i32) -> Vec<Outcome> {
        // As the kernel's psci_to_linux_errno() has it.
        let errno = match (error, self.kernel) {
            (-1, _) => EOPNOTSUPP,
            (-3, _) => EPERM,
            // No errors in themselves: the CPU may be on its way. This one is not.
            (fault::ALREADY_ON, Kernel::Patched) => {
                return vec![Outcome::KickError(EALREADY), Outcome::NeverArrived];
            }
            (-5, Kernel::Patched) => {
                return vec![Outcome::KickError(EINPROGRESS), Outcome::NeverArrived];
            }
            _ => EINVAL,
        };
        vec![Outcome::KickError(errno)]
    }

    /// The least and the most time from the end of the call to the CPU's entry, in nanoseconds.
    fn latency_ns(&self, cpu: u32) -> (u64, u64) {
        let late = fault::of(self.faults, cpu).find_map(|kind| match kind {
            Kind::Late(ms) => Some(u64::from(ms) * MS),
            _ => None,
        });
        let latency = self.profile.latency;
        late.map_or((latency.min_ns, latency.max_ns), |late| (late, late))
    }

    /// How long the call for this CPU holds its caller, in nanoseconds.
    fn block_ns(&self, cpu: u32) -> u64 {
        let longer = fault::of(self.faults, cpu).find_map(|kind| match kind {
            Kind::OnBlock(ms) => Some(u64::from(ms) * MS),
            _ => None,
        });
        self.profile.block_ns + longer.unwrap_or(0)
    }

    fn arrival(&self, cpu: u32) -> Arrival {
        let (min, max) = self.latency_ns(cpu);
        let timeout = timeout_ns(self.kernel);
        if max < timeout / 5 * 4 {
            Arrival::InTime
        } else if min > timeout * 4 {
            // Not less: while CPUs come up the kernel's clock counts ticks, and is slow on a busy host.
            Arrival::TooLate
        } else {
            Arrival::Doubtful
        }
    }

    /// How long to wait after the boot until every CPU that comes at all has come, in milliseconds;
    /// 0 if the boot waits for all of them itself.
    pub fn settle_ms(&self) -> u64 {
        let late = (1..self.cpus).filter(|&cpu| self.arrival(cpu) != Arrival::InTime);
        late.map(|cpu| self.latency_ns(cpu).1 / MS + 500).max().unwrap_or(0)
    }

    /// The CPU whose start makes the kernel panic, if there is one.
    pub fn panics(&self) -> bool {
        (1..self.cpus).any(|cpu| self.fate(cpu) == Fate::Panic)
    }

    /// Whether another kernel can be started from this one, in which the CPUs `brought_up` were
    /// given up at boot and came up later.
    pub fn kexec(&self, brought_up: &[u32]) -> Kexec {
        if self.panics() {
            return Kexec::Undecided;
        }
        // What has no way to take a CPU off cannot leave it to another kernel.
        if self.profile.enable_method == EnableMethod::SpinTable && self.cpus > 1 {
            return Kexec::Refused;
        }
        // The base kernel only counts them and does not take one back.
        let is_forgiven = |cpu: &u32| self.kernel == Kernel::Patched && brought_up.contains(cpu);
        let mut result = Kexec::CarriedOut;
        for cpu in (1..self.cpus).filter(|cpu| !is_forgiven(cpu)) {
            let Fate::Outcomes(outcomes) = self.fate(cpu) else { continue };
            if outcomes.iter().all(may_run_kernel_text) {
                return Kexec::Refused;
            }
            if outcomes.iter().any(may_run_kernel_text) {
                result = Kexec::Undecided;
            }
        }
        result
    }

    /// The least and the most time that the bring-up may take, in nanoseconds. `exact` says that the
    /// clock counts instructions, so that the host's load does not matter.
    pub fn duration_ns(&self, exact: bool) -> (u64, u64) {
        let cpus = u64::from(self.cpus);
        let slack = if exact { 200 * MS + 20 * MS * cpus } else { 15 * SECOND + SECOND / 2 * cpus };
        let kicked = 1..self.cpus;
        let online = |cpu: &u32| self.fate(*cpu).is_online();
        let blocks: u64 = kicked.clone().map(|cpu| self.block_ns(cpu)).sum();
        let waits = kicked.clone().filter(online).map(|cpu| self.latency_ns(cpu));
        // Those that do not come up and were not refused: the kernel waits for them.
        let refused = |cpu: u32| {
            matches!(&self.fate(cpu), Fate::Outcomes(outcomes)
                if outcomes.iter().all(|outcome| matches!(outcome, Outcome::KickError(_))))
        };
        let lost = kicked.filter(|cpu| !online(cpu) && !refused(*cpu)).count() as u64;
        // While CPUs come up the kernel's clock counts ticks, and loses some on a busy host.
        let timeout = timeout_ns(self.kernel) * if exact { 1 } else { 3 };
        if self.parallel {
            let least = waits.clone().map(|(min, _)| min).max().unwrap_or(0).max(blocks);
            // A kernel may feel its way before it kicks all of them.
            let most = 3 * waits.map(|(_, max)| max).max().unwrap_or(0);
            (least, blocks + most + lost.min(1) * timeout + slack)
        } else {
            let least = blocks + waits.clone().map(|(min, _)| min).sum::<u64>();
            let most = blocks + waits.map(|(_, max)| max).sum::<u64>() + lost * timeout + slack;
            // The CPUs of a spin-table are started before the bring-up begins.
            let early = self.profile.enable_method == EnableMethod::SpinTable;
            (if early { 0 } else { least }, most)
        }
    }

    /// How many lines of the log complain about a context ID.
    fn context_complaints(&self) -> usize {
        let wrong = |cpu: u32| {
            fault::of(self.faults, cpu)
                .any(|kind| matches!(kind, Kind::CtxZero | Kind::CtxGarbage | Kind::CtxSwap(_)))
                && self.fate(cpu).is_online()
        };
        // Once for all of them.
        usize::from(self.kernel == Kernel::Patched && (1..self.cpus).any(wrong))
    }
}

/// What a boot came to that is not as it must be; empty if all is. `log` is the kernel's.
pub fn judge(situation: &Situation<'_>, run: &Run, log: &str) -> Vec<String> {
    if situation.panics() {
        return judge_panic(situation, run, log);
    }
    let mut wrong = Vec::new();
    if let Some(failure) = &run.failure {
        wrong.push(format!("{}: {}", failure.kind, failure.detail));
        if run.per_cpu.is_empty() {
            // It did not get as far. All else would follow from that.
            return wrong;
        }
    }
    if run.per_cpu.len() != situation.cpus as usize {
        let found = run.per_cpu.len();
        wrong.push(format!("the timeline has {found} CPUs instead of {}", situation.cpus));
    }
    for cpu in &run.per_cpu {
        let fate = situation.fate(cpu.cpu);
        if !fate.allows(&cpu.outcome) {
            wrong.push(format!("CPU {} is {} instead of {fate}", cpu.cpu, cpu.outcome));
        }
    }
    let booted: BTreeSet<u32> =
        BringUp::parse(log).booted.iter().map(|line| line.what.cpu).collect();
    for cpu in 1..situation.cpus {
        let fate = situation.fate(cpu);
        // Where it may have come in time or not, the timeline tells which.
        let came = run.per_cpu.iter().any(|row| row.cpu == cpu && row.outcome == Outcome::Online);
        let is_online = fate.is_online() || (came && fate.allows(&Outcome::Online));
        let told = failures_told(log, cpu);
        if situation.kernel == Kernel::Patched && !is_online && told > 1 {
            wrong.push(format!("the log says {told} times that CPU {cpu} has not come up"));
        }
        let complaint = complaint(log, cpu);
        match (is_online, booted.contains(&cpu), complaint) {
            (true, false, _) => wrong.push(format!("the log does not say that CPU {cpu} booted")),
            (true, _, Some(line)) => wrong.push(format!("the log complains of CPU {cpu}: {line}")),
            // The kernel keeps quiet about a CPU that it was denied.
            (false, _, None) if !fate.allows(&Outcome::KickError(EPERM)) => {
                wrong.push(format!("the log does not say why CPU {cpu} has not come up"));
            }
            _ => {}
        }
    }
    let complaints =
        log.lines().filter(|line| WRONG_CONTEXT_ID.iter().all(|word| line.contains(word))).count();
    let expected = situation.context_complaints();
    if complaints != expected {
        wrong.push(format!(
            "the log has {complaints} lines instead of {expected} about a wrong context ID"
        ));
    }
    let (least, most) = situation.duration_ns(run.clock == Clock::Icount);
    match run.smp_ns.or(run.bringup_ns) {
        None => wrong.push("the time of the bring-up is not known".into()),
        Some(took) if took < least => wrong.push(format!(
            "the bring-up took {}, less than its latencies: {}",
            seconds(took),
            seconds(least)
        )),
        Some(took) if took > most => wrong.push(format!(
            "the bring-up took {} instead of {} at most",
            seconds(took),
            seconds(most)
        )),
        Some(_) => {}
    }
    wrong
}

/// What is wrong with an attempt to start another kernel; empty if nothing is.
pub fn judge_kexec(expected: Kexec, seen: &KexecSeen<'_>) -> Vec<String> {
    let KexecSeen { said, log, restarted } = *seen;
    let mut wrong = Vec::new();
    match expected {
        Kexec::Undecided => {}
        Kexec::CarriedOut => {
            if !restarted {
                let said = said.trim();
                let said = if said.is_empty() { "nothing" } else { said };
                wrong.push(format!(
                    "kexec was not carried out; the program that loads said: {said}"
                ));
            }
            if log.contains(KEXEC_REFUSED) {
                wrong.push(format!("the log says `{KEXEC_REFUSED}`, though no CPU is stuck"));
            }
        }
        Kexec::Refused => {
            if restarted {
                wrong.push("kexec was carried out although a CPU may run the old kernel".into());
            }
            if !said.contains(BUSY) {
                wrong.push(format!("kexec was not refused with `{BUSY}`"));
            }
            if !log.contains(KEXEC_REFUSED) {
                wrong.push(format!("the log does not say `{KEXEC_REFUSED}`"));
            }
        }
    }
    wrong
}

/// The kernel must have panicked, and have named one of the CPUs that make it.
fn judge_panic(situation: &Situation<'_>, run: &Run, log: &str) -> Vec<String> {
    let kind = run.failure.as_ref().map(|failure| failure.kind.as_str());
    if kind != Some("panic") {
        let found = kind.unwrap_or("success");
        return vec![format!("the kernel should have panicked, but the result is: {found}")];
    }
    let culprits: Vec<u32> =
        (1..situation.cpus).filter(|&cpu| situation.fate(cpu) == Fate::Panic).collect();
    let named = log
        .lines()
        .filter(|line| line.contains("Kernel panic"))
        .any(|line| culprits.iter().any(|&cpu| names(line, cpu)));
    if named { Vec::new() } else { vec!["the panic names none of the CPUs that cause it".into()] }
}

/// The first line that says that this CPU has not come up.
fn complaint(log: &str, cpu: u32) -> Option<&str> {
    log.lines().find(|line| {
        names(line, cpu)
            && WRONG_CONTEXT_ID.iter().any(|word| !line.contains(word))
            && FAILURE_WORDS.iter().any(|word| line.contains(word))
    })
}

/// How many lines say, as the series does it, that this CPU has not come up.
fn failures_told(log: &str, cpu: u32) -> usize {
    let words = format!("CPU{cpu}: failed to come online");
    log.lines().filter(|line| line.contains(&words)).count()
}

/// Whether the line has `CPU7` or `CPU 7`, and not `CPU70`.
fn names(line: &str, cpu: u32) -> bool {
    line.match_indices("CPU").any(|(at, word)| {
        let rest = &line[at + word.len()..];
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let rest = rest.strip_prefix(&cpu.to_string());
        rest.is_some_and(|rest| !rest.starts_with(|char: char| char.is_ascii_digit()))
    })
}

fn seconds(ns: u64) -> String {
    format!("{:.3} s", ns as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Failure, Setup};
    use crate::samples;

    fn faults(texts: &[&str]) -> Vec<Fault> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn situation<'a>(profile: &'a Profile, faults: &'a [Fault]) -> Situation<'a> {
        Situation { cpus: 4, kernel: Kernel::Patched, profile, faults, parallel: true }
    }

    fn fates(situation: &Situation<'_>) -> String {
        let fates = (0..situation.cpus).map(|cpu| situation.fate(cpu).to_string());
        fates.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_kind_has_its_fate() {
        let none = Profile::none();
        let mut text = String::new();
        for kind in [
            "never",
            "late,arg=100",
            "late,arg=9000",
            "late,arg=45000",
            "ctx-zero",
            "ctx-garbage",
            "ctx-swap,arg=2",
            "on-error,arg=-1",
            "on-error,arg=-2",
            "on-error,arg=-3",
            "on-error,arg=-4",
            "on-block,arg=5",
            "no-52bit-va",
            "no-granule",
            "die-early",
            "panic",
        ] {
            let faults = faults(&[&format!("cpu=1,kind={kind}")]);
            let patched = situation(&none, &faults);
            let base = Situation { kernel: Kernel::Base, parallel: false, ..patched };
            text += &format!("{kind}: {} | {}\n", patched.fate(1), base.fate(1));
            assert_eq!(patched.fate(2), Fate::Outcomes(vec![Outcome::Online]));
        }
        insta::assert_snapshot!(text, @r"
        never: never-arrived | never-arrived
        late,arg=100: online | online
        late,arg=9000: online or late | online or late or never-arrived
        late,arg=45000: late | late or never-arrived
        ctx-zero: online | online
        ctx-garbage: online | online
        ctx-swap,arg=2: online | online
        on-error,arg=-1: kick-error(-95) | kick-error(-95)
        on-error,arg=-2: kick-error(-22) | kick-error(-22)
        on-error,arg=-3: kick-error(-1) | kick-error(-1)
        on-error,arg=-4: kick-error(-114) or never-arrived | kick-error(-22)
        on-block,arg=5: online | online
        no-52bit-va: parked(no-52bit-va) | parked(no-52bit-va)
        no-granule: parked(no-granule) | parked(no-granule)
        die-early: died() | died()
        panic: panic | panic
        ");
    }

    #[test]
    fn faults_add_up() {
        let none = Profile::none();
        let faults = faults(&[
            "cpu=1,kind=late,arg=45000",
            "cpu=1,kind=no-granule",
            "cpu=3,kind=ctx-zero",
            "cpu=3,kind=on-block,arg=20",
        ]);
        let both = situation(&none, &faults);
        assert_eq!(
            fates(&both),
            "boot, late or never-arrived or parked(no-granule), online, online"
        );
        assert_eq!(both.settle_ms(), 45_500);
        assert_eq!(both.context_complaints(), 1);
        let slow = Profile::parse("x", "description = \"\"\nlatency_ms = 50000\n").unwrap();
        assert_eq!(fates(&situation(&slow, &[])), "boot, late, late, late");
    }

    #[test]
    fn another_kernel_starts_where_no_cpu_can_be_in_this_one() {
        let none = Profile::none();
        let table = Profile { enable_method: EnableMethod::SpinTable, ..Profile::none() };
        let mut text = String::new();
        for kinds in [
            &[][..],
            &["never"],
            &["late,arg=100"],
            &["late,arg=9000"],
            &["late,arg=45000"],
            &["ctx-garbage"],
            &["on-error,arg=-2"],
            &["on-error,arg=-4"],
            &["on-block,arg=5"],
            &["no-52bit-va"],
            &["no-granule"],
            &["die-early"],
            &["panic"],
            &["die-early", "ctx-zero", "on-error,arg=-3"],
            &["die-early", "never"],
            &["on-error,arg=-4", "never"],
            &["no-granule", "panic"],
        ] {
            let faults: Vec<Fault> = (1..)
                .zip(kinds)
                .map(|(cpu, kind)| format!("cpu={cpu},kind={kind}").parse().unwrap())
                .collect();
            let patched = situation(&none, &faults);
            let base = Situation { kernel: Kernel::Base, parallel: false, ..patched };
            let [found, of_base] = [patched, base].map(|situation| situation.kexec(&[]));
            text += &format!("{}: {found:?} | {of_base:?}\n", kinds.join(" "));
        }
        insta::assert_snapshot!(text, @r"
        : CarriedOut | CarriedOut
        never: Refused | Refused
        late,arg=100: CarriedOut | CarriedOut
        late,arg=9000: Undecided | Undecided
        late,arg=45000: Refused | Refused
        ctx-garbage: CarriedOut | CarriedOut
        on-error,arg=-2: CarriedOut | CarriedOut
        on-error,arg=-4: Undecided | CarriedOut
        on-block,arg=5: CarriedOut | CarriedOut
        no-52bit-va: Refused | Refused
        no-granule: Refused | Refused
        die-early: CarriedOut | CarriedOut
        panic: Undecided | Undecided
        die-early ctx-zero on-error,arg=-3: CarriedOut | CarriedOut
        die-early never: Refused | Refused
        on-error,arg=-4 never: Refused | Refused
        no-granule panic: Undecided | Undecided
        ");
        assert_eq!(situation(&table, &[]).kexec(&[]), Kexec::Refused);
        assert_eq!(Situation { cpus: 1, ..situation(&table, &[]) }.kexec(&[]), Kexec::CarriedOut);
        let late = faults(&["cpu=1,kind=late,arg=45000", "cpu=2,kind=late,arg=45000"]);
        let patched = situation(&none, &late);
        assert_eq!(patched.kexec(&[1]), Kexec::Refused);
        assert_eq!(patched.kexec(&[1, 2]), Kexec::CarriedOut);
        let base = Situation { kernel: Kernel::Base, ..patched };
        assert_eq!(base.kexec(&[1, 2]), Kexec::Refused);
    }

    #[test]
    fn an_attempt_to_start_another_kernel_is_judged() {
        let log = format!("x\n{KEXEC_REFUSED}\n");
        let said = format!("kexec_load failed: {BUSY}\n");
        let carried_out = KexecSeen { said: "", log: "x\n", restarted: true };
        let refused = KexecSeen { said: &said, log: &log, restarted: false };
        assert_eq!(judge_kexec(Kexec::CarriedOut, &carried_out), [""; 0]);
        assert_eq!(judge_kexec(Kexec::Refused, &refused), [""; 0]);
        let mut wrong = judge_kexec(Kexec::CarriedOut, &refused);
        wrong.extend(judge_kexec(Kexec::Refused, &carried_out));
        insta::assert_snapshot!(wrong.join("\n"), @r"
        kexec was not carried out; the program that loads said: kexec_load failed: Device or resource busy
        the log says `Can't kexec: CPUs are stuck in the kernel.`, though no CPU is stuck
        kexec was carried out although a CPU may run the old kernel
        kexec was not refused with `Device or resource busy`
        the log does not say `Can't kexec: CPUs are stuck in the kernel.`
        ");
    }

    #[test]
    fn waits_are_shared_where_cpus_start_in_parallel() {
        let text = "description = \"\"\nlatency_ms = { min = 10, max = 20 }\nblock_ms = 1\n";
        let profile = Profile::parse("x", text).unwrap();
        let faults = faults(&["cpu=1,kind=never", "cpu=2,kind=never"]);
        let parallel = situation(&profile, &faults);
        let slack = 280 * MS;
        assert_eq!(parallel.duration_ns(true), (10 * MS, 10 * SECOND + 63 * MS + slack));
        let serial = Situation { parallel: false, ..parallel };
        assert_eq!(serial.duration_ns(true), (13 * MS, 20 * SECOND + 23 * MS + slack));
        let base = Situation { kernel: Kernel::Base, ..serial };
        assert_eq!(base.duration_ns(true).1, 10 * SECOND + 23 * MS + slack);
        assert_eq!(Situation { faults: &[], ..serial }.duration_ns(true).0, 33 * MS);
    }

    /// A run in which all four CPUs are up, and its log.
    fn good() -> (Run, String) {
        let setup = Setup {
            arm: "p1".into(),
            cpus: 4,
            parallel: Some(true),
            window: None,
            accel: "tcg".into(),
            clock: Clock::Icount,
            firmware: None,
        };
        let mut run = Run::new(setup).with_timeline(&samples::parallel(4));
        run.smp_ns = Some(20 * MS);
        let log = (1..4).map(|cpu| {
            format!(
                "[    0.1] CPU{cpu}: Booted secondary processor 0x000000000{cpu} [0x000f0510]\n"
            )
        });
        (run, log.collect())
    }

    #[test]
    fn what_is_as_expected_passes() {
        let none = Profile::none();
        let (mut run, mut log) = good();
        assert_eq!(judge(&situation(&none, &[]), &run, &log), [""; 0]);

        let wrong = faults(&["cpu=2,kind=ctx-zero"]);
        let mut complaint = "[Firmware Bug]: CPU2: got context ID 0x0 for 2\n".to_owned();
        complaint += &log;
        assert_eq!(judge(&situation(&none, &wrong), &run, &complaint), [""; 0]);

        // It may come in time or not. Here it does.
        let doubtful = faults(&["cpu=1,kind=late,arg=8500"]);
        assert_eq!(judge(&situation(&none, &doubtful), &run, &log), [""; 0]);

        let never = faults(&["cpu=3,kind=never"]);
        run.per_cpu[3].outcome = Outcome::NeverArrived;
        log = log.lines().take(2).map(|line| format!("{line}\n")).collect();
        log += "CPU3: failed to report alive state\n";
        assert_eq!(judge(&situation(&none, &never), &run, &log), [""; 0]);
    }

    #[test]
    fn what_is_not_is_told() {
        let none = Profile::none();
        let (run, log) = good();
        let some = faults(&["cpu=1,kind=never", "cpu=3,kind=ctx-zero"]);
        let mut texts = judge(&situation(&none, &some), &run, &log);
        let mut slow = run.clone();
        slow.smp_ns = Some(21 * SECOND);
        texts.extend(judge(&situation(&none, &[]), &slow, &(log.clone() + "CPU 2 died\n")));
        let board = Profile::parse("x", "description = \"\"\nlatency_ms = 86\n").unwrap();
        texts.extend(judge(&situation(&board, &[]), &run, ""));
        let panic = faults(&["cpu=2,kind=panic"]);
        let panicking = situation(&none, &panic);
        texts.extend(judge(&panicking, &run, &log));
        let failure =
            Failure { kind: "panic".into(), detail: "x".into(), console_tail: Vec::new() };
        let failed = run.clone().with_failure(failure);
        texts.extend(judge(&panicking, &failed, "Kernel panic - not syncing: CPU20 x\n"));
        texts.extend(judge(&situation(&none, &[]), &failed, &log));
        let without = Run { per_cpu: Vec::new(), ..failed.clone() };
        texts.extend(judge(&situation(&none, &[]), &without, ""));
        insta::assert_snapshot!(texts.join("\n"), @r"
        CPU 1 is online instead of never-arrived
        the log does not say why CPU 1 has not come up
        the log has 0 lines instead of 1 about a wrong context ID
        the log complains of CPU 2: CPU 2 died
        the bring-up took 21.000 s instead of 0.280 s at most
        the log does not say that CPU 1 booted
        the log does not say that CPU 2 booted
        the log does not say that CPU 3 booted
        the bring-up took 0.020 s, less than its latencies: 0.086 s
        the kernel should have panicked, but the result is: success
        the panic names none of the CPUs that cause it
        panic: x
        panic: x
        ");
        assert_eq!(judge(&panicking, &failed, "Kernel panic - not syncing: CPU2 x\n"), [""; 0]);
    }
}
