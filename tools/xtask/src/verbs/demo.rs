// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask demo`: the main job.

use anyhow::Result;
use bringup_model::collect::require_all_online;
use bringup_model::profile::Profile;
use bringup_model::render::svg::timelines;
use bringup_model::render::table::table;
use bringup_model::results::Results;
use clap::Args;

use crate::context::Context;
use crate::error::Failure;
use crate::stages::boot::accel::{self, AccelRequest};
use crate::stages::boot::{self, BootRequest, firmware};
use crate::stages::build::Built;
use crate::stages::manifest::manifest;
use crate::stages::{self, Kernel, build, collect};
use crate::{host, output};

/// The configuration that has it all.
const PRESET: &str = "guest";

/// What is compared: the name, the kernel and `cpuhp.parallel`, which base does not know.
const ARMS: [(&str, Kernel, Option<bool>); 3] = [
    ("base", Kernel::Base, None),
    ("p0", Kernel::Patched, Some(false)),
    ("p1", Kernel::Patched, Some(true)),
];

/// The firmware that shows what is gained: icount alone counts work, and all of it on one core.
const FIRMWARE: &str = "hip12";

/// Build, boot and compare base, parallel=0 and parallel=1
///
/// Sets the host up, builds Linux with the recording patches alone (base) and with the whole
/// series, boots both and shows when each CPU reached each phase; then does the same with the
/// firmware of a large server, which takes 76 ms to start a CPU.
#[derive(Debug, Args)]
pub struct Demo {
    /// Number of CPUs, 1 to 512
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=i64::from(boot::plan::MAX_CPUS)))]
    cpus: u32,
}

impl Demo {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        host::ensure(context)?;
        let base = stages::prepare(context, &Kernel::Base, PRESET, build::LIMIT)?;
        let patched = stages::prepare(context, &Kernel::Patched, PRESET, build::LIMIT)?;

        let mut accels = vec![AccelRequest::Tcg];
        let kvm = accel::choose(AccelRequest::Kvm, false, &accel::Host::probe());
        if kvm.is_ok() {
            accels.push(AccelRequest::Kvm);
        }
        let mut requests = requests(&base, &patched, &accels, self.cpus);
        let plain = requests.len();
        let profile = firmware::find(context, FIRMWARE)?;
        requests.extend(with_firmware(&requests, &profile));
        let outcomes = requests
            .iter()
            .map(|request| boot::run(context, request))
            .collect::<Result<Vec<_>>>()?;
        let runs: Vec<_> = requests
            .iter()
            .zip(&outcomes)
            .map(|(request, outcome)| require_all_online(collect::run(request, outcome)))
            .collect();

        let folder = context.output.join("demo");
        let (json, svg) = (folder.join("results.json"), folder.join("timeline.svg"));
        let slow_svg = folder.join(format!("timeline-{FIRMWARE}.svg"));
        let manifest = manifest(context, Some(&patched), &outcomes);
        let heading =
            format!("Linux {}: bring-up of {} arm64 CPUs", manifest.base.version, self.cpus);
        output::write(&svg, &timelines(&heading, &runs[..plain]))?;
        let slow_heading = format!("{heading}, firmware {FIRMWARE}");
        output::write(&slow_svg, &timelines(&slow_heading, &runs[plain..]))?;
        let results = Results::new(manifest, runs);
        output::write(&json, &results.to_json()?)?;

        put!("{}", table(&results.runs[..plain]));
        say!("\nwith firmware {FIRMWARE}, {}:", profile.description);
        put!("{}", table(&results.runs[plain..]));
        if let Err(why) = kvm {
            say!("KVM: skipped: {}", skip_reason(&why));
        }
        say!("results: {json}\npictures: {svg}\n          {slow_svg}");
        conclude(&results, &outcomes)
    }
}

/// Every arm on each accelerator; counting instructions where it is emulated.
fn requests(base: &Built, patched: &Built, accels: &[AccelRequest], cpus: u32) -> Vec<BootRequest> {
    let on = |accel: AccelRequest| {
        ARMS.into_iter().map(move |(label, kernel, parallel)| {
            let built = if kernel == Kernel::Base { base } else { patched };
            let mut request = BootRequest::new(label, built.image.clone(), cpus);
            request.module.clone_from(&built.module);
            request.parallel = parallel;
            request.accel = accel;
            request.icount = accel == AccelRequest::Tcg;
            request
        })
    };
    accels.iter().copied().flat_map(on).collect()
}

/// The same with that firmware, where instructions are counted.
fn with_firmware(requests: &[BootRequest], profile: &Profile) -> Vec<BootRequest> {
    let counted = requests.iter().filter(|request| request.icount).cloned();
    counted.map(|request| BootRequest { firmware: Some(profile.clone()), ..request }).collect()
}

/// Why there is no KVM here. On an arm64 host the mend is of interest, elsewhere there is none.
fn skip_reason(why: &Failure) -> String {
    match std::env::consts::ARCH {
        "aarch64" => format!("needs an arm64 host with KVM; {why}"),
        _ => "needs an arm64 host with KVM".to_owned(),
    }
}

/// Success if every run was one; else each failure is shown and the first one decides.
fn conclude(results: &Results, outcomes: &[boot::BootOutcome]) -> Result<()> {
    let mut first = None;
    for (run, outcome) in results.runs.iter().zip(outcomes) {
        if let Some(failure) = collect::error(run, outcome) {
            eprintln!("{failure}\n{}", collect::last_lines(run));
            if let Some(folder) = &outcome.folder {
                eprintln!("files kept from this boot: {folder}");
            }
            first.get_or_insert(failure);
        }
    }
    match first {
        None => Ok(()),
        Some(failure) => Err(failure.into()),
    }
}
