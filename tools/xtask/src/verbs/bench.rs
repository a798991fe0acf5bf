// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask bench`: many boots, compared.

use anyhow::Result;
use bringup_model::bench::{self as model, Conditions, Group, Plan, PlannedLab};
use bringup_model::render;
use bringup_model::results::{Results, Run};
use bringup_model::verdict::{self, Status, Verdict};
use camino::Utf8PathBuf;
use clap::Args;

use crate::context::Context;
use crate::error::Failure;
use crate::host;
use crate::output;
use crate::stages::bench::arms::{Arm, first_duplicate};
use crate::stages::bench::{self, Due, Prepared};
use crate::stages::boot::accel::{self, Accel, AccelRequest};
use crate::stages::boot::plan::{MAX_CPUS, Topology};
use crate::stages::boot::{BootOutcome, BootRequest, firmware};
use crate::stages::build::Built;
use crate::stages::fetch::sha256_of;
use crate::stages::lab::{self, Host, LabRequest};
use crate::stages::manifest::manifest;
use crate::verbs::compare::Bound;
use crate::verbs::kvm_lab::HostOptions;

/// Boot several kernels many times and compare them
///
/// Arms alternate (A B C, C B A), so that drift of the host affects all of them alike. The results
/// file is written after each boot; --resume continues a bench that was stopped. See
/// docs/measuring.md.
#[derive(Debug, Args)]
pub struct Bench {
    /// What to compare: pristine, base, patched, p0 or p1 (patched with cpuhp.parallel=0 or 1),
    /// window=W, or NAME=PATH of a tree or an Image, optionally followed by :p0, :p1 or :window=W;
    /// @PRESET at the end of an arm selects another configuration
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    arms: Vec<Arm>,
    /// Numbers of CPUs
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CPUS)))]
    cpus: Vec<u32>,
    /// Layouts, each used for the CPU count that it makes: sockets=,clusters=,cores=,threads=;
    /// separate several with semicolons
    #[arg(long, value_name = "LIST", value_delimiter = ';')]
    topologies: Vec<Topology>,
    /// Repeats of each arm
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// Warm-up repeats before those, which are not kept [default: 1; with --icount: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100_000))]
    warmups: Option<u32>,
    /// Seed for everything random; under icount, repeat R runs QEMU with seed S + R
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Count instructions instead of time; runs as many boots at once as the host has cores
    #[arg(long)]
    icount: bool,
    /// Run on KVM or in emulation
    #[arg(long, value_enum, default_value_t)]
    accel: AccelRequest,
    /// Imitate this firmware (TCG only): the name of a profile or its file
    #[arg(long, value_name = "PROFILE")]
    firmware: Option<String>,
    /// Boot in the KVM lab: on KVM, with exits counted
    #[arg(long, conflicts_with_all = ["icount", "accel", "firmware", "topologies"])]
    kvm_lab: bool,
    /// With --kvm-lab: how many host CPUs the guest's CPUs share
    #[arg(long, value_name = "M", default_value_t = 4, requires = "kvm_lab", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CPUS)))]
    pcpus: u32,
    /// The configuration of arms that name none
    #[arg(long, value_name = "NAME", default_value = "guest")]
    preset: String,
    /// The module for an arm that is an Image
    #[arg(long, value_name = "NAME=FILE", value_parser = module)]
    module: Vec<(String, Utf8PathBuf)>,
    /// Further kernel parameters, for all arms
    #[arg(long, value_name = "STR", allow_hyphen_values = true)]
    append: Vec<String>,
    /// Fail if an arm's total exceeds that of the first arm by more than this
    #[arg(long, value_name = "PCT")]
    bound: Option<Bound>,
    /// Write a verdict on each arm and machine to this file, as KTAP version 1
    #[arg(long, value_name = "FILE")]
    ktap: Option<Utf8PathBuf>,
    /// Write the same verdicts to this file, as JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<Utf8PathBuf>,
    /// Write the results to this file [default: bench/results.json in the output folder]
    #[arg(long, value_name = "FILE")]
    json: Option<Utf8PathBuf>,
    /// Continue the bench in this file with the runs that it lacks; all else must be unchanged
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    resume: Option<Utf8PathBuf>,
    #[command(flatten, next_help_heading = "With --kvm-lab")]
    host: HostOptions,
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
        template.firmware =
            self.firmware.as_deref().map(|name| firmware::find(context, name)).transpose()?;
        template.validate()?;
        if !self.kvm_lab
            && let Some(option) = self.host.given_without_lab()
        {
            return Err(Failure::Usage(format!("{option} needs --kvm-lab")).into());
        }
        if self.kvm_lab && self.host.real {
            // Before a kernel is built for it.
            lab::require(self.pcpus, self.host.traced())?;
        }
        let file = self.resume.clone().or(self.json.clone());
        let file = file.unwrap_or_else(|| bench::default_file(context));
        // Before it is read: another bench may be adding to it.
        let _lock = context.lock(&bench::lock_name(&file)?)?;
        let before = self.resume.as_deref().map(bench::resume).transpose()?;
        // An emulated host counts instructions.
        let icount = self.icount || (self.kvm_lab && !self.host.real);
        let accel = if self.kvm_lab { Accel::Kvm } else { self.accel(&template)? };

        host::ensure(context)?;
        let arms = (self.arms.iter())
            .map(|arm| bench::prepare(context, arm, &self.preset, &self.module))
            .collect::<Result<Vec<_>>>()?;
        let lab = self.kvm_lab.then(|| self.host.host(context)).transpose()?;
        let planned = arms.iter().map(|arm| arm.planned(&template.append));
        let plan = Plan {
            arms: planned.collect::<Result<_>>()?,
            machines: machines.iter().map(|(machine, _)| machine.clone()).collect(),
            runs: self.runs,
            warmups: self.warmups.unwrap_or(u32::from(!icount)),
            seed: self.seed,
            icount,
            kvm_lab: self.kvm_lab,
            lab: lab.as_ref().map(|host| self.planned_lab(host)).transpose()?,
            accel: accel.to_string(),
            firmware: template.firmware.as_ref().map(|profile| profile.name.clone()),
        };

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
            let seed = self.seed.wrapping_add(u64::from(slot.repeat.unwrap_or(0)));
            let request = arms[slot.arm].request(&template, machine, *topology, seed);
            let lab = lab.as_ref().map(|host| {
                let repetition = slot.repeat.unwrap_or(0);
                let mut lab = LabRequest::of_boot(&request, self.pcpus, repetition, host.clone());
                (lab.pin, lab.trace) = (self.host.pinned(), self.host.traced());
                lab
            });
            Due { slot, request, lab }
        });
        let due: Vec<Due> = due.collect();
        let side_by_side = bench::side_by_side(icount);
        let tell = |context: &Context, results: &mut Results, outcome: &BootOutcome| {
            if results.manifest.qemu.is_none() {
                let outcomes = std::slice::from_ref(outcome);
                results.manifest = manifest(context, newest(&arms), outcomes);
            }
        };
        bench::run(context, &due, side_by_side, &mut results, &file, tell)?;
        let place = |name: &str| self.arms.iter().position(|arm| arm.name == name);
        results.runs.sort_by_key(|run| (run.repeat, run.cpus, place(&run.arm)));
        output::write(&file, &results.to_json()?)?;

        put!("{}", render::bench::bench(&results.runs, self.seed));
        say!("results: {file}");
        self.conclude(&results)
    }

    /// What the plan records of the lab's host.
    fn planned_lab(&self, host: &Host) -> Result<PlannedLab> {
        let host_sha256 = match host {
            Host::Real => None,
            Host::Emulated(host) => Some(sha256_of(&host.image)?),
        };
        let (pinned, traced) = (self.host.pinned(), self.host.traced());
        Ok(PlannedLab { pcpus: self.pcpus, pinned, traced, host_sha256 })
    }

    /// What boots run on.
    fn accel(&self, template: &BootRequest) -> Result<Accel> {
        if template.firmware.is_some() {
            return Ok(Accel::Tcg);
        }
        let (accel, why_not_kvm) = accel::choose(self.accel, self.icount, &accel::Host::probe())?;
        if let Some(why) = why_not_kvm {
            eprintln!("emulating with TCG: {why}");
        }
        Ok(accel)
    }

    /// What is to be said of each arm on each machine: it failed, it is beyond the bound, or neither.
    fn verdicts(&self, results: &Results) -> Vec<Verdict> {
        let groups = model::groups(&results.runs);
        let verdict = |group: &Group<'_>| {
            let name = format!("{} with {}", group.arm, group.conditions);
            if group.failed > 0 {
                let of_group = |run: &&Run| {
                    !run.ok && run.arm == group.arm && Conditions::of(run) == group.conditions
                };
                let failure =
                    results.runs.iter().find(of_group).and_then(|run| run.failure.as_ref());
                let first = failure.map(|it| format!("{}: {}", it.kind, it.detail));
                let all = group.made();
                let cause = format!(
                    "{} of {all} runs failed; the first: {}",
                    group.failed,
                    first.unwrap_or_default()
                );
                return Verdict::failed(name, cause);
            }
            let is_reference = |other: &&Group<'_>| {
                other.arm == self.arms[0].name && other.conditions == group.conditions
            };
            match (self.bound, groups.iter().find(is_reference)) {
                (Some(bound), Some(first)) => self.judge(name, first, group, bound),
                _ => Verdict::passed(name),
            }
        };
        groups.iter().map(|group| verdict(group).repeated_by(&results.manifest.command)).collect()
    }

    /// Whether `group` is within `bound` of the `first` arm.
    fn judge(&self, name: String, first: &Group<'_>, group: &Group<'_>, bound: Bound) -> Verdict {
        let figure = model::total_of(&[first, group]);
        let counted = first.is_counted() && group.is_counted();
        let Some(difference) = model::difference(first, group, figure, self.seed) else {
            return Verdict::skipped(name, format!("a bound needs the {figure} of both arms"));
        };
        if model::is_beyond(&difference, counted, 1.0 + bound.0) {
            let cause = format!(
                "{figure} is {:.3} times that of {}, and the bound is {bound} more",
                difference.ratio, first.arm
            );
            return Verdict::failed(name, cause);
        }
        Verdict::passed(name)
    }

    /// Writes the verdicts; an error if one is bad.
    fn conclude(&self, results: &Results) -> Result<()> {
        let verdicts = self.verdicts(results);
        if let Some(file) = &self.ktap {
            output::write(file, &verdict::ktap(&verdicts))?;
        }
        if let Some(file) = &self.junit {
            output::write(file, &verdict::junit("cargo xtask bench", &verdicts)?)?;
        }
        say!("{}", verdict::closing_line(&verdicts));
        let failed: Vec<String> = verdicts
            .iter()
            .filter(|verdict| verdict.status == Status::Failed)
            .map(|verdict| format!("{}: {}", verdict.name, verdict.detail))
            .collect();
        if failed.is_empty() { Ok(()) } else { Err(Failure::Check(failed.join("\n")).into()) }
    }
}

/// The kernel with the most patches.
fn newest(arms: &[Prepared]) -> Option<&Built> {
    let built = arms.iter().filter_map(|arm| arm.built.as_ref());
    built.max_by_key(|built| built.configured.tree.patches.len())
}
