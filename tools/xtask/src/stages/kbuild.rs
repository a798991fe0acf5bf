// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's own make as the stages call it: tools, variables, log, progress, time limit.

mod log;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xshell::{Shell, cmd};

use super::apply::Tree;

use crate::context::Context;
use crate::error::Failure;
use crate::host::{self, Toolchain};
use crate::process::{End, Verdict, run_logged};
use crate::progress::Progress;

/// Reproducible builds: who, where, when and how often are the same everywhere. The empty
/// LOCALVERSION keeps the state of our git repository out of the version string.
const FIXED: [(&str, &str); 5] = [
    ("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 2026"),
    ("KBUILD_BUILD_USER", "cpu-bringup"),
    ("KBUILD_BUILD_HOST", "localhost"),
    ("KBUILD_BUILD_VERSION", "1"),
    ("LOCALVERSION", ""),
];

/// Environment variables that change what make does and therefore belong to a build's identity.
const INFLUENCES: [&str; 4] = ["KCFLAGS", "KRUSTFLAGS", "RUST_LIB_SRC", "LIBCLANG_PATH"];

/// A make variable that the user set, on our command line or in the environment.
fn variable(context: &Context, name: &str) -> Option<String> {
    let set = context.make_variables.iter().rev().find(|(key, _)| key == name);
    set.map(|(_, value)| value.clone())
        .or_else(|| std::env::var(name).ok())
        .filter(|value| !value.is_empty())
}

/// The host's tools. None in tests, whose make file stands in for the kernel's and needs none.
fn toolchain(context: &Context) -> Result<Toolchain> {
    if cfg!(test) { Ok(Toolchain::default()) } else { host::toolchain(context) }
}

/// Calls the kernel's make.
pub struct Kbuild {
    sh: Shell,
    variables: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    /// Tool name to version.
    pub versions: BTreeMap<String, String>,
    /// Where build folders go instead of the cache, if the user says so.
    pub output: Option<Utf8PathBuf>,
}

impl Kbuild {
    /// Finds the tools and puts together what make is told.
    pub fn new(context: &Context) -> Result<Self> {
        if let Some(arch) = variable(context, "ARCH").filter(|arch| arch != "arm64") {
            bail!(Failure::Usage(format!("ARCH={arch}: only arm64 is built here; leave ARCH out")));
        }
        for name in ["O", "M", "KBUILD_EXTMOD"] {
            if context.make_variables.iter().any(|(key, _)| key == name) {
                bail!(Failure::Usage(format!(
                    "{name}= cannot be set, as this tool chooses the folders; KBUILD_OUTPUT=DIR or \
                     --cache DIR moves them"
                )));
            }
        }
        let toolchain = toolchain(context)?;
        let mut variables: BTreeMap<String, String> =
            toolchain.make_variables.into_iter().collect();
        let mut environment = toolchain.environment;
        environment.extend(FIXED.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let llvm = variable(context, "LLVM").or_else(|| variables.get("LLVM").cloned());
        // `LLVM=` with nothing behind it is how the kernel is told to take GCC.
        let gcc = context.make_variables.iter().rev().find(|(key, _)| key == "LLVM");
        let gcc = gcc.is_some_and(|(_, value)| value.is_empty());
        if host::has("ccache") {
            let compiler = if gcc {
                let set =
                    context.make_variables.iter().rev().find(|(key, _)| key == "CROSS_COMPILE");
                format!("{}gcc", set.map_or("", |(_, prefix)| prefix))
            } else {
                host::Llvm::named(llvm.as_deref().unwrap_or("1")).program("clang")
            };
            // Not HOSTCC: the kernel hands it to rustc as the linker, which must be one word.
            variables.insert("CC".to_owned(), format!("ccache {compiler}"));
            environment.extend(ccache_environment(context));
        }
        variables.insert("ARCH".to_owned(), "arm64".to_owned());
        variables.extend(context.make_variables.iter().cloned());
        // They choose folders, which `O=` and `-C` do here.
        for name in ["KBUILD_OUTPUT", "KDIR"] {
            variables.remove(name);
        }
        let output = match variable(context, "KBUILD_OUTPUT") {
            Some(dir) => Some(camino::absolute_utf8(&dir)?),
            None => None,
        };
        Ok(Self {
            sh: context.sh.clone(),
            variables: variables.into_iter().collect(),
            environment,
            versions: toolchain.versions,
            output,
        })
    }

    /// Everything but the sources that the result of a build depends on.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        // Cargo and sudo change the search path, and rustup's choice is told by a variable or not;
        // what they come to is told by the versions.
        let environment = self.environment.iter().filter(|(key, _)| key != "PATH");
        for (key, value) in self.variables.iter().chain(environment) {
            let _ = writeln!(text, "{key}={value}");
        }
        // It only boots what is built.
        for (tool, version) in self.versions.iter().filter(|(tool, _)| *tool != "qemu") {
            let _ = writeln!(text, "{tool}: {version}");
        }
        for name in INFLUENCES {
            if let Ok(value) = std::env::var(name) {
                let _ = writeln!(text, "{name}={value}");
            }
        }
        text
    }

