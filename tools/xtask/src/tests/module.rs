// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The Rust module as its users build it.

use std::process::Command;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use xshell::cmd;

use super::judge::warning_free;
use super::{Ending, Runner};
use crate::stages::build::{self, Built};
use crate::stages::kbuild::Kbuild;

/// Runs the cases of this file against the kernel `built`.
pub fn run(runner: &mut Runner<'_>, built: Option<&Built>) {
    for (name, further) in [
        ("the module builds with plain make", [].as_slice()),
        ("clippy has nothing to say about the module", &["CLIPPY=1"]),
    ] {
        let reproduce = format!("make -C rust-module KDIR=OBJECTS {}", further.join(" "));
        runner.case(name, reproduce.trim_end(), |runner| match built {
            Some(built) => make(runner, name, built, further),
            None => Ok(Ending::Skipped("the kernel was not built".to_owned())),
        });
    }
    let name = "the module is formatted";
    runner.case(name, "rustfmt --check rust-module/*.rs", |runner| match built {
        Some(built) => format(runner, name, built),
        None => Ok(Ending::Skipped("the kernel was not built".to_owned())),
    });
}

/// Builds a copy of the module, so that nothing is left beside the sources.
fn make(runner: &Runner<'_>, name: &str, built: &Built, further: &[&str]) -> Result<Ending> {
    let scratch = runner.scratch()?;
    let dir = Utf8Path::from_path(scratch.path()).context("a folder that is not UTF-8")?;
    for (file, content) in build::module_files(&runner.context.repo.join("rust-module"))? {
        fs_err::write(dir.join(file), content)?;
    }
    let mut make = Kbuild::new(runner.context)?.command();
    make.args(["-C", dir.as_str(), &format!("KDIR={}", built.configured.objects)]).args(further);
    let (code, text) = runner.output(name, make)?;
    let judgement = warning_free(code, &text);
    Ok(Ending::of(judgement.and_then(|()| match dir.join("cpu_bringup.ko").is_file() {
        true => Ok(()),
        false => Err("made no cpu_bringup.ko".to_owned()),
    })))
}

fn format(runner: &Runner<'_>, name: &str, built: &Built) -> Result<Ending> {
    let sources = runner.context.repo.join("rust-module");
    let files = build::module_files(&sources)?;
    let files = files.iter().filter(|(file, _)| file.extension() == Some("rs"));
    let rules = built.configured.tree.dir.join(".rustfmt.toml");
    let rustfmt = cmd!(runner.context.sh, "rustfmt --check --edition 2021 --config-path {rules}");
    let mut rustfmt = Command::from(rustfmt);
    rustfmt.args(files.map(|(file, _)| sources.join(file)));
    let (code, text) = runner.output(name, rustfmt)?;
    Ok(super::workspace::success(code, &text))
}
