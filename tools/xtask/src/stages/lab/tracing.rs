// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's event trace of a measured guest, in a trace instance of our own, so that nobody
//! else's tracing is disturbed.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result, bail};
use bringup_model::kvm::{Event, parse_line};
use camino::{Utf8Path, Utf8PathBuf};

use crate::error::Failure;

/// Where tracefs is mounted, usually or of old.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Follows the counter that the guest reads too, and nobody adjusts it.
const CLOCK: &str = "mono_raw";

/// For each CPU that the guest runs on; an event takes some 40 bytes, and 64 CPUs make about 10^5.
const BUFFER_KIB: u32 = 16 * 1024;

/// Events, and which of them; an empty filter takes all.
const EVENTS: [(&str, &str); 5] = [
    ("kvm/kvm_entry", ""),
    ("kvm/kvm_exit", ""),
    ("kvm/kvm_hvc_arm64", ""),
    // Reads of what may be a type register of a redistributor: the others would be most of all
    // events, and each costs time.
    ("kvm/kvm_mmio", "type == 1 && (gpa & 0x8) && !(gpa & 0xfff7)"),
    // QEMU names the threads of the guest's CPUs, or does not.
    ("sched/sched_switch", "prev_comm ~ \"CPU*\" || prev_comm ~ \"qemu*\""),
];

/// A trace instance; gone when dropped.
pub struct Tracing {
    instance: Utf8PathBuf,
    cpus: Vec<u32>,
}

impl Tracing {
    /// Sets everything up for a guest on the host's CPUs `cpus`. Nothing is recorded yet.
    ///
    /// # Errors
    ///
    /// [`Failure::Host`] with what the host lacks.
    pub fn new(cpus: &[u32]) -> Result<Self> {
        let Some(place) = PLACES.map(Utf8Path::new).into_iter().find(|place| {
            // Without permission it looks as if it was not there.
            place.join("events").exists() || place.join("instances").exists()
        }) else {
            let mend = match rustix::process::geteuid().is_root() {
                true => {
                    "mount -t tracefs tracefs /sys/kernel/tracing (the kernel needs \
                         CONFIG_FTRACE and an event tracer)"
                }
                false => "run this as root: only root may trace",
            };
            return Err(lacks("the kernel's event trace", mend));
        };
        let instance = place.join("instances").join(format!("bringup-{}", std::process::id()));
        fs_err::create_dir(&instance).map_err(|error| {
            lacks("permission to trace", &format!("run this as root ({error})"))
        })?;
        let tracing = Self { instance, cpus: cpus.to_vec() };
        for (event, _) in EVENTS {
            if !tracing.path(&format!("events/{event}")).exists() {
                let mend = "boot a kernel with KVM built in and CONFIG_FTRACE";
                return Err(lacks(&format!("the event {event}"), mend));
            }
        }
        tracing.write("tracing_on", "0")?;
        tracing.write("trace_clock", CLOCK)?;
        // What comes after the bring-up may be lost, not what comes first.
        tracing.write("options/overwrite", "0")?;
        for cpu in cpus {
            tracing.write(&format!("per_cpu/cpu{cpu}/buffer_size_kb"), &BUFFER_KIB.to_string())?;
        }
        for (event, filter) in EVENTS {
            if !filter.is_empty() {
                tracing.write(&format!("events/{event}/filter"), filter)?;
            }
            tracing.write(&format!("events/{event}/enable"), "1")?;
        }
        Ok(tracing)
    }

    /// Records from now on, or no longer.
    pub fn record(&self, on: bool) -> Result<()> {
        self.write("tracing_on", if on { "1" } else { "0" })
    }

    /// The events so far, in order of time, of the threads in `threads`.
    ///
    /// # Errors
    ///
    /// A line of the trace is not as expected.
    pub fn events(&self, threads: &HashMap<u32, u32>) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut lines = BufReader::new(fs_err::File::open(self.path("trace"))?);
        let mut line = String::new();
        while lines.read_line(&mut line).context("cannot read the trace")? > 0 {
            if let Some(event) = parse_line(&line)?
                && threads.contains_key(&event.thread)
            {
                events.push(event);
            }
            line.clear();
        }
        Ok(events)
    }

    /// Whether events after `end_ns` alone may have been lost.
    ///
    /// # Errors
    ///
    /// Earlier ones were: the figures would be too small.
    pub fn require_whole(&self, events: &[Event], end_ns: u64) -> Result<()> {
        for &cpu in &self.cpus {
            let stats = fs_err::read_to_string(self.path(&format!("per_cpu/cpu{cpu}/stats")))?;
            let lost = number(&stats, "dropped events") + number(&stats, "overrun");
            if lost > 0 && !reaches(events, cpu, end_ns) {
                bail!("the trace's buffer of CPU {cpu} was too small: {lost} events are lost");
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        self.instance.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs_err::write(self.path(name), text)?)
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        // Frees the buffers as well. It goes with the next boot of the host at the latest.
        let _ = std::fs::remove_dir(&self.instance);
    }
}

/// Whether the buffer of `cpu`, which loses all that comes once it is full, was not so before
/// `end_ns`.
fn reaches(events: &[Event], cpu: u32, end_ns: u64) -> bool {
    events.iter().any(|event| event.cpu == cpu && event.time_ns >= end_ns)
}

fn lacks(what: &str, mend: &str) -> anyhow::Error {
    Failure::Host(format!("skipped: needs {what}; to fix this: {mend}")).into()
}

/// The number behind `key: ` in a file of such lines; 0 if it is not there.
fn number(text: &str, key: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':')?.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use bringup_model::kvm::What;

    use super::*;

    #[test]
    fn each_buffer_must_reach_the_end() {
        let event = |cpu, time_ns| Event { thread: 1, cpu, time_ns, what: What::Entry };
        let events = [event(0, 10), event(1, 20), event(1, 90)];
        assert!(reaches(&events, 1, 90));
        // That another CPU recorded on says nothing of this one.
        assert!(!reaches(&events, 0, 90) && !reaches(&events, 2, 90));
    }

    #[test]
    fn lost_events_are_counted() {
        let stats = "entries: 5\noverrun: 2\ncommit overrun: 0\ndropped events: 31\n";
        assert_eq!((number(stats, "overrun"), number(stats, "dropped events")), (2, 31));
        assert_eq!(number("", "overrun"), 0);
    }
}
