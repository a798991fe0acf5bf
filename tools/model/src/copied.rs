// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the owner of a machine copied from it, turned into a [`Run`]: the module's `timeline`, the
//! kernel log, or both. Copies are torn, mixed up and reformatted on their way, so what is wrong
//! with one is said with its line.
//!
//! A kernel without the timeline still logs when its bring-up began, when each CPU spoke and when
//! it was over: see [`LogSpan`].

use std::collections::BTreeMap;

use strip_ansi_escapes::strip_str;
use thiserror::Error;

use crate::collect::{self, require_none_failed};
use crate::dmesg::{self, BringUp};
use crate::results::{Clock, LogSpan, Run, Setup};
use crate::timeline::{Cpu, Outcome, Timeline};

/// Which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The module's `timeline`.
    Timeline,
    /// The kernel log.
    Log,
    /// The log of a job that printed both.
    Job,
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Timeline => "timeline",
            Self::Log => "kernel log",
            Self::Job => "job log",
        })
    }
}

/// Why a copy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{input}, line {line}: {what}")]
pub struct Unusable {
    /// The file.
    pub input: Input,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and what to do about it.
    pub what: String,
}

/// What the owner says about the machine, and what is assumed where they do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The name of the arm.
    pub arm: Option<String>,
    /// `none` for a machine, `kvm` or `tcg` for a guest.
    pub accel: Option<String>,
    /// The firmware.
    pub firmware: Option<String>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Copied {
    /// The run.
    pub run: Run,
    /// The kernel's version, from the log.
    pub kernel: Option<String>,
    /// Which build of that version, from the log.
    pub build: Option<String>,
    /// The machine, from the log: its model by device tree or DMI.
    pub machine: Option<String>,
    /// The kernel's parameters, from the log.
    pub parameters: Option<String>,
    /// What the owner should know, one sentence each.
    pub notes: Vec<String>,
}

/// How a line of the log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamps {
    /// Seconds since the boot, with a fraction.
    Seconds,
    /// `dmesg -T` and its kin: the time of day, whole seconds.
    TimeOfDay,
    /// `dmesg -d`: two figures in the brackets.
    Delta,
    /// `journalctl` as it is by default: a date, the host's name, `kernel:`.
    Journal,
    /// `dmesg --time-format=iso`.
    Iso,
    /// None.
    Missing,
}

impl Stamps {
    fn of(line: &str) -> Self {
        let text = line.trim_start();
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct"];
        let months = || months.iter().chain(&["Nov", "Dec"]);
        let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let after_bracket = text.strip_prefix('[').unwrap_or_default().trim_start();
        if dmesg::stamp(text).is_some() {
            Self::Seconds
        } else if days.iter().any(|day| after_bracket.starts_with(day))
            || months().any(|month| after_bracket.starts_with(month))
        {
            Self::TimeOfDay
        } else if after_bracket.split(']').next().is_some_and(|inside| inside.contains('<')) {
            Self::Delta
        } else if text.contains(" kernel: ")
            && (is_date(text) || months().any(|month| text.starts_with(month)))
        {
            Self::Journal
        } else if is_date(text) {
            Self::Iso
        } else {
            Self::Missing
        }
    }

    /// What to do about stamps from which no time can be had; `None` if it can.
    fn mend(self) -> Option<&'static str> {
        match self {
            Self::Seconds => None,
            Self::TimeOfDay => Some(
                "its stamps are times of day (`dmesg -T`), which are too coarse; take it with plain `dmesg`",
            ),
            Self::Delta => {
                Some("its stamps are differences (`dmesg -d`); take it with plain `dmesg`")
            }
            Self::Journal => Some(
                "its stamps are the journal's, not the kernel's; take it with \
                 `journalctl -k -b -o short-monotonic` or plain `dmesg`",
            ),
            Self::Iso => {
                Some("its stamps are dates (`--time-format=iso`); take it with plain `dmesg`")
            }
            Self::Missing => Some(
                "it has no time stamps; take it with plain `dmesg`, and boot with printk.time=1 \
                 if that has none either",
            ),
        }
    }
}

/// Whether `text` begins as `2026-11-23T`.
fn is_date(text: &str) -> bool {
    let date: Vec<char> = text.chars().take(11).collect();
    date.len() == 11
        && date.iter().enumerate().all(|(index, char)| match index {
            4 | 7 => *char == '-',
            10 => matches!(char, 'T' | ' '),
            _ => char.is_ascii_digit(),
        })
}

