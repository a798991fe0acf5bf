// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Programs that the job has us run.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

/// Where programs find others.
const SEARCH_PATH: &str = "/bin";

/// Where the output of the program that runs is collected.
const OUTPUT: &str = "/output";

/// How often we look whether it has ended. Seldom, as it may be measuring something.
const LOOK: Duration = Duration::from_millis(500);

/// Runs `program` and returns how it ended and what it said. An error is that it could not be run.
pub fn run(program: &str, arguments: &[String], limit_ms: u64) -> Result<(Result<String>, String)> {
    let output = fs_err::File::create(OUTPUT)?.into_file();
    let errors = output.try_clone().context("cannot duplicate the output's file handle")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", SEARCH_PATH)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let start = Instant::now();
    let limit = Duration::from_millis(limit_ms);
    let status = loop {
        match child.try_wait().with_context(|| format!("cannot wait for {program}"))? {
            Some(status) => break Some(status),
            None if start.elapsed() >= limit => {
                // Its children die with it if it has seen to that; the power off ends all others.
                child.kill().and_then(|()| child.wait()).context("cannot kill it")?;
                break None;
            }
            None => std::thread::sleep(LOOK),
        }
    };
    let said = String::from_utf8_lossy(&fs_err::read(OUTPUT)?).into_owned();
    let last: Vec<&str> = said.lines().rev().take(8).collect();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    let result = match status {
        Some(status) if status.success() => Ok(status.to_string()),
        Some(status) => Err(anyhow!("{program}: {status}:\n{last}")),
        None => Err(anyhow!("{program}: killed after {limit_ms} ms:\n{last}")),
    };
    Ok((result, said))
}
