// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask report`: results for people to look at.

use anyhow::{Context as _, Result};
use bringup_model::published;
use bringup_model::render::report::csv::{Lines, csv};
use bringup_model::render::report::html::page;
use bringup_model::render::report::markdown::markdown;
use bringup_model::render::report::picture::picture;
use bringup_model::render::report::{Mode, Report as Contents, Source, merge};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use crate::context::Context;
use crate::error::Failure;
use crate::output;

/// Show results: as a page for a browser, or as text, figures or one file
///
/// The page needs nothing else, not even a network. Runs of the same number of CPUs, accelerator
/// and clock are shown side by side, also those of several files.
#[derive(Debug, Args)]
pub struct Report {
    /// Results files, as `--json` of other verbs writes them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Utf8PathBuf>,
    /// What to write: a page, Markdown for a mail, all files as one, a line per phase or CPU, or
    /// the picture of the timelines
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write to this file [default: report.html among the results; other formats: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
    /// The files are of the same measurement at several times: show the last, and the trend
    #[arg(long)]
    trend: bool,
    /// What a line of CSV is about
    #[arg(long, value_enum, default_value_t)]
    lines: LineKind,
    /// Leave out what others have published
    #[arg(long)]
    no_published: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Html,
    Md,
    Json,
    Csv,
    Svg,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum LineKind {
    #[default]
    Phases,
    Cpus,
}

impl Report {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        let names = names(&self.files);
        let mut sources = Vec::new();
        for (file, name) in self.files.iter().zip(&names) {
            sources.extend(read(file, name)?);
        }
        if sources.iter().all(|source| source.results.runs.is_empty()) {
            return Err(Failure::Usage("there is no run in these files".to_owned()).into());
        }
        let published = if self.no_published { Vec::new() } else { published::all()? };
        let mode = if self.trend { Mode::Trend } else { Mode::Compare };
        let contents = Contents::new(&sources, mode, &published);
        let text = match self.format {
            Format::Html => page(&contents).context("cannot make the page")?,
            Format::Md => markdown(&contents),
            Format::Svg => picture(&contents)
                .ok_or_else(|| Failure::Usage("no run in these files has a timeline".to_owned()))?,
            Format::Json => merge::json(&sources)?,
            Format::Csv => csv(
                &contents,
                match self.lines {
                    LineKind::Phases => Lines::Phases,
                    LineKind::Cpus => Lines::Cpus,
                },
            )?,
        };
        let file = match (self.output, self.format) {
            (Some(file), _) => file,
            (None, Format::Html) => context.output.join("report.html"),
            (None, _) => {
                return output::print(&text);
            }
        };
        output::write(&file, &text)?;
        println!("report: {file}");
        Ok(())
    }
}

fn read(file: &Utf8Path, name: &str) -> Result<Vec<Source>, Failure> {
    let text = fs_err::read_to_string(file).map_err(|error| Failure::Usage(error.to_string()))?;
    Source::read(name, &text)
        .map_err(|error| Failure::Usage(format!("{file}: {:#}", anyhow::Error::from(error))))
}

/// Names that tell the files apart: the shortest ends of their paths that are all different.
fn names(files: &[Utf8PathBuf]) -> Vec<String> {
    let deepest = files.iter().map(|file| file.components().count()).max().unwrap_or(1);
    let ends = |depth: usize| -> Vec<String> {
        let end = |file: &Utf8PathBuf| {
            let file = file.with_extension("");
            let parts: Vec<&str> = file.components().map(|part| part.as_str()).collect();
            parts[parts.len().saturating_sub(depth)..].join("/")
        };
        files.iter().map(end).collect()
    };
    let distinct = |names: &Vec<String>| {
        let mut names = names.clone();
        names.sort_unstable();
        names.windows(2).all(|pair| pair[0] != pair[1])
    };
    (1..=deepest).map(ends).find(distinct).unwrap_or_else(|| ends(deepest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_what_they_differ_in() {
        let of =
            |files: &[&str]| names(&files.iter().map(|file| (*file).into()).collect::<Vec<_>>());
        assert_eq!(of(&["a/results.json"]), ["results"]);
        assert_eq!(of(&["x/a/r.json", "x/b/r.json"]), ["a/r", "b/r"]);
        assert_eq!(of(&["r.json", "r.json"]), ["r", "r"]);
        assert_eq!(of(&["r.json", "a/r.json"]), ["r", "a/r"]);
    }
}
