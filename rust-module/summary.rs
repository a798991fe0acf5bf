// SPDX-License-Identifier: GPL-2.0-only

//! The file `summary`: the same data for people.

use kernel::{
    cpu::CpuId,
    cpu_bringup::{
        cpu_ids,
        is_parallel,
        window,
        Outcome,
        Phase,
        Record, //
    },
    fmt,
    prelude::*, //
};

use crate::timeline::{
    DisplayOutcome,
    DisplayWindow, //
};

const NSEC_PER_USEC: u64 = kernel::time::NSEC_PER_USEC as u64;

/// From which phase to which a row of the table measures.
const SPANS: [(Phase, Phase); 6] = [
    (Phase::Kick, Phase::Entry),
    (Phase::Entry, Phase::Alive),
    (Phase::Alive, Phase::Release),
    (Phase::Release, Phase::Starting),
    (Phase::Starting, Phase::Online),
    (Phase::Online, Phase::Active),
];

/// Writes the whole file. Its format is for people and may change.
pub(crate) fn show(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let records = collect().map_err(|_| fmt::Error)?;

    let mode = if is_parallel() { "parallel" } else { "serial" };
    let window = DisplayWindow(window());
    f.write_fmt(fmt!("mode     {mode}, window {window}\n"))?;

    let count = |wanted: fn(Outcome) -> bool| {
        let chosen = records
            .iter()
            .filter(|(_, record)| wanted(record.outcome()));
        chosen.count()
    };
    let online = count(|outcome| matches!(outcome, Outcome::Boot | Outcome::Online));
    let failed = count(is_failure);
    writeln!(
        f,
        "CPUs     {} possible, {online} online, {failed} failed",
        records.len()
    )?;

    let first_kick = records
        .iter()
        .filter_map(|(_, record)| record.time_ns(Phase::Kick));
    let last_active = records
        .iter()
        .filter_map(|(_, record)| record.time_ns(Phase::Active));
    match (first_kick.min(), last_active.max()) {
        (Some(kick), Some(active)) => writeln!(
            f,
            "total    {} us from the first kick to the last CPU active",
            active.saturating_sub(kick) / NSEC_PER_USEC
        )?,
        _ => f.write_str("total    - (no CPU was brought up)\n")?,
    }

    writeln!(
        f,
        "\n{:20} {:>13} us {:9} {:>13} us {:>13} us",
        "", "min", "", "median", "max"
    )?;
    for (from, to) in SPANS {
        show_span(f, &records, from, to)?;
    }

    if failed != 0 {
        f.write_str("\nfailed:\n")?;
    }
    for (cpu, record) in &records {
        let outcome = record.outcome();

        if is_failure(outcome) {
            f.write_fmt(fmt!("  CPU{} {}\n", cpu.as_u32(), DisplayOutcome(outcome)))?;
        }
    }

    Ok(())
}

fn collect() -> Result<KVec<(CpuId, Record)>> {
    let mut records = KVec::new();

    for cpu in cpu_ids() {
        if let Ok(record) = Record::of(cpu) {
            records.push((cpu, record), GFP_KERNEL)?;
        }
    }
    Ok(records)
}

fn is_failure(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::NeverArrived
            | Outcome::Late
            | Outcome::KickError(_)
            | Outcome::Died(_)
            | Outcome::Parked(_)
    )
}

/// One line of the table: the shortest, the median and the longest time between two phases.
fn show_span(
    f: &mut fmt::Formatter<'_>,
    records: &[(CpuId, Record)],
    from: Phase,
    to: Phase,
) -> fmt::Result {
    let mut spans = KVec::with_capacity(records.len(), GFP_KERNEL).map_err(|_| fmt::Error)?;

    for (cpu, record) in records {
        if let (Some(start), Some(end)) = (record.time_ns(from), record.time_ns(to)) {
            let span = (end.saturating_sub(start), cpu.as_u32());

            spans.push(span, GFP_KERNEL).map_err(|_| fmt::Error)?;
        }
    }
    spans.sort_unstable();

    write!(f, "{:>8} to {:8}", from.name(), to.name())?;
    let (Some(&min), Some(&max)) = (spans.first(), spans.last()) else {
        return writeln!(f, " {:>16}", "-");
    };
    // The lower one of the two in the middle of an even number.
    let median = spans[(spans.len() - 1) / 2];

    show_time(f, min.0)?;
    write!(f, " CPU{:<5}", min.1)?;
    show_time(f, median.0)?;
    show_time(f, max.0)?;
    writeln!(f, " CPU{}", max.1)
}

/// Writes a time of `time` nanoseconds as microseconds, 17 characters wide.
fn show_time(f: &mut fmt::Formatter<'_>, time: u64) -> fmt::Result {
    write!(
        f,
        " {:>12}.{:03}",
        time / NSEC_PER_USEC,
        time % NSEC_PER_USEC
    )
}
