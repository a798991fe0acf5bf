// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Installing what is missing: first a plan (pure), then, told to the user, its steps.

use std::io::IsTerminal as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use super::requirement::{BINDGEN, Supply};
use super::system::System;
use super::{Finding, Host, lacks, llvm};
use crate::context::Context;
use crate::error::Failure;
use crate::process::{self, End};
use crate::progress::Progress;

/// It took three minutes on two busy cores.
const BINDGEN_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What is to be installed, each with the requirements that ask for it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// The system's packages.
    packages: Vec<(String, String)>,
    /// Components of the Rust toolchain.
    components: Vec<(String, String)>,
    /// Targets of the Rust toolchain.
    targets: Vec<(String, String)>,
    /// Why bindgen is to be installed, if it is.
    bindgen: Option<String>,
    /// What we cannot install: name, reason and mend.
    by_hand: Vec<String>,
}

/// Plans the installation of what `findings` lack. `known` are the names of the LLVM packages that
/// the package manager has.
fn plan(host: &Host<'_>, findings: &[Finding], known: &[String]) -> Plan {
    let mut plan = Plan::default();
    let apt = host.distribution.uses_apt();
    let add = |list: &mut Vec<(String, String)>, name: &str, why: &str| {
        if !list.iter().any(|(listed, _)| listed == name) {
            list.push((name.to_owned(), why.to_owned()));
        }
    };
    for finding in findings.iter().filter(|finding| finding.is_missing()) {
        let check = &finding.check;
        match &finding.requirement.supply {
            Supply::Packages(names) if apt => {
                for name in *names {
                    add(&mut plan.packages, name, check.need);
                }
            }
            Supply::LlvmPackage(part) if apt && host.setting("LLVM").is_none() => {
                let present = host.llvm.number(host.system);
                let number = llvm::release_to_install(present, known, &host.llvm_minimum());
                // A release is used as a whole: what one part has in another release is no help.
                if Some(number) == present {
                    add(&mut plan.packages, &llvm::package(part, number), check.need);
                } else {
                    for part in ["clang", "lld", "llvm", "libclang-dev"] {
                        add(&mut plan.packages, &llvm::package(part, number), check.need);
                    }
                }
            }
            Supply::RustComponent(name) if host.rustup => {
                add(&mut plan.components, name, check.need);
            }
            Supply::RustTarget(name) if host.rustup => add(&mut plan.targets, name, check.need),
            Supply::Bindgen if host.setting("BINDGEN").is_none() => {
                plan.bindgen = Some(check.need.to_owned());
            }
            _ => {
                let mend = check.mend.as_deref().unwrap_or_default();
                plan.by_hand.push(format!("{} ({}): {mend}", check.name, check.need));
            }
        }
    }
    plan
}

impl Plan {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is going to happen, for the user to read before it does.
    fn describe(&self, host: &Host<'_>) -> String {
        let mut text = String::new();
        let mut section = |title: String, list: &[(String, String)]| {
            if !list.is_empty() {
                text.push_str(&title);
                text.push('\n');
                for (name, why) in list {
                    text.push_str(&format!("  {name:<28} {why}\n"));
                }
            }
        };
        section(format!("Packages of {}, by apt-get:", host.distribution.name), &self.packages);
        section("Components of the Rust toolchain, by rustup:".to_owned(), &self.components);
        section("Targets of the Rust toolchain, by rustup:".to_owned(), &self.targets);
        let bindgen =
            self.bindgen.iter().map(|why| (format!("bindgen-cli {BINDGEN}"), why.clone()));
        let bindgen: Vec<_> = bindgen.collect();
        section(format!("By cargo, into {}:", host.bindgen_root()), &bindgen);
        if !self.by_hand.is_empty() {
            text.push_str("For you to install:\n");
            for line in &self.by_hand {
                text.push_str(&format!("  {line}\n"));
            }
        }
        text
    }

