// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Exit codes and the errors that lead to them.
//!
//! Any function may return a plain [`anyhow::Error`]: it ends the program with exit code 1. Where
//! another code is due, the error (or a context of it) is a [`Failure`].

use std::fmt;
use std::process::ExitCode;

/// Why a verb ends without having done its work; each kind has its own exit code.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The kernel, a build or a check failed: exit 1.
    Check(String),
    /// The command line or an input file is wrong: exit 2.
    Usage(String),
    /// The host lacks something; the text ends with the command that mends it: exit 3.
    Host(String),
    /// A time limit has passed: exit 124.
    TimeLimit(String),
}

impl Failure {
    /// The exit code that the contract gives to this kind of failure.
    pub fn code(&self) -> u8 {
        match self {
            Self::Check(_) => 1,
            Self::Usage(_) => 2,
            Self::Host(_) => 3,
            Self::TimeLimit(_) => 124,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(text) | Self::Usage(text) | Self::Host(text) | Self::TimeLimit(text) => {
                f.write_str(text)
            }
        }
    }
}

impl std::error::Error for Failure {}

/// The exit code for `error`: that of the first [`Failure`] in its chain, else 1.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let code = error
        .downcast_ref::<Failure>()
        .or_else(|| error.chain().find_map(|cause| cause.downcast_ref()))
        .map_or(1, Failure::code);
    ExitCode::from(code)
}
