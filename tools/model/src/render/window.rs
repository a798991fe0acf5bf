// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What [`crate::window`] simulates, as a picture: on a server the window has to open, in a guest it
//! must not.

use svg::Document;
use svg::node::element::{Description, Group, Line, Polyline, Style, Text, Title};

use super::duration::duration;
use crate::window::{Latency, Machine, Window, simulate};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 400.0;
const PLOT: (f64, f64) = (360.0, 240.0);
const TOP: f64 = 84.0;
/// Left edges of the two plots.
const LEFT: [f64; 2] = [84.0, 560.0];

const US: u64 = 1_000;

/// The colours of the timelines' picture.
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:11px;fill:#1f2328}\
.background{fill:#fff}.title{font-size:13px;font-weight:600}.muted{fill:#59636e}.end{text-anchor:end}\
.middle{text-anchor:middle}.grid{stroke:#d1d9e0}polyline{fill:none;stroke-width:2.5}\
.serial{stroke:#d55e00}.all{stroke:#0072b2}.fixed{stroke:#59636e}.auto{stroke:#009e73;stroke-dasharray:7 4}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.background{fill:#0d1117}.muted{fill:#9198a1}\
.grid{stroke:#30363d}.all{stroke:#2b8fd0}.fixed{stroke:#9198a1}}";

/// A line of a plot: its class, what it is, and its points.
type Curve = (&'static str, &'static str, Vec<(f64, f64)>);

/// The picture of `docs/kick-window.svg`.
pub fn picture() -> String {
    let total = |machine: &Machine, window| simulate(machine, window).total;
    let server = |latency: u64| Machine {
        cpus: 127,
        kick: 50 * US,
        block: 0,
        latency: Latency::Constant(latency),
        boot: 0,
        release: 500 * US,
        pcpus: None,
        fails: None,
    };
    let latencies: Vec<u64> =
        (0..=20).map(|step| (1e4 * 10_f64.powf(f64::from(step) / 4.0)) as u64).collect();
    let over =
        |window| latencies.iter().map(|&ns| (ns as f64, total(&server(ns), window))).collect();
    let servers: [Curve; 3] = [
        ("serial", "serial", over(Window::SERIAL)),
        ("all", "all at once", over(Window::ALL)),
        ("auto", "auto", over(Window::Auto)),
    ];

    let guest = Machine {
        cpus: 63,
        kick: 50 * US,
        block: 0,
        latency: Latency::Tail(100 * US),
        boot: 200 * US,
        release: 500 * US,
        pcpus: Some(4),
        fails: None,
    };
    let sizes = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 63];
    let auto = total(&guest, Window::Auto);
    let guests: [Curve; 2] = [
        (
            "fixed",
            "fixed window",
            sizes
                .iter()
                .map(|&size| (f64::from(size), total(&guest, Window::Ahead(size - 1))))
                .collect(),
        ),
        ("auto", "auto", vec![(1.0, auto), (63.0, auto)]),
    ];

    let body = Group::new()
        .add(plot(
            LEFT[0],
            "127 CPUs of a server: total by firmware's latency",
            &servers,
            &[1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
            &|ns| duration(ns as u64),
        ))
        .add(plot(
            LEFT[1],
            "63 virtual CPUs on 4 physical ones: total by window",
            &guests,
            &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 63.0],
            &|size| size.to_string(),
        ));
    let heading = "Simulated bring-up by the size of the kick window";
    let document = Document::new()
        .set("viewBox", format!("0 0 {WIDTH} {HEIGHT}"))
        .set("role", "img")
        .set("aria-labelledby", "title description")
        .add(Title::new(heading).set("id", "title"))
        .add(Description::new().set("id", "description").add(svg::node::Text::new(
            "On a server, auto follows all at once while serial grows with the latency. In a guest \
             with fewer physical CPUs, wide windows are slow and auto is as fast as the best.",
        )))
        .add(Style::new(STYLE))
        .add(
            svg::node::element::Rectangle::new()
                .set("width", WIDTH)
                .set("height", HEIGHT)
                .set("rx", 8)
                .set("class", "background"),
        )
        .add(text(LEFT[0] - 60.0, 30.0, "title", heading))
        .add(body)
        .add(text(
            LEFT[0] - 60.0,
            HEIGHT - 14.0,
            "muted",
            "Simulation, not measurement: a kick costs 50 us, a release 500 us. tools/model/src/window.rs",
        ));
    format!("{document}\n")
}

fn text(x: f64, y: f64, class: &str, words: &str) -> Text {
    Text::new(words).set("x", round(x)).set("y", round(y)).set("class", class)
}

/// A tenth of a unit is enough, and the same on every machine.
fn round(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

/// Both axes are logarithmic.
fn plot(
    left: f64,
    title: &str,
    curves: &[Curve],
    ticks: &[f64],
    label: &dyn Fn(f64) -> String,
) -> Group {
    let (width, height) = PLOT;
    let points = || curves.iter().flat_map(|(_, _, points)| points);
    let ends = |of: fn(&(f64, f64)) -> f64| {
        points()
            .map(of)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)))
    };
    let ((x_low, x_high), (y_low, y_high)) = (ends(|point| point.0), ends(|point| point.1));
    // Whole decades of time.
    let (y_low, y_high) = (y_low.log10().floor(), y_high.log10().ceil());
    let x = |value: f64| left + width * (value / x_low).ln() / (x_high / x_low).ln();
    let y = |ns: f64| TOP + height * (y_high - ns.log10()) / (y_high - y_low);
    let line = |from: (f64, f64), to: (f64, f64)| {
        let line = Line::new().set("x1", round(from.0)).set("y1", round(from.1));
        line.set("x2", round(to.0)).set("y2", round(to.1)).set("class", "grid")
    };
    let mut group = Group::new().add(text(left, TOP - 30.0, "title", title));
    for &tick in ticks {
        let at = x(tick);
        group = group.add(line((at, TOP), (at, TOP + height)));
        group = group.add(text(at, TOP + height + 18.0, "muted middle", &label(tick)));
    }
    let mut decade = y_low;
    while decade <= y_high {
        let ns = 10_f64.powf(decade);
        group = group.add(line((left, y(ns)), (left + width, y(ns))));
        group = group.add(text(left - 8.0, y(ns) + 4.0, "muted end", &duration(ns.round() as u64)));
        decade += 1.0;
    }
    for (index, (class, name, points)) in curves.iter().enumerate() {
        let points: Vec<String> =
            points.iter().map(|&(value, ns)| format!("{:.1},{:.1}", x(value), y(ns))).collect();
        group = group.add(Polyline::new().set("points", points.join(" ")).set("class", *class));
        let at = left + 110.0 * index as f64;
        let sample = format!("{},{y} {},{y}", round(at), round(at + 24.0), y = TOP - 14.0);
        group = group.add(Polyline::new().set("points", sample).set("class", *class));
        group = group.add(text(at + 30.0, TOP - 10.0, "legend", name));
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `INSTA_UPDATE=always cargo test` writes it anew, as it does with snapshots.
    #[test]
    fn the_picture_in_the_documentation_is_up_to_date() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/kick-window.svg");
        let picture = picture();
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(file, &picture).unwrap();
        }
        let found = std::fs::read_to_string(file).unwrap_or_default();
        assert!(found == picture, "{file} is not what the simulation yields now");
    }
}
