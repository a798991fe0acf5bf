// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask VERB`: fetch, patch, build, boot and measure arm64 CPU bring-up.

mod cli;
mod context;
mod error;
mod faults;
mod host;
mod output;
mod process;
mod progress;
mod stages;
mod tests;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            error::exit_code(&error)
        }
    }
}
