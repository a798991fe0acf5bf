// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Figures over a number of CPUs or over time, as what the page's template needs: shapes in a
//! square of [`SIDE`] units that is stretched to its place, and labels beside it that are not.

use std::fmt::Write as _;

use super::super::duration::Unit;

/// The side of the square.
pub const SIDE: f64 = 1000.0;
/// Labels of an axis, about.
const TICKS: u64 = 6;
/// Points of a curve.
const STEPS: u32 = 60;

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What it shows, for those who do not see it.
    pub description: String,
    /// What is to the right.
    pub x_name: String,
    /// Labels of that axis.
    pub x_ticks: Vec<Tick>,
    /// What is upwards.
    pub y_name: String,
    /// Labels of that axis.
    pub y_ticks: Vec<Tick>,
    /// The lines behind.
    pub grid: String,
    /// What is shown.
    pub series: Vec<Series>,
}

impl Chart {
    /// Whether anything is marked on the base line.
    pub fn has_marks(&self) -> bool {
        self.series.iter().any(|series| !series.marks.is_empty())
    }
}

/// A label of an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Where, in percent from the left or from the top.
    pub at: f64,
    /// What it says.
    pub label: String,
}

/// What is shown in one colour.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its place among the colours, from 0.
    pub colour: usize,
    /// Its points, each with its words.
    pub points: Vec<Point>,
    /// The path of its curve; may be empty.
    pub curve: String,
    /// Marks on the base line: what has no height, each with its words.
    pub marks: Vec<Point>,
}

/// A point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its path, of no length: the line's width makes it a dot.
    pub path: String,
    /// What it is.
    pub title: String,
}

/// What a chart is made of.
pub struct Data<'a> {
    /// See [`Chart::description`].
    pub description: String,
    /// See [`Chart::x_name`].
    pub x_name: &'a str,
    /// See [`Chart::y_name`].
    pub y_name: &'a str,
    /// Labels of the axis to the right: where, and what. `None` makes them of round numbers.
    pub x_labels: Option<Vec<(f64, String)>>,
    /// Whether the axis upwards begins at zero.
    pub from_zero: bool,
    /// Name, points (right, nanoseconds, words) and curve of each series.
    pub series: Vec<SeriesData<'a>>,
}

/// A series of a chart to be.
pub struct SeriesData<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its place among the colours.
    pub colour: usize,
    /// Its points: where to the right, nanoseconds, and words.
    pub points: Vec<(f64, f64, String)>,
    /// What its curve is made of.
    pub curve: Curve<'a>,
    /// What has no height: where to the right, and words.
    pub marks: Vec<(f64, String)>,
}

/// A curve.
pub enum Curve<'a> {
    /// From these points to each other; a gap between one list of them and the next.
    Through(Vec<Vec<(f64, f64)>>),
    /// A function of what is to the right, from the series' first point to its last: beyond them it
    /// would be a guess.
    Of(&'a dyn Fn(f64) -> f64),
}

