// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs QEMU: a private folder, a process group, a time limit, and what is left of it all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use bringup_model::console;
use camino::{Utf8Path, Utf8PathBuf};
use guest_protocol::{Job, Report, parse_reports};
use interposer_core::trace::Record;
use xshell::cmd;

use super::accel::{self, Accel, Host};
use super::guest;
use super::interposer;
use super::plan::{BootRequest, Interposed, RunFiles, arguments};
use super::skew::Skew;
use super::trace;
use super::verdict::{self, Evidence, Verdict};
use crate::context::Context;
use crate::error::Failure;
use crate::process::{self, End};
use crate::progress::Progress;

const QEMU: &str = "qemu-system-aarch64";

/// QEMU only makes the machine and does not start it.
const DUMP_LIMIT: Duration = Duration::from_secs(60);

/// How long a guest that is being measured is left alone.
const REST: Duration = Duration::from_millis(450);

/// How often the progress line looks into the run's files.
const LOOK: Duration = Duration::from_millis(500);

/// All that a boot yields.
#[derive(Debug, Clone)]
pub struct BootOutcome {
    /// Whether all was done, and if not, why.
    pub verdict: Verdict,
    /// The whole console. Bytes that are not UTF-8 are replaced.
    pub console: String,
    /// What the guest sent: `timeline` and `summary` with a module, `cmdline`, `online`, `possible`,
    /// `present`, `dmesg`, and what further steps asked for.
    pub files: BTreeMap<String, String>,
    /// How the steps of the job ended.
    pub steps: Vec<StepOutcome>,
    /// What the first kernel's guest did and sent, where a second kernel has taken over; all else
    /// is about that one then.
    pub first: Option<First>,
    /// What the interposer did, if there was one.
    pub trace: Vec<Record>,
    /// From QEMU's start to its end.
    pub elapsed: Duration,
    /// Host CPU time of QEMU, in steps of 10 ms; none if it had to be killed.
    pub host_cpu: Option<Duration>,
    /// What it ran on.
    pub accel: Accel,
    /// The first line of `--version`.
    pub qemu_version: String,
    /// The run's folder, if it was kept.
    pub folder: Option<Utf8PathBuf>,
}

/// What there is of a kernel that has started another one by kexec.
#[derive(Debug, Clone)]
pub struct First {
    /// As in [`BootOutcome`].
    pub files: BTreeMap<String, String>,
    /// The steps that have ended.
    pub steps: Vec<StepOutcome>,
}

impl BootOutcome {
    /// What there is of the first kernel, and of the second one if it has taken over.
    pub fn kernels(mut self) -> (Self, Option<Self>) {
        let Some(First { files, steps }) = self.first.take() else { return (self, None) };
        let (before, after) = trace::of_kernels(&self.trace);
        let first =
            Self { verdict: Verdict::Pass, files, steps, trace: before.to_vec(), ..self.clone() };
        let second = Self { trace: after.to_vec(), ..self };
        (first, Some(second))
    }
}

/// How a step of the job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOutcome {
    /// What was to be done.
    pub action: String,
    /// Whether it ended as expected.
    pub ok: bool,
    /// What came of it.
    pub detail: String,
    /// By the guest's clock.
    pub elapsed: Duration,
}

/// Boots `request`. A guest that fails is an outcome; an error means that there was no boot.
pub fn run(context: &Context, request: &BootRequest) -> Result<BootOutcome> {
    run_held(context, request, |_| Ok(()))
}

