// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What many runs say together: per arm, CPU count and topology; between arms; and over CPU counts.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fit::{Fit, FitError};
use crate::inference::{Difference, Summary};
use crate::results::{Clock, Run};
use crate::timeline::{Cpu, Phase, Stamp};

/// What a bench was to measure: all that must be the same for runs of two sessions to belong
/// together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is compared, in the order of the command line.
    pub arms: Vec<PlannedArm>,
    /// CPU counts and layouts.
    pub machines: Vec<Machine>,
    /// Measured repeats of each arm on each machine.
    pub runs: u32,
    /// Repeats before them that are not kept.
    pub warmups: u32,
    /// Repeat R has QEMU's seed `seed` + R under icount; all that draws lots in the statistics
    /// starts from it too.
    pub seed: u64,
    /// Instructions are counted instead of time.
    pub icount: bool,
    /// The arms run as KVM guests in the lab.
    pub kvm_lab: bool,
    /// What the lab's host is like; `None` elsewhere and in files from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lab: Option<PlannedLab>,
    /// The accelerator.
    pub accel: String,
    /// The firmware profile.
    pub firmware: Option<String>,
}

/// The KVM lab of a bench.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLab {
    /// Host CPUs that the guest's share.
    pub pcpus: u32,
    /// Each of the guest's CPUs is bound to one of the host's.
    pub pinned: bool,
    /// The host's events are recorded.
    pub traced: bool,
    /// SHA-256 of the emulated host's Image; null on a real host.
    pub host_sha256: Option<String>,
}

impl fmt::Display for PlannedLab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = if self.pinned { "bound" } else { "not bound" };
        let traced = if self.traced { "recorded" } else { "not recorded" };
        write!(f, "{} CPUs, {bound}, {traced}", self.pcpus)?;
        self.host_sha256.as_ref().map_or(Ok(()), |sha256| write!(f, ", Image {sha256}"))
    }
}

/// One of the things that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedArm {
    /// As on the command line, without a path.
    pub name: String,
    /// `base`, `patched`, a path and so on.
    pub kernel: String,
    /// The configuration; null for an Image.
    pub preset: Option<String>,
    /// SHA-256 of the Image.
    pub image_sha256: String,
    /// SHA-256 of the module; null without one.
    pub module_sha256: Option<String>,
    /// Kernel parameters beyond those that every boot has.
    pub parameters: String,
}

/// What a guest looks like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Machine {
    /// Its CPUs.
    pub cpus: u32,
    /// How they are laid out, as QEMU has it; null for its default.
    pub topology: Option<String>,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} CPUs", self.cpus)?;
        self.topology.as_ref().map_or(Ok(()), |topology| write!(f, " ({topology})"))
    }
}

/// One run that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Index of the arm.
    pub arm: usize,
    /// Index of the machine.
    pub machine: usize,
    /// Which repeat it is, from 0; `None` for a warm-up.
    pub repeat: Option<u32>,
}

impl Plan {
    /// All runs in the order in which they are to be made. Arms alternate and every other round
    /// goes backwards (A B C, C B A), so that a drift of the host hits all of them alike.
    pub fn slots(&self) -> Vec<Slot> {
        let forward: Vec<(usize, usize)> = (0..self.machines.len())
            .flat_map(|machine| (0..self.arms.len()).map(move |arm| (machine, arm)))
            .collect();
        let warmups = (0..self.warmups).map(|_| None);
        let rounds = warmups.chain((0..self.runs).map(Some)).enumerate();
        rounds
            .flat_map(|(round, repeat)| {
                let mut order = forward.clone();
                if round % 2 == 1 {
                    order.reverse();
                }
                order.into_iter().map(move |(machine, arm)| Slot { arm, machine, repeat })
            })
            .collect()
    }

    /// The slots that `runs` do not fill. Warm-ups are due again where a repeat is missing.
    pub fn missing(&self, runs: &[Run]) -> Vec<Slot> {
        let made = |arm: usize, machine: usize, repeat: u32| {
            let machine = &self.machines[machine];
            runs.iter().any(|run| {
                run.arm == self.arms[arm].name
                    && run.repeat == Some(repeat)
                    && run.machine() == *machine
            })
        };
        let unfinished =
            |arm: usize, machine: usize| (0..self.runs).any(|repeat| !made(arm, machine, repeat));
        let mut slots = self.slots();
        slots.retain(|slot| match slot.repeat {
            Some(repeat) => !made(slot.arm, slot.machine, repeat),
            None => unfinished(slot.arm, slot.machine),
        });
        slots
    }

