// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Made-up timelines and runs for the tests; the figures are of the order of a real boot's.

use std::collections::BTreeMap;

use crate::bench::{Machine, Plan, PlannedArm};
use crate::results::{Base, Clock, Manifest, Run, Series, Setup};
use crate::timeline::{Cpu, Outcome, Timeline};

/// Compares `text` with the snapshot of that name, beside the sources.
pub fn assert_snapshot(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

/// When the first CPU is kicked: the clock does not start with the bring-up.
const FIRST_KICK: u64 = 85_000_000;

/// A figure that differs from CPU to CPU and is the same each time, from 0 to `range`.
fn jitter(cpu: u32, salt: u64, range: u64) -> u64 {
    let mixed = (u64::from(cpu) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt << 32);
    (mixed >> 40) % (range + 1)
}

fn boot_cpu() -> Cpu {
    Cpu {
        cpu: 0,
        mpidr: 0,
        node: Some(0),
        kick: None,
        kicked: None,
        entry: None,
        alive: None,
        release: None,
        starting: None,
        online: None,
        active: None,
        outcome: Outcome::Boot,
        extra: BTreeMap::new(),
    }
}

/// CPU `cpu`, kicked at `kick` and let go at `release` at the earliest, on hardware whose firmware
/// takes 120 us.
fn secondary(cpu: u32, kick: u64, release: u64) -> Cpu {
    let entry = kick + 120_000 + jitter(cpu, 1, 30_000);
    let alive = entry + 35_000 + jitter(cpu, 2, 8_000);
    let release = release.max(alive + 900);
    let starting = release + 61_000 + jitter(cpu, 3, 14_000);
    let online = starting + 4_200;
    Cpu {
        cpu,
        mpidr: u64::from(cpu / 16) << 8 | u64::from(cpu % 16),
        kick: Some(kick),
        kicked: Some(kick + 21_000 + jitter(cpu, 4, 4_000)),
        entry: Some(entry),
        alive: Some(alive),
        release: Some(release),
        starting: Some(starting),
        online: Some(online),
        active: Some(online + 44_000 + jitter(cpu, 5, 9_000)),
        outcome: Outcome::Online,
        ..boot_cpu()
    }
}

fn timeline(parallel: bool, cpus: Vec<Cpu>) -> Timeline {
    let window = if parallel { "auto" } else { "1" };
    Timeline { parallel, window: window.into(), extra: BTreeMap::new(), cpus }
}

/// One CPU after the other.
pub fn serial(count: u32) -> Timeline {
    let mut cpus = vec![boot_cpu()];
    let mut kick = FIRST_KICK;
    for number in 1..count {
        let cpu = secondary(number, kick, 0);
        kick = cpu.active.unwrap_or(kick) + 3_000;
        cpus.push(cpu);
    }
    timeline(false, cpus)
}

/// Everybody kicked at once, let go one after the other.
pub fn parallel(count: u32) -> Timeline {
    let mut cpus = vec![boot_cpu()];
    let (mut kick, mut release) = (FIRST_KICK, 0);
    for number in 1..count {
        let cpu = secondary(number, kick, release);
        kick = cpu.kicked.unwrap_or(kick) + 1_000;
        release = cpu.active.unwrap_or(release) + 2_000;
        cpus.push(cpu);
    }
    timeline(true, cpus)
}

/// As [`parallel`], but CPU 3 never arrives, CPU 5 dies on its way and the last is not asked for.
pub fn with_failure(count: u32) -> Timeline {
    let mut timeline = parallel(count);
    for cpu in &mut timeline.cpus {
        match cpu.cpu {
            3 => {
                *cpu = Cpu {
                    kick: cpu.kick,
                    kicked: cpu.kicked,
                    cpu: 3,
                    mpidr: 3,
                    outcome: Outcome::NeverArrived,
                    ..boot_cpu()
                };
            }
            5 => {
                *cpu = Cpu {
                    alive: None,
                    release: None,
                    starting: None,
                    online: None,
                    active: None,
                    outcome: Outcome::Died("no 52-bit VA".into()),
                    ..cpu.clone()
                };
            }
            number if number + 1 == count => {
                *cpu = Cpu { cpu: number, outcome: Outcome::NotKicked, ..boot_cpu() };
            }
            _ => {}
        }
    }
    timeline
}

/// A run of `arm` with that timeline.
pub fn run(arm: &str, timeline: &Timeline) -> Run {
    let cpus = u32::try_from(timeline.cpus.len()).unwrap_or(u32::MAX);
    let setup = Setup {
        arm: arm.into(),
        cpus,
        parallel: None,
        window: None,
        accel: "tcg".into(),
        clock: Clock::Icount,
        firmware: None,
    };
    let mut run = Run::new(setup).with_timeline(timeline);
    run.smp_ns = run.bringup_ns.map(|total| total / 1000 * 1000 + 57_000);
    run.console_bytes = 21_934;
    run
}

/// What made-up runs were made with.
pub fn manifest() -> Manifest {
    Manifest {
        base: Base { version: "7.3.4".into(), sha256: Some("ab".into()) },
        series: Some(Series {
            name: "v7.3".into(),
            sha256: "cd".into(),
            patches: vec!["0001-record.patch".into()],
        }),
        config_sha256: Some("ef".into()),
        toolchain: BTreeMap::from([("clang".into(), "19.1.7".into())]),
        qemu: Some("7.2.22".into()),
        accel: "tcg".into(),
        host: "Linux 6.1 x86_64, 2 CPUs".into(),
        command: "cargo xtask demo".into(),
        started: "2026-11-23T12:00:00Z".into(),
        meta: BTreeMap::new(),
    }
}

/// A bench of `arms` with each of these numbers of CPUs.
pub fn plan(arms: &[&str], cpus: &[u32], runs: u32, warmups: u32) -> Plan {
    let arm = |name: &&str| PlannedArm {
        name: (*name).into(),
        kernel: "patched".into(),
        preset: Some("guest".into()),
        image_sha256: "ab".into(),
        module_sha256: None,
        parameters: String::new(),
    };
    Plan {
        arms: arms.iter().map(arm).collect(),
        machines: cpus.iter().map(|&cpus| Machine { cpus, topology: None }).collect(),
        runs,
        warmups,
        seed: 1,
        icount: true,
        kvm_lab: false,
        lab: None,
        accel: "tcg".into(),
        firmware: None,
    }
}
