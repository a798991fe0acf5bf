// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask kvm-lab`: the bring-up of a KVM guest, timed and with its exits.

use std::time::Duration;

use anyhow::Result;
use bringup_model::render::lab;
use bringup_model::results::Results;
use camino::Utf8PathBuf;
use clap::Args;

use crate::cli::YEAR;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::stages::boot;
use crate::stages::boot::plan::Window;
use crate::stages::lab::{self as stage, EmulatedHost, Host, LabRequest};
use crate::stages::manifest::manifest;
use crate::stages::{self, Kernel, collect};

/// Measure the bring-up of a KVM guest: its time, and its exits by class
///
/// The guest's CPUs share the host's. If the guest has more, the time that a waiting CPU burns is
/// lost to the others. Without arm64 hardware the host is emulated, hypervisor mode included.
#[derive(Debug, Args)]
pub struct KvmLab {
    /// The guest's kernel: base, patched, a tree or an Image
    #[arg(long, value_name = "base|patched|PATH", default_value = "patched")]
    kernel: Kernel,
    /// The module to load in the guest, for a kernel that is an Image
    #[arg(long, value_name = "FILE")]
    module: Option<Utf8PathBuf>,
    /// The configuration of the guest's kernel, unless it is an Image
    #[arg(long, value_name = "NAME", default_value = "guest")]
    preset: String,
    /// CPUs of the guest
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=i64::from(boot::plan::MAX_CPUS)))]
    vcpus: u32,
    /// CPUs of the host that they share
    #[arg(long, value_name = "M", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=i64::from(boot::plan::MAX_CPUS)))]
    pcpus: u32,
    /// Bring CPUs up one after the other (0) or in parallel (1) [default: the kernel's]
    #[arg(long, value_name = "0|1", value_parser = ["0", "1"])]
    parallel: Option<String>,
    /// How many CPUs may be kicked ahead: auto, all or a number [default: the kernel's]
    #[arg(long, value_name = "W")]
    window: Option<Window>,
    /// Further kernel parameters of the guest
    #[arg(long, value_name = "STR", allow_hyphen_values = true)]
    append: Vec<String>,
    /// How many times to measure; each time the guest starts at another point of the host's tick
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// The number of the first repetition; use it to redo one of many
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100_000))]
    first_repetition: u32,
    #[command(flatten)]
    host: HostOptions,
    /// Kill the guest after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60 * YEAR))]
    limit: Option<u64>,
    /// Keep what successful runs leave behind
    #[arg(long)]
    keep: bool,
    /// Write the results to this file
    #[arg(long, value_name = "FILE")]
    json: Option<Utf8PathBuf>,
}

/// On which host.
#[derive(Debug, Args)]
pub struct HostOptions {
    /// Use this machine as the host; needs arm64 with KVM, and root
    #[arg(long)]
    pub real: bool,
    /// The emulated host's kernel: pristine, base, patched, a tree or an Image
    #[arg(long, value_name = "base|patched|PATH", default_value = "base", conflicts_with = "real")]
    pub host_kernel: Kernel,
    /// The configuration of the emulated host's kernel
    #[arg(long, value_name = "NAME", default_value = stage::HOST_PRESET, conflicts_with = "real")]
    pub host_preset: String,
    /// Load this module first on the emulated host, if virtio is not built into its kernel
    #[arg(long, value_name = "FILE", conflicts_with = "real")]
    pub host_module: Vec<Utf8PathBuf>,
    /// A folder with an arm64 QEMU for the emulated host [default: the distribution's packages]
    #[arg(long, value_name = "DIR", conflicts_with = "real")]
    pub host_root: Option<Utf8PathBuf>,
    /// Bind each of the guest's CPUs to one of the host's [default: only with --real]
    #[arg(long, conflicts_with = "no_pin")]
    pub pin: bool,
    /// Let the host's scheduler choose a CPU for each of the guest's [default: unless --real]
    #[arg(long)]
    pub no_pin: bool,
    /// Only time the guest: recording its exits costs time
    #[arg(long)]
    pub no_trace: bool,
}

impl HostOptions {
    /// Whether the guest's CPUs are bound. Hardware moves caches along with a CPU of the guest, so
    /// it is worth it there. An emulated host has none, and there a bound one waits for its CPU
    /// while others idle.
    pub fn pinned(&self) -> bool {
        self.pin || (self.real && !self.no_pin)
    }

