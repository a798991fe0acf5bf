// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Our own command line, from outside: every kind of error has its exit code.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use xshell::cmd;

use super::judge::exit;
use super::{Ending, LIMIT, Runner, tree};
use crate::host;
use crate::process::{self, End};
use crate::stages::boot::accel::{self, AccelRequest};
use crate::stages::build::Built;

/// Wrong usage: the arguments, and a word of the message.
const USAGE: &[(&[&str], &str)] = &[
    (&[], "Usage"),
    (&["frobnicate"], "unrecognized subcommand"),
    (&["build", "--frobnicate"], "unexpected argument"),
    (&["boot", "--cpus", "2"], "--kernel"),
    (&["boot", "--kernel", "patched", "--cpus", "0"], "0 is not in 1..=512"),
    (&["boot", "--kernel", "patched", "--cpus", "513"], "513 is not in 1..=512"),
    (&["boot", "--kernel", "patched", "--cpus", "4", "--topology", "cores=3"], "makes 3 CPUs"),
    (&["boot", "--kernel", "patched", "--cpus", "4", "--topology", "dies=4"], "`dies` is none of"),
    (
        &["boot", "--kernel", "patched", "--cpus", "4", "--window", "0"],
        "nor a number from 1 to 4294967295",
    ),
    (&["boot", "--kernel", "patched", "--cpus", "4", "--parallel", "2"], "possible values: 0, 1"),
    (
        &["boot", "--kernel", "patched", "--cpus", "4", "--icount", "--accel", "kvm"],
        "which KVM cannot",
    ),
    (&["boot", "--kernel", "/nonexistent", "--cpus", "1"], "give a Linux tree or an arm64 Image"),
    (&["boot", "--kernel", "./Cargo.toml", "--cpus", "1"], "is not an arm64 kernel image"),
    (&["build", "--preset", "nonsense"], "there is no preset `nonsense`"),
    (&["build", "--time-limit", "18446744073709551615"], "is not in 1..=525600"),
    (&["collect"], "--timeline"),
    (&["collect", "--dmesg", "/nonexistent"], "--dmesg: "),
    (&["collect", "--dmesg", "Cargo.toml", "--meta", "arm"], "KEY=VAL"),
    (&["report"], "<FILE>"),
    (&["report", "Cargo.toml"], "results: not JSON"),
    (&["ci", "render", "Cargo.toml"], "Cargo.toml: TOML parse error"),
    (&["kvm-lab", "--vcpus", "0"], "0 is not in 1..=512"),
    (&["kvm-lab", "--vcpus", "2", "--kernel", "./Cargo.toml"], "is not an arm64 kernel image"),
    (&["kvm-lab", "--real", "--host-root", "/"], "cannot be used with"),
    (&["series"], "Usage"),
    (&["series", "export", "--from", "/nonexistent"], "give a git work tree"),
    (&["series", "rebase", "--onto", "/nonexistent"], "give a Linux tree"),
    (&["soak", "--boots", "0"], "0 is not in 1.."),
    (&["soak", "--boots", "1", "--arms", "p2"], "possible values: base, p0, p1"),
    (&["--tree", "/nonexistent", "fetch"], "give the folder of a Linux tree"),
    (
        &["boot", "--kernel", "patched", "--cpus", "4", "--firmware", "nonsense"],
        "there is no firmware profile",
    ),
    (&["boot", "--kernel", "patched", "--cpus", "4", "--fault", "cpu=1"], "kind= is missing"),
    (
        &["boot", "--kernel", "patched", "--cpus", "4", "--icount", "--fault", "cpu=1,kind=never"],
        "leave --icount out",
    ),
    (
        &["boot", "--kernel", "patched", "--cpus", "4", "--fault", "cpu=4,kind=never"],
        "there is no CPU 4 among 4",
    ),
    (
        &["boot", "--kernel", "base", "--cpus", "4", "--fault", "cpu=1,kind=panic"],
        "need the patched kernel",
    ),
    (&["faults", "--only", "nonsense"], "no case has `nonsense` in its name"),
    (&["bench", "--arms", "p0,p2", "--cpus", "4", "--runs", "1"], "`p2` is none of"),
    (&["bench", "--arms", "p0,p0", "--cpus", "4", "--runs", "1"], "p0 is given twice"),
    (
        &["bench", "--arms", "p0", "--cpus", "4", "--runs", "1", "--topologies", "cores=8"],
        "a number that --cpus does not list",
    ),
    (
        &["bench", "--arms", "p0", "--cpus", "4", "--runs", "1", "--resume", "/nonexistent"],
        "--resume: ",
    ),
    (
        &["bench", "--arms", "p0", "--cpus", "4", "--runs", "1", "--kvm-lab", "--icount"],
        "cannot be used with",
    ),
    (
        &["bench", "--arms", "p0", "--cpus", "4", "--runs", "1", "--host-root", "/"],
        "--host-root needs --kvm-lab",
    ),
    (
        &["bench", "--arms", "p0", "--cpus", "4", "--runs", "1", "--firmware", "nonsense"],
        "there is no firmware profile",
    ),
    (&["compare", "/nonexistent", "/nonexistent"], "/nonexistent"),
];