    fn install_command(&self) -> Vec<String> {
        let words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y"];
        // Recommended packages would be a desktop's worth of libraries for QEMU.
        let options = ["--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"];
        let names = self.packages.iter().map(|(name, _)| name.as_str());
        words.into_iter().chain(options).chain(names).map(str::to_owned).collect()
    }
}

const UPDATE: [&str; 4] = ["apt-get", "update", "-o", "DPkg::Lock::Timeout=120"];

/// How commands that need root are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Privilege {
    Root,
    Sudo,
    None,
}

impl Privilege {
    fn of(system: &dyn System, is_root: bool, terminal: bool) -> Self {
        if is_root {
            Self::Root
        } else if system.find("sudo").is_some()
            // Where sudo would ask for a password, somebody must be there to type it.
            && (terminal || system.output("sudo", &["-n", "true"]).is_some())
        {
            Self::Sudo
        } else {
            Self::None
        }
    }

    fn words(self, command: &[String]) -> Vec<String> {
        let sudo = (self == Self::Sudo).then(|| "sudo".to_owned());
        sudo.into_iter().chain(command.iter().cloned()).collect()
    }
}

/// Installs what is missing, or with `dry_run` only lists it.
pub(super) fn run(host: &Host<'_>, context: &Context, dry_run: bool) -> Result<()> {
    let findings = host.findings();
    let Some(failure) = lacks(&findings) else {
        if dry_run {
            say!("nothing is missing");
        }
        return Ok(());
    };

    let is_root = rustix::process::geteuid().is_root();
    let privilege = Privilege::of(host.system, is_root, std::io::stdin().is_terminal());
    let mut known = known_llvm_packages(host);
    let mut plan = plan_with(host, &findings, &known);
    let must_update = known.is_empty() && host.distribution.uses_apt();
    if dry_run {
        put!("{}", plan.describe(host));
        if !plan.packages.is_empty() && must_update {
            say!("(after `apt-get update`, other releases of LLVM may be available)");
        }
        return Ok(());
    }
    if !host.distribution.uses_apt() && !plan.by_hand.is_empty() {
        return Err(failure.into());
    }

    if !plan.packages.is_empty() {
        let update = UPDATE.map(str::to_owned);
        if privilege == Privilege::None {
            put!("{}", plan.describe(host));
            return Err(Failure::Host(format!(
                "packages are missing, and installing them takes root or a usable sudo; \
                 as root run:\n  {} && {}",
                UPDATE.join(" "),
                plan.install_command().join(" ")
            ))
            .into());
        }
        let mut updated = false;
        if must_update || !all_known(host, &plan) {
            execute(&privilege.words(&update))?;
            updated = true;
            known = known_llvm_packages(host);
            plan = plan_with(host, &findings, &known);
        }
        put!("{}", plan.describe(host));
        let install = privilege.words(&plan.install_command());
        if let Err(error) = execute(&install) {
            // Old lists name packages that the mirror has replaced since.
            if updated {
                return Err(error);
            }
            eprintln!("{error:#}; trying again with fresh package lists");
            execute(&privilege.words(&update))?;
            execute(&install)?;
        }
    } else {
        put!("{}", plan.describe(host));
    }

    let rustup = |verb: [&str; 2], list: &[(String, String)]| {
        if list.is_empty() {
            return Ok(());
        }
        let names = list.iter().map(|(name, _)| name.as_str());
        let words = ["rustup"].into_iter().chain(verb).chain(names);
        execute(&words.map(str::to_owned).collect::<Vec<_>>())
    };
    rustup(["component", "add"], &plan.components)?;
    rustup(["target", "add"], &plan.targets)?;
    if plan.bindgen.is_some() {
        install_bindgen(host, context)?;
    }

    // The proof: everything is looked at again.
    match lacks(&Host::new(host.system, context).findings()) {
        None => {
            say!("nothing is missing now");
            Ok(())
        }
        Some(failure) => Err(failure.into()),
    }
}

