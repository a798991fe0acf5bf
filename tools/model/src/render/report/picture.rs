// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The report's timelines alone, as a picture for a document.

use super::{Report, Setting};
use crate::render::svg::timelines;
use crate::results::Run;

/// The typical run of each arm, on one scale of time. `None` if no run has a timeline.
pub fn picture(report: &Report<'_>) -> Option<String> {
    let runs: Vec<Run> = report.settings.iter().flat_map(typical).collect();
    let heading = match report.settings.as_slice() {
        [setting] => format!("CPU bring-up: {}", setting.name()),
        _ => "CPU bring-up".to_owned(),
    };
    (!runs.is_empty()).then(|| timelines(&heading, &runs))
}

/// Named as in the report's tables.
fn typical(setting: &Setting<'_>) -> Vec<Run> {
    let run = |arm: &super::Arm<'_>| Some(Run { arm: arm.name.clone(), ..arm.typical()?.clone() });
    setting.arms.iter().filter_map(run).collect()
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
    fn there_is_none_of_runs_without_timelines() {
        let mut run = samples::run("base", &samples::serial(4));
        run.per_cpu.clear();
        assert_eq!(of(vec![run]), None);
    }
}