    /// The first thing in which `other` differs, as `what: ours, theirs`.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let (ours, theirs) = (self.fields(), other.fields());
        ours.iter()
            .zip(&theirs)
            .find(|(ours, theirs)| ours != theirs)
            .map(|((what, ours), (_, theirs))| format!("{what}: {ours} here, {theirs} there"))
            .or_else(|| (ours.len() != theirs.len()).then(|| "the number of arms".to_owned()))
    }

    fn fields(&self) -> Vec<(String, String)> {
        let list = |words: Vec<String>| words.join(" ");
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
        let mut fields = vec![
            ("arms".into(), list(self.arms.iter().map(|arm| arm.name.clone()).collect())),
            ("CPUs".into(), list(self.machines.iter().map(Machine::to_string).collect())),
            ("runs".into(), self.runs.to_string()),
            ("warm-ups".into(), self.warmups.to_string()),
            ("seed".into(), self.seed.to_string()),
            ("icount".into(), self.icount.to_string()),
            ("KVM lab".into(), self.kvm_lab.to_string()),
            ("KVM host".into(), or_none(&self.lab.as_ref().map(PlannedLab::to_string))),
            ("accelerator".into(), self.accel.clone()),
            ("firmware".into(), or_none(&self.firmware)),
        ];
        for arm in &self.arms {
            for (what, value) in [
                ("kernel", arm.kernel.clone()),
                ("preset", or_none(&arm.preset)),
                ("SHA-256 of the Image", arm.image_sha256.clone()),
                ("SHA-256 of the module", or_none(&arm.module_sha256)),
                ("kernel parameters", arm.parameters.clone()),
            ] {
                fields.push((format!("{} of {}", what, arm.name), value));
            }
        }
        fields
    }
}

/// A figure that a run yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// [`Run::bringup_ns`].
    Total,
    /// [`Run::smp_ns`].
    SmpLines,
    /// The median of a phase over the CPUs.
    Phase(Phase),
    /// The median time from a CPU's kick until it is alive: the latency that overlaps in parallel.
    KickToAlive,
    /// The median time from a CPU's release until it is active: what stays serial.
    ReleaseToActive,
    /// The time per AP that the control CPU spends on one of its occupations.
    Share(Share),
    /// CPU time on the host.
    HostCpu,
}

impl Figure {
    /// All of them, in the order in which they are shown.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Total, Self::SmpLines];
        all.extend(Phase::ALL.map(Self::Phase));
        all.extend([Self::KickToAlive, Self::ReleaseToActive]);
        all.extend(Share::ALL.map(Self::Share));
        all.push(Self::HostCpu);
        all
    }

    /// Whether it is by the clock of the guest, which counts instructions under icount.
    pub fn is_guests(self) -> bool {
        self != Self::HostCpu
    }

    /// Its value for a run in nanoseconds, if the run has it.
    pub fn of(self, run: &Run) -> Option<f64> {
        let median = |from: Stamp, to: Stamp| {
            let spans = run
                .per_cpu
                .iter()
                .filter_map(|cpu| Some((cpu.cpu, cpu.stamp(to)?.checked_sub(cpu.stamp(from)?)?)));
            Some(crate::stats::Spread::of(spans)?.median)
        };
        let ns = match self {
            Self::Total => run.bringup_ns,
            Self::SmpLines => run.smp_ns,
            Self::Phase(phase) => run.phases.get(phase).map(|spread| spread.median),
            Self::KickToAlive => median(Stamp::Kick, Stamp::Alive),
            Self::ReleaseToActive => median(Stamp::Release, Stamp::Active),
            Self::Share(share) => Breakdown::of(&run.per_cpu)?.per_ap(share),
            Self::HostCpu => run.host_cpu_ns,
        };
        ns.map(|ns| ns as f64)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total => f.write_str("total by the timeline"),
            Self::SmpLines => f.write_str("total by the log's smp: lines"),
            Self::Phase(phase) => {
                let (from, to) = phase.ends();
                write!(f, "{from} to {to}")
            }
            Self::KickToAlive => f.write_str("kick to alive"),
            Self::ReleaseToActive => f.write_str("release to active"),
            Self::Share(share) => write!(f, "per AP: {}", share.name()),
            Self::HostCpu => f.write_str("host CPU time"),
        }
    }
}

