// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask report`: results for people to look at.

use anyhow::{Context as _, Result};
use bringup_model::published;
use bringup_model::render::report::csv::{Lines, csv};
use bringup_model::render::report::html::page;
use bringup_model::render::report::markdown::markdown;
use bringup_model::render::report::picture::picture;
use bringup_model::render::report::{Mode, Report as Contents, Source, merge};
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use crate::context::Context;
use crate::error::Failure;
use crate::output;

/// Show results: as a page for a browser, or as text, figures or one file
///
/// The page is self-contained and needs no network. Runs with the same number of CPUs, accelerator
/// and clock are shown side by side, even if they are in different files.
#[derive(Debug, Args)]
pub struct Report {
    /// Results files, as `--json` of other verbs writes them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Utf8PathBuf>,
    /// What to write: a page (html), Markdown for a mail (md), all files as one (json), a line per
    /// phase or CPU (csv), or the picture of the timelines (svg)
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write to this file [default: report.html in the output folder for html, standard output for
    /// the other formats]
    #[arg(long, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
    /// Take the files as one measurement made at several times: show the last, and the trend
    #[arg(long)]
    trend: bool,
    /// What each line of CSV describes
    #[arg(long, value_enum, default_value_t)]
    lines: LineKind,
    /// Leave out figures published by others
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
        each_once(&self.files)?;
        let names = names(&self.files);
        let mut sources = Vec::new();
        for (file, name) in self.files.iter().zip(&names) {
            sources.extend(read(file, name)?);
        }
        no_copies(&sources)?;
        if sources.iter().all(|source| source.results.runs.is_empty()) {
            return Err(Failure::Usage("there are no runs in these files".to_owned()).into());
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
                put!("{text}");
                return Ok(());
            }
        };
        output::write(&file, &text)?;
        say!("report: {file}");
        Ok(())
    }
}

/// Reads a results file, or the parts of a merged one.
pub(super) fn read(file: &Utf8Path, name: &str) -> Result<Vec<Source>, Failure> {
    let text = fs_err::read_to_string(file).map_err(|error| Failure::Usage(error.to_string()))?;
    Source::read(name, &text)
        .map_err(|error| Failure::Usage(format!("{file}: {:#}", anyhow::Error::from(error))))
}

/// Refuses a file that is given twice: its runs would count as twice as many.
fn each_once(files: &[Utf8PathBuf]) -> Result<(), Failure> {
    let real = |file: &Utf8PathBuf| file.canonicalize_utf8().unwrap_or_else(|_| file.clone());
    let mut seen: Vec<Utf8PathBuf> = Vec::new();
    for file in files {
        let real = real(file);
        if seen.contains(&real) {
            return Err(Failure::Usage(format!("{file} is given twice")));
        }
        seen.push(real);
    }
    Ok(())
}

/// Refuses copies, as of a file beside the merged one that it is part of.
fn no_copies(sources: &[Source]) -> Result<(), Failure> {
    let shown = |source: &Source| match source.file == source.name {
        true => source.name.clone(),
        false => format!("{} in {}", source.name, source.file),
    };
    for (number, source) in sources.iter().enumerate() {
        if let Some(other) = sources[..number].iter().find(|other| other.is_copy_of(source)) {
            let text = format!("{} and {} are the same measurement", shown(other), shown(source));
            return Err(Failure::Usage(text));
        }
    }
    Ok(())
}

/// Names that tell the files apart: the shortest ends of their paths that are all different.
fn names(files: &[Utf8PathBuf]) -> Vec<String> {
    let deepest = files.iter().map(|file| file.components().count()).max().unwrap_or(1);
    let ends = |depth: usize| -> Vec<String> {
        let end = |file: &Utf8PathBuf| {
            let file = file.with_extension("");
            // A root is no name.
            let parts = file.components().filter(|part| *part != Utf8Component::RootDir);
            let parts: Vec<&str> = parts.map(|part| part.as_str()).collect();
            parts[parts.len().saturating_sub(depth)..].join("/")
        };
        files.iter().map(end).collect()
    };
    let distinct = |names: &Vec<String>| {
        let mut names = names.clone();
        names.sort_unstable();
        names.windows(2).all(|pair| pair[0] != pair[1])
    };
    let whole = || files.iter().map(Utf8PathBuf::to_string).collect();
    (1..=deepest).map(ends).find(distinct).unwrap_or_else(whole)
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
        assert_eq!(of(&["r.json", "a/r.json"]), ["r", "a/r"]);
        assert_eq!(of(&["/tmp/a/r.json", "/tmp/b/r.json", "/r.json"]), ["a/r", "b/r", "r"]);
        assert_eq!(of(&["a/r.json", "a/r.txt"]), ["a/r.json", "a/r.txt"]);
    }

    #[test]
    fn what_is_given_twice_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let file = folder.join("r.json");
        fs_err::write(&file, "").unwrap();
        assert!(each_once(&[file.clone(), folder.join("s.json")]).is_ok());
        let error = each_once(&[file, folder.join("./r.json")]).unwrap_err();
        assert!(error.to_string().ends_with("r.json is given twice"), "{error}");

        let first = include_str!("../../../model/tests/fixtures/demo-first-form.json");
        let read = |name: &str, text: &str| Source::read(name, text).unwrap();
        let later = first.replace("\"started\": \"20", "\"started\": \"21");
        assert_ne!(later, first);
        let both = [read("a", first), read("b", &later)].concat();
        assert!(no_copies(&both).is_ok());
        let merged = read("all", &merge::json(&both).unwrap());
        let error = no_copies(&[merged, read("b", &later)].concat()).unwrap_err();
        assert_eq!(error.to_string(), "b in all and b are the same measurement");
    }
}