fn plan_with(host: &Host<'_>, findings: &[Finding], known: &[String]) -> Plan {
    let plan = plan(host, findings, known);
    debug_assert!(!plan.is_empty(), "something is missing, so there is something to do");
    plan
}

fn known_llvm_packages(host: &Host<'_>) -> Vec<String> {
    let pattern = "^((clang|lld|llvm)-[0-9]+|libclang-[0-9]+-dev)$";
    let output = host.system.output("apt-cache", &["search", "--names-only", pattern]);
    let names = output.unwrap_or_default();
    names.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Whether apt has a version to install of every package in `plan`.
fn all_known(host: &Host<'_>, plan: &Plan) -> bool {
    plan.packages.iter().all(|(name, _)| {
        let policy = host.system.output("apt-cache", &["policy", name]).unwrap_or_default();
        has_candidate(&policy)
    })
}

fn has_candidate(policy: &str) -> bool {
    let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"));
    candidate.is_some_and(|version| version.trim() != "(none)")
}

/// Runs `words` with our own terminal, so that sudo can ask and the user sees what happens.
fn execute(words: &[String]) -> Result<()> {
    let (program, arguments) = words.split_first().context("an empty command line")?;
    let line = words.join(" ");
    eprintln!("$ {line}");
    let sh = Shell::new()?;
    let status = Command::from(cmd!(sh, "{program} {arguments...}"))
        .status()
        .map_err(|error| Failure::Host(format!("cannot start `{program}`: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Host(format!(
        "`{line}` failed ({status}); see its output above, then run it again"
    ))
    .into())
}

fn install_bindgen(host: &Host<'_>, context: &Context) -> Result<()> {
    let _lock = context.lock("tools")?;
    if host.system.output(&host.bindgen(), &["--version"]).is_some() {
        return Ok(()); // Another run has installed it while we waited.
    }
    let root = host.bindgen_root();
    let build = context.cache.join("tools/bindgen-build");
    let arguments =
        ["install", "bindgen-cli", "--locked", "--force", "--version", BINDGEN, "--root"];
    let mut command = Command::from(cmd!(context.sh, "cargo {arguments...} {root}"));
    command.current_dir(&context.cache);
    command.env("CARGO_TARGET_DIR", &build);
    // Set by the `cargo xtask` that started us; meant for our own crates.
    command.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTFLAGS");
    eprintln!("$ cargo {} {root}", arguments.join(" "));
    let log = context.cache.join("tools/bindgen.log");
    let progress = Progress::spinner(format!("installing bindgen-cli {BINDGEN}"));
    let end = process::run_logged(command, &log, BINDGEN_LIMIT, |_| process::Verdict::Continue)?;
    if build.exists() {
        fs_err::remove_dir_all(&build)?;
    }
    match end {
        End::Exited(status) if status.success() => {
            progress.done("done");
            Ok(())
        }
        End::Exited(status) => Err(Failure::Host(format!(
            "cargo could not install bindgen-cli {BINDGEN} ({status}); see {log}, \
             then run: cargo xtask setup"
        ))
        .into()),
        End::TimedOut | End::Stopped => Err(Failure::TimeLimit(format!(
            "bindgen-cli was not installed after {} minutes; see {log}",
            BINDGEN_LIMIT.as_secs() / 60
        ))
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::distribution::tests::{DEBIAN_13, FEDORA, UBUNTU_24_04};
    use super::super::system::MadeUp;
    use super::super::tests::{debian_with_all, host};
    use super::*;

    fn packages_of(numbers: &[u64]) -> Vec<String> {
        let parts = ["clang", "lld", "llvm", "libclang-dev"];
        numbers.iter().flat_map(|&number| parts.map(|part| llvm::package(part, number))).collect()
    }

    fn planned(machine: &MadeUp, known: &[u64]) -> Plan {
        let host = host(machine);
        plan(&host, &host.findings(), &packages_of(known))
    }

    fn names(list: &[(String, String)]) -> Vec<&str> {
        list.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn nothing_missing_nothing_planned() {
        assert!(planned(&debian_with_all(), &[19]).is_empty());
    }

    #[test]
    fn fresh_machines_get_all_packages_of_their_distribution() {
        let bare = |os| planned(&MadeUp::default().file("/etc/os-release", os), &[]);
        let debian = bare(DEBIAN_13);
        assert_eq!(
            names(&debian.packages).join(" "),
            "make flex bison bc cpio kmod rsync libelf-dev libssl-dev tar xz-utils perl git gcc \
             libc6-dev binutils clang-19 lld-19 llvm-19 libclang-19-dev qemu-system-arm \
             qemu-system-data spin util-linux"
        );
        assert!(debian.bindgen.is_some());
        // No rustup there: what belongs to Rust is left to the user.
        assert!(debian.by_hand.iter().any(|line| line.starts_with("rustc (")));

        let machine = MadeUp::default().file("/etc/os-release", UBUNTU_24_04);
        let ubuntu = planned(&machine, &[14, 15, 16, 17, 18]);
        assert!(names(&ubuntu.packages).contains(&"libclang-18-dev"));

        let fedora = bare(FEDORA);
        assert!(fedora.packages.is_empty());
        assert!(fedora.by_hand.iter().any(|line| line.starts_with("lld (links the kernel)")));
    }

    #[test]
    fn only_what_is_missing_is_planned() {
        let machine = debian_with_all().without("flex").without("ld.lld-19");
        let plan = planned(&machine, &[18, 19, 22]);
        assert_eq!(names(&plan.packages), ["flex", "lld-19"]);
        assert!(plan.bindgen.is_none() && plan.by_hand.is_empty());
        let text = plan.describe(&host(&machine));
        insta::assert_snapshot!(text, @r"
        Packages of Debian GNU/Linux 12 (bookworm), by apt-get:
          flex                         builds the kernel's Kconfig
          lld-19                       links the kernel
        ");
        assert_eq!(
            plan.install_command().join(" "),
            "env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
             -o DPkg::Lock::Timeout=120 flex lld-19"
        );
    }

    #[test]
    fn rust_parts_come_by_rustup() {
        let mut machine = debian_with_all();
        machine.files.retain(|file, _| !file.as_str().contains("rustlib"));
        let plan = planned(&machine, &[19]);
        assert_eq!(names(&plan.components), ["rust-src"]);
        assert_eq!(
            names(&plan.targets),
            ["aarch64-unknown-linux-musl", "aarch64-unknown-none-softfloat"]
        );
        assert!(plan.packages.is_empty());
    }

    #[test]
    fn an_llvm_that_the_user_asked_for_is_not_replaced() {
        let plan = planned(&debian_with_all().set("LLVM", "-42"), &[19]);
        assert!(plan.packages.is_empty());
        assert!(plan.by_hand.iter().any(|line| line.starts_with("clang (")));
    }

    #[test]
    fn root_goes_before_sudo_and_sudo_must_work() {
        let none = MadeUp::default();
        let asks = MadeUp::default().file("/usr/bin/sudo", "");
        let works = asks.clone().command("sudo -n true", "");
        let of = Privilege::of;
        assert_eq!(of(&none, true, false), Privilege::Root);
        assert_eq!(of(&none, false, true), Privilege::None);
        assert_eq!(of(&asks, false, false), Privilege::None);
        assert_eq!(of(&asks, false, true), Privilege::Sudo);
        assert_eq!(of(&works, false, false), Privilege::Sudo);
        let words = Privilege::Sudo.words(&["apt-get".to_owned(), "update".to_owned()]);
        assert_eq!(words, ["sudo", "apt-get", "update"]);
    }

    #[test]
    fn a_package_without_candidate_is_not_known() {
        assert!(has_candidate("flex:\n  Installed: (none)\n  Candidate: 2.6.4-8.2\n"));
        assert!(!has_candidate("flex:\n  Installed: (none)\n  Candidate: (none)\n"));
        assert!(!has_candidate(""));
    }
}
