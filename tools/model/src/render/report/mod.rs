// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Results of one or several commands as a report: for a browser ([`html`]), a mail
//! ([`markdown`]), a spreadsheet ([`csv`]) or a program ([`merge`]).
//!
//! Runs that may be compared stand together in a [`Setting`]: same number of CPUs, same
//! accelerator, same clock. In it each [`Arm`] has all its runs.

mod chart;
pub mod csv;
pub mod grid;
pub mod html;
pub mod markdown;
pub mod merge;
mod panel;
pub mod picture;

use std::collections::BTreeSet;

use serde_json::Value;

use super::duration::duration;
use crate::bench;
use crate::identity::{self, Identity};
use crate::inference::{Difference, Interval};
use crate::published::Published;
use crate::results::{Clock, ReadError, Results, Run};
use crate::stats;
use crate::timeline::Phase;

/// A results file, or a part of a merged one.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name, for people.
    pub name: String,
    /// The name of the file that it was read from: that of a merged one where it was part of one.
    pub file: String,
    /// What it says.
    pub results: Results,
    /// The whole of it, with what this version does not know.
    raw: Value,
}

impl Source {
    /// Reads a results file. One that [`merge::json`] wrote gives a source for each that it was
    /// made of.
    ///
    /// # Errors
    ///
    /// As those of [`Results::from_json`].
    pub fn read(name: &str, text: &str) -> Result<Vec<Self>, ReadError> {
        let results = Results::from_json(text)?;
        let raw: Value = serde_json::from_str(text).map_err(ReadError::Json)?;
        let whole = Self { name: name.into(), file: name.into(), results, raw };
        Ok(merge::split(&whole).unwrap_or_else(|| vec![whole]))
    }

    /// What `faults` found, case by case: its runs are of that and are not compared as if they were
    /// repeats of each other. Empty for other results.
    pub fn cases(&self) -> &[Value] {
        self.raw.get("cases").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Whether both are the same measurement, by whichever names.
    pub fn is_copy_of(&self, other: &Self) -> bool {
        self.raw == other.raw
    }

    /// The runs that may be compared.
    fn comparable(&self) -> &[Run] {
        if self.cases().is_empty() { &self.results.runs } else { &[] }
    }

    /// A source of results that were not read from a file.
    pub fn new(name: &str, results: Results) -> Self {
        let raw = serde_json::to_value(&results).unwrap_or_default();
        Self { name: name.into(), file: name.into(), results, raw }
    }
}

/// How sources stand to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Side by side: the arms of all of them are compared.
    #[default]
    Compare,
    /// One after the other: the same was run again and again. The last one is shown in full, the
    /// others in the trend.
    Trend,
}

/// What a report is made of.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// All sources; for [`Mode::Trend`] in the order in which they were started.
    pub sources: Vec<&'a Source>,
    /// Those that are shown in full.
    pub shown: Vec<&'a Source>,
    /// What is compared, by number of CPUs.
    pub settings: Vec<Setting<'a>>,
    /// One for each setting and arm that several sources have, oldest first.
    pub trend: Vec<Trend>,
    /// What others have published.
    pub published: &'a [Published],
}

/// Runs that may be compared.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// Possible CPUs.
    pub cpus: u32,
    /// `tcg`, `kvm` or `none`.
    pub accel: &'a str,
    /// What the figures are counted in.
    pub clock: Clock,
    /// Physical CPUs below a guest, where they are known.
    pub pcpus: Option<u64>,
    /// How the CPUs are laid out, if not by QEMU's default.
    pub topology: Option<&'a str>,
    /// The arms, in the order in which they first ran.
    pub arms: Vec<Arm<'a>>,
}

/// All runs of one arm in one setting, of whichever sources.
#[derive(Debug, Clone)]
pub struct Arm<'a> {
    /// Its name, with what tells it from others of the same name.
    pub name: String,
    /// The runs in the order in which they were made.
    pub runs: Vec<&'a Run>,
    key: ArmKey<'a>,
    /// The places of the sources that its runs are of.
    sources: BTreeSet<usize>,
}

/// What is known of kernel and machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// The number of the [`Identity`].
    Same(usize),
    /// Nothing but the source, so that it is like no other.
    SourceAlone(usize),
}

/// What makes an arm: runs that differ in none of it are repeats of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ArmKey<'a> {
    /// Kernel and machine.
    identity: Known,
    /// Its own name.
    name: &'a str,
    firmware: Option<&'a str>,
    faults: &'a [String],
}