/// Reads what was copied: at least one of the two files, as bytes. CPUs are those that the timeline
/// has rows for, else those of which the log says that they came online or failed to.
///
/// # Errors
///
/// A file that is empty, cut off, damaged, of something else, or not of the same boot as the other.
pub fn read(timeline: Option<&[u8]>, log: Option<&[u8]>, said: Said) -> Result<Copied, Unusable> {
    let timeline = timeline.map(read_timeline).transpose()?;
    let log = log.map(|log| Log::read(log, timeline.is_none())).transpose()?;
    let mut notes = Vec::new();
    if let (Some(timeline), Some(log)) = (&timeline, &log) {
        same_boot(timeline, log)?;
    }
    let parallel = match (&timeline, &log) {
        (Some(timeline), _) => Some(timeline.parallel),
        (None, Some(log)) => log.parallel(),
        (None, None) => None,
    };
    let emulated = log.as_ref().is_some_and(|log| log.emulated);
    let accel = said.accel.unwrap_or_else(|| {
        if emulated {
            notes.push(
                "the boot CPU is one that only QEMU's emulation has: taken as `--meta accel=tcg`, \
                 whose times are no measure of performance"
                    .into(),
            );
        }
        if emulated { "tcg" } else { "none" }.into()
    });
    let arm = said.arm.unwrap_or_else(|| {
        let arm = match (parallel, log.as_ref().and_then(|log| log.kernel.clone())) {
            (Some(parallel), _) => format!("p{}", u8::from(parallel)),
            (None, Some(kernel)) => kernel,
            (None, None) => "unknown".into(),
        };
        notes.push(format!("the run is called `{arm}`; --meta arm=NAME gives it another name"));
        arm
    });
    let cpus = match (&timeline, &log) {
        (Some(timeline), _) => timeline.cpus.len(),
        (None, Some(log)) => log.cpus as usize,
        (None, None) => 0,
    };
    let mut run = Run::new(Setup {
        arm,
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        parallel,
        window: None,
        clock: if accel == "tcg" { Clock::Host } else { Clock::Counter },
        accel,
        firmware: said.firmware,
    });
    if let Some(log) = &log {
        run.faults = log.parameter("cpuhp.fault=").map(str::to_owned).into_iter().collect();
        run.smp_ns = log.span.map(|span| span.brought_up - span.bringing_up);
        run.console_bytes = log.bytes;
        if let Some(note) = log.note {
            notes.push(note.into());
        }
    }
    match (&timeline, &log) {
        (Some(timeline), _) => {
            run = run.with_timeline(timeline);
            if let Some(doubt) = collect::contradiction(timeline, None) {
                run = run.with_failure(collect::failure("timeline", doubt));
            }
            run = require_none_failed(run);
            if log.is_none() {
                notes.push(
                    "nothing tells whether the timeline is complete; with --dmesg the kernel's \
                     own count of CPUs would"
                        .into(),
                );
            }
        }
        (None, Some(log)) => {
            run.coarse = log.span;
            run.per_cpu = log.rows();
            if let Some(failed) = log.failed.as_ref().filter(|_| run.faults.is_empty()) {
                run = run.with_failure(collect::failure("not-all-online", failed.clone()));
            } else if log.possible > log.cpus {
                notes.push(format!(
                    "{} of {} possible CPUs are online, and no failure of another is reported: the \
                     run counts as one of {} CPUs",
                    log.cpus, log.possible, log.cpus
                ));
            }
            notes.push(
                "there is no timeline: the time at which each CPU says that it has booted is taken \
                 from the log, to the microsecond, and marked as coarse"
                    .into(),
            );
        }
        (None, None) => {}
    }
    let (kernel, build, machine, parameters) = match log {
        Some(log) => (log.kernel, log.build, log.machine, log.parameters),
        None => (None, None, None, None),
    };
    Ok(Copied { run, kernel, build, machine, parameters, notes })
}

fn unusable(input: Input, line: usize, what: impl Into<String>) -> Unusable {
    Unusable { input, line, what: what.into() }
}

/// The line in which byte `at` of `bytes` is.
fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count()
}

