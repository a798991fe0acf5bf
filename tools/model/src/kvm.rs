// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a KVM host's trace says of a guest's bring-up: the exits by class with their time, what the
//! waiting CPUs consumed, context switches.
//!
//! Events are those of the kernel's text trace (`Documentation/trace/ftrace.rst`) by a clock that
//! runs as fast as the guest's counter. Their stamps are cut to microseconds there.
//!
//! All figures are of the bring-up alone: from the first kick to the last CPU active, by the guest's
//! own timeline. How the guest's clock relates to the host's is learned from the kicks: the k-th
//! `CPU_ON` that the host sees follows the k-th kick of the guest's timeline. The smallest distance
//! of all is the offset.

use std::collections::{BTreeMap, HashMap};

use thiserror::Error;

use crate::results::{Exits, Kvm, Switches};
use crate::timeline::{self, Cpu};

/// The classes of exits that are always shown, as `perf kvm stat` names them.
pub const CLASSES: [&str; 6] = ["IRQ", "WFx", "HVC64", "SYS64", "DABT_LOW", "IABT_LOW"];

/// Function identifiers of PSCI's CPU_ON, as SMC32 and as SMC64 (DEN0022, 5.1.4).
const CPU_ON: [u64; 2] = [0x8400_0003, 0xc400_0003];

/// How far apart the clocks of guest and host may seem, in nanoseconds, beyond what the stamps say:
/// those of the trace are cut to 1 us, and the guest's are multiples of its counter's period.
const GRAIN: u64 = 2_000;

/// Something that happened on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The thread on whose behalf.
    pub thread: u32,
    /// Which of the host's CPUs recorded it.
    pub cpu: u32,
    /// When, in nanoseconds of the trace's clock.
    pub time_ns: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The guest runs from now on.
    Entry,
    /// The guest does not run any more, for a reason of this class.
    Exit(String),
    /// It called the hypervisor, with this function identifier.
    Call(u64),
    /// It accessed an emulated device.
    Access {
        /// Whether it read.
        read: bool,
        /// The guest's physical address.
        address: u64,
    },
    /// The thread gave up its CPU.
    Switch {
        /// Whether it could have run on.
        preempted: bool,
    },
}

/// Why a trace cannot be understood, or cannot be what it is said to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TraceError {
    /// A line is not as the kernel writes it.
    #[error("trace: `{0}` is not as expected")]
    Line(String),
    /// There is no timeline, or nobody was kicked.
    #[error("the guest's timeline has no kick, so it is not known which part of the trace counts")]
    NoKick,
    /// The host saw another number of calls than the guest says that it has made.
    #[error("the guest kicked {kicks} CPUs, and the host's trace has {calls} calls of CPU_ON")]
    Calls {
        /// By the guest's timeline.
        kicks: usize,
        /// By the trace.
        calls: usize,
    },
    /// A call came later than the guest says that it had returned.
    #[error(
        "by the host's trace, a call of CPU_ON came {0} ns after its return by the guest's \
         timeline: the two clocks do not agree"
    )]
    Clocks(u64),
}

/// Reads a line of a trace. `None`: nothing of interest, such as a comment or another event.
///
/// # Errors
///
/// An event of interest that is not as expected.
pub fn parse_line(line: &str) -> Result<Option<Event>, TraceError> {
    let Some((head, cpu, stamp, name, rest)) = split(line) else { return Ok(None) };
    let bad = || TraceError::Line(line.trim().chars().take(160).collect());
    let what = match name {
        "kvm_entry" => What::Entry,
        "kvm_exit" => What::Exit(class(rest).ok_or_else(bad)?),
        "kvm_hvc_arm64" => What::Call(hex_after(rest, "r0: 0x").ok_or_else(bad)?),
        "kvm_mmio" => What::Access {
            read: rest.starts_with("mmio read"),
            address: hex_after(rest, "gpa 0x").ok_or_else(bad)?,
        },
        "sched_switch" => What::Switch {
            // `R` and `R+` are tasks that can run; all other states are of tasks that wait.
            preempted: rest.split_once("prev_state=").ok_or_else(bad)?.1.starts_with('R'),
        },
        _ => return Ok(None),
    };
    let thread = head.trim_end().rsplit_once('-').ok_or_else(bad)?.1.parse().map_err(|_| bad())?;
    let cpu = cpu.parse().map_err(|_| bad())?;
    let time_ns = nanoseconds(stamp).ok_or_else(bad)?;
    Ok(Some(Event { thread, cpu, time_ns, what }))
}

