// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The tables of a report, which its page and its mail have in common.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::duration::duration;
use super::{Arm, Report, Setting, Source, Total, Trend, range, signed_percent};
use crate::bench::{self, Breakdown, Conditions, Share};
use crate::fit::{Coefficient, Fit};
use crate::published::Measurement;
use crate::results::{Clock, Run};
use crate::timeline::Phase;

/// What stands where there is no figure.
pub const NONE: &str = "–";

/// A table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grid {
    /// What it is about.
    pub caption: String,
    /// What is to be known besides; may be empty.
    pub note: String,
    /// The names of its columns; that of the rows' names comes first.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// One cell for each column.
    pub cells: Vec<Cell>,
}

/// A cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// Its figure.
    pub text: String,
    /// What is to be said about that, the most important in the last line; may be empty.
    pub sub: String,
    /// The length of its bar, in percent.
    pub bar: Option<f64>,
    /// The colour of its bar.
    pub colour: usize,
    /// Whether it tells of a failure.
    pub failed: bool,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    fn time(ns: Option<u64>) -> Self {
        Self::text(ns.map_or_else(|| NONE.into(), duration))
    }
}

/// The colours of arms: by name, in the order in which they first occur, the same in all tables.
#[derive(Debug, Clone, Default)]
pub struct Colours(Vec<String>);

impl Colours {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// Those of all arms of the report.
    pub fn of(report: &Report<'_>) -> Self {
        let mut names: Vec<String> = Vec::new();
        let shown = report.settings.iter().flat_map(|setting| &setting.arms).map(|arm| &arm.name);
        let trends = report.trend.iter().flat_map(|trend| &trend.arms).map(|(name, _)| name);
        for name in shown.chain(trends) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Self(names)
    }

    /// The place of an arm among the colours.
    pub fn get(&self, name: &str) -> usize {
        self.0.iter().position(|known| known == name).unwrap_or(0) % Self::COUNT
    }
}

/// The arms of a setting side by side.
pub fn comparison(setting: &Setting<'_>) -> Grid {
    let mut rows = Vec::new();
    let mut row = |name: String, cell: &dyn Fn(&Arm<'_>) -> Cell| {
        rows.push(Row { name, cells: setting.arms.iter().map(cell).collect() });
    };
    row("runs".into(), &|arm| match arm.failed() {
        0 => Cell::text(arm.runs.len().to_string()),
        failed => Cell {
            sub: format!("{failed} failed"),
            failed: true,
            ..Cell::text(arm.runs.len().to_string())
        },
    });
    row("parallel, window".into(), &|arm| Cell::text(mode(arm)));
    if setting.arms.iter().any(|arm| arm.runs.iter().any(|run| run.coarse.is_some())) {
        row("times by".into(), &|arm| {
            let coarse = arm.runs.iter().filter(|run| run.coarse.is_some()).count();
            match (coarse, arm.runs.len()) {
                (0, _) => Cell::text("timeline"),
                (coarse, all) if coarse == all => Cell::text("kernel log: coarse"),
                (coarse, all) => Cell::text(format!("kernel log in {coarse} of {all}: coarse")),
            }
        });
    }
    if setting.arms.iter().any(|arm| arm.good().any(Run::has_hotplug)) {
        // Their timelines say how long all of that took, and not the boot.
        row("hotplug after the boot, left out by the timeline".into(), &|arm| match arm
            .good()
            .filter(|run| run.has_hotplug())
            .count()
        {
            0 => Cell::text("none"),
            some => Cell::text(format!("{some} of {} runs", arm.good().count())),
        });
    }
    for total in [Total::Timeline, Total::Log] {
        row(total.name().into(), &|arm| {
            let Some(sample) = arm.sample(total.figure()) else { return Cell::text(NONE) };
            let mut sub = Vec::new();
            sub.extend(range(sample.min, sample.max));
            sub.extend(setting.change(arm, total.figure()).map(|change| change.to_string()));
            Cell { sub: sub.join("\n"), ..Cell::time(Some(sample.median)) }
        });
    }
    if setting.arms.iter().any(|arm| arm.runs.iter().any(|run| run.failed_cpus().next().is_some()))
    {
        row("CPUs that failed, at most".into(), &|arm| {
            let failed = arm.runs.iter().map(|run| run.failed_cpus().count()).max().unwrap_or(0);
            Cell { failed: failed > 0, ..Cell::text(failed.to_string()) }
        });
    }
    row("console bytes, median".into(), &|arm| {
        let bytes = arm.sample(|run| Some(run.console_bytes));
        Cell::text(bytes.map_or_else(|| NONE.into(), |bytes| bytes.median.to_string()))
    });
    let is_measured = setting.arms.len() > 1 && setting.clock != Clock::Host;
    let note = match setting.baselines().as_slice() {
        [one] if is_measured => format!("Percentages are against {one}."),
        [_, ..] if is_measured => {
            "Percentages are against base of the same firmware and files or, without one, the first arm."
                .to_owned()
        }
        _ => String::new(),
    };
    Grid {
        caption: format!("{}, {}", setting.name(), setting.kind()),
        note: match setting
            .arms
            .iter()
            .any(|arm| arm.sample(Total::Timeline.figure()).is_some_and(|sample| sample.count > 1))
        {
            true => format!("Medians, with the range from smallest to largest. {note}"),
            false => note,
        },
        head: head("", setting),
        rows,
    }
}

