// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The repetitions of one measurement of a KVM guest: their exits in the format of `perf kvm stat`,
//! and how well the figures repeat.

use comfy_table::{CellAlignment, Table, presets};

use super::duration::duration;
use crate::kvm::exit_table;
use crate::results::{Kvm, Run};
use crate::stats::Spread;

/// The report about runs that are repetitions of the same.
pub fn report(runs: &[Run]) -> String {
    let Some(first) = runs.first() else { return "no runs\n".to_owned() };
    let mut text = heading(first, runs.len());
    let good: Vec<&Run> = runs.iter().filter(|run| run.ok).collect();
    if good.len() < runs.len() {
        text += &format!("{} of them failed\n", runs.len() - good.len());
    }
    if let Some(run) = middle(&good)
        && let Some(kvm) = &run.kvm
        && !kvm.exits.is_empty()
    {
        let which =
            kvm.repetition.map_or(String::new(), |number| format!(" (repetition {number})"));
        text += &format!("\nThe run with the median time{which}:\n{}\n", exit_table(&kvm.exits));
    }
    if !good.is_empty() {
        text += &figures(&good);
    }
    if let Some(caution) = first.clock.caution() {
        text += caution;
        text.push('\n');
    }
    text
}

fn heading(run: &Run, runs: usize) -> String {
    let kvm = run.kvm.clone().unwrap_or_default();
    let mut words = vec![format!("{}: {} vCPUs", run.arm, run.cpus)];
    if let Some(pcpus) = kvm.pcpus {
        words[0] += &format!(" on {pcpus} CPUs");
    }
    if let Some(parallel) = run.parallel {
        let window = run.window.as_deref().unwrap_or("-");
        words.push(format!("parallel={} window={window}", u8::from(parallel)));
    }
    words.extend(kvm.pinned.map(|pinned| if pinned { "bound" } else { "not bound" }.to_owned()));
    words.extend(kvm.host_hz.map(|hz| format!("host's tick {hz}/s")));
    words.push(format!("clock {}", run.clock.name()));
    words.push(format!("{runs} runs"));
    words.join(", ") + "\n"
}

/// The run whose time is the median, or the next smaller one.
fn middle<'a>(runs: &[&'a Run]) -> Option<&'a Run> {
    let mut sorted: Vec<&Run> = runs.to_vec();
    sorted.sort_by_key(|run| run.bringup_ns);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// Something that is counted of a guest: its name for people, and how it is had.
type Count = (&'static str, fn(&Kvm) -> Option<u64>);

/// What is counted of a guest.
pub(super) const COUNTS: [Count; 9] = [
    ("IRQ exits", |kvm| exits(kvm, "IRQ")),
    ("WFx exits", |kvm| exits(kvm, "WFx")),
    ("HVC64 exits", |kvm| exits(kvm, "HVC64")),
    ("SYS64 exits", |kvm| exits(kvm, "SYS64")),
    ("DABT_LOW exits", |kvm| exits(kvm, "DABT_LOW")),
    ("IABT_LOW exits", |kvm| exits(kvm, "IABT_LOW")),
    ("trapped reads of GICR_TYPER", |kvm| kvm.gicr_typer_reads),
    ("vCPU threads preempted", |kvm| Some(kvm.switches?.preempted)),
    ("vCPU threads blocked", |kvm| Some(kvm.switches?.blocked)),
];

fn exits(kvm: &Kvm, class: &str) -> Option<u64> {
    Some(kvm.exits.get(class)?.count)
}

fn figures(runs: &[&Run]) -> String {
    type Figure = (&'static str, fn(&Run) -> Option<u64>);
    let times: [Figure; 5] = [
        ("bring-up, by the guest's timeline", |run| run.bringup_ns),
        ("first to last CPU_ON, by the host", |run| run.kvm.as_ref()?.cpu_on_span_ns),
        ("APs executing while they wait", |run| run.kvm.as_ref()?.waiting_ns),
        ("guest code executing, all CPUs", |run| run.kvm.as_ref()?.guest_ns),
        ("host CPU time of the run", |run| run.host_cpu_ns),
    ];
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["", "median", "min", "max", "spread"]);
    let mut row = |name: &str, values: Vec<u64>, show: fn(u64) -> String| {
        let values = values.into_iter().map(|value| (0, value));
        let Some(Spread { min, median, max, .. }) = Spread::of(values) else { return };
        let spread = match median {
            0 => "-".to_owned(),
            _ => format!("{:.1}%", (max - min) as f64 * 100.0 / median as f64),
        };
        table.add_row([name.to_owned(), show(median), show(min), show(max), spread]);
    };
    for (name, get) in times {
        row(name, runs.iter().filter_map(|run| get(run)).collect(), duration);
    }
    for (name, get) in COUNTS {
        let counts = runs.iter().filter_map(|run| get(run.kvm.as_ref()?));
        row(name, counts.collect(), |count| count.to_string());
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Exits, Switches};
    use crate::samples;

    #[test]
    fn shows_the_median_run_and_how_figures_repeat() {
        let run = |repetition: u32, more: u64| {
            let mut run = samples::run("p1", &samples::parallel(4));
            run.bringup_ns = Some(40_000_000 + more * 1_000_000);
            let mut kvm = Kvm { repetition: Some(repetition), ..Kvm::default() };
            kvm.exits = [("IRQ", 10 + more, 900_000), ("HVC64", 6, 30_000)]
                .map(|(class, count, time)| (class.to_owned(), Exits::timed(count, time)))
                .into();
            (kvm.pcpus, kvm.pinned, kvm.host_hz) = (Some(2), Some(true), Some(250));
            (kvm.gicr_typer_reads, kvm.waiting_ns) = (Some(20), Some(5_000_000));
            kvm.switches = Some(Switches { preempted: 9, blocked: 2 });
            run.kvm = Some(kvm);
            run
        };
        samples::assert_snapshot("lab", &report(&[run(0, 3), run(1, 0), run(2, 1)]));
        assert_eq!(report(&[]), "no runs\n");
    }
}