/// `COMM-PID [CPU] FLAGS STAMP: NAME: REST` as (`COMM-PID`, `CPU`, `STAMP`, `NAME`, `REST`).
fn split(line: &str) -> Option<(&str, &str, &str, &str, &str)> {
    if line.starts_with('#') {
        return None;
    }
    // The name of a task may hold spaces and brackets, but not ` [000] `.
    let (head, cpu, rest) = line.match_indices(" [").find_map(|(at, _)| {
        let (cpu, rest) = line[at + 2..].split_once("] ")?;
        cpu.chars().all(|c| c.is_ascii_digit()).then_some((&line[..at], cpu, rest))
    })?;
    let (flags_and_stamp, rest) = rest.split_once(": ")?;
    let stamp = flags_and_stamp.split_whitespace().last()?;
    let (name, rest) = rest.split_once(": ")?;
    Some((head, cpu, stamp, name.trim(), rest.trim()))
}

/// `12.000345` as nanoseconds.
fn nanoseconds(stamp: &str) -> Option<u64> {
    let (seconds, micros) = stamp.split_once('.')?;
    let digits = u32::try_from(micros.len()).ok().filter(|digits| (1..=9).contains(digits))?;
    let fraction: u64 = micros.parse().ok()?;
    let whole = seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?;
    whole.checked_add(fraction * 10_u64.pow(9 - digits))
}

fn hex_after(text: &str, key: &str) -> Option<u64> {
    let (_, value) = text.split_once(key)?;
    let end = value.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(value.len());
    u64::from_str_radix(&value[..end], 16).ok()
}

/// `TRAP: HSR_EC: 0x0016 (HVC64), PC: ...` is of class `HVC64`, `IRQ: ...` of class `IRQ`.
fn class(rest: &str) -> Option<String> {
    let (reason, rest) = rest.split_once(':')?;
    if reason != "TRAP" {
        return Some(reason.to_owned());
    }
    let (_, name) = rest.split_once('(')?;
    Some(name.split_once(')')?.0.to_owned())
}

/// Whether the guest read the type register of a redistributor, on QEMU's virt machine: 64 KiB
/// frames, two for each CPU, in the region 0x080a0000 and from 0x4000000000 on.
fn is_gicr_typer(address: u64) -> bool {
    const GICR_TYPER: u64 = 0x8;
    let in_region = (0x080a_0000..0x0900_0000).contains(&address)
        || (0x40_0000_0000..0x41_0000_0000).contains(&address);
    in_region && address & 0xffff == GICR_TYPER
}

/// The trace's part that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first kick, by the host's clock.
    pub start_ns: u64,
    /// The last CPU active, by the host's clock.
    pub end_ns: u64,
    /// What is to be added to a stamp of the guest's to have it by the host's clock.
    offset_ns: i128,
    /// From the first to the last call of CPU_ON, by the host's clock.
    pub calls_span_ns: u64,
}

impl Window {
    /// Finds it by the calls of CPU_ON in `events` and the kicks in the guest's timeline.
    ///
    /// # Errors
    ///
    /// The two do not go together.
    pub fn find(events: &[Event], cpus: &[Cpu]) -> Result<Self, TraceError> {
        let mut kicks: Vec<(u64, Option<u64>)> =
            cpus.iter().filter_map(|cpu| Some((cpu.kick?, cpu.kicked))).collect();
        kicks.sort_unstable();
        let mut calls: Vec<u64> = events
            .iter()
            .filter(
                |event| matches!(event.what, What::Call(function) if CPU_ON.contains(&function)),
            )
            .map(|event| event.time_ns)
            .collect();
        calls.sort_unstable();
        let (Some(first), Some(last)) = (calls.first(), calls.last()) else {
            return Err(TraceError::NoKick);
        };
        if kicks.len() != calls.len() {
            return Err(TraceError::Calls { kicks: kicks.len(), calls: calls.len() });
        }
        let pairs = || calls.iter().copied().zip(kicks.iter().copied());
        let offset_ns = pairs()
            .map(|(call, (kick, _))| i128::from(call) - i128::from(kick))
            .min()
            .ok_or(TraceError::NoKick)?;
        for (call, (_, kicked)) in pairs() {
            let Some(kicked) = kicked else { continue };
            let late = i128::from(call) - (i128::from(kicked) + offset_ns + i128::from(GRAIN));
            if let Ok(late) = u64::try_from(late)
                && late > 0
            {
                return Err(TraceError::Clocks(late));
            }
        }
        let bringup = timeline::bringup_ns(cpus).ok_or(TraceError::NoKick)?;
        let (kick, _) = kicks.first().copied().ok_or(TraceError::NoKick)?;
        let start_ns = u64::try_from(i128::from(kick) + offset_ns).unwrap_or(0);
        Ok(Self {
            start_ns,
            end_ns: start_ns.saturating_add(bringup),
            offset_ns,
            calls_span_ns: last - first,
        })
    }

