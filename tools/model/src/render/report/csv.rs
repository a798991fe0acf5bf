// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The runs for a spreadsheet: one line for each phase of each run, or for each of its CPUs. All
//! times are nanoseconds; an empty field is a figure that there is not.

use ::csv::Writer;
use thiserror::Error;

use super::Report;
use crate::results::Run;
use crate::timeline::{Phase, Stamp};

/// What a line is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lines {
    /// A phase of a run, or a run without phases.
    #[default]
    Phases,
    /// A CPU of a run.
    Cpus,
}

/// A text that could not be written.
#[derive(Debug, Error)]
#[error("cannot write CSV: {0}")]
pub struct Error(String);

const RUN: [&str; 13] = [
    "source",
    "run",
    "arm",
    "cpus",
    "parallel",
    "window",
    "accel",
    "clock",
    "firmware",
    "ok",
    "failure",
    "bringup_ns",
    "smp_ns",
];

/// The runs as CSV, with a line of names.
///
/// # Errors
///
/// None that these types can cause.
pub fn csv(report: &Report<'_>, lines: Lines) -> Result<String, Error> {
    let wrong = |error: &dyn std::fmt::Display| Error(error.to_string());
    let mut writer = Writer::from_writer(Vec::new());
    let mut write =
        |record: Vec<String>| writer.write_record(record).map_err(|error| wrong(&error));
    let names: Vec<&str> = match lines {
        Lines::Phases => vec!["phase", "min_ns", "median_ns", "max_ns", "min_cpu", "max_cpu"],
        Lines::Cpus => {
            let stamps = Stamp::ALL.map(Stamp::name);
            ["cpu", "mpidr", "node"].into_iter().chain(stamps).chain(["outcome"]).collect()
        }
    };
    write(RUN.into_iter().chain(names).map(str::to_owned).collect())?;
    for source in &report.sources {
        for (run, number) in source.results.runs.iter().zip(1_u32..) {
            for line in self::lines(run, lines) {
                write(about(&source.name, number, run).into_iter().chain(line).collect())?;
            }
        }
    }
    let bytes = writer.into_inner().map_err(|error| wrong(&error))?;
    String::from_utf8(bytes).map_err(|error| wrong(&error))
}

fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn about(source: &str, number: u32, run: &Run) -> Vec<String> {
    vec![
        inert(source),
        number.to_string(),
        inert(&run.arm),
        run.cpus.to_string(),
        or_empty(run.parallel.map(u8::from)),
        inert(run.window.as_deref().unwrap_or_default()),
        inert(&run.accel),
        run.clock.name().to_owned(),
        inert(run.firmware.as_deref().unwrap_or_default()),
        run.ok.to_string(),
        inert(run.failure.as_ref().map_or("", |failure| &failure.kind)),
        or_empty(run.bringup_ns),
        or_empty(run.smp_ns),
    ]
}

/// Text that no spreadsheet takes for a formula.
fn inert(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

fn lines(run: &Run, lines: Lines) -> Vec<Vec<String>> {
    match lines {
        Lines::Phases => {
            let phases = Phase::ALL.into_iter().filter_map(|phase| {
                let spread = run.phases.get(phase)?;
                let figures = [spread.min, spread.median, spread.max].map(|ns| ns.to_string());
                let cpus = [or_empty(spread.min_cpu), or_empty(spread.max_cpu)];
                Some(std::iter::once(phase.name().to_owned()).chain(figures).chain(cpus).collect())
            });
            let phases: Vec<Vec<String>> = phases.collect();
            if phases.is_empty() { vec![vec![String::new(); 6]] } else { phases }
        }
        Lines::Cpus => run
            .per_cpu
            .iter()
            .map(|cpu| {
                let stamps = Stamp::ALL.map(|stamp| or_empty(cpu.stamp(stamp)));
                [cpu.cpu.to_string(), format!("{:#x}", cpu.mpidr), or_empty(cpu.node)]
                    .into_iter()
                    .chain(stamps)
                    .chain([inert(&cpu.outcome.to_string())])
                    .collect()
            })
            .collect(),
    }
}
