// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask soak`: many different boots, until one fails.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use bringup_model::results::{Results, Run};
use bringup_model::verdict::{self, Verdict};
use camino::Utf8PathBuf;
use clap::Args;

use crate::cli::YEAR;
use crate::context::Context;
use crate::error::Failure;
use crate::host;
use crate::output::{self, VerdictFiles};
use crate::progress::Progress;
use crate::stages::boot::{self, BootOutcome, BootRequest};
use crate::stages::build::Built;
use crate::stages::manifest::manifest;
use crate::stages::soak::{Arm, Plan, plan};
use crate::stages::{self, Kernel, build, collect};
use crate::tests::{Case, Ending};

/// Boot many times, each time differently, until a boot fails
///
/// Varies the arm (base, parallel=0, parallel=1), the number and layout of CPUs, maxcpus, CPUs that
/// go off and on, firmware with random start delays (PSCI or spin-table), instruction counting, and
/// the number and priority of QEMU's threads. The seed alone decides which boot comes when. The
/// console, the command and the other files of a failed boot are kept.
#[derive(Debug, Args)]
pub struct Soak {
    /// How many boots
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    boots: u64,
    /// The seed that decides the boots [default: a random one, which is printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// The first boot's number, to continue where an earlier run with the same seed ended
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1 << 32))]
    from: u64,
    /// Which kernels and modes
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "base,p0,p1"
    )]
    arms: Vec<Arm>,
    /// No more CPUs than this
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=i64::from(boot::plan::MAX_CPUS)))]
    max_cpus: u32,
    /// The configuration
    #[arg(long, value_name = "NAME", default_value = "guest")]
    preset: String,
    /// Start no more boots after this many minutes, and exit with 124
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    limit: Option<u64>,
    /// Continue after a failure
    #[arg(long)]
    keep_going: bool,
    /// How many boots at a time [default: one per core of the host]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Write the results to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<Utf8PathBuf>,
    #[command(flatten)]
    files: VerdictFiles,
}

/// A boot that has ended.
struct Ended {
    index: u64,
    plan: Plan,
    run: Result<(Run, BootOutcome)>,
    elapsed: Duration,
}

/// What the boots of a soak share.
struct Shared<'a> {
    soak: &'a Soak,
    seed: u64,
    base: Option<&'a Built>,
    patched: Option<&'a Built>,
    next: AtomicU64,
    stop: AtomicBool,
    /// Nothing is started after it.
    end: Option<Instant>,
}

