// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! PID 1 of the guest: mounts what it needs, carries out the host's job, reports, powers off.
//!
//! Whatever goes wrong becomes a report and a line on the console; the guest powers off in any case,
//! since a PID 1 that ends would be a kernel panic and one that waits a hang.

mod actions;
mod kernel_log;
mod program;
mod report;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use guest_protocol::{Expect, JOB_PATH, Job, MODULES_PATH, Report, VERSION};
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};

use report::{Reporter, say};

fn main() {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => say("done"),
        Ok(Err(error)) => say(&format!("error: {error:#}")),
        // The panic hook has put the message on the console.
        Err(_) => say("error: the guest program panicked"),
    }
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        say(&format!("error: cannot power off: {error}"));
    }
    // Power off does not come back; should it, the host's time limit must tell, not a panic.
    loop {
        std::thread::park();
    }
}

fn run() -> Result<()> {
    mount_all()?;
    load_modules()?;
    let mut reporter = Reporter::open()?;
    reporter.send(&Report::Hello { version: VERSION })?;
    let job = match read_job() {
        Ok(job) => job,
        Err(error) => {
            reporter.send(&Report::Failed { detail: format!("{error:#}") })?;
            return Err(error);
        }
    };
    for (index, step) in job.steps.iter().enumerate() {
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| actions::run(&step.action, &mut reporter)))
            .unwrap_or_else(|_| {
                Err(anyhow::anyhow!("the guest program panicked; see the console"))
            });
        let elapsed_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (ok, detail) = match (result, step.expect) {
            (Ok(detail), Expect::Success) => (true, detail),
            (Ok(detail), Expect::Failure) => (false, format!("expected to fail, but: {detail}")),
            (Err(error), Expect::Success) => (false, format!("{error:#}")),
            (Err(error), Expect::Failure) => (true, format!("failed as expected: {error:#}")),
        };
        if !ok {
            say(&format!("step {index} ({}): {detail}", step.action));
        }
        reporter.send(&Report::Step { index, ok, detail, elapsed_ns })?;
    }
    reporter.send(&Report::Done)
}

fn read_job() -> Result<Job> {
    let text = fs_err::read_to_string(JOB_PATH)?;
    serde_json::from_str(&text).with_context(|| format!("{JOB_PATH} is not a job"))
}

/// Loads what is in the folder of modules, if it is there.
fn load_modules() -> Result<()> {
    if !Path::new(MODULES_PATH).is_dir() {
        return Ok(());
    }
    let entries = fs_err::read_dir(MODULES_PATH)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut files: Vec<_> = entries.iter().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().try_for_each(|file| actions::load(&file.to_string_lossy(), "").map(drop))
}

fn mount_all() -> Result<()> {
    for (kind, target, option) in [
        ("devtmpfs", "/dev", "CONFIG_DEVTMPFS"),
        ("proc", "/proc", "CONFIG_PROC_FS"),
        ("sysfs", "/sys", "CONFIG_SYSFS"),
    ] {
        mount(kind, target, kind, MountFlags::empty(), None).with_context(|| {
            format!("cannot mount {kind} on {target}; does the kernel have {option}?")
        })?;
    }
    // A kernel without debugfs can still be booted and its log read.
    let target = "/sys/kernel/debug";
    if let Err(error) = mount("debugfs", target, "debugfs", MountFlags::empty(), None) {
        say(&format!("cannot mount debugfs on {target} ({error}); is CONFIG_DEBUG_FS off?"));
    }
    Ok(())
}
