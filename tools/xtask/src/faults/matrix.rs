// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Which boots `cargo xtask faults` makes. Pure. What each must come to is not said here: that
//! follows from its faults.

use bringup_model::fault::{ALREADY_ON, Fault, Kind};

use crate::stages::Kernel;

/// A kernel and the way in which it starts CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arm {
    /// Its name.
    pub name: &'static str,
    /// The kernel.
    pub kernel: Kernel,
    /// `cpuhp.parallel=`, which base does not know.
    pub parallel: Option<bool>,
}

/// All arms.
pub fn arms() -> [Arm; 3] {
    [
        Arm { name: "base", kernel: Kernel::Base, parallel: None },
        Arm { name: "p0", kernel: Kernel::Patched, parallel: Some(false) },
        Arm { name: "p1", kernel: Kernel::Patched, parallel: Some(true) },
    ]
}

/// Something that is done once the machine is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// This CPU, which was given up at boot, is brought up through sysfs.
    Online(u32),
    /// This CPU, which is up, goes off and comes back.
    OffAndOn(u32),
    /// Another kernel is started by kexec, if this one allows that. Nothing can follow.
    Kexec,
}

/// A boot, whatever the arm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// The number of CPUs.
    pub cpus: u32,
    /// The firmware profile.
    pub firmware: &'static str,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What follows, in this order.
    pub after: Vec<After>,
}

impl Case {
    fn new(name: impl Into<String>, faults: Vec<Fault>) -> Self {
        let name = name.into();
        Self { name, cpus: CPUS, firmware: "none", faults, after: Vec::new() }
    }

    fn after(self, after: &[After]) -> Self {
        Self { after: after.to_vec(), ..self }
    }

    /// Whether instructions can be counted. A kernel that waits for a lost CPU executes so many of
    /// them that the host would need hours for ten seconds.
    pub fn can_count(&self) -> bool {
        let can = |kind: Kind| !kind.is_waited_for() && !kind.is_injected_by_kernel();
        self.faults.iter().all(|fault| can(fault.kind))
    }

    /// Whether the kernel has to inject one of the faults.
    pub fn needs_injection(&self) -> bool {
        self.faults.iter().any(|fault| fault.kind.is_injected_by_kernel())
    }

    /// Whether another kernel is to be started.
    pub fn needs_kexec(&self) -> bool {
        self.after.contains(&After::Kexec)
    }

    /// The CPUs that are brought up after they were given up.
    pub fn brought_up(&self) -> Vec<u32> {
        let cpu = |after: &After| match after {
            After::Online(cpu) => Some(*cpu),
            After::OffAndOn(_) | After::Kexec => None,
        };
        self.after.iter().filter_map(cpu).collect()
    }
}

const CPUS: u32 = 8;

/// Every boot of the matrix.
pub fn cases() -> Vec<Case> {
    let fault = |cpu: u32, kind| Fault { cpu, kind };
    let mut cases = Vec::new();
    for firmware in ["none", "fast", "hip12", "board32", "blocking", "jitter", "spin-table"] {
        let case = Case::new(format!("firmware {firmware}"), Vec::new());
        cases.push(Case { firmware, ..case });
    }
    let kinds = [
        Kind::Never,
        Kind::Late(100),
        Kind::Late(3000),
        Kind::Late(45_000),
        Kind::CtxZero,
        Kind::CtxGarbage,
        Kind::CtxSwap(6),
        Kind::OnError(-2),
        Kind::OnError(-3),
        Kind::OnError(ALREADY_ON),
        Kind::OnBlock(50),
        Kind::No52BitVa,
        Kind::NoGranule,
        Kind::DieEarly,
        Kind::Panic,
    ];
    for kind in kinds {
        let name = title(kind);
        cases.push(Case::new(format!("{name} on one CPU"), vec![fault(2, kind)]));
        cases.push(Case::new(format!("{name} on two CPUs"), vec![fault(2, kind), fault(5, kind)]));
    }
    cases.push(Case::new(
        "never, ctx-zero and on-error at once",
        vec![fault(2, Kind::Never), fault(4, Kind::CtxZero), fault(6, Kind::OnError(-2))],
    ));
    cases.push(Case::new(
        "late, ctx-garbage and on-block at once",
        vec![fault(1, Kind::Late(100)), fault(3, Kind::CtxGarbage), fault(5, Kind::OnBlock(50))],
    ));
    cases.push(Case::new(
        "late, ctx-zero and on-block on the same CPU",
        vec![fault(3, Kind::Late(100)), fault(3, Kind::CtxZero), fault(3, Kind::OnBlock(50))],
    ));
    cases.push(Case::new(
        "no-granule, die-early and never at once",
        vec![fault(2, Kind::NoGranule), fault(4, Kind::DieEarly), fault(6, Kind::Never)],
    ));
    for (cpu, which) in [(1, "first"), (CPUS - 1, "last")] {
        for kind in [Kind::Never, Kind::CtxGarbage, Kind::OnError(-2)] {
            let name = format!("{} on the {which} CPU", title(kind));
            cases.push(Case::new(name, vec![fault(cpu, kind)]));
        }
    }
    let all = |kind| (1..CPUS).map(|cpu| fault(cpu, kind)).collect();
    cases.push(Case::new("every secondary CPU dead", all(Kind::Never)));
    cases.push(Case::new("every secondary CPU refused", all(Kind::OnError(-2))));
    cases.push(
        Case::new("late, then brought up through sysfs", vec![fault(3, Kind::Late(45_000))])
            .after(&[After::Online(3)]),
    );
    cases.push(
        Case::new(
            "two late, one brought up",
            vec![fault(3, Kind::Late(45_000)), fault(4, Kind::Late(45_000))],
        )
        .after(&[After::Online(4)]),
    );
    cases.push(
        Case::new("hotplug beside a dead CPU", vec![fault(3, Kind::Never)])
            .after(&[After::OffAndOn(2)]),
    );
    cases.push(
        Case::new("hotplug of a late CPU", vec![fault(3, Kind::Late(100))])
            .after(&[After::OffAndOn(3)]),
    );
    cases.push(
        Case::new("hotplug of a CPU with a wrong context ID", vec![fault(3, Kind::CtxZero)])
            .after(&[After::OffAndOn(3)]),
    );
    cases.extend(kexecs());
    cases
}

