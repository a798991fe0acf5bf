// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 2: a work tree of ours with the patches that a [`Kernel`] asks for.
//!
//! Below `kernels/VERSION-KEY/` in the cache every source has one git repository, whose main work
//! tree `pristine/tree` is the untouched source; `base/tree` and `patched/tree` are linked to it.
//!
//! Patches are turned into commits in a scratch work tree that holds no files but those that `git
//! am` itself asks for. Only then is the real work tree moved to the last commit, which writes the
//! files that differ and no others: a patch that fails leaves no trace there, and after an edit
//! make sees new time stamps where something is new and nowhere else. Each commit is remembered
//! under a ref named by the hash of all patches up to it, so a changed patch costs `git am` for
//! itself and its successors.

mod git;
mod rejects;
mod series;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};
use xshell::cmd;

pub use self::git::Git;
pub use self::series::{Exception, Patch, Series, hex};
use super::Kernel;
use super::fetch::{self, Origin, Source};
use crate::context::{Context, Lock};
use crate::error::Failure;
use crate::process::{End, Verdict, run_logged};
use crate::progress::Progress;

/// Unpacking and checking out take well under a minute each; a slow disk gets more.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// How many old series states are remembered before they are dropped.
const REMEMBERED: usize = 500;

/// A work tree of ours, ready to be built out of tree.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The folder.
    pub dir: Utf8PathBuf,
    /// What was asked for.
    pub kernel: Kernel,
    /// The source below the patches.
    pub source: Source,
    /// The name of the series, as `v7.3`; none for pristine.
    pub series: Option<String>,
    /// The file names of the patches that are applied.
    pub patches: Vec<String>,
    /// SHA-256 over the applied patches.
    pub series_sha256: String,
    /// Differs whenever source or patches differ; tells whether a build is up to date.
    pub key: String,
    /// The commit that is checked out: the same on every machine for the same key.
    pub commit: String,
}

impl Tree {
    /// Names the source, for folders and locks: `VERSION-KEY`.
    fn source_name(&self) -> String {
        source_name(&self.source)
    }

    /// Names this tree among all in the cache, whatever patches it has at the moment.
    pub fn name(&self) -> String {
        format!("{}-{}", self.source_name(), folder(&self.kernel))
    }

    /// The folder of the tree and of its builds.
    pub fn home(&self) -> &Utf8Path {
        self.dir.parent().unwrap_or(&self.dir)
    }

    /// Keeps other runs from changing the tree while it is built. An error if one already has.
    pub fn hold(&self, context: &Context) -> Result<Lock> {
        let lock = context.lock_shared(&tree_lock(&self.name()))?;
        if Git::new(&context.sh, &self.dir).head()? != self.commit {
            bail!(Failure::Check(format!(
                "meanwhile another run has applied other patches to {}; run this again",
                self.dir
            )));
        }
        Ok(lock)
    }
}

/// What to do with changes that somebody made by hand in a work tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHand {
    /// Stop and say so.
    Refuse,
    /// Throw them away.
    Discard,
}

/// The source that `kernel` starts from: a tree of the user's, else what [`fetch`] gives.
pub fn source(context: &Context, kernel: &Kernel) -> Result<Source> {
    let Kernel::Path(path) = kernel else { return fetch::run(context) };
    if !path.is_dir() {
        bail!(Failure::Usage(format!(
            "{path} is not the folder of a Linux tree, so there is nothing to build"
        )));
    }
    fetch::run(&context.with_tree(path.canonicalize_utf8()?))
}

/// Brings the work tree for `kernel` to the state that the series asks for. Changes made there by
/// hand are an error.
pub fn run(context: &Context, source: &Source, kernel: &Kernel) -> Result<Tree> {
    run_over(context, source, kernel, ByHand::Refuse)
}