/// The chart of `data`; `None` if it has no point.
pub fn chart(data: Data<'_>) -> Option<Chart> {
    let points = || data.series.iter().flat_map(|series| &series.points);
    let points = || points().filter(|(x, y, _)| x.is_finite() && y.is_finite());
    let bounds = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let labelled = || data.x_labels.iter().flatten().map(|(x, _)| *x);
    let marked = || data.series.iter().flat_map(|series| &series.marks).map(|(x, _)| *x);
    let (mut left, mut right) =
        bounds(&mut points().map(|(x, ..)| *x).chain(labelled()).chain(marked()));
    let (mut low, mut high) = bounds(&mut points().map(|(_, y, _)| *y));
    if left > right || low > high {
        return None;
    }
    if data.from_zero {
        low = 0.0;
        if data.x_labels.is_none() {
            left = 0.0;
        }
    }
    let pad = |low: f64, high: f64| {
        if high > low { (high - low) * 0.06 } else { 1.0_f64.max(high.abs() * 0.1) }
    };
    let (x_pad, y_pad) = (pad(left, right), pad(low, high));
    right += x_pad;
    high += y_pad;
    if data.x_labels.is_some() {
        left -= x_pad;
    }
    if !data.from_zero {
        low = (low - y_pad).max(0.0);
    }
    let x_of = |x: f64| (x - left) / (right - left) * SIDE;
    let y_of = |y: f64| SIDE - (y - low) / (high - low) * SIDE;

    let x_ticks: Vec<Tick> = match data.x_labels {
        Some(labels) => {
            labels.into_iter().map(|(x, label)| Tick { at: percent(x_of(x)), label }).collect()
        }
        None => round(left, right, 8)
            .into_iter()
            .map(|x| Tick { at: percent(x_of(x)), label: format!("{x}") })
            .collect(),
    };
    let ticks = round(low, high, TICKS);
    let unit = Unit::of(ticks.last().copied().unwrap_or(0.0) as u64);
    let y_ticks: Vec<Tick> = ticks
        .iter()
        .map(|y| {
            let label = match *y {
                0.0 => "0".to_owned(),
                y => format!("{} {}", trimmed(y / unit.ns() as f64), unit.symbol()),
            };
            Tick { at: percent(y_of(*y)), label }
        })
        .collect();
    let mut grid = String::new();
    for y in &ticks {
        let _ = write!(grid, "M0 {}h{SIDE}", number(y_of(*y)));
    }

    let series = data
        .series
        .into_iter()
        .map(|series| {
            let path = |points: &mut dyn Iterator<Item = (f64, f64)>| {
                let mut path = String::new();
                for (x, y) in points.filter(|(x, y)| x.is_finite() && y.is_finite()) {
                    let letter = if path.is_empty() { 'M' } else { 'L' };
                    let (x, y) = (number(x_of(x)), number(y_of(y).clamp(-SIDE, 2.0 * SIDE)));
                    let _ = write!(path, "{letter}{x} {y}");
                }
                path
            };
            let curve = match series.curve {
                Curve::Through(pieces) => {
                    pieces.into_iter().map(|points| path(&mut points.into_iter())).collect()
                }
                Curve::Of(function) => {
                    let (first, last) = bounds(&mut series.points.iter().map(|(x, ..)| *x));
                    let step = |index| first + (last - first) * f64::from(index) / f64::from(STEPS);
                    path(&mut (0..=STEPS).map(|index| (step(index), function(step(index)))))
                }
            };
            let points = series
                .points
                .into_iter()
                .filter(|(x, y, _)| x.is_finite() && y.is_finite())
                .map(|(x, y, title)| Point {
                    path: format!("M{} {}h0", number(x_of(x)), number(y_of(y))),
                    title,
                })
                .collect();
            let mark = |(x, title): (f64, String)| Point {
                path: format!("M{} {SIDE}h0", number(x_of(x))),
                title,
            };
            let marks = series.marks.into_iter().map(mark).collect();
            Series { name: series.name.to_owned(), colour: series.colour, points, curve, marks }
        })
        .collect();
    Some(Chart {
        description: data.description,
        x_name: data.x_name.to_owned(),
        x_ticks,
        y_name: data.y_name.to_owned(),
        y_ticks,
        grid,
        series,
    })
}

/// Round numbers between `low` and `high`, about `count` of them.
fn round(low: f64, high: f64, count: u64) -> Vec<f64> {
    let rough = (high - low) / count as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return vec![low];
    }
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(decade * 10.0);
    let first = (low / step).ceil();
    (0..=2 * count)
        .map(|index| (first + index as f64) * step)
        .take_while(|tick| *tick <= high)
        .collect()
}