/// A few figures of the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How many.
    pub count: usize,
    /// The smallest, in nanoseconds.
    pub min: u64,
    /// The middle one; the mean of the two middle ones where their number is even.
    pub median: u64,
    /// The largest.
    pub max: u64,
}

impl Sample {
    /// The sample of those figures; `None` if there are none.
    pub fn of(figures: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut figures: Vec<u64> = figures.into_iter().collect();
        figures.sort_unstable();
        let median = stats::median(&figures)?;
        Some(Self { count: figures.len(), min: *figures.first()?, median, max: *figures.last()? })
    }
}

/// For people: the median, and the range where the figures differ.
impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&duration(self.median))?;
        range(self.min, self.max).map_or(Ok(()), |range| write!(f, " ({range})"))
    }
}

/// From one time to another; `None` if they look the same.
pub fn range(from: u64, to: u64) -> Option<String> {
    let (from, to) = (duration(from), duration(to));
    (from != to).then(|| format!("{from} to {to}"))
}

/// A figure of every run.
pub type Figure = fn(&Run) -> Option<u64>;

/// How the time of a whole bring-up is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// From the first kick to the last CPU active.
    Timeline,
    /// Between the log's two lines.
    Log,
}

impl Total {
    /// How to take it from a run.
    pub fn figure(self) -> Figure {
        match self {
            Self::Timeline => Run::boot_ns,
            Self::Log => |run| run.smp_ns,
        }
    }

    /// The same for `bench`.
    pub fn of_bench(self) -> bench::Figure {
        match self {
            Self::Timeline => bench::Figure::Total,
            Self::Log => bench::Figure::SmpLines,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeline => "total by the timeline",
            Self::Log => "total by the log's smp: lines",
        }
    }
}

impl<'a> Arm<'a> {
    /// A figure of the runs that went well.
    pub fn sample(&self, figure: Figure) -> Option<Sample> {
        Sample::of(self.good().filter_map(figure))
    }

    /// The spread over the runs of a phase's median over the CPUs.
    pub fn phase(&self, phase: Phase) -> Option<Sample> {
        Sample::of(self.boots().filter_map(|run| Some(run.phases.get(phase)?.median)))
    }

    /// The runs that went well and whose timelines are of the boot alone.
    pub fn boots(&self) -> impl Iterator<Item = &'a Run> {
        self.good().filter(|run| !run.has_hotplug())
    }

    /// The runs that went well.
    pub fn good(&self) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().copied().filter(|run| run.ok)
    }

    /// How many runs failed.
    pub fn failed(&self) -> usize {
        self.runs.len() - self.good().count()
    }

    /// The run that is shown for all of them: the one with the median total, of those that went
    /// well and have a timeline of the boot alone; else the first that went well, else the first
    /// that has rows at all.
    pub fn typical(&self) -> Option<&'a Run> {
        let has_rows = |run: &&Run| !run.per_cpu.is_empty();
        let mut boots: Vec<&Run> = self.boots().filter(has_rows).collect();
        boots.sort_by_key(|run| run.bringup_ns.or(run.smp_ns));
        let middle = boots.get(boots.len().saturating_sub(1) / 2).copied();
        middle
            .or_else(|| self.good().find(has_rows))
            .or_else(|| self.runs.iter().copied().find(has_rows))
    }
}

