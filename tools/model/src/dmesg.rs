// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The bring-up of the secondary CPUs as the kernel log tells it, in every kernel.
//!
//! Its resolution is that of the log's time stamps, a microsecond. Lines may carry a prefix of
//! `journalctl` or of the console before the stamp.

use thiserror::Error;

/// What the log says about the bring-up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BringUp {
    /// The line `smp: Bringing up secondary CPUs ...`.
    pub begin: Option<Logged<()>>,
    /// The line `smp: Brought up N nodes, M CPUs`, the first one after `begin`.
    pub end: Option<Logged<BroughtUp>>,
    /// The lines `CPUn: Booted secondary processor ...`, in the order of the log.
    pub booted: Vec<Logged<Booted>>,
}

/// A line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged<T> {
    /// The line, counted from 1.
    pub line: usize,
    /// Its time stamp, in nanoseconds since the log's zero; `None` if it has none.
    pub at_ns: Option<u64>,
    /// What it says.
    pub what: T,
}

/// The kernel's count at the end of the bring-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BroughtUp {
    /// NUMA nodes.
    pub nodes: u32,
    /// CPUs online, the boot CPU included.
    pub cpus: u32,
}

/// A secondary CPU that says that it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booted {
    /// Logical number.
    pub cpu: u32,
    /// Affinity fields of its MPIDR_EL1, where the line has them.
    pub mpidr: Option<u64>,
}

/// Why the log gives no time for the bring-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoTime {
    /// The kernel did not get to the bring-up, or it is not in this log.
    #[error("kernel log: no line \"{BEGIN}\"")]
    NotBegun,
    /// The kernel did not get through the bring-up.
    #[error("kernel log: no line \"{END}...\" after the \"{BEGIN}\" of line {begin}")]
    NotEnded {
        /// The line at which it began.
        begin: usize,
    },
    /// The log was taken without time stamps.
    #[error(
        "kernel log, line {line}: no time stamp; boot with printk.time=1 and take the log with it"
    )]
    NoStamp {
        /// The line without one.
        line: usize,
    },
    /// The end is before the beginning.
    #[error(
        "kernel log: the end of the bring-up (line {end}) is stamped before its beginning (line {begin})"
    )]
    Backwards {
        /// The line at which it began.
        begin: usize,
        /// The line at which it ended.
        end: usize,
    },
}

/// What the kernel says when the bring-up begins.
pub const BEGIN: &str = "smp: Bringing up secondary CPUs";
/// What it says when it is over, before the counts.
pub const END: &str = "smp: Brought up ";
const BOOTED: &str = ": Booted secondary processor";

impl BringUp {
    /// Finds the bring-up in a kernel log. A log without one gives an empty value.
    pub fn parse(log: &str) -> Self {
        let mut found = Self::default();
        for (text, line) in log.lines().zip(1..) {
            if found.begin.is_none()
                && let Some((prefix, _)) = text.split_once(BEGIN)
            {
                found.begin = Some(Logged { line, at_ns: stamp(prefix), what: () });
            } else if found.begin.is_some()
                && found.end.is_none()
                && let Some((prefix, rest)) = text.split_once(END)
                && let Some(what) = brought_up(rest)
            {
                found.end = Some(Logged { line, at_ns: stamp(prefix), what });
            } else if let Some((prefix, rest)) = text.split_once(BOOTED)
                && let Some((prefix, cpu)) = prefix.rsplit_once("CPU")
                && let Ok(cpu) = cpu.parse()
            {
                let what = Booted { cpu, mpidr: mpidr(rest) };
                found.booted.push(Logged { line, at_ns: stamp(prefix), what });
            }
        }
        found
    }

    /// The time from the first line of the bring-up to its last, in nanoseconds.
    ///
    /// # Errors
    ///
    /// A line is missing, has no time stamp, or the stamps run backwards.
    pub fn smp_ns(&self) -> Result<u64, NoTime> {
        let begin = self.begin.as_ref().ok_or(NoTime::NotBegun)?;
        let end = self.end.as_ref().ok_or(NoTime::NotEnded { begin: begin.line })?;
        let from = begin.at_ns.ok_or(NoTime::NoStamp { line: begin.line })?;
        let to = end.at_ns.ok_or(NoTime::NoStamp { line: end.line })?;
        to.checked_sub(from).ok_or(NoTime::Backwards { begin: begin.line, end: end.line })
    }

    /// How many CPUs the kernel counted at the end, the boot CPU included.
    pub fn cpus(&self) -> Option<u32> {
        self.end.map(|end| end.what.cpus)
    }
}

/// The version of the kernel that wrote this log, as `7.3.4`.
pub fn kernel_version(log: &str) -> Option<&str> {
    banner(log)?.split_whitespace().next()
}

/// What follows `Linux version ` in the kernel's first words.
fn banner(log: &str) -> Option<&str> {
    log.lines().find_map(|line| Some(line.split_once("Linux version ")?.1))
}

/// Which build of that version it is, as `#1 SMP PREEMPT Mon Nov 23 12:00:00 UTC 2026`.
pub fn kernel_build(log: &str) -> Option<&str> {
    let line = banner(log)?;
    line.rfind(" #").and_then(|at| line.get(at + 1..)).map(str::trim_end)
}

/// The time in the last `[seconds.fraction]` of `prefix`, in nanoseconds. What else stands in
/// brackets, as the caller's name of CONFIG_PRINTK_CALLER, has no such form.
pub fn stamp(prefix: &str) -> Option<u64> {
    prefix.rsplit('[').find_map(|part| {
        let (seconds, fraction) = part.split_once(']')?.0.trim().split_once('.')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
            return None;
        }
        let nanoseconds: u64 = format!("{fraction:0<9}").parse().ok()?;
        seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
    })
}