/// Like [`run`], with a choice about changes made by hand.
pub fn run_over(
    context: &Context,
    source: &Source,
    kernel: &Kernel,
    by_hand: ByHand,
) -> Result<Tree> {
    let series = match kernel {
        Kernel::Base | Kernel::Patched | Kernel::First(_) => {
            Some(Series::load(&context.repo.join("patches"), &source.version)?)
        }
        // A tree of the user's is taken as it is.
        Kernel::Pristine | Kernel::Path(_) => None,
    };
    let patches = match (&series, kernel) {
        (Some(series), Kernel::Base) => series.recording(),
        (Some(series), Kernel::First(count)) => &series.patches[..series.patches.len().min(*count)],
        (Some(series), _) => &series.patches,
        (None, _) => &[],
    };
    let tree = bring_up(context, source, kernel, patches, by_hand);
    match &series {
        Some(series) if series.kernel != source.version => tree.with_context(|| {
            format!("the series is made for Linux {}, this is {}", series.kernel, source.version)
        }),
        _ => tree,
    }
}

/// The work tree for `kernel` with exactly `patches`.
fn bring_up(
    context: &Context,
    source: &Source,
    kernel: &Kernel,
    patches: &[Patch],
    by_hand: ByHand,
) -> Result<Tree> {
    let name = source_name(source);
    let home = context.cache.join("kernels").join(&name);
    let commit = {
        let _lock = context.lock(&format!("kernels-{name}"))?;
        make_repository(context, source, &home)?;
        make_commits(context, source, &home, patches)?
    };

    let folder = folder(kernel);
    let work_tree = WorkTree {
        repository: Git::new(&context.sh, &home.join("pristine/tree")),
        dir: home.join(folder).join("tree"),
        lock: tree_lock(&format!("{name}-{folder}")),
    };
    work_tree.bring_to(context, &commit, by_hand)?;

    let series_sha256 = digest(patches.iter().map(|patch| patch.sha256.as_str()));
    Ok(Tree {
        dir: work_tree.dir,
        kernel: kernel.clone(),
        source: source.clone(),
        series: patches.first().and_then(Patch::series).map(str::to_owned),
        patches: patches.iter().map(|patch| patch.name().to_owned()).collect(),
        key: digest([source.sha256.as_str(), &series_sha256]),
        series_sha256,
        commit,
    })
}

/// Unpacks `source` and makes it the first commit of a repository in `home`, unless that is there.
fn make_repository(context: &Context, source: &Source, home: &Utf8Path) -> Result<()> {
    let tree = home.join("pristine/tree");
    if tree.join(".git").is_dir() {
        return Ok(());
    }
    // Made beside its place and renamed at the end: whatever is at its place is complete.
    let name = source_name(source);
    let new = context.cache.join("kernels").join(format!(".{name}.new"));
    remove(&new)?;
    let new_tree = new.join("pristine/tree");
    fs_err::create_dir_all(&new_tree)?;
    let log = context.cache.join("kernels").join(format!("{name}.log"));

    // Into our cache that is, so `--no-same-owner` also where we are root.
    let untar = |archive: &Utf8Path, strip: &str| {
        let tar = cmd!(context.sh, "tar --extract --no-same-owner {strip} --directory {new_tree}");
        Command::from(tar.arg("--file").arg(archive))
    };
    let what = format!("unpacking Linux {}", source.version);
    let mut add = vec!["add", "--all"];
    match &source.origin {
        Origin::Tarball(tarball) => {
            long(untar(tarball, "--strip-components=1"), &log, &what)?;
            // What the tarball holds belongs to the source, even if its .gitignore names it.
            add.push("--force");
        }
        Origin::Git(dir) => {
            let archive = new.join("source.tar");
            let mut command = Git::new(&context.sh, dir).command();
            // Reading a checkout that belongs to somebody else is fine.
            command.args(["-c", "safe.directory=*", "archive", "--format=tar", "--output"]);
            command.arg(&archive).arg("HEAD");
            long(command, &log, &what)?;
            long(untar(&archive, "--strip-components=0"), &log, &what)?;
            fs_err::remove_file(&archive)?;
            add.push("--force");
        }
        Origin::Plain(dir) => {
            let archive = new.join("source.tar");
            let tar = cmd!(context.sh, "tar --create --exclude=.git --directory {dir}");
            long(tar.arg("--file").arg(&archive).arg(".").into(), &log, &what)?;
            long(untar(&archive, "--strip-components=0"), &log, &what)?;
            fs_err::remove_file(&archive)?;
        }
    }

    let git = Git::new(&context.sh, &new_tree);
    git.run(["init", "--quiet", "--initial-branch=source", "--template="])?;
    git.run(["config", "gc.auto", "0"])?;
    // Distributions keep their packaging in git, and tell it to ignore the kernel's own files.
    let ignores_all = git.output(["check-ignore", "--quiet", "Makefile"])?.status.success();
    if ignores_all && !add.contains(&"--force") {
        add.push("--force");
    }
    let mut command = git.command();
    // One pack instead of 96,000 small files: 390 MB instead of 1.8 GB, and no slower.
    command.args(["-c", "core.bigFileThreshold=1", "-c", "core.compression=1"]).args(add);
    long(command, &log, &format!("recording Linux {} in git", source.version))?;
    let message = format!("Linux {}", source.version);
    git.run(["commit", "--quiet", "--no-verify", "--allow-empty", "--message", &message])?;
    if matches!(source.origin, Origin::Plain(_)) && !ignores_all {
        // Build products in a plain tree would make make refuse it.
        git.run(["clean", "-fdxq"])?;
    }
    fs_err::rename(&new, home)?;
    Ok(())
}