fn read_timeline(bytes: &[u8]) -> Result<Timeline, Unusable> {
    let wrong = |line, what: String| unusable(Input::Timeline, line, what);
    let odd = match std::str::from_utf8(bytes) {
        Err(error) => Some(error.valid_up_to()),
        Ok(_) => bytes.iter().position(|byte| *byte == 0),
    };
    if let Some(at) = odd {
        return Err(wrong(line_of(bytes, at), "damaged: bytes that are not text".into()));
    }
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    if text.trim().is_empty() {
        return Err(wrong(
            1,
            "the file is empty; files of debugfs have no size, so copy them with \
             `cat /sys/kernel/debug/cpu_bringup/timeline > FILE`"
                .into(),
        ));
    }
    if text.contains("smp: Bringing up")
        || Stamps::of(text.lines().next().unwrap_or_default()) == Stamps::Seconds
    {
        return Err(wrong(1, "this is a kernel log; give it with --dmesg".into()));
    }
    let timeline = Timeline::parse(text).map_err(|error| {
        let row = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
        let last = text.lines().count();
        let hint = if error.line > 2 && !row.contains('\t') && row.contains("  ") {
            "; its tabs became spaces, as when it is copied from a terminal: copy the file itself"
        } else if error.line == last && !text.ends_with('\n') {
            "; the file is cut off here"
        } else {
            ""
        };
        wrong(error.line, format!("expected {}, found {}{hint}", error.expected, error.found))
    })?;
    // The kernel ends each line; what lacks the end and has an outcome of no kind was cut off in it.
    if let Some(Cpu { outcome: Outcome::Other(outcome), cpu, .. }) = timeline.cpus.last()
        && !text.ends_with('\n')
    {
        let text = format!("the file is cut off in the outcome of CPU {cpu}: {outcome:?}");
        return Err(wrong(2 + timeline.cpus.len(), text));
    }
    for (cpu, expected) in timeline.cpus.iter().zip(0..) {
        if cpu.cpu != expected {
            let line = 3 + expected as usize;
            let text =
                format!("the row of CPU {expected} is missing; this is the one of CPU {}", cpu.cpu);
            return Err(wrong(line, text));
        }
    }
    Ok(timeline)
}

/// What the kernel log says.
#[derive(Debug)]
struct Log {
    kernel: Option<String>,
    build: Option<String>,
    machine: Option<String>,
    parameters: Option<String>,
    /// Possible CPUs.
    possible: u32,
    /// Those of the run: online at the end of the bring-up, or that were to be.
    cpus: u32,
    /// Online at the end of the bring-up, and the line that says so.
    online: (u32, usize),
    /// What the kernel says of the first CPU that failed to come online.
    failed: Option<String>,
    /// `None` if it has no usable stamps.
    span: Option<LogSpan>,
    /// When each CPU spoke, in nanoseconds of the log, with its MPIDR.
    spoke: BTreeMap<u32, (Option<u64>, u64)>,
    emulated: bool,
    bytes: u64,
    note: Option<&'static str>,
}