    /// A stamp of the guest's by the host's clock.
    fn on_host(&self, stamp: u64) -> u64 {
        u64::try_from(i128::from(stamp) + self.offset_ns).unwrap_or(0)
    }

    /// How much of `from..to` lies within.
    fn overlap(&self, from: u64, to: u64) -> u64 {
        overlap((self.start_ns, self.end_ns), (from, to))
    }

    fn contains(&self, time: u64) -> bool {
        (self.start_ns..=self.end_ns).contains(&time)
    }
}

fn overlap(a: (u64, u64), b: (u64, u64)) -> u64 {
    a.1.min(b.1).saturating_sub(a.0.max(b.0))
}

/// What `events` say of the bring-up that the guest's timeline `cpus` shows. `threads` are the
/// threads of the virtual CPUs, with the number of each.
///
/// # Errors
///
/// Trace and timeline do not go together.
pub fn account(
    events: &[Event],
    threads: &HashMap<u32, u32>,
    cpus: &[Cpu],
) -> Result<Kvm, TraceError> {
    let window = Window::find(events, cpus)?;
    // When each CPU waited to be let go, by the host's clock.
    let waits: HashMap<u32, (u64, u64)> = cpus
        .iter()
        .filter_map(|cpu| {
            Some((cpu.cpu, (window.on_host(cpu.alive?), window.on_host(cpu.release?))))
        })
        .collect();
    let mut kvm = Kvm {
        exits: CLASSES.iter().map(|class| ((*class).to_owned(), Exits::timed(0, 0))).collect(),
        window_ns: Some(window.end_ns - window.start_ns),
        cpu_on_span_ns: Some(window.calls_span_ns),
        ..Kvm::default()
    };
    let (mut reads, mut waiting, mut in_guest) = (0, 0, 0);
    let mut switches = Switches::default();
    // Per thread, its last entry or exit.
    let mut last: HashMap<u32, &Event> = HashMap::new();
    for event in events {
        let Some(vcpu) = threads.get(&event.thread) else { continue };
        match &event.what {
            What::Entry => {
                if let Some(exit) = last.insert(event.thread, event)
                    && let What::Exit(class) = &exit.what
                    && window.contains(exit.time_ns)
                {
                    let time = window.overlap(exit.time_ns, event.time_ns);
                    kvm.exits.entry(class.clone()).or_default().add(time);
                }
            }
            What::Exit(_) => {
                if let Some(entry) = last.insert(event.thread, event)
                    && entry.what == What::Entry
                {
                    in_guest += window.overlap(entry.time_ns, event.time_ns);
                    if let Some(&wait) = waits.get(vcpu) {
                        waiting += overlap(wait, (entry.time_ns, event.time_ns));
                    }
                }
            }
            _ if !window.contains(event.time_ns) => {}
            What::Call(_) => {}
            What::Access { read, address } => {
                reads += u64::from(*read && is_gicr_typer(*address));
            }
            What::Switch { preempted: true } => switches.preempted += 1,
            What::Switch { preempted: false } => switches.blocked += 1,
        }
    }
    // What has not come back: a CPU that waits for an interrupt when the bring-up is over.
    for exit in last.values() {
        if let What::Exit(class) = &exit.what
            && window.contains(exit.time_ns)
        {
            let time = window.overlap(exit.time_ns, window.end_ns);
            kvm.exits.entry(class.clone()).or_default().add(time);
        }
    }
    kvm.gicr_typer_reads = Some(reads);
    kvm.waiting_ns = Some(waiting);
    kvm.guest_ns = Some(in_guest);
    kvm.switches = Some(switches);
    Ok(kvm)
}

