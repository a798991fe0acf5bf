// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What can go wrong with a CPU's start, as `--fault cpu=N,kind=KIND[,arg=V]` says it.

use std::fmt;
use std::str::FromStr;

use crate::profile::{EnableMethod, MOST_MS, Profile};

/// One CPU's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The CPU's logical number.
    pub cpu: u32,
    /// What is wrong with it.
    pub kind: Kind,
}

/// What is wrong with a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Firmware accepts its start, and it never arrives.
    Never,
    /// It arrives so many milliseconds after its start, whatever the profile says.
    Late(u32),
    /// It gets zero as its context ID.
    CtxZero,
    /// It gets rubbish as its context ID.
    CtxGarbage,
    /// It gets the context ID of that CPU.
    CtxSwap(u32),
    /// `CPU_ON` answers this PSCI error and does nothing.
    OnError(i32),
    /// `CPU_ON` holds its caller so many milliseconds longer than the profile says.
    OnBlock(u32),
    /// Injected in the kernel: it lacks 52-bit virtual addresses.
    No52BitVa,
    /// Injected in the kernel: it lacks the page size.
    NoGranule,
    /// Injected in the kernel: it dies before it reports alive.
    DieEarly,
    /// Injected in the kernel: it finds that the kernel cannot run on with it.
    Panic,
}

/// The names of the kinds, and whether they take an argument.
pub const KINDS: [(&str, Option<&str>); 11] = [
    ("never", None),
    ("late", Some("milliseconds")),
    ("ctx-zero", None),
    ("ctx-garbage", None),
    ("ctx-swap", Some("a CPU")),
    ("on-error", Some("a PSCI error")),
    ("on-block", Some("milliseconds")),
    ("no-52bit-va", None),
    ("no-granule", None),
    ("die-early", None),
    ("panic", None),
];

/// Which part of a CPU's start a kind changes: two that change the same one cannot be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Whether and when it gets to the kernel.
    Arrival,
    /// What it finds in its first register.
    ContextId,
    /// How long the call takes.
    Call,
    /// What becomes of it in the kernel.
    Kernel,
}

