// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs side by side: one column per run, one row per figure, so that arms compare along a line.

use comfy_table::{CellAlignment, Table, presets};

use super::duration::{duration, spread};
use crate::results::Run;
use crate::timeline::{Outcome, Phase};

/// What stands where there is no figure.
const NONE: &str = "-";

/// The runs as a table for a terminal or a log, with what must be known to read it below. Its width
/// depends on the runs alone, not on the terminal.
pub fn table(runs: &[Run]) -> String {
    with_notes(&build(runs), runs)
}

/// The table, then what is to be said about its figures, one line each.
fn with_notes(table: &Table, runs: &[Run]) -> String {
    let mut clocks: Vec<_> = runs.iter().map(|run| run.clock).collect();
    clocks.sort_unstable();
    clocks.dedup();
    let mut text = format!("{}\n", table.trim_fmt());
    for caution in clocks.iter().filter_map(|clock| clock.caution()) {
        text.push_str(caution);
        text.push('\n');
    }
    text
}

fn build(runs: &[Run]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let header = std::iter::once(String::new()).chain(runs.iter().map(|run| cell(&run.arm)));
    table.set_header(header);
    let mut row = |name: &str, figure: &dyn Fn(&Run) -> String| {
        let figures = runs.iter().map(|run| cell(&figure(run)));
        table.add_row(std::iter::once(name.to_owned()).chain(figures));
    };
    row("CPUs", &cpus);
    row("accel, clock", &|run| format!("{}, {}", run.accel, run.clock.name()));
    row("parallel, window", &|run| match (run.parallel, &run.window) {
        (None, _) => NONE.into(),
        (Some(parallel), None) => u8::from(parallel).to_string(),
        (Some(parallel), Some(window)) => format!("{}, {window}", u8::from(parallel)),
    });
    row("total by the timeline", &|run| time(run.bringup_ns));
    row("total by the log's smp: lines", &|run| time(run.smp_ns));
    for phase in Phase::ALL {
        let (from, to) = phase.ends();
        row(&format!("{from} to {to}, min/median/max"), &|run| {
            run.phases.get(phase).map_or_else(|| NONE.into(), spread)
        });
    }
    row("console bytes", &|run| run.console_bytes.to_string());
    row("result", &|run| match &run.failure {
        Some(failure) => failure.kind.clone(),
        None if run.ok => "ok".into(),
        None => "failed".into(),
    });
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn time(ns: Option<u64>) -> String {
    ns.map_or_else(|| NONE.into(), duration)
}

/// The number of CPUs, and how many of them are not up.
fn cpus(run: &Run) -> String {
    let failed = run.failed_cpus().count();
    let left_out = run
        .per_cpu
        .iter()
        .filter(|cpu| matches!(cpu.outcome, Outcome::Offline | Outcome::NotKicked))
        .count();
    let mut text = run.cpus.to_string();
    for (count, what) in [(failed, "failed"), (left_out, "not up")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// Text that stays within its cell, also in Markdown.
fn cell(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '|' => '/',
            char if char.is_control() => ' ',
            char => char,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Clock, Failure, Setup};
    use crate::samples;

    fn runs() -> Vec<Run> {
        let base = samples::run("base", &samples::serial(16));
        let p1 = samples::run("p1", &samples::parallel(16));
        let failed = samples::run("p1|x", &samples::with_failure(16)).with_failure(Failure {
            kind: "panic".into(),
            detail: "Kernel panic - not syncing".into(),
            console_tail: Vec::new(),
        });
        let mut pristine = Run::new(Setup {
            arm: "pristine".into(),
            cpus: 16,
            parallel: None,
            window: None,
            accel: "tcg".into(),
            clock: Clock::Host,
            firmware: None,
        });
        pristine.smp_ns = Some(3_961_000);
        pristine.ok = false;
        vec![pristine, base, p1, failed]
    }

    #[test]
    fn shows_runs_side_by_side() {
        samples::assert_snapshot("table", &table(&runs()));
    }

    #[test]
    fn every_line_of_the_table_is_as_wide() {
        let text = table(&runs()[1..3]);
        let widths: Vec<usize> = text
            .lines()
            .filter(|line| "┌│╞└".contains(line.chars().next().unwrap_or(' ')))
            .map(|line| line.chars().count())
            .collect();
        assert_eq!(widths.len(), 18);
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }

    #[test]
    fn takes_no_runs() {
        assert!(table(&[]).contains("CPUs"));
    }
}