fn head(first: &str, setting: &Setting<'_>) -> Vec<String> {
    std::iter::once(first.into()).chain(setting.arms.iter().map(|arm| arm.name.clone())).collect()
}

/// The mode of an arm's runs: `1, auto`.
fn mode(arm: &Arm<'_>) -> String {
    let mode = |run: &&Run| match (run.parallel, &run.window) {
        (None, None) => NONE.into(),
        (None, Some(window)) => format!("{NONE}, {window}"),
        (Some(parallel), None) => u8::from(parallel).to_string(),
        (Some(parallel), Some(window)) => format!("{}, {window}", u8::from(parallel)),
    };
    let modes: BTreeSet<String> = arm.runs.iter().map(mode).collect();
    Vec::from_iter(modes).join("; ")
}

/// The phases of a setting's arms; `None` if no run has a timeline.
pub fn phases(setting: &Setting<'_>, colours: &Colours) -> Option<Grid> {
    let mut rows = Vec::new();
    for phase in Phase::ALL {
        let medians: Vec<Option<u64>> =
            setting.arms.iter().map(|arm| arm.phase(phase).map(|sample| sample.median)).collect();
        let Some(largest) = medians.iter().flatten().max().copied() else { continue };
        let cells = setting.arms.iter().zip(medians).map(|(arm, median)| {
            let Some(median) = median else { return Cell::text(NONE) };
            let extremes: Vec<_> = arm.boots().filter_map(|run| run.phases.get(phase)).collect();
            let smallest = extremes.iter().min_by_key(|spread| spread.min);
            let widest = extremes.iter().max_by_key(|spread| spread.max);
            let whose =
                |cpu: Option<u32>| cpu.map_or_else(String::new, |cpu| format!(" (CPU {cpu})"));
            let sub = match (smallest, widest) {
                (Some(low), Some(high)) if range(low.min, high.max).is_some() => format!(
                    "{}{} to {}{}",
                    duration(low.min),
                    whose(low.min_cpu),
                    duration(high.max),
                    whose(high.max_cpu)
                ),
                _ => String::new(),
            };
            Cell {
                sub,
                bar: (setting.arms.len() > 1).then(|| share(median, largest)),
                colour: colours.get(&arm.name),
                ..Cell::time(Some(median))
            }
        });
        let (from, to) = phase.ends();
        rows.push(Row { name: format!("{from} to {to}"), cells: cells.collect() });
    }
    (!rows.is_empty()).then(|| Grid {
        caption: format!("{}, {}", setting.name(), setting.kind()),
        note: String::new(),
        head: head("phase", setting),
        rows,
    })
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 1000.0).round() / 10.0 }
}

