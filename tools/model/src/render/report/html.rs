// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The report as one page that needs nothing else. The template escapes whatever stands in it;
//! beyond that, the page's policy lets no script run but the one that its hash names.

use std::collections::BTreeSet;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::super::duration::duration;
use super::chart::{Chart, Curve, Data, SeriesData, chart};
use super::grid::{self, Colours, Grid};
use super::panel::{self, Panel};
use super::{Alike, Course, Night, Outcome, Report, Setting, Source, Trend, first_and_more, range};
use crate::fit::Fit;
use crate::results::{Clock, Run};

const CSS: &str = include_str!("../../../templates/report.css");
const SCRIPT: &str = include_str!("../../../templates/report.js");

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    policy: String,
    css: &'static str,
    script: &'static str,
    title: String,
    facts: Vec<String>,
    cautions: Vec<&'static str>,
    contents: Vec<(&'static str, &'static str)>,
    cards: Vec<Card>,
    cards_note: String,
    comparisons: Vec<Grid>,
    scaling: Vec<Sweep>,
    trends: Vec<TrendView>,
    legend: [(&'static str, &'static str); 7],
    timelines: Vec<Group>,
    phases: Vec<Grid>,
    kvm: Vec<Grid>,
    faults: Vec<Grid>,
    failures: Vec<FailureView>,
    earlier_failures: Option<Grid>,
    published: Vec<Publication>,
    sources: Vec<SourceView>,
}

/// An arm in large letters.
struct Card {
    name: String,
    colour: usize,
    figure: String,
    detail: String,
    change: String,
}

struct Sweep {
    name: String,
    chart: Chart,
    table: Grid,
    fits: Option<Grid>,
    verdicts: Vec<String>,
}

struct TrendView {
    name: String,
    charts: Vec<Chart>,
    table: Grid,
}

struct Group {
    id: String,
    name: String,
    kind: String,
    open: bool,
    scales: Vec<Scale>,
}

/// Panels of one scale.
struct Scale {
    /// What is to be said of it; may be empty.
    note: String,
    panels: Vec<Panel>,
}

struct FailureView {
    title: String,
    cause: String,
    cpus: Vec<String>,
    console: String,
}

struct Publication {
    source: String,
    remarks: String,
    tables: Vec<Grid>,
}

/// Sources of which the same is to be said.
pub struct SourceView {
    /// What they are called.
    pub name: String,
    /// Their commands, each once.
    pub commands: Vec<String>,
    /// What their manifests say.
    pub facts: Vec<(String, String)>,
    patches: Vec<String>,
}

/// The report as a page.
///
/// # Errors
///
/// None that these types can cause.
pub fn page(report: &Report<'_>) -> Result<String, askama::Error> {
    let colours = Colours::of(report);
    let mut page = Page {
        policy: policy(),
        css: CSS.trim_end(),
        script: SCRIPT,
        title: report.heading(),
        facts: facts(report),
        cautions: report.cautions(),
        contents: Vec::new(),
        cards: report.settings.last().map(|setting| cards(setting, &colours)).unwrap_or_default(),
        cards_note: report.settings.last().map(cards_note).unwrap_or_default(),
        comparisons: report.settings.iter().map(grid::comparison).collect(),
        scaling: report.sweeps().iter().filter_map(|sweep| scaling(sweep, &colours)).collect(),
        trends: report.trend.iter().map(|trend| trend_view(trend, &colours)).collect(),
        legend: panel::LEGEND,
        timelines: timelines(report),
        phases: phases(report, &colours),
        kvm: report.settings.iter().filter_map(grid::kvm).collect(),
        faults: report.shown.iter().filter_map(|source| grid::faults(source)).collect(),
        failures: failures(report),
        earlier_failures: grid::earlier_failures(report),
        published: report.published.iter().map(publication).collect(),
        sources: source_views(&report.shown),
    };
    let sections = [
        ("arms", "Arms", !page.comparisons.is_empty()),
        ("scaling", "Over CPUs", !page.scaling.is_empty()),
        ("trend", "Over time", !page.trends.is_empty()),
        ("timelines", "Timelines", !page.timelines.is_empty()),
        ("phases", "Phases", !page.phases.is_empty()),
        ("kvm", "Hypervisor", !page.kvm.is_empty()),
        ("faults", "Faults", !page.faults.is_empty()),
        ("failures", "Failures", !page.failures.is_empty() || page.earlier_failures.is_some()),
        ("published", "Published by others", !page.published.is_empty()),
        ("manifest", "What and how", true),
    ];
    page.contents = sections
        .into_iter()
        .filter(|(.., is_there)| *is_there)
        .map(|(id, name, _)| (id, name))
        .collect();
    page.render()
}

fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{hash}'; \
         base-uri 'none'; form-action 'none'"
    )
}

fn facts(report: &Report<'_>) -> Vec<String> {
    let mut facts = Vec::new();
    let runs = report.runs().count();
    facts.push(format!("{runs} {}", if runs == 1 { "run" } else { "runs" }));
    let mut hosts: Vec<&str> =
        report.shown.iter().map(|source| source.results.manifest.host.as_str()).collect();
    hosts.dedup();
    facts.push(hosts.join("; "));
    if let [source] = report.shown.as_slice() {
        let manifest = &source.results.manifest;
        facts.extend(manifest.qemu.as_ref().map(|version| format!("QEMU {version}")));
        facts.push(manifest.started.clone());
    }
    if report.sources.len() > 1 {
        facts.push(format!("{} result files", report.sources.len()));
    }
    facts
}

fn cards(setting: &Setting<'_>, colours: &Colours) -> Vec<Card> {
    let total = setting.total().figure();
    let card = |arm: &super::Arm<'_>| {
        let sample = arm.sample(total);
        let detail = match sample {
            Some(sample) => match (range(sample.min, sample.max), sample.count) {
                (Some(range), count) => format!("{range}, {count} runs"),
                (None, 1) => "1 run".into(),
                (None, count) => format!("the same in {count} runs"),
            },
            None => "no total".into(),
        };
        Card {
            name: arm.name.clone(),
            colour: colours.get(&arm.name),
            figure: sample.map_or_else(|| grid::NONE.into(), |sample| duration(sample.median)),
            detail,
            change: match (setting.change(arm, total), setting.baseline(arm)) {
                (Some(change), Some(baseline)) => {
                    format!("{change} against {}", baseline.name)
                }
                _ => String::new(),
            },
        }
    };
    setting.arms.iter().map(card).collect()
}

fn cards_note(setting: &Setting<'_>) -> String {
    let what = match setting.clock {
        Clock::Icount => " Work in instructions of 1 ns each, not the time that it takes.",
        Clock::Host => " Times of an emulator: no measure of performance.",
        Clock::Counter => "",
    };
    format!("Median {}, {}, {}.{what}", setting.total().name(), setting.name(), setting.kind())
}

