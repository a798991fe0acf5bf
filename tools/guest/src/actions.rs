// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One function per action of a job. Each returns what it did, for the report.

use std::ffi::CString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use guest_protocol::{Action, Module, Report};
use rustix::mount::{MountFlags, mount};
use rustix::system::{delete_module, finit_module};

use crate::report::Reporter;
use crate::{kernel_log, program};

/// O_NONBLOCK, without which the kernel takes no unload request.
const NONBLOCK: i32 = 0o4000;

/// Carries out `action`.
pub fn run(action: &Action, reporter: &mut Reporter) -> Result<String> {
    match action {
        Action::LoadModule { path, parameters } => load(path, parameters),
        Action::UnloadModule { name } => unload(name),
        Action::ReadFile { path, name } => {
            let data = read(path)?;
            let detail = format!("{} bytes", data.len());
            reporter.send(&Report::File { name: name.clone(), data })?;
            Ok(detail)
        }
        Action::KernelLog { name } => {
            let (data, lost) = kernel_log::read()?;
            let detail = format!("{} bytes, {lost} records lost at the start", data.len());
            reporter.send(&Report::File { name: name.clone(), data })?;
            ensure!(lost == 0, "{detail}: raise log_buf_len");
            Ok(detail)
        }
        Action::RequireContent { path, content } => {
            let found = read(path)?;
            ensure!(found.trim() == content.trim(), "{path} holds `{}`", found.trim());
            Ok(format!("{path} holds `{}`", content.trim()))
        }
        Action::WriteFile { path, content } => {
            write(path, content)?;
            Ok(format!("{} bytes", content.len()))
        }
        Action::Hibernate { test } => {
            write("/sys/power/pm_test", test)?;
            reporter.away(|| write("/sys/power/state", "disk"))?;
            Ok("came back".to_owned())
        }
        Action::Mount { kind, target } => {
            fs_err::create_dir_all(target)?;
            mount(kind.as_str(), target.as_str(), kind.as_str(), MountFlags::empty(), None)
                .with_context(|| format!("cannot mount {kind} on {target}"))?;
            Ok(format!("mounted {kind} on {target}"))
        }
        Action::Run { program, arguments, limit_ms, name } => {
            let (result, data) = program::run(program, arguments, *limit_ms)?;
            reporter.send(&Report::File { name: name.clone(), data })?;
            result
        }
        Action::Offline { cpu } => set_online(*cpu, false),
        Action::Online { cpu } => set_online(*cpu, true),
        Action::Sleep { milliseconds } => {
            std::thread::sleep(Duration::from_millis(*milliseconds));
            Ok(format!("{milliseconds} ms"))
        }
        Action::Storm { rounds, cpus, module, read } => storm(*rounds, cpus, module.as_ref(), read),
    }
}

fn read(path: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&fs_err::read(path)?).into_owned())
}

/// Writes to a file that must exist: a misspelt sysfs name shall not become a file in the initramfs.
fn write(path: &str, content: &str) -> Result<()> {
    use std::io::Write as _;
    fs_err::OpenOptions::new().write(true).open(path)?.write_all(content.as_bytes())?;
    Ok(())
}

/// Loads the module in the file `path`.
pub fn load(path: &str, parameters: &str) -> Result<String> {
    let file = fs_err::File::open(path)?;
    let parameters = CString::new(parameters).context("module parameters hold a NUL")?;
    finit_module(file.file(), &parameters, 0)
        .with_context(|| format!("the kernel refuses {path}; its log says why"))?;
    Ok(format!("loaded {path}"))
}

fn unload(name: &str) -> Result<String> {
    let c_name = CString::new(name).context("module name holds a NUL")?;
    delete_module(&c_name, NONBLOCK).with_context(|| format!("cannot unload {name}"))?;
    Ok(format!("unloaded {name}"))
}

fn is_loaded(name: &str) -> bool {
    // Built-in code has a folder there too, but no initstate.
    Path::new("/sys/module").join(name).join("initstate").exists()
}

fn set_online(cpu: u32, online: bool) -> Result<String> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/online");
    let value = if online { "1" } else { "0" };
    write(&path, value)?;
    let found = read(&path)?;
    ensure!(found.trim() == value, "{path} still holds `{}`", found.trim());
    Ok(format!("CPU {cpu} is {}", if online { "online" } else { "offline" }))
}

/// What the two threads of a storm share.
struct Storm<'a> {
    module: Option<&'a Module>,
    files: &'a [String],
    stop: AtomicBool,
    loads: AtomicU32,
    reads: AtomicU32,
}

impl Storm<'_> {
    /// Loads, reads and unloads until told to stop, `rounds` times at least.
    fn churn(&self, rounds: u32) -> Result<()> {
        for round in 0.. {
            if round >= rounds && self.stop.load(Ordering::Relaxed) {
                break;
            }
            let in_round = || format!("in load {round} of the storm");
            if let Some(module) = self.module {
                load(&module.path, "").with_context(in_round)?;
                self.loads.fetch_add(1, Ordering::Relaxed);
            }
            for file in self.files {
                ensure!(!read(file).with_context(in_round)?.is_empty(), "{file} was empty");
                self.reads.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(module) = self.module {
                unload(&module.name).with_context(in_round)?;
            }
        }
        Ok(())
    }
}

fn storm(rounds: u32, cpus: &[u32], module: Option<&Module>, files: &[String]) -> Result<String> {
    let was_loaded = module.is_some_and(|module| is_loaded(&module.name));
    if let Some(module) = module.filter(|_| was_loaded) {
        unload(&module.name)?;
    }
    let state = Storm { module, files, stop: false.into(), loads: 0.into(), reads: 0.into() };
    let (switched, churned) = std::thread::scope(|scope| {
        let churn = scope.spawn(|| {
            if module.is_none() && files.is_empty() { Ok(()) } else { state.churn(rounds) }
        });
        let switched = switch_all(rounds, cpus);
        state.stop.store(true, Ordering::Relaxed);
        (switched, churn.join())
    });
    let Ok(churned) = churned else { bail!("the loading thread panicked; see the console") };
    // Both causes are told: one may be the other's.
    match (switched, churned) {
        (Ok(()), Ok(())) => {}
        (Err(error), Ok(())) | (Ok(()), Err(error)) => return Err(error),
        (Err(error), Err(other)) => bail!("{error:#}; also {other:#}"),
    }
    if let Some(module) = module.filter(|_| was_loaded) {
        load(&module.path, "")?;
    }
    Ok(format!(
        "{rounds} rounds over {} CPUs, {} module loads, {} reads",
        cpus.len(),
        state.loads.load(Ordering::Relaxed),
        state.reads.load(Ordering::Relaxed)
    ))
}

fn switch_all(rounds: u32, cpus: &[u32]) -> Result<()> {
    for round in 0..rounds {
        for online in [false, true] {
            for &cpu in cpus {
                set_online(cpu, online)
                    .with_context(|| format!("in round {round} of the storm"))?;
            }
        }
    }
    Ok(())
}
