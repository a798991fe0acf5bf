// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kick window, simulated: how many CPUs should the control CPU kick ahead of the one that it
//! releases?
//!
//! [`Auto`] is the rule of the kernel's `cpuhp.window=auto`, in integers and step by step as it is
//! in C. [`simulate`] plays a bring-up with any [`Policy`] on a [`Machine`]: firmware that is fast,
//! slow, uneven or blocks its caller, and virtual CPUs that have to share physical ones with those
//! that wait. The tests hold the rule to what it promises over a grid of such machines.
//!
//! A window of 1 is serial: it counts the CPU that is released next.

/// Decides how many CPUs may be kicked and not yet online, the next one to be released included.
pub trait Policy {
    /// The size of the window at this moment.
    fn size(&self) -> u64;
    /// A kick has cost the control CPU `ns`.
    fn kicked(&mut self, _ns: u64) {}
    /// The next CPU is not yet alive, `age` ns after it was kicked. `later`: the one after it is.
    fn waiting(&mut self, _age: u64, _later: bool) {}
    /// The CPU with this index is alive and about to be released; `kicked` CPUs have been kicked
    /// so far, and `spare` CPUs in a row behind it are alive too.
    fn alive(&mut self, _index: u64, _kicked: u64, _spare: u64) {}
    /// From its release to online a CPU has cost the control CPU `ns`.
    fn released(&mut self, _ns: u64) {}
}

/// So many at any time; 1 is serial, and the number of CPUs is everybody at once.
#[derive(Debug, Clone, Copy)]
pub struct Fixed(pub u64);

impl Policy for Fixed {
    fn size(&self) -> u64 {
        self.0
    }
}

/// How long the first wait must last for the window to double.
const START_NS: u64 = 400_000;
/// Doubling ends here: more CPUs than Linux has on arm64.
const MOST_DOUBLINGS: u64 = 12;
/// The fewest releases after which the window may shrink again.
const MIN_ROUND: u64 = 8;

/// The rule of `cpuhp.window=auto`: the product of bandwidth and delay, with no clock but that of
/// the control CPU.
///
/// It grows only while the control CPU really waits: the age of the CPU that it waits for is what
/// the latency is at least. It shrinks by as many CPUs as were spare throughout a whole round.
#[derive(Debug, Clone, Copy)]
pub struct Auto {
    size: u64,
    /// The fewest spare CPUs in this round.
    spare: u64,
    /// The index of the CPU whose release ends the round.
    round_end: u64,
    /// What a kick costs, smoothed.
    kick: u64,
    /// What a release costs, smoothed; 0 before the first.
    release: u64,
}

impl Default for Auto {
    fn default() -> Self {
        Self { size: 1, spare: u64::MAX, round_end: 0, kick: 0, release: 0 }
    }
}

impl Auto {
    fn smooth(average: &mut u64, ns: u64) {
        *average = if *average == 0 { ns.max(1) } else { (*average * 7 + ns) / 8 };
    }
}

impl Policy for Auto {
    fn size(&self) -> u64 {
        self.size
    }

    fn kicked(&mut self, ns: u64) {
        Self::smooth(&mut self.kick, ns);
    }

    fn waiting(&mut self, age: u64, later: bool) {
        let need = if self.release == 0 {
            // What a release costs is not known yet. If a later CPU is there already, the wait is
            // for a straggler and says nothing about the others.
            if later {
                return;
            }
            1 << (age / START_NS).min(MOST_DOUBLINGS)
        } else {
            // Rounded up, unless it is less than an eighth of a slot.
            let slot = self.kick + self.release;
            (age + slot - slot / 8) / slot + 1
        };
        self.size = self.size.max(need);
    }

    fn alive(&mut self, index: u64, kicked: u64, spare: u64) {
        self.spare = self.spare.min(spare);
        if index < self.round_end {
            return;
        }
        self.size -= self.spare.min(self.size - 1);
        self.spare = u64::MAX;
        self.round_end = kicked.max(index + 1 + MIN_ROUND);
    }

