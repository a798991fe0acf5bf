// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask boot`: one boot, from start to verdict.

use std::time::Duration;

use anyhow::Result;
use bringup_model::fault::Fault;
use bringup_model::render::table::table;
use bringup_model::results::Results;
use camino::Utf8PathBuf;
use clap::Args;
use guest_protocol::Step;

use crate::cli::YEAR;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::stages::boot::accel::{self, AccelRequest};
use crate::stages::boot::plan::{Topology, Window};
use crate::stages::boot::{self, BootRequest, check, firmware};
use crate::stages::manifest::manifest;
use crate::stages::{self, Kernel, collect};

/// Boot a kernel in QEMU and report every CPU's bring-up
#[derive(Debug, Args)]
pub struct Boot {
    /// Which kernel: pristine, base, patched, a tree or an Image
    #[arg(long, value_name = "pristine|base|patched|PATH")]
    kernel: Kernel,
    /// The module to load, for a kernel that is an Image
    #[arg(long, value_name = "FILE")]
    module: Option<Utf8PathBuf>,
    /// The configuration to build, unless the kernel is an Image [default: guest, or
    /// guest-faults if the kernel has to inject faults]
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Number of CPUs, 1 to 512
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(boot::plan::MAX_CPUS)))]
    cpus: u32,
    /// How the CPUs are laid out: sockets=,clusters=,cores=,threads=
    #[arg(long, value_name = "LAYOUT")]
    topology: Option<Topology>,
    /// Bring CPUs up one after the other (0) or in parallel (1) [default: the kernel's]
    #[arg(long, value_name = "0|1", value_parser = ["0", "1"])]
    parallel: Option<String>,
    /// How many CPUs may be kicked ahead: auto, all or a number [default: the kernel's]
    #[arg(long, value_name = "W")]
    window: Option<Window>,
    /// Run on KVM or in emulation
    #[arg(long, value_enum, default_value_t)]
    accel: AccelRequest,
    /// Count instructions instead of time, so that runs repeat exactly
    #[arg(long)]
    icount: bool,
    /// Imitate this firmware (TCG only): the name of a profile or its file
    #[arg(long, value_name = "PROFILE")]
    firmware: Option<String>,
    /// Make a CPU's start go wrong: cpu=N,kind=KIND[,arg=V]; may be given several times
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Judge every CPU's outcome against what the given faults must lead to
    #[arg(long)]
    check: bool,
    /// Further kernel parameters
    #[arg(long, value_name = "STR", allow_hyphen_values = true)]
    append: Vec<String>,
    /// Guest memory in MiB [default: 512, plus 4 per CPU]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    memory: Option<u64>,
    /// Steps that the guest takes before its files are read: a JSON list, see tools/guest-protocol
    #[arg(long, value_name = "FILE")]
    steps: Option<Utf8PathBuf>,
    /// Kill the guest after this many seconds [default: 60, plus 2 or more per CPU, and more for slow
    /// firmware and faults]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60 * YEAR))]
    limit: Option<u64>,
    /// Write the results to this file
    #[arg(long, value_name = "FILE")]
    json: Option<Utf8PathBuf>,
}

impl Boot {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        let mut request = BootRequest::new(self.label(), "", self.cpus);
        request.topology = self.topology;
        request.accel = self.accel;
        request.icount = self.icount;
        request.memory_mib = self.memory;
        request.parallel = self.parallel.as_deref().map(|parallel| parallel == "1");
        request.window = self.window;
        request.firmware =
            self.firmware.as_deref().map(|name| firmware::find(context, name)).transpose()?;
        request.faults.clone_from(&self.fault);
        request.append = self.append.join(" ");
        request.steps = self.steps()?;
        request.limit = self.limit.map(Duration::from_secs);
        request.keep = true;
        // Before an hour of building, not after it.
        request.validate()?;
        self.validate(&request)?;
        if self.check {
            request.settle(self.kernel.expected());
        }

        accel::choose(request.accel, request.needs_tcg(), &accel::Host::probe())?;

