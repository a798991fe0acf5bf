// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The report's timelines alone, as a picture for a document.

use super::{Report, Setting, panel};
use crate::render::svg;
use crate::results::Run;

/// The typical run of each arm, those with the same firmware on one scale of time, and once more those
/// that show nothing on it. `None` if no run has a timeline.
pub fn picture(report: &Report<'_>) -> Option<String> {
    let groups: Vec<Vec<Run>> = report.settings.iter().flat_map(typical).collect();
    let heading = match report.settings.as_slice() {
        [setting] => format!("CPU bring-up: {}", setting.name()),
        _ => "CPU bring-up".to_owned(),
    };
    (!groups.is_empty()).then(|| svg::groups(&heading, &groups))
}

/// By their scales, and named as in the report's tables.
fn typical(setting: &Setting<'_>) -> Vec<Vec<Run>> {
    let mut groups = Vec::new();
    for alike in setting.alike() {
        let lengths: Vec<u64> =
            alike.runs.iter().map(|(_, run)| panel::length(run).unwrap_or(0)).collect();
        for (number, indices) in panel::scales(&lengths).into_iter().enumerate() {
            let named = |index: usize| {
                let (arm, run) = alike.runs.get(index)?;
                let again = if number > 0 { ", larger" } else { "" };
                Some(Run { arm: format!("{}{again}", arm.name), ..(*run).clone() })
            };
            groups.push(indices.into_iter().filter_map(named).collect());
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::report::{Mode, Source};
    use crate::results::Results;
    use crate::samples;

    fn of(runs: Vec<Run>) -> Option<String> {
        let text = Results::new(samples::manifest(), runs).to_json().unwrap();
        let sources = Source::read("sample", &text).unwrap();
        picture(&Report::new(&sources, Mode::Compare, &[]))
    }

    #[test]
    fn has_one_panel_for_each_arm() {
        let mut again = samples::run("p1", &samples::parallel(4));
        again.repeat = Some(1);
        let runs = vec![
            samples::run("p0", &samples::serial(4)),
            samples::run("p1", &samples::parallel(4)),
            again,
        ];
        let text = of(runs).unwrap();
        assert_eq!(text.matches("p0: 4 CPUs").count(), 1);
        assert_eq!(text.matches("p1: 4 CPUs").count(), 1);
    }

    #[test]
    fn short_timelines_are_drawn_once_more() {
        let mut long = samples::serial(4);
        for cpu in &mut long.cpus {
            cpu.active = cpu.active.map(|at| at + 1_000_000_000);
        }
        let runs = vec![samples::run("p0", &long), samples::run("p1", &samples::parallel(4))];
        let text = of(runs).unwrap();
        assert!(text.contains("p1 · 4 CPUs") && text.contains("p1, larger · 4 CPUs"), "{text}");
        assert!(!text.contains("p0, larger"));
    }

    #[test]
    fn there_is_none_of_runs_without_timelines() {
        let mut run = samples::run("base", &samples::serial(4));
        run.per_cpu.clear();
        assert_eq!(of(vec![run]), None);
    }
}
