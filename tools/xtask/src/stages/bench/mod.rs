// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Many boots: what to compare ([`arms`]), then all runs of a plan, one after the other or side by
//! side. The order is that of [`bringup_model::bench::Plan`].

pub mod arms;

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bringup_model::bench::{Machine, PlannedArm, Slot};
use bringup_model::collect::{cpu_list, require_all_online};
use bringup_model::results::{Failure, Results, Run};
use camino::{Utf8Path, Utf8PathBuf};
use indicatif::HumanDuration;
use sha2::{Digest as _, Sha256};

use self::arms::Arm;
use super::apply::hex;
use super::boot::plan::Topology;
use super::boot::{self, BootOutcome, BootRequest};
use super::bootable::check_module;
use super::build::{self, Built};
use super::fetch::sha256_of;
use super::lab::{self, LabRequest};
use super::{Kernel, collect};
use crate::context::Context;
use crate::error;
use crate::output;
use crate::progress::Progress;

/// An arm whose kernel is there.
#[derive(Debug, Clone)]
pub struct Prepared {
    arm: Arm,
    image: Utf8PathBuf,
    module: Option<Utf8PathBuf>,
    preset: Option<String>,
    /// Where it is from, if it was built here.
    pub built: Option<Built>,
}

/// Finds or builds the kernel of `arm`, with `preset` unless it has its own. `modules` has the
/// modules of those that are Images.
pub fn prepare(
    context: &Context,
    arm: &Arm,
    preset: &str,
    modules: &[(String, Utf8PathBuf)],
) -> Result<Prepared> {
    let given = modules.iter().find(|(name, _)| *name == arm.name).map(|(_, file)| file.clone());
    if let Kernel::Path(path) = &arm.kernel {
        let usage = |text: String| error::Failure::Usage(format!("arm {}: {text}", arm.name));
        let metadata = fs_err::metadata(path).map_err(|error| usage(error.to_string()))?;
        if metadata.is_file() {
            if arm.preset.is_some() {
                return Err(usage(format!("{path} is an Image, which takes no preset")).into());
            }
            boot::check_image(path)?;
            given.as_deref().map(check_module).transpose()?;
            let image = path.canonicalize_utf8()?;
            let (arm, preset) = (arm.clone(), None);
            return Ok(Prepared { arm, image, module: given, preset, built: None });
        }
    }
    if given.is_some() {
        let text =
            format!("--module {}: that arm is not an Image; it has its own module", arm.name);
        return Err(error::Failure::Usage(text).into());
    }
    let preset = arm.preset.as_deref().unwrap_or(preset);
    let built = super::prepare(context, &arm.kernel, preset, build::LIMIT)?;
    Ok(Prepared {
        arm: arm.clone(),
        image: built.image.clone(),
        module: built.module.clone(),
        preset: Some(preset.to_owned()),
        built: Some(built),
    })
}

impl Prepared {
    /// What the plan records of it.
    pub fn planned(&self, append: &str) -> Result<PlannedArm> {
        let words = [self.arm.parameters(), append.trim().to_owned()];
        let words: Vec<String> = words.into_iter().filter(|text| !text.is_empty()).collect();
        Ok(PlannedArm {
            name: self.arm.name.clone(),
            kernel: self.arm.kernel.to_string(),
            preset: self.preset.clone(),
            image_sha256: sha256_of(&self.image)?,
            module_sha256: self.module.as_deref().map(sha256_of).transpose()?,
            parameters: words.join(" "),
        })
    }

    /// The boot of one slot. `template` has what all boots of the bench share.
    pub fn request(
        &self,
        template: &BootRequest,
        machine: &Machine,
        topology: Option<Topology>,
        seed: u64,
    ) -> BootRequest {
        let mut request = template.clone();
        request.label.clone_from(&self.arm.name);
        request.image.clone_from(&self.image);
        request.module.clone_from(&self.module);
        request.cpus = machine.cpus;
        request.topology = topology;
        request.seed = seed;
        self.arm.apply(&mut request);
        request
    }
}