impl Log {
    /// Reads a log. Without stamps it is of no use if `must_time`.
    fn read(bytes: &[u8], must_time: bool) -> Result<Self, Unusable> {
        let wrong = |line, what: String| unusable(Input::Log, line, what);
        // A byte that is no text, as of a serial line that came up, harms only its own line.
        let raw = String::from_utf8_lossy(bytes);
        let text = plain(&raw);
        if text.trim().is_empty() {
            return Err(wrong(1, "the file is empty".into()));
        }
        let first = text.lines().next().unwrap_or_default();
        if first.starts_with("# cpu_bringup timeline") {
            return Err(wrong(1, "this is a timeline; give it with --timeline".into()));
        }
        let last = text.lines().count();
        let begins: Vec<usize> = lines_with(&text, dmesg::BEGIN);
        let begin = match begins.as_slice() {
            [] => return Err(wrong(1, no_begin(&text))),
            [begin] => *begin,
            [_, again, ..] => {
                return Err(wrong(
                    *again,
                    format!(
                        "a second bring-up (the first is at line {}): this is the log of several \
                         boots; cut it to one (`journalctl -k -b`)",
                        begins[0]
                    ),
                ));
            }
        };
        let found = BringUp::parse(&text);
        let Some(end) = found.end else {
            let what = format!(
                "the log ends here, without a line \"{}...\" after the bring-up began at line \
                 {begin}: it is cut off, or the kernel did not get further",
                dmesg::END
            );
            return Err(wrong(last, what));
        };
        let line = |number: usize| text.lines().nth(number - 1).unwrap_or_default();
        let mut note = None;
        let mut mends = [begin, end.line].into_iter();
        let mend = mends.find_map(|number| Some((number, Stamps::of(line(number)).mend()?)));
        let span = match (mend, found.begin.and_then(|begin| begin.at_ns), end.at_ns) {
            (None, Some(bringing_up), Some(brought_up)) if bringing_up <= brought_up => {
                Some(LogSpan { bringing_up, brought_up })
            }
            (None, Some(_), Some(_)) => {
                let what =
                    format!("damaged: stamped before line {begin}, where the bring-up began");
                return Err(wrong(end.line, what));
            }
            (mend, ..) => {
                let (number, mend) =
                    mend.unwrap_or((begin, "its stamp cannot be read; the line is damaged"));
                if must_time {
                    return Err(wrong(number, mend.into()));
                }
                note = Some("no time is taken from the log: it has no usable stamps");
                None
            }
        };
        let mut spoke = BTreeMap::new();
        let during = found.booted.iter().filter(|booted| (begin..end.line).contains(&booted.line));
        for booted in during {
            let cpu = booted.what.cpu;
            if cpu >= MOST_CPUS {
                return Err(wrong(booted.line, format!("damaged: there is no CPU {cpu}")));
            }
            let at_ns = booted.at_ns.filter(|_| span.is_some());
            if let (Some(span), Some(at)) = (span, at_ns)
                && !(span.bringing_up..=span.brought_up).contains(&at)
            {
                let what = format!(
                    "damaged: its stamp is outside the bring-up that it belongs to (lines {begin} \
                     to {})",
                    end.line
                );
                return Err(wrong(booted.line, what));
            }
            let value = (at_ns, booted.what.mpidr.unwrap_or(0));
            if spoke.insert(cpu, value).is_some() {
                let what = format!(
                    "damaged: CPU {cpu} has booted before, which happens only once per boot"
                );
                return Err(wrong(booted.line, what));
            }
        }
        let online = (end.what.cpus, end.line);
        // The boot CPU says nothing, each other that is online by then does.
        let others = spoke.keys().filter(|cpu| **cpu != 0).count();
        if others + 1 != online.0 as usize {
            let what = match others {
                0 => format!(
                    "counts {} CPUs, and none says that it has booted: this is not the log of an \
                     arm64 kernel, or lines are missing",
                    online.0
                ),
                others => format!(
                    "counts {} CPUs, and {others} beside the boot CPU say that they have booted: \
                     lines are missing, or of another boot",
                    online.0
                ),
            };
            return Err(wrong(end.line, what));
        }
        let failed: Vec<&str> =
            (text.lines().take(end.line).skip(begin)).filter_map(failed_to_come_online).collect();
        let possible = possible_cpus(&text).unwrap_or(0).max(online.0);
        let failed_cpus = u32::try_from(failed.len()).unwrap_or(u32::MAX);
        let cpus = online.0.saturating_add(failed_cpus).min(possible);
        let after = |mark: &str| {
            let rest = text.lines().find_map(|line| Some(line.split_once(mark)?.1.trim()))?;
            (!rest.is_empty()).then(|| rest.to_owned())
        };
        Ok(Self {
            kernel: dmesg::kernel_version(&text).map(str::to_owned),
            build: dmesg::kernel_build(&text).map(str::to_owned),
            machine: after("Machine model: ").or_else(|| after("DMI: ")),
            parameters: after("Kernel command line: "),
            possible,
            cpus,
            online,
            failed: failed.first().map(|text| (*text).to_owned()),
            span,
            spoke,
            emulated: text.contains("on physical CPU 0x0000000000 [0x000f051"),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            note,
        })
    }

    /// The value of a kernel parameter, the last one if it is given several times.
    fn parameter(&self, name: &str) -> Option<&str> {
        let words = self.parameters.as_ref()?.split_whitespace();
        words.filter_map(|word| word.strip_prefix(name)).next_back()
    }

    /// What the kernel's parameters say about the mode.
    fn parallel(&self) -> Option<bool> {
        match self.parameter("cpuhp.parallel=")? {
            "1" | "y" | "Y" | "on" => Some(true),
            "0" | "n" | "N" | "off" => Some(false),
            _ => None,
        }
    }

    /// A row for each CPU that spoke, and the boot CPU's. The line comes right before a CPU is
    /// marked online, so that its stamp stands in that column.
    fn rows(&self) -> Vec<Cpu> {
        let row = |cpu, mpidr, online, outcome| Cpu {
            cpu,
            mpidr,
            node: None,
            kick: None,
            kicked: None,
            entry: None,
            alive: None,
            release: None,
            starting: None,
            online,
            active: None,
            outcome,
            extra: BTreeMap::new(),
        };
        let boot = row(0, 0, None, Outcome::Boot);
        let others = self.spoke.iter().filter(|(cpu, _)| **cpu != 0);
        let others = others.map(|(cpu, (at, mpidr))| row(*cpu, *mpidr, *at, Outcome::Online));
        std::iter::once(boot).chain(others).collect()
    }
}