/// Another kernel after faults: started where no CPU can be left in this one, refused elsewhere.
fn kexecs() -> Vec<Case> {
    let fault = |cpu: u32, kind| Fault { cpu, kind };
    let kexec = |what: &str, faults| {
        Case::new(format!("kexec after {what}"), faults).after(&[After::Kexec])
    };
    let mut cases = vec![
        Case { firmware: "hip12", ..kexec("a start with firmware hip12", Vec::new()) },
        Case { firmware: "spin-table", ..kexec("a start by spin-table", Vec::new()) },
    ];
    for kind in [
        Kind::DieEarly,
        Kind::OnError(-2),
        Kind::CtxZero,
        Kind::CtxGarbage,
        Kind::Never,
        Kind::Late(45_000),
        Kind::No52BitVa,
        Kind::NoGranule,
    ] {
        cases.push(kexec(&title(kind), vec![fault(2, kind)]));
    }
    cases.push(kexec(
        "die-early, on-error and ctx-swap at once",
        vec![fault(2, Kind::DieEarly), fault(5, Kind::OnError(-3)), fault(7, Kind::CtxSwap(6))],
    ));
    cases.push(kexec(
        "late, on-block and ctx-zero at once",
        vec![fault(1, Kind::Late(20)), fault(3, Kind::OnBlock(50)), fault(7, Kind::CtxZero)],
    ));
    cases.push(kexec(
        "die-early and never at once",
        vec![fault(2, Kind::DieEarly), fault(6, Kind::Never)],
    ));
    cases.push(
        kexec("a CPU that was late and brought up", vec![fault(3, Kind::Late(45_000))])
            .after(&[After::Online(3), After::Kexec]),
    );
    cases.push(
        kexec("hotplug of a CPU with a wrong context ID", vec![fault(3, Kind::CtxZero)])
            .after(&[After::OffAndOn(3), After::Kexec]),
    );
    cases
}

fn title(kind: Kind) -> String {
    let text = Fault { cpu: 0, kind }.to_string();
    text.trim_start_matches("cpu=0,kind=").replace(",arg=", " ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bringup_model::fault::{KINDS, check};
    use bringup_model::profile::Profile;

    use super::*;

    #[test]
    fn every_kind_is_there_and_no_case_twice() {
        let cases = cases();
        let kinds: BTreeSet<&str> = cases
            .iter()
            .flat_map(|case| case.faults.iter().map(|fault| fault.kind.name()))
            .collect();
        assert_eq!(kinds, KINDS.iter().map(|(name, _)| *name).collect());
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        for case in &cases {
            check(&case.faults, case.cpus, &Profile::none()).unwrap();
        }
    }

    #[test]
    fn every_profile_of_ours_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware-profiles");
        let cases = cases();
        for file in camino::Utf8Path::new(folder).read_dir_utf8().unwrap() {
            let file = file.unwrap();
            let name = file.path().file_stem().unwrap();
            assert!(cases.iter().any(|case| case.firmware == name), "{name}");
        }
    }

    #[test]
    fn kexec_comes_last_and_is_decided() {
        use bringup_model::expect::{Kernel, Kexec, Situation};
        let mut found = BTreeSet::new();
        for case in cases().iter().filter(|case| case.needs_kexec()) {
            assert_eq!(case.after.last(), Some(&After::Kexec), "{}", case.name);
            assert_eq!(case.after.iter().filter(|&after| *after == After::Kexec).count(), 1);
            for kernel in [Kernel::Base, Kernel::Patched] {
                let profile = if case.firmware == "spin-table" {
                    let text = "description = \"\"\nenable_method = \"spin-table\"\n";
                    Profile::parse("x", text).unwrap()
                } else {
                    Profile::none()
                };
                let Case { cpus, faults, .. } = case;
                let situation =
                    Situation { cpus: *cpus, kernel, profile: &profile, faults, parallel: true };
                let expected = situation.kexec(&case.brought_up());
                assert_ne!(expected, Kexec::Undecided, "{}", case.name);
                found.insert(expected == Kexec::Refused);
            }
        }
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn no_lost_cpu_is_waited_for_while_instructions_are_counted() {
        let can = |name: &str| cases().iter().find(|case| case.name == name).unwrap().can_count();
        assert!(
            can("firmware hip12") && can("ctx-zero on one CPU") && can("on-error -2 on two CPUs")
        );
        assert!(
            !can("never on one CPU") && !can("late 3000 on one CPU") && !can("panic on one CPU")
        );
    }
}