/// Reads `1 node, 16 CPUs`.
fn brought_up(text: &str) -> Option<BroughtUp> {
    let (nodes, cpus) = text.split_once(',')?;
    let number = |text: &str| text.split_whitespace().next()?.parse().ok();
    Some(BroughtUp { nodes: number(nodes)?, cpus: number(cpus)? })
}

/// Reads ` 0x0000000001 [0x000f0510]`.
fn mpidr(text: &str) -> Option<u64> {
    u64::from_str_radix(text.split_whitespace().next()?.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOG: &str = "\
[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x000f0510]
[    0.061002] smp: Bringing up secondary CPUs ...
[    0.064100] Detected PIPT I-cache on CPU1
[    0.064400] CPU1: Booted secondary processor 0x0000000001 [0x000f0510]
[    0.070400][    T1] CPU2: Booted secondary processor 0x0000000100 [0x000f0510]
[    0.080963] smp: Brought up 2 nodes, 3 CPUs
[    9.000000] CPU2: Booted secondary processor 0x0000000100 [0x000f0510]
";

    #[test]
    fn reads_a_log() {
        let log = BringUp::parse(LOG);
        assert_eq!(log.smp_ns(), Ok(19_961_000));
        assert_eq!(log.cpus(), Some(3));
        assert_eq!(log.end.unwrap().what.nodes, 2);
        assert_eq!(log.booted.len(), 3);
        let expected = Logged {
            line: 5,
            at_ns: Some(70_400_000),
            what: Booted { cpu: 2, mpidr: Some(0x100) },
        };
        assert_eq!(log.booted[1], expected);
    }

    #[test]
    fn the_kernel_names_itself() {
        let log = "x\n[    0.000000] Linux version 7.3.4 (a@b) (clang 19) #1 SMP\n";
        assert_eq!(kernel_version(log), Some("7.3.4"));
        assert_eq!(kernel_version("Linux version "), None);
    }

    #[test]
    fn takes_stamps_as_they_come() {
        for (prefix, expected) in [
            ("[    0.061002] ", Some(61_002_000)),
            ("<6>[   12.000001][    T1] ", Some(12_000_001_000)),
            ("Nov 23 12:00:00 host kernel: [12345.678901] ", Some(12_345_678_901_000)),
            ("[1.5] ", Some(1_500_000_000)),
            ("[    T1] ", None),
            ("2026-11-23T12:00:00,5+00:00 ", None),
            ("[99999999999999999999.1] ", None),
            ("[1.0000000001] ", None),
            ("[-1.5] ", None),
            ("", None),
        ] {
            assert_eq!(stamp(prefix), expected, "{prefix}");
        }
    }

    #[test]
    fn says_why_there_is_no_time() {
        let error = |log: &str| BringUp::parse(log).smp_ns().expect_err("no time").to_string();
        assert_eq!(error("nothing\n"), "kernel log: no line \"smp: Bringing up secondary CPUs\"");
        assert_eq!(
            error("x\n[    0.1] smp: Bringing up secondary CPUs ...\n"),
            "kernel log: no line \"smp: Brought up ...\" after the \"smp: Bringing up secondary CPUs\" of line 2"
        );
        let unstamped = "smp: Bringing up secondary CPUs ...\nsmp: Brought up 1 node, 4 CPUs\n";
        assert_eq!(
            error(unstamped),
            "kernel log, line 1: no time stamp; boot with printk.time=1 and take the log with it"
        );
        assert_eq!(BringUp::parse(unstamped).cpus(), Some(4));
        assert_eq!(
            error(&format!("[    0.1] {unstamped}")),
            "kernel log, line 2: no time stamp; boot with printk.time=1 and take the log with it"
        );
        assert_eq!(
            error(
                "[    0.2] smp: Bringing up secondary CPUs ...\n[    0.1] smp: Brought up 1 node, 1 CPU\n"
            ),
            "kernel log: the end of the bring-up (line 2) is stamped before its beginning (line 1)"
        );
    }

    #[test]
    fn a_torn_end_is_no_end() {
        let log = "[    0.1] smp: Bringing up secondary CPUs ...\n[    0.2] smp: Brought up 1 no\n";
        assert_eq!(BringUp::parse(log).smp_ns(), Err(NoTime::NotEnded { begin: 1 }));
        assert_eq!(BringUp::parse("CPUx: Booted secondary processor\n").booted, []);
        let bare = BringUp::parse("CPU7: Booted secondary processor\n");
        assert_eq!(bare.booted[0].what, Booted { cpu: 7, mpidr: None });
    }

    proptest! {
        #[test]
        fn measures_to_the_microsecond(from in 0u64..10_000_000_000, took in 0u64..10_000_000_000) {
            let line = |us: u64| format!("[{:5}.{:06}]", us / 1_000_000, us % 1_000_000);
            let log = format!(
                "{} smp: Bringing up secondary CPUs ...\n{} smp: Brought up 1 node, 2 CPUs\n",
                line(from), line(from + took),
            );
            prop_assert_eq!(BringUp::parse(&log).smp_ns(), Ok(took * 1000));
        }

        #[test]
        fn any_text_can_be_read(text in any::<String>(), inside in "[\\[\\]0-9. ]{0,30}") {
            let _ = BringUp::parse(&text).smp_ns();
            let log = format!("{inside}smp: Bringing up secondary CPUs\n{inside}smp: Brought up {inside}\n");
            let _ = BringUp::parse(&log).smp_ns();
        }
    }
}