/// Totals by number of CPUs and arm.
pub fn sweep(settings: &[&Setting<'_>]) -> Grid {
    let names = arm_names(settings);
    let rows = settings
        .iter()
        .map(|setting| {
            let total = setting.total().figure();
            let cells = names.iter().map(|name| {
                let Some(arm) = setting.arms.iter().find(|arm| arm.name == *name) else {
                    return Cell::text(NONE);
                };
                let mut cell = Cell::time(arm.sample(total).map(|sample| sample.median));
                let change = setting.change(arm, total);
                cell.sub = change.map(|change| signed_percent(change.percent)).unwrap_or_default();
                cell
            });
            Row { name: setting.cpus.to_string(), cells: cells.collect() }
        })
        .collect();
    Grid {
        caption: format!("Median {}", sweep_total(settings).name()),
        note: String::new(),
        head: std::iter::once("CPUs".to_owned()).chain(names).collect(),
        rows,
    }
}

/// The total that all settings of a sweep have.
pub fn sweep_total(settings: &[&Setting<'_>]) -> Total {
    match settings.iter().all(|setting| setting.total() == Total::Timeline) {
        true => Total::Timeline,
        false => Total::Log,
    }
}

/// The names of the arms of several settings, each once.
pub fn arm_names(settings: &[&Setting<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for arm in settings.iter().flat_map(|setting| &setting.arms) {
        if !names.contains(&arm.name) {
            names.push(arm.name.clone());
        }
    }
    names
}

/// Where the time of the typical run of each arm goes; `None` without timelines of a boot that went
/// well. Each moment is counted once, so that the shares add up to the total.
pub fn shares(setting: &Setting<'_>, colours: &Colours) -> Option<Grid> {
    let breakdown = |arm: &Arm<'_>| {
        let run = arm.typical().filter(|run| run.ok)?;
        Some((Breakdown::of(&run.per_cpu)?, run.boot_ns()?))
    };
    let all: Vec<Option<(Breakdown, u64)>> = setting.arms.iter().map(breakdown).collect();
    let largest = all.iter().flatten().map(|(_, total)| *total).max()?;
    let rows = Share::ALL.into_iter().map(|kind| {
        let cells = setting.arms.iter().zip(&all).map(|(arm, found)| {
            let Some((breakdown, total)) = found else { return Cell::text(NONE) };
            let ns = breakdown.ns(kind);
            Cell {
                sub: format!("{} % of its total", share(ns, *total)),
                bar: Some(share(ns, largest)),
                colour: colours.get(&arm.name),
                ..Cell::time(Some(ns))
            }
        });
        Row { name: kind.name().into(), cells: cells.collect() }
    });
    Some(Grid {
        caption: format!("Where the time goes: {}, {}", setting.name(), setting.kind()),
        note: "Of the run with the median total. Each moment is counted once.".into(),
        head: head("the control CPU", setting),
        rows: rows.collect(),
    })
}

/// The curve of each arm of a sweep, as `bench` has it; an arm with fewer than three CPU counts has
/// none.
pub fn fits<'a>(settings: &[&Setting<'a>]) -> Vec<(String, Fit)> {
    let total = sweep_total(settings);
    let fit = |name: String| {
        let of_arm = |setting: &&Setting<'a>| {
            let arm = setting.arms.iter().find(|arm| arm.name == name)?;
            let runs = arm.good().filter(|run| total.figure()(run).is_some());
            Some((setting.cpus, runs.collect::<Vec<_>>()))
        };
        let runs: Vec<(u32, Vec<&Run>)> = settings.iter().filter_map(of_arm).collect();
        let runs = runs.iter().map(|(cpus, runs)| (*cpus, runs.as_slice()));
        Some((name, bench::fit_of(total.of_bench(), runs).ok()?))
    };
    arm_names(settings).into_iter().filter_map(fit).collect()
}

