// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Long-running children: each in a process group of its own, with a time limit, its output in a
//! file, and dead when we are.
//!
//! Three things make that true. Ctrl-C, SIGTERM and SIGHUP kill every group that is registered
//! here before we exit. `setpriv --pdeathsig` lets the system kill the child should we be killed
//! ourselves without a chance to do so. A time limit kills the group.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited by itself or was killed by somebody else.
    Exited(ExitStatus),
    /// Its time limit passed and it was killed.
    TimedOut,
    /// The caller's watch function asked for its end.
    Stopped,
}

/// What a watch function wants done with the child it looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let it run on.
    Continue,
    /// Kill it now: what it was started for is done or cannot be done any more.
    Stop,
}

/// Makes Ctrl-C, SIGTERM and SIGHUP kill our children before they end us. To be called once.
pub fn install_signal_handler() -> Result<()> {
    ctrlc::set_handler(|| {
        // A poisoned lock still holds the list of groups, which is all that is needed here. It is
        // held to the end, so that no thread starts another child.
        let groups = GROUPS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for &group in groups.iter() {
            kill_group(group);
        }
        std::process::exit(130);
    })
    .context("cannot install the handler for Ctrl-C")
}

fn kill_group(group: i32) {
    if let Some(pid) = Pid::from_raw(group) {
        // An error means that the group has ended already.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// A registered child. Dropping it kills its whole group and reaps it.
struct Group {
    child: Child,
    id: i32,
}

impl Group {
    fn spawn(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        // The lock is held over the start, so that a signal handler cannot miss a new child.
        let mut groups = GROUPS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let child =
            command.process_group(0).spawn().with_context(|| format!("cannot start `{name}`"))?;
        let id = child.id() as i32;
        groups.insert(id);
        Ok(Self { child, id })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        kill_group(self.id);
        let _ = self.child.wait();
        GROUPS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&self.id);
    }
}

/// Wraps `command` so that the system kills it when the thread that starts it ends.
fn die_with_parent(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "KILL", "--"]);
    wrapped.arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(key, value),
            None => wrapped.env_remove(key),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    wrapped
}

/// Runs `command` with no input and with standard output and error in the file `log`, for at most
/// `limit`. `watch` is called about 20 times a second with the time since the start and may end
/// the run or report progress. The child's whole process group is gone when this returns.
pub fn run_logged(
    command: Command,
    log: &Utf8Path,
    limit: Duration,
    watch: impl FnMut(Duration) -> Verdict,
) -> Result<End> {
    run_measured(command, log, limit, watch).map(|(end, _)| end)
}

/// As [`run_logged`]; also returns the CPU time of the child and of those of its children that it
/// has waited for, in steps of 10 ms, if it exited by itself.
pub fn run_measured(
    command: Command,
    log: &Utf8Path,
    limit: Duration,
    mut watch: impl FnMut(Duration) -> Verdict,
) -> Result<(End, Option<Duration>)> {
    if let Some(folder) = log.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let output = fs_err::File::create(log)?.into_file();
    let errors = output.try_clone().context("cannot duplicate the log's file handle")?;
    let mut command = die_with_parent(&command);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);

    let start = Instant::now();
    let mut group = Group::spawn(command)?;
    loop {
        // Its times can be read as long as it has ended but is not yet reaped.
        let cpu_time = has_ended(group.id).then(|| cpu_time(group.id)).flatten();
        if let Some(status) = group.child.try_wait().context("cannot wait for the child")? {
            return Ok((End::Exited(status), cpu_time));
        }
        let elapsed = start.elapsed();
        if elapsed >= limit {
            return Ok((End::TimedOut, None));
        }
        if watch(elapsed) == Verdict::Stop {
            return Ok((End::Stopped, None));
        }
        std::thread::sleep(Duration::from_millis(50).min(limit - elapsed));
    }
}

fn has_ended(id: i32) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Pid::from_raw(id).is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_))))
}

/// User and system time of the process `id`, its threads and its reaped children.
fn cpu_time(id: i32) -> Option<Duration> {
    parse_cpu_time(&fs_err::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// The sum of utime, stime, cutime and cstime: fields 14 to 17 of /proc/PID/stat, in ticks.
fn parse_cpu_time(stat: &str) -> Option<Duration> {
    // The second field, the name in parentheses, may itself hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = 0;
    for index in 11..15 {
        ticks += rest.split_whitespace().nth(index)?.parse::<u64>().ok()?;
    }
    Some(Duration::from_millis(ticks * 1000 / clock_ticks_per_second().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 12 3 4 1 20 0 1 0 55 0 0";
        let ticks = parse_cpu_time(stat).unwrap().as_millis();
        assert_eq!(ticks, u128::from(20 * 1000 / clock_ticks_per_second()));
        assert_eq!(parse_cpu_time("7 (a) S 1"), None);
    }
}