fn scaling(settings: &[&Setting<'_>], colours: &Colours) -> Option<Sweep> {
    let total = grid::sweep_total(settings);
    let names = grid::arm_names(settings);
    let fits = grid::fits(settings);
    let curve = |fit: Fit| move |cpus: f64| fit.at(cpus);
    let curves: Vec<_> = fits.iter().map(|(name, fit)| (name.clone(), curve(*fit))).collect();
    let series = names.iter().map(|name| {
        let mut points = Vec::new();
        let mut medians = Vec::new();
        for setting in settings {
            let Some(arm) = setting.arms.iter().find(|arm| arm.name == *name) else { continue };
            for run in arm.good() {
                if let Some(ns) = total.figure()(run) {
                    let title = format!("{name}, {} CPUs: {}", run.cpus, duration(ns));
                    points.push((f64::from(run.cpus), ns as f64, title));
                }
            }
            if let Some(sample) = arm.sample(total.figure()) {
                medians.push((f64::from(setting.cpus), sample.median as f64));
            }
        }
        let curve = match curves.iter().find(|(fitted, _)| fitted == name) {
            Some((_, curve)) => Curve::Of(curve),
            None => Curve::Through(vec![medians]),
        };
        SeriesData { name, colour: colours.get(name), points, curve, marks: Vec::new() }
    });
    let kind = settings.first().map(|setting| setting.kind()).unwrap_or_default();
    let chart = chart(Data {
        description: format!(
            "{} over the number of CPUs for {}; the figures are in the table below",
            total.name(),
            names.join(", ")
        ),
        x_name: "CPUs",
        y_name: total.name(),
        x_labels: None,
        from_zero: true,
        series: series.collect(),
    })?;
    Some(Sweep {
        name: kind,
        chart,
        table: grid::sweep(settings),
        fits: grid::fit_table(&fits),
        verdicts: grid::fit_verdicts(&fits),
    })
}

fn trend_view(trend: &Trend, colours: &Colours) -> TrendView {
    let charts = of_one_size(&trend.arms);
    let charts = charts.iter().filter_map(|arms| trend_chart(trend, arms, colours));
    TrendView { name: trend.setting.clone(), charts: charts.collect(), table: grid::trend(trend) }
}

/// The arms by size: a change of a short total does not show beside one several times as long.
fn of_one_size(arms: &[Course]) -> Vec<Vec<&Course>> {
    let median = |outcome: &Outcome| Some(outcome.sample?.median);
    let size = |(_, outcomes): &Course| outcomes.iter().flatten().filter_map(median).max();
    let mut sorted: Vec<&Course> = arms.iter().collect();
    sorted.sort_by_key(|arm| std::cmp::Reverse(size(arm)));
    let alike =
        |a: &&Course, b: &&Course| size(a).unwrap_or(0) as f64 <= size(b).unwrap_or(0) as f64 * 1.3;
    let mut groups: Vec<Vec<&Course>> = sorted.chunk_by(alike).map(<[_]>::to_vec).collect();
    // Within each in the order in which they first ran.
    let place = |arm: &&Course| arms.iter().position(|other| std::ptr::eq(other, *arm));
    groups.iter_mut().for_each(|group| group.sort_by_key(place));
    groups
}

fn trend_chart(trend: &Trend, arms: &[&Course], colours: &Colours) -> Option<Chart> {
    let place = |index: usize| index as f64;
    let series = arms.iter().map(|(name, outcomes)| {
        let (mut points, mut marks) = (Vec::new(), Vec::new());
        let mut pieces = vec![Vec::new()];
        for (index, (outcome, night)) in outcomes.iter().zip(&trend.nights).enumerate() {
            // Where it was not run, nothing is known to be wrong.
            let Some(outcome) = outcome else { continue };
            let Night { started, kernel, changes } = night;
            let words = |what: &str| {
                let lines = std::iter::once(kernel).chain(changes).map(String::as_str);
                format!("{name}, {started}: {what}\n{}", lines.collect::<Vec<_>>().join("\n"))
            };
            if let Some(failures) = outcome.failures() {
                marks.push((place(index), words(&failures)));
            }
            match outcome.sample {
                Some(sample) => {
                    let point = (place(index), sample.median as f64);
                    points.push((point.0, point.1, words(&sample.to_string())));
                    pieces.last_mut().into_iter().for_each(|piece| piece.push(point));
                }
                None => pieces.push(Vec::new()),
            }
        }
        let curve = Curve::Through(pieces);
        SeriesData { name, colour: colours.get(name), points, curve, marks }
    });
    // As many dates as there is room for.
    let every = trend.nights.len().div_ceil(8).max(1);
    let day = |night: &Night| night.started.get(..10).unwrap_or(&night.started).to_owned();
    let labels = trend.nights.iter().enumerate().step_by(every);
    let names: Vec<&str> = arms.iter().map(|(name, _)| name.as_str()).collect();
    chart(Data {
        description: format!(
            "{} of {} over time, {}; the figures are in the table below",
            trend.total.name(),
            names.join(", "),
            trend.setting
        ),
        x_name: "day of the measurement",
        y_name: trend.total.name(),
        x_labels: Some(labels.map(|(index, night)| (place(index), day(night))).collect()),
        from_zero: false,
        series: series.collect(),
    })
}

fn timelines(report: &Report<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let arms = report.settings.iter().flat_map(|setting| &setting.arms);
    let firmware: BTreeSet<Option<&str>> = arms.map(|arm| arm.key.firmware).collect();
    for (number, setting) in report.settings.iter().enumerate() {
        for (part, alike) in setting.alike().iter().enumerate() {
            let mut name = setting.name();
            if firmware.len() > 1 {
                let firmware = alike.firmware.map(|firmware| format!("firmware {firmware}"));
                name.push_str(&format!(", {}", firmware.as_deref().unwrap_or("own firmware")));
            }
            if !alike.faults.is_empty() {
                name.push_str(&format!(", fault {}", alike.faults.join(" ")));
            }
            let id = format!("timelines-{number}-{part}");
            let scales = scales(alike, &id);
            if !scales.is_empty() {
                let open = number + 1 == report.settings.len();
                groups.push(Group { id, name, kind: setting.kind(), open, scales });
            }
        }
    }
    // The last setting's may have no timeline.
    if !groups.iter().any(|group| group.open)
        && let Some(last) = groups.last_mut()
    {
        last.open = true;
    }
    groups
}

/// The pictures of runs that share an axis, and once more those that show nothing on it.
fn scales(alike: &Alike<'_, '_>, id: &str) -> Vec<Scale> {
    let drawn = |(arm, run): &(&super::Arm<'_>, &'_ Run)| -> Option<(String, u64)> {
        Some((arm.name.clone(), panel::length(run)?))
    };
    let runs: Vec<_> = alike.runs.iter().filter(|run| drawn(run).is_some()).collect();
    let lengths: Vec<u64> = runs.iter().filter_map(|run| Some(drawn(run)?.1)).collect();
    let scale = |(number, indices): (usize, Vec<usize>)| {
        let end = indices.iter().filter_map(|index| lengths.get(*index)).max().copied();
        let mut names: Vec<&str> = Vec::new();
        let mut panels = Vec::new();
        for index in indices {
            let (arm, run) = runs.get(index)?;
            let mut panel = panel::panel(&arm.name, run, end?)?;
            panel.id = format!("{id}-{number}-{index}");
            if number > 0 {
                panel.table_of = Some(format!("{id}-0-{index}"));
                panel.table.clear();
            }
            names.push(&arm.name);
            panels.push(panel);
        }
        let note = match number {
            0 => String::new(),
            _ => format!(
                "{} once more, on a larger scale: 0 to {}",
                names.join(", "),
                duration(end?)
            ),
        };
        Some(Scale { note, panels })
    };
    panel::scales(&lengths).into_iter().enumerate().filter_map(scale).collect()
}

/// For each setting where the time goes, and its phases.
fn phases(report: &Report<'_>, colours: &Colours) -> Vec<Grid> {
    let tables = |setting| [grid::shares(setting, colours), grid::phases(setting, colours)];
    report.settings.iter().flat_map(tables).flatten().collect()
}

fn failures(report: &Report<'_>) -> Vec<FailureView> {
    let failed = report.runs().filter(|run| !run.ok || run.failed_cpus().next().is_some());
    let view = |run: &Run| {
        let (cause, console) = match &run.failure {
            Some(failure) => {
                (format!("{}: {}", failure.kind, failure.detail), failure.console_tail.join("\n"))
            }
            None if run.ok => {
                ("the run went as intended, with CPUs that failed".into(), String::new())
            }
            None => ("the run failed, and its file does not say why".into(), String::new()),
        };
        let cpus = run.failed_cpus().map(|cpu| format!("CPU {}: {}", cpu.cpu, cpu.outcome));
        FailureView {
            title: format!(
                "{}, {} CPUs, {}, {} clock",
                run.arm,
                run.cpus,
                run.accel,
                run.clock.name()
            ),
            cause,
            cpus: cpus.collect(),
            console,
        }
    };
    failed.map(view).collect()
}

fn publication(published: &crate::published::Published) -> Publication {
    let totals = grid::published_totals(&published.measurements);
    let exits = published.measurements.iter().filter_map(grid::published_exits);
    Publication {
        source: published.source.clone(),
        remarks: published.remarks.clone().unwrap_or_default(),
        tables: std::iter::once(totals).chain(exits).collect(),
    }
}

/// What a manifest says, for people; but for when it was started.
fn manifest_facts(source: &Source) -> Vec<(String, String)> {
    let manifest = &source.results.manifest;
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut fact = |key: &str, value: &str| facts.push((key.to_owned(), value.to_owned()));
    fact("machine", &manifest.host);
    fact("accelerator", &manifest.accel);
    if let Some(qemu) = &manifest.qemu {
        fact("QEMU", qemu);
    }
    fact("Linux", &manifest.base.version);
    if let Some(sha256) = &manifest.base.sha256 {
        fact("its SHA-256", sha256);
    }
    if let Some(series) = &manifest.series {
        fact("series", &format!("{}, {} patches", series.name, series.patches.len()));
        fact("its SHA-256", &series.sha256);
    }
    if let Some(sha256) = &manifest.config_sha256 {
        fact("configuration, SHA-256", sha256);
    }
    for (tool, version) in &manifest.toolchain {
        fact(tool, version);
    }
    for (key, value) in &manifest.meta {
        fact(key, value);
    }
    facts
}

/// What was measured. Fifty boots of one machine are said once.
pub fn source_views(sources: &[&Source]) -> Vec<SourceView> {
    type Said<'a> = (Vec<(String, String)>, &'a [String]);
    let mut groups: Vec<(Said<'_>, Vec<&Source>)> = Vec::new();
    for source in sources {
        let series = source.results.manifest.series.as_ref();
        let patches = series.map_or(&[][..], |series| series.patches.as_slice());
        let said = (manifest_facts(source), patches);
        match groups.iter_mut().find(|(known, _)| *known == said) {
            Some((_, alike)) => alike.push(source),
            None => groups.push((said, vec![source])),
        }
    }
    let view = |((mut facts, patches), alike): (Said<'_>, Vec<&Source>)| {
        let names: Vec<String> = alike.iter().map(|source| source.name.clone()).collect();
        let mut commands: Vec<String> = Vec::new();
        for source in &alike {
            let command = &source.results.manifest.command;
            if !commands.contains(command) {
                commands.push(command.clone());
            }
        }
        let started = || alike.iter().map(|source| source.results.manifest.started.as_str());
        let (first, last) = (started().min().unwrap_or(""), started().max().unwrap_or(""));
        let started = match first == last {
            true => first.to_owned(),
            false => format!("{first} to {last}"),
        };
        facts.insert(0, ("started".to_owned(), started));
        SourceView { name: first_and_more(&names), commands, facts, patches: patches.to_vec() }
    };
    groups.into_iter().map(view).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::*;
    use crate::results::Results;
    use crate::samples;

    #[test]
    fn what_is_the_same_of_several_sources_is_said_once() {
        let source = |name: &str, change: &dyn Fn(&mut Results)| {
            let mut results = Results::new(samples::manifest(), Vec::new());
            change(&mut results);
            Source::new(name, results)
        };
        let later = |results: &mut Results| {
            results.manifest.started = "2026-11-24T12:00:00Z".into();
            results.manifest.command = "cargo xtask boot".into();
        };
        let other = |results: &mut Results| results.manifest.host = "another".into();
        let sources = [source("a", &|_| {}), source("b", &later), source("c", &other)];
        let views = source_views(&sources.each_ref());
        let [both, third] = views.as_slice() else { panic!("{}", views.len()) };
        assert_eq!((both.name.as_str(), third.name.as_str()), ("a and 1 more", "c"));
        assert_eq!(both.commands, ["cargo xtask demo", "cargo xtask boot"]);
        assert_eq!(both.facts[0].1, "2026-11-23T12:00:00Z to 2026-11-24T12:00:00Z");
    }

    #[test]
    fn a_failed_night_is_a_gap_a_mark_and_a_line_under_failures() {
        let night = |day: u32, ok: bool| {
            let mut run = samples::run("p1", &samples::parallel(4));
            if !ok {
                run = run.with_failure(crate::results::Failure {
                    kind: "panic".into(),
                    detail: "not syncing".into(),
                    console_tail: Vec::new(),
                });
            }
            let mut manifest = samples::manifest();
            manifest.started = format!("2026-11-0{day}T01:00:00Z");
            if day > 3 {
                manifest.base.version = "7.4.0".into();
            }
            Source::new(&day.to_string(), Results::new(manifest, vec![run]))
        };
        let nights = [night(1, true), night(2, true), night(3, false), night(4, true)];
        let report = Report::new(&nights, Mode::Trend, &[]);
        let view = trend_view(&report.trend[0], &Colours::of(&report));
        let series = &view.charts[0].series[0];
        assert_eq!((series.points.len(), series.curve.matches('M').count()), (3, 2));
        let [mark] = series.marks.as_slice() else { panic!("{:?}", series.marks) };
        let kernel = "Linux 7.3.4, series v7.3 cd";
        assert_eq!(mark.title, format!("p1, 2026-11-03T01:00:00Z: 1 of 1 runs failed\n{kernel}"));
        assert!(series.points[2].title.ends_with("\nLinux: 7.3.4 before"), "{series:?}");
        let page = page(&report).unwrap();
        for part in [
            "<td class=\"failed\">failed<small>1 of 1 runs failed</small></td>",
            "<a href=\"#failures\">",
            "Runs that failed earlier",
            "panic: not syncing",
        ] {
            assert!(page.contains(part), "{part}");
        }
        let text = super::super::markdown::markdown(&report);
        assert!(text.contains("## Failures") && text.contains("panic: not syncing"), "{text}");
        assert!(!text.contains("\n\n\n"), "{text}");
    }

    #[test]
    fn arms_that_compare_share_an_axis_and_short_ones_are_drawn_once_more() {
        let run = |arm: &str, firmware: Option<&str>, times: u64| {
            let mut timeline = samples::parallel(4);
            for cpu in &mut timeline.cpus {
                cpu.active = cpu.active.map(|at| at + times * 1_000_000);
            }
            Run { firmware: firmware.map(str::to_owned), ..samples::run(arm, &timeline) }
        };
        let runs = vec![
            run("base", None, 1),
            run("base", Some("slow"), 1_000),
            run("p1", None, 1),
            run("p1", Some("slow"), 2),
        ];
        let sources = [Source::new("both", Results::new(samples::manifest(), runs))];
        let groups = timelines(&Report::new(&sources, Mode::Compare, &[]));
        let shown = |group: &Group| {
            let scale = |scale: &Scale| {
                let panels = scale.panels.iter().map(|it| format!("{} of {}", it.name, it.scale));
                panels.collect::<Vec<_>>().join(", ")
            };
            let scales: Vec<String> = group.scales.iter().map(scale).collect();
            format!("{}: {}", group.name, scales.join(" | "))
        };
        assert_eq!(
            groups.iter().map(shown).collect::<Vec<_>>(),
            [
                "4 CPUs, own firmware: base, own firmware of 1.53 ms, p1, own firmware of 1.53 ms",
                "4 CPUs, firmware slow: base, slow of 1.00 s, p1, slow of 1.00 s | p1, slow of 2.53 ms",
            ]
        );
        assert!(groups.iter().all(|group| group.open));
        let again = &groups[1].scales[1].panels[0];
        assert_eq!(again.table_of.as_ref(), Some(&groups[1].scales[0].panels[1].id));
        assert!(again.table.is_empty() && !groups[1].scales[0].panels[1].table.is_empty());
    }

    #[test]
    fn a_small_total_has_a_chart_of_its_own() {
        let outcome = |median| {
            let sample = super::super::Sample::of([median]);
            Some(Outcome { sample, made: 1, failed: 0 })
        };
        let arm = |name: &str, figures: &[u64]| -> Course {
            (name.into(), figures.iter().map(|&figure| outcome(figure)).collect())
        };
        let arms = [arm("base", &[100, 100]), arm("p1", &[20, 22]), arm("p0", &[104, 103])];
        let names = |group: &Vec<&Course>| group.iter().map(|(name, _)| name.clone()).collect();
        let groups: Vec<Vec<String>> = of_one_size(&arms).iter().map(names).collect();
        assert_eq!(groups, [vec!["base", "p0"], vec!["p1"]]);
    }

    #[test]
    fn a_curve_goes_through_what_it_was_fitted_to() {
        let run = |cpus: u32| {
            let mut run = samples::run("p1", &samples::parallel(cpus));
            run.bringup_ns = Some(1_000_000 + 2_000_000 * u64::from(cpus - 1));
            run
        };
        let results = Results::new(samples::manifest(), [4, 8, 16].map(run).to_vec());
        let sources = [Source::new("sweep", results)];
        let report = Report::new(&sources, Mode::Compare, &[]);
        let [sweep] = report.sweeps().try_into().expect("one sweep");
        let chart = scaling(&sweep, &Colours::of(&report)).expect("a chart").chart;
        let [series] = chart.series.try_into().expect("one arm");
        let place = |index: usize| series.points[index].path[1..].trim_end_matches("h0").to_owned();
        assert!(series.curve.starts_with(&format!("M{}L", place(0))), "{}", series.curve);
        assert!(series.curve.ends_with(&format!("L{}", place(2))), "{}", series.curve);
    }
}