    fn released(&mut self, ns: u64) {
        Self::smooth(&mut self.release, ns);
    }
}

/// How long CPUs take from their kick to their first instruction, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub enum Latency {
    /// All the same.
    Constant(u64),
    /// From a half to one and a half times as long.
    Jitter(u64),
    /// Half as long and exponentially more: this long on average.
    Tail(u64),
    /// The first CPU and the others.
    First(u64, u64),
    /// The first half of the CPUs and the second.
    Halves(u64, u64),
    /// All, but every so many another one.
    Every(u64, u64, usize),
}

/// What CPUs are brought up on. Times in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// How many CPUs are brought up.
    pub cpus: usize,
    /// What a kick costs the control CPU: prepare callbacks and the call.
    pub kick: u64,
    /// How long firmware holds the caller of a kick.
    pub block: u64,
    /// From kick to first instruction.
    pub latency: Latency,
    /// What an AP has to execute before it is alive.
    pub boot: u64,
    /// From release to online, control CPU and AP taking turns.
    pub release: u64,
    /// Physical CPUs that all have to share; `None` where each CPU is one.
    pub pcpus: Option<u32>,
}

impl Machine {
    fn latency(&self, index: usize) -> f64 {
        // Two rounds of SplitMix64's mixer: uniform enough, and the same everywhere.
        let mut mixed = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(factor);
        }
        let uniform = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        match self.latency {
            Latency::Constant(ns) => ns as f64,
            Latency::Jitter(ns) => ns as f64 * (0.5 + uniform),
            Latency::Tail(ns) => ns as f64 * 0.5 * (1.0 - (1.0 - uniform).ln()),
            Latency::First(first, others) => (if index == 0 { first } else { others }) as f64,
            Latency::Halves(first, second) => {
                (if index < self.cpus / 2 { first } else { second }) as f64
            }
            Latency::Every(most, others, period) => {
                (if index % period == period - 1 { others } else { most }) as f64
            }
        }
    }
}

/// What came of a bring-up.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// From the first kick to the last CPU online, in nanoseconds.
    pub total: f64,
    /// How long physical CPUs executed CPUs that waited for their release, all together.
    pub burnt: f64,
    /// The most CPUs that were kicked and not online.
    pub widest: usize,
}

/// As the kernel waits: how long it polls, and the step after that while there are CPUs left to
/// kick, and with none left.
const POLLING: f64 = 1e6;
const POLL: f64 = 2_000.0;
const STEP: f64 = 100_000.0;
const LONG_STEP: f64 = 1_500_000.0;

/// Brings the CPUs of `machine` up.
pub fn simulate(machine: &Machine, policy: &mut (impl Policy + ?Sized)) -> Outcome {
    let mut world = World::new(machine);
    let (mut widest, mut seen) = (0, 0);
    for next in 0..machine.cpus {
        while world.kicked == next || world.may_kick(next, policy) {
            world.kick(policy);
        }
        let start = world.now;
        while !world.is_alive(next) {
            let age = world.now - world.kick_time[next];
            policy.waiting(age as u64, next + 1 < machine.cpus && world.is_alive(next + 1));
            if world.may_kick(next, policy) {
                world.kick(policy);
            } else if world.now - start < POLLING {
                world.pass(Until::Time(world.now + POLL), true, Some(next));
            } else {
                let step = if world.kicked < machine.cpus { STEP } else { LONG_STEP };
                world.pass(Until::Time(world.now + step), false, None);
            }
        }
        widest = widest.max(world.kicked - next);
        seen = seen.max(next + 1);
        while seen < world.kicked && world.is_alive(seen) {
            seen += 1;
        }
        policy.alive(next as u64, world.kicked as u64, (seen - next - 1) as u64);
        world.aps[next] = Ap::Released;
        world.waiting -= 1;
        let released = world.now;
        world.pass(Until::Done(machine.release as f64), true, None);
        policy.released((world.now - released) as u64);
    }
    Outcome { total: world.now, burnt: world.burnt, widest }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ap {
    Off,
    Firmware { until: f64 },
    Booting { left: f64 },
    Alive,
    Released,
}

/// What ends a span of time.
enum Until {
    /// This moment.
    Time(f64),
    /// So much work of the control CPU, or of the AP that it waits for.
    Done(f64),
}

struct World<'a> {
    machine: &'a Machine,
    now: f64,
    aps: Vec<Ap>,
    /// Indices of those in firmware or booting.
    coming: Vec<usize>,
    /// How many are alive and not released.
    waiting: usize,
    kicked: usize,
    kick_time: Vec<f64>,
    burnt: f64,
}

