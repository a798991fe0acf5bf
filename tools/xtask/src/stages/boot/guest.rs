// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The guest's side: its program, its job, its initramfs.

use std::sync::Mutex;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use guest_protocol::{Action, Expect, JOB_PATH, Job, Step};

use super::BootRequest;
use super::initramfs::{Entry, pack};
use super::plan::GuestFile;
use super::program::{self, Program};
use crate::context::Context;

/// The guest program's name.
pub const PROGRAM: &str = "guest-init";

/// What the guest program is built for.
pub const TARGET: &str = "aarch64-unknown-linux-musl";

/// Where the module lies in the guest.
pub const MODULE_PATH: &str = "/cpu_bringup.ko";
/// The module's name in /proc/modules.
pub const MODULE_NAME: &str = "cpu_bringup";
/// Where the guest finds the kernel to start by kexec, and its initramfs.
pub const SECOND_IMAGE: &str = "/second-image";
/// See [`SECOND_IMAGE`].
pub const SECOND_INITRD: &str = "/second-initrd";

/// The module's folder in debugfs.
pub const DEBUGFS_DIR: &str = "/sys/kernel/debug/cpu_bringup";

/// What the guest sends after every boot: name for the host, path in the guest.
const FILES: [(&str, &str); 4] = [
    ("cmdline", "/proc/cmdline"),
    ("online", "/sys/devices/system/cpu/online"),
    ("possible", "/sys/devices/system/cpu/possible"),
    ("present", "/sys/devices/system/cpu/present"),
];

/// The job of a boot: the module is loaded, the request's own steps follow, then all that is of
/// interest is read. The kernel log comes last, so that it holds what the other steps caused.
pub fn job(request: &BootRequest) -> Job {
    let mut steps = Vec::new();
    let read = |name: &str, path: String| Action::ReadFile { path, name: name.to_owned() };
    if request.module.is_some() {
        let load = Action::LoadModule { path: MODULE_PATH.to_owned(), parameters: String::new() };
        let expect = if request.module_refuses { Expect::Failure } else { Expect::Success };
        steps.push(Step { action: load, expect });
    }
    steps.extend(request.steps.iter().cloned());
    if request.module.is_some() && !request.module_refuses {
        for name in ["timeline", "summary"] {
            steps.push(read(name, format!("{DEBUGFS_DIR}/{name}")).into());
        }
    }
    steps.extend(FILES.map(|(name, path)| read(name, path.to_owned()).into()));
    steps.push(Action::KernelLog { name: "dmesg".to_owned() }.into());
    Job { steps }
}

/// Builds the guest program, or finds it built, and returns its path. Cargo is asked once: a soak
/// boots a thousand times.
pub fn build(context: &Context) -> Result<Utf8PathBuf> {
    if !context.has_sources() {
        // A tool that was carried to another machine has it beside itself.
        return Ok(context.repo.join(PROGRAM));
    }
    static BUILT: Mutex<Option<Utf8PathBuf>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(path) = built.as_ref() {
        return Ok(path.clone());
    }
    let path = build_program(context, PROGRAM, &[])?;
    *built = Some(path.clone());
    Ok(path)
}

/// Builds the program `name` of this workspace for arm64, with further arguments of cargo.
pub fn build_program(context: &Context, name: &str, arguments: &[&str]) -> Result<Utf8PathBuf> {
    program::build(context, &Program { name, target: TARGET, folder: "guest", arguments })
}

/// A step that runs a program of the guest's and sends its output as `name`.
pub fn run_program(name: &str, words: &[&str]) -> Step {
    let (program, arguments) = words.split_first().unwrap_or((&"/bin/true", &[]));
    Action::Run {
        program: (*program).to_owned(),
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        limit_ms: 300_000,
        name: name.to_owned(),
    }
    .into()
}

/// The job of the second kernel of `request`, which does `steps`, and the files that the first one
/// needs to start it.
pub fn second(
    request: &BootRequest,
    steps: &[Step],
    program: &[u8],
    dir: &Utf8Path,
) -> Result<(Job, Vec<GuestFile>)> {
    let mut second = BootRequest::new(request.label.clone(), request.image.clone(), request.cpus);
    second.module.clone_from(&request.module);
    second.steps = steps.to_vec();
    let job = job(&second);
    let initrd = dir.join("second.cpio");
    fs_err::write(&initrd, initramfs(&second, program, &job)?)?;
    let file = |path: &str, source: Utf8PathBuf| GuestFile {
        path: path.trim_start_matches('/').to_owned(),
        executable: false,
        source,
    };
    let files = vec![file(SECOND_IMAGE, request.image.clone()), file(SECOND_INITRD, initrd)];
    Ok((job, files))
}

/// Packs the initramfs of a boot: what the request has in front, the guest's program and job, the
/// module, further files.
pub fn initramfs(request: &BootRequest, program: &[u8], job: &Job) -> Result<Vec<u8>> {
    let module = request.module.as_ref().map(fs_err::read).transpose()?;
    let further = request.files.iter().map(|file| fs_err::read(&file.source));
    let further = further.collect::<std::io::Result<Vec<_>>>()?;
    let job = serde_json::to_vec(job).context("cannot encode the guest's job")?;
    let inside = |path: &'static str| path.trim_start_matches('/');
    let mut files = vec![
        Entry { path: "init", permissions: 0o755, data: program },
        Entry { path: inside(JOB_PATH), permissions: 0o644, data: &job },
    ];
    if let Some(module) = &module {
        files.push(Entry { path: inside(MODULE_PATH), permissions: 0o644, data: module });
    }
    for (file, data) in request.files.iter().zip(&further) {
        let permissions = if file.executable { 0o755 } else { 0o644 };
        files.push(Entry { path: &file.path, permissions, data });
    }
    let mut archive = request.root.as_ref().map(fs_err::read).transpose()?.unwrap_or_default();
    // The kernel unpacks archives one after the other, each of which begins at a multiple of four.
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(pack(&files).context("cannot pack the initramfs")?);
    Ok(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_loads_acts_and_reads_in_this_order() {
        let mut request = BootRequest::new("patched", "/k/Image", 2);
        request.module = Some("/k/cpu_bringup.ko".into());
        request.steps = vec![Action::Offline { cpu: 1 }.into()];
        let shown: Vec<String> =
            job(&request).steps.iter().map(|step| step.action.to_string()).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        load /cpu_bringup.ko
        take CPU 1 off
        read /sys/kernel/debug/cpu_bringup/timeline
        read /sys/kernel/debug/cpu_bringup/summary
        read /proc/cmdline
        read /sys/devices/system/cpu/online
        read /sys/devices/system/cpu/possible
        read /sys/devices/system/cpu/present
        read the kernel log
        ");
    }
}
