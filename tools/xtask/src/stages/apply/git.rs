// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Git as we use it: untouched by the user's settings, with commits that are the same everywhere.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xshell::{Shell, cmd};

use crate::stages::fetch::no_git;

/// Of every commit that we make, so that the same input gives the same commit on every machine.
const DATE: &str = "2026-01-01T00:00:00Z";
const NAME: &str = "cpu-bringup";
const EMAIL: &str = "cpu-bringup@localhost";

/// Settings of the user's that would change what we make.
const SETTINGS: [&str; 8] = [
    "core.hooksPath=/dev/null",
    "core.excludesFile=/dev/null",
    "core.attributesFile=/dev/null",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "commit.gpgSign=false",
    "gc.auto=0",
    "advice.mergeConflict=false",
];

/// A repository or one of its work trees.
#[derive(Debug, Clone)]
pub struct Git {
    sh: Shell,
    dir: Utf8PathBuf,
}

impl Git {
    /// Git in the folder `dir`.
    pub fn new(sh: &Shell, dir: &Utf8Path) -> Self {
        Self { sh: sh.clone(), dir: dir.to_owned() }
    }

    /// Git in another folder.
    pub fn within(&self, dir: &Utf8Path) -> Self {
        Self::new(&self.sh, dir)
    }

    /// A git command in this folder, ready for its arguments.
    pub fn command(&self) -> Command {
        let dir = &self.dir;
        let mut command = Command::from(cmd!(self.sh, "git -C {dir}"));
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        // Set when we are ourselves run from a git hook; they would lead to the wrong repository.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
            command.env_remove(variable);
        }
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .envs([("GIT_AUTHOR_NAME", NAME), ("GIT_COMMITTER_NAME", NAME)])
            .envs([("GIT_AUTHOR_EMAIL", EMAIL), ("GIT_COMMITTER_EMAIL", EMAIL)])
            .envs([("GIT_AUTHOR_DATE", DATE), ("GIT_COMMITTER_DATE", DATE)]);
        command
    }

    /// Runs git with `arguments` and returns how it ended, whatever that is.
    pub fn output<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Output> {
        self.command().args(arguments).output().map_err(no_git)
    }

    /// Runs git with `arguments` and returns its standard output; failure is an error.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let output = self.output(arguments.iter().copied())?;
        if !output.status.success() {
            bail!(
                "`git {}` failed in {}: {}",
                arguments.join(" "),
                self.dir,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Runs `git update-ref --stdin` with `lines`.
    pub fn update_refs(&self, lines: &str) -> Result<()> {
        use std::io::Write as _;
        use std::process::Stdio;

        let mut child = self
            .command()
            .args(["update-ref", "--stdin"])
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start `git`")?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(lines.as_bytes()).context("cannot write to `git update-ref`")?;
        }
        let status = child.wait().context("cannot wait for `git update-ref`")?;
        if !status.success() {
            bail!("`git update-ref` failed in {}: {status}", self.dir);
        }
        Ok(())
    }

    /// The commit that is checked out.
    pub fn head(&self) -> Result<String> {
        self.run(["rev-parse", "--verify", "HEAD"])
    }

    /// Tracked files that differ from the commit that is checked out. Looks at the time stamps of
    /// all files, at the contents only of those that a time stamp casts doubt on.
    pub fn changed_files(&self) -> Result<Vec<String>> {
        let mut changed = self.run(["diff-files", "--name-only"])?;
        if !changed.is_empty() {
            // Its exit status only says that some files do differ.
            self.output(["update-index", "-q", "--refresh"])?;
            changed = self.run(["diff-files", "--name-only"])?;
        }
        let staged = self.run(["diff-index", "--cached", "--name-only", "HEAD"])?;
        let mut files: Vec<String> =
            changed.lines().chain(staged.lines()).map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}
