// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The regression matrix: everything else that starts CPUs or depends on how they start, in every
//! configuration that changes it. Two hours on two cores, most of it for building kernels, so it is
//! apart from the other tests: `cargo xtask test --long`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bringup_model::console;
use camino::{Utf8Path, Utf8PathBuf};
use guest_protocol::{Action, Expect, Job, Step};
use xshell::cmd;

use super::boots::require_online;
use super::judge::{self, Judgement};
use super::{Ending, Runner};
use crate::host;
use crate::process::{self, End};
use crate::stages::boot::accel::AccelRequest;
use crate::stages::boot::guest::{self, DEBUGFS_DIR, MODULE_NAME, MODULE_PATH, run_program};
use crate::stages::boot::plan::{GuestFile, Jitter};
use crate::stages::boot::{self, BootOutcome, BootRequest, kexec};
use crate::stages::build::{self, Built};
use crate::stages::lab::userland;
use crate::stages::{self, Kernel, collect};

/// Kernels with checks at run time are up to twenty times as slow.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Where Debian, Ubuntu, Fedora and Arch keep EDK2 for arm64.
const EDK2: [&str; 4] = [
    "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
    "/usr/share/edk2/aarch64/QEMU_EFI.fd",
    "/usr/share/AAVMF/AAVMF_CODE.fd",
    "/usr/share/edk2/aarch64/QEMU_CODE.fd",
];

/// The compiler of preset `guest-gcc`.
const GCC: &str = "aarch64-linux-gnu-gcc";

