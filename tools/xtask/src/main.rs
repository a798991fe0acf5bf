// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask VERB`: fetch, patch, build, boot and measure arm64 CPU bring-up.

#[macro_use]
mod output;

mod cli;
mod context;
mod error;
mod faults;
mod host;
mod process;
mod progress;
mod stages;
mod tests;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) if output::has_failed() => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            error::exit_code(&error)
        }
    }
}