/// A number without the digits that are only an error of its binary form.
fn trimmed(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// A tenth of a unit is more than anybody sees.
pub fn number(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn percent(place: f64) -> f64 {
    (place / SIDE * 10_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(points: Vec<(f64, f64, String)>, curve: Curve<'_>) -> Data<'_> {
        Data {
            description: String::new(),
            x_name: "CPUs",
            y_name: "total",
            x_labels: None,
            from_zero: true,
            series: vec![SeriesData { name: "p1", colour: 1, points, curve, marks: Vec::new() }],
        }
    }

    #[test]
    fn points_and_labels_are_in_their_place() {
        let points = [(16.0, 2e6), (64.0, 8e6)].map(|(x, y)| (x, y, format!("{x}")));
        let chart = chart(data(points.to_vec(), Curve::Of(&|x| x * 125_000.0))).unwrap();
        let labels =
            |ticks: &[Tick]| ticks.iter().map(|tick| tick.label.clone()).collect::<Vec<_>>();
        assert_eq!(labels(&chart.x_ticks), ["0", "10", "20", "30", "40", "50", "60"]);
        assert_eq!(labels(&chart.y_ticks), ["0", "2 ms", "4 ms", "6 ms", "8 ms"]);
        assert_eq!(chart.y_ticks[0].at, 100.0);
        // A line through both points goes from the one to the other.
        let [series] = chart.series.as_slice() else { panic!("{:?}", chart.series) };
        let paths: Vec<&str> = series.points.iter().map(|point| point.path.as_str()).collect();
        assert_eq!(paths, ["M235.8 764.2h0", "M943.4 56.6h0"]);
        assert!(series.curve.starts_with("M235.8 764.2L") && series.curve.ends_with("L943.4 56.6"));
    }

    #[test]
    fn labels_without_points_have_their_place_too() {
        let labels = [(0.0, "Monday"), (2.0, "Wednesday")].map(|(x, day)| (x, day.to_owned()));
        let points = vec![(0.0, 2e6, String::new()), (1.0, 2e6, String::new())];
        let data = Data {
            x_labels: Some(labels.to_vec()),
            from_zero: false,
            ..data(points, Curve::Through(Vec::new()))
        };
        let ticks = chart(data).unwrap().x_ticks;
        assert!(ticks.iter().all(|tick| (0.0..=100.0).contains(&tick.at)), "{ticks:?}");
    }

    #[test]
    fn a_gap_is_not_drawn_over_and_a_mark_is_on_the_base_line() {
        let points = [0.0, 1.0, 3.0].map(|x| (x, 2e6, String::new()));
        let pieces = vec![vec![(0.0, 2e6), (1.0, 2e6)], vec![(3.0, 2e6)]];
        let mut data = data(points.to_vec(), Curve::Through(pieces));
        data.series[0].marks = vec![(2.0, "failed".to_owned()), (4.0, "failed".to_owned())];
        let chart = chart(data).unwrap();
        let series = &chart.series[0];
        assert_eq!(series.curve.matches('M').count(), 2);
        assert_eq!(series.curve.matches('L').count(), 1);
        let marks: Vec<&str> = series.marks.iter().map(|mark| mark.path.as_str()).collect();
        assert_eq!(marks, ["M471.7 1000h0", "M943.4 1000h0"]);
        assert!(chart.has_marks());
    }

    #[test]
    fn nothing_makes_no_chart() {
        assert_eq!(chart(data(Vec::new(), Curve::Through(Vec::new()))), None);
        assert_eq!(
            chart(data(vec![(f64::NAN, 1.0, String::new())], Curve::Through(Vec::new()))),
            None
        );
        assert!(chart(data(vec![(1.0, 0.0, String::new())], Curve::Through(Vec::new()))).is_some());
    }

    proptest! {
        #[test]
        fn any_figures_can_be_drawn(points in prop::collection::vec((any::<u32>(), any::<u64>()), 1..9), from_zero: bool) {
            let points = points.into_iter().map(|(x, y)| (f64::from(x), y as f64, String::new()));
            let made = chart(Data { from_zero, ..data(points.collect(), Curve::Through(vec![vec![(0.0, f64::NAN)]])) });
            let made = made.expect("a chart");
            prop_assert!(made.y_ticks.len() < 20 && made.x_ticks.len() < 20);
            prop_assert!(made.y_ticks.iter().all(|tick| (0.0..=100.0).contains(&tick.at)));
            let all = format!("{made:?}");
            prop_assert!(!all.contains("NaN"));
        }
    }
}
