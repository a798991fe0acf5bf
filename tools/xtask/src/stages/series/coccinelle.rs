// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's semantic patches (`scripts/coccinelle`) over the touched C files.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use xshell::cmd;

use super::compile::Trees;
use super::remarks::Remarks;
use super::{Desk, Finding};
use crate::error::Failure;
use crate::host;
use crate::progress::Progress;

/// For one script and all files; one that takes longer is named and left out.
const LIMIT: Duration = Duration::from_secs(60);

/// For all of them.
const TOTAL: Duration = Duration::from_secs(20 * 60);

/// Runs every script in its mode `report` over the C files among `touched`.
pub fn check(desk: &Desk<'_>, trees: Trees<'_>, touched: &BTreeSet<String>) -> Result<Finding> {
    if !host::has("spatch") {
        return Ok(Finding::Needs("coccinelle (spatch)".to_owned()));
    }
    let is_ours =
        |file: &&String| file.ends_with(".c") && trees.patched.dir.join(file.as_str()).is_file();
    let files: Vec<&String> = touched.iter().filter(is_ours).collect();
    let scripts = scripts(&trees.patched.dir)?;
    let progress = Progress::spinner("coccinelle");
    let start = Instant::now();
    let (mut ran, mut new, mut slow, mut failed) = (0, Vec::new(), Vec::new(), Vec::new());
    for (index, script) in scripts.iter().enumerate() {
        let name = script.file_stem().unwrap_or_default();
        progress.note(&format!("{name}, {index} of {} scripts done", scripts.len()));
        if start.elapsed() > TOTAL {
            slow.push("everything after it".to_owned());
            break;
        }
        let run = |tree: &Utf8Path| spatch(desk, tree, script, &files);
        let found = match run(&trees.patched.dir)? {
            Ran::Said(found) => found,
            Ran::TooSlow => {
                slow.push(name.to_owned());
                continue;
            }
            Ran::Failed(cause) => {
                failed.push(format!("{name} ({cause})"));
                continue;
            }
        };
        ran += 1;
        if found.len() > 0 {
            // Only now the base is of interest.
            let known = match run(&trees.base.dir)? {
                Ran::Said(known) => known,
                Ran::TooSlow | Ran::Failed(_) => Remarks::default(),
            };
            new.extend(found.new_since(&known).into_iter().map(|said| format!("{name}: {said}")));
        }
    }
    progress.done(&format!("{ran} scripts"));
    let mut looked_at = format!("{} files with {ran} scripts", files.len());
    if !slow.is_empty() {
        looked_at += &format!("; too slow and left out: {}", slow.join(", "));
    }
    if !failed.is_empty() {
        looked_at += &format!("; could not be run: {}", failed.join(", "));
    }
    if ran == 0 {
        new.push(format!("no script could be run: {looked_at}"));
    }
    Ok(Finding::of(&new, looked_at))
}

/// What came of one script.
enum Ran {
    /// It said this.
    Said(Remarks),
    /// It takes too long.
    TooSlow,
    /// spatch refuses it, as its OCaml or Python parts need what is not installed.
    Failed(String),
}

/// The scripts that have a mode `report`.
fn scripts(tree: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut scripts = Vec::new();
    let mut folders = vec![tree.join("scripts/coccinelle")];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8()? {
            let path = entry?.into_path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some("cocci") {
                let text = String::from_utf8_lossy(&fs_err::read(&path)?).into_owned();
                if text.lines().any(is_report) {
                    scripts.push(path);
                }
            }
        }
    }
    scripts.sort();
    Ok(scripts)
}

fn is_report(line: &str) -> bool {
    line.trim_start().starts_with("virtual")
        && line.split([' ', ',']).any(|word| word.trim() == "report")
}

/// The options that a script asks to be called with.
fn options(script: &str) -> Vec<&str> {
    let asked = script.lines().find_map(|line| {
        line.trim_start_matches('/').trim_start_matches('#').trim().strip_prefix("Options:")
    });
    asked.unwrap_or_default().split_whitespace().collect()
}

/// Runs `script`.
fn spatch(desk: &Desk<'_>, tree: &Utf8Path, script: &Utf8Path, files: &[&String]) -> Result<Ran> {
    let text = String::from_utf8_lossy(&fs_err::read(script)?).into_owned();
    let name = script.file_stem().unwrap_or_default();
    let files = files.iter().filter(|file| tree.join(file.as_str()).is_file());
    let flags = ["-D", "report", "--very-quiet", "--no-show-diff", "--cocci-file"];
    let spatch = cmd!(desk.context.sh, "spatch {flags...} {script}");
    let mut spatch = Command::from(spatch.args(options(&text)));
    spatch.args(["-I", "include", "-I", "arch/arm64/include", "-I", "include/uapi"]);
    spatch.args(files).current_dir(tree);
    match desk.output(&format!("coccinelle {name}"), spatch, LIMIT) {
        Ok((Some(0), text)) => Ok(Ran::Said(Remarks::parse_plain(&text, tree.as_str()))),
        Ok((_, text)) => Ok(Ran::Failed(text.lines().last().unwrap_or("no message").to_owned())),
        Err(error) if matches!(error.downcast_ref(), Some(Failure::TimeLimit(_))) => {
            Ok(Ran::TooSlow)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_how_it_is_to_be_called() {
        let script =
            "/// Find.\n// Confidence: High\n// Options: --no-includes --include-headers\n";
        assert_eq!(options(script), ["--no-includes", "--include-headers"]);
        assert_eq!(options("//\n"), [""; 0]);
        assert!(is_report("virtual patch, context, org, report"));
        assert!(is_report("virtual report"));
        assert!(!is_report("@r depends on report@"));
        assert!(!is_report("virtual patch"));
    }
}
