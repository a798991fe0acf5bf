// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The series on another base, in a git work tree of its own, where git is left as `git am` leaves
//! it when a patch does not fit.

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use crate::context::Context;
use crate::error::Failure;
use crate::stages::Kernel;
use crate::stages::apply::{self, Git, Series, Tree, long};

/// How far it went.
#[derive(Debug)]
pub struct Rebased {
    /// The work tree.
    pub dir: Utf8PathBuf,
    /// How many patches are commits there now.
    pub applied: usize,
    /// How many there are.
    pub total: usize,
    /// What git says about the patch that did not apply.
    pub conflict: Option<String>,
}

/// Carries `series` to the tree `onto`, in the work tree `dir` (one in the cache if there is none
/// given), which must not exist yet unless `discard` allows to replace it. `home` is the tree that
/// the series is made for: its files are what a three-way merge starts from.
pub fn run(
    context: &Context,
    series: &Series,
    onto: &Tree,
    home: &Tree,
    dir: Option<&Utf8Path>,
    discard: bool,
) -> Result<Rebased> {
    let _lock = context.lock(&format!("rebase-{}", onto.name()))?;
    let dir = match dir {
        Some(dir) => camino::absolute_utf8(dir)?,
        None => onto.home().with_file_name("rebase").join("tree"),
    };
    let repository = Git::new(&context.sh, &onto.dir);
    if dir.exists() {
        clear(&repository, &dir, discard)?;
    }
    borrow_objects(&repository, &Git::new(&context.sh, &home.dir))?;
    repository.run(["worktree", "prune"])?;
    if let Some(parent) = dir.parent() {
        fs_err::create_dir_all(parent)?;
    }
    let mut command = repository.command();
    command.args(["worktree", "add", "--quiet", "--detach", dir.as_str(), &onto.commit]);
    let log = context.cache.join("kernels").join(format!("rebase-{}.log", onto.name()));
    long(command, &log, &format!("checking out Linux {}", onto.source.version))?;

    let git = repository.within(&dir);
    let mut arguments = vec!["am", "--3way", "--no-gpg-sign", "--keep-cr", "--patch-format=mbox"];
    arguments.push("--");
    arguments.extend(series.patches.iter().map(|patch| patch.path.as_str()));
    let output = git.output(arguments)?;
    let range = format!("{}..HEAD", onto.commit);
    let applied = git.run(["rev-list", "--count", &range])?.parse()?;
    let conflict = (!output.status.success()).then(|| {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        // Its hints follow; ours name the folder.
        let is_said = |line: &&str| {
            ["error: ", "CONFLICT", "Patch failed", "fatal: "]
                .iter()
                .any(|mark| line.starts_with(mark))
        };
        said.lines().filter(is_said).collect::<Vec<_>>().join("\n")
    });
    Ok(Rebased { dir, applied, total: series.patches.len(), conflict })
}

/// Removes a work tree of an earlier rebase, and nothing else.
fn clear(repository: &Git, dir: &Utf8Path, discard: bool) -> Result<()> {
    let listed = repository.run(["worktree", "list", "--porcelain"])?;
    let canonical = dir.canonicalize_utf8()?;
    let is_ours = listed
        .lines()
        .filter_map(|line| line.strip_prefix("worktree "))
        .any(|known| known == canonical);
    if !is_ours {
        bail!(Failure::Usage(format!(
            "{dir} exists, but is not the work tree of an earlier rebase"
        )));
    }
    if !discard {
        bail!(Failure::Usage(format!(
            "{dir} is left from an earlier rebase; continue there, or start over with --discard"
        )));
    }
    repository.run(["worktree", "remove", "--force", "--force", dir.as_str()])?;
    Ok(())
}

/// Lets `repository` see the objects of `other`, if it is another one.
fn borrow_objects(repository: &Git, other: &Git) -> Result<()> {
    let objects = |git: &Git| -> Result<Utf8PathBuf> {
        let dir = git.run(["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
        Ok(Utf8PathBuf::from(dir).join("objects"))
    };
    let (ours, theirs) = (objects(repository)?, objects(other)?);
    if ours == theirs {
        return Ok(());
    }
    let file = ours.join("info/alternates");
    let known = fs_err::read_to_string(&file).unwrap_or_default();
    if !known.lines().any(|line| line == theirs) {
        fs_err::create_dir_all(ours.join("info"))?;
        crate::output::write(&file, &format!("{known}{theirs}\n"))?;
    }
    Ok(())
}

/// The tree `onto` as a work tree of ours, with none of our patches.
pub fn base(context: &Context, onto: &Utf8Path) -> Result<Tree> {
    let kernel = Kernel::Path(onto.to_owned());
    let source = apply::source(context, &kernel)?;
    apply::run(context, &source, &kernel)
}
