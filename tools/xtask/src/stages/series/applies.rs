// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whether the series applies to another tree than the one that kernels are built from.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use xshell::cmd;

use super::text::PatchText;
use super::{Desk, Finding};
use crate::error::Failure;
use crate::stages::apply::{Git, Patch, apply_patches};
use crate::stages::fetch::{Origin, Source};

/// Reading a kernel tarball to its end takes a quarter of a minute.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Tries `patches` on `source`, a tarball. Only the files that they touch are unpacked: `git am`
/// looks at no others, and it allows no fuzz.
pub fn check(desk: &Desk<'_>, source: &Source, patches: &[Patch]) -> Result<Finding> {
    let Origin::Tarball(tarball) = &source.origin else { bail!("not a tarball") };
    let folder = desk.context.cache.join("kernels");
    fs_err::create_dir_all(&folder)?;
    let scratch = tempfile::Builder::new().prefix(".try-").tempdir_in(&folder)?;
    let dir = Utf8Path::from_path(scratch.path()).context("a folder that is not UTF-8")?;

    let mut files = std::collections::BTreeSet::new();
    for patch in patches {
        files.extend(PatchText::parse(&String::from_utf8_lossy(&fs_err::read(&patch.path)?)).files);
    }
    let unpack = ["--use-compress-program=xz -T0", "--strip-components=1", "--no-same-owner"];
    let tar = cmd!(desk.context.sh, "tar -x {unpack...} -f {tarball} -C {dir}");
    let mut tar = Command::from(tar.args(["--wildcards", "--no-wildcards-match-slash"]));
    tar.args(files.iter().map(|file| format!("*/{file}"))).env("LC_ALL", "C");
    let (code, text) = desk.output(&format!("unpack {}", source.version), tar, LIMIT)?;
    // Files that the series adds are not there, which tar thinks is an error.
    let expected = |line: &str| {
        line.ends_with(": Not found in archive")
            || line.ends_with("Exiting with failure status due to previous errors")
    };
    if code != Some(0) && !text.lines().all(expected) {
        bail!("cannot unpack {tarball}: {}", text.trim());
    }

    let git = Git::new(&desk.context.sh, dir);
    git.run(["init", "--quiet", "--initial-branch=source", "--template="])?;
    git.run(["add", "--all", "--force"])?;
    git.run(["commit", "--quiet", "--no-verify", "--allow-empty", "--message", "source"])?;
    let start = git.head()?;
    let (commits, error) = apply_patches(source, &git, &start, patches)?;
    Ok(match error {
        None => Finding::Clean(format!("all {} patches apply", commits.len())),
        Some(error) if error.is::<Failure>() => Finding::Wrong(error.to_string()),
        Some(error) => return Err(error),
    })
}
