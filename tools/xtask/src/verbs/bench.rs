// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask bench`: many boots, compared.

use anyhow::Result;
use bringup_model::bench::{self as model, Figure, Plan};
use bringup_model::render;
use bringup_model::results::Results;
use camino::Utf8PathBuf;
use clap::Args;

use crate::context::Context;
use crate::error::Failure;
use crate::host;
use crate::output;
use crate::stages::bench::arms::{Arm, first_duplicate};
use crate::stages::bench::{self, Due, Prepared};
use crate::stages::boot::accel::{self, AccelRequest};
use crate::stages::boot::plan::{MAX_CPUS, Topology};
use crate::stages::boot::{BootOutcome, BootRequest};
use crate::stages::manifest::manifest;
use crate::verbs::compare::Bound;

/// Boot several kernels many times and compare them
///
/// Arms alternate (A B C, C B A), so that a drift of the host hits all of them alike. After each
/// boot the results file is written; a bench that was stopped goes on with --resume. See
/// docs/measuring.md.
#[derive(Debug, Args)]
pub struct Bench {
    /// What is compared: pristine, base, patched, p0, p1 (patched with cpuhp.parallel=0 or 1),
    /// window=W, NAME=PATH of a tree or an Image; each with @PRESET for another configuration
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    arms: Vec<Arm>,
    /// Numbers of CPUs
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CPUS)))]
    cpus: Vec<u32>,
    /// Layouts for those CPU counts that they make: sockets=,clusters=,cores=,threads=; several
    /// with a semicolon between them
    #[arg(long, value_name = "LIST", value_delimiter = ';')]
    topologies: Vec<Topology>,
    /// Repeats of each arm
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Repeats before those, which are not kept [default: 1, with --icount 0]
    #[arg(long, value_name = "N")]
    warmups: Option<u32>,
    /// Where everything that draws lots starts from; under icount repeat R has QEMU's seed S + R
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Count instructions instead of time; as many boots side by side as the host has cores
    #[arg(long)]
    icount: bool,
    /// Run on KVM or in emulation
    #[arg(long, value_enum, default_value_t)]
    accel: AccelRequest,
    /// The configuration of arms that name none
    #[arg(long, value_name = "NAME", default_value = "guest")]
    preset: String,
    /// The module of an arm that is an Image
    #[arg(long, value_name = "NAME=FILE", value_parser = module)]
    module: Vec<(String, Utf8PathBuf)>,
    /// Further kernel parameters, for all arms
    #[arg(long, value_name = "STR", allow_hyphen_values = true)]
    append: Vec<String>,
    /// Fail if the total of an arm is longer than that of the first by more than this
    #[arg(long, value_name = "PCT")]
    bound: Option<Bound>,
    /// Write the results to this file [default: bench/results.json in the output folder]
    #[arg(long, value_name = "FILE")]
    json: Option<Utf8PathBuf>,
    /// Go on with what this file lacks; all else must be as it was
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    resume: Option<Utf8PathBuf>,
}

fn module(text: &str) -> Result<(String, Utf8PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("write NAME=FILE, NAME as in --arms")?;
    Ok((name.to_owned(), file.into()))
}

impl Bench {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        if let Some(name) = first_duplicate(&self.arms) {
            return Err(Failure::Usage(format!("--arms: {name} is given twice")).into());
        }
        if let Some((name, _)) =
            self.module.iter().find(|(name, _)| !self.arms.iter().any(|arm| arm.name == *name))
        {
            return Err(Failure::Usage(format!("--module: there is no arm {name}")).into());
        }
        let mut counts = self.cpus.clone();
        counts.sort_unstable();
        counts.dedup();
        let machines = bench::machines(&counts, &self.topologies)?;
        let mut template = BootRequest::new("", "", 1);
        template.icount = self.icount;
        template.append = self.append.join(" ");
        template.quiet = true;
        template.accel = self.accel;
        template.validate()?;
        let before = self.resume.as_deref().map(bench::resume).transpose()?;
        let (accel, why_not_kvm) = accel::choose(self.accel, self.icount, &accel::Host::probe())?;
        if let Some(why) = why_not_kvm {
            eprintln!("emulating with TCG: {why}");
        }