/// Runs the cases that need no kernel.
pub fn run(runner: &mut Runner<'_>) {
    for &(arguments, word) in USAGE {
        let name = match arguments {
            [] => "no verb exits with 2".to_owned(),
            arguments => format!("`{}` exits with 2", arguments.join(" ")),
        };
        command(runner, &name, arguments, (2, &[word]));
    }

    runner.case("an argument that is not UTF-8 exits with 2", "", |runner| {
        let mut command = ours(runner, &["report"])?;
        command.arg(OsStr::from_bytes(b"\xff"));
        let (code, text) = runner.output("not-utf-8", command)?;
        Ok(Ending::of(exit(code, &text, 2, &["is not UTF-8"])))
    });
    let list = ["firmware", "list"];
    let name = "a standard output that is full exits with 1";
    runner.case(name, &format!("{} > /dev/full", shown(&list)), |runner| {
        let output = fs_err::OpenOptions::new().write(true).open("/dev/full")?;
        let ended = ours(runner, &list)?.stdout(output.into_file()).output()?;
        let text = String::from_utf8_lossy(&ended.stderr);
        Ok(Ending::of(exit(
            ended.status.code(),
            &text,
            1,
            &["cannot write to the standard output"],
        )))
    });
    let name = "a standard output that nobody reads is no error";
    runner.case(name, &format!("{} | true", shown(&list)), |runner| {
        let mut child = ours(runner, &list)?.stdout(Stdio::piped()).spawn()?;
        drop(child.stdout.take());
        Ok(Ending::of(exit(child.wait()?.code(), "", 0, &[])))
    });

    let forced = ["boot", "--kernel", "patched", "--cpus", "1", "--accel", "kvm"];
    let name = "forced KVM where there is none exits with 3";
    runner.case(name, &shown(&forced), |runner| {
        if accel::choose(AccelRequest::Kvm, false, &accel::Host::probe()).is_ok() {
            return Ok(Ending::Skipped("this host has KVM".to_owned()));
        }
        let (code, text) = runner.output(name, ours(runner, &forced)?)?;
        Ok(Ending::of(exit(code, &text, 3, &["--accel kvm: "])))
    });

    let real = ["kvm-lab", "--real", "--vcpus", "4", "--pcpus", "1"];
    let name = "the lab on a real host without KVM exits with 3";
    runner.case(name, &shown(&real), |runner| {
        if accel::Host::probe().kvm_obstacle().is_none() {
            return Ok(Ending::Skipped("this host has KVM".to_owned()));
        }
        let (code, text) = runner.output(name, ours(runner, &real)?)?;
        Ok(Ending::of(exit(code, &text, 3, &["skipped: needs an arm64 host with KVM: "])))
    });

    with_tree(runner, "a tree that no patch fits exits with 1", "apply --kernel patched", |_| {
        Ok(Ok(Vec::new()))
    });
    let verb = "build --kernel pristine --preset guest-minimal";
    with_tree(runner, "a lost Kconfig line exits with 1", verb, |runner| {
        // Our bindgen lies in the usual cache, not in the one of this case.
        Ok(match host::toolchain(runner.context) {
            Ok(toolchain) => Ok(toolchain.make_variables),
            Err(_) => Err("needs what `cargo xtask setup` installs".to_owned()),
        })
    });
}

