// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a bench or a comparison has found, as text for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::duration::duration;
use super::lab::COUNTS;
use crate::bench::{Figure, Group, difference, fits, groups, total_of};
use crate::compare::Pair;
use crate::inference::{CONFIDENCE, Difference, Summary, effect_in_words};
use crate::results::{Clock, Run};
use crate::stats::Spread;

/// What stands where there is no figure.
const NONE: &str = "-";

/// Arms side by side for each machine, what they differ by from the first, and the curves over the
/// CPU counts.
pub fn bench(runs: &[Run], seed: u64) -> String {
    let groups = groups(runs);
    let mut text = String::new();
    let mut rest = groups.as_slice();
    while let Some(first) = rest.first() {
        let end = rest.iter().position(|group| group.conditions != first.conditions);
        let (own, others) = rest.split_at(end.unwrap_or(rest.len()));
        machine(&mut text, own, seed);
        rest = others;
    }
    curves(&mut text, &groups);
    cautions(&mut text, runs);
    text
}

/// The groups of one machine. Nothing can fail here: `write!` to a string never does.
fn machine(text: &mut String, groups: &[Group<'_>], seed: u64) {
    let Some(first) = groups.first() else { return };
    let _ = writeln!(text, "\n{}", first.conditions);
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let arms = groups.iter().map(|group| group.arm.to_owned());
    table.set_header(std::iter::once("median, interval".to_owned()).chain(arms));
    let mut row = |name: String, cells: Vec<String>| {
        if cells.iter().any(|cell| cell != NONE) {
            table.add_row(std::iter::once(name).chain(cells));
        }
    };
    row("good runs".into(), groups.iter().map(good).collect());
    for figure in Figure::all() {
        let cells = groups.iter().map(|group| {
            group.summary(figure, seed).map_or_else(
                || NONE.into(),
                |it| cell(&it, group.is_counted() && figure.is_guests()),
            )
        });
        row(figure.to_string(), cells.collect());
    }
    for (name, count) in COUNTS {
        let counts = |group: &Group<'_>| {
            let of = |run: &&Run| Some((0, count(run.kvm.as_ref()?)?));
            Spread::of(group.good.iter().filter_map(of))
        };
        let cells = groups.iter().map(|group| match counts(group) {
            Some(Spread { min, median, max, .. }) if min != max => {
                format!("{median} ({min} to {max})")
            }
            Some(Spread { median, .. }) => median.to_string(),
            None => NONE.into(),
        });
        row(name.into(), cells.collect());
    }
    let total = total_of(&groups.iter().collect::<Vec<_>>());
    let spread = |of: &dyn Fn(&Summary) -> f64| {
        let cells = groups.iter().map(|group| {
            group.summary(total, seed).map_or_else(|| NONE.into(), |it| time(of(&it)))
        });
        cells.collect::<Vec<_>>()
    };
    row(format!("{total}: interquartile range"), spread(&|it| it.iqr));
    row(format!("{total}: median deviation"), spread(&|it| it.mad));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let _ = writeln!(text, "{}", table.trim_fmt());
    for group in &groups[1..] {
        if let Some(difference) = difference(first, group, total, seed) {
            let counted = first.is_counted() && group.is_counted();
            let _ = writeln!(
                text,
                "{} against {}, {total}: {}",
                group.arm,
                first.arm,
                in_words(&difference, counted)
            );
        }
    }
}

fn good(group: &Group<'_>) -> String {
    match group.failed {
        0 => group.good.len().to_string(),
        failed => format!("{}, {failed} failed", group.good.len()),
    }
}

/// The median and where it lies.
fn cell(summary: &Summary, counted: bool) -> String {
    match summary.interval {
        Some(interval) if !counted => {
            format!("{} [{}, {}]", time(summary.median), time(interval.low), time(interval.high))
        }
        _ => time(summary.median),
    }
}

fn time(ns: f64) -> String {
    // Above zero, and with less digits than would be lost.
    duration(ns.round() as u64)
}

