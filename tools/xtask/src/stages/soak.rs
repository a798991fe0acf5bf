// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a soak boots: the boot of each number follows from the seed alone, so that any of them can
//! be made again and a run can be gone on with. Pure.

use std::fmt;

use bringup_model::profile::{EnableMethod, Latency, Profile};
use fastrand::Rng;
use guest_protocol::{Action, Module, Step};

use super::boot::BootRequest;
use super::boot::accel::AccelRequest;
use super::boot::guest::{DEBUGFS_DIR, MODULE_NAME, MODULE_PATH};
use super::boot::plan::{Jitter, Topology};

/// What is compared elsewhere, and mixed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Arm {
    /// The recording alone.
    Base,
    /// The series with `cpuhp.parallel=0`.
    P0,
    /// The series with `cpuhp.parallel=1`.
    P1,
}

impl Arm {
    /// What the kernel is told; `base` does not know the parameter.
    pub fn parallel(self) -> Option<bool> {
        match self {
            Self::Base => None,
            Self::P0 => Some(false),
            Self::P1 => Some(true),
        }
    }

    /// How often it is taken, compared with the others: what is new runs most.
    fn weight(self) -> u32 {
        match self {
            Self::Base => 1,
            Self::P0 => 2,
            Self::P1 => 5,
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::P0 => "p0",
            Self::P1 => "p1",
        })
    }
}

/// One boot of a soak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Which kernel and mode.
    pub arm: Arm,
    /// Number of CPUs.
    pub cpus: u32,
    /// How they are laid out.
    pub topology: Option<Topology>,
    /// `maxcpus=`, with which the other CPUs are left for later.
    pub maxcpus: Option<u32>,
    /// Whether CPUs that `maxcpus` left out are brought up at run time.
    pub late: bool,
    /// Time counts instructions.
    pub icount: bool,
    /// What the emulation does otherwise than usual.
    pub jitter: Jitter,
    /// CPUs to take off and on again, in this order, so often.
    pub storm: Option<(u32, Vec<u32>)>,
    /// Load, read and unload the module meanwhile.
    pub module: bool,
    /// Firmware that takes a time of its own for each CPU.
    pub delays: Option<Delays>,
}

/// Start delays that are drawn by lot for each CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// The longest, in milliseconds.
    pub most_ms: u32,
    /// What the lots follow from.
    pub seed: u64,
    /// How CPUs are started.
    pub enable_method: EnableMethod,
}

impl Delays {
    /// The firmware that has them.
    fn profile(self) -> Profile {
        let most_ms = self.most_ms;
        Profile {
            name: format!("delays-{most_ms}ms"),
            description: format!("a different latency for each CPU, up to {most_ms} ms"),
            latency: Latency { min_ns: 0, max_ns: u64::from(most_ms) * 1_000_000 },
            seed: self.seed,
            enable_method: self.enable_method,
            ..Profile::none()
        }
    }
}