/// Runs `verb` with a stand-in for a Linux tree and a cache of its own. `variables` gives make
/// variables, or the reason why the case cannot be run.
fn with_tree(
    runner: &mut Runner<'_>,
    name: &str,
    verb: &str,
    variables: impl FnOnce(&Runner<'_>) -> Result<Result<Vec<(String, String)>, String>>,
) {
    let reproduce = format!("cargo xtask --tree A_TREE_OF_ANOTHER_KERNEL {verb}");
    let words: &[&str] = match verb.starts_with("apply") {
        true => &["0001-", ".patch"],
        false => &["the configuration lacks what was asked for", "CONFIG_SMP=y came out as n"],
    };
    runner.case(name, &reproduce, |runner| {
        let variables = match variables(runner)? {
            Ok(variables) => variables,
            Err(reason) => return Ok(Ending::Skipped(reason)),
        };
        let scratch = runner.scratch()?;
        let dir = Utf8Path::from_path(scratch.path()).context("a folder that is not UTF-8")?;
        let (linux, cache) = (dir.join("linux"), dir.join("cache"));
        tree::make(&linux)?;
        let mut arguments = vec!["--tree", linux.as_str(), "--cache", cache.as_str()];
        arguments.extend(verb.split(' '));
        let variables: Vec<String> =
            variables.iter().map(|(key, value)| format!("{key}={value}")).collect();
        arguments.extend(variables.iter().map(String::as_str));
        let (code, text) = runner.output(name, ours(runner, &arguments)?)?;
        Ok(Ending::of(exit(code, &text, 1, words)))
    });
}

/// Runs the cases that boot the kernel `built`.
pub fn run_with_kernel(runner: &mut Runner<'_>, built: Option<&Built>) {
    let Some(built) = built else {
        runner.case("the exit codes of boot", "cargo xtask build", |_| {
            Ok(Ending::Skipped("the kernel was not built".to_owned()))
        });
        return;
    };
    let module = built.module.clone().unwrap_or_default();
    let steps = runner.folder.join("sleep.steps.json");
    let json = runner.folder.join("boot.json");
    let boot = |further: &[&str]| {
        let kernel = ["boot", "--kernel", built.image.as_str(), "--cpus", "2", "--accel", "tcg"];
        kernel.iter().chain(further).map(|&word| word.to_owned()).collect::<Vec<_>>()
    };
    // One of an earlier run would do as well.
    let _ = std::fs::remove_file(&json);
    let written = fs_err::write(&steps, r#"[{"do": "sleep", "milliseconds": 600000}]"#);
    let cases: [(&str, Vec<String>, i32, &[&str]); 6] = [
        (
            "a boot exits with 0",
            boot(&["--module", module.as_str(), "--json", json.as_str()]),
            0,
            &["total by the timeline", "CPUs online 0-1"],
        ),
        (
            "a time limit exits with 124",
            boot(&["--limit", "4", "--steps", steps.as_str()]),
            124,
            &["hang: no end within 4s"],
        ),
        (
            "a panic exits with 1",
            boot(&["--append", "rdinit=/nonexistent"]),
            1,
            &["panic: line ", "Kernel panic - not syncing", "the console's last lines:"],
        ),
        ("QEMU that ends at once exits with 1", boot(&["--memory", "99999999999"]), 1, &["qemu: "]),
        (
            "a guest that cannot report exits with 1",
            boot(&["--append", "initcall_blacklist=virtio_console_init"]),
            1,
            &["never-reported: ", "the console's last lines:"],
        ),
        (
            "steps that are not there exit with 2",
            boot(&["--append", "maxcpus=1", "--steps", "/nonexistent"]),
            2,
            &["--steps: "],
        ),
    ];
    if let Err(error) = written {
        eprintln!("{error}");
    }
    for (name, arguments, code, words) in cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        command(runner, name, &arguments, (code, words));
    }
    let name = "ten boots at once do not collide";
    let one = boot(&["--module", module.as_str(), "--limit", "300"]);
    let one: Vec<&str> = one.iter().map(String::as_str).collect();
    runner.case(name, &shown(&one), |runner| {
        let commands = (0..10).map(|_| ours(runner, &one)).collect::<Result<Vec<_>>>()?;
        let logs = runner.folder.join("logs");
        let ends = std::thread::scope(|scope| {
            let boots: Vec<_> = (commands.into_iter().enumerate())
                .map(|(number, command)| {
                    let log = logs.join(format!("ten-at-once-{number}.log"));
                    let go_on = |_| process::Verdict::Continue;
                    scope.spawn(move || process::run_logged(command, &log, LIMIT, go_on))
                })
                .collect();
            boots.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        let good = |end: &std::thread::Result<Result<End>>| matches!(end, Ok(Ok(End::Exited(status))) if status.success());
        Ok(match ends.iter().filter(|end| !good(end)).count() {
            0 => Ending::Passed,
            bad => Ending::failed(format!("{bad} of ten failed; see {logs}/ten-at-once-*.log")),
        })
    });
    let name = "the results of a boot are whole";
    runner.case(name, &shown(&["boot", "--kernel", "patched", "--cpus", "2"]), |_| {
        let results = bringup_model::results::Results::from_json(&fs_err::read_to_string(&json)?)?;
        let whole = matches!(results.runs.as_slice(), [run] if run.ok && run.bringup_ns.is_some());
        Ok(match whole {
            true => Ending::Passed,
            false => Ending::failed(format!("{json} is not about one good run with a timeline")),
        })
    });
}

/// Runs `arguments` of ours and expects that exit code and those words.
pub fn command(
    runner: &mut Runner<'_>,
    name: &str,
    arguments: &[&str],
    (code, words): (i32, &[&str]),
) {
    runner.case(name, &shown(arguments), |runner| {
        let (found, text) = runner.output(name, ours(runner, arguments)?)?;
        Ok(Ending::of(exit(found, &text, code, words)))
    });
}

/// Our own program with `arguments`, in the same cache.
pub fn ours(runner: &Runner<'_>, arguments: &[&str]) -> Result<Command> {
    // Not by its name: cargo may have built another one meanwhile.
    let program = format!("/proc/{}/exe", std::process::id());
    let mut command = Command::from(cmd!(runner.context.sh, "{program} {arguments...}"));
    command.env("BRINGUP_CACHE", runner.context.cache.as_str());
    command.current_dir(&runner.context.repo);
    Ok(command)
}

/// A command line of ours as one would type it.
pub fn shown(arguments: &[&str]) -> String {
    let words = ["cargo", "xtask"].into_iter().chain(arguments.iter().copied());
    // None of ours holds the NUL that cannot be quoted.
    shlex::try_join(words).unwrap_or_default()
}
