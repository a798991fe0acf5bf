// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The repetitions of one measurement of a KVM guest: their exits in the format of `perf kvm stat`,
//! and how well the figures repeat.

use comfy_table::{CellAlignment, Table, presets};

use super::duration::duration;
use crate::kvm::exit_table;
use crate::results::{Kvm, Run};
use crate::stats::Spread;

/// A figure of a run: its name, how it is had, how it is shown.
type Figure<'a> = (&'a str, &'a dyn Fn(&Run) -> Option<u64>, fn(u64) -> String);

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

fn figures(runs: &[&Run]) -> String {
    fn of(get: fn(&Kvm) -> Option<u64>) -> impl Fn(&Run) -> Option<u64> {
        move |run| get(run.kvm.as_ref()?)
    }
    fn exits(class: &'static str) -> impl Fn(&Run) -> Option<u64> {
        move |run| Some(run.kvm.as_ref()?.exits.get(class)?.count)
    }
    let [irq, wfx, hvc64, sys64] = ["IRQ", "WFx", "HVC64", "SYS64"].map(exits);
    let [dabt, iabt] = ["DABT_LOW", "IABT_LOW"].map(exits);
    let count: fn(u64) -> String = |count| count.to_string();
    let rows: [Figure<'_>; 14] = [
        ("bring-up, by the guest's timeline", &|run| run.bringup_ns, duration),
        ("first to last CPU_ON, by the host", &of(|kvm| kvm.cpu_on_span_ns), duration),
        ("IRQ exits", &irq, count),
        ("WFx exits", &wfx, count),
        ("HVC64 exits", &hvc64, count),
        ("SYS64 exits", &sys64, count),
        ("DABT_LOW exits", &dabt, count),
        ("IABT_LOW exits", &iabt, count),
        ("trapped reads of GICR_TYPER", &of(|kvm| kvm.gicr_typer_reads), count),
        ("APs executing while they wait", &of(|kvm| kvm.waiting_ns), duration),
        ("guest code executing, all CPUs", &of(|kvm| kvm.guest_ns), duration),
        ("vCPU threads preempted", &of(|kvm| Some(kvm.switches?.preempted)), count),
        ("vCPU threads blocked", &of(|kvm| Some(kvm.switches?.blocked)), count),
        ("host CPU time of the run", &|run| run.host_cpu_ns, duration),
    ];
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["", "median", "min", "max", "spread"]);
    for (name, get, show) in rows {
        let values = runs.iter().filter_map(|run| get(run)).map(|value| (0, value));
        let Some(Spread { min, median, max, .. }) = Spread::of(values) else { continue };
        let spread = match median {
            0 => "-".to_owned(),
            _ => format!("{:.1}%", (max - min) as f64 * 100.0 / median as f64),
        };
        table.add_row([name.to_owned(), show(median), show(min), show(max), spread]);
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