/// A kernel of which no more is asked than to bring its CPUs up, and to take them off and on.
struct Configuration {
    preset: &'static str,
    /// CPUs of the machine, and those that must be online.
    cpus: (u32, &'static str),
    /// Whether CPUs can go.
    hotplug: bool,
    /// Words that must be in the log.
    says: &'static str,
}

const CONFIGURATIONS: [Configuration; 13] = [
    plain("guest-gcc", "GNU ld"),
    Configuration { cpus: (4, "0-1"), ..plain("guest-nr2", "") },
    plain("guest-nr4096", ""),
    plain("guest-16k", ""),
    plain("guest-64k", ""),
    plain("guest-va39", ""),
    plain("guest-va52", ""),
    Configuration { hotplug: false, ..plain("guest-nohotplug", "") },
    plain("guest-rt", "PREEMPT_RT"),
    plain("guest-debug", "RCU lockdep checking is enabled"),
    plain("guest-kasan", "KernelAddressSanitizer initialized"),
    plain("guest-kcsan", "kcsan: "),
    plain("guest-lockdep", ""),
];

const fn plain(preset: &'static str, says: &'static str) -> Configuration {
    Configuration { preset, cpus: (16, "0-15"), hotplug: true, says }
}

/// Runs the matrix.
pub fn run(runner: &mut Runner<'_>) {
    storms(runner);
    selftest(runner);
    features(runner);
    for configuration in &CONFIGURATIONS {
        configured(runner, configuration);
    }
    raspi3b(runner);
}

/// CPUs that go and come back, many times, on the threads of the host.
fn storms(runner: &mut Runner<'_>) {
    let preset = "guest";
    for (parallel, cpus, threads) in
        [(false, 16, false), (true, 16, false), (false, 4, true), (true, 4, true)]
    {
        let how = if threads { "threads of the host" } else { "one thread" };
        let name = format!("storm over {cpus} CPUs with parallel={}, {how}", u8::from(parallel));
        boot(runner, &name, preset, cpus, |request| {
            request.parallel = Some(parallel);
            request.icount = false;
            request.jitter = Some(Jitter { seed: 1, shift: 0, threads, nice: threads });
            request.steps = vec![
                storm(20, cpus, request.module.is_some()),
                require_online(&format!("0-{}", cpus - 1)),
            ];
        });
    }
}

/// `rounds` rounds over all CPUs but the first.
fn storm(rounds: u32, cpus: u32, with_module: bool) -> Step {
    let module = guest_protocol::Module { path: MODULE_PATH.into(), name: MODULE_NAME.into() };
    let files = ["timeline", "summary"].map(|name| format!("{DEBUGFS_DIR}/{name}"));
    Action::Storm {
        rounds,
        cpus: (1..cpus).collect(),
        module: with_module.then_some(module),
        read: if with_module { files.to_vec() } else { Vec::new() },
    }
    .into()
}

/// The kernel's own test of CPU hotplug, from the tree that the kernel was built from.
fn selftest(runner: &mut Runner<'_>) {
    const SCRIPT: &str = "tools/testing/selftests/cpu-hotplug/cpu-on-off-test.sh";
    for parallel in [false, true] {
        let name = format!("selftests/cpu-hotplug with parallel={}", u8::from(parallel));
        with_shell(
            runner,
            &name,
            "guest",
            |request, built| {
                request.parallel = Some(parallel);
                request.files.push(GuestFile {
                    path: "cpu-on-off-test.sh".to_owned(),
                    executable: true,
                    source: built.configured.tree.dir.join(SCRIPT),
                });
                // With `-a` every CPU that can, goes.
                request
                    .steps
                    .push(run_program("selftest", &["/bin/bash", "/cpu-on-off-test.sh", "-a"]));
                request.steps.push(require_online("0-7"));
            },
            |outcome| {
                let said = outcome.files.get("selftest").map(String::as_str);
                judge::says("output of the test", said, "Full scope test: all hotplug cpus")
            },
        );
    }
}

/// What starts and stops CPUs besides.
fn features(runner: &mut Runner<'_>) {
    let preset = "guest-features";
    for parallel in [false, true] {
        let mode = format!("parallel={}", u8::from(parallel));

        with_shell(
            runner,
            &format!("kexec with {mode}"),
            preset,
            |request, _| {
                restart(request, parallel);
            },
            restarted,
        );
        let name = format!("kexec with {mode} while a CPU is off");
        with_shell(
            runner,
            &name,
            preset,
            |request, _| {
                request.steps.push(Action::Offline { cpu: 3 }.into());
                restart(request, parallel);
            },
            restarted,
        );

        let name = format!("hibernation up to pm_test=processors with {mode}");
        boot(runner, &name, preset, 4, |request| {
            // Each of them waits in a loop for five seconds, which icount takes minutes to count.
            (request.parallel, request.icount) = (Some(parallel), false);
            for _ in 0..3 {
                request.steps.extend([
                    Action::Hibernate { test: "processors".to_owned() }.into(),
                    require_online("0-3"),
                ]);
            }
        });

        let name = format!("a KVM host with {mode}");
        judged(
            runner,
            &name,
            preset,
            8,
            |request| {
                (request.parallel, request.hypervisor) = (Some(parallel), true);
                request.steps = vec![storm(2, 8, true), require_online("0-7")];
            },
            |outcome| {
                let log = outcome.files.get("dmesg").map(String::as_str);
                judge::says("kernel log", log, "CPU: All CPU(s) started at EL2")?;
                judge::says("kernel log", log, "mode initialized successfully")
            },
        );

        let name = format!("ACPI under EDK2 with {mode}");
        let Some(bios) = EDK2.iter().find(|file| Utf8Path::new(file).is_file()) else {
            runner.case(&name, "", |_| {
                Ok(Ending::Skipped("needs EDK2 for arm64 (package qemu-efi-aarch64)".to_owned()))
            });
            continue;
        };
        judged(
            runner,
            &name,
            preset,
            8,
            |request| {
                (request.parallel, request.icount) = (Some(parallel), false);
                request.bios = Some(Utf8PathBuf::from(*bios));
                // EDK2 itself takes some 100 MiB.
                request.memory_mib = Some(1024);
                request.steps = vec![storm(2, 8, true), require_online("0-7")];
            },
            |outcome| {
                let log = outcome.files.get("dmesg").map(String::as_str);
                judge::says("kernel log", log, "efi: EFI v")?;
                judge::says("kernel log", log, "ACPI: Using GIC for interrupt routing")
            },
        );
    }
    let name = "suspend to RAM up to pm_test=processors";
    runner.case(name, "", |_| {
        let needs = "needs firmware with PSCI SYSTEM_SUSPEND, which QEMU does not have; \
                     hibernation goes the same way";
        Ok(Ending::Skipped(needs.to_owned()))
    });
}

/// Starts the same kernel again, which must bring all CPUs up. After CPUs that have failed,
/// `cargo xtask faults` does this.
fn restart(request: &mut BootRequest, parallel: bool) {
    request.parallel = Some(parallel);
    let root = request.root.clone().unwrap_or_default();
    let steps = vec![
        Action::Offline { cpu: 1 }.into(),
        Action::Online { cpu: 1 }.into(),
        require_online("0-7"),
    ];
    kexec::add(request, root, Expect::Success, steps);
}

/// The first kernel must have done what it was told before it started the second one, and both must
/// have said that they brought all CPUs up.
fn restarted(outcome: &BootOutcome) -> Judgement {
    let Some(first) = &outcome.first else {
        return Err("no second kernel has taken over".to_owned());
    };
    if let Some(step) = first.steps.iter().find(|step| !step.ok) {
        return Err(format!("the first kernel: {}: {}", step.action, step.detail));
    }
    let up = "Brought up 1 node, 8 CPUs";
    match outcome.console.matches(up).count() {
        2 => Ok(()),
        count => Err(format!("the console says {count} times instead of twice `{up}`")),
    }
}

/// A boot with bash, busybox and kexec at hand.
fn with_shell(
    runner: &mut Runner<'_>,
    name: &str,
    preset: &str,
    change: impl FnOnce(&mut BootRequest, &Built),
    judge: impl FnOnce(&BootOutcome) -> Judgement,
) {
    runner.timed(name, &again(name), |runner| {
        let root = match userland::shell(runner.context) {
            Ok(root) => root,
            Err(error) => {
                let needs = format!("needs bash, busybox and kexec for arm64: {error:#}");
                return Ok(Ending::Skipped(needs));
            }
        };
        let built = stages::prepare(runner.context, &Kernel::Patched, preset, build::LIMIT)?;
        let mut request = request(&built, 8);
        request.root = Some(root);
        request.icount = false;
        request.memory_mib = Some(1024);
        // Scripts look for their tools in /bin.
        request.steps = vec![run_program("install", &["/bin/busybox", "--install", "-s", "/bin"])];
        change(&mut request, &built);
        finish(runner, &request, judge)
    });
}

/// One of [`CONFIGURATIONS`].
fn configured(runner: &mut Runner<'_>, configuration: &Configuration) {
    let Configuration { preset, cpus: (cpus, online), hotplug, says } = configuration;
    for parallel in [false, true] {
        let name = format!("{preset}: {cpus} CPUs with parallel={}", u8::from(parallel));
        if *preset == "guest-gcc" && !host::has(GCC) {
            let needs = format!("needs {GCC} (package gcc-aarch64-linux-gnu)");
            runner.case(&name, "", |_| Ok(Ending::Skipped(needs)));
            continue;
        }
        judged(
            runner,
            &name,
            preset,
            *cpus,
            |request| {
                request.parallel = Some(parallel);
                // Races show where CPUs really run side by side.
                request.icount = false;
                request.steps.push(require_online(online));
                if *hotplug {
                    let last = if online.ends_with("-1") { 2 } else { *cpus };
                    request.steps.push(storm(2, last, request.module.is_some()));
                    request.steps.push(require_online(online));
                }
            },
            |outcome| match says {
                &"" => Ok(()),
                says => {
                    judge::says("kernel log", outcome.files.get("dmesg").map(String::as_str), says)
                }
            },
        );
    }
}

fn boot(
    runner: &mut Runner<'_>,
    name: &str,
    preset: &str,
    cpus: u32,
    change: impl FnOnce(&mut BootRequest),
) {
    judged(runner, name, preset, cpus, change, |_| Ok(()));
}

/// A case that builds and boots the patched kernel with `preset`.
fn judged(
    runner: &mut Runner<'_>,
    name: &str,
    preset: &str,
    cpus: u32,
    change: impl FnOnce(&mut BootRequest),
    judge: impl FnOnce(&BootOutcome) -> Judgement,
) {
    runner.timed(name, &again(name), |runner| {
        let built = stages::prepare(runner.context, &Kernel::Patched, preset, build::LIMIT)?;
        let mut request = request(&built, cpus);
        change(&mut request);
        finish(runner, &request, judge)
    });
}

fn request(built: &Built, cpus: u32) -> BootRequest {
    let mut request = BootRequest::new("patched", built.image.clone(), cpus);
    request.module.clone_from(&built.module);
    (request.icount, request.accel, request.quiet) = (true, AccelRequest::Tcg, true);
    // Checks at run time need memory of their own, KASAN an eighth of it all.
    request.memory_mib = Some(1024);
    request.limit = Some(LIMIT);
    request
}

fn finish(
    runner: &Runner<'_>,
    request: &BootRequest,
    judge: impl FnOnce(&BootOutcome) -> Judgement,
) -> Result<Ending> {
    let outcome = boot::run(runner.context, request)?;
    let run = collect::run(request, &outcome);
    let judgement = judge::healthy(&run).and_then(|()| judge(&outcome));
    Ok(Ending::of(judgement.map_err(|cause| match &outcome.folder {
        Some(folder) => format!("{cause}\nfiles kept from this boot: {folder}"),
        None => cause,
    })))
}

fn again(name: &str) -> String {
    format!("cargo xtask test --long --only '{name}'")
}

/// CPUs that wait at a spin-table. That machine has no channel for reports, so the console is all
/// there is to go by, up to the first word of the guest program.
fn raspi3b(runner: &mut Runner<'_>) {
    const PRESET: &str = "guest-raspi3b";
    const DEVICE_TREE: &str = "broadcom/bcm2837-rpi-3-b.dtb";
    for parallel in [false, true] {
        let name = format!("spin-table of raspi3b with parallel={}", u8::from(parallel));
        runner.timed(&name, &again(&name), |runner| {
            let context = runner.context;
            let built = stages::prepare(context, &Kernel::Patched, PRESET, build::LIMIT)?;
            let configured = &built.configured;
            let mut make = configured.kbuild(context)?.make(&configured.tree, &configured.objects);
            make.arg(DEVICE_TREE);
            let (code, text) = runner.output(&format!("{name} device tree"), make)?;
            if code != Some(0) {
                return Ok(Ending::failed(text));
            }
            let device_tree = configured.objects.join("arch/arm64/boot/dts").join(DEVICE_TREE);
            let scratch = runner.scratch()?;
            let dir = Utf8Path::from_path(scratch.path()).context("a folder that is not UTF-8")?;
            let initrd = dir.join("initrd.cpio");
            let program = fs_err::read(guest::build(context)?)?;
            let request = BootRequest::new("patched", built.image.clone(), 4);
            fs_err::write(&initrd, guest::initramfs(&request, &program, &Job::default())?)?;
            let console_file =
                runner.folder.join("logs").join(format!("raspi3b-{}.console", u8::from(parallel)));
            let append = format!(
                "console=ttyAMA0 panic=-1 oops=panic cpuhp.parallel={}",
                u8::from(parallel)
            );
            let image = &built.image;
            // Its first serial port is the PL011.
            let machine =
                ["-machine", "raspi3b", "-display", "none", "-no-reboot", "-monitor", "none"];
            let qemu = cmd!(
                context.sh,
                "qemu-system-aarch64 {machine...} -serial file:{console_file} -kernel {image}
                 -dtb {device_tree} -initrd {initrd} -append {append}"
            );
            let log = dir.join("qemu.log");
            let end = process::run_logged(qemu.into(), &log, Duration::from_secs(180), |_| {
                let text = fs_err::read(&console_file).unwrap_or_default();
                match String::from_utf8_lossy(&text).contains("guest: ") {
                    true => process::Verdict::Stop,
                    false => process::Verdict::Continue,
                }
            })?;
            let text = String::from_utf8_lossy(&fs_err::read(&console_file).unwrap_or_default())
                .into_owned();
            Ok(Ending::of(spin_table(end, &text).map_err(|cause| {
                let qemu = fs_err::read_to_string(&log).unwrap_or_default();
                format!(
                    "{cause}\n{}\n{qemu}the console is {console_file}",
                    console::tail(&text, 15).join("\n")
                )
            })))
        });
    }
}

/// What the console of such a boot must say.
fn spin_table(end: End, text: &str) -> Judgement {
    if let Some(finding) = console::classify(text) {
        return Err(format!("line {}: {}", finding.line, finding.text));
    }
    if end != End::Stopped {
        return Err("the guest program has not reported anything".to_owned());
    }
    judge::says("console", Some(text), "Brought up 1 node, 4 CPUs")?;
    judge::says("console", Some(text), "CPU: All CPU(s) started at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spin_table_boot_is_judged_by_its_console() {
        let good = "smp: Brought up 1 node, 4 CPUs\nCPU: All CPU(s) started at EL2\nguest: x\n";
        spin_table(End::Stopped, good).unwrap();
        spin_table(End::TimedOut, good).unwrap_err();
        spin_table(End::Stopped, &good.replace("4 CPUs", "3 CPUs")).unwrap_err();
        spin_table(End::Stopped, &format!("{good}Kernel panic - not syncing: x\n")).unwrap_err();
    }
}
