// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The timeline of one run for the page: a picture that stands for itself, and beside it the table
//! of its exact times, from which the page's script draws what is zoomed in on.

use std::fmt::Write as _;

use super::super::duration::{Unit, duration};
use super::super::svg;
use crate::results::{LogSpan, Run};
use crate::timeline::{Cpu, Outcome, Stamp};

/// Units of the picture's width.
const WIDTH: f64 = 10_000.0;
/// Units of a row's height; the script has the same.
const ROW: usize = 10;
/// Pixels for all rows, as long as each row stays within its bounds.
const ROWS: f64 = 420.0;
const ROW_MIN: f64 = 1.5;
const ROW_MAX: f64 = 16.0;
/// Pixels between two numbers of CPUs.
const NUMBER: f64 = 15.0;
/// A timeline that fills less than one part in so many of its picture's width is drawn once more.
const LEGIBLE: u64 = 20;

/// The classes of spans in the order in which they are drawn, each with the words of the legend.
pub const LEGEND: [(&str, &str); 7] = [
    ("kick", "kick to entry: firmware"),
    ("entry", "entry to alive: early boot"),
    ("alive", "alive to release: waiting"),
    ("release", "release to starting"),
    ("starting", "starting to online"),
    ("online", "online to active"),
    ("call", "kick to kicked: the call, on the boot CPU's row"),
];

