// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The series' Rust as the kernel's own checks see it: format, clippy, documentation.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use super::{Desk, Finding};
use crate::stages::apply::Tree;
use crate::stages::configure;
use crate::stages::kbuild::Kbuild;

/// Clippy compiles the kernel's crates, two minutes on two cores.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// The preset with Rust that has a build folder of its own for this.
pub const PRESET: &str = "check-rust";

/// The kernel's targets for it: a name and the words for make. Each looks at everything, so only what
/// it says about touched files counts.
pub const CHECKS: [(&str, &[&str]); 3] = [
    ("rustfmtcheck", &["rustfmtcheck"]),
    ("clippy", &["CLIPPY=1", "rust/"]),
    ("rustdoc", &["rustdoc"]),
];

/// Runs one of [`CHECKS`] on `tree` and looks for what it says about `touched`.
pub fn check(
    desk: &Desk<'_>,
    tree: &Tree,
    (name, words): (&str, &[&str]),
    touched: &BTreeSet<String>,
) -> Result<Finding> {
    let files: Vec<&str> =
        touched.iter().map(String::as_str).filter(|file| file.ends_with(".rs")).collect();
    if files.is_empty() {
        return Ok(Finding::Clean("the series has no Rust".to_owned()));
    }
    let configured = configure::run(desk.context, tree, PRESET)?;
    let _lock = desk.context.lock(&configured.lock_name())?;
    let _tree = tree.hold(desk.context)?;
    let mut make = Kbuild::new(desk.context)?.make(tree, &configured.objects);
    let jobs = std::thread::available_parallelism().map_or(1, |jobs| jobs.get());
    make.arg(format!("-j{jobs}"));
    if words != ["rustfmtcheck"] {
        // What is up to date is passed over without a word.
        for crate_file in ["rust/libkernel.rmeta", "rust/kernel.o"] {
            let _ = fs_err::remove_file(configured.objects.join(crate_file));
        }
    }
    make.args(words);
    let (code, text) = desk.output(name, make, LIMIT)?;
    let found = about(&text, &files);
    if code != Some(0) && found.is_empty() {
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        return Ok(Finding::Wrong(format!("make {} failed:\n{tail}", words.join(" "))));
    }
    Ok(Finding::of(&found, format!("{} files", files.len())))
}

/// What the output of rustc, clippy, rustdoc or rustfmt says about `files`.
fn about(output: &str, files: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut message = "";
    for line in output.lines() {
        if line.starts_with("warning") || line.starts_with("error") {
            message = line;
        }
        let Some(file) = files.iter().find(|file| line.contains(*file)) else { continue };
        let place = line.trim_start();
        if place.starts_with("--> ") {
            found.push(format!("{message} ({})", place.trim_start_matches("--> ")));
        } else if place.starts_with("Diff in ") {
            found.push(format!("{file} is not formatted: {place}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_our_files_counts() {
        let output = "\
  RUSTC L rust/kernel.o
warning: unused variable: `x`
  --> /t/rust/kernel/other.rs:3:4
warning: needless borrow
  --> /t/rust/kernel/cpu_bringup.rs:3:4
   |
Diff in /t/rust/kernel/cpu_bringup.rs:12:
";
        insta::assert_snapshot!(about(output, &["rust/kernel/cpu_bringup.rs"]).join("\n"), @r"
            warning: needless borrow (/t/rust/kernel/cpu_bringup.rs:3:4)
            rust/kernel/cpu_bringup.rs is not formatted: Diff in /t/rust/kernel/cpu_bringup.rs:12:
        ");
        assert_eq!(about(output, &["rust/kernel/lib.rs"]), [""; 0]);
    }
}