impl<'a> World<'a> {
    fn new(machine: &'a Machine) -> Self {
        Self {
            machine,
            now: 0.0,
            aps: vec![Ap::Off; machine.cpus],
            coming: Vec::new(),
            waiting: 0,
            kicked: 0,
            kick_time: vec![0.0; machine.cpus],
            burnt: 0.0,
        }
    }

    fn is_alive(&self, index: usize) -> bool {
        self.aps[index] == Ap::Alive
    }

    fn may_kick(&self, next: usize, policy: &(impl Policy + ?Sized)) -> bool {
        self.kicked < self.machine.cpus && ((self.kicked - next) as u64) < policy.size()
    }

    fn kick(&mut self, policy: &mut (impl Policy + ?Sized)) {
        let (index, start) = (self.kicked, self.now);
        self.kicked += 1;
        self.kick_time[index] = start;
        self.aps[index] = Ap::Firmware { until: start + self.machine.latency(index) };
        self.coming.push(index);
        self.pass(Until::Done(self.machine.kick as f64), true, None);
        if self.machine.block > 0 {
            self.pass(Until::Time(self.now + self.machine.block as f64), false, None);
        }
        policy.kicked((self.now - start) as u64);
    }

    /// Lets time pass. `busy`: the control CPU, or the AP that it waits for, executes. Ends early
    /// when the AP `wanted` is alive.
    fn pass(&mut self, until: Until, busy: bool, wanted: Option<usize>) {
        /// Less than this is nothing.
        const TINY: f64 = 1e-6;
        let (mut left, deadline) = match until {
            Until::Time(time) => (None, Some(time)),
            Until::Done(work) => (Some(work), None),
        };
        loop {
            if wanted.is_some_and(|wanted| self.is_alive(wanted)) {
                return;
            }
            let booting = |&&index: &&usize| matches!(self.aps[index], Ap::Booting { .. });
            let active =
                self.coming.iter().filter(booting).count() + self.waiting + usize::from(busy);
            let rate = match self.machine.pcpus {
                Some(pcpus) if active > pcpus as usize => f64::from(pcpus) / active as f64,
                _ => 1.0,
            };
            let mut step = f64::INFINITY;
            step = left.map_or(step, |left| step.min(left / rate));
            step = deadline.map_or(step, |deadline| step.min(deadline - self.now));
            for &index in &self.coming {
                step = match self.aps[index] {
                    Ap::Firmware { until } => step.min(until - self.now),
                    Ap::Booting { left } => step.min(left / rate),
                    _ => step,
                };
            }
            let step = step.max(0.0);
            self.now += step;
            self.burnt += self.waiting as f64 * rate * step;
            for &index in &self.coming {
                self.aps[index] = match self.aps[index] {
                    Ap::Firmware { until } if until <= self.now + TINY => {
                        Ap::Booting { left: self.machine.boot as f64 }
                    }
                    Ap::Booting { left } => Ap::Booting { left: left - rate * step },
                    other => other,
                };
                if matches!(self.aps[index], Ap::Booting { left } if left <= TINY) {
                    self.aps[index] = Ap::Alive;
                    self.waiting += 1;
                }
            }
            let aps = &self.aps;
            self.coming.retain(|&index| aps[index] != Ap::Alive);
            if let Some(left) = &mut left {
                *left -= rate * step;
            }
            if left.is_some_and(|left| left <= TINY)
                || deadline.is_some_and(|deadline| self.now >= deadline - TINY)
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u64 = 1_000;
    const MS: u64 = 1_000 * US;

    fn hardware(cpus: usize, kick: u64, release: u64, latency: Latency) -> Machine {
        Machine { cpus, kick, block: 0, latency, boot: 0, release, pcpus: None }
    }

    fn guest(cpus: usize, pcpus: u32, release: u64, boot: u64, latency: Latency) -> Machine {
        let kick = 50 * US;
        Machine { cpus, kick, block: 0, latency, boot, release, pcpus: Some(pcpus) }
    }

    /// Totals in milliseconds: serial, everybody at once, by the rule.
    fn totals(machine: &Machine) -> [f64; 3] {
        [
            simulate(machine, &mut Fixed(1)),
            simulate(machine, &mut Fixed(machine.cpus as u64)),
            simulate(machine, &mut Auto::default()),
        ]
        .map(|outcome| outcome.total / 1e6)
    }

    #[test]
    fn the_simulation_agrees_with_arithmetic() {
        let machine = hardware(64, 20 * US, 700 * US, Latency::Constant(500 * US));
        let [serial, all, _] = totals(&machine);
        // Kick, latency (its first part is the kick) and release, one CPU after the other.
        assert!((serial - 64.0 * 1.2).abs() < 0.2, "{serial}");
        // All kicks, by then everybody is alive, and all releases.
        assert!((all - 64.0 * 0.72).abs() < 0.1, "{all}");
        let block = Machine { block: 10 * MS, ..machine };
        let [serial, all, auto] = totals(&block);
        assert!((serial - all).abs() < 1.0 && (auto - all).abs() < 1.0, "{serial} {all} {auto}");
    }

    #[test]
    fn those_that_wait_slow_the_others_down() {
        let machine = guest(64, 4, 500 * US, 100 * US, Latency::Constant(50 * US));
        let [serial, all, _] = totals(&machine);
        // Up to 63 CPUs spin on four: half of them on average for the whole time.
        assert!(all > 4.0 * serial, "{serial} {all}");
        let burnt = |policy: &mut Fixed| simulate(&machine, policy).burnt;
        assert!(burnt(&mut Fixed(64)) > 100.0 * burnt(&mut Fixed(1)));
        // With a physical CPU for each they harm nobody.
        let [serial, all, _] = totals(&Machine { pcpus: None, ..machine });
        assert!(all < serial, "{serial} {all}");
    }

    /// All machines of the grid with that latency.
    fn grid(latency: impl Fn(u64) -> Latency) -> impl Iterator<Item = Machine> {
        let mut machines = Vec::new();
        for cpus in [3, 63, 200] {
            for kick in [2 * US, 20 * US, 150 * US] {
                for release in [50 * US, 200 * US, 700 * US, 2 * MS] {
                    for ns in [10 * US, 100 * US, 300 * US, MS, 3 * MS, 10 * MS, 76 * MS, 1000 * MS]
                    {
                        machines.push(hardware(cpus, kick, release, latency(ns)));
                    }
                }
            }
        }
        machines.into_iter()
    }

    /// By how many milliseconds the rule is beyond each bound at worst: 3 % or 1 ms more than
    /// serial; 10 % or 2 ms more than everybody at once.
    fn worst(machines: impl Iterator<Item = Machine>) -> [f64; 2] {
        machines.fold([f64::NEG_INFINITY; 2], |[a, b], machine| {
            let [serial, all, auto] = totals(&machine);
            [
                a.max(auto - serial - (serial * 0.03).max(1.0)),
                b.max(auto - all - (all * 0.1).max(2.0)),
            ]
        })
    }

    #[test]
    fn on_hardware_it_is_as_good_as_everybody_at_once() {
        for (latency, excess) in [
            (Latency::Constant as fn(u64) -> Latency, 0.0),
            (Latency::Jitter, 1.0),
            (Latency::Tail, 4.0),
        ] {
            let [serial, all] = worst(grid(latency));
            assert!(serial <= 0.0, "{serial} ms worse than serial");
            assert!(all <= excess, "{all} ms beyond the bound");
        }
    }

    /// What comes late and slow is known only once it is waited for: that costs one latency.
    #[test]
    fn a_surprise_costs_one_latency() {
        for latency in [
            (|ns| Latency::Every(ns / 10, ns, 2)) as fn(u64) -> Latency,
            |ns| Latency::Every(ns / 10, ns, 8),
            |ns| Latency::First(ns / 10, ns),
            |ns| Latency::Halves(ns / 10, ns),
        ] {
            for machine in grid(latency) {
                let slowest = (0..machine.cpus).map(|cpu| machine.latency(cpu)).fold(0.0, f64::max);
                let [serial, all, auto] = totals(&machine);
                assert!(auto <= serial + (serial * 0.03).max(1.0), "{machine:?}");
                let excess = auto - all - (all * 0.1).max(2.0);
                assert!(excess <= 1.2 * slowest / 1e6, "{excess} ms: {machine:?}");
            }
        }
    }

    #[test]
    fn in_a_guest_it_is_no_worse_than_serial_and_close_to_the_best() {
        for cpus in [15, 31, 63, 127] {
            for pcpus in [2, 4, 8] {
                for release in [300 * US, MS] {
                    for boot in [100 * US, 300 * US] {
                        for latency in [
                            Latency::Constant(50 * US),
                            Latency::Tail(100 * US),
                            // The host had something else to do at first.
                            Latency::First(3 * MS, 50 * US),
                        ] {
                            let machine = guest(cpus, pcpus, release, boot, latency);
                            let [serial, all, auto] = totals(&machine);
                            assert!(auto <= serial + (serial * 0.03).max(1.0), "{machine:?}");
                            assert!(auto <= all + (all * 0.1).max(2.0), "{machine:?}");
                            let fixed = |size| simulate(&machine, &mut Fixed(size)).total / 1e6;
                            let best = [1, 2, 3, 4].map(fixed).into_iter().fold(all, f64::min);
                            // On two, the control CPU and the one that it waits for leave none.
                            let slack = if pcpus == 2 { 1.4 } else { 1.1 };
                            assert!(auto <= best * slack + 1.0, "{auto} {best}: {machine:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn in_a_guest_the_window_stays_small_and_on_a_slow_server_it_opens() {
        let widest = |machine: &Machine| simulate(machine, &mut Auto::default()).widest;
        assert!(widest(&guest(64, 4, 500 * US, 100 * US, Latency::Constant(50 * US))) <= 3);
        // 76 ms of firmware and 0.72 ms per CPU: 106 CPUs ahead at least.
        let server = hardware(255, 20 * US, 700 * US, Latency::Constant(76 * MS));
        assert!(widest(&server) >= 106, "{}", widest(&server));
    }

    #[test]
    fn spare_cpus_are_taken_off_once_per_round() {
        let mut auto = Auto::default();
        auto.kicked(20 * US);
        auto.waiting(2 * MS, false);
        assert_eq!(auto.size(), 32);
        // A straggler opens nothing.
        auto.waiting(9 * MS, true);
        assert_eq!(auto.size(), 32);
        auto.alive(0, 32, 0);
        auto.released(480 * US);
        for index in 1..32 {
            auto.alive(index, 40, 20 + index % 3);
            assert_eq!(auto.size(), 32);
        }
        auto.alive(32, 40, 25);
        assert_eq!(auto.size(), 12);
        // Grown back at once where it is waited: 3 ms of age in slots of half a millisecond.
        auto.waiting(10 * MS, true);
        assert_eq!(auto.size(), 21);
        // Never below serial.
        for index in 33..200 {
            auto.alive(index, index + 1, 500);
        }
        assert_eq!(auto.size(), 1);
    }
}