        host::ensure(context)?;
        let arms = (self.arms.iter())
            .map(|arm| bench::prepare(context, arm, &self.preset, &self.module))
            .collect::<Result<Vec<_>>>()?;
        let planned = arms.iter().map(|arm| arm.planned(&template.append));
        let plan = Plan {
            arms: planned.collect::<Result<_>>()?,
            machines: machines.iter().map(|(machine, _)| machine.clone()).collect(),
            runs: self.runs,
            warmups: self.warmups.unwrap_or(u32::from(!self.icount)),
            seed: self.seed,
            icount: self.icount,
            kvm_lab: false,
            accel: accel.to_string(),
            firmware: None,
        };

        let file = self.resume.clone().or(self.json.clone());
        let file = file.unwrap_or_else(|| bench::default_file(context));
        let _lock = context.lock(&bench::lock_name(&file)?)?;
        let mut results = match before {
            None => Results::new(manifest(context, newest(&arms), &[]), Vec::new()),
            Some(before) => before,
        };
        if let Some(made) = &results.bench
            && let Some(difference) = plan.difference(made)
        {
            let text = format!("--resume: {file} is of another bench: {difference}");
            return Err(Failure::Usage(text).into());
        }
        results.bench = Some(plan.clone());

        let due = plan.missing(&results.runs).into_iter().map(|slot| {
            let (machine, topology) = &machines[slot.machine];
            let seed = self.seed + u64::from(slot.repeat.unwrap_or(0));
            let request = arms[slot.arm].request(&template, machine, *topology, seed);
            Due { slot, request }
        });
        let due: Vec<Due> = due.collect();
        let side_by_side = bench::side_by_side(self.icount);
        let tell = |context: &Context, results: &mut Results, outcome: &BootOutcome| {
            if results.manifest.qemu.is_none() {
                let outcomes = std::slice::from_ref(outcome);
                results.manifest = manifest(context, newest(&arms), outcomes);
            }
        };
        bench::run(context, &due, side_by_side, &mut results, &file, tell)?;
        results.runs.sort_by_key(|run| (run.repeat, run.cpus));
        output::write(&file, &results.to_json()?)?;

        print!("{}", render::bench::bench(&results.runs, self.seed));
        println!("results: {file}");
        self.conclude(&results)
    }

    /// Success if no run failed and no arm is beyond the bound.
    fn conclude(&self, results: &Results) -> Result<()> {
        let mut failed = results.runs.iter().filter(|run| !run.ok);
        if let Some(run) = failed.next() {
            let failure = run.failure.as_ref();
            let (kind, detail) =
                failure.map_or(("failed", ""), |failure| (&failure.kind, &failure.detail));
            let text = format!(
                "{} of {} runs failed; the first: {} with {}: {kind}: {detail}",
                1 + failed.count(),
                results.runs.len(),
                run.arm,
                run.machine(),
            );
            return Err(Failure::Check(text).into());
        }
        let Some(bound) = self.bound else { return Ok(()) };
        let groups = model::groups(&results.runs);
        let mut beyond = Vec::new();
        for group in &groups {
            let first = groups
                .iter()
                .find(|first| first.arm == self.arms[0].name && first.machine == group.machine);
            let Some(first) = first else { continue };
            let figure: Figure = model::total_of(&[first, group]);
            let counted = first.is_counted() && group.is_counted();
            if let Some(difference) = model::difference(first, group, figure, self.seed)
                && model::is_beyond(&difference, counted, 1.0 + bound.0)
            {
                beyond.push(format!("{} with {}", group.arm, group.machine));
            }
        }
        if beyond.is_empty() {
            println!("no arm is slower than {} by more than {bound}", self.arms[0].name);
            return Ok(());
        }
        let text = format!(
            "slower than {} by more than {bound}: {}",
            self.arms[0].name,
            beyond.join(", ")
        );
        Err(Failure::Check(text).into())
    }
}

/// The kernel with the most patches.
fn newest(arms: &[Prepared]) -> Option<&crate::stages::build::Built> {
    let built = arms.iter().filter_map(|arm| arm.built.as_ref());
    built.max_by_key(|built| built.configured.tree.patches.len())
}
