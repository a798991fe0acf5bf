// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The KVM lab: a guest on KVM with more CPUs than its host, its bring-up timed from inside and its
//! exits counted from outside.
//!
//! The host is this machine ([`real`]), or one that QEMU emulates together with its hypervisor mode
//! ([`emulated`]), in which this very program runs again to measure as on a real one.

mod emulated;
mod monitor;
mod real;
mod tracing;
pub mod userland;

use std::time::Duration;

use anyhow::Result;
use bringup_model::results::Run;
use camino::Utf8PathBuf;

use super::boot::BootOutcome;
use super::boot::plan::{BootRequest, Window};
use crate::context::Context;
use crate::error::Failure;
pub use emulated::{OUTPUT, RESULTS, boot_on_emulated_host, hz};
pub use real::require;

/// The preset of the emulated host's kernel.
pub const HOST_PRESET: &str = "kvm-host";

/// What shall be measured, and on which host.
#[derive(Debug, Clone)]
pub struct LabRequest {
    /// Names the arm in the results, e.g. `p1`.
    pub label: String,
    /// The guest's kernel image.
    pub image: Utf8PathBuf,
    /// The module with the timeline, of the guest's kernel.
    pub module: Option<Utf8PathBuf>,
    /// The guest's CPUs.
    pub vcpus: u32,
    /// The host's CPUs that they run on.
    pub pcpus: u32,
    /// `cpuhp.parallel=`, if to be given at all.
    pub parallel: Option<bool>,
    /// `cpuhp.window=`, if to be given at all.
    pub window: Option<Window>,
    /// Further kernel parameters of the guest.
    pub append: String,
    /// Bind each of the guest's CPUs to one of the host's, round robin.
    pub pin: bool,
    /// Record the host's events, without which there are no exits. Costs time.
    pub trace: bool,
    /// Which repetition of the same it is, from 0. Each starts at another point of the host's tick
    /// and, where the host is emulated, with other random numbers.
    pub repetition: u32,
    /// When the guest is killed; scaled with its CPUs if absent. An emulated host gets more.
    pub limit: Option<Duration>,
    /// The host.
    pub host: Host,
    /// Keep the folders of runs that went well, too.
    pub keep: bool,
    /// Show neither QEMU's command nor progress.
    pub quiet: bool,
}

/// On which host.
#[derive(Debug, Clone)]
pub enum Host {
    /// This machine.
    Real,
    /// One in QEMU.
    Emulated(EmulatedHost),
}

/// An emulated host.
#[derive(Debug, Clone)]
pub struct EmulatedHost {
    /// Its kernel, of the preset [`HOST_PRESET`] or one like it.
    pub image: Utf8PathBuf,
    /// Ticks per second of that kernel, where known.
    pub hz: Option<u32>,
    /// Modules that this kernel needs before all else, in this order: those of its virtio-mmio bus
    /// and its virtio console, where they are not built in.
    pub modules: Vec<Utf8PathBuf>,
    /// A folder with an arm64 QEMU for it; the distribution's packages if absent.
    pub root: Option<Utf8PathBuf>,
}

/// What a measurement yields.
#[derive(Debug)]
pub struct LabOutcome {
    /// The run, with its field `kvm`.
    pub run: Run,
    /// The boot that was run here: the guest's, or that of the emulated host.
    pub boot: BootOutcome,
}

impl LabRequest {
    /// The measurement of the guest that `boot` describes, as far as the lab can be told.
    pub fn of_boot(boot: &BootRequest, pcpus: u32, repetition: u32, host: Host) -> Self {
        Self {
            label: boot.label.clone(),
            image: boot.image.clone(),
            module: boot.module.clone(),
            vcpus: boot.cpus,
            pcpus,
            parallel: boot.parallel,
            window: boot.window,
            append: boot.append.clone(),
            pin: false,
            trace: true,
            repetition,
            limit: boot.limit,
            host,
            keep: boot.keep,
            quiet: boot.quiet,
        }
    }

    /// Refuses what no host could run.
    pub fn validate(&self) -> Result<(), Failure> {
        self.guest().validate()?;
        if self.pcpus == 0 || self.pcpus > super::boot::plan::MAX_CPUS {
            return Err(Failure::Usage(format!("{} physical CPUs: give 1 to 512", self.pcpus)));
        }
        Ok(())
    }

    /// The guest's boot, on whatever host.
    fn guest(&self) -> BootRequest {
        let mut boot = BootRequest::new(self.label.clone(), self.image.clone(), self.vcpus);
        boot.module.clone_from(&self.module);
        boot.accel = super::boot::accel::AccelRequest::Kvm;
        (boot.parallel, boot.window) = (self.parallel, self.window);
        // What the console puts out costs exits that are not of interest. It is in the log.
        boot.append = format!("quiet {}", self.append).trim().to_owned();
        (boot.measured, boot.keep, boot.quiet) = (true, self.keep, self.quiet);
        // Several of the guest's CPUs share one of the host's.
        let crowd = u64::from(self.vcpus.div_ceil(self.pcpus.max(1)));
        boot.limit = self.limit.or(Some(boot.limit() + Duration::from_secs(2 * crowd)));
        boot
    }

    /// When the guest starts: so long after everything is ready for it. 1.3 ms are no multiple of
    /// any tick.
    fn delay(&self) -> Duration {
        Duration::from_micros(1300 * u64::from(self.repetition))
    }
}

/// Measures once.
///
/// # Errors
///
/// There was nothing to measure with. A guest that fails is an outcome.
pub fn run(context: &Context, request: &LabRequest) -> Result<LabOutcome> {
    request.validate()?;
    match &request.host {
        Host::Real => real::run(context, request),
        Host::Emulated(host) => emulated::run(context, request, host),
    }
}