/// What the control CPU is at, at some moment of the bring-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Share {
    /// An AP is on its way from its release to active: the control CPU waits for it.
    Release,
    /// Else: the control CPU calls the enable method.
    Kick,
    /// Else: some AP is kicked and not yet alive: latency that nothing hides.
    Latency,
    /// Else: the control CPU's own work, as the prepare callbacks, and waking up.
    Rest,
}

impl Share {
    /// All of them, in the order in which a moment is given to the first that fits.
    pub const ALL: [Self; 4] = [Self::Release, Self::Kick, Self::Latency, Self::Rest];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Release => "release cost",
            Self::Kick => "kick cost",
            Self::Latency => "latency not hidden",
            Self::Rest => "the rest",
        }
    }
}

/// Where the time from the first kick to the last CPU active goes. Each moment is counted once, so
/// the shares add up to the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breakdown {
    /// Nanoseconds of each of [`Share::ALL`].
    ns: [u64; 4],
    /// How many CPUs were kicked.
    aps: u64,
}

impl Breakdown {
    /// The breakdown of a timeline; `None` if no CPU of it became active after the first kick.
    pub fn of(cpus: &[Cpu]) -> Option<Self> {
        let first = crate::timeline::first_kick(cpus)?;
        let last = cpus.iter().filter_map(|cpu| cpu.active).max()?;
        if last < first {
            return None;
        }
        let span = |from: Stamp, to: Stamp| {
            let spans = cpus.iter().filter_map(|cpu| Some((cpu.stamp(from)?, cpu.stamp(to)?)));
            spans.map(|(from, to)| (from.clamp(first, last), to.clamp(first, last))).collect()
        };
        let steps: [Vec<(u64, u64)>; 3] = [
            span(Stamp::Release, Stamp::Active),
            span(Stamp::Kick, Stamp::Kicked),
            span(Stamp::Kick, Stamp::Alive),
        ];
        let mut seen = Vec::new();
        let (mut ns, mut covered) = ([0; 4], 0);
        for (step, share) in steps.into_iter().zip(&mut ns) {
            seen.extend(step);
            let now = covered_by(&mut seen);
            *share = now - covered;
            covered = now;
        }
        ns[3] = (last - first).saturating_sub(covered);
        let aps = cpus.iter().filter(|cpu| cpu.kick.is_some()).count();
        Some(Self { ns, aps: u64::try_from(aps).ok()? })
    }

    /// The time of `share` in nanoseconds.
    pub fn ns(&self, share: Share) -> u64 {
        self.ns[share as usize]
    }

    /// The time of `share` per CPU that was kicked; `None` if none was.
    pub fn per_ap(&self, share: Share) -> Option<u64> {
        self.ns(share).checked_div(self.aps)
    }
}

/// How much time the spans cover together.
fn covered_by(spans: &mut [(u64, u64)]) -> u64 {
    spans.sort_unstable();
    let (mut total, mut end) = (0, 0);
    for &(from, to) in spans.iter() {
        let from = from.max(end);
        total += to.saturating_sub(from);
        end = end.max(to);
    }
    total
}

/// Under what a run was made. Figures of different conditions are not samples of one thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conditions {
    /// The machine.
    pub machine: Machine,
    /// The physical CPUs that a guest's shared, where they were counted.
    pub pcpus: Option<u32>,
    /// The accelerator.
    pub accel: String,
    /// Whose time it is.
    pub clock: Clock,
    /// The firmware profile; `None` for the machine's own.
    pub firmware: Option<String>,
    /// Faults that were injected.
    pub faults: Vec<String>,
}

impl Conditions {
    /// Those of `run`.
    pub fn of(run: &Run) -> Self {
        Self {
            machine: run.machine(),
            pcpus: run.kvm.as_ref().and_then(|kvm| kvm.pcpus),
            accel: run.accel.clone(),
            clock: run.clock,
            firmware: run.firmware.clone(),
            faults: run.faults.clone(),
        }
    }
}

