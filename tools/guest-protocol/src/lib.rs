// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the host asks of the guest program, and what it answers.
//!
//! The host packs a [`Job`] as `/job.json` into the initramfs. The guest carries its steps out in
//! order, the later ones also when an earlier one has failed, and writes one [`Report`] per line of
//! JSON to the virtio-serial port [`PORT`]. Only [`Report::Done`] means that all of it was done:
//! silence is failure.

use serde::{Deserialize, Serialize};

/// Raised with every change that an older peer would misunderstand.
pub const VERSION: u32 = 1;

/// Name of the virtio-serial port on which the reports leave the guest.
pub const PORT: &str = "org.kernel.cpu-bringup.report";

/// Where the guest program finds its job.
pub const JOB_PATH: &str = "/job.json";

/// A folder of modules that the guest program loads before all else, in the order of their names:
/// those without which the port cannot be reached on a kernel that is not of ours.
pub const MODULES_PATH: &str = "/modules";

/// What the guest shall do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// In this order.
    pub steps: Vec<Step>,
}

/// One action and how it is expected to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
    /// How it must end for the step to be in order.
    #[serde(default, skip_serializing_if = "Expect::is_success")]
    pub expect: Expect,
}

impl From<Action> for Step {
    fn from(action: Action) -> Self {
        Self { action, expect: Expect::Success }
    }
}

/// How an action must end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// Without an error.
    #[default]
    Success,
    /// With an error, e.g. a module that must refuse this kernel.
    Failure,
}

impl Expect {
    fn is_success(&self) -> bool {
        *self == Self::Success
    }
}

/// What the guest can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Load the module in the file `path`.
    LoadModule {
        /// In the guest's file system.
        path: String,
        /// As on the command line of insmod.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        parameters: String,
    },
    /// Unload a module.
    UnloadModule {
        /// As in /proc/modules.
        name: String,
    },
    /// Send a file's content to the host.
    ReadFile {
        /// In the guest's file system.
        path: String,
        /// What the host shall call it.
        name: String,
    },
    /// Send the whole kernel log to the host, in the format of dmesg.
    KernelLog {
        /// What the host shall call it.
        name: String,
    },
    /// Require that a file has this content; white space around it does not count.
    RequireContent {
        /// In the guest's file system.
        path: String,
        /// The whole of it.
        content: String,
    },
    /// Write to a file that exists, e.g. in sysfs.
    WriteFile {
        /// In the guest's file system.
        path: String,
        /// Written in one go.
        content: String,
    },
    /// Mount a file system that has no device; the folder is made if it is not there.
    Mount {
        /// As in /proc/filesystems.
        kind: String,
        /// In the guest's file system.
        target: String,
    },
    /// Run a program. Its output is sent to the host.
    Run {
        /// In the guest's file system.
        program: String,
        /// Without the program's name.
        arguments: Vec<String>,
        /// It is killed after so long.
        limit_ms: u64,
        /// What the host shall call its output, of both kinds.
        name: String,
    },
    /// Take a CPU off through sysfs.
    Offline {
        /// Logical number.
        cpu: u32,
    },
    /// Bring a CPU up through sysfs.
    Online {
        /// Logical number.
        cpu: u32,
    },
    /// Start to hibernate, up to the point that the kernel's pm_test knows by this name, and come
    /// back. The port of the reports is away meanwhile.
    Hibernate {
        /// As in /sys/power/pm_test.
        test: String,
    },
    /// Do nothing for a while.
    Sleep {
        /// How long.
        milliseconds: u64,
    },
    /// Take CPUs off and bring them up again in a loop while another thread loads the module, reads
    /// the files and unloads it, also in a loop. CPUs end online and the module as it was found,
    /// unless the storm fails: then all is left as it is, for the steps that follow to look at.
    Storm {
        /// How often every CPU goes off and on, and the least number of module loads.
        rounds: u32,
        /// Logical numbers of the CPUs.
        cpus: Vec<u32>,
        /// What to load and unload, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        module: Option<Module>,
        /// Files that must be there, readable and not empty, each time the module is loaded.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        read: Vec<String>,
    },
}