/// The commit of the source plus `patches`; applies those that have no commit yet.
fn make_commits(
    context: &Context,
    source: &Source,
    home: &Utf8Path,
    patches: &[Patch],
) -> Result<String> {
    let git = Git::new(&context.sh, &home.join("pristine/tree"));
    let base = git.run(["rev-parse", "--verify", "refs/heads/source"])?;
    let names = chain(&base, patches);
    let listed = git.run(["for-each-ref", "--format=%(refname) %(objectname)", "refs/series"])?;
    let known: BTreeMap<&str, &str> =
        listed.lines().filter_map(|line| line.split_once(' ')).collect();

    let done = names.iter().rposition(|name| known.contains_key(name.as_str()));
    let (done, start) = match done {
        Some(index) => (index + 1, known[names[index].as_str()].to_owned()),
        None => (0, base),
    };
    if done == patches.len() {
        return Ok(start);
    }

    let patches = &patches[done..];
    let progress = Progress::spinner(format!("applying {}", count(patches.len())));
    let scratch = home.join("scratch");
    remove(&scratch)?;
    git.run(["worktree", "prune"])?;
    git.run(["worktree", "add", "--quiet", "--detach", "--no-checkout", scratch.as_str(), &start])?;
    let result = apply_patches(source, &git.within(&scratch), &start, patches);
    remove(&scratch)?;
    git.run(["worktree", "prune"])?;
    let (commits, error) = result?;

    let mut updates: String = names[done..]
        .iter()
        .zip(&commits)
        .map(|(name, commit)| format!("update {name} {commit}\n"))
        .collect();
    if known.len() > REMEMBERED {
        let old = known.keys().filter(|name| !names.iter().any(|current| current == *name));
        updates.extend(old.map(|name| format!("delete {name}\n")));
    }
    git.update_refs(&updates)?;
    match (error, commits.last()) {
        (Some(error), _) => Err(error),
        (None, Some(commit)) => {
            progress.done(&format!("{} of them new or changed", patches.len()));
            Ok(commit.clone())
        }
        (None, None) => Ok(start),
    }
}