/// A boot that is due.
#[derive(Debug)]
pub struct Due {
    /// Where it belongs.
    pub slot: Slot,
    /// What is booted.
    pub request: BootRequest,
    /// The same as a guest of the KVM lab, if it is booted there.
    pub lab: Option<LabRequest>,
}

/// Makes the runs that are `due`, up to `side_by_side` at a time, and adds them to `results`, which
/// is written to `file` after each one, so that whatever ends us leaves what was made. `manifest`
/// updates the results with what the first boot tells.
///
/// An error means that a run could not be made at all; runs that failed are in the results.
pub fn run(
    context: &Context,
    due: &[Due],
    side_by_side: usize,
    results: &mut Results,
    file: &Utf8Path,
    manifest: impl Fn(&Context, &mut Results, &BootOutcome) + Sync,
) -> Result<()> {
    let shared = Mutex::new(State {
        next: 0,
        done: 0,
        running: Vec::new(),
        time_left: TimeLeft::new(due.iter().map(|due| weight(&due.request)).sum()),
        results,
        error: None,
    });
    let progress = Mutex::new(Progress::spinner(format!("bench, {} boots", due.len())));
    std::thread::scope(|scope| {
        for _ in 0..side_by_side.clamp(1, due.len().max(1)) {
            let (own, shared, progress) = (context.clone(), &shared, &progress);
            let manifest = &manifest;
            scope.spawn(move || worker(&own, due, shared, progress, file, manifest));
        }
    });
    let state = shared.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Ok(progress) = progress.into_inner() {
        progress.done(&format!("{} boots made", state.done));
    }
    state.error.map_or(Ok(()), Err)
}

/// What the workers share.
struct State<'a> {
    next: usize,
    done: usize,
    /// Indices of those under way.
    running: Vec<usize>,
    time_left: TimeLeft,
    results: &'a mut Results,
    error: Option<anyhow::Error>,
}

fn worker(
    context: &Context,
    due: &[Due],
    shared: &Mutex<State<'_>>,
    progress: &Mutex<Progress>,
    file: &Utf8Path,
    manifest: &(impl Fn(&Context, &mut Results, &BootOutcome) + Sync),
) {
    let lock = || shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    loop {
        let index = {
            let mut state = lock();
            if state.error.is_some() || state.next == due.len() {
                return;
            }
            let index = state.next;
            state.next += 1;
            state.running.push(index);
            show(&state, due, progress);
            index
        };
        let Due { slot, request, lab } = &due[index];
        let ended = match lab {
            None => boot::run(context, request).map(|outcome| {
                (with_online(collect::run(request, &outcome), request, &outcome), outcome)
            }),
            // What comes from outside of the guest may be the emulated host's.
            Some(lab) => lab::run(context, lab).map(|ended| (ended.run, ended.boot)),
        };
        let mut state = lock();
        state.running.retain(|&running| running != index);
        state.done += 1;
        let kept = ended.and_then(|(run, outcome)| {
            state.time_left.made(weight(request), outcome.elapsed);
            manifest(context, state.results, &outcome);
            // A warm-up is of interest only if it fails.
            let run = sample(request, slot, run);
            if slot.repeat.is_some() || !run.ok {
                state.results.runs.push(run);
            }
            output::write(file, &state.results.to_json()?)
        });
        if let Err(error) = kept {
            state.error.get_or_insert(error.context(format!("{} of the bench", request.label)));
        }
        show(&state, due, progress);
    }
}

fn show(state: &State<'_>, due: &[Due], progress: &Mutex<Progress>) {
    let running: Vec<String> = state
        .running
        .iter()
        .map(|&index| &due[index].request)
        .map(|request| format!("{} with {} CPUs", request.label, request.cpus))
        .collect();
    let left = match state.time_left.estimate(state.running.len()) {
        Some(left) => format!(", about {} left", HumanDuration(left)),
        None => String::new(),
    };
    let note = format!("{} done{left}, now {}", state.done, running.join(" and "));
    if let Ok(progress) = progress.lock() {
        progress.note(note.trim_end_matches(", now "));
    }
}