/// As [`run`]; calls `release` with QEMU's monitor, once it is there, to let a guest go that is to
/// be measured.
pub fn run_held(
    context: &Context,
    request: &BootRequest,
    release: impl FnOnce(&Utf8Path) -> Result<()>,
) -> Result<BootOutcome> {
    request.validate()?;
    check_image(&request.image)?;
    let qemu_version = qemu_version(context)?;
    let (accel, why_not_kvm) = accel::choose(request.accel, request.needs_tcg(), &Host::probe())?;
    if let Some(why) = why_not_kvm.filter(|_| !request.quiet) {
        eprintln!("emulating with TCG: {why}");
    }
    let program = fs_err::read(guest::build(context)?)?;
    let job = guest::job(request);

    let runs = context.repo.join("target/boots");
    fs_err::create_dir_all(&runs)?;
    let folder = tempfile::Builder::new()
        .prefix(&format!("{}-", request.label.replace('/', "_")))
        .tempdir_in(&runs)
        .context("cannot make a folder for the run")?;
    let dir = Utf8PathBuf::try_from(folder.path().to_owned())
        .context("the repository's folder has a name that is not UTF-8")?;
    let [initrd, console_file, report_file, qemu_log, monitor, pid] =
        ["initrd.cpio", "console.log", "reports.jsonl", "qemu.log", "monitor", "pid"]
            .map(|name| dir.join(name));
    let mut packed = request.clone();
    let second = match &request.second {
        None => None,
        Some(steps) => {
            let (job, files) = guest::second(request, steps, &program, &dir)?;
            packed.files.extend(files);
            Some(job)
        }
    };
    fs_err::write(&initrd, guest::initramfs(&packed, &program, &job)?)?;

    let host_cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let host_cores = u32::try_from(host_cores).unwrap_or(u32::MAX);
    let mut files = RunFiles {
        initrd: &initrd,
        console: &console_file,
        report: &report_file,
        monitor: &monitor,
        pid: &pid,
        interposer: None,
    };
    let [tree, trace_file] = ["machine.dtb", "trace.bin"].map(|name| dir.join(name));
    let interposed = if request.needs_interposer() {
        files.interposer = Some(Interposed::DeviceTree(&tree));
        dump_device_tree(context, &arguments(request, accel, host_cores, &files), &qemu_log)?;
        Some(interposer::prepare(context, request, &dir, &fs_err::read(&tree)?)?)
    } else {
        None
    };
    files.interposer = interposed.as_ref().map(|loaded| Interposed::Started {
        loaded,
        hidden_mib: interposer::HIDDEN_MIB,
        trace: &trace_file,
    });
    let arguments = arguments(request, accel, host_cores, &files);
    let qemu_command = shell_command(&arguments)?;
    fs_err::write(dir.join("command"), format!("{qemu_command}\n"))?;
    let limit = request.limit();
    let progress = if request.quiet {
        Progress::hidden()
    } else {
        eprintln!("{qemu_command}");
        Progress::spinner(format!("{}, {} CPUs, {accel}", request.label, request.cpus))
    };
    let last_look = RefCell::new(Duration::ZERO);
    let mut release = request.measured.then_some(release);
    let mut not_released = None;
    let command = Command::from(cmd!(context.sh, "{QEMU} {arguments...}"));
    let start = Instant::now();
    let mut skew = request.jitter.filter(|jitter| jitter.nice).map(|jitter| Skew::new(jitter.seed));
    let (end, host_cpu) = process::run_measured(command, &qemu_log, limit, |elapsed| {
        if let Some(skew) = &mut skew {
            skew.apply(&pid);
        }
        if monitor.exists()
            && let Some(release) = release.take()
            && let Err(error) = release(&monitor)
        {
            not_released = Some(error);
            return process::Verdict::Stop;
        }
        if request.measured && release.is_none() {
            // Each look takes one of the CPUs that the guest is measured on from it.
            std::thread::sleep(REST);
        } else if elapsed - *last_look.borrow() >= LOOK {
            last_look.replace(elapsed);
            progress.note(&where_it_is(&job, &report_file, &console_file));
        }
        process::Verdict::Continue
    })?;
    let elapsed = start.elapsed();
    if let Some(error) = not_released {
        return Err(error.context("cannot let the guest run"));
    }

    let console = read_lossy(&console_file)?;
    let reports = read_lossy(&report_file)?;
    // What counts is what the second kernel comes to, once it has come at all.
    let (first, job, reports) = match (second, verdict::of_second(&reports)) {
        (Some(second), Some((before, rest))) => {
            let (files, steps) = sort(&job, parse_reports(before).unwrap_or_default());
            (Some(First { files, steps }), second, rest)
        }
        _ => (None, job, reports.as_str()),
    };
    let evidence = Evidence {
        job: &job,
        end,
        limit,
        qemu_log: &read_lossy(&qemu_log)?,
        console: &console,
        reports,
    };
    let (mut verdict, reports) = verdict::judge(&evidence);
    let trace = match interposed {
        None => Vec::new(),
        Some(_) => {
            let (records, lines) = trace::read(&fs_err::read(&trace_file).unwrap_or_default());
            fs_err::write(dir.join("trace.jsonl"), lines)?;
            if let Verdict::Fail(failure) = &mut verdict
                && let Some(why) = trace::fatal(&records)
            {
                failure.detail += &format!("; {why}");
            }
            records
        }
    };
    let failed = match &verdict {
        Verdict::Pass => None,
        Verdict::Fail(failure) => Some(failure.kind.to_string()),
    };
    progress.done(failed.as_deref().unwrap_or("ok"));
    let folder = (request.keep || failed.is_some()).then(|| {
        // It stays for whoever wants to look into it or to run the same command again.
        let _ = folder.keep();
        dir
    });
    let (files, steps) = sort(&job, reports);
    Ok(BootOutcome {
        verdict,
        console,
        files,
        steps,
        first,
        trace,
        elapsed,
        host_cpu,
        accel,
        qemu_version,
        folder,
    })
}