/// What the curves say.
pub fn fit_table(fits: &[(String, Fit)]) -> Option<Grid> {
    fits.first()?;
    type Part = fn(&Fit) -> Coefficient;
    let parts: [(&str, Part); 3] = [
        ("a, independent of the CPUs", |fit| fit.constant),
        ("b, for each CPU", |fit| fit.linear),
        ("c, for each CPU and every other", |fit| fit.quadratic),
    ];
    let time = |ns: f64| {
        let sign = if ns < 0.0 { "\u{2212}" } else { "" };
        match ns.abs() {
            // Parts of a nanosecond are of interest where each counts N² times.
            ns if ns < 100.0 => format!("{sign}{ns:.2} ns"),
            ns => format!("{sign}{}", duration(ns as u64)),
        }
    };
    let mut rows: Vec<Row> = Vec::new();
    for (index, (name, part)) in parts.into_iter().enumerate() {
        let cells = fits.iter().map(|(_, fit)| {
            let coefficient = part(fit);
            let share = fit.percents().get(index).copied().unwrap_or(0.0);
            let interval = match coefficient.interval {
                Some(it) => format!("{} to {}", time(it.low), time(it.high)),
                None => "no interval".into(),
            };
            let sub = format!("{interval}\n{share} % at {} CPUs", fit.largest);
            Cell { sub: sub.replace('-', "\u{2212}"), ..Cell::text(time(coefficient.value)) }
        });
        rows.push(Row { name: name.into(), cells: cells.collect() });
    }
    let residual =
        |(_, fit): &(String, Fit)| Cell::text(format!("{:.1} %", fit.worst_residual * 100.0));
    rows.push(Row {
        name: "largest distance of a run from the curve".into(),
        cells: fits.iter().map(residual).collect(),
    });
    let intervals = match fits.iter().filter(|(_, fit)| fit.constant.interval.is_some()).count() {
        0 => ", without intervals: there are no more points than coefficients",
        all if all == fits.len() => ", with intervals of 95 %",
        _ => ", with intervals of 95 % where there are more points than coefficients",
    };
    Some(Grid {
        caption: "The curve: total = a + b N + c N²".into(),
        note: format!(
            "N is the number of CPUs that are started: all but the boot CPU. Least squares{intervals}."
        ),
        head: std::iter::once("part".to_owned())
            .chain(fits.iter().map(|(name, _)| name.clone()))
            .collect(),
        rows,
    })
}

/// What each curve says, in a sentence.
pub fn fit_verdicts(fits: &[(String, Fit)]) -> Vec<String> {
    fits.iter().map(|(name, fit)| format!("{name}: {fit}.")).collect()
}

/// What the hypervisor counted in a setting's runs; `None` if nobody did. Figures are medians over
/// the runs. Fields that this version does not know are shown by their names.
pub fn kvm(setting: &Setting<'_>) -> Option<Grid> {
    let counted: Vec<(&Arm<'_>, Vec<Value>)> = setting
        .arms
        .iter()
        .map(|arm| {
            let kvm = arm.good().filter_map(|run| serde_json::to_value(run.kvm.as_ref()?).ok());
            (arm, kvm.collect())
        })
        .filter(|(_, kvm): &(_, Vec<Value>)| !kvm.is_empty())
        .collect();
    if counted.is_empty() {
        return None;
    }
    let objects = || counted.iter().flat_map(|(_, kvm)| kvm);
    let keys = |value: Option<&Value>| -> BTreeSet<String> {
        value.and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned()).collect()
    };
    let classes: BTreeSet<String> = objects().flat_map(|kvm| keys(kvm.get("exits"))).collect();
    let mut classes: Vec<String> = classes.into_iter().collect();
    // Those that took most time first.
    let time = |class: &String| {
        let time = |kvm: &Value| kvm.get("exits")?.get(class)?.get("time_ns")?.as_u64();
        objects().filter_map(time).max().unwrap_or(0)
    };
    classes.sort_by_key(|class| std::cmp::Reverse(time(class)));
    let median = |kvm: &[Value], figure: &dyn Fn(&Value) -> Option<u64>| {
        super::Sample::of(kvm.iter().filter_map(figure)).map(|sample| sample.median)
    };
    let mut rows = Vec::new();
    for class in &classes {
        let cells = counted.iter().map(|(_, kvm)| {
            let field = |name: &'static str| {
                move |kvm: &Value| kvm.get("exits")?.get(class)?.get(name)?.as_u64()
            };
            let (count, time) = (median(kvm, &field("count")), median(kvm, &field("time_ns")));
            let sub = match (count, time) {
                (Some(count), Some(time)) if count > 0 => {
                    format!("{}, {} each", duration(time), duration(time / count))
                }
                _ => String::new(),
            };
            Cell { sub, ..Cell::text(count.map_or_else(|| NONE.into(), |count| count.to_string())) }
        });
        rows.push(Row { name: format!("{class} exits"), cells: cells.collect() });
    }
    let scalars: BTreeSet<String> = objects()
        .filter_map(Value::as_object)
        .flat_map(|map| map.iter().filter(|(_, value)| value.is_u64()).map(|(key, _)| key.clone()))
        .collect();
    for key in scalars.iter().filter(|key| *key != "repetition") {
        let cells = counted.iter().map(|(_, kvm)| {
            let figure = median(kvm, &|kvm| kvm.get(key)?.as_u64());
            match key.ends_with("_ns") {
                true => Cell::time(figure),
                false => {
                    Cell::text(figure.map_or_else(|| NONE.into(), |figure| figure.to_string()))
                }
            }
        });
        let name = key.strip_suffix("_ns").unwrap_or(key).replace('_', " ");
        rows.push(Row { name, cells: cells.collect() });
    }
    let names = counted.iter().map(|(arm, _)| arm.name.clone());
    Some(Grid {
        caption: format!("{}, {}", setting.name(), setting.kind()),
        note: "Medians over the runs.".into(),
        head: std::iter::once(String::new()).chain(names).collect(),
        rows,
    })
}

