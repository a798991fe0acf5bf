// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Timelines as a picture: one panel per run, one row per CPU, one coloured span per phase. All
//! panels have the same time scale, so that arms compare by eye; zero is the first kick of each.

use svg::Document;
use svg::node::element::{
    Description, Group, Line, Path, Rectangle, Style, TSpan, Text, Title, path::Data,
};

use super::duration::{Unit, duration};
use crate::results::Run;
use crate::timeline::{Cpu, Outcome, Stamp};

// All lengths are in the picture's own units, pixels at its natural size.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
/// Room for the numbers of the CPUs, left of the rows.
const NUMBERS: f64 = 44.0;
/// Room for what became of failed CPUs, right of the rows.
const FAILURES: f64 = 176.0;
const LEGEND_COLUMNS: usize = 4;
const LEGEND_LINE: f64 = 20.0;
/// From a panel's title to its first row.
const TITLE: f64 = 14.0;
/// From a panel's last row to the title of the next.
const PANEL_GAP: f64 = 58.0;
/// From the last panel's last row to what is said about the clocks.
const NOTES_GAP: f64 = 54.0;
/// The least distance of two lines of small text.
const TEXT_LINE: f64 = 12.0;
/// What the rows of a panel share, as long as each row stays within its bounds.
const ROWS: f64 = 384.0;
const ROW_MIN: f64 = 1.25;
const ROW_MAX: f64 = 14.0;
/// Spans that are narrower cannot be seen: left out, which keeps the file small.
const SPAN_MIN: f64 = 0.02;
const TICKS: u64 = 8;
/// Characters of small text that fit the width.
const NOTE_WIDTH: usize = 150;

