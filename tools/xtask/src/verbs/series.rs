// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask series`: the series as files, from and to commits, and whether it is fit to be sent.

use anyhow::Result;
use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Failure;
use crate::output::VerdictFiles;
use crate::stages::apply::Series;
use crate::stages::series::{export, rebase};
use crate::stages::{Kernel, apply, fetch};
use crate::tests;

/// Check, export and rebase the patch series
#[derive(Debug, Args)]
pub struct SeriesVerb {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Check(Check),
    Export(Export),
    Rebase(Rebase),
}

/// Check the series as a maintainer would
///
/// Covers where the series applies, checkpatch, changelogs, sparse, W=1, coccinelle, Rust's format,
/// lints and documentation, and the objects of other architectures. Prints one line for each, and
/// writes KTAP to the output folder.
#[derive(Debug, Args)]
struct Check {
    /// Also build and boot the kernel after each patch
    #[arg(long)]
    each: bool,
    /// Also say whether the series applies to this Linux tree, which is only read
    #[arg(long, value_name = "DIR")]
    against: Vec<Utf8PathBuf>,
    /// Only checks whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    #[command(flatten)]
    files: VerdictFiles,
}

/// Rewrite the series' files from the commits of a work tree
#[derive(Debug, Args)]
struct Export {
    /// The git work tree with the series; it is only read
    #[arg(long, value_name = "DIR")]
    from: Utf8PathBuf,
    /// The commit after which the series begins [default: the release's tag, or the only root]
    #[arg(long, value_name = "COMMIT")]
    base: Option<String>,
    /// Write to this folder instead of the series' own
    #[arg(long, value_name = "DIR")]
    output: Option<Utf8PathBuf>,
    /// Write nothing; fail if the files differ from what would be written
    #[arg(long)]
    check: bool,
}

/// Rebase the series onto another base, in a work tree of its own
#[derive(Debug, Args)]
struct Rebase {
    /// The Linux tree (git checkout or plain) to rebase it onto; it is only read
    #[arg(long, value_name = "DIR")]
    onto: Utf8PathBuf,
    /// Make the work tree here instead of in the cache
    #[arg(long, value_name = "DIR")]
    work: Option<Utf8PathBuf>,
    /// Throw away what an earlier rebase left there
    #[arg(long)]
    discard: bool,
}

impl SeriesVerb {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        match self.what {
            What::Check(check) => {
                for dir in &check.against {
                    if !dir.is_dir() {
                        let text = format!("--against {dir}: give the folder of a Linux tree");
                        return Err(Failure::Usage(text).into());
                    }
                }
                let Check { each, against, only, files } = check;
                tests::check_series(context, each, &against, only.as_deref(), &files)
            }
            What::Export(export) => export.run(context),
            What::Rebase(rebase) => rebase.run(context),
        }
    }
}

/// The series for the kernel that everything starts from.
fn series(context: &Context) -> Result<Series> {
    Series::load(&context.repo.join("patches"), &fetch::version()?)
}

impl Export {
    fn run(self, context: &Context) -> Result<()> {
        let series = series(context)?;
        let cover = fs_err::read_to_string(series.dir.join(export::COVER))?;
        let base = self.base.as_deref();
        let files = export::generate(context, &self.from, base, &series.kernel, &cover)?;
        let dir = self.output.unwrap_or_else(|| series.dir.clone());
        if self.check {
            let differences = export::differences(&files, &dir)?;
            if differences.is_empty() {
                say!("{dir}: the {} files match the commits in {}", files.len(), self.from);
                return Ok(());
            }
            return Err(Failure::Check(format!(
                "{dir} does not match the commits in {}:\n  {}",
                self.from,
                differences.join("\n  ")
            ))
            .into());
        }
        for change in export::write(&files, &dir)? {
            say!("{change}: now as in {}", self.from);
        }
        say!("{dir}: {} files", files.len());
        Ok(())
    }
}

impl Rebase {
    fn run(self, context: &Context) -> Result<()> {
        let series = series(context)?;
        let onto = self.onto.canonicalize_utf8().map_err(|error| {
            Failure::Usage(format!("--onto {}: {error}; give a Linux tree", self.onto))
        })?;
        let onto = rebase::base(context, &onto)?;
        let home = apply::run(context, &fetch::run(context)?, &Kernel::Pristine)?;
        let work = self.work.as_deref();
        let rebased = rebase::run(context, &series, &onto, &home, work, self.discard)?;
        let (dir, version) = (&rebased.dir, &onto.source.version);
        let export = format!("cargo xtask series export --from {dir} --output FOLDER");
        match rebased.conflict {
            None => {
                say!("{dir}: Linux {version} with all {} patches", rebased.total);
                say!("write them to files with: {export}");
                Ok(())
            }
            Some(conflict) => {
                let next = series.patches.get(rebased.applied);
                Err(Failure::Check(format!(
                    "{} does not apply to Linux {version} ({} of {} do):\n{conflict}\n\
                     in {dir}: fix the files, `git add` them, `git am --continue`; then {export}",
                    next.map_or("a patch", |patch| patch.name()),
                    rebased.applied,
                    rebased.total,
                ))
                .into())
            }
        }
    }
}
