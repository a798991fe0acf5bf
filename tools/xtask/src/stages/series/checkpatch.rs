// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's own judgement of a patch: `scripts/checkpatch.pl --strict`.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use camino::Utf8Path;
use xshell::cmd;

use super::{Desk, Finding};
use crate::host;
use crate::stages::apply::{Exception, Series};

/// A long patch takes some seconds.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Runs the script of `tree` over every patch of `series`.
pub fn check(desk: &Desk<'_>, tree: &Utf8Path, series: &Series) -> Result<Finding> {
    if !host::has("perl") {
        return Ok(Finding::Needs("perl".to_owned()));
    }
    let script = tree.join("scripts/checkpatch.pl");
    let options = ["--strict", "--terse", "--show-types", "--color=never"];
    let mut remarks = Vec::new();
    let mut without = "";
    for patch in &series.patches {
        let perl = cmd!(desk.context.sh, "perl {script} {options...} --root={tree}");
        let mut perl = Command::from(perl.arg(&patch.path));
        perl.current_dir(tree);
        let (code, text) = desk.output(&format!("checkpatch {}", patch.name()), perl, LIMIT)?;
        let found = parse(&text, &series.dir);
        // It says nothing about a patch that is clean.
        let is_plausible = match code {
            Some(0) => true,
            Some(1) => !found.is_empty(),
            _ => false,
        };
        if !is_plausible {
            let name = patch.name();
            return Ok(Finding::Wrong(format!("{name}: checkpatch ended with {code:?}:\n{text}")));
        }
        remarks.extend(found);
        // The script asks another one about licences, and goes on without it.
        if text.contains("No module named 'ply'") {
            without = "; SPDX tags were not checked: that needs python3-ply";
        }
    }
    let (problems, excepted) = judge(&remarks, &series.exceptions);
    let count = series.patches.len();
    Ok(Finding::of(
        &problems,
        format!("{count} patches, {excepted} remarks excepted by series.toml{without}"),
    ))
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Remark {
    /// The patch's file name.
    patch: String,
    /// As `LINE: SEVERITY:TYPE: text`.
    text: String,
    kind: String,
}

/// The lines `FILE:LINE: SEVERITY:TYPE: text` about files in `dir`.
fn parse(text: &str, dir: &Utf8Path) -> Vec<Remark> {
    let prefix = format!("{dir}/");
    let remark = |line: &str| {
        let (patch, rest) = line.strip_prefix(&prefix)?.split_once(':')?;
        let (_, said) = rest.split_once(": ")?;
        let kind = said.split(':').nth(1).filter(|kind| {
            !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        })?;
        Some(Remark { patch: patch.to_owned(), text: rest.to_owned(), kind: kind.to_owned() })
    };
    text.lines().filter_map(remark).collect()
}

/// What is wrong, and how many remarks are excepted. An exception without a remark is wrong, too:
/// the next reader would look for what it is about.
fn judge(remarks: &[Remark], exceptions: &[Exception]) -> (Vec<String>, usize) {
    let covers = |exception: &Exception, remark: &Remark| {
        exception.kind == remark.kind
            && exception
                .patch
                .as_ref()
                .is_none_or(|number| remark.patch.starts_with(&format!("{number}-")))
    };
    let (excepted, rest): (Vec<&Remark>, Vec<&Remark>) = remarks
        .iter()
        .partition(|remark| exceptions.iter().any(|exception| covers(exception, remark)));
    let mut problems: Vec<String> =
        rest.iter().map(|remark| format!("{}:{}", remark.patch, remark.text)).collect();
    for exception in exceptions {
        if !remarks.iter().any(|remark| covers(exception, remark)) {
            let of = exception.patch.as_ref().map_or(String::new(), |patch| format!(" of {patch}"));
            problems.push(format!(
                "series.toml: the exception {}{of} matches nothing that checkpatch says",
                exception.kind
            ));
        } else if exception.reason.trim().is_empty() {
            problems.push(format!("series.toml: the exception {} has no reason", exception.kind));
        }
    }
    (problems, excepted.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
/p/v7.3/0001-a.patch:46: WARNING:FILE_PATH_CHANGES: added, moved or deleted file(s)
total: 0 errors, 1 warnings, 0 checks, 375 lines checked
/p/v7.3/0002-b.patch:9: CHECK:LONG_LINE: line length of 105 exceeds 100 columns
total: 0 errors, 0 warnings, 1 checks, 5 lines checked
";

    fn exception(kind: &str, patch: Option<&str>, reason: &str) -> Exception {
        let (kind, reason) = (kind.to_owned(), reason.to_owned());
        Exception { kind, patch: patch.map(str::to_owned), reason }
    }

    #[test]
    fn only_what_is_argued_is_excepted() {
        let remarks = parse(TEXT, "/p/v7.3".into());
        assert_eq!(remarks.len(), 2);
        assert_eq!(judge(&remarks, &[]).0.len(), 2);
        let exceptions = [
            exception("FILE_PATH_CHANGES", None, "so"),
            exception("LONG_LINE", Some("0001"), "so"),
            exception("FILE_PATH_CHANGES", Some("0001"), " "),
        ];
        let (problems, excepted) = judge(&remarks, &exceptions);
        assert_eq!(excepted, 1);
        insta::assert_snapshot!(problems.join("\n"), @r"
            0002-b.patch:9: CHECK:LONG_LINE: line length of 105 exceeds 100 columns
            series.toml: the exception LONG_LINE of 0001 matches nothing that checkpatch says
            series.toml: the exception FILE_PATH_CHANGES has no reason
        ");
    }
}