impl Soak {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        host::ensure(context)?;
        let needs = |arms: &[Arm]| arms.iter().any(|arm| self.arms.contains(arm));
        let prepare = |kernel| stages::prepare(context, &kernel, &self.preset, build::LIMIT);
        let base = needs(&[Arm::Base]).then(|| prepare(Kernel::Base)).transpose()?;
        let patched = needs(&[Arm::P0, Arm::P1]).then(|| prepare(Kernel::Patched)).transpose()?;
        // Of two runs at the same time each has its own.
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..) % 1_000_000);
        let jobs = self.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, |jobs| jobs.get()),
            usize::from,
        );
        eprintln!("seed {seed}: boots {} to {}", self.from, self.from + self.boots - 1);
        let shared = Shared {
            soak: &self,
            seed,
            base: base.as_ref(),
            patched: patched.as_ref(),
            next: self.from.into(),
            stop: false.into(),
            end: self.limit.map(|limit| Instant::now() + Duration::from_secs(60 * limit)),
        };
        let ended = shared.boot_all(context, jobs);

        let mut cases = Vec::new();
        let mut runs = Vec::new();
        let mut outcomes = Vec::new();
        for (index, ended) in &ended {
            cases.push(self.case(seed, *index, ended));
            if let Ok((run, _)) = &ended.run {
                runs.push(run.clone());
            }
        }
        for ended in ended.into_values() {
            if let Ok((_, outcome)) = ended.run {
                outcomes.push(outcome);
            }
        }
        let done = u64::try_from(cases.len()).unwrap_or(u64::MAX);
        let folder = context.output.join("soak");
        let verdicts: Vec<Verdict> = cases.iter().map(Verdict::from).collect();
        self.files.write(&folder, "cargo xtask soak", &verdicts)?;
        let manifest = manifest(context, patched.as_ref().or(base.as_ref()), &outcomes);
        let json = Results::new(manifest, runs).to_json()?;
        output::write(&folder.join("results.json"), &json)?;
        if let Some(file) = &self.json {
            output::write(file, &json)?;
        }
        say!("{}", verdict::closing_line(&verdicts));
        let [_, failed, _] = verdict::counts(&verdicts);
        if failed > 0 {
            return Err(Failure::Check(format!("{failed} of {done} boots failed")).into());
        }
        if done < self.boots {
            return Err(Failure::TimeLimit(format!(
                "the time limit has passed after {done} boots; continue with\n{}",
                self.again(seed, self.from + done, self.boots - done)
            ))
            .into());
        }
        Ok(())
    }

    fn case(&self, seed: u64, index: u64, ended: &Ended) -> Case {
        let ending = match &ended.run {
            Ok((run, outcome)) => match &run.failure {
                None => Ending::Passed,
                Some(failure) => {
                    let mut text = format!("{}: {}", failure.kind, failure.detail);
                    for line in &failure.console_tail {
                        text += &format!("\n  | {line}");
                    }
                    if let Some(folder) = &outcome.folder {
                        text += &format!("\nconsole and QEMU's command: {folder}");
                    }
                    Ending::Failed(text)
                }
            },
            Err(error) => Ending::Failed(format!("{error:#}")),
        };
        let reproduce = self.again(seed, index, 1);
        let name = format!("boot {index}: {}", ended.plan);
        Case { name, ending, elapsed: ended.elapsed, reproduce }
    }

    /// The command that makes so many boots of this soak from that one on.
    fn again(&self, seed: u64, from: u64, boots: u64) -> String {
        let mut command = format!("cargo xtask soak --boots {boots} --seed {seed} --from {from}");
        if self.preset != "guest" {
            command += &format!(" --preset {}", self.preset);
        }
        let arms: Vec<String> = self.arms.iter().map(Arm::to_string).collect();
        command + &format!(" --arms {} --max-cpus {}", arms.join(","), self.max_cpus)
    }
}

impl Shared<'_> {
    /// Makes the boots, `jobs` at a time; returns those that were made, by their numbers.
    fn boot_all(&self, context: &Context, jobs: usize) -> BTreeMap<u64, Ended> {
        let mut all = BTreeMap::new();
        let progress = Progress::steps("soak", self.soak.boots);
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for _ in 0..jobs {
                let (sender, context) = (sender.clone(), context.clone());
                scope.spawn(move || {
                    while let Some(ended) = self.next_boot(&context) {
                        if sender.send(ended).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for ended in receiver {
                let failed = !matches!(&ended.run, Ok((run, _)) if run.failure.is_none());
                if failed {
                    if !self.soak.keep_going {
                        self.stop.store(true, Ordering::Relaxed);
                    }
                    // At once: the others may take a while.
                    say!("{}", self.soak.case(self.seed, ended.index, &ended));
                }
                all.insert(ended.index, ended);
                progress.set(all.len() as u64);
            }
        });
        progress.done(&format!("{} boots", all.len()));
        all
    }

    fn next_boot(&self, context: &Context) -> Option<Ended> {
        if self.stop.load(Ordering::Relaxed) || self.end.is_some_and(|end| Instant::now() >= end) {
            return None;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        if index >= self.soak.from + self.soak.boots {
            return None;
        }
        let plan = plan(self.seed, index, &self.soak.arms, self.soak.max_cpus);
        let start = Instant::now();
        let run = self.boot(context, plan.request(), plan.arm);
        Some(Ended { index, plan, run, elapsed: start.elapsed() })
    }

    fn boot(
        &self,
        context: &Context,
        mut request: BootRequest,
        arm: Arm,
    ) -> Result<(Run, BootOutcome)> {
        let built = if arm == Arm::Base { self.base } else { self.patched };
        let built = built.ok_or_else(|| anyhow!("the kernel of {arm} was not built"))?;
        request.image.clone_from(&built.image);
        request.module.clone_from(&built.module);
        let outcome = boot::run(context, &request)?;
        Ok((collect::run(&request, &outcome), outcome))
    }
}