/// As `+12.3 %`.
fn percent(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

fn in_words(difference: &Difference, counted: bool) -> String {
    let mut text = percent(difference.ratio);
    if counted {
        text.push_str(" (counted)");
        return text;
    }
    let Difference { p, delta, interval, .. } = difference;
    let Some(interval) = interval else {
        text.push_str(", too few runs to say how sure that is");
        return text;
    };
    let (low, high) = (percent(interval.low), percent(interval.high));
    let _ = write!(text, " [{low}, {high}] at {CONFIDENCE} %");
    let _ = write!(text, ", p {p:.3}, effect {} (delta {delta:+.2})", effect_in_words(*delta));
    text
}

fn curves(text: &mut String, groups: &[Group<'_>]) {
    for (arm, figure, fit) in fits(groups) {
        let Ok(fit) = fit else { continue };
        let _ = writeln!(text, "\n{arm}, {figure} = a + b N + c N², N CPUs started:");
        for (name, coefficient) in [("a", fit.constant), ("b", fit.linear), ("c", fit.quadratic)] {
            let _ = write!(text, "  {name} = {}", signed(coefficient.value));
            let _ = match coefficient.interval {
                Some(it) => writeln!(text, " [{}, {}]", signed(it.low), signed(it.high)),
                None => writeln!(text),
            };
        }
        let _ = writeln!(text, "  {fit}");
    }
}

/// A time that may be below zero.
fn signed(ns: f64) -> String {
    let sign = if ns < 0.0 { "-" } else { "" };
    match ns.abs() {
        small @ ..100.0 => format!("{sign}{small:.1} ns"),
        large => format!("{sign}{}", time(large)),
    }
}

/// What must be known to read the figures.
fn cautions(text: &mut String, runs: &[Run]) {
    let mut clocks: Vec<Clock> = runs.iter().map(|run| run.clock).collect();
    clocks.sort_unstable();
    clocks.dedup();
    if !clocks.is_empty() {
        text.push('\n');
    }
    for clock in clocks {
        if let Some(caution) = clock.caution() {
            let _ = writeln!(text, "{caution}");
        }
    }
    if runs.iter().any(Run::is_counted) {
        text.push_str(
            "icount: repeats differ only in their seed, so there are no intervals and no tests of \
             significance; a difference is what was counted.\n",
        );
    }
    if runs.iter().any(|run| run.clock == Clock::Icount && !run.is_counted()) {
        text.push_str(
            "KVM lab: each repeat starts at another point of the host's tick; intervals and tests \
             show how the host's scheduler responds to that.\n",
        );
    }
}

/// What two files differ by.
pub fn comparison(pairs: &[Pair]) -> String {
    let mut text = String::new();
    for pair in pairs {
        let _ = writeln!(text, "\n{}, {}", pair.arms(), pair.conditions);
        if pair.failed != (0, 0) {
            let (a, b) = pair.failed;
            let _ = writeln!(text, "failed runs, left out: {a} of A, {b} of B");
        }
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["median", "A", "B", "B against A"]);
        for row in &pair.rows {
            let difference = row.difference.as_ref();
            table.add_row([
                row.figure.to_string(),
                time(row.a.median),
                time(row.b.median),
                difference.map_or_else(
                    || NONE.into(),
                    |it| in_words(it, pair.counted && row.figure.is_guests()),
                ),
            ]);
        }
        for column in table.column_iter_mut().skip(1).take(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let _ = writeln!(text, "{}", table.trim_fmt());
        if pair.counted {
            text.push_str(
                "icount: a difference is what was counted; there is no test of significance.\n",
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare;
    use crate::results::{Exits, Kvm};
    use crate::samples;

    fn runs(clock: Clock) -> Vec<Run> {
        let mut runs = Vec::new();
        for cpus in [4, 8, 16, 32] {
            for repeat in 0..4 {
                for (arm, timeline) in
                    [("p0", samples::serial(cpus)), ("p1", samples::parallel(cpus))]
                {
                    let mut run = samples::run(arm, &timeline);
                    run.clock = clock;
                    run.bringup_ns = run.bringup_ns.map(|ns| ns + ns * repeat / 50);
                    runs.push(run);
                }
            }
        }
        runs
    }

    #[test]
    fn shows_arms_their_differences_and_curves() {
        samples::assert_snapshot("bench", &bench(&runs(Clock::Counter), 1));
    }

    #[test]
    fn counted_runs_claim_no_significance() {
        let text = bench(&runs(Clock::Icount)[..8], 1);
        assert!(text.contains("(counted)") && !text.contains(", p 0"), "{text}");
        assert!(text.contains("differ only in their seed"), "{text}");
        assert_eq!(bench(&[], 1), "");
    }

    #[test]
    fn the_labs_runs_are_samples_and_their_exits_are_shown() {
        let mut runs = runs(Clock::Icount)[..8].to_vec();
        for (run, count) in runs.iter_mut().zip(40..) {
            let mut kvm = Kvm { pcpus: Some(2), ..Kvm::default() };
            kvm.exits.insert("IRQ".into(), Exits::timed(count, 1000 * count));
            run.kvm = Some(kvm);
        }
        let text = bench(&runs, 1);
        assert!(!text.contains("(counted)") && text.contains(", p 0"), "{text}");
        assert!(!text.contains("differ only in their seed"), "{text}");
        assert!(text.contains("IRQ exits") && text.contains("(40 to "), "{text}");
    }

    #[test]
    fn shows_a_comparison() {
        let runs = runs(Clock::Counter);
        let arms = [("p0".to_owned(), "p1".to_owned())];
        let pairs = compare(&runs[..8], &runs[..8], &arms, 1).unwrap();
        samples::assert_snapshot("comparison", &comparison(&pairs));
    }
}