/// More CPUs than any kernel has.
const MOST_CPUS: u32 = 1 << 16;

/// Why a log without the begin of a bring-up is of no use.
fn no_begin(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let kernel = |line: &str| {
        line.contains("Linux version ")
            || line.contains("Booting Linux on physical CPU")
            || Stamps::of(line) != Stamps::Missing
    };
    let quoted: String = first.chars().take(60).collect();
    if !text.lines().take(100).any(kernel) {
        return format!("this is no kernel log; it begins with {quoted:?}");
    }
    let begin = dmesg::BEGIN;
    if text.contains("Linux version ") {
        format!("there is no line \"{begin}\": it is cut off, or of a kernel without SMP")
    } else {
        format!(
            "there is no line \"{begin}\", and the log begins with {quoted:?}: its start is lost. \
             Take it right after the boot, or boot with log_buf_len=4M"
        )
    }
}

/// The text without colours of a terminal and without carriage returns; its lines stay what they
/// are.
fn plain(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let line = if line.contains('\u{1b}') { strip_str(line) } else { line.to_owned() };
        line.trim_end_matches('\r').replace('\r', " ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn lines_with(text: &str, mark: &str) -> Vec<usize> {
    text.lines().zip(1..).filter(|(line, _)| line.contains(mark)).map(|(_, line)| line).collect()
}

/// What a line says of a CPU that failed to come online, which the kernel says once for each.
fn failed_to_come_online(line: &str) -> Option<&str> {
    let at = [": failed to come online", ": failed to boot"].iter().find_map(|it| line.find(it))?;
    let cpu = line.get(..at)?.rfind("CPU")?;
    let number = line.get(cpu + 3..at)?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| line.get(cpu..))?
}

/// How many CPUs the kernel counts as possible.
fn possible_cpus(text: &str) -> Option<u32> {
    let number = |mark: &str| {
        let rest = text.lines().find_map(|line| Some(line.split_once(mark)?.1))?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|cpus| *cpus <= MOST_CPUS)
    };
    number(" nr_cpu_ids=").or_else(|| number(" nr_cpu_ids:")).or_else(|| number(", CPUs="))
}