        let kernel =
            stages::bootable(context, &self.kernel, self.module.as_deref(), self.preset())?;
        (request.image, request.module) = (kernel.image, kernel.module);
        let outcome = boot::run(context, &request)?;
        let run = collect::run(&request, &outcome);
        if let Some(file) = &self.json {
            let outcomes = std::slice::from_ref(&outcome);
            let manifest = manifest(context, kernel.built.as_ref(), outcomes);
            output::write(file, &Results::new(manifest, vec![run.clone()]).to_json()?)?;
        }
        put!("{}", table(std::slice::from_ref(&run)));
        if let Some(folder) = &outcome.folder {
            eprintln!("console, command and other files of this run: {folder}");
        }
        if self.check {
            let wrong = check::run(&request, self.kernel.expected(), &run, &outcome);
            return conclude(&request, wrong);
        }
        if let Some(failure) = collect::error(&run, &outcome) {
            eprint!("{}", collect::last_lines(&run));
            return Err(failure.into());
        }
        say!(
            "{}: ok: {} steps, CPUs online {}, {:.1} s",
            request.label,
            outcome.steps.len(),
            outcome.files.get("online").map_or("?", |text| text.trim()),
            outcome.elapsed.as_secs_f64()
        );
        Ok(())
    }

    /// Refuses what would only be found out after a build.
    fn validate(&self, request: &BootRequest) -> Result<()> {
        let usage = |text: &str| Err(Failure::Usage(text.to_owned()).into());
        let without = matches!(self.kernel, Kernel::Pristine | Kernel::Base);
        if without && request.faults.iter().any(|fault| fault.kind.is_injected_by_kernel()) {
            return usage("no-52bit-va, no-granule, die-early and panic need the patched kernel");
        }
        // A kernel of unknown origin is not judged.
        let parallel = request.parallel.unwrap_or(self.kernel == Kernel::Patched);
        if request.icount
            && parallel
            && request.faults.iter().any(|fault| fault.kind.is_waited_for())
        {
            return usage(
                "--icount: while one CPU is awaited, the CPUs that wait for their turn keep \
                 executing, and the host would need hours to emulate ten seconds of that; leave \
                 --icount out, or give --parallel 0",
            );
        }
        if self.check && self.kernel == Kernel::Pristine {
            return usage("--check needs the timeline, which the pristine kernel does not have");
        }
        let parameters = request.append.split_whitespace();
        let fewer = |word: &str| {
            word.starts_with("maxcpus=") || word == "nosmp" || word.starts_with("nr_cpus=")
        };
        if self.check && parameters.clone().any(fewer) {
            return usage(
                "--check expects all CPUs to be started: drop maxcpus=, nr_cpus= and nosmp",
            );
        }
        Ok(())
    }

    /// The preset asked for, or the one that has what the faults need.
    fn preset(&self) -> &str {
        self.preset.as_deref().unwrap_or_else(|| {
            let injected = self.fault.iter().any(|fault| fault.kind.is_injected_by_kernel());
            if injected { "guest-faults" } else { "guest" }
        })
    }

    /// The kernel's name, or that of its file.
    fn label(&self) -> String {
        match &self.kernel {
            Kernel::Path(path) => path.file_name().unwrap_or("tree").to_owned(),
            kernel => kernel.to_string(),
        }
    }

    fn steps(&self) -> Result<Vec<Step>> {
        let Some(file) = &self.steps else { return Ok(Vec::new()) };
        let usage = |text: String| Failure::Usage(format!("--steps: {text}"));
        let text = fs_err::read_to_string(file).map_err(|error| usage(error.to_string()))?;
        let steps =
            serde_json::from_str(&text).map_err(|error| usage(format!("{file}: {error}")))?;
        Ok(steps)
    }
}

/// Success if nothing is wrong.
fn conclude(request: &BootRequest, wrong: Vec<String>) -> Result<()> {
    if wrong.is_empty() {
        say!("{}: ok: every CPU came out as expected", request.label);
        return Ok(());
    }
    let text = format!("{}: not as expected:\n  {}", request.label, wrong.join("\n  "));
    Err(Failure::Check(text).into())
}