impl<'a> Setting<'a> {
    /// The total that all arms have: by the timeline if they have one, else by the log.
    pub fn total(&self) -> Total {
        let has = |arm: &Arm<'_>| {
            arm.sample(Total::Timeline.figure()).is_some() || arm.good().next().is_none()
        };
        if self.arms.iter().all(has) { Total::Timeline } else { Total::Log }
    }

    /// The arm that `arm` is compared with: `base` or what is like it, best one of the same sources,
    /// else the first. It is one with the same firmware and without faults; `None` if there is none.
    pub fn baseline(&self, arm: &Arm<'_>) -> Option<&Arm<'a>> {
        let fit = |other: &&Arm<'a>| {
            other.key.firmware == arm.key.firmware && other.key.faults.is_empty()
        };
        let fitting = || self.arms.iter().filter(fit);
        let beside = |other: &&Arm<'a>| !other.sources.is_disjoint(&arm.sources);
        let own = |name: &str| fitting().filter(beside).find(|other| other.key.name == name);
        let named = |name: &str| fitting().find(|other| other.key.name == name);
        let own = own("base").or_else(|| own("pristine"));
        own.or_else(|| named("base")).or_else(|| named("pristine")).or_else(|| fitting().next())
    }

    /// The names of all arms that others are compared with.
    pub fn baselines(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for name in self.arms.iter().filter_map(|arm| Some(self.baseline(arm)?.name.as_str())) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// How `figure` differs in `arm` from the baseline; `None` for the baseline itself, and for
    /// figures that are no measure.
    pub fn change(&self, arm: &Arm<'_>, figure: Figure) -> Option<Change> {
        let baseline = self.baseline(arm)?;
        if baseline.key == arm.key || self.clock == Clock::Host {
            return None;
        }
        let samples = |arm: &Arm<'_>| -> Vec<f64> {
            arm.good().filter_map(figure).map(|ns| ns as f64).collect()
        };
        let difference = Difference::of(&samples(baseline), &samples(arm), SEED)?;
        let percent = |ratio: f64| (ratio - 1.0) * 100.0;
        // Instructions that are counted repeat exactly: there is nothing to draw conclusions about.
        let is_sample = |arm: &Arm<'_>| arm.good().all(|run| !run.is_counted());
        let lots = |_: &Interval| is_sample(baseline) && is_sample(arm);
        let interval = difference.interval.filter(lots);
        Some(Change {
            percent: percent(difference.ratio),
            interval: interval.map(|it| (percent(it.low), percent(it.high))),
            p: interval.map(|_| difference.p),
        })
    }

    /// The typical runs that share an axis: those with the same firmware and faults, by these. Others
    /// may take a thousand times as long.
    pub fn alike(&self) -> Vec<Alike<'_, 'a>> {
        let mut groups: Vec<Alike<'_, 'a>> = Vec::new();
        for arm in &self.arms {
            let Some(run) = arm.typical() else { continue };
            let ArmKey { firmware, faults, .. } = arm.key;
            match groups.iter_mut().find(|it| (it.firmware, it.faults) == (firmware, faults)) {
                Some(group) => group.runs.push((arm, run)),
                None => groups.push(Alike { firmware, faults, runs: vec![(arm, run)] }),
            }
        }
        groups
    }

    /// For people: what the setting is.
    pub fn name(&self) -> String {
        let mut name = format!("{} CPUs", self.cpus);
        if let Some(pcpus) = self.pcpus {
            name.push_str(&format!(" on {pcpus} physical ones"));
        }
        if let Some(topology) = self.topology {
            name.push_str(&format!(" ({topology})"));
        }
        name
    }

    /// For people: what the figures are of.
    pub fn kind(&self) -> String {
        let accel = if self.accel == "none" { "hardware" } else { self.accel };
        format!("{accel}, {} clock", self.clock.name())
    }

    fn key(&self) -> (&'a str, Clock, Option<u64>, Option<&'a str>, u32) {
        (self.accel, self.clock, self.pcpus, self.topology, self.cpus)
    }
}

/// Typical runs of one setting, with their arms, that share an axis.
#[derive(Debug, Clone)]
pub struct Alike<'s, 'a> {
    /// Their firmware.
    pub firmware: Option<&'a str>,
    /// What was wrong on purpose.
    pub faults: &'a [String],
    /// The runs.
    pub runs: Vec<(&'s Arm<'a>, &'a Run)>,
}

/// What the statistics draw their lots from: the same report each time.
const SEED: u64 = 1;

/// How an arm differs from the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Of the medians, in percent.
    pub percent: f64,
    /// Where it lies, in percent; `None` for fewer than three runs and for counted instructions.
    pub interval: Option<(f64, f64)>,
    /// How likely so large a difference is by chance; `None` as for the interval.
    pub p: Option<f64>,
}

/// For people, as `−59 % (−61 to −57 %, p = 0.008)`.
impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&signed_percent(self.percent))?;
        if let (Some((low, high)), Some(p)) = (self.interval, self.p) {
            let (low, high) = (signed_percent(low), signed_percent(high));
            match low == high {
                true => write!(f, " (p = {p:.3})")?,
                false => {
                    let low = low.strip_suffix(" %").unwrap_or(&low);
                    write!(f, " ({low} to {high}, p = {p:.3})")?;
                }
            }
        }
        Ok(())
    }
}

/// A change for people, as `+3.1 %`.
pub fn signed_percent(change: f64) -> String {
    // As many as it takes to see that something is left: −99.97 %, not −100.0 %.
    let is_all =
        |decimals: &usize| format!("{change:.decimals$}") == format!("{:.decimals$}", -100.0);
    let decimals = (1..6).find(|decimals| !is_all(decimals)).unwrap_or(1);
    let text = format!("{change:+.decimals$} %");
    if text.chars().all(|char| !('1'..='9').contains(&char)) {
        return "±0 %".into();
    }
    // The real minus, which is as wide as the plus.
    text.replace('-', "\u{2212}")
}