    /// Whether the host's events are recorded.
    pub fn traced(&self) -> bool {
        !self.no_trace
    }

    /// One of the options was given that mean nothing without the lab.
    pub fn given_without_lab(&self) -> Option<&'static str> {
        [
            (self.real, "--real"),
            (self.pin, "--pin"),
            (self.no_pin, "--no-pin"),
            (self.no_trace, "--no-trace"),
            (self.host_root.is_some(), "--host-root"),
            (!self.host_module.is_empty(), "--host-module"),
        ]
        .into_iter()
        .find_map(|(given, name)| given.then_some(name))
    }

    /// The host, its kernel built.
    ///
    /// # Errors
    ///
    /// A file or folder that was named is not there, or the kernel cannot be built.
    pub fn host(&self, context: &Context) -> Result<Host> {
        if self.real {
            return Ok(Host::Real);
        }
        let built = stages::bootable(context, &self.host_kernel, None, &self.host_preset)?;
        let hz = match &built.built {
            Some(built) => stage::hz(&fs_err::read_to_string(built.configured.config())?),
            None => None,
        };
        let root = self.host_root.as_ref().map(|root| {
            root.canonicalize_utf8()
                .map_err(|error| Failure::Usage(format!("--host-root {root}: {error}")))
        });
        for module in &self.host_module {
            fs_err::metadata(module)
                .map_err(|error| Failure::Usage(format!("--host-module: {error}")))?;
        }
        let modules = self.host_module.clone();
        Ok(Host::Emulated(EmulatedHost {
            image: built.image,
            hz,
            modules,
            root: root.transpose()?,
        }))
    }
}

impl KvmLab {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        if self.host.real {
            // Before a kernel is built for it.
            stage::require(self.pcpus, self.host.traced())?;
        }
        let guest = stages::bootable(context, &self.kernel, self.module.as_deref(), &self.preset)?;
        let mut request = LabRequest {
            label: self.label(),
            image: guest.image.clone(),
            module: guest.module.clone(),
            vcpus: self.vcpus,
            pcpus: self.pcpus,
            parallel: self.parallel.as_deref().map(|parallel| parallel == "1"),
            window: self.window,
            append: self.append.join(" "),
            pin: self.host.pinned(),
            trace: self.host.traced(),
            repetition: self.first_repetition,
            limit: self.limit.map(Duration::from_secs),
            host: self.host.host(context)?,
            keep: self.keep,
            quiet: false,
        };
        let (mut runs, mut boots, mut failure) = (Vec::new(), Vec::new(), None);
        for repetition in 0..self.runs {
            request.repetition = self.first_repetition.saturating_add(repetition);
            let outcome = stage::run(context, &request)?;
            if failure.is_none() {
                failure = collect::error(&outcome.run, &outcome.boot);
            }
            runs.push(outcome.run);
            boots.push(outcome.boot);
            if failure.is_some() {
                break;
            }
        }
        put!("{}", lab::report(&runs));
        if let Some(file) = &self.json {
            let manifest = manifest(context, guest.built.as_ref(), &boots);
            output::write(file, &Results::new(manifest, runs.clone()).to_json()?)?;
        }
        let (Some(failure), Some(run), Some(boot)) = (failure, runs.last(), boots.last()) else {
            return Ok(());
        };
        eprint!("{}", collect::last_lines(run));
        if let Some(output) = boot.files.get(stage::OUTPUT) {
            eprintln!("what the tool said on the emulated host:\n{}", output.trim_end());
        }
        if let Some(folder) = &boot.folder {
            eprintln!("files kept from this run: {folder}");
        }
        Err(failure.into())
    }

    /// `base`, or the kernel with its mode, as `p0`, `p1`, `p1-w4`.
    fn label(&self) -> String {
        let kernel = match &self.kernel {
            Kernel::Path(path) => path.file_name().unwrap_or("tree").to_owned(),
            Kernel::Patched if self.parallel.is_some() => String::new(),
            kernel => kernel.to_string(),
        };
        let mut label = kernel;
        if let Some(parallel) = &self.parallel {
            let dash = if label.is_empty() { "" } else { "-" };
            label += &format!("{dash}p{parallel}");
        }
        if let Some(window) = self.window {
            label += &format!("-w{window}");
        }
        label
    }
}