fn sort(job: &Job, reports: Vec<Report>) -> (BTreeMap<String, String>, Vec<StepOutcome>) {
    let mut files = BTreeMap::new();
    let mut steps = Vec::new();
    for report in reports {
        match report {
            Report::File { name, data } => {
                files.insert(name, data);
            }
            Report::Step { index, ok, detail, elapsed_ns } => steps.push(StepOutcome {
                action: job
                    .steps
                    .get(index)
                    .map(|step| step.action.to_string())
                    .unwrap_or_default(),
                ok,
                detail,
                elapsed: Duration::from_nanos(elapsed_ns),
            }),
            Report::Hello { .. } | Report::Failed { .. } | Report::Done => {}
        }
    }
    (files, steps)
}

/// QEMU runs whatever it is given, and the guest would only be silent until the time limit.
pub fn check_image(image: &Utf8Path) -> Result<()> {
    let usage = |text: String| Failure::Usage(format!("{text}; give an arm64 Image"));
    let mut start = Vec::new();
    fs_err::File::open(image)
        .and_then(|file| file.take(64).read_to_end(&mut start))
        .map_err(|error| usage(error.to_string()))?;
    if !is_bootable(&start) {
        return Err(usage(format!("{image} is not an arm64 kernel image")).into());
    }
    Ok(())
}

/// Whether a file that begins so is an arm64 Image (Documentation/arch/arm64/booting.rst), an EFI
/// zboot image, or a gzip file, which QEMU unpacks.
fn is_bootable(start: &[u8]) -> bool {
    start.get(56..60) == Some(b"ARM\x64".as_slice())
        || (start.starts_with(b"MZ") && start.get(4..8) == Some(b"zimg".as_slice()))
        || start.starts_with(&[0x1f, 0x8b])
}

/// Lets QEMU write the device tree of the machine into the file that `arguments` names.
fn dump_device_tree(context: &Context, arguments: &[String], log: &Utf8Path) -> Result<()> {
    let command = Command::from(cmd!(context.sh, "{QEMU} {arguments...}"));
    match process::run_logged(command, log, DUMP_LIMIT, |_| process::Verdict::Continue)? {
        End::Exited(status) if status.success() => Ok(()),
        End::TimedOut => {
            Err(Failure::TimeLimit("QEMU did not write its device tree".to_owned()).into())
        }
        _ => Err(anyhow!("QEMU did not write its device tree: {}", read_lossy(log)?.trim_end())),
    }
}

/// QEMU's version, or what is to be done to have one.
fn qemu_version(context: &Context) -> Result<String> {
    let output = Command::from(cmd!(context.sh, "{QEMU} --version")).output().map_err(|error| {
        Failure::Host(format!(
            "{QEMU} cannot be started: {error}; run: cargo xtask setup (package qemu-system-arm)"
        ))
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The command as one would type it.
fn shell_command(arguments: &[String]) -> Result<String> {
    shlex::try_join(std::iter::once(QEMU).chain(arguments.iter().map(String::as_str)))
        .map_err(|error| anyhow!("QEMU's command line cannot be quoted: {error}"))
}

/// A file that QEMU may not have come to create.
fn read_lossy(path: &Utf8Path) -> Result<String> {
    match fs_err::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// For the progress line: the step once the guest reports, the console's last line before.
fn where_it_is(job: &Job, reports: &Utf8Path, console_file: &Utf8Path) -> String {
    let text = read_lossy(reports).unwrap_or_default();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    match parse_reports(complete) {
        Ok(reports) if !reports.is_empty() => verdict::progress(job, &reports),
        _ => {
            let console = read_lossy(console_file).unwrap_or_default();
            console::tail(&console, 1).concat().chars().take(72).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_images_are_told_from_other_files() {
        let mut image = vec![0; 64];
        assert!(!is_bootable(&image));
        image[56..60].copy_from_slice(b"ARM\x64");
        assert!(is_bootable(&image));
        assert!(is_bootable(b"MZ\0\0zimg"));
        assert!(is_bootable(&[0x1f, 0x8b, 8]));
        assert!(!is_bootable(b"\x7fELF"));
        assert!(!is_bootable(b""));
    }

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        let arguments = ["-append", "a b='c'", "-kernel", "/x y/Image"].map(str::to_owned);
        let shown = shell_command(&arguments).unwrap();
        assert_eq!(shown, r#"qemu-system-aarch64 -append "a b='c'" -kernel '/x y/Image'"#);
    }
}
