// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The series as something to be read and merged: what a maintainer would check before taking it,
//! its way from commits to files and back, its way to another base.
//!
//! [`text`], [`rules`], [`remarks`] and [`cover`] are pure; the others run git, the kernel's scripts
//! and compilers.

pub mod applies;
pub mod checkpatch;
pub mod coccinelle;
pub mod compile;
mod cover;
pub mod export;
pub mod rebase;
mod remarks;
pub mod rules;
pub mod rust;
pub mod text;

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use camino::Utf8PathBuf;

use crate::context::Context;
use crate::error::Failure;
use crate::process::{self, End};

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// All is well; the text says what was looked at.
    Clean(String),
    /// What is wrong, one per line.
    Wrong(String),
    /// The check needs something that is not there.
    Needs(String),
}

impl Finding {
    /// Clean if there are no `problems`.
    pub fn of(problems: &[String], looked_at: impl Into<String>) -> Self {
        match problems {
            [] => Self::Clean(looked_at.into()),
            problems => Self::Wrong(problems.join("\n")),
        }
    }
}

/// Where checks run commands and leave their logs.
pub struct Desk<'a> {
    /// The folders and the user's variables.
    pub context: &'a Context,
    /// The folder of the logs.
    pub logs: Utf8PathBuf,
}

impl Desk<'_> {
    /// Runs `command` with its output in the log `name`; returns how it ended and the output.
    pub fn output(
        &self,
        name: &str,
        command: Command,
        limit: Duration,
    ) -> Result<(Option<i32>, String)> {
        let log = self.logs.join(format!("{}.log", name.replace([' ', '/'], "-")));
        let end = process::run_logged(command, &log, limit, |_| process::Verdict::Continue)?;
        let text = String::from_utf8_lossy(&fs_err::read(&log)?).into_owned();
        match end {
            End::Exited(status) => Ok((status.code(), text)),
            End::TimedOut | End::Stopped => Err(Failure::TimeLimit(format!(
                "{name} did not finish within {} s; its output is in {log}",
                limit.as_secs()
            ))
            .into()),
        }
    }
}