/// What is not the rule is named.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.machine)?;
        if let Some(pcpus) = self.pcpus {
            write!(f, " on {pcpus}")?;
        }
        if self.accel != "tcg" {
            write!(f, ", {}", self.accel)?;
        }
        if let Some(firmware) = &self.firmware {
            write!(f, ", firmware {firmware}")?;
        }
        self.faults.iter().try_for_each(|fault| write!(f, ", {fault}"))
    }
}

/// The runs of one arm under the same conditions that went well.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// The arm.
    pub arm: &'a str,
    /// The conditions.
    pub conditions: Conditions,
    /// Those that went well.
    pub good: Vec<&'a Run>,
    /// How many did not.
    pub failed: usize,
}

impl Group<'_> {
    /// How many runs there are, those that failed included.
    pub fn made(&self) -> usize {
        self.good.len() + self.failed
    }

    /// The samples of `figure`; empty unless every good run has it.
    pub fn samples(&self, figure: Figure) -> Vec<f64> {
        let samples: Option<Vec<f64>> = self.good.iter().map(|run| figure.of(run)).collect();
        samples.unwrap_or_default()
    }

    /// The summary of `figure`, if it has samples.
    pub fn summary(&self, figure: Figure, seed: u64) -> Option<Summary> {
        Summary::of(&self.samples(figure), seed)
    }

    /// Whether repeats differ by their seed alone.
    pub fn is_counted(&self) -> bool {
        self.good.iter().all(|run| run.is_counted())
    }
}

/// The runs by arm and conditions; arms in the order of their first run, machines in ascending
/// order.
pub fn groups(runs: &[Run]) -> Vec<Group<'_>> {
    let mut arms: Vec<&str> = Vec::new();
    for run in runs {
        if !arms.contains(&run.arm.as_str()) {
            arms.push(&run.arm);
        }
    }
    let mut by_key: BTreeMap<(Conditions, usize), Group<'_>> = BTreeMap::new();
    for run in runs {
        let index = arms.iter().position(|arm| *arm == run.arm).unwrap_or(0);
        let conditions = Conditions::of(run);
        let group = by_key.entry((conditions, index)).or_insert_with_key(|(conditions, _)| Group {
            arm: &run.arm,
            conditions: conditions.clone(),
            good: Vec::new(),
            failed: 0,
        });
        if run.ok { group.good.push(run) } else { group.failed += 1 }
    }
    by_key.into_values().collect()
}

/// The figure that stands for the whole bring-up: by the timeline where all of the groups have
/// one, else by the log.
pub fn total_of(groups: &[&Group<'_>]) -> Figure {
    let all = |figure| groups.iter().all(|group| !group.samples(figure).is_empty());
    if all(Figure::Total) || !all(Figure::SmpLines) { Figure::Total } else { Figure::SmpLines }
}

/// How the second group differs from the first in `figure`.
pub fn difference(
    first: &Group<'_>,
    second: &Group<'_>,
    figure: Figure,
    seed: u64,
) -> Option<Difference> {
    Difference::of(&first.samples(figure), &second.samples(figure), seed)
}

/// Whether the second group needs more than `bound` times as long, one being as long, for certain:
/// by the lower end of the interval, or by the ratio itself where instructions were counted or the
/// samples are too few for an interval.
pub fn is_beyond(difference: &Difference, counted: bool, bound: f64) -> bool {
    let ratio = match difference.interval {
        Some(interval) if !counted => interval.low,
        _ => difference.ratio,
    };
    ratio > bound
}

/// The arms of groups, each once, in their order.
pub fn arms<'a>(groups: &[Group<'a>]) -> Vec<&'a str> {
    let mut arms: Vec<&str> = Vec::new();
    for group in groups {
        if !arms.contains(&group.arm) {
            arms.push(group.arm);
        }
    }
    arms
}

/// A curve for each arm over the CPU counts of the default layout; by which total.
pub fn fits<'a>(groups: &[Group<'a>]) -> Vec<(&'a str, Figure, Result<Fit, FitError>)> {
    let arms = arms(groups);
    let fit = |arm: &'a str| {
        let own: Vec<_> = groups
            .iter()
            .filter(|group| group.arm == arm && group.conditions.machine.topology.is_none())
            .collect();
        let figure = total_of(&own);
        let runs = own.iter().map(|group| (group.conditions.machine.cpus, group.good.as_slice()));
        (arm, figure, fit_of(figure, runs))
    };
    arms.into_iter().map(fit).collect()
}