/// A module that is loaded and unloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its file in the guest's file system.
    pub path: String,
    /// Its name, as in /proc/modules.
    pub name: String,
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LoadModule { path, .. } => write!(f, "load {path}"),
            Self::UnloadModule { name } => write!(f, "unload {name}"),
            Self::ReadFile { path, .. } => write!(f, "read {path}"),
            Self::KernelLog { .. } => write!(f, "read the kernel log"),
            Self::RequireContent { path, content } => write!(f, "require `{content}` in {path}"),
            Self::WriteFile { path, content } => write!(f, "write `{content}` to {path}"),
            Self::Mount { kind, target } => write!(f, "mount {kind} on {target}"),
            Self::Run { program, arguments, .. } => {
                write!(f, "run {program}")?;
                arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
            }
            Self::Offline { cpu } => write!(f, "take CPU {cpu} off"),
            Self::Online { cpu } => write!(f, "bring CPU {cpu} up"),
            Self::Hibernate { test } => write!(f, "hibernate up to pm_test={test}"),
            Self::Sleep { milliseconds } => write!(f, "sleep for {milliseconds} ms"),
            Self::Storm { rounds, cpus, .. } => {
                write!(f, "storm of {rounds} rounds over {} CPUs", cpus.len())
            }
        }
    }
}

/// What the guest tells, one line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case")]
pub enum Report {
    /// The guest program runs; comes first.
    Hello {
        /// The [`VERSION`] that the guest speaks.
        version: u32,
    },
    /// A file that a step was to send; comes before that step's own report.
    File {
        /// As asked for.
        name: String,
        /// Its content. Bytes that are not UTF-8 are replaced.
        data: String,
    },
    /// A step has ended.
    Step {
        /// Its place in the job, from 0.
        index: usize,
        /// Whether it ended as expected.
        ok: bool,
        /// What came of it: the error, or what was done.
        detail: String,
        /// How long it took by the guest's monotonic clock.
        elapsed_ns: u64,
    },
    /// The job cannot be carried out at all; no step was done.
    Failed {
        /// Why.
        detail: String,
    },
    /// Every step has been reported; comes last.
    Done,
}

impl Report {
    /// The report as a line, newline included.
    pub fn to_line(&self) -> serde_json::Result<String> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        Ok(line)
    }
}

/// Parses what came through the port. The error names the line, from 1.
pub fn parse_reports(text: &str) -> Result<Vec<Report>, String> {
    let mut reports = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match serde_json::from_str(line) {
            Ok(report) => reports.push(report),
            Err(error) => {
                let start: String = line.chars().take(80).collect();
                return Err(format!("line {} of the reports, `{start}`: {error}", index + 1));
            }
        }
    }
    Ok(reports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_reads_as_people_write_it_and_survives_the_way() {
        let text = r#"{"steps": [
            {"do": "load-module", "path": "/cpu_bringup.ko", "expect": "failure"},
            {"do": "offline", "cpu": 3},
            {"do": "storm", "rounds": 2, "cpus": [1, 2],
             "module": {"path": "/m.ko", "name": "m"}, "read": ["/x"]}
        ]}"#;
        let job: Job = serde_json::from_str(text).unwrap();
        assert_eq!(job.steps[0].expect, Expect::Failure);
        assert_eq!(job.steps[1], Action::Offline { cpu: 3 }.into());
        let again: Job = serde_json::from_str(&serde_json::to_string(&job).unwrap()).unwrap();
        assert_eq!(again, job);
    }

    #[test]
    fn reports_survive_the_way_whatever_a_file_holds() {
        let reports = [
            Report::Hello { version: VERSION },
            Report::File { name: "a".into(), data: "x\ty\n\"\u{0}\\ \u{1f980}\n".into() },
            Report::Step { index: 0, ok: false, detail: "no\nway".into(), elapsed_ns: 7 },
            Report::Failed { detail: "why".into() },
            Report::Done,
        ];
        let text: String = reports.iter().map(|report| report.to_line().unwrap()).collect();
        assert_eq!(text.lines().count(), reports.len());
        assert_eq!(parse_reports(&text).unwrap(), reports);
    }

    #[test]
    fn a_torn_report_is_named_by_its_line() {
        let error = parse_reports("{\"report\":\"done\"}\n{\"report\":\"st").unwrap_err();
        assert!(error.starts_with("line 2 of the reports, `{\"report\":\"st`"), "{error}");
    }
}