/// The timeline of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The arm.
    pub name: String,
    /// What is shown, for those who do not see it.
    pub description: String,
    /// How many rows.
    pub rows: usize,
    /// The height of all rows, in pixels.
    pub height: f64,
    /// The height of all rows, in units of the picture.
    pub units: usize,
    /// One path for each class of spans that occurs.
    pub spans: Vec<(&'static str, String)>,
    /// Marks of CPUs that failed, or of log lines; dots like those of a chart.
    pub dots: Vec<(&'static str, String)>,
    /// Lines behind.
    pub grid: String,
    /// Labels of the time axis: percent from the left, and text.
    pub ticks: Vec<(f64, String)>,
    /// Numbers of CPUs: percent from the top, and number.
    pub numbers: Vec<(f64, u32)>,
    /// The total: percent from the left, and text.
    pub total: Option<(f64, String)>,
    /// The total in nanoseconds.
    pub total_ns: Option<u64>,
    /// The clock's time at the left edge, in nanoseconds.
    pub zero: u64,
    /// The time from the left edge to the right one, in nanoseconds.
    pub end: u64,
    /// CPUs that failed, with their outcome.
    pub failures: Vec<String>,
    /// The exact times, by CPU.
    pub table: Vec<Row>,
    /// The names of the columns of times.
    pub columns: Vec<&'static str>,
    /// Whether the times are those of the log.
    pub coarse: bool,
    /// What must be known of the run: that it failed, or that it shows more than the boot.
    pub marks: Vec<String>,
    /// How much time the whole width is, for people.
    pub scale: String,
    /// What the page knows it by.
    pub id: String,
    /// The panel whose table this one has too, where it is the same run on another scale.
    pub table_of: Option<String>,
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Logical number.
    pub cpu: u32,
    /// MPIDR, hexadecimal.
    pub mpidr: String,
    /// NUMA node.
    pub node: String,
    /// Nanoseconds from the left edge; empty where the CPU did not get there.
    pub times: Vec<String>,
    /// What became of it.
    pub outcome: String,
    /// Whether that is a failure.
    pub failed: bool,
}

/// The time at which a run's picture begins.
fn zero(run: &Run) -> Option<u64> {
    match run.coarse {
        Some(LogSpan { bringing_up, .. }) => Some(bringing_up),
        None => run.first_kick(),
    }
}

/// How long a run's picture has to be, in nanoseconds.
pub fn length(run: &Run) -> Option<u64> {
    let zero = zero(run)?;
    let stamps = run.per_cpu.iter().flat_map(|cpu| Stamp::ALL.map(|stamp| cpu.stamp(stamp)));
    let span = run.coarse.map(|span| span.brought_up);
    stamps.flatten().chain(span).max()?.checked_sub(zero).filter(|length| *length > 0)
}

/// Which of timelines with these lengths are to be drawn on one scale: first all of them, then once
/// more those that show next to nothing there, and so on.
pub fn scales(lengths: &[u64]) -> Vec<Vec<usize>> {
    let mut scales = Vec::new();
    let mut rest: Vec<usize> = (0..lengths.len()).collect();
    let length = |index: &usize| lengths.get(*index).copied().unwrap_or(0);
    while let Some(longest) = rest.iter().map(length).max() {
        let short = |index: &usize| length(index).saturating_mul(LEGIBLE) < longest;
        let next = rest.iter().copied().filter(short).collect();
        scales.push(std::mem::replace(&mut rest, next));
    }
    scales
}

/// The timeline of `run` on a scale that ends at `end` nanoseconds; `None` if it has none.
pub fn panel(name: &str, run: &Run, end: u64) -> Option<Panel> {
    let zero = zero(run)?;
    let scale = duration(end);
    // A little room after the latest time, for its mark.
    let end = end.saturating_add(end / 60).max(1);
    let rows = run.per_cpu.len();
    if rows == 0 {
        return None;
    }
    let coarse = run.coarse.is_some();
    let columns = if coarse { vec![Stamp::Online] } else { Stamp::ALL.to_vec() };
    let picture = Picture { zero, end, rows };
    let height = (ROWS / rows as f64).clamp(ROW_MIN, ROW_MAX) * rows as f64;
    let ticks = svg::ticks(end, 8);
    let unit = Unit::of(ticks.last().copied().unwrap_or(0));
    let label = |ns: u64| match ns {
        0 => "0".to_owned(),
        _ => format!("{} {}", ns as f64 / unit.ns() as f64, unit.symbol()),
    };
    let grid = ticks.iter().fold(String::new(), |mut grid, ns| {
        let _ = write!(grid, "M{} 0v{}", picture.x(*ns).round(), ROW * rows);
        grid
    });
    let total = match run.coarse {
        Some(span) => span.brought_up.checked_sub(span.bringing_up),
        None => run.boot_ns(),
    };
    let marks = marks(run);
    let failures: Vec<String> =
        run.failed_cpus().map(|cpu| format!("CPU {}: {}", cpu.cpu, cpu.outcome)).collect();
    Some(Panel {
        name: name.to_owned(),
        description: describe(name, run, total, &marks, &failures),
        rows,
        height: height.round(),
        units: ROW * rows,
        spans: if coarse { Vec::new() } else { picture.spans(&run.per_cpu) },
        dots: picture.dots(&run.per_cpu, coarse),
        grid,
        ticks: ticks.iter().map(|ns| (picture.percent(*ns), label(*ns))).collect(),
        numbers: numbers(&run.per_cpu, height),
        total: total.map(|ns| (picture.percent(ns), duration(ns))),
        total_ns: total,
        zero,
        end,
        failures,
        table: run.per_cpu.iter().map(|cpu| row(cpu, zero, &columns)).collect(),
        columns: columns.into_iter().map(Stamp::name).collect(),
        coarse,
        marks,
        scale,
        id: String::new(),
        table_of: None,
    })
}

fn marks(run: &Run) -> Vec<String> {
    let mut marks = Vec::new();
    if !run.ok {
        let kind = run.failure.as_ref().map_or("no cause is known", |failure| &failure.kind);
        marks.push(format!("this run failed: {kind}"));
    }
    if run.coarse.is_some() {
        marks.push("coarse: by the kernel log, to the microsecond".to_owned());
    }
    if run.has_hotplug() {
        marks.push("CPUs came up after the boot too: this is the last bring-up of each".to_owned());
    }
    marks
}

fn describe(
    name: &str,
    run: &Run,
    total: Option<u64>,
    marks: &[String],
    failures: &[String],
) -> String {
    let mut words = format!("{name}: {} CPUs", run.cpus);
    match total {
        Some(total) => words.push_str(&format!(", brought up in {}", duration(total))),
        None => words.push_str(", no total"),
    }
    for mark in marks {
        words.push_str(&format!(", {mark}"));
    }
    for failure in failures.iter().take(4) {
        words.push_str(&format!(", {failure}"));
    }
    if failures.len() > 4 {
        words.push_str(&format!(" and {} more", failures.len() - 4));
    }
    words
}

fn numbers(cpus: &[Cpu], height: f64) -> Vec<(f64, u32)> {
    let row = height / cpus.len() as f64;
    let mut every = 1;
    while row * f64::from(every) < NUMBER && every < 1 << 20 {
        every *= 2;
    }
    let place =
        |index: usize| ((index as f64 + 0.5) / cpus.len() as f64 * 10_000.0).round() / 100.0;
    let numbered = cpus.iter().enumerate().step_by(every as usize);
    numbered.map(|(index, cpu)| (place(index), cpu.cpu)).collect()
}

fn row(cpu: &Cpu, zero: u64, columns: &[Stamp]) -> Row {
    let time = |stamp: &Stamp| {
        let ns = i128::from(cpu.stamp(*stamp)?) - i128::from(zero);
        Some(ns.to_string())
    };
    Row {
        cpu: cpu.cpu,
        mpidr: format!("{:#x}", cpu.mpidr),
        node: cpu.node.map(|node| node.to_string()).unwrap_or_default(),
        times: columns.iter().map(|stamp| time(stamp).unwrap_or_default()).collect(),
        outcome: cpu.outcome.to_string(),
        failed: cpu.outcome.is_failure(),
    }
}

struct Picture {
    zero: u64,
    end: u64,
    rows: usize,
}

impl Picture {
    fn x(&self, ns: u64) -> f64 {
        ns as f64 / self.end as f64 * WIDTH
    }

    fn percent(&self, ns: u64) -> f64 {
        (self.x(ns) / WIDTH * 10_000.0).round() / 100.0
    }

    /// Top and height of what is drawn in a row: rows that are thick enough stand apart.
    fn band(&self, index: usize) -> (usize, usize) {
        match self.rows {
            0..=64 => (index * ROW + 1, ROW - 2),
            _ => (index * ROW, ROW),
        }
    }

    /// Adds a rectangle to `path`, in whole units; one that is narrower is left out, as it cannot
    /// be seen.
    fn span(&self, path: &mut String, index: usize, from: u64, to: u64) {
        let (Some(from), Some(to)) = (from.checked_sub(self.zero), to.checked_sub(self.zero))
        else {
            return;
        };
        let (x, right) = (self.x(from).round(), self.x(to).round());
        if right > x && right <= 2.0 * WIDTH {
            let ((y, height), width) = (self.band(index), right - x);
            let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z");
        }
    }

    fn spans(&self, cpus: &[Cpu]) -> Vec<(&'static str, String)> {
        let mut paths: Vec<(&'static str, String)> =
            LEGEND.iter().map(|(class, _)| (*class, String::new())).collect();
        let mut add = |class: &str, index, from, to| {
            if let Some((_, path)) = paths.iter_mut().find(|(name, _)| *name == class) {
                self.span(path, index, from, to);
            }
        };
        let boot = cpus.iter().position(|cpu| cpu.outcome == Outcome::Boot);
        for (index, cpu) in cpus.iter().enumerate() {
            if cpu.outcome == Outcome::Boot {
                continue;
            }
            let reached =
                Stamp::SEQUENCE.into_iter().filter_map(|stamp| Some((stamp, cpu.stamp(stamp)?)));
            let reached: Vec<(Stamp, u64)> = reached.collect();
            for pair in reached.windows(2) {
                if let [(stamp, from), (_, to)] = pair {
                    add(stamp.name(), index, *from, *to);
                }
            }
            if let (Some(boot), Some(from), Some(to)) = (boot, cpu.kick, cpu.kicked) {
                add("call", boot, from, to);
            }
        }
        paths.retain(|(_, path)| !path.is_empty());
        paths
    }

    fn dots(&self, cpus: &[Cpu], coarse: bool) -> Vec<(&'static str, String)> {
        let (mut failed, mut spoke) = (String::new(), String::new());
        for (index, cpu) in cpus.iter().enumerate() {
            let last = Stamp::ALL.into_iter().filter_map(|stamp| cpu.stamp(stamp)).max();
            let x = self.x(last.unwrap_or(self.zero).saturating_sub(self.zero)).round();
            let y = index * ROW + ROW / 2;
            if cpu.outcome.is_failure() {
                let _ = write!(failed, "M{x} {y}h0");
            } else if coarse && last.is_some() {
                let _ = write!(spoke, "M{x} {y}h0");
            }
        }
        let mut dots = vec![("failed", failed), ("spoke", spoke)];
        dots.retain(|(_, path)| !path.is_empty());
        dots
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    #[test]
    fn every_time_is_in_the_table_and_every_phase_in_the_picture() {
        let run = samples::run("p1", &samples::with_failure(8));
        let length = length(&run).unwrap();
        let panel = panel("p1", &run, length).unwrap();
        assert_eq!((panel.rows, panel.units), (8, 80));
        assert_eq!(
            panel.spans.iter().map(|(class, _)| *class).collect::<Vec<_>>(),
            LEGEND.map(|(class, _)| class)
        );
        // Rows 1, 2, 4 and 6 came up.
        let rectangles = |class: &str| {
            panel
                .spans
                .iter()
                .find(|(name, _)| *name == class)
                .map_or(0, |(_, path)| path.matches('M').count())
        };
        assert_eq!((rectangles("online"), rectangles("call")), (4, 6));
        assert_eq!(panel.failures, ["CPU 3: never-arrived", "CPU 5: died(no 52-bit VA)"]);
        assert_eq!(panel.dots.len(), 1);
        assert_eq!(panel.table[1].times[0], "0");
        assert_eq!(panel.table[1].times.len(), 8);
        assert_eq!(panel.table[3].times.iter().filter(|time| time.is_empty()).count(), 6);
    }

    #[test]
    fn what_is_too_short_to_be_seen_has_a_scale_of_its_own() {
        assert_eq!(scales(&[]), [[0; 0]; 0]);
        assert_eq!(scales(&[1144, 1144, 79]), [[0, 1, 2]]);
        assert_eq!(scales(&[40_900, 135, 40_800, 130]), [vec![0, 1, 2, 3], vec![1, 3]]);
        assert_eq!(scales(&[40_000, 1_000, 3]), [vec![0, 1, 2], vec![1, 2], vec![2]]);
        assert_eq!(scales(&[20, 1]), [[0, 1]]);
        assert_eq!(scales(&[u64::MAX, 0]).len(), 2);
    }

    #[test]
    fn a_run_that_failed_or_went_on_is_marked() {
        let boot = samples::run("p1", &samples::parallel(4));
        let marked = |run: &Run| panel("p1", run, length(run).unwrap()).unwrap();
        assert_eq!(marked(&boot).marks, [""; 0]);
        assert_eq!(marked(&boot).scale, duration(length(&boot).unwrap()));
        let mut failed = boot.clone();
        failed.ok = false;
        assert_eq!(marked(&failed).marks, ["this run failed: no cause is known"]);
        assert!(marked(&failed).description.contains("this run failed"));
        let later = Run { hotplug: true, ..boot };
        let panel = marked(&later);
        assert!(panel.marks[0].starts_with("CPUs came up after the boot too"));
        assert_eq!((panel.total, panel.total_ns), (None, None));
    }

    #[test]
    fn many_cpus_make_no_large_picture() {
        let run = samples::run("p1", &samples::parallel(512));
        let panel = panel("p1", &run, length(&run).unwrap()).unwrap();
        let picture: usize = panel.spans.iter().map(|(_, path)| path.len()).sum();
        assert!(picture < 100_000, "{picture}");
        assert_eq!((panel.height, panel.numbers.len()), (768.0, 32));
    }

    #[test]
    fn a_log_has_dots() {
        let mut run = samples::run("p1", &samples::parallel(4));
        for cpu in &mut run.per_cpu {
            *cpu = Cpu {
                kick: None,
                kicked: None,
                entry: None,
                alive: None,
                release: None,
                starting: None,
                active: None,
                ..cpu.clone()
            };
        }
        run.coarse = Some(LogSpan { bringing_up: 84_000_000, brought_up: 87_000_000 });
        let panel = panel("p1", &run, length(&run).unwrap()).unwrap();
        assert!(panel.coarse && panel.spans.is_empty());
        assert_eq!(panel.dots[0].1.matches('M').count(), 3);
        assert_eq!(
            (panel.columns.as_slice(), panel.total.unwrap().1.as_str()),
            (["online"].as_slice(), "3.00 ms")
        );
    }

    proptest! {
        #[test]
        fn any_stamps_can_be_drawn(
            stamps in prop::collection::vec(any::<[Option<u64>; 8]>(), 1..20), end: u64,
            coarse in any::<Option<(u64, u64)>>(),
        ) {
            let mut timeline = samples::with_failure(20);
            for (cpu, stamps) in timeline.cpus.iter_mut().zip(stamps) {
                [cpu.kick, cpu.kicked, cpu.entry, cpu.alive, _, _, _, _] = stamps;
                [_, _, _, _, cpu.release, cpu.starting, cpu.online, cpu.active] = stamps;
            }
            let mut run = samples::run("p1", &timeline);
            run.coarse = coarse.map(|(bringing_up, brought_up)| LogSpan { bringing_up, brought_up });
            let _ = length(&run);
            if let Some(panel) = panel("p1", &run, end) {
                let all = format!("{panel:?}");
                prop_assert!(!all.contains("NaN"));
            }
        }
    }
}