/// What `faults` found: cases by arms; `None` where the source is of something else.
pub fn faults(source: &Source) -> Option<Grid> {
    let text = |case: &Value, key: &str| {
        case.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (mut names, mut arms): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for case in source.cases() {
        for (key, list) in [("name", &mut names), ("arm", &mut arms)] {
            let value = text(case, key);
            if !list.contains(&value) {
                list.push(value);
            }
        }
    }
    if names.is_empty() {
        return None;
    }
    let rows = names.into_iter().map(|name| {
        let cells = arms.iter().map(|arm| {
            let mut cases = source.cases().iter();
            let case = cases.find(|case| text(case, "name") == name && text(case, "arm") == *arm);
            let Some(case) = case else { return Cell::text(NONE) };
            let result = text(case, "result");
            let wrong = case.get("wrong").and_then(Value::as_array);
            let wrong = wrong.into_iter().flatten().filter_map(Value::as_str);
            let mut sub: Vec<String> = wrong.map(str::to_owned).collect();
            if sub.is_empty() && result != "ok" {
                sub.push(text(case, "detail"));
            }
            let failed = result == "FAILED";
            Cell { sub: sub.join("\n"), failed, ..Cell::text(result) }
        });
        let cells = cells.collect();
        Row { name, cells }
    });
    Some(Grid {
        caption: format!("Faults, {}", source.name),
        note: "ok: the kernel did what it must. wrong: it is known not to, for the reason given. FAILED: it should have, but did not.".into(),
        head: std::iter::once("case".to_owned()).chain(arms.iter().cloned()).collect(),
        rows: rows.collect(),
    })
}

/// The figures of a trend.
pub fn trend(trend: &Trend) -> Grid {
    let rows = trend.nights.iter().enumerate().map(|(index, night)| {
        let outcomes = trend.arms.iter().map(|(_, outcomes)| {
            let Some(outcome) = outcomes.get(index).copied().flatten() else {
                return Cell::text(NONE);
            };
            let sub = outcome.failures().unwrap_or_default();
            let failed = !sub.is_empty();
            match outcome.sample {
                Some(sample) => Cell { sub, failed, ..Cell::text(sample.to_string()) },
                None if failed => Cell { sub, failed, ..Cell::text("failed") },
                None => Cell::text(NONE),
            }
        });
        let kernel = Cell { sub: night.changes.join("; "), ..Cell::text(night.kernel.clone()) };
        Row { name: night.started.clone(), cells: outcomes.chain([kernel]).collect() }
    });
    let names = trend.arms.iter().map(|(name, _)| name.clone());
    Grid {
        caption: format!("{}, {}", trend.setting, trend.total.name()),
        note: String::new(),
        head: std::iter::once("started".to_owned())
            .chain(names)
            .chain(["kernel, and what changed".to_owned()])
            .collect(),
        rows: rows.collect(),
    }
}

/// The failed runs of the earlier sources of a trend, by arm; `None` if there are none. Those of the
/// last one are shown in full.
pub fn earlier_failures(report: &Report<'_>) -> Option<Grid> {
    let mut rows = Vec::new();
    for source in report.earlier() {
        for group in bench::groups(&source.results.runs) {
            let of_group = |run: &&Run| {
                !run.ok && run.arm == group.arm && Conditions::of(run) == group.conditions
            };
            let mut failed = source.results.runs.iter().filter(of_group);
            let Some(first) = failed.next() else { continue };
            let cause = match &first.failure {
                Some(failure) => format!("{}: {}", failure.kind, failure.detail),
                None => "its file does not say why".into(),
            };
            let cells = [
                Cell::text(format!("{}, {}", group.arm, group.conditions)),
                Cell {
                    failed: true,
                    ..Cell::text(format!("{} of {}", group.failed, group.made()))
                },
                Cell::text(cause),
            ];
            rows.push(Row { name: source.results.manifest.started.clone(), cells: cells.into() });
        }
    }
    (!rows.is_empty()).then(|| Grid {
        caption: "Runs that failed earlier".into(),
        note: String::new(),
        head: ["started", "arm", "failed", "the first failure"].map(str::to_owned).to_vec(),
        rows,
    })
}

/// Totals that others have published.
pub fn published_totals(measurements: &[Measurement]) -> Grid {
    let rows = measurements.iter().map(|measurement| {
        let cells = Measurement::ARMS.iter().map(|arm| {
            let Some(total) = measurement.total_ms.get(*arm) else { return Cell::text(NONE) };
            // An emulator's times are compared with nothing.
            let ratio = measurement
                .ratio(arm)
                .filter(|_| *arm != "unpatched" && measurement.accel != "tcg");
            Cell {
                sub: ratio.map(|ratio| signed_percent((ratio - 1.0) * 100.0)).unwrap_or_default(),
                ..Cell::text(format!("{total} ms"))
            }
        });
        Row { name: measurement.machine.clone(), cells: cells.collect() }
    });
    Grid {
        caption: "Totals as published".into(),
        note: "Percentages are against unpatched.".into(),
        head: ["machine", "unpatched", "parallel=0", "parallel=1"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

/// Exits that others have published; `None` where they have not.
pub fn published_exits(measurement: &Measurement) -> Option<Grid> {
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    for (class, exits) in measurement.exits.values().flatten() {
        let time = times.entry(class).or_default();
        *time = (*time).max(exits.time_ns);
    }
    let mut classes: Vec<&str> = times.keys().copied().collect();
    classes.sort_by_key(|class| std::cmp::Reverse(times.get(class).copied()));
    if classes.is_empty() {
        return None;
    }
    let rows = classes.iter().map(|class| {
        let cells = Measurement::ARMS.iter().map(|arm| {
            let Some(exits) = measurement.exits.get(*arm).and_then(|exits| exits.get(*class))
            else {
                return Cell::text(NONE);
            };
            let each = exits.time_ns / exits.count.max(1);
            Cell {
                sub: format!("{}, {} each", duration(exits.time_ns), duration(each)),
                ..Cell::text(exits.count.to_string())
            }
        });
        Row { name: format!("{class} exits"), cells: cells.collect() }
    });
    Some(Grid {
        caption: format!("Exits as published, {}", measurement.machine),
        note: String::new(),
        head: ["class", "unpatched", "parallel=0", "parallel=1"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::report::markdown::markdown;
    use crate::render::report::{Mode, Source};
    use crate::results::Results;
    use crate::samples;

    /// Three repeats with each of these numbers of CPUs, which differ a little.
    fn repeats(cpus: &[u32], clock: Clock) -> Vec<Run> {
        let repeat = |cpus: u32, number: u64| {
            let mut run = samples::run("p1", &samples::parallel(cpus));
            run.clock = clock;
            run.bringup_ns = run.bringup_ns.map(|ns| ns + ns * number / 100);
            run
        };
        cpus.iter().flat_map(|&cpus| [0, 1, 2].map(|number| repeat(cpus, number))).collect()
    }

    fn source(runs: Vec<Run>) -> [Source; 1] {
        [Source::new("file", Results::new(samples::manifest(), runs))]
    }

    #[test]
    fn what_times_are_of_is_in_the_table() {
        let boot = samples::run("p1", &samples::parallel(4));
        let table = |runs: Vec<Run>| {
            let sources = source(runs);
            markdown(&Report::new(&sources, Mode::Compare, &[]))
        };
        let plain = table(vec![boot.clone()]);
        assert!(!plain.contains("coarse") && !plain.contains("hotplug"), "{plain}");
        let mut coarse = Run { arm: "old".into(), bringup_ns: None, ..boot.clone() };
        coarse.coarse = Some(crate::results::LogSpan { bringing_up: 1, brought_up: 9 });
        let text = table(vec![boot.clone(), coarse.clone()]);
        let row = text.lines().find(|line| line.starts_with("| times by ")).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells, ["", "times by", "timeline", "kernel log: coarse", ""]);
        let same_arm = Run { arm: "p1".into(), ..coarse };
        assert!(table(vec![boot.clone(), same_arm]).contains("kernel log in 1 of 2: coarse"));
        let later = Run { hotplug: true, ..boot.clone() };
        let text = table(vec![boot, later]);
        assert!(text.contains("| hotplug after the boot, left out by the timeline |"), "{text}");
        assert!(text.contains(" 1 of 2 runs |"), "{text}");
    }

    #[test]
    fn where_the_time_of_a_failed_run_went_is_not_told() {
        let mut failed = samples::run("p1", &samples::parallel(4));
        failed.ok = false;
        let sources = source(vec![samples::run("p0", &samples::serial(4)), failed]);
        let report = Report::new(&sources, Mode::Compare, &[]);
        let shares = shares(&report.settings[0], &Colours::default()).unwrap();
        assert_ne!(shares.rows[0].cells[0].text, NONE);
        assert_eq!(shares.rows[0].cells[1].text, NONE);
    }

    #[test]
    fn curves_are_those_of_bench() {
        for (cpus, clock, verdict) in [
            (&[4, 8, 16][..], Clock::Icount, "too few points to say how sure that is"),
            (&[4, 8, 16, 32], Clock::Icount, "cannot be told from zero"),
            (&[4, 8, 16], Clock::Counter, "cannot be told from zero"),
        ] {
            let runs = repeats(cpus, clock);
            let sources = source(runs.clone());
            let report = Report::new(&sources, Mode::Compare, &[]);
            let fits = fits(&report.sweeps()[0]);
            let groups = bench::groups(&runs);
            let of_bench = bench::fits(&groups).remove(0).2.unwrap();
            assert_eq!(fits, [("p1".to_owned(), of_bench)]);
            assert!(fit_verdicts(&fits)[0].contains(verdict), "{:?}", fit_verdicts(&fits));
        }
    }

    #[test]
    fn curves_have_their_intervals_or_say_that_there_are_none() {
        let text = |cpus: &[u32], clock| {
            let sources = source(repeats(cpus, clock));
            markdown(&Report::new(&sources, Mode::Compare, &[])).replace('\n', " ")
        };
        let few = text(&[4, 8, 16], Clock::Icount);
        assert!(few.contains("without intervals") && few.contains("(no interval, "), "{few}");
        assert!(few.contains("- p1: at 16 CPUs "), "{few}");
        let many = text(&[4, 8, 16], Clock::Counter);
        assert!(many.contains("with intervals of 95 %.") && many.contains(" us to "), "{many}");
        assert!(!many.contains("no interval"), "{many}");
    }
}