/// Applies `patches` on top of the commit `start` in the empty work tree of `git`. Returns the
/// commits of those that applied and, if one did not, why.
pub fn apply_patches(
    source: &Source,
    git: &Git,
    start: &str,
    patches: &[Patch],
) -> Result<(Vec<String>, Option<anyhow::Error>)> {
    // The index without the files: git am takes those that it needs from the index.
    git.run(["read-tree", start])?;
    let mut arguments =
        vec!["am", "--quiet", "--no-3way", "--no-gpg-sign", "--keep-cr", "--patch-format=mbox"];
    arguments.push("--");
    arguments.extend(patches.iter().map(|patch| patch.path.as_str()));
    let output = git.output(arguments)?;
    let listed = git.run(["rev-list", "--reverse", &format!("{start}..HEAD")])?;
    let commits: Vec<String> = listed.lines().map(str::to_owned).collect();

    let messages = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        if commits.len() != patches.len() {
            bail!(
                "{} gave {} commits; every patch file must hold one patch",
                count(patches.len()),
                commits.len()
            );
        }
        return Ok((commits, None));
    }
    let Some(patch) = patches.get(commits.len()) else {
        bail!("`git am` failed after the last patch: {}", messages.trim());
    };
    let text = String::from_utf8_lossy(&fs_err::read(&patch.path)?).into_owned();
    let mut places = rejects::describe(&rejects::parse(&messages), &text);
    if places.is_empty() {
        places = format!("\n  {}", messages.trim());
    }
    let error = Failure::Check(format!(
        "{} does not apply to Linux {}; the work tree is as it was before:{places}",
        patch.name(),
        source.version
    ));
    Ok((commits, Some(error.into())))
}

/// A work tree that builds are made from.
struct WorkTree {
    repository: Git,
    dir: Utf8PathBuf,
    lock: String,
}

impl WorkTree {
    fn git(&self) -> Git {
        self.repository.within(&self.dir)
    }

    /// Holds the commit that we last checked out: any other is somebody else's.
    fn commit_file(&self) -> Utf8PathBuf {
        self.dir.with_file_name("commit")
    }

    /// Exists while files change, so that the next run mends what a killed one left behind.
    fn updating_file(&self) -> Utf8PathBuf {
        self.dir.with_file_name("updating")
    }

    /// Checks out `commit`.
    fn bring_to(&self, context: &Context, commit: &str, by_hand: ByHand) -> Result<()> {
        {
            // Builds hold this lock too, so that nothing waits where nothing has to change.
            let _lock = context.lock_shared(&self.lock)?;
            if by_hand == ByHand::Refuse && self.is_at(commit)? {
                return self.check_untouched();
            }
        }
        let _lock = context.lock(&self.lock)?;
        if !self.dir.join(".git").exists() {
            return self.create(context, commit);
        }
        let git = self.git();
        if by_hand == ByHand::Discard || self.updating_file().exists() {
            return self.reset(commit);
        }
        self.check_untouched()?;
        fs_err::write(self.updating_file(), commit)?;
        git.run(["checkout", "--quiet", "--detach", commit])?;
        self.finish(commit)
    }

    /// Whether the tree was brought to `commit` and completely so.
    fn is_at(&self, commit: &str) -> Result<bool> {
        if self.updating_file().exists() || !self.dir.join(".git").exists() {
            return Ok(false);
        }
        let ours = fs_err::read_to_string(self.commit_file()).unwrap_or_default();
        Ok(ours == commit && self.git().head()? == commit)
    }

    /// An error if somebody has changed files or made commits here.
    fn check_untouched(&self) -> Result<()> {
        let git = self.git();
        let head = git.head()?;
        let ours = fs_err::read_to_string(self.commit_file()).unwrap_or_else(|_| head.clone());
        let what = if head != ours {
            format!("somebody has checked out the commit {head}")
        } else {
            let files = git.changed_files()?;
            if files.is_empty() {
                return Ok(());
            }
            let shown: Vec<&str> = files.iter().take(5).map(String::as_str).collect();
            let more = if files.len() > shown.len() { ", ..." } else { "" };
            format!("somebody has changed {}{more}", shown.join(", "))
        };
        bail!(Failure::Check(format!(
            "in our work tree {} {what}; keep it as a patch (`git -C {0} diff {ours}`), then throw \
             it away there with `cargo xtask apply --discard`",
            self.dir
        )))
    }