/// The exits as `perf kvm stat report` lists them: those of most samples first.
pub fn exit_table(exits: &BTreeMap<String, Exits>) -> String {
    let samples: u64 = exits.values().map(|exit| exit.count).sum();
    let total: u64 = exits.values().filter_map(|exit| exit.time_ns).sum();
    let share = |part: u64, whole: u64| match whole {
        0 => "-".to_owned(),
        _ => format!("{:.2}%", part as f64 * 100.0 / whole as f64),
    };
    let mut rows: Vec<_> = exits.iter().collect();
    rows.sort_by(|(a_name, a), (b_name, b)| (b.count, *a_name).cmp(&(a.count, *b_name)));
    let row = |name: &str, cells: [&str; 5]| {
        let [count, count_share, time, time_share, mean] = cells;
        format!("{name:<10} {count:>10} {count_share:>8} {time:>14} {time_share:>8} {mean:>15}\n")
    };
    let mut text =
        row("Event name", ["Samples", "Sample%", "Time (ns)", "Time%", "Mean Time (ns)"]);
    for (name, exit) in rows {
        let time = exit.time_ns.unwrap_or(0);
        let mean = time.checked_div(exit.count).map_or("-".to_owned(), |mean| mean.to_string());
        let cells = [exit.count.to_string(), share(exit.count, samples), time.to_string()];
        let [count, count_share, time_text] = &cells;
        text += &row(name, [count, count_share, time_text, &share(time, total), &mean]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Outcome;
    use proptest::prelude::*;

    const EXIT: &str = "       CPU 0/KVM-85      [000] d..1.     3.123456: kvm_exit: TRAP: HSR_EC: 0x0016 (HVC64), PC: 0xffff800080012345";

    fn parsed(line: &str) -> Event {
        parse_line(line).unwrap().unwrap()
    }

    #[test]
    fn lines_of_a_trace_are_read() {
        let event = parsed(EXIT);
        assert_eq!((event.thread, event.time_ns), (85, 3_123_456_000));
        assert_eq!(event.what, What::Exit("HVC64".into()));
        let line = "           <...>-120     [013] d..2.    12.5: kvm_exit: IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0x1";
        assert_eq!(parsed(line).what, What::Exit("IRQ".into()));
        assert_eq!(parsed(line).time_ns, 12_500_000_000);
        let line = " x [y]-3 [001] ..... 1.000001: kvm_entry: PC: 0x0000000040000000";
        assert_eq!(parsed(line).what, What::Entry);
        let line = " a-3 [001] ..... 1.000001: kvm_hvc_arm64: HVC at 0x1 (r0: 0x00000000c4000003, imm: 0x0)";
        assert_eq!(parsed(line).what, What::Call(0xc400_0003));
        let line = " a-3 [001] ..... 1.000001: kvm_mmio: mmio read len 8 gpa 0x80c0008 val 0x10";
        assert_eq!(parsed(line).what, What::Access { read: true, address: 0x80c_0008 });
        let line = " CPU 3/KVM-9 [002] d..2. 1.0: sched_switch: prev_comm=CPU 3/KVM prev_pid=9 prev_prio=120 prev_state=R+ ==> next_comm=x next_pid=0 next_prio=120";
        assert_eq!(parsed(line).what, What::Switch { preempted: true });
        let line = line.replace("=R+", "=S");
        assert_eq!(parsed(&line).what, What::Switch { preempted: false });
    }

    #[test]
    fn what_is_of_no_interest_is_passed_over_and_what_is_wrong_is_told() {
        for line in ["", "# tracer: nop", " a-3 [001] ..... 1.0: kvm_userspace_exit: reason x"] {
            assert_eq!(parse_line(line), Ok(None));
        }
        for line in [
            " a-x [001] ..... 1.0: kvm_entry: PC: 0x0",
            " a-1 [001] ..... one: kvm_entry: PC: 0x0",
            " a-1 [001] ..... 1.0: kvm_exit: TRAP",
            " a-1 [001] ..... 1.0: kvm_mmio: mmio read len 8",
        ] {
            assert!(parse_line(line).is_err(), "{line}");
        }
    }

    fn cpu(number: u32, stamps: [u64; 5]) -> Cpu {
        let [kick, kicked, alive, release, active] = stamps.map(Some);
        Cpu {
            cpu: number,
            mpidr: u64::from(number),
            node: Some(0),
            kick,
            kicked,
            entry: kick,
            alive,
            release,
            starting: release,
            online: release,
            active,
            outcome: Outcome::Online,
            extra: BTreeMap::new(),
        }
    }

    fn event(thread: u32, time_us: u64, what: What) -> Event {
        Event { thread, cpu: 0, time_ns: time_us * 1000, what }
    }

    fn exit(class: &str) -> What {
        What::Exit(class.to_owned())
    }

    /// The host's clock is 1 ms ahead of the guest's; CPU 1 waits from 30 to 70 us.
    fn sample() -> (Vec<Event>, HashMap<u32, u32>, Vec<Cpu>) {
        let cpus = vec![cpu(1, [10_000, 25_000, 30_000, 70_000, 90_000])];
        let typer = What::Access { read: true, address: 0x80c_0008 };
        let events = vec![
            event(100, 1000, What::Entry),
            event(100, 1005, exit("DABT_LOW")),
            event(100, 1005, typer.clone()),
            event(100, 1007, What::Entry),
            event(100, 1010, exit("HVC64")),
            event(100, 1010, What::Call(0xc400_0003)),
            event(101, 1012, What::Entry),
            event(100, 1020, What::Entry),
            event(101, 1040, exit("IRQ")),
            event(101, 1041, What::Switch { preempted: true }),
            event(101, 1060, What::Entry),
            event(100, 1061, exit("DABT_LOW")),
            event(100, 1061, typer),
            event(7, 1062, What::Switch { preempted: false }),
            event(100, 1063, What::Entry),
            event(101, 1080, exit("WFx")),
            event(100, 1095, exit("IRQ")),
        ];
        (events, HashMap::from([(100, 0), (101, 1)]), cpus)
    }

    #[test]
    fn the_bring_up_is_accounted_for() {
        let (events, threads, cpus) = sample();
        let kvm = account(&events, &threads, &cpus).unwrap();
        let of = |class: &str| (kvm.exits[class].count, kvm.exits[class].time_ns.unwrap());
        // What was before the first kick does not count, nor what came after the last CPU.
        assert_eq!(of("DABT_LOW"), (1, 2_000));
        assert_eq!(of("HVC64"), (1, 10_000));
        assert_eq!(of("IRQ"), (1, 20_000));
        // It waits for an interrupt until the end.
        assert_eq!(of("WFx"), (1, 10_000));
        assert_eq!(of("IABT_LOW"), (0, 0));
        assert_eq!(kvm.gicr_typer_reads, Some(1));
        // From 30 to 40 and from 60 to 70 us.
        assert_eq!(kvm.waiting_ns, Some(20_000));
        assert_eq!(kvm.window_ns, Some(80_000));
        let switches = kvm.switches.unwrap();
        assert_eq!((switches.preempted, switches.blocked), (1, 0));
        insta::assert_snapshot!(exit_table(&kvm.exits), @r"
        Event name    Samples  Sample%      Time (ns)    Time%  Mean Time (ns)
        DABT_LOW            1   25.00%           2000    4.76%            2000
        HVC64               1   25.00%          10000   23.81%           10000
        IRQ                 1   25.00%          20000   47.62%           20000
        WFx                 1   25.00%          10000   23.81%           10000
        IABT_LOW            0    0.00%              0    0.00%               -
        SYS64               0    0.00%              0    0.00%               -
        ");
    }

    #[test]
    fn a_trace_of_another_guest_is_refused() {
        let (events, threads, mut cpus) = sample();
        cpus.push(cpu(2, [20_000, 26_000, 30_000, 70_000, 95_000]));
        let error = account(&events, &threads, &cpus).unwrap_err();
        assert_eq!(error, TraceError::Calls { kicks: 2, calls: 1 });
        assert_eq!(account(&[], &threads, &cpus).unwrap_err(), TraceError::NoKick);
        // The second call comes 100 us later than the guest says that it had returned.
        let mut events = events;
        events.push(event(100, 1126, What::Call(0xc400_0003)));
        let error = account(&events, &threads, &cpus).unwrap_err();
        assert_eq!(error, TraceError::Clocks(98_000));
    }

    #[test]
    fn redistributors_are_told_from_other_devices() {
        for (address, expected) in [
            (0x80a_0008, true),
            (0x80c_0008, true),
            (0x80a_0000, false),
            (0x900_0008, false),
            (0x40_0000_0008, true),
        ] {
            assert_eq!(is_gicr_typer(address), expected, "{address:#x}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in ".*", tail in ".*") {
            let _ = parse_line(&line);
            let _ = parse_line(&format!(" a-1 [000] ... 1.0: {line}: {tail}"));
            let _ = parse_line(&format!(" a-1 [000] ... {line}: kvm_exit: {tail}"));
            let _ = parse_line(&format!(" a-1 [000] ... 1.0: kvm_exit: TRAP: {tail}"));
        }
    }
}