/// The same arm in the same setting, by the time of its runs.
#[derive(Debug, Clone)]
pub struct Trend {
    /// The setting's name and kind.
    pub setting: String,
    /// What is taken.
    pub total: Total,
    /// The sources, oldest first.
    pub nights: Vec<Night>,
    /// The arms, each with what came of it in each source; `None` where it was not run.
    pub arms: Vec<Course>,
}

/// An arm of a trend.
pub type Course = (String, Vec<Option<Outcome>>);

/// A source of a trend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Night {
    /// When it was started.
    pub started: String,
    /// Kernel and series.
    pub kernel: String,
    /// What it was measured with that the one before was not.
    pub changes: Vec<String>,
}

/// What came of an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The figures of the runs that went well.
    pub sample: Option<Sample>,
    /// How many runs there were.
    pub made: usize,
    /// How many of them failed.
    pub failed: usize,
}

impl Outcome {
    /// How many runs failed, for people; `None` if none did.
    pub fn failures(&self) -> Option<String> {
        let Self { made, failed, .. } = self;
        (*failed > 0).then(|| format!("{failed} of {made} runs failed"))
    }
}

impl<'a> Report<'a> {
    /// Arranges the runs of `sources`.
    pub fn new(sources: &'a [Source], mode: Mode, published: &'a [Published]) -> Self {
        let mut all: Vec<&Source> = sources.iter().collect();
        if mode == Mode::Trend {
            // RFC 3339 in UTC sorts as text.
            all.sort_by(|a, b| a.results.manifest.started.cmp(&b.results.manifest.started));
        }
        let shown = match mode {
            Mode::Compare => all.clone(),
            Mode::Trend => all.last().copied().into_iter().collect(),
        };
        let settings = settings(&shown);
        let trend = if mode == Mode::Trend { trends(&all) } else { Vec::new() };
        Self { sources: all, shown, settings, trend, published }
    }

    /// What must be known about the clocks that occur.
    pub fn cautions(&self) -> Vec<&'static str> {
        let clocks: BTreeSet<Clock> = self.settings.iter().map(|setting| setting.clock).collect();
        clocks.into_iter().filter_map(Clock::caution).collect()
    }

    /// Settings that differ only in the number of CPUs, where there are several.
    pub fn sweeps(&self) -> Vec<Vec<&Setting<'a>>> {
        let same = |a: &&Setting<'_>, b: &&Setting<'_>| {
            (a.accel, a.clock, a.pcpus, a.topology) == (b.accel, b.clock, b.pcpus, b.topology)
        };
        let settings: Vec<&Setting<'_>> = self.settings.iter().collect();
        settings.chunk_by(same).filter(|chunk| chunk.len() > 1).map(<[_]>::to_vec).collect()
    }

    /// All runs that are shown.
    pub fn runs(&self) -> impl Iterator<Item = &'a Run> + use<'_, 'a> {
        self.shown.iter().flat_map(|source| source.comparable())
    }

    /// Sources whose runs are in the trend alone.
    pub fn earlier(&self) -> &[&'a Source] {
        let shown = |source: &&Source| self.shown.iter().any(|shown| std::ptr::eq(*shown, *source));
        let end = self.sources.iter().position(shown).unwrap_or(0);
        self.sources.get(..end).unwrap_or_default()
    }

    /// The heading: the kernel and what was done with it.
    pub fn heading(&self) -> String {
        let versions: BTreeSet<&str> =
            self.shown.iter().map(|source| source.results.manifest.base.version.as_str()).collect();
        let versions: Vec<&str> = versions.into_iter().collect();
        format!("arm64 CPU bring-up, Linux {}", versions.join(", "))
    }
}

/// Physical CPUs below the guest; a field that not every version has.
fn pcpus(run: &Run) -> Option<u64> {
    serde_json::to_value(run.kvm.as_ref()?).ok()?.get("pcpus")?.as_u64()
}