    /// Makes the tree what `commit` says, whatever it is now.
    fn reset(&self, commit: &str) -> Result<()> {
        let git = self.git();
        fs_err::write(self.updating_file(), commit)?;
        let git_dir = git.run(["rev-parse", "--absolute-git-dir"])?;
        // A git that was killed leaves its lock behind; ours says that no other is at work.
        remove(&Utf8Path::new(&git_dir).join("index.lock"))?;
        git.run(["checkout", "--quiet", "--force", "--detach", commit])?;
        self.finish(commit)
    }

    fn create(&self, context: &Context, commit: &str) -> Result<()> {
        let new = self.dir.with_file_name("tree.new");
        remove(&new)?;
        fs_err::create_dir_all(self.dir.with_file_name(""))?;
        self.repository.run(["worktree", "prune"])?;
        let mut command = self.repository.command();
        command.args(["worktree", "add", "--quiet", "--detach", new.as_str(), commit]);
        let log = context.cache.join("kernels").join(format!("{}.log", self.lock));
        long(command, &log, "checking out a work tree")?;
        self.repository.run(["worktree", "move", new.as_str(), self.dir.as_str()])?;
        self.finish(commit)
    }

    fn finish(&self, commit: &str) -> Result<()> {
        fs_err::write(self.commit_file(), commit)?;
        remove(&self.updating_file())
    }
}

/// The ref of the state after each of `patches` on top of `base`.
fn chain(base: &str, patches: &[Patch]) -> Vec<String> {
    let mut state = base.to_owned();
    patches
        .iter()
        .map(|patch| {
            state = digest([state.as_str(), &patch.sha256]);
            format!("refs/series/{state}")
        })
        .collect()
}

/// SHA-256 over `parts`, each on a line of its own.
fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update("\n");
    }
    hex(&hash.finalize())
}

fn source_name(source: &Source) -> String {
    format!("{}-{}", source.version, source.sha256.get(..12).unwrap_or(&source.sha256))
}

/// The folder of a kernel's tree and builds. A user's tree is the pristine one of its own source.
fn folder(kernel: &Kernel) -> &'static str {
    match kernel {
        Kernel::Pristine | Kernel::Path(_) => "pristine",
        Kernel::Base => "base",
        Kernel::Patched => "patched",
        Kernel::First(_) => "each",
    }
}

fn tree_lock(name: &str) -> String {
    format!("tree-{name}")
}

fn count(patches: usize) -> String {
    if patches == 1 { "1 patch".to_owned() } else { format!("{patches} patches") }
}

/// Removes a file or a folder with all that is in it, if it exists.
pub fn remove(path: &Utf8Path) -> Result<()> {
    let result =
        if path.is_dir() { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) };
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Runs a command of git or tar that takes some time; failure is an error that ends with its last lines.
pub fn long(command: Command, log: &Utf8Path, what: &str) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let progress = Progress::spinner(what);
    let end = run_logged(command, log, LIMIT, |_| Verdict::Continue)?;
    match end {
        End::Exited(status) if status.success() => {
            progress.done("done");
            remove(log)
        }
        End::TimedOut => bail!(Failure::TimeLimit(format!(
            "{what}: `{name}` took more than {} minutes; the log is {log}",
            LIMIT.as_secs() / 60
        ))),
        _ => {
            let text = String::from_utf8_lossy(&fs_err::read(log)?).into_owned();
            let last: Vec<&str> = text.lines().rev().take(5).collect();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("\n  ");
            bail!("{what}: `{name}` failed:\n  {last}")
        }
    }
}

#[cfg(test)]
mod tests;