/// How long boots take in proportion to each other: as their time limits.
fn weight(request: &BootRequest) -> f64 {
    request.limit().as_secs_f64()
}

/// How long the rest may take, from how long the first part took.
#[derive(Debug)]
struct TimeLeft {
    weight_left: f64,
    weight_made: f64,
    time_made: Duration,
}

impl TimeLeft {
    fn new(weight: f64) -> Self {
        Self { weight_left: weight, weight_made: 0.0, time_made: Duration::ZERO }
    }

    fn made(&mut self, weight: f64, time: Duration) {
        self.weight_left -= weight;
        self.weight_made += weight;
        self.time_made += time;
    }

    /// `None` before anything is made.
    fn estimate(&self, side_by_side: usize) -> Option<Duration> {
        if self.weight_made <= 0.0 {
            return None;
        }
        let seconds = self.time_made.as_secs_f64() * self.weight_left / self.weight_made;
        let seconds = seconds / side_by_side.max(1) as f64;
        Duration::try_from_secs_f64(seconds.max(0.0).round()).ok()
    }
}

/// The run, failed if the guest's list of CPUs that are online is too short. For kernels without a
/// timeline.
fn with_online(run: Run, request: &BootRequest, outcome: &BootOutcome) -> Run {
    match outcome.files.get("online").and_then(|list| cpu_list(list)) {
        Some(online)
            if run.failure.is_none()
                && request.module.is_none()
                && online.len() != usize::try_from(request.cpus).unwrap_or(usize::MAX) =>
        {
            let detail = format!("{} of {} CPUs are online", online.len(), request.cpus);
            run.with_failure(failure("not-all-online", detail))
        }
        _ => run,
    }
}

/// The run of a slot: a good one only if every CPU is up and the kernel did as it was told.
fn sample(request: &BootRequest, slot: &Slot, mut run: Run) -> Run {
    run.topology = request.topology.map(|topology| topology.to_string());
    run.repeat = slot.repeat;
    run.seed = request.icount.then_some(request.seed);
    if run.failure.is_some() {
        return run;
    }
    if request.module.is_some() {
        run = require_all_online(run);
    }
    match disobedience(request, &run) {
        Some(detail) if run.failure.is_none() => run.with_failure(failure("other-mode", detail)),
        _ => run,
    }
}

fn failure(kind: &str, detail: String) -> Failure {
    Failure { kind: kind.to_owned(), detail, console_tail: Vec::new() }
}

/// What the kernel did otherwise than it was asked to, by its timeline: to call that by the arm's
/// name would be wrong.
fn disobedience(request: &BootRequest, run: &Run) -> Option<String> {
    if run.per_cpu.is_empty() {
        return None;
    }
    if let (Some(asked), Some(did)) = (request.parallel, run.parallel)
        && asked != did
    {
        let (asked, did) = (u8::from(asked), u8::from(did));
        return Some(format!("asked for cpuhp.parallel={asked}, the timeline says {did}"));
    }
    // One after the other there is no window, whatever was asked for.
    if let (Some(asked), Some(did)) = (request.window, &run.window)
        && run.parallel != Some(false)
        && asked.to_string() != *did
    {
        return Some(format!("asked for cpuhp.window={asked}, the timeline says {did}"));
    }
    None
}

/// The results in `file` for a bench to go on with; their plan must be there.
pub fn resume(file: &Utf8Path) -> Result<Results> {
    let usage = |text: String| error::Failure::Usage(format!("--resume: {text}"));
    let text = fs_err::read_to_string(file).map_err(|error| usage(error.to_string()))?;
    let results = Results::from_json(&text)
        .map_err(|error| usage(format!("{file}: {:#}", anyhow::Error::from(error))))?;
    if results.bench.is_none() {
        return Err(usage(format!("{file} holds no results of `bench`")).into());
    }
    Ok(results)
}