fn settings<'a>(sources: &[&'a Source]) -> Vec<Setting<'a>> {
    let mut settings: Vec<Setting<'a>> = Vec::new();
    let mut identities: Vec<Identity> = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        for run in source.comparable() {
            let identity = match Identity::of(&source.results, &run.arm) {
                Some(identity) => {
                    let known = identities.iter().position(|known| *known == identity);
                    Known::Same(known.unwrap_or_else(|| {
                        identities.push(identity);
                        identities.len() - 1
                    }))
                }
                None => Known::SourceAlone(number),
            };
            let pcpus = pcpus(run);
            let topology = run.topology.as_deref();
            let key = (run.accel.as_str(), run.clock, pcpus, topology, run.cpus);
            let index = settings.iter().position(|setting| setting.key() == key);
            let index = index.unwrap_or_else(|| {
                let (cpus, accel, clock) = (run.cpus, run.accel.as_str(), run.clock);
                settings.push(Setting { cpus, accel, clock, pcpus, topology, arms: Vec::new() });
                settings.len() - 1
            });
            let Some(setting) = settings.get_mut(index) else { continue };
            let key = ArmKey {
                identity,
                name: &run.arm,
                firmware: run.firmware.as_deref(),
                faults: &run.faults,
            };
            match setting.arms.iter_mut().find(|arm| arm.key == key) {
                Some(arm) => {
                    arm.runs.push(run);
                    arm.sources.insert(number);
                }
                None => setting.arms.push(Arm {
                    name: run.arm.clone(),
                    runs: vec![run],
                    key,
                    sources: BTreeSet::from([number]),
                }),
            }
        }
    }
    settings.sort_by_key(Setting::key);
    tell_apart(&mut settings, sources);
    settings
}

