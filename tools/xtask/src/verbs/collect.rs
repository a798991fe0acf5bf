// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask collect`: results from a machine that has none of these tools.

use std::collections::BTreeMap;
use std::io::Read as _;

use anyhow::Result;
use bringup_model::copied::{self, Copied, Said, Unusable};
use bringup_model::identity;
use bringup_model::joblog;
use bringup_model::render::table::table;
use bringup_model::results::{Results, Run};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::stages::manifest;

/// Make a results file from what was copied from a machine
///
/// On the machine, right after its boot, as root:
///   cat /sys/kernel/debug/cpu_bringup/timeline > timeline
///   dmesg > dmesg
/// A kernel without the timeline offers only the second: the time at which each CPU says that it
/// has booted is then taken from it, and marked as coarse.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Collect {
    /// A copy of /sys/kernel/debug/cpu_bringup/timeline
    #[arg(long, value_name = "FILE", required_unless_present_any = ["dmesg", "job_log"])]
    timeline: Option<Utf8PathBuf>,
    /// The kernel log, from `dmesg` or `journalctl -k -o short-monotonic`
    #[arg(long, value_name = "FILE")]
    dmesg: Option<Utf8PathBuf>,
    /// The log of a job that `ci render` made; it contains both
    #[arg(long, value_name = "FILE", conflicts_with_all = ["timeline", "dmesg"])]
    job_log: Option<Utf8PathBuf>,
    /// What else is known: arm, accel (none, kvm or tcg), firmware, host, or any other key
    #[arg(long, value_name = "KEY=VAL", value_parser = key_value)]
    meta: Vec<(String, String)>,
    /// Write the results to this file
    #[arg(long, value_name = "FILE")]
    json: Option<Utf8PathBuf>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() && !value.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("give it as KEY=VAL".to_owned()),
    }
}

/// The timeline and the kernel log, those of them that are given.
type Files = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Collect {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        let mut meta: BTreeMap<String, String> = self.meta.iter().cloned().collect();
        let said = Said {
            arm: meta.remove("arm"),
            accel: accel(meta.remove("accel"))?,
            firmware: meta.remove("firmware"),
        };
        let (timeline, log) = self.files()?;
        let copied = copied::read(timeline.as_deref(), log.as_deref(), said).map_err(unusable)?;

        for note in &copied.notes {
            eprintln!("note: {note}");
        }
        let results = results(context, copied, meta);
        if let Some(file) = &self.json {
            output::write(file, &results.to_json()?)?;
        }
        put!("{}", table(&results.runs));
        match results.runs.iter().find_map(|run| Some((run, run.failure.as_ref()?))) {
            None => Ok(()),
            Some((Run { arm, .. }, failure)) => {
                let text = format!("{arm}: {}: {}", failure.kind, failure.detail);
                Err(Failure::Check(text).into())
            }
        }
    }
}

impl Collect {
    /// The timeline and the kernel log.
    fn files(&self) -> Result<Files, Failure> {
        if let Some(file) = &self.job_log {
            let text = read("--job-log", file)?;
            let files = joblog::files(&String::from_utf8_lossy(&text)).map_err(unusable)?;
            return Ok((files.timeline, files.log));
        }
        let timeline = self.timeline.as_deref().map(|file| read("--timeline", file)).transpose()?;
        let log = self.dmesg.as_deref().map(|file| read("--dmesg", file)).transpose()?;
        Ok((timeline, log))
    }
}

fn unusable(error: Unusable) -> Failure {
    Failure::Usage(error.to_string())
}

fn accel(given: Option<String>) -> Result<Option<String>, Failure> {
    match given.as_deref() {
        None | Some("none" | "kvm" | "tcg") => Ok(given),
        Some(other) => {
            Err(Failure::Usage(format!("--meta accel={other}: give `none`, `kvm` or `tcg`")))
        }
    }
}

fn read(option: &str, file: &Utf8Path) -> Result<Vec<u8>, Failure> {
    /// A kernel log of hours has a few megabytes.
    const MOST: u64 = 256 << 20;
    let wrong = |text: String| Failure::Usage(format!("{option}: {text}"));
    let mut bytes = Vec::new();
    // By what is read: files that are none, as of a pipe or in /dev, have no length.
    let read =
        fs_err::File::open(file).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes));
    let length = read.map_err(|error| wrong(error.to_string()))?;
    if length as u64 > MOST {
        return Err(wrong(format!("{file} has more than {MOST} bytes, too many for such a file")));
    }
    Ok(bytes)
}

/// The results, with the machine in the place of the host that this runs on.
fn results(context: &Context, copied: Copied, mut meta: BTreeMap<String, String>) -> Results {
    let Copied { run, kernel, build, machine, parameters, .. } = copied;
    let mut manifest = manifest::manifest(context, None, &[]);
    manifest.base.version = kernel.unwrap_or_else(|| "unknown".to_owned());
    manifest.accel.clone_from(&run.accel);
    manifest.qemu = meta.remove("qemu");
    let machine = machine.unwrap_or_else(|| "a machine that the log does not name".to_owned());
    manifest.host = meta.remove("host").unwrap_or_else(|| format!("{machine}, {} CPUs", run.cpus));
    for (key, value) in [(identity::PARAMETERS, parameters), (identity::BUILD, build)] {
        if let Some(value) = value {
            meta.entry(key.to_owned()).or_insert(value);
        }
    }
    manifest.meta = meta;
    Results::new(manifest, vec![run])
}