/// Colours are those of Okabe and Ito, which readers with any colour vision can tell apart; waiting
/// is grey, so that work stands out. Plain rules, since not every viewer knows CSS variables.
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:11px;fill:#1f2328}\
.background{fill:#fff}.heading{font-size:17px;font-weight:600}.title{font-size:13px;font-weight:600}\
.muted{fill:#59636e;font-weight:400}.end{text-anchor:end}.middle{text-anchor:middle}\
.row{fill:#f3f5f7}.halo{stroke:#f3f5f7;stroke-width:3;stroke-linejoin:round;paint-order:stroke}.grid{stroke:#d1d9e0;stroke-width:1}.total{stroke:#59636e;stroke-width:1;stroke-dasharray:3 2}\
.kick{fill:#0072b2}.entry{fill:#56b4e9}.alive{fill:#c8cdd3}.release{fill:#e69f00}.starting{fill:#009e73}\
.online{fill:#cc79a7}.call{fill:#1f2328}.failure{fill:#c04a00}\
.cross{stroke:#d55e00;stroke-width:2;fill:none}.lost{stroke:#d55e00;stroke-width:1;stroke-dasharray:2 3;fill:none}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.background{fill:#0d1117}.muted{fill:#9198a1}\
.row{fill:#161b22}.halo{stroke:#161b22}.grid{stroke:#30363d}.total{stroke:#9198a1}.kick{fill:#2b8fd0}.alive{fill:#4a525c}\
.call{fill:#e6edf3}.failure{fill:#ff8c42}.cross,.lost{stroke:#ff8c42}}";

/// The legend: the class of a span, and what it stands for.
const LEGEND: [(&str, &str); 7] = [
    ("kick", "kick to entry (firmware)"),
    ("entry", "entry to alive (early boot)"),
    ("alive", "alive to release (waiting)"),
    ("release", "release to starting"),
    ("starting", "starting to online"),
    ("online", "online to active"),
    ("call", "kick call, on the boot CPU"),
];

/// The runs as an SVG document that needs nothing else, light or dark as the viewer is.
pub fn timelines(heading: &str, runs: &[Run]) -> String {
    groups(heading, &[runs.to_vec()])
}

/// The same of several groups of runs, each of which has a scale of its own.
pub fn groups(heading: &str, groups: &[Vec<Run>]) -> String {
    let runs = groups.concat();
    let runs = runs.as_slice();
    let scale = Scale::of(runs);
    let mut body = Group::new();
    let mut y = MARGIN + 12.0;
    body = body.add(text(MARGIN, y, "heading", heading));
    y += 24.0;
    for (index, (class, label)) in LEGEND.into_iter().enumerate() {
        let column = (WIDTH - 2.0 * MARGIN) / LEGEND_COLUMNS as f64;
        let x = MARGIN + column * (index % LEGEND_COLUMNS) as f64;
        let line = y + LEGEND_LINE * (index / LEGEND_COLUMNS) as f64;
        body = body.add(rectangle(x, line - 10.0, 12.0, 12.0, class).set("rx", 2));
        body = body.add(text(x + 18.0, line, "legend", label));
        if index + 1 == LEGEND.len() && scale.failures {
            body = body.add(cross(x + column + 6.0, line - 4.0, 4.0));
            body = body.add(text(x + column + 18.0, line, "legend", "CPU that failed"));
        }
    }
    y += LEGEND_LINE * (LEGEND.len().div_ceil(LEGEND_COLUMNS) - 1) as f64 + 36.0;
    for group in groups {
        let scale = Scale { end: Scale::of(group).end, ..scale };
        for run in group {
            let (panel, height) = panel(run, &scale, y);
            body = body.add(panel);
            y += height + PANEL_GAP;
        }
    }
    y -= PANEL_GAP - NOTES_GAP;
    let notes = notes(runs);
    for note in &notes {
        body = body.add(text(MARGIN, y, "muted", note));
        y += 15.0;
    }
    let height = if notes.is_empty() { y - NOTES_GAP + PANEL_GAP - 20.0 } else { y + 4.0 };

    let description: Vec<String> = runs.iter().map(describe).collect();
    let document = Document::new()
        .set("viewBox", format!("0 0 {} {}", number(WIDTH), number(height)))
        .set("width", number(WIDTH))
        .set("height", number(height))
        .set("role", "img")
        .set("aria-labelledby", "title description")
        .add(Title::new(plain(heading)).set("id", "title"))
        .add(Description::new().set("id", "description").add(svg::node::Text::new(plain(
            &format!("One row per CPU, time from left to right. {}", description.join(" ")),
        ))))
        .add(Style::new(STYLE))
        .add(rectangle(0.0, 0.0, WIDTH, height, "background").set("rx", 8))
        .add(body);
    format!("{document}\n")
}

/// A run in a sentence, for those who do not see the picture.
fn describe(run: &Run) -> String {
    let mut words = format!("{}: {} CPUs", run.arm, run.cpus);
    match run.bringup_ns {
        Some(total) => words.push_str(&format!(", brought up in {}", duration(total))),
        None => words.push_str(", no total"),
    }
    for cpu in run.failed_cpus() {
        words.push_str(&format!(", CPU {} {}", cpu.cpu, cpu.outcome));
    }
    words + "."
}

/// What must be known about the clocks, in lines that fit the picture.
fn notes(runs: &[Run]) -> Vec<String> {
    let mut clocks: Vec<_> = runs.iter().map(|run| run.clock).collect();
    clocks.sort_unstable();
    clocks.dedup();
    let mut lines = Vec::new();
    for caution in clocks.iter().filter_map(|clock| clock.caution()) {
        let mut line = String::new();
        for word in caution.split(' ') {
            if line.len() + word.len() > NOTE_WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(word);
            line.push(' ');
        }
        lines.push(line);
    }
    lines
}

/// Where a time lies in the picture; one for all panels of a group.
#[derive(Clone, Copy)]
struct Scale {
    /// The latest time of all runs after the first kick, in nanoseconds; never 0.
    end: u64,
    /// Where the rows end.
    right: f64,
    /// Whether any run has CPUs that failed.
    failures: bool,
}

impl Scale {
    /// Where the rows begin.
    const LEFT: f64 = MARGIN + NUMBERS;

    fn of(runs: &[Run]) -> Self {
        let latest = |run: &Run| {
            let first = run.first_kick()?;
            let stamps =
                run.per_cpu.iter().flat_map(|cpu| Stamp::ALL.map(|stamp| cpu.stamp(stamp)));
            stamps.flatten().max()?.checked_sub(first)
        };
        let failures = runs.iter().any(|run| run.failed_cpus().next().is_some());
        Self {
            end: runs.iter().filter_map(latest).max().unwrap_or(0).max(1),
            right: WIDTH - MARGIN - if failures { FAILURES } else { 0.0 },
            failures,
        }
    }

    /// The place of a time after the first kick.
    fn x(&self, ns: u64) -> f64 {
        // A little room after the latest time, for its mark.
        Self::LEFT + (self.right - Self::LEFT) * 0.985 * (ns as f64 / self.end as f64)
    }

    fn ticks(&self) -> Vec<u64> {
        ticks(self.end, TICKS)
    }
}

/// Times for an axis up to `end` nanoseconds: round ones, at most `most` and zero.
pub(super) fn ticks(end: u64, most: u64) -> Vec<u64> {
    let mut step: u64 = 1;
    for factor in [2, 5, 10].into_iter().cycle() {
        if end / step <= most {
            break;
        }
        let decade = 10u64.saturating_pow(step.ilog10());
        step = decade.saturating_mul(factor);
    }
    (0..=end / step).map(|index| index * step).collect()
}

/// The panel of one run with its title's baseline at `y`, and its height without the axis.
fn panel(run: &Run, scale: &Scale, y: f64) -> (Group, f64) {
    let mut group = Group::new().add(panel_title(run, y));
    let top = y + TITLE;
    let Some(zero) = run.first_kick() else {
        let why =
            if run.per_cpu.is_empty() { "no timeline was recorded" } else { "no CPU was kicked" };
        return (group.add(text(Scale::LEFT, top + 4.0, "muted", why)), 0.0);
    };
    let count = run.per_cpu.len() as f64;
    let row = (ROWS / count).clamp(ROW_MIN, ROW_MAX);
    let height = row * count;
    let bottom = top + height;

    group = group.add(rectangle(Scale::LEFT, top, scale.right - Scale::LEFT, height, "row"));
    group = group.add(axis(scale, top, bottom));
    group = group.add(numbers(&run.per_cpu, top, row));
    let calls = run.per_cpu.iter().filter_map(|cpu| Some((cpu, cpu.kick?, cpu.kicked?)));
    let calls: Vec<(&Cpu, u64, u64)> = calls.collect();
    for (index, cpu) in run.per_cpu.iter().enumerate() {
        let place = Row { scale, zero, y: top + row * index as f64, height: row };
        if cpu.outcome == Outcome::Boot {
            for (kicked, from, to) in &calls {
                let what = format!("CPU {}: kick call for CPU {}", cpu.cpu, kicked.cpu);
                group = place.span(group, "call", &what, *from, *to);
            }
        } else {
            group = place.cpu(group, cpu);
        }
    }
    if let Some(total) = run.bringup_ns {
        let x = scale.x(total);
        group = group.add(line(x, top, x, bottom, "total"));
        let (x, class) = if x + 60.0 < scale.right {
            (x + 5.0, "muted halo")
        } else {
            (x - 5.0, "muted halo end")
        };
        // Below the boot CPU's row, which has something to show up to the end.
        group = group.add(text(x, top + row + 11.0, class, &duration(total)));
    }
    (group.add(failures(run, scale, top, row)), height)
}

/// What was run, and what came of it.
fn panel_title(run: &Run, y: f64) -> Text {
    let mut facts = vec![format!("{} CPUs", run.cpus)];
    facts.extend(run.bringup_ns.map(duration));
    let mut setup = vec![format!("{}, {} clock", run.accel, run.clock.name())];
    setup.extend(run.parallel.map(|parallel| format!("parallel={}", u8::from(parallel))));
    setup.extend(run.window.as_ref().map(|window| format!("window={window}")));
    setup.extend(run.firmware.as_ref().map(|firmware| format!("firmware {firmware}")));
    let part = |text: &str, class| TSpan::new(plain(text)).set("class", class);
    let mut title = text(MARGIN, y, "title", "")
        .add(part(&format!("{} · {}", run.arm, facts.join(" · ")), "title"))
        .add(part(&setup.join(", "), "muted").set("dx", 12));
    if !run.ok {
        let kind = run.failure.as_ref().map_or("failed", |failure| &failure.kind);
        title = title.add(part(kind, "failure").set("dx", 12));
    }
    title
}

/// The time axis below the rows, and its lines behind them.
fn axis(scale: &Scale, top: f64, bottom: f64) -> Group {
    let ticks = scale.ticks();
    let unit = Unit::of(ticks.last().copied().unwrap_or(0));
    let mut group = Group::new();
    for ns in ticks {
        let x = scale.x(ns);
        let label = match ns {
            0 => "0".into(),
            _ => format!("{} {}", ns as f64 / unit.ns() as f64, unit.symbol()),
        };
        group = group.add(line(x, top, x, bottom + 4.0, "grid")).add(text(
            x,
            bottom + 16.0,
            "muted middle",
            &label,
        ));
    }
    group
}

/// The numbers of the CPUs, as many as there is room for.
fn numbers(cpus: &[Cpu], top: f64, row: f64) -> Group {
    let mut every = 1;
    while row * (every as f64) < TEXT_LINE + 1.0 {
        every *= 2;
    }
    let x = Scale::LEFT - 6.0;
    let mut group = Group::new();
    for (index, cpu) in cpus.iter().enumerate().step_by(every) {
        let label = if index == 0 { format!("CPU {}", cpu.cpu) } else { cpu.cpu.to_string() };
        let y = top + row * (index as f64 + 0.5) + 4.0;
        group = group.add(text(x, y, "muted end", &label));
    }
    group
}

/// The row of one CPU.
struct Row<'a> {
    scale: &'a Scale,
    /// The first kick.
    zero: u64,
    y: f64,
    height: f64,
}

impl Row<'_> {
    /// Adds what is known about a secondary CPU.
    fn cpu(&self, mut group: Group, cpu: &Cpu) -> Group {
        let reached: Vec<(Stamp, u64)> = Stamp::SEQUENCE
            .into_iter()
            .filter_map(|stamp| Some((stamp, cpu.stamp(stamp)?)))
            .collect();
        for pair in reached.windows(2) {
            if let [(from, from_ns), (to, to_ns)] = pair {
                let what = format!("CPU {}: {from} to {to}", cpu.cpu);
                group = self.span(group, from.name(), &what, *from_ns, *to_ns);
            }
        }
        if cpu.outcome.is_failure() {
            let last = reached.iter().map(|(_, ns)| *ns).max().unwrap_or(self.zero);
            let x = self.scale.x(last.saturating_sub(self.zero));
            let y = self.y + self.height / 2.0;
            group = group.add(line(x, y, self.scale.right, y, "lost")).add(cross(
                x,
                y,
                (self.height / 2.0 - 2.0).clamp(2.0, 4.0),
            ));
        } else if reached.is_empty() && self.height >= TEXT_LINE {
            let y = self.y + self.height / 2.0 + 4.0;
            let outcome = cpu.outcome.to_string();
            group = group.add(text(Scale::LEFT + 5.0, y, "muted", &outcome));
        }
        group
    }

    /// Adds the span between two times; nothing if it runs backwards or cannot be seen.
    fn span(&self, group: Group, class: &str, what: &str, from: u64, to: u64) -> Group {
        let (Some(from), Some(to)) = (from.checked_sub(self.zero), to.checked_sub(self.zero))
        else {
            return group;
        };
        let (x, end) = (self.scale.x(from), self.scale.x(to));
        if end - x < SPAN_MIN {
            return group;
        }
        // Rows that are thick enough stand apart.
        let gap = match self.height {
            6.0.. => 2.0,
            2.5.. => 0.5,
            _ => 0.0,
        };
        let exact = format!("{what}: {} ({from} to {to} ns)", duration(to - from));
        let span = rectangle(x, self.y + gap / 2.0, end - x, self.height - gap, class);
        group.add(span.add(Title::new(plain(&exact))))
    }
}

/// What became of the CPUs that failed, beside their rows, with lines to them.
fn failures(run: &Run, scale: &Scale, top: f64, row: f64) -> Group {
    let failed: Vec<(usize, &Cpu)> =
        run.per_cpu.iter().enumerate().filter(|(_, cpu)| cpu.outcome.is_failure()).collect();
    let bottom = top + row * run.per_cpu.len() as f64;
    // At least one line, and the last one is for what there is no room for.
    let room = ((bottom - top) / TEXT_LINE).max(1.0) as usize;
    let shown = if failed.len() > room { room.saturating_sub(1) } else { failed.len() };
    let mut group = Group::new();
    // From below, so that those above can give way to it.
    let mut limit = bottom - TEXT_LINE / 2.0 + 2.0;
    let mut labels = Vec::new();
    if shown < failed.len() {
        labels.push((limit, None, format!("and {} more", failed.len() - shown), String::new()));
        limit -= TEXT_LINE;
    }
    for (index, cpu) in failed.iter().take(shown).rev() {
        let middle = top + row * (*index as f64 + 0.5);
        let y = middle.min(limit);
        limit = y - TEXT_LINE;
        let full = format!("CPU {}: {}", cpu.cpu, cpu.outcome);
        labels.push((y, Some(middle), shortened(&full, 26), full));
    }
    // Those that were pushed above the first row move down again, one after the other.
    let mut limit = top + 2.0;
    for (y, middle, label, full) in labels.into_iter().rev() {
        let y = y.max(limit);
        limit = y + TEXT_LINE;
        if let Some(middle) = middle {
            let data = Data::new()
                .move_to((number(scale.right), number(middle)))
                .line_to((number(scale.right + 12.0), number(y)));
            group = group.add(Path::new().set("class", "lost").set("d", data));
        }
        let mut label = text(scale.right + 16.0, y + 4.0, "failure", &label);
        if !full.is_empty() {
            label = label.add(Title::new(plain(&full)));
        }
        group = group.add(label);
    }
    group
}

fn rectangle(x: f64, y: f64, width: f64, height: f64, class: &str) -> Rectangle {
    Rectangle::new()
        .set("x", number(x))
        .set("y", number(y))
        .set("width", number(width))
        .set("height", number(height))
        .set("class", class)
}

fn line(x1: f64, y1: f64, x2: f64, y2: f64, class: &str) -> Line {
    Line::new()
        .set("x1", number(x1))
        .set("y1", number(y1))
        .set("x2", number(x2))
        .set("y2", number(y2))
        .set("class", class)
}

fn cross(x: f64, y: f64, half: f64) -> Path {
    let data = Data::new()
        .move_to((number(x - half), number(y - half)))
        .line_to((number(x + half), number(y + half)))
        .move_to((number(x - half), number(y + half)))
        .line_to((number(x + half), number(y - half)));
    Path::new().set("class", "cross").set("d", data)
}

fn text(x: f64, y: f64, class: &str, content: &str) -> Text {
    Text::new(plain(content)).set("x", number(x)).set("y", number(y)).set("class", class)
}

/// Hundredths are more than anybody sees, and more digits would double the file.
fn number(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Text without the control characters that XML does not have.
fn plain(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            char if char.is_control() => ' ',
            char => char,
        })
        .collect()
}

fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.into();
    }
    text.chars().take(limit - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use svg::node::element::tag::Type;
    use svg::parser::Event;

    use super::*;
    use crate::results::{Clock, Failure, Setup};
    use crate::samples;

    fn pristine() -> Run {
        Run::new(Setup {
            arm: "pristine".into(),
            cpus: 4,
            parallel: None,
            window: None,
            accel: "kvm".into(),
            clock: Clock::Counter,
            firmware: None,
        })
    }

    /// The text of the picture, after a look that it is well-formed.
    fn drawn(runs: &[Run]) -> String {
        let picture = timelines("CPU bring-up", runs);
        let mut open = Vec::new();
        for event in svg::read(&picture).unwrap() {
            match event {
                Event::Tag(name, Type::Start, _) => open.push(name.to_owned()),
                Event::Tag(name, Type::End, _) => assert_eq!(open.pop().as_deref(), Some(name)),
                Event::Error(error) => panic!("{error}"),
                _ => {}
            }
        }
        assert_eq!(open, [""; 0]);
        picture
    }

    fn count(picture: &str, what: &str) -> usize {
        picture.matches(what).count()
    }

    #[test]
    fn draws_panels_of_one_scale() {
        let runs = [
            samples::run("base", &samples::serial(4)),
            samples::run("p1", &samples::with_failure(7)).with_failure(Failure {
                kind: "hang".into(),
                detail: "no report".into(),
                console_tail: Vec::new(),
            }),
            pristine(),
        ];
        samples::assert_snapshot("timelines", &drawn(&runs));
    }

    #[test]
    fn shows_every_phase_of_every_cpu() {
        for cpus in [2, 16, 128] {
            let run = samples::run("p1", &samples::parallel(cpus));
            let picture = drawn(&[run]);
            let secondaries = cpus as usize - 1;
            for class in ["kick", "entry", "alive", "release", "starting", "online", "call"] {
                let spans = count(&picture, &format!("<rect class=\"{class}\""));
                assert_eq!(spans, secondaries + 1, "{class} of {cpus}, and the legend");
            }
        }
    }

    #[test]
    fn names_cpus_that_failed_as_far_as_there_is_room() {
        let picture = drawn(&[samples::run("p1", &samples::with_failure(128))]);
        assert!(picture.contains("CPU 3: never-arrived") && picture.contains("CPU that failed"));

        let mut timeline = samples::parallel(128);
        for cpu in &mut timeline.cpus[28..] {
            cpu.outcome = Outcome::Died("a reason that is longer than the room for it".into());
        }
        let picture = drawn(&[samples::run("p1", &timeline)]);
        assert!(picture.contains("and 69 more"), "{}", count(&picture, "…"));
        assert_eq!(count(&picture, "…"), 31);

        let picture = drawn(&[samples::run("p1", &samples::parallel(128))]);
        assert!(!picture.contains("CPU that failed"));
    }

    #[test]
    fn numbers_fewer_rows_where_there_are_many() {
        for (cpus, numbers) in [(16, 16), (128, 16), (512, 32)] {
            let run = samples::run("p1", &samples::parallel(cpus));
            assert_eq!(count(&drawn(&[run]), "\"muted end\""), numbers, "{cpus}");
        }
    }

    #[test]
    fn escapes_what_it_is_given() {
        let mut run = samples::run("<p1> & \u{7}\"x\"", &samples::serial(2));
        run.per_cpu[1].outcome = Outcome::Died("<b>\u{ffff}".into());
        let picture = drawn(&[run]);
        assert!(picture.contains("&lt;p1&gt; &amp;  \"x\""));
        assert!(picture.contains("died(&lt;b&gt;\u{fffd})"));
    }

    #[test]
    fn has_a_light_and_a_dark_style_and_a_description() {
        let picture = drawn(&[samples::run("p1", &samples::parallel(16))]);
        assert!(picture.contains("prefers-color-scheme:dark"));
        assert!(picture.contains("role=\"img\""));
        assert!(picture.contains("p1: 16 CPUs, brought up in 1.97 ms."));
    }

    #[test]
    fn draws_nothing_at_all() {
        drawn(&[]);
        let mut run = samples::run("p1", &samples::parallel(3));
        for cpu in &mut run.per_cpu {
            cpu.kick = None;
        }
        assert!(drawn(&[run]).contains("no CPU was kicked"));
    }

    #[test]
    fn ticks_are_round_and_few() {
        let ticks = |end| Scale { end, right: 900.0, failures: false }.ticks();
        assert_eq!(ticks(1), [0, 1]);
        assert_eq!(ticks(4_380_000).last(), Some(&4_000_000));
        assert_eq!(ticks(4_380_000).len(), 9);
        assert_eq!(ticks(79_303_000), [0, 10, 20, 30, 40, 50, 60, 70].map(|ms| ms * 1_000_000));
        assert!(ticks(u64::MAX).len() <= 9);
    }

    proptest! {
        #[test]
        fn any_stamps_can_be_drawn(stamps in prop::collection::vec(any::<[Option<u64>; 8]>(), 1..20)) {
            let mut timeline = samples::with_failure(20);
            for (cpu, stamps) in timeline.cpus.iter_mut().zip(stamps) {
                [cpu.kick, cpu.kicked, cpu.entry, cpu.alive, _, _, _, _] = stamps;
                [_, _, _, _, cpu.release, cpu.starting, cpu.online, cpu.active] = stamps;
            }
            let picture = drawn(&[samples::run("p1", &timeline)]);
            prop_assert!(!picture.contains("NaN") && !picture.contains("inf"));
        }
    }
}