/// The machines that CPU counts and layouts make. A layout belongs to the count that it makes; a
/// count without one has QEMU's default.
pub fn machines(
    counts: &[u32],
    topologies: &[Topology],
) -> Result<Vec<(Machine, Option<Topology>)>, error::Failure> {
    if let Some(stray) =
        topologies.iter().find(|it| !counts.iter().any(|&cpus| u64::from(cpus) == it.cpus()))
    {
        return Err(error::Failure::Usage(format!(
            "--topologies: {stray} makes {} CPUs, a number that --cpus does not list",
            stray.cpus()
        )));
    }
    let mut machines = Vec::new();
    for &cpus in counts {
        let own = topologies.iter().filter(|it| it.cpus() == u64::from(cpus)).copied();
        let mut own: Vec<_> = own.map(Some).collect();
        if own.is_empty() {
            own.push(None);
        }
        machines.extend(own.into_iter().map(|topology| {
            (Machine { cpus, topology: topology.map(|it| it.to_string()) }, topology)
        }));
    }
    Ok(machines)
}

/// How many boots may run side by side without a change of any figure: under icount each has a
/// clock of its own. A run by the wall clock is alone.
pub fn side_by_side(icount: bool) -> usize {
    if !icount {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Where results go unless the user says otherwise.
pub fn default_file(context: &Context) -> Utf8PathBuf {
    context.output.join("bench").join("results.json")
}

/// The lock of a results file: two benches do not write to one file.
pub fn lock_name(file: &Utf8Path) -> Result<String> {
    let file = camino::absolute_utf8(file).context("the results file's name")?;
    Ok(format!("bench-{}", &hex(&Sha256::digest(file.as_str()))[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_belong_to_the_counts_that_they_make() {
        let topology = |text: &str| text.parse::<Topology>().unwrap();
        let layouts = [topology("sockets=2,cores=4"), topology("clusters=2,cores=4")];
        let shown = |counts: &[u32]| {
            machines(counts, &layouts).map(|machines| {
                machines.iter().map(|(machine, _)| machine.to_string()).collect::<Vec<_>>()
            })
        };
        assert_eq!(
            shown(&[4, 8]).unwrap(),
            [
                "4 CPUs",
                "8 CPUs (sockets=2,clusters=1,cores=4,threads=1)",
                "8 CPUs (sockets=1,clusters=2,cores=4,threads=1)",
            ]
        );
        assert_eq!(shown(&[4]).unwrap_err().code(), 2);
    }

    #[test]
    fn the_time_left_follows_from_the_time_taken() {
        let mut left = TimeLeft::new(100.0);
        assert_eq!(left.estimate(1), None);
        left.made(20.0, Duration::from_secs(10));
        assert_eq!(left.estimate(1), Some(Duration::from_secs(40)));
        assert_eq!(left.estimate(2), Some(Duration::from_secs(20)));
        left.made(80.0, Duration::from_secs(10));
        assert_eq!(left.estimate(1), Some(Duration::ZERO));
    }

    #[test]
    fn a_kernel_that_does_otherwise_is_found_out() {
        let text = "# cpu_bringup timeline v1 unit=ns parallel=1 window=all\n\
            cpu\tmpidr\tnode\tkick\tkicked\tentry\talive\trelease\tstarting\tonline\tactive\toutcome\n\
            0\t0x0\t0\t-\t-\t-\t-\t-\t-\t-\t-\tboot\n";
        let timeline = bringup_model::timeline::Timeline::parse(text).unwrap();
        let mut request = BootRequest::new("window=4", "/k/Image", 1);
        let setup = bringup_model::results::Setup {
            arm: "window=4".into(),
            cpus: 1,
            parallel: None,
            window: None,
            accel: "tcg".into(),
            clock: bringup_model::results::Clock::Icount,
            firmware: None,
        };
        let run = Run::new(setup).with_timeline(&timeline);
        assert_eq!(disobedience(&request, &run), None);
        request.window = Some("4".parse().unwrap());
        assert!(disobedience(&request, &run).unwrap().contains("the timeline says all"));
        request.window = None;
        request.parallel = Some(false);
        assert!(disobedience(&request, &run).unwrap().contains("the timeline says 1"));
    }
}
