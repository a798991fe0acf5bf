// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What was measured, with what and where, for the results file.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use bringup_model::dmesg;
use bringup_model::results::{Base, Manifest, Series};

use super::boot::BootOutcome;
use super::build::Built;
use super::fetch::Origin;
use crate::context::Context;

/// The manifest of a command that booted `outcomes`. `built` is the kernel that it built, the one
/// with the most patches if there are several; `None` for an Image of the user's, about which only
/// its log tells anything.
pub fn manifest(context: &Context, built: Option<&Built>, outcomes: &[BootOutcome]) -> Manifest {
    let tree = built.map(|built| &built.configured.tree);
    let base = match tree {
        Some(tree) => Base {
            version: tree.source.version.clone(),
            sha256: matches!(tree.source.origin, Origin::Tarball(_))
                .then(|| tree.source.sha256.clone()),
        },
        None => Base { version: booted_version(outcomes), sha256: None },
    };
    let series = tree.and_then(|tree| {
        Some(Series {
            name: tree.series.clone()?,
            sha256: tree.series_sha256.clone(),
            patches: tree.patches.clone(),
        })
    });
    let accels: BTreeSet<String> =
        outcomes.iter().map(|outcome| outcome.accel.to_string()).collect();
    Manifest {
        base,
        series,
        config_sha256: built.map(|built| built.configured.config_sha256.clone()),
        toolchain: built.map(|built| built.toolchain.clone()).unwrap_or_default(),
        qemu: outcomes.first().map(|outcome| short_version(&outcome.qemu_version).to_owned()),
        accel: Vec::from_iter(accels).join(","),
        host: host(),
        command: command(std::env::args().skip(1)),
        started: humantime::format_rfc3339_seconds(context.started).to_string(),
        meta: BTreeMap::new(),
    }
}

fn booted_version(outcomes: &[BootOutcome]) -> String {
    let logs =
        outcomes.iter().map(|outcome| outcome.files.get("dmesg").unwrap_or(&outcome.console));
    logs.filter_map(|log| dmesg::kernel_version(log)).next().unwrap_or("unknown").to_owned()
}

/// `QEMU emulator version 7.2.22 (...)` without its first words.
fn short_version(line: &str) -> &str {
    line.strip_prefix("QEMU emulator version ").unwrap_or(line)
}

/// The machine's kernel, architecture and CPUs; not its name, which is nobody's business.
fn host() -> String {
    let system = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    format!(
        "{} {} {}, {cpus} CPUs",
        text(system.sysname()),
        text(system.release()),
        text(system.machine())
    )
}

/// The command line as one would type it.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let words: Vec<String> =
        ["cargo", "xtask"].map(str::to_owned).into_iter().chain(arguments).collect();
    // No argument of a process holds the NUL that cannot be quoted.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_commands_read_as_people_write_them() {
        assert_eq!(short_version("QEMU emulator version 7.2.22 (Debian 1)"), "7.2.22 (Debian 1)");
        assert_eq!(short_version("qemu 11"), "qemu 11");
        let words = ["boot", "--append", "a b"].map(str::to_owned);
        assert_eq!(command(words.into_iter()), "cargo xtask boot --append 'a b'");
        assert!(host().starts_with("Linux ") && host().ends_with(" CPUs"), "{}", host());
    }
}
