// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a boot left behind, turned into a [`Run`].
//!
//! The first thing that is wrong becomes the run's failure; the figures that can still be had are
//! taken all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::dmesg::BringUp;
use crate::results::{Failure, Run, Setup};
use crate::timeline::{Outcome, Timeline};

/// What a boot left behind.
#[derive(Debug, Clone, Default)]
pub struct Evidence<'a> {
    /// The module's `timeline` file; `None` where no module was loaded.
    pub timeline: Option<&'a str>,
    /// The kernel log as the guest read it. It is whole where the console may be garbled.
    pub kernel_log: Option<&'a str>,
    /// `/sys/devices/system/cpu/online`, read right after the timeline.
    pub online: Option<&'a str>,
    /// The whole console.
    pub console: &'a str,
    /// CPU time that the boot took on the host.
    pub host_cpu: Option<Duration>,
    /// What is known to have gone wrong.
    pub failure: Option<Failure>,
}

/// The run of `setup` that left `evidence` behind.
pub fn run(setup: Setup, evidence: Evidence<'_>) -> Run {
    let mut run = Run::new(setup);
    run.smp_ns = smp_ns(&evidence);
    run.console_bytes = u64::try_from(evidence.console.len()).unwrap_or(u64::MAX);
    run.host_cpu_ns =
        evidence.host_cpu.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    let mut doubt = None;
    match evidence.timeline.map(Timeline::parse) {
        None => {}
        Some(Ok(timeline)) => {
            doubt = contradiction(&timeline, evidence.online);
            run = run.with_timeline(&timeline);
        }
        Some(Err(error)) => doubt = Some(error.to_string()),
    }
    match evidence.failure {
        Some(failure) => run.with_failure(failure),
        None => match doubt {
            Some(doubt) => run.with_failure(failure("timeline", doubt)),
            None => run,
        },
    }
}

/// The run, as a failed one unless every CPU came up. A failure that it has already is kept.
#[must_use]
pub fn require_all_online(run: Run) -> Run {
    match not_all_online(&run) {
        Some(detail) if run.failure.is_none() => {
            run.with_failure(failure("not-all-online", detail))
        }
        _ => run,
    }
}

/// The run, as a failed one if a CPU failed that was to come up and no fault was asked for. CPUs may
/// have been left alone, as with `maxcpus=`.
#[must_use]
pub fn require_none_failed(run: Run) -> Run {
    let fails = run.per_cpu.iter().any(|cpu| cpu.outcome.is_failure());
    if fails && run.faults.is_empty() { require_all_online(run) } else { run }
}

/// Which CPUs the timeline does not show to be up; `None` if it shows all of them.
fn not_all_online(run: &Run) -> Option<String> {
    let is_up = |outcome: &Outcome| matches!(outcome, Outcome::Boot | Outcome::Online);
    let up = run.per_cpu.iter().filter(|cpu| is_up(&cpu.outcome)).count();
    if usize::try_from(run.cpus) == Ok(up) {
        return None;
    }
    if run.per_cpu.is_empty() {
        return Some("there is no timeline".into());
    }
    let mut others: Vec<String> = run
        .per_cpu
        .iter()
        .filter(|cpu| !is_up(&cpu.outcome))
        .map(|cpu| format!("CPU {} is {}", cpu.cpu, cpu.outcome))
        .collect();
    if others.len() > 4 {
        others.truncate(4);
        others.push("...".into());
    }
    let others = others.join(", ");
    Some(format!("{up} of {} CPUs are up by the timeline: {others}", run.cpus))
}

pub(crate) fn failure(kind: &str, detail: String) -> Failure {
    Failure { kind: kind.into(), detail, console_tail: Vec::new() }
}

fn smp_ns(evidence: &Evidence<'_>) -> Option<u64> {
    let logs = [evidence.kernel_log, Some(evidence.console)];
    logs.into_iter().flatten().find_map(|log| BringUp::parse(log).smp_ns().ok())
}

/// What the timeline says and cannot be, in itself or beside the list of CPUs online.
pub(crate) fn contradiction(timeline: &Timeline, online: Option<&str>) -> Option<String> {
    let inconsistencies = timeline.check();
    if let Some(first) = inconsistencies.first() {
        let more = inconsistencies.len() - 1;
        return Some(match more {
            0 => first.to_string(),
            more => format!("{first}, and {more} more like this"),
        });
    }
    let listed = online.and_then(cpu_list)?;
    let up = timeline
        .cpus
        .iter()
        .filter(|cpu| matches!(cpu.outcome, Outcome::Boot | Outcome::Online))
        .map(|cpu| cpu.cpu);
    let up: BTreeSet<u32> = up.collect();
    (up != listed).then(|| {
        let odd: Vec<String> = up.symmetric_difference(&listed).map(u32::to_string).collect();
        format!(
            "the timeline and the kernel's list of CPUs online differ about CPU {}",
            odd.join(", ")
        )
    })
}