/// That both are about one boot, as far as they can tell.
fn same_boot(timeline: &Timeline, log: &Log) -> Result<(), Unusable> {
    let up =
        timeline.cpus.iter().filter(|cpu| matches!(cpu.outcome, Outcome::Boot | Outcome::Online));
    let (up, (online, line)) = (up.count(), log.online);
    let rows = timeline.cpus.len();
    if rows < online as usize {
        let what = format!(
            "the file ends after {rows} CPUs, and the kernel log (line {line}) counts {online}: it is cut off"
        );
        return Err(unusable(Input::Timeline, 2 + rows, what));
    }
    let other = "they are of two boots, or CPUs came up later; copy both right after a boot";
    if up > online as usize {
        let what = format!("counts {online} CPUs, and the timeline shows {up} to be up: {other}");
        return Err(unusable(Input::Log, line, what));
    }
    if let (Some(span), Some(total)) = (log.span, timeline.bringup_ns()) {
        // The log's lines are around all that the timeline shows; their stamps are rounded.
        const ROUNDING_NS: u64 = 2_000;
        let took = span.brought_up - span.bringing_up;
        if total > took.saturating_add(ROUNDING_NS) {
            let what = format!(
                "the bring-up took {took} ns by the log, and {total} ns by the timeline: {other}"
            );
            return Err(unusable(Input::Log, line, what));
        }
    }
    if let Some(parallel) = log.parallel()
        && !parallel
        && timeline.parallel
    {
        let what = "parallel=1, and the kernel log says cpuhp.parallel=0: they are of two boots";
        return Err(unusable(Input::Timeline, 1, what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    const LOG: &str = "\
[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd083]
[    0.000000] Linux version 7.3.4 (a@b) (clang 19) #1 SMP
[    0.000000] Machine model: A board
[    0.000000] Kernel command line: quiet cpuhp.parallel=1
[    0.000000] SLUB: HWalign=64, Order=0-3, MinObjects=0, CPUs=4, Nodes=1
[    0.061002] smp: Bringing up secondary CPUs ...
[    0.064400] CPU1: Booted secondary processor 0x0000000001 [0x410fd083]
[    0.070400] CPU2: Booted secondary processor 0x0000000100 [0x410fd083]
[    0.075400] CPU3: Booted secondary processor 0x0000000101 [0x410fd083]
[    0.080963] smp: Brought up 1 node, 4 CPUs
[    9.000000] CPU2: Booted secondary processor 0x0000000100 [0x410fd083]
";

    fn timeline() -> String {
        samples::parallel(4).to_string()
    }

    fn both(timeline: &str, log: &str) -> Result<Copied, Unusable> {
        read(Some(timeline.as_bytes()), Some(log.as_bytes()), Said::default())
    }

    fn log_only(log: &str) -> Result<Copied, Unusable> {
        read(None, Some(log.as_bytes()), Said::default())
    }

    fn error(result: Result<Copied, Unusable>) -> String {
        result.expect_err("not usable").to_string()
    }

    #[test]
    fn both_files_make_a_run_like_that_of_a_boot() {
        let copied = both(&timeline(), LOG).unwrap();
        let run = &copied.run;
        assert!(run.ok, "{:?}", run.failure);
        assert_eq!((run.arm.as_str(), run.cpus, run.parallel), ("p1", 4, Some(true)));
        assert_eq!((run.accel.as_str(), run.clock), ("none", Clock::Counter));
        assert_eq!(run.bringup_ns, samples::parallel(4).bringup_ns());
        assert_eq!((run.smp_ns, run.coarse), (Some(19_961_000), None));
        assert_eq!(copied.kernel.as_deref(), Some("7.3.4"));
        assert_eq!(copied.build.as_deref(), Some("#1 SMP"));
        assert_eq!(copied.machine.as_deref(), Some("A board"));
        assert_eq!(copied.notes.len(), 1);
        let said = Said { arm: Some("mine".into()), accel: Some("tcg".into()), ..Said::default() };
        let copied = read(Some(timeline().as_bytes()), None, said).unwrap();
        assert_eq!((copied.run.arm.as_str(), copied.run.clock), ("mine", Clock::Host));
    }

    #[test]
    fn a_log_alone_makes_a_coarse_run() {
        for (form, log) in [
            ("dmesg", LOG.to_owned()),
            ("dmesg with callers", LOG.replace("] ", "][    T1] ")),
            ("dmesg -r", LOG.replace("[    ", "<6>[    ")),
            ("dmesg -x", LOG.replace("[    ", "kern  :info  : [    ")),
            ("journalctl -o short-monotonic", LOG.replace("] ", "] board kernel: ")),
            ("a serial line", LOG.replace('\n', "\r\n")),
            ("colours", LOG.replace("[    ", "\u{1b}[32m[    ").replace("] ", "]\u{1b}[0m ")),
        ] {
            let copied = log_only(&log).unwrap_or_else(|error| panic!("{form}: {error}"));
            let run = copied.run;
            assert_eq!(
                run.coarse,
                Some(LogSpan { bringing_up: 61_002_000, brought_up: 80_963_000 })
            );
            assert_eq!((run.bringup_ns, run.smp_ns), (None, Some(19_961_000)), "{form}");
            let stamps: Vec<_> = run.per_cpu.iter().map(|cpu| (cpu.mpidr, cpu.online)).collect();
            let ms = |us: u64| Some(us * 1000);
            assert_eq!(
                stamps,
                [(0, None), (1, ms(64_400)), (0x100, ms(70_400)), (0x101, ms(75_400))],
                "{form}"
            );
            assert_eq!((run.cpus, run.parallel, run.arm.as_str()), (4, Some(true), "p1"));
        }
        let base = log_only(&LOG.replace(" cpuhp.parallel=1", "")).unwrap();
        assert_eq!((base.run.arm.as_str(), base.run.parallel), ("7.3.4", None));
        let emulated = log_only(&LOG.replace("0x410fd083", "0x000f0510")).unwrap();
        assert_eq!((emulated.run.accel.as_str(), emulated.run.clock), ("tcg", Clock::Host));
    }

    #[test]
    fn stamps_that_are_too_coarse_are_refused_with_the_way_out() {
        for (form, stamp, mend) in [
            ("dmesg -T", "[Mon Nov 23 12:00:00 2026] ", "times of day"),
            ("dmesg -e", "[Nov23 12:00] ", "times of day"),
            ("dmesg -d", "[<    0.000123>] ", "dmesg -d"),
            ("journalctl -k", "Nov 23 12:00:00 board kernel: ", "short-monotonic"),
            (
                "journalctl -o short-iso",
                "2026-11-23T12:00:00+0000 board kernel: ",
                "short-monotonic",
            ),
            ("dmesg --time-format=iso", "2026-11-23T12:00:00,061002+00:00 ", "plain `dmesg`"),
            ("none", "", "printk.time=1"),
        ] {
            let lines = LOG.lines().map(|line| format!("{stamp}{}\n", &line[15..]));
            let log: String = lines.collect();
            let error = error(log_only(&log));
            assert!(
                error.starts_with("kernel log, line 6: ") && error.contains(mend),
                "{form}: {error}"
            );
            // With a timeline, all that is lost is the total by the log.
            let copied = both(&timeline(), &log).unwrap();
            assert_eq!((copied.run.smp_ns, copied.run.ok), (None, true), "{form}");
            assert!(copied.notes.iter().any(|note| note.contains("no time is taken")));
        }
    }

    #[test]
    fn what_is_wrong_with_a_log_is_told_apart() {
        let without = |mark: &str| -> String {
            LOG.lines()
                .filter(|line| !line.contains(mark))
                .map(|line| format!("{line}\n"))
                .collect()
        };
        let tail: String = LOG.lines().skip(7).map(|line| format!("{line}\n")).collect();
        for (what, log, line, word) in [
            ("empty", String::new(), 1, "empty"),
            (
                "a letter",
                "Dear all,\nhere it is\n".into(),
                1,
                "no kernel log; it begins with \"Dear",
            ),
            ("a timeline", timeline(), 1, "give it with --timeline"),
            ("wrapped", tail, 1, "its start is lost"),
            ("no bring-up", without("smp: "), 1, "without SMP"),
            ("cut off", LOG.split("[    0.0809").next().unwrap_or("").into(), 9, "cut off"),
            ("two boots", format!("{LOG}{LOG}"), 17, "several boots"),
            ("backwards", LOG.replace("0.080963", "0.000963"), 10, "before line 6"),
            ("twice", LOG.replace("CPU3", "CPU1"), 9, "CPU 1 has booted before"),
            ("too early", LOG.replace("0.070400", "0.060400"), 8, "outside the bring-up"),
            ("too late", LOG.replace("0.070400", "0.080964"), 8, "outside the bring-up"),
            ("a line lost", without("CPU3: "), 9, "counts 4 CPUs, and 2 beside the boot CPU"),
            ("another kernel", without(": Booted"), 7, "none says that it has booted"),
            ("no such CPU", LOG.replace("CPU3", "CPU99999999"), 9, "no CPU 99999999"),
            ("torn stamp", LOG.replace("[    0.061002]", "[    0.0610"), 6, "no time stamps"),
        ] {
            let error = error(log_only(&log));
            let start = format!("kernel log, line {line}: ");
            assert!(error.starts_with(&start) && error.contains(word), "{what}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_timeline_is_told_apart() {
        let good = timeline();
        let line = |number: usize| good.lines().nth(number - 1).unwrap_or_default();
        let up_to = |number: usize| -> String {
            good.lines().take(number).map(|line| format!("{line}\n")).collect()
        };
        for (what, text, at, word) in [
            ("empty", String::new(), 1, "files of debugfs have no size"),
            ("a log", LOG.into(), 1, "give it with --dmesg"),
            ("an error", "cat: timeline: No such file or directory\n".into(), 1, "found"),
            ("one line", up_to(1), 2, "the names of the columns"),
            ("no rows", up_to(2), 3, "a row for each possible CPU"),
            ("cut off", good[..good.len() - 20].into(), 6, "is cut off here"),
            (
                "cut off in the outcome",
                good[..good.len() - 3].into(),
                6,
                "cut off in the outcome of CPU 3",
            ),
            ("cut off between rows", up_to(5), 5, "the kernel log (line 10) counts 4"),
            (
                "a row lost",
                good.replace(&format!("{}\n", line(4)), ""),
                4,
                "the row of CPU 1 is missing",
            ),
            ("from a terminal", good.replace('\t', "   "), 3, "its tabs became spaces"),
            ("a figure", good.replacen("85", "8x", 1), 4, "found"),
        ] {
            let error = error(both(&text, LOG));
            let start = format!("timeline, line {at}: ");
            assert!(error.starts_with(&start) && error.contains(word), "{what}: {error}");
        }
        let mut bytes = good.clone().into_bytes();
        let at = good.find("0x1\t").unwrap();
        bytes[at] = 0xff;
        let error = read(Some(&bytes), None, Said::default()).expect_err("no text");
        assert_eq!(error.to_string(), "timeline, line 4: damaged: bytes that are not text");
        // Without the last line end, as an editor may leave it, nothing is lost.
        assert!(both(good.trim_end(), LOG).unwrap().run.ok);
    }

    #[test]
    fn cpus_that_failed_make_a_failed_run() {
        let three = LOG.replace("1 node, 4 CPUs", "1 node, 3 CPUs");
        let line = "[    0.075400] CPU3: Booted secondary processor 0x0000000101 [0x410fd083]\n";
        let failed = three.replace(line, "[    0.075400] CPU3: failed to come online\n");
        let run = log_only(&failed).unwrap().run;
        assert_eq!((run.ok, run.cpus), (false, 4));
        assert_eq!(run.failure.unwrap().detail, "CPU3: failed to come online");
        let timeline = samples::with_failure(4).to_string();
        let run = both(&timeline, &failed).unwrap().run;
        assert!(run.failure.unwrap().detail.contains("CPU 3 is never-arrived"));
        // It was asked for.
        let fault = failed.replace("quiet", "quiet cpuhp.fault=3:die-early");
        let run = both(&timeline, &fault).unwrap().run;
        assert_eq!((run.ok, run.faults), (true, vec!["3:die-early".to_owned()]));
        assert!(log_only(&fault).unwrap().run.ok);
        // With maxcpus=3 nothing failed. It is no run of four CPUs, though.
        let copied = log_only(&three.replace(line, "")).unwrap();
        assert_eq!((copied.run.ok, copied.run.cpus), (true, 3));
        assert!(copied.notes.iter().any(|note| note.starts_with("3 of 4 possible CPUs")));
    }

    #[test]
    fn files_of_two_boots_are_told() {
        let error1 = error(both(&samples::parallel(8).to_string(), LOG));
        assert!(error1.contains("line 10: counts 4 CPUs, and the timeline shows 8"), "{error1}");
        let at_once = ["0.064400", "0.070400", "0.075400", "0.080963"]
            .iter()
            .fold(LOG.to_owned(), |log, stamp| log.replace(stamp, "0.061100"));
        let error2 = error(both(&timeline(), &at_once));
        assert!(error2.contains("98000 ns by the log"), "{error2}");
        let error3 = error(both(&timeline(), &LOG.replace("parallel=1", "parallel=0")));
        assert!(error3.starts_with("timeline, line 1: parallel=1"), "{error3}");
    }

    #[test]
    fn a_timeline_that_contradicts_itself_is_a_failed_run() {
        let mut backwards = samples::parallel(4);
        backwards.cpus[2].alive = Some(1);
        let run = both(&backwards.to_string(), LOG).unwrap().run;
        assert!(run.failure.unwrap().detail.starts_with("CPU 2: alive (1 ns) is before entry"));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_copied(
            timeline in prop::option::of(any::<Vec<u8>>()), log in prop::option::of(any::<Vec<u8>>()),
        ) {
            let _ = read(timeline.as_deref(), log.as_deref(), Said::default());
        }

        #[test]
        fn any_damage_can_be_survived(
            at in any::<prop::sample::Index>(), with in "\\PC{0,3}|[0-9\\t\\n]{0,8}", cut in any::<prop::sample::Index>(),
            swap in any::<bool>(),
        ) {
            let text = timeline();
            for (good, is_log) in [(LOG, true), (text.as_str(), false)] {
                let mut bytes = good.as_bytes().to_vec();
                let position = at.index(bytes.len());
                bytes.splice(position..position + 1, with.bytes());
                bytes.truncate(cut.index(bytes.len() + 1).max(1));
                let (timeline, log) = match is_log != swap {
                    true => (text.as_bytes(), bytes.as_slice()),
                    false => (bytes.as_slice(), LOG.as_bytes()),
                };
                for result in [
                    read(Some(timeline), Some(log), Said::default()),
                    read(None, Some(log), Said::default()),
                ] {
                    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
                    if let Err(Unusable { line, .. }) = result {
                        prop_assert!(line >= 1 && line <= 1 + lines(timeline).max(lines(log)));
                    }
                }
            }
        }
    }
}