/// Gives arms what they differ in: their firmware and faults, and where they are from if they have
/// the same name. In all settings alike, so that an arm has one name over all numbers of CPUs.
fn tell_apart(settings: &mut [Setting<'_>], sources: &[&Source]) {
    let mut firmware: BTreeSet<Option<&str>> = BTreeSet::new();
    let mut origins: Vec<(ArmKey<'_>, BTreeSet<usize>)> = Vec::new();
    for arm in settings.iter().flat_map(|setting| &setting.arms) {
        firmware.insert(arm.key.firmware);
        match origins.iter_mut().find(|(key, _)| *key == arm.key) {
            Some((_, places)) => places.extend(&arm.sources),
            None => origins.push((arm.key, arm.sources.clone())),
        }
    }
    for arm in settings.iter_mut().flat_map(|setting| &mut setting.arms) {
        let ArmKey { identity, name, firmware: own, faults } = arm.key;
        if firmware.len() > 1 {
            arm.name.push_str(&format!(", {}", own.unwrap_or("own firmware")));
        }
        if !faults.is_empty() {
            arm.name.push_str(&format!(", fault {}", faults.join(" ")));
        }
        let places = |of_it: bool| -> BTreeSet<usize> {
            let places = origins
                .iter()
                .filter(|(key, _)| key.name == name && (key.identity == identity) == of_it);
            places.flat_map(|(_, places)| places).copied().collect()
        };
        let (own, others) = (places(true), places(false));
        if !others.is_empty() {
            arm.name.push_str(&format!(" ({})", origin(sources, &own, &others)));
        }
    }
}

/// What the sources at the places `own` are called to tell them from those at `others`: by their
/// files, unless a merged file has some of both.
fn origin(sources: &[&Source], own: &BTreeSet<usize>, others: &BTreeSet<usize>) -> String {
    let names = |places: &BTreeSet<usize>, name: fn(&Source) -> &str| -> Vec<String> {
        let sources = places.iter().filter_map(|place| sources.get(*place));
        let mut names: Vec<String> = sources.map(|source| name(source).to_owned()).collect();
        names.dedup();
        names
    };
    let files = names(own, |source| &source.file);
    let other_files = names(others, |source| &source.file);
    if files.iter().any(|file| other_files.contains(file)) {
        return first_and_more(&names(own, |source| &source.name));
    }
    first_and_more(&files)
}

/// The first of several names, and how many there are besides.
pub fn first_and_more(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

fn trends(sources: &[&Source]) -> Vec<Trend> {
    let nights = nights(sources);
    let each: Vec<Vec<Setting<'_>>> = sources.iter().map(|source| settings(&[source])).collect();
    let mut keys: Vec<_> = each.iter().flatten().map(Setting::key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut trends = Vec::new();
    for key in keys {
        let found: Vec<Option<&Setting<'_>>> = each
            .iter()
            .map(|settings| settings.iter().find(|setting| setting.key() == key))
            .collect();
        let all = || found.iter().rev().flatten();
        // The last one's, but for one of which all runs failed.
        let went_well =
            |setting: &&&Setting<'_>| setting.arms.iter().any(|arm| arm.good().next().is_some());
        let Some(last) = all().find(went_well).or_else(|| all().next()) else { continue };
        let total = last.total();
        let mut names: Vec<&str> = Vec::new();
        for arm in found.iter().flatten().flat_map(|setting| &setting.arms) {
            if !names.contains(&arm.name.as_str()) {
                names.push(&arm.name);
            }
        }
        let arms: Vec<Course> = names
            .into_iter()
            .map(|name| {
                let outcome = |setting: &Option<&Setting<'_>>| {
                    let arm = (*setting)?.arms.iter().find(|arm| arm.name == name)?;
                    let sample = arm.sample(total.figure());
                    Some(Outcome { sample, made: arm.runs.len(), failed: arm.failed() })
                };
                (name.to_owned(), found.iter().map(outcome).collect())
            })
            .filter(|(_, outcomes): &Course| outcomes.iter().flatten().count() > 1)
            .collect();
        if !arms.is_empty() {
            let setting = format!("{}, {}", last.name(), last.kind());
            trends.push(Trend { setting, total, nights: nights.clone(), arms });
        }
    }
    trends
}

fn nights(sources: &[&Source]) -> Vec<Night> {
    let mut before: Option<Vec<(String, String)>> = None;
    let night = |source: &&Source| {
        let facts = identity::facts(&source.results);
        let changes = before.as_ref().map(|before| identity::changes(before, &facts));
        let kernel = facts.iter().filter(|(name, _)| name == "Linux" || name == "series");
        let kernel: Vec<String> = kernel.map(|(name, value)| format!("{name} {value}")).collect();
        before = Some(facts);
        Night {
            started: source.results.manifest.started.clone(),
            kernel: kernel.join(", "),
            changes: changes.unwrap_or_default(),
        }
    };
    sources.iter().map(night).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    /// A file of one boot of a machine, as `collect` makes it.
    fn boot(arm: &str, number: u64, total: u64, change: impl Fn(&mut Results)) -> Source {
        let mut run = samples::run(arm, &samples::parallel(4));
        (run.accel, run.clock) = ("none".into(), Clock::Counter);
        (run.bringup_ns, run.smp_ns) = (Some(total), Some(total + 57_000));
        let mut manifest = samples::manifest();
        manifest.command = format!("cargo xtask collect --dmesg {number}");
        (manifest.config_sha256, manifest.series, manifest.qemu) = (None, None, None);
        let mut results = Results::new(manifest, vec![run]);
        change(&mut results);
        Source::new(&format!("{arm}-{number}"), results)
    }

    fn boots(arm: &str, ns: u64) -> Vec<Source> {
        (0..8).map(|number| boot(arm, number, ns + ns * (number % 4) / 100, |_| {})).collect()
    }

    fn arm_names(report: &Report<'_>) -> Vec<String> {
        let arms = report.settings.iter().flat_map(|setting| &setting.arms);
        arms.map(|arm| format!("{}: {}", arm.name, arm.runs.len())).collect()
    }

    #[test]
    fn boots_in_files_of_their_own_are_repeats() {
        let (p0, p1) = (boots("p0", 2_000_000), boots("p1", 1_000_000));
        let each = [p0.clone(), p1.clone()].concat();
        let merged = |name: &str, sources: &[Source]| {
            Source::read(name, &merge::json(sources).unwrap()).unwrap()
        };
        let merged = [merged("p0", &p0), merged("p1", &p1)].concat();
        let of_files = |sources: &[Source]| {
            let report = Report::new(sources, Mode::Compare, &[]);
            assert_eq!(arm_names(&report), ["p0: 8", "p1: 8"]);
            let [setting] = report.settings.as_slice() else { panic!("{:?}", report.settings) };
            setting.change(&setting.arms[1], Total::Timeline.figure()).unwrap()
        };
        let change = of_files(&each);
        assert_eq!(change, of_files(&merged));
        // `compare` says the same of the same files.
        let runs = |sources: &[Source]| -> Vec<Run> {
            sources.iter().flat_map(|source| source.results.runs.clone()).collect()
        };
        let arms = [("p0".to_owned(), "p1".to_owned())];
        let pairs = crate::compare::compare(&runs(&p0), &runs(&p1), &arms, SEED).unwrap();
        let total = pairs[0].rows.iter().find(|row| row.figure == pairs[0].total).unwrap();
        let difference = total.difference.unwrap();
        assert_eq!(change.percent, (difference.ratio - 1.0) * 100.0);
        assert_eq!(change.p, Some(difference.p));
        assert_eq!(change.interval.unwrap().0, (difference.interval.unwrap().low - 1.0) * 100.0);
    }

    #[test]
    fn other_kernels_and_machines_stay_apart() {
        let newer = |results: &mut Results| results.manifest.base.version = "7.4.0".into();
        let larger = |results: &mut Results| results.manifest.host = "another".into();
        let nobody_knows = |results: &mut Results| {
            results.manifest.command = "cargo xtask boot --kernel Image".into();
        };
        let sources = [
            boot("p1", 0, 1_000_000, |_| {}),
            boot("p1", 1, 1_000_000, |_| {}),
            boot("p1", 2, 1_000_000, newer),
            boot("p1", 3, 1_000_000, larger),
            boot("p1", 4, 1_000_000, nobody_knows),
            boot("p1", 5, 1_000_000, nobody_knows),
            boot("p0", 6, 1_000_000, newer),
        ];
        let report = Report::new(&sources, Mode::Compare, &[]);
        assert_eq!(
            arm_names(&report),
            [
                "p1 (p1-0 and 1 more): 2",
                "p1 (p1-2): 1",
                "p1 (p1-3): 1",
                "p1 (p1-4): 1",
                "p1 (p1-5): 1",
                "p0: 1"
            ]
        );
        // Of merged files these are told apart by their own names, unless one has both.
        let read = |name: &str, sources: &[Source]| {
            Source::read(name, &merge::json(sources).unwrap()).unwrap()
        };
        let old = [boot("p1", 7, 1_000_000, newer), boot("p1", 8, 1_000_000, newer)];
        let sources = [read("before", &sources[..2]), read("after", &old)].concat();
        let names = arm_names(&Report::new(&sources, Mode::Compare, &[]));
        assert_eq!(names, ["p1 (before): 2", "p1 (after): 2"]);
        let sources = read("all", &sources);
        let names = arm_names(&Report::new(&sources, Mode::Compare, &[]));
        assert_eq!(names, ["p1 (p1-0 and 1 more): 2", "p1 (p1-7 and 1 more): 2"]);
    }

    #[test]
    fn an_arm_has_one_name_over_all_numbers_of_cpus() {
        let cpus = |cpus| move |results: &mut Results| results.runs[0].cpus = cpus;
        let newer = |results: &mut Results| {
            results.manifest.base.version = "7.4.0".into();
            results.runs[0].cpus = 8;
        };
        let sources = [
            boot("p1", 0, 1_000_000, cpus(4)),
            boot("p1", 1, 1_000_000, cpus(16)),
            boot("p1", 2, 1_000_000, newer),
        ];
        // Else one curve would go through two kernels.
        let names = arm_names(&Report::new(&sources, Mode::Compare, &[]));
        assert_eq!(names, ["p1 (p1-0 and 1 more): 1", "p1 (p1-2): 1", "p1 (p1-0 and 1 more): 1"]);
    }

    #[test]
    fn changes_have_the_decimals_that_they_need() {
        for (change, text) in [
            (-99.67, "−99.7 %"),
            (-99.97, "−99.97 %"),
            (-99.9996, "−99.9996 %"),
            (-100.0, "−100.0 %"),
            (-59.62, "−59.6 %"),
            (0.04, "±0 %"),
            (3.06, "+3.1 %"),
            (1234.5, "+1234.5 %"),
        ] {
            assert_eq!(signed_percent(change), text);
        }
        let change =
            |low, high| Change { percent: -59.6, interval: Some((low, high)), p: Some(0.008) };
        assert_eq!(change(-61.0, -57.2).to_string(), "−59.6 % (−61.0 to −57.2 %, p = 0.008)");
        assert_eq!(change(-59.61, -59.59).to_string(), "−59.6 % (p = 0.008)");
    }

    #[test]
    fn a_range_of_what_looks_the_same_is_none() {
        let shown = |figures: &[u64]| Sample::of(figures.iter().copied()).unwrap().to_string();
        assert_eq!(shown(&[542_100, 542_150, 542_190]), "542 us");
        assert_eq!(shown(&[542_100, 542_100, 543_900]), "542 us (542 us to 544 us)");
    }

    #[test]
    fn timelines_beyond_the_boot_are_left_out() {
        let later = |results: &mut Results| results.runs[0].hotplug = true;
        let sources = [
            boot("p1", 0, 1_000_000, |_| {}),
            boot("p1", 1, 9_000_000_000, later),
            boot("p0", 2, 9_000_000_000, later),
        ];
        let report = Report::new(&sources, Mode::Compare, &[]);
        let [p1, p0] = report.settings[0].arms.as_slice() else { panic!("two arms") };
        let total = Total::Timeline.figure();
        assert_eq!(p1.sample(total), Sample::of([1_000_000]));
        assert_eq!((p0.sample(total), p0.phase(Phase::ALL[0])), (None, None));
        assert!(p0.sample(Total::Log.figure()).is_some());
        assert_eq!(p1.typical().unwrap().bringup_ns, Some(1_000_000));
        assert!(p0.typical().is_some());
        assert_eq!(report.settings[0].total(), Total::Log);
    }

    #[test]
    fn a_trend_tells_of_nights_that_failed_and_of_other_kernels() {
        let night = |number: u64, change: &dyn Fn(&mut Results)| {
            boot("p1", number, 1_000_000 + number, |results| {
                results.manifest.started = format!("2026-11-2{number}T01:00:00Z");
                let again = results.runs[0].clone();
                results.runs.push(again);
                change(results);
            })
        };
        let fail = |count: usize| {
            move |results: &mut Results| {
                results.runs.iter_mut().take(count).for_each(|run| run.ok = false);
            }
        };
        let newer = |results: &mut Results| results.manifest.base.version = "7.4.0".into();
        let nights = [
            night(1, &|_| {}),
            night(2, &fail(2)),
            night(3, &fail(1)),
            night(4, &|results| results.runs.iter_mut().for_each(|run| run.arm = "p0".into())),
            night(5, &newer),
        ];
        let report = Report::new(&nights, Mode::Trend, &[]);
        let [trend] = report.trend.as_slice() else { panic!("{:?}", report.trend) };
        let [(name, outcomes)] = trend.arms.as_slice() else { panic!("{:?}", trend.arms) };
        assert_eq!(name, "p1");
        let shown = |outcome: &Option<Outcome>| {
            let Some(outcome) = outcome else { return "not run".to_owned() };
            let median = outcome.sample.map(|sample| sample.median);
            format!("{median:?} {}", outcome.failures().unwrap_or_default())
        };
        assert_eq!(
            outcomes.iter().map(shown).collect::<Vec<_>>(),
            [
                "Some(1000001) ",
                "None 2 of 2 runs failed",
                "Some(1000003) 1 of 2 runs failed",
                "not run",
                "Some(1000005) "
            ]
        );
        let changes: Vec<usize> = trend.nights.iter().map(|night| night.changes.len()).collect();
        assert_eq!(changes, [0, 0, 0, 0, 1]);
        assert_eq!(trend.nights[4].kernel, "Linux 7.4.0");
        assert_eq!(report.earlier().len(), 4);
        // All of the last night's failed: the trend is there all the same.
        let nights = [night(1, &|_| {}), night(2, &fail(2))];
        assert_eq!(Report::new(&nights, Mode::Trend, &[]).trend.len(), 1);
    }

    #[test]
    fn a_baseline_of_the_same_file_comes_first() {
        let kernel = |version: &'static str| {
            move |results: &mut Results| {
                results.manifest.base.version = version.into();
                let p1 = Run { arm: "p1".into(), ..results.runs[0].clone() };
                results.runs.push(p1);
            }
        };
        let sources = [
            boot("base", 0, 1_000_000, kernel("7.3.4")),
            boot("base", 1, 2_000_000, kernel("7.4.0")),
        ];
        let report = Report::new(&sources, Mode::Compare, &[]);
        assert_eq!(report.settings[0].baselines(), ["base (base-0)", "base (base-1)"]);
    }

    #[test]
    fn arms_are_compared_with_what_is_like_them() {
        let base = samples::run("base", &samples::parallel(4));
        let mut late = base.clone();
        late.faults = vec!["cpu=3,kind=late,arg=9".into()];
        let p1 = samples::run("p1", &samples::parallel(4));
        let mut slow = p1.clone();
        slow.firmware = Some("hip12".into());
        let results = Results::new(samples::manifest(), vec![late, p1, base, slow]);
        let sources = [Source::new("file", results)];
        let report = Report::new(&sources, Mode::Compare, &[]);
        let [setting] = report.settings.as_slice() else { panic!("{:?}", report.settings) };
        let names: Vec<&str> = setting.arms.iter().map(|arm| arm.name.as_str()).collect();
        let late = "base, own firmware, fault cpu=3,kind=late,arg=9";
        assert_eq!(names, [late, "p1, own firmware", "base, own firmware", "p1, hip12"]);
        assert_eq!(setting.baselines(), ["base, own firmware", "p1, hip12"]);
        let change = |arm| setting.change(arm, Total::Timeline.figure()).is_some();
        assert_eq!(setting.arms.iter().map(change).collect::<Vec<_>>(), [true, true, false, false]);
    }
}