    /// A make command for `tree` with its build folder `objects`, ready for its targets.
    pub fn make(&self, tree: &Tree, objects: &Utf8Path) -> Command {
        let mut command = self.command();
        command.arg("-C").arg(&tree.dir).arg(format!("O={objects}"));
        command
    }

    /// A make command without a folder and without targets.
    pub fn command(&self) -> Command {
        let mut command = Command::from(cmd!(self.sh, "make"));
        command.args(self.variables.iter().map(|(key, value)| format!("{key}={value}")));
        // Of a make that we are run from, or about another build.
        for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "KBUILD_OUTPUT", "KBUILD_EXTMOD"] {
            command.env_remove(variable);
        }
        // Set by the `cargo xtask` that runs us, about our own crates; clippy takes it for the
        // oldest Rust that the kernel is for.
        command.env_remove("CARGO_PKG_RUST_VERSION");
        command.envs(self.environment.iter().map(|(key, value)| (key, value))).env("LC_ALL", "C");
        command
    }
}

/// Where ccache keeps its files, and that a path below our cache counts as the relative path that
/// is the same for `base` and `patched`: what one has compiled, the other need not.
fn ccache_environment(context: &Context) -> Vec<(String, String)> {
    let mut environment = vec![
        ("CCACHE_BASEDIR".to_owned(), context.cache.to_string()),
        ("CCACHE_NOHASHDIR".to_owned(), "1".to_owned()),
    ];
    if std::env::var_os("CCACHE_DIR").is_none() {
        environment.push(("CCACHE_DIR".to_owned(), context.cache.join("ccache").into_string()));
    }
    environment
}

/// Runs `command`, a make, with its output in `file`; returns the output. Failure is an error
/// that shows the first compiler errors.
pub fn run(command: Command, what: &str, file: &Utf8Path, limit: Duration) -> Result<String> {
    let progress = Progress::spinner(what);
    let mut watch = log::Watch::default();
    let mut last = Instant::now();
    let end = run_logged(command, file, limit, |_| {
        // Reading the new lines twice a second is often enough for a person.
        if last.elapsed() >= Duration::from_millis(500) {
            last = Instant::now();
            if let Some(note) = watch.read_on(file) {
                progress.note(&note);
            }
        }
        Verdict::Continue
    })?;
    let text = String::from_utf8_lossy(&fs_err::read(file)?).into_owned();
    match end {
        End::Exited(status) if status.success() => {
            progress.done(&log::result(&text));
            Ok(text)
        }
        End::TimedOut => bail!(Failure::TimeLimit(format!(
            "{what} did not finish within {} minutes; the log is {file}",
            limit.as_secs().div_ceil(60)
        ))),
        _ => bail!(Failure::Check(format!(
            "{what} failed:\n{}\nthe whole log is {file}",
            log::first_errors(&text)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_path_is_not_part_of_a_builds_identity() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let kbuild = |path: &str, flags: &str| Kbuild {
            sh: Shell::new().unwrap(),
            variables: vec![pair("KCFLAGS", flags)],
            environment: vec![pair("PATH", path)],
            versions: BTreeMap::new(),
            output: None,
        };
        assert_eq!(kbuild("/a", "").fingerprint(), kbuild("/b", "").fingerprint());
        assert_ne!(kbuild("/a", "").fingerprint(), kbuild("/a", "-O3").fingerprint());
    }
}
