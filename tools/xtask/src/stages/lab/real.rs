// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A measurement on this machine: the guest on KVM, its CPUs' threads bound to the host's, the
//! host's events recorded from its first instruction on.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use bringup_model::collect::require_all_online;
use bringup_model::kvm::{self, Window};
use bringup_model::results::{Failure as RunFailure, Kvm, Run};
use camino::Utf8Path;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::monitor::Monitor;
use super::tracing::Tracing;
use super::{LabOutcome, LabRequest};
use crate::context::Context;
use crate::error::Failure;
use crate::stages::boot::accel;
use crate::stages::{boot, collect};

/// Checks that this machine can measure guests on `pcpus` CPUs, their exits too with `trace`.
///
/// # Errors
///
/// [`Failure::Host`] with what it lacks, [`Failure::Usage`] if it has fewer CPUs.
pub fn require(pcpus: u32, trace: bool) -> Result<()> {
    if let Some(obstacle) = accel::Host::probe().kvm_obstacle() {
        let obstacle = obstacle.trim_end_matches("; use --accel tcg");
        return Err(Failure::Host(format!(
            "skipped: needs an arm64 host with KVM: {obstacle}; without --real, the host is \
             emulated"
        ))
        .into());
    }
    let cpus = host_cpus(pcpus)?;
    if trace {
        Tracing::new(&cpus)?;
    }
    Ok(())
}

/// Measures once.
pub fn run(context: &Context, request: &LabRequest) -> Result<LabOutcome> {
    require(request.pcpus, false)?;
    let cpus = host_cpus(request.pcpus)?;
    let tracing = request.trace.then(|| Tracing::new(&cpus)).transpose()?;
    let guest = request.guest();
    let mut threads = HashMap::new();
    let boot = boot::run_held(context, &guest, |socket| {
        threads = release(request, &cpus, tracing.as_ref(), socket)?;
        Ok(())
    })?;
    let mut run = require_all_online(collect::run(&guest, &boot));
    let mut kvm = Kvm::default();
    if let Some(tracing) = &tracing {
        tracing.record(false)?;
        if run.ok {
            match account(tracing, &threads, &run) {
                Ok(accounted) => kvm = accounted,
                Err(error) => {
                    run = run.with_failure(RunFailure {
                        kind: "trace".to_owned(),
                        detail: format!("{error:#}"),
                        console_tail: Vec::new(),
                    });
                }
            }
        }
    }
    kvm.pcpus = Some(request.pcpus);
    kvm.pinned = Some(request.pin);
    kvm.repetition = Some(request.repetition);
    run.kvm = Some(kvm);
    Ok(LabOutcome { run, boot })
}

/// Those of the host's CPUs that the guest may use, as many as are asked for.
fn host_cpus(count: u32) -> Result<Vec<u32>> {
    let allowed = sched_getaffinity(None).context("cannot read which CPUs we may use")?;
    let cpus: Vec<u32> = (0..u32::try_from(CpuSet::MAX_CPU).unwrap_or(0))
        .filter(|&cpu| allowed.is_set(cpu as usize))
        .take(count as usize)
        .collect();
    if cpus.len() < count as usize {
        let text = format!("--pcpus {count}, but we may use only {} CPUs of this host", cpus.len());
        return Err(Failure::Usage(text).into());
    }
    Ok(cpus)
}

/// Binds the guest's CPUs, starts the recording, and lets the guest go.
fn release(
    request: &LabRequest,
    cpus: &[u32],
    tracing: Option<&Tracing>,
    socket: &Utf8Path,
) -> Result<HashMap<u32, u32>> {
    let mut monitor = Monitor::connect(socket)?;
    let threads = monitor.threads()?;
    for (&thread, &vcpu) in &threads {
        let mut set = CpuSet::new();
        match request.pin {
            true => set.set(cpus[vcpu as usize % cpus.len()] as usize),
            false => cpus.iter().for_each(|&cpu| set.set(cpu as usize)),
        }
        let thread = i32::try_from(thread).ok().and_then(Pid::from_raw);
        sched_setaffinity(thread, &set).context("cannot bind a CPU of the guest")?;
    }
    if let Some(tracing) = tracing {
        tracing.record(true)?;
    }
    std::thread::sleep(request.delay());
    monitor.go()?;
    Ok(threads)
}

fn account(tracing: &Tracing, threads: &HashMap<u32, u32>, run: &Run) -> Result<Kvm> {
    let events = tracing.events(threads)?;
    let window = Window::find(&events, &run.per_cpu)?;
    tracing.require_whole(&events, window.end_ns)?;
    Ok(kvm::account(&events, threads, &run.per_cpu)?)
}
