// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Programs of ours that run in the guest's machine: built for arm64 when they are needed.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use xshell::cmd;

use crate::context::Context;
use crate::error::Failure;
use crate::process::{self, End};

/// Such a program is a matter of seconds, its dependencies' download apart.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A package of the workspace.
#[derive(Debug)]
pub struct Program<'a> {
    /// Its name, which is also that of its file.
    pub name: &'a str,
    /// What it is built for.
    pub target: &'a str,
    /// Its target folder, below ours. One of its own: the usual one may be locked by the cargo that
    /// runs us.
    pub folder: &'a str,
    /// Further arguments of cargo.
    pub arguments: &'a [&'a str],
}

/// Builds the program, or finds it built, and returns its path.
pub fn build(context: &Context, program: &Program<'_>) -> Result<Utf8PathBuf> {
    let Program { name, target, folder, arguments } = program;
    let folder = context.repo.join("target").join(folder);
    fs_err::create_dir_all(&folder)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--release", "--package", name, "--target", target];
    let mut command = Command::from(cmd!(context.sh, "{cargo} {build...} --target-dir {folder}"));
    command.args(*arguments);
    command.current_dir(&context.repo);
    // Flags for the host's programs would replace those that this one's linking needs.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");

    // A log of our own: several boots may build at once, and cargo lets them wait for each other.
    let log = tempfile::NamedTempFile::new_in(&folder)?;
    let path = Utf8Path::from_path(log.path()).context("the target folder is not UTF-8")?;
    match process::run_logged(command, path, BUILD_LIMIT, |_| process::Verdict::Continue)? {
        End::Exited(status) if status.success() => {
            Ok(folder.join(target).join("release").join(name))
        }
        End::Exited(_) => {
            let errors = fs_err::read_to_string(path)?;
            Err(if errors.contains("may not be installed") {
                Failure::Host(format!(
                    "Rust's target for {name} is missing; run: rustup target add {target}"
                ))
            } else {
                Failure::Check(format!("{name} does not build:\n{errors}"))
            }
            .into())
        }
        End::TimedOut | End::Stopped => Err(Failure::TimeLimit(format!(
            "{name} was not built within {} minutes",
            BUILD_LIMIT.as_secs() / 60
        ))
        .into()),
    }
}