/// The boot with the number `index` of the soak with `seed`, of one of `arms` and with at most
/// `max_cpus` CPUs.
pub fn plan(seed: u64, index: u64, arms: &[Arm], max_cpus: u32) -> Plan {
    // Neighbours must not be alike: the generator mixes what it is seeded with only as it goes on.
    let mut rng = Rng::with_seed(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for _ in 0..4 {
        rng.u64(..);
    }
    let arm = weighted(&mut rng, arms);
    let cpus = match rng.u32(0..20) {
        // Many, now and then: what is found by searching gets long.
        0 => rng.u32(17..=max_cpus.clamp(17, 64)),
        _ => rng.u32(1..=16),
    }
    .min(max_cpus.max(1));
    let icount = rng.u32(0..4) == 0;
    // Threads of the host really race; more than that many only get in each other's way.
    let threads = !icount && cpus <= 8 && rng.u32(0..3) > 0;
    let mut jitter =
        Jitter { seed: rng.u32(..), shift: rng.u8(0..=3), threads, nice: !icount && rng.bool() };
    let topology = (rng.u32(0..3) > 0).then(|| layout(&mut rng, cpus)).flatten();
    let maxcpus = (cpus > 1 && rng.u32(0..10) == 0).then(|| rng.u32(1..cpus));
    let late = rng.bool();
    let up = if late { cpus } else { maxcpus.unwrap_or(cpus) };
    let storm = (up > 1 && rng.u32(0..10) < 3).then(|| {
        let mut all: Vec<u32> = (1..up).collect();
        rng.shuffle(&mut all);
        // The more CPUs, the fewer rounds: a boot shall stay a matter of a second or two.
        all.truncate(rng.usize(1..=all.len().min(6)));
        (rng.u32(1..=3), all)
    });
    let module = rng.u32(0..3) == 0;
    let delays = (cpus > 1 && rng.u32(0..3) == 0).then(|| Delays {
        most_ms: [1, 10, 50][rng.usize(0..3)],
        seed: rng.u64(..),
        // A CPU that cannot go off, as at a spin-table, has no file to bring it up with either.
        enable_method: match storm.is_none() && !(maxcpus.is_some() && late) && rng.u32(0..4) == 0 {
            true => EnableMethod::SpinTable,
            false => EnableMethod::Psci,
        },
    });
    // One thread of lower priority races with nobody, and is only slow beside other work. And in
    // QEMU a CPU that waits at a spin-table does not sleep: a boot CPU of lower priority would get
    // nowhere beside some of them.
    let waits = delays.is_some_and(|delays| delays.enable_method == EnableMethod::SpinTable);
    jitter.nice &= threads && !waits;
    Plan { arm, cpus, topology, maxcpus, late, icount, jitter, storm, module, delays }
}

fn weighted(rng: &mut Rng, arms: &[Arm]) -> Arm {
    let total: u32 = arms.iter().map(|arm| arm.weight()).sum();
    let mut place = rng.u32(0..total.max(1));
    for &arm in arms {
        match place.checked_sub(arm.weight()) {
            None => return arm,
            Some(rest) => place = rest,
        }
    }
    Arm::P1
}

/// A layout that makes exactly so many CPUs: threads, then clusters, then sockets, as they divide.
fn layout(rng: &mut Rng, cpus: u32) -> Option<Topology> {
    let mut rest = cpus;
    let mut take = |most: u32, rng: &mut Rng| {
        let wanted: u32 = rng.u32(1..=most);
        let factor = (1..=wanted).rev().find(|&factor| rest.is_multiple_of(factor)).unwrap_or(1);
        rest /= factor;
        factor
    };
    let threads = take(2, rng);
    let clusters = take(3, rng);
    let sockets = take(4, rng);
    format!("sockets={sockets},clusters={clusters},cores={rest},threads={threads}").parse().ok()
}

impl Plan {
    /// The boot; the kernel is for whoever has it.
    pub fn request(&self) -> BootRequest {
        let mut request = BootRequest::new(self.arm.to_string(), "", self.cpus);
        request.topology = self.topology;
        request.parallel = self.arm.parallel();
        (request.icount, request.jitter) = (self.icount, Some(self.jitter));
        (request.accel, request.quiet) = (AccelRequest::Tcg, true);
        request.firmware = self.delays.map(Delays::profile);
        if let Some(maxcpus) = self.maxcpus {
            request.append = format!("maxcpus={maxcpus}");
        }
        let first = self.maxcpus.unwrap_or(self.cpus);
        request.steps.push(online(first));
        if self.late {
            request.steps.extend((first..self.cpus).map(|cpu| Action::Online { cpu }.into()));
        }
        if let Some((rounds, cpus)) = &self.storm {
            let module = Module { path: MODULE_PATH.into(), name: MODULE_NAME.into() };
            let files = ["timeline", "summary"].map(|name| format!("{DEBUGFS_DIR}/{name}"));
            let storm = Action::Storm {
                rounds: *rounds,
                cpus: cpus.clone(),
                module: self.module.then_some(module),
                read: if self.module { files.to_vec() } else { Vec::new() },
            };
            request.steps.push(storm.into());
        }
        request.steps.push(online(if self.late { self.cpus } else { first }));
        request
    }
}

/// Exactly the first `count` CPUs must be online. Without SMT, that is; with it `maxcpus` counts
/// the same CPUs, as their order is that of the device tree.
fn online(count: u32) -> Step {
    let content = match count {
        1 => "0".to_owned(),
        count => format!("0-{}", count - 1),
    };
    let path = "/sys/devices/system/cpu/online".to_owned();
    Action::RequireContent { path, content }.into()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} CPUs", self.arm, self.cpus)?;
        if let Some(topology) = &self.topology {
            write!(f, " ({topology})")?;
        }
        if let Some(maxcpus) = self.maxcpus {
            write!(
                f,
                ", maxcpus={maxcpus}{}",
                if self.late { " and the others later" } else { "" }
            )?;
        }
        match (self.icount, self.jitter.threads) {
            (true, _) => write!(f, ", icount shift {}", self.jitter.shift)?,
            (false, true) => f.write_str(", threads")?,
            (false, false) => f.write_str(", one thread")?,
        }
        if self.jitter.nice {
            f.write_str(" of uneven priority")?;
        }
        if let Some(Delays { most_ms, enable_method, .. }) = self.delays {
            let how = match enable_method {
                EnableMethod::Psci => "PSCI",
                EnableMethod::SpinTable => "spin-table",
            };
            write!(f, ", delays up to {most_ms} ms by {how}")?;
        }
        if let Some((rounds, cpus)) = &self.storm {
            write!(f, ", {rounds} times off and on: {cpus:?}")?;
            if self.module {
                f.write_str(" with the module")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ARMS: [Arm; 3] = [Arm::Base, Arm::P0, Arm::P1];

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let shown =
            |seed| (0..20).map(|i| plan(seed, i, &ARMS, 64).to_string()).collect::<Vec<_>>();
        assert_eq!(shown(1), shown(1));
        assert_ne!(shown(1), shown(2));
        assert_eq!(shown(1).iter().collect::<BTreeSet<_>>().len(), 20);
        assert_eq!(plan(1, 7, &ARMS, 64).to_string(), shown(1)[7]);
    }

    #[test]
    fn every_boot_is_possible_and_all_kinds_occur() {
        let plans: Vec<Plan> = (0..3000).map(|index| plan(42, index, &ARMS, 64)).collect();
        for plan in &plans {
            plan.request().validate().unwrap();
            assert!(plan.maxcpus.is_none_or(|maxcpus| (1..plan.cpus).contains(&maxcpus)));
            let later = plan.storm.is_some() || plan.maxcpus.is_some() && plan.late;
            let waits = plan.delays.map(|delays| delays.enable_method);
            assert!(!later || waits != Some(EnableMethod::SpinTable), "{plan}");
        }
        let cpus: BTreeSet<u32> = plans.iter().map(|plan| plan.cpus).collect();
        assert!((1..=16).all(|count| cpus.contains(&count)));
        assert!(cpus.iter().any(|&count| count > 16));
        for arm in ARMS {
            assert!(plans.iter().filter(|plan| plan.arm == arm).count() > 200, "{arm}");
        }
        let some = |what: fn(&Plan) -> bool| assert!(plans.iter().any(what));
        some(|plan| plan.icount);
        some(|plan| plan.jitter.threads);
        some(|plan| !plan.icount && !plan.jitter.threads);
        some(|plan| plan.storm.is_some() && plan.module);
        some(|plan| plan.maxcpus.is_some() && plan.late);
        for method in [EnableMethod::Psci, EnableMethod::SpinTable] {
            let delayed = |plan: &&Plan| plan.delays.is_some_and(|it| it.enable_method == method);
            assert!(plans.iter().filter(delayed).count() > 50, "{method:?}");
            let uneven = |plan: &&Plan| plan.jitter.threads && plan.jitter.nice;
            let uneven = plans.iter().filter(delayed).any(|plan| uneven(&plan));
            assert_eq!(uneven, method == EnableMethod::Psci, "{method:?}");
        }
        some(|plan| plan.topology.is_some_and(|topology| topology.has_threads()));
        assert!(plans.iter().all(|plan| !plan.jitter.threads || plan.cpus <= 8));
    }

    #[test]
    fn arms_and_size_can_be_narrowed() {
        for index in 0..200 {
            let plan = plan(3, index, &[Arm::P1], 4);
            assert_eq!(plan.arm, Arm::P1);
            assert!((1..=4).contains(&plan.cpus));
        }
    }
}