/// The CPUs of a list as `0-3,5`; `None` if it is none.
pub fn cpu_list(text: &str) -> Option<BTreeSet<u32>> {
    /// More CPUs than any kernel has; so that no text makes a list that does not fit into memory.
    const MOST: u32 = 1 << 16;
    let mut cpus = BTreeSet::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        if from > to || to > MOST {
            return None;
        }
        cpus.extend(from..=to);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::results::Clock;
    use crate::samples;

    const LOG: &str = "[    0.061002] smp: Bringing up secondary CPUs ...\n\
                       [    0.080963] smp: Brought up 1 node, 4 CPUs\n";

    fn setup(cpus: u32) -> Setup {
        Setup {
            arm: "p1".into(),
            cpus,
            parallel: Some(true),
            window: None,
            accel: "tcg".into(),
            clock: Clock::Icount,
            firmware: None,
        }
    }

    fn of(timeline: &Timeline, online: &str) -> Run {
        let text = timeline.to_string();
        let evidence = Evidence {
            timeline: Some(&text),
            kernel_log: Some(LOG),
            online: Some(online),
            console: "console",
            host_cpu: Some(Duration::from_millis(20)),
            failure: None,
        };
        run(setup(4), evidence)
    }

    fn detail(run: &Run) -> &str {
        run.failure.as_ref().map_or("none", |failure| failure.detail.as_str())
    }

    #[test]
    fn takes_every_figure() {
        let timeline = samples::parallel(4);
        let run = require_all_online(of(&timeline, "0-3\n"));
        assert!(run.ok, "{}", detail(&run));
        assert_eq!(run.bringup_ns, timeline.bringup_ns());
        assert_eq!(run.smp_ns, Some(19_961_000));
        assert_eq!((run.console_bytes, run.host_cpu_ns), (7, Some(20_000_000)));
        assert_eq!(run.per_cpu.len(), 4);
    }

    #[test]
    fn a_cpu_that_fails_is_a_failure_unless_it_was_asked_for() {
        assert!(require_none_failed(of(&samples::with_failure(2), "0")).ok);
        let failing = samples::with_failure(4);
        let run = require_none_failed(of(&failing, "0-2"));
        assert_eq!(detail(&run), "3 of 4 CPUs are up by the timeline: CPU 3 is never-arrived");
        let mut asked = of(&failing, "0-2");
        asked.faults = vec!["cpu=3,kind=never".into()];
        assert!(require_none_failed(asked).ok);
    }

    #[test]
    fn without_a_timeline_the_log_remains() {
        let evidence = Evidence { console: LOG, ..Evidence::default() };
        let run = run(setup(4), evidence);
        assert_eq!((run.ok, run.bringup_ns, run.smp_ns), (true, None, Some(19_961_000)));
        assert_eq!(run.parallel, Some(true));
        // A guest's log without the lines does not hide those of the console.
        let evidence =
            Evidence { console: LOG, kernel_log: Some("[ 1.0] later\n"), ..Evidence::default() };
        assert!(super::run(setup(4), evidence).smp_ns.is_some());
        assert_eq!(detail(&require_all_online(run)), "there is no timeline");
    }

    #[test]
    fn contradictions_are_failures() {
        let mut backwards = samples::parallel(4);
        backwards.cpus[2].alive = Some(1);
        let run = of(&backwards, "0-3");
        assert_eq!(run.failure.as_ref().map(|failure| failure.kind.as_str()), Some("timeline"));
        assert!(detail(&run).starts_with("CPU 2: alive (1 ns) is before entry"), "{run:?}");
        assert!(!run.per_cpu.is_empty());

        assert_eq!(
            detail(&of(&samples::parallel(4), "0,2-3")),
            "the timeline and the kernel's list of CPUs online differ about CPU 1"
        );
        let torn = Evidence { timeline: Some("# cpu"), ..Evidence::default() };
        assert!(detail(&super::run(setup(4), torn)).starts_with("timeline, line 1"));
    }

    #[test]
    fn a_known_failure_comes_first() {
        let text = samples::parallel(4).to_string();
        let evidence = Evidence {
            timeline: Some(&text),
            online: Some("0"),
            failure: Some(failure("warning", "WARNING: x".into())),
            ..Evidence::default()
        };
        let run = require_all_online(run(setup(5), evidence));
        assert_eq!(detail(&run), "WARNING: x");
        assert!(run.bringup_ns.is_some());
    }

    #[test]
    fn who_is_not_up_is_named() {
        let run = require_all_online(of(&samples::with_failure(8), "0-2,4,6"));
        assert_eq!(
            detail(&run),
            "5 of 4 CPUs are up by the timeline: CPU 3 is never-arrived, \
             CPU 5 is died(no 52-bit VA), CPU 7 is not-kicked"
        );
    }

    #[test]
    fn lists_of_cpus_are_read() {
        let list = |text| cpu_list(text).map(Vec::from_iter);
        assert_eq!(list("0-2,5\n"), Some(vec![0, 1, 2, 5]));
        assert_eq!(list("0"), Some(vec![0]));
        assert_eq!(list("\n"), Some(Vec::new()));
        for wrong in ["x", "3-1", "0-4294967295", "-1", "1-"] {
            assert_eq!(list(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_left_behind(timeline in any::<String>(), online in "[-0-9,x]{0,12}") {
            let evidence =
                Evidence { timeline: Some(&timeline), online: Some(&online), ..Evidence::default() };
            prop_assert!(!run(setup(4), evidence).ok);
            let _ = cpu_list(&online);
        }
    }
}