/// What PSCI answers for a CPU that is on.
pub const ALREADY_ON: i32 = -4;

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Late(_) => "late",
            Self::CtxZero => "ctx-zero",
            Self::CtxGarbage => "ctx-garbage",
            Self::CtxSwap(_) => "ctx-swap",
            Self::OnError(_) => "on-error",
            Self::OnBlock(_) => "on-block",
            Self::No52BitVa => "no-52bit-va",
            Self::NoGranule => "no-granule",
            Self::DieEarly => "die-early",
            Self::Panic => "panic",
        }
    }

    /// Whether the kernel injects it into itself.
    pub fn is_injected_by_kernel(self) -> bool {
        self.part() == Part::Kernel
    }

    /// Whether the kernel waits long for a CPU that has it: for one that comes late or never, or of
    /// which it is told that it is on already.
    pub fn is_waited_for(self) -> bool {
        match self {
            Self::Late(ms) => ms > 100,
            Self::OnError(error) => error == ALREADY_ON,
            kind => kind == Self::Never,
        }
    }

    fn argument(self) -> Option<i64> {
        match self {
            Self::Late(value) | Self::CtxSwap(value) | Self::OnBlock(value) => Some(value.into()),
            Self::OnError(value) => Some(value.into()),
            _ => None,
        }
    }

    fn part(self) -> Part {
        match self {
            Self::Never | Self::Late(_) | Self::OnError(_) => Part::Arrival,
            Self::CtxZero | Self::CtxGarbage | Self::CtxSwap(_) => Part::ContextId,
            Self::OnBlock(_) => Part::Call,
            Self::No52BitVa | Self::NoGranule | Self::DieEarly | Self::Panic => Part::Kernel,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpu={},kind={}", self.cpu, self.kind.name())?;
        match self.kind.argument() {
            Some(value) => write!(f, ",arg={value}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [mut cpu, mut kind, mut argument] = [None; 3];
        for word in text.split(',') {
            let (key, value) = word.split_once('=').ok_or_else(|| {
                format!("`{word}` is not KEY=VALUE; write cpu=N,kind=KIND[,arg=V]")
            })?;
            let slot = match key {
                "cpu" => &mut cpu,
                "kind" => &mut kind,
                "arg" => &mut argument,
                _ => return Err(format!("`{key}` is none of cpu, kind, arg")),
            };
            if slot.replace(value).is_some() {
                return Err(format!("{key} is given twice"));
            }
        }
        let cpu = cpu.ok_or("cpu= is missing")?;
        let cpu = cpu.parse().map_err(|_| format!("`{cpu}` is not the number of a CPU"))?;
        let kind = kind_of(kind.ok_or("kind= is missing")?, argument)?;
        Ok(Self { cpu, kind })
    }
}

fn kind_of(name: &str, argument: Option<&str>) -> Result<Kind, String> {
    let Some((_, what)) = KINDS.iter().find(|(known, _)| *known == name) else {
        let names = KINDS.map(|(name, _)| name).join(", ");
        return Err(format!("`{name}` is no kind of fault; there are {names}"));
    };
    let value = match (what, argument) {
        (None, Some(_)) => return Err(format!("{name} takes no arg=")),
        (Some(what), None) => return Err(format!("{name} needs arg=, {what}")),
        (_, value) => value.unwrap_or_default(),
    };
    let number = || {
        value
            .parse::<u32>()
            .map_err(|_| format!("`{value}` for {name} is not a number from 0 to {}", u32::MAX))
    };
    let milliseconds = || match number()? {
        value if value <= MOST_MS => Ok(value),
        value => Err(format!("{value} ms for {name} is more than {MOST_MS}")),
    };
    Ok(match name {
        "never" => Kind::Never,
        "late" => Kind::Late(milliseconds()?),
        "ctx-zero" => Kind::CtxZero,
        "ctx-garbage" => Kind::CtxGarbage,
        "ctx-swap" => Kind::CtxSwap(number()?),
        "on-error" => match value.parse() {
            Ok(error @ -9..=-1) => Kind::OnError(error),
            _ => {
                return Err(format!("`{value}` for on-error is not a PSCI error (-1 to -9)"));
            }
        },
        "on-block" => Kind::OnBlock(milliseconds()?),
        "no-52bit-va" => Kind::No52BitVa,
        "no-granule" => Kind::NoGranule,
        "die-early" => Kind::DieEarly,
        _ => Kind::Panic,
    })
}

/// Refuses what cannot be on a machine of so many CPUs with this firmware.
///
/// # Errors
///
/// A CPU that is not there or boots the kernel, or faults that contradict each other.
pub fn check(faults: &[Fault], cpus: u32, profile: &Profile) -> Result<(), String> {
    for (index, fault) in faults.iter().enumerate() {
        let wrong = |why: String| Err(format!("--fault {fault}: {why}"));
        if fault.cpu == 0 {
            return wrong("CPU 0 boots the kernel; no other CPU starts it".into());
        }
        if fault.cpu >= cpus {
            return wrong(format!("there is no CPU {} among {cpus}", fault.cpu));
        }
        if let Kind::CtxSwap(other) = fault.kind {
            if other == fault.cpu {
                return wrong("that is its own context ID".into());
            }
            if other >= cpus || other == 0 {
                return wrong(format!("CPU {other} is not started, so it has no context ID"));
            }
        }
        if profile.enable_method == EnableMethod::SpinTable {
            let name = fault.kind.name();
            match fault.kind {
                Kind::OnError(_) | Kind::OnBlock(_) => {
                    return wrong(format!("{name} is about a call, and a spin-table has none"));
                }
                Kind::CtxZero | Kind::CtxGarbage | Kind::CtxSwap(_) => {
                    return wrong(format!("{name}: a spin-table passes no context ID"));
                }
                _ => {}
            }
        }
        for other in &faults[..index] {
            if other.cpu == fault.cpu
                && let Some(why) = contradiction(other.kind, fault.kind)
            {
                return wrong(format!("contradicts {}: {why}", other.kind.name()));
            }
        }
    }
    Ok(())
}

/// Why one CPU cannot have both.
fn contradiction(one: Kind, other: Kind) -> Option<&'static str> {
    if one.part() == other.part() {
        return Some("both are about the same part of its start");
    }
    let stays_away = |kind| matches!(kind, Kind::Never | Kind::OnError(_));
    let needs_arrival = |kind: Kind| matches!(kind.part(), Part::ContextId | Part::Kernel);
    if (stays_away(one) && needs_arrival(other)) || (stays_away(other) && needs_arrival(one)) {
        return Some("a CPU that does not get to the kernel cannot do anything there");
    }
    None
}

/// What a CPU's faults are.
pub fn of(faults: &[Fault], cpu: u32) -> impl Iterator<Item = Kind> {
    faults.iter().filter(move |fault| fault.cpu == cpu).map(|fault| fault.kind)
}

/// The firmware's faults, without those that the kernel injects itself.
pub fn of_firmware(faults: &[Fault]) -> Vec<Fault> {
    faults.iter().copied().filter(|fault| !fault.kind.is_injected_by_kernel()).collect()
}

/// The kernel parameter that injects those faults that the kernel injects itself.
pub fn kernel_parameter(faults: &[Fault]) -> Option<String> {
    let injected: Vec<String> = faults
        .iter()
        .filter(|fault| fault.kind.is_injected_by_kernel())
        .map(|fault| format!("{}:{}", fault.cpu, fault.kind.name()))
        .collect();
    (!injected.is_empty()).then(|| format!("cpuhp.fault={}", injected.join(",")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults(texts: &[&str]) -> Vec<Fault> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn every_kind_reads_as_it_is_shown() {
        for (name, what) in KINDS {
            let argument = match (name, what) {
                ("on-error", _) => ",arg=-2",
                (_, Some(_)) => ",arg=7",
                (_, None) => "",
            };
            let text = format!("cpu=3,kind={name}{argument}");
            let fault: Fault = text.parse().unwrap();
            assert_eq!((fault.to_string(), fault.kind.name()), (text, name));
        }
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        let texts = [
            "",
            "cpu=1",
            "kind=never",
            "cpu=x,kind=never",
            "cpu=1,kind=slow",
            "cpu=1,kind=late",
            "cpu=1,kind=never,arg=1",
            "cpu=1,kind=late,arg=-1",
            "cpu=1,kind=late,arg=600001",
            "cpu=1,kind=on-error,arg=0",
            "cpu=1,kind=on-error,arg=-10",
            "cpu=1,cpu=2",
            "cpu=1,x=2",
        ]
        .map(|text| text.parse::<Fault>().unwrap_err());
        insta::assert_snapshot!(texts.join("\n"), @r"
        `` is not KEY=VALUE; write cpu=N,kind=KIND[,arg=V]
        kind= is missing
        cpu= is missing
        `x` is not the number of a CPU
        `slow` is no kind of fault; there are never, late, ctx-zero, ctx-garbage, ctx-swap, on-error, on-block, no-52bit-va, no-granule, die-early, panic
        late needs arg=, milliseconds
        never takes no arg=
        `-1` for late is not a number from 0 to 4294967295
        600001 ms for late is more than 600000
        `0` for on-error is not a PSCI error (-1 to -9)
        `-10` for on-error is not a PSCI error (-1 to -9)
        cpu is given twice
        `x` is none of cpu, kind, arg
        ");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let none = Profile::none();
        let table = Profile { enable_method: EnableMethod::SpinTable, ..Profile::none() };
        let error = |texts: &[&str], profile| check(&faults(texts), 4, profile).unwrap_err();
        let texts = [
            error(&["cpu=0,kind=never"], &none),
            error(&["cpu=4,kind=never"], &none),
            error(&["cpu=1,kind=never", "cpu=1,kind=never"], &none),
            error(&["cpu=1,kind=never", "cpu=1,kind=late,arg=5"], &none),
            error(&["cpu=1,kind=ctx-zero", "cpu=1,kind=never"], &none),
            error(&["cpu=1,kind=on-error,arg=-2", "cpu=1,kind=panic"], &none),
            error(&["cpu=1,kind=ctx-swap,arg=1"], &none),
            error(&["cpu=1,kind=ctx-swap,arg=0"], &none),
            error(&["cpu=1,kind=on-block,arg=5"], &table),
            error(&["cpu=1,kind=ctx-zero"], &table),
        ];
        insta::assert_snapshot!(texts.join("\n"), @r"
        --fault cpu=0,kind=never: CPU 0 boots the kernel; no other CPU starts it
        --fault cpu=4,kind=never: there is no CPU 4 among 4
        --fault cpu=1,kind=never: contradicts never: both are about the same part of its start
        --fault cpu=1,kind=late,arg=5: contradicts never: both are about the same part of its start
        --fault cpu=1,kind=never: contradicts ctx-zero: a CPU that does not get to the kernel cannot do anything there
        --fault cpu=1,kind=panic: contradicts on-error: a CPU that does not get to the kernel cannot do anything there
        --fault cpu=1,kind=ctx-swap,arg=1: that is its own context ID
        --fault cpu=1,kind=ctx-swap,arg=0: CPU 0 is not started, so it has no context ID
        --fault cpu=1,kind=on-block,arg=5: on-block is about a call, and a spin-table has none
        --fault cpu=1,kind=ctx-zero: ctx-zero: a spin-table passes no context ID
        ");
        let all = faults(&[
            "cpu=1,kind=late,arg=5",
            "cpu=1,kind=ctx-zero",
            "cpu=1,kind=on-block,arg=1",
            "cpu=1,kind=die-early",
            "cpu=2,kind=never",
            "cpu=2,kind=on-block,arg=1",
            "cpu=3,kind=never",
        ]);
        check(&all, 4, &none).unwrap();
    }

    #[test]
    fn the_kernel_is_told_of_its_own() {
        let all = faults(&["cpu=1,kind=never", "cpu=2,kind=panic", "cpu=5,kind=no-granule"]);
        assert_eq!(kernel_parameter(&all).as_deref(), Some("cpuhp.fault=2:panic,5:no-granule"));
        assert_eq!(kernel_parameter(&all[..1]), None);
        assert_eq!(of_firmware(&all), all[..1]);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "(cpu=|kind=|arg=|late|,|-|[0-9]|.){0,12}") {
            if let Ok(fault) = text.parse::<Fault>() {
                prop_assert_eq!(fault.to_string().parse(), Ok(fault));
            }
        }
    }
}