/// The curve of `figure` over CPU counts, of the good runs of one arm with each.
///
/// # Errors
///
/// As those of [`Fit::of`].
pub fn fit_of<'a>(
    figure: Figure,
    runs: impl IntoIterator<Item = (u32, &'a [&'a Run])>,
) -> Result<Fit, FitError> {
    let points = runs.into_iter().flat_map(|(cpus, runs)| {
        let mut samples: Vec<f64> = runs.iter().filter_map(|run| figure.of(run)).collect();
        // Repeats of what is counted are one point: they would make the curve look better known
        // than it is.
        if runs.iter().all(|run| run.is_counted()) {
            samples.sort_by(f64::total_cmp);
            samples = samples.get(samples.len() / 2).copied().into_iter().collect();
        }
        samples.into_iter().map(move |total| (cpus, total))
    });
    Fit::of(&points.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, plan};

    fn run(arm: &str, cpus: u32, repeat: u32) -> Run {
        let mut run = samples::run(arm, &samples::parallel(cpus));
        run.repeat = Some(repeat);
        run
    }

    #[test]
    fn arms_alternate_forth_and_back() {
        let plan = plan(&["a", "b", "c"], &[4], 3, 1);
        let order: Vec<String> = plan
            .slots()
            .iter()
            .map(|slot| {
                let repeat = slot.repeat.map_or("w".into(), |repeat| repeat.to_string());
                format!("{}{repeat}", plan.arms[slot.arm].name)
            })
            .collect();
        assert_eq!(order.join(" "), "aw bw cw c0 b0 a0 a1 b1 c1 c2 b2 a2");
    }

    #[test]
    fn every_arm_comes_as_often_on_every_machine() {
        let plan = plan(&["a", "b"], &[4, 8, 16], 5, 2);
        let slots = plan.slots();
        assert_eq!(slots.len(), 2 * 3 * 7);
        let distinct: std::collections::BTreeSet<_> =
            slots.iter().filter(|slot| slot.repeat.is_some()).collect();
        assert_eq!(distinct.len(), 2 * 3 * 5);
    }

    #[test]
    fn what_is_made_is_not_made_again() {
        let plan = plan(&["a", "b"], &[4, 8], 2, 1);
        assert_eq!(plan.missing(&[]), plan.slots());
        let mut made = vec![run("a", 4, 0), run("a", 4, 1), run("b", 8, 1)];
        // A failed run is a result too: making it again would hide a kernel that fails at times.
        made[0].ok = false;
        let missing = plan.missing(&made);
        assert!(!missing.iter().any(|slot| (slot.arm, slot.machine) == (0, 0)));
        assert_eq!(missing.iter().filter(|slot| slot.repeat.is_none()).count(), 3);
        assert_eq!(missing.iter().filter(|slot| slot.repeat.is_some()).count(), 5);
        let all: Vec<Run> = (plan.slots().iter())
            .filter_map(|slot| {
                let cpus = plan.machines[slot.machine].cpus;
                Some(run(&plan.arms[slot.arm].name, cpus, slot.repeat?))
            })
            .collect();
        assert_eq!(plan.missing(&all), []);
    }

    #[test]
    fn plans_that_differ_say_in_what() {
        let ours = plan(&["a", "b"], &[4], 2, 1);
        assert_eq!(ours.difference(&ours), None);
        let mut other = ours.clone();
        other.seed = 2;
        assert_eq!(ours.difference(&other).unwrap(), "seed: 1 here, 2 there");
        other = ours.clone();
        other.arms[1].image_sha256 = "cd".into();
        assert_eq!(
            ours.difference(&other).unwrap(),
            "SHA-256 of the Image of b: ab here, cd there"
        );
        assert!(ours.difference(&plan(&["a"], &[4], 2, 1)).unwrap().starts_with("arms: a b here"));
        let text = serde_json::to_string(&ours).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), ours);
    }

    #[test]
    fn the_shares_add_up_to_the_total() {
        for timeline in [samples::serial(16), samples::parallel(16), samples::with_failure(16)] {
            let breakdown = Breakdown::of(&timeline.cpus).unwrap();
            let sum: u64 = Share::ALL.iter().map(|&share| breakdown.ns(share)).sum();
            assert_eq!(Some(sum), timeline.bringup_ns());
        }
        assert_eq!(Breakdown::of(&[]), None);
    }

    #[test]
    fn each_moment_belongs_to_the_first_share_that_fits() {
        let cpu = |cpu, kick, kicked, alive, release, active| Cpu {
            kick: Some(kick),
            kicked: Some(kicked),
            alive: Some(alive),
            release: Some(release),
            active: Some(active),
            cpu,
            ..samples::serial(2).cpus[1].clone()
        };
        // 0..10 kick, ..50 latency, ..60 rest, ..100 release; CPU 2 is kicked and alive meanwhile.
        let cpus = [cpu(1, 1000, 1010, 1050, 1060, 1100), cpu(2, 1070, 1080, 1090, 1110, 1200)];
        let breakdown = Breakdown::of(&cpus).unwrap();
        assert_eq!(Share::ALL.map(|share| breakdown.ns(share)), [130, 10, 40, 20]);
        assert_eq!(breakdown.per_ap(Share::Release), Some(65));
    }

    #[test]
    fn serial_bring_up_hides_no_latency_and_parallel_does() {
        let share = |timeline: &crate::timeline::Timeline| {
            Breakdown::of(&timeline.cpus).unwrap().per_ap(Share::Latency).unwrap()
        };
        let (serial, parallel) = (share(&samples::serial(64)), share(&samples::parallel(64)));
        assert!(serial > 5 * parallel, "{serial} {parallel}");
    }

    #[test]
    fn groups_are_by_arm_and_machine() {
        let mut runs = vec![run("p1", 8, 0), run("base", 4, 0), run("p1", 4, 0), run("p1", 4, 1)];
        runs[3].ok = false;
        let groups = groups(&runs);
        let keys: Vec<_> = groups
            .iter()
            .map(|group| (group.conditions.machine.cpus, group.arm, group.good.len(), group.failed))
            .collect();
        assert_eq!(keys, [(4, "p1", 1, 1), (4, "base", 1, 0), (8, "p1", 1, 0)]);
        assert_eq!(total_of(&groups.iter().collect::<Vec<_>>()), Figure::Total);
        runs[0].bringup_ns = None;
        let groups = super::groups(&runs);
        assert_eq!(total_of(&groups.iter().collect::<Vec<_>>()), Figure::SmpLines);
    }

    #[test]
    fn a_bound_is_passed_only_for_certain() {
        let difference = |ratio, low| Difference {
            ratio,
            interval: Some(crate::inference::Interval { low, high: 2.0 }),
            p: 0.01,
            delta: 1.0,
        };
        assert!(is_beyond(&difference(1.2, 1.1), false, 1.05));
        assert!(!is_beyond(&difference(1.2, 1.04), false, 1.05));
        // Counted instructions are what they are.
        assert!(is_beyond(&difference(1.2, 1.04), true, 1.05));
        assert!(is_beyond(&Difference { interval: None, ..difference(1.2, 1.0) }, false, 1.05));
    }

    #[test]
    fn arms_over_several_cpu_counts_get_a_curve() {
        let mut runs: Vec<Run> = [4, 8, 16, 32]
            .iter()
            .flat_map(|&cpus| [run("a", cpus, 0), run("a", cpus, 1)])
            .collect();
        let points = |runs: &[Run]| {
            let fits = fits(&groups(runs));
            let [("a", Figure::Total, Ok(fit))] = fits.as_slice() else { panic!("{fits:?}") };
            (fit.largest, fit.points)
        };
        assert_eq!(points(&runs), (32, 4));
        // Three points, however often they were counted, say nothing of how sure three parts are.
        let fits_of_three = fits(&groups(&runs[..6]));
        let [(.., Ok(fit))] = fits_of_three.as_slice() else { panic!("{fits_of_three:?}") };
        assert_eq!((fit.points, fit.quadratic.is_there()), (3, None));
        runs.iter_mut().for_each(|run| run.clock = Clock::Counter);
        assert_eq!(points(&runs), (32, 8));
        assert_eq!(super::fits(&groups(&runs[..4]))[0].2, Err(FitError::TooFew(2)));
    }
}
