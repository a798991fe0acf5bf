// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The report as Markdown that also reads well as plain text, for a mail or a cover letter: lines of
//! at most [`WIDTH`] characters, tables apart, whose columns are aligned.

use std::fmt::Write as _;

use super::Report;
use super::grid::{self, Colours, Grid};
use super::html::source_views;

/// Characters of a line.
pub const WIDTH: usize = 72;
/// Commands of the same kind that are shown.
const COMMANDS: usize = 3;

/// The report.
pub fn markdown(report: &Report<'_>) -> String {
    let mut text = String::new();
    heading(&mut text, 1, &report.heading());
    for caution in report.cautions() {
        paragraph(&mut text, caution);
    }
    for sweep in report.sweeps() {
        let kind = sweep.first().map(|setting| setting.kind()).unwrap_or_default();
        heading(&mut text, 2, &format!("Over the number of CPUs, {kind}"));
        table(&mut text, &grid::sweep(&sweep));
        let fits = grid::fits(&sweep);
        if let Some(mut curves) = grid::fit_table(&fits) {
            paragraph(&mut text, &format!("{}. {}", curves.caption, curves.note));
            // The intervals too, not the last line alone.
            for cell in curves.rows.iter_mut().flat_map(|row| &mut row.cells) {
                cell.sub = cell.sub.replace('\n', ", ");
            }
            table(&mut text, &curves);
            list(&mut text, &grid::fit_verdicts(&fits));
        }
    }
    for trend in &report.trend {
        heading(&mut text, 2, &format!("Over time: {}", trend.setting));
        table(&mut text, &grid::trend(trend));
    }
    let colours = Colours::default();
    for setting in &report.settings {
        let comparison = grid::comparison(setting);
        heading(&mut text, 2, &comparison.caption);
        table(&mut text, &comparison);
        if let Some(mut phases) = grid::phases(setting, &colours) {
            // Whose the extremes are would make lines too long for a mail.
            for cell in phases.rows.iter_mut().flat_map(|row| &mut row.cells) {
                cell.sub.clear();
            }
            paragraph(&mut text, "Medians of the phases over the CPUs:");
            table(&mut text, &phases);
        }
        if let Some(kvm) = grid::kvm(setting) {
            paragraph(&mut text, "What the hypervisor counted:");
            table(&mut text, &kvm);
        }
    }
    for faults in report.shown.iter().filter_map(|source| grid::faults(source)) {
        heading(&mut text, 2, &faults.caption);
        paragraph(&mut text, &faults.note);
        table(&mut text, &faults);
    }
    let failed: Vec<_> = report.runs().filter(|run| run.failure.is_some()).collect();
    let earlier = grid::earlier_failures(report);
    if !failed.is_empty() || earlier.is_some() {
        heading(&mut text, 2, "Failures");
        for run in &failed {
            let Some(failure) = &run.failure else { continue };
            let words =
                format!("- {}, {} CPUs: {}: {}", run.arm, run.cpus, failure.kind, failure.detail);
            wrapped(&mut text, &plain(&words), "  ");
        }
        if !failed.is_empty() {
            text.push('\n');
        }
        if let Some(earlier) = earlier {
            paragraph(&mut text, &format!("{}:", earlier.caption));
            table(&mut text, &earlier);
        }
    }
    if !report.published.is_empty() {
        heading(&mut text, 2, "Published by others");
        paragraph(&mut text, "Not measured here: other machines, other kernels, other patches.");
        for published in report.published {
            paragraph(&mut text, &published.source);
            table(&mut text, &grid::published_totals(&published.measurements));
            paragraph(&mut text, published.remarks.as_deref().unwrap_or_default());
        }
    }
    heading(&mut text, 2, "What was measured, and how to repeat it");
    for source in source_views(&report.shown) {
        // A command is one line, whatever its length.
        for command in source.commands.iter().take(COMMANDS) {
            let _ = writeln!(text, "    {}", plain(command));
        }
        match source.commands.len().saturating_sub(COMMANDS) {
            0 => text.push('\n'),
            more => {
                text.push('\n');
                paragraph(&mut text, &format!("and {more} more like these."));
            }
        }
        for (key, value) in source.facts {
            wrapped(&mut text, &plain(&format!("- {key}: {value}")), "  ");
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn heading(text: &mut String, level: usize, words: &str) {
    let _ = writeln!(text, "{} {}\n", "#".repeat(level), plain(words));
}

fn paragraph(text: &mut String, words: &str) {
    if !words.is_empty() {
        wrapped(text, &plain(words), "");
        text.push('\n');
    }
}

fn list(text: &mut String, items: &[String]) {
    for item in items {
        wrapped(text, &plain(&format!("- {item}")), "  ");
    }
    text.push('\n');
}

/// Adds `words` in lines of at most [`WIDTH`], those after the first with `indent` before them.
fn wrapped(text: &mut String, words: &str, indent: &str) {
    let mut line = String::new();
    for word in words.split_whitespace() {
        if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = indent.to_owned();
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// Adds a table: its columns are as wide as they must be, figures are at their right.
fn table(text: &mut String, grid: &Grid) {
    let cell = |cell: &grid::Cell| match cell.sub.lines().last() {
        None => plain(&cell.text),
        Some(sub) => plain(&format!("{} ({sub})", cell.text)),
    };
    let rows: Vec<Vec<String>> = grid
        .rows
        .iter()
        .map(|row| std::iter::once(plain(&row.name)).chain(row.cells.iter().map(cell)).collect())
        .collect();
    let head: Vec<String> = grid.head.iter().map(|name| plain(name)).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut line = |cells: &[String]| {
        for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let _ = match index {
                0 => write!(text, "| {cell:<width$} |"),
                _ => write!(text, " {cell:>width$} |"),
            };
        }
        text.push('\n');
    };
    line(&head);
    let rule = widths.iter().enumerate().map(|(index, width)| match index {
        0 => "-".repeat(*width),
        _ => format!("{}:", "-".repeat(width - 1)),
    });
    line(&rule.collect::<Vec<_>>());
    for row in &rows {
        line(row);
    }
    text.push('\n');
}

/// Text that is only text: no markup, no line ends.
fn plain(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '|' => '/',
            '<' => '\u{2039}',
            '>' => '\u{203a}',
            '`' => '\'',
            // Mails are safer with the plain ones.
            '\u{2212}' | '–' => '-',
            char if char.is_control() => ' ',
            char => char,
        })
        .collect()
}
