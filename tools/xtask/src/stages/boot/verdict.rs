// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What came of a boot. Pure: judges what the run left behind.
//!
//! Success needs the guest's explicit word that all was done; silence is failure.

use std::fmt;
use std::time::Duration;

use bringup_model::console;
use guest_protocol::{Job, Report, VERSION, parse_reports};

use crate::error::Failure;
use crate::process::End;

/// How many of the console's last lines a failure shows.
const TAIL_LINES: usize = 25;

/// What came of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every step was done and the guest said so.
    Pass,
    /// Anything else.
    Fail(BootFailure),
}

/// Why a boot failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFailure {
    /// Which kind of failure.
    pub kind: Kind,
    /// What happened, for people.
    pub detail: String,
    /// The console's last lines.
    pub console_tail: Vec<String>,
}

impl BootFailure {
    /// The failure as an error of a verb, with the exit code of its kind.
    pub fn to_failure(&self, label: &str) -> Failure {
        let text = format!("{label}: {}: {}", self.kind, self.detail);
        match self.kind {
            Kind::Hang => Failure::TimeLimit(text),
            _ => Failure::Check(text),
        }
    }
}

/// The kinds of failure that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The console shows trouble.
    Console(console::Kind),
    /// The time limit passed and the console shows no cause.
    Hang,
    /// QEMU ended with an error.
    Qemu,
    /// QEMU ended, and the guest program had not said a word.
    NeverReported,
    /// The guest program stopped before all was done, or said what cannot be understood.
    Incomplete,
    /// The guest did everything, and a step ended otherwise than expected.
    Step,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Console(kind) => kind.name(),
            Self::Hang => "hang",
            Self::Qemu => "qemu",
            Self::NeverReported => "never-reported",
            Self::Incomplete => "incomplete",
            Self::Step => "step",
        })
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// What the guest was to do.
    pub job: &'a Job,
    /// How QEMU ended.
    pub end: End,
    /// The time limit that it had.
    pub limit: Duration,
    /// What QEMU itself printed.
    pub qemu_log: &'a str,
    /// The console.
    pub console: &'a str,
    /// What came through the report port.
    pub reports: &'a str,
}

/// The lines of `reports` before the second greeting, which is that of another kernel's guest, and
/// those from there on.
pub fn of_second(reports: &str) -> Option<(&str, &str)> {
    let greets = |line: &str| matches!(serde_json::from_str(line), Ok(Report::Hello { .. }));
    let mut position = 0;
    let mut greetings = 0;
    for line in reports.split_inclusive('\n') {
        if greets(line) {
            greetings += 1;
            if greetings == 2 {
                return Some(reports.split_at(position));
            }
        }
        position += line.len();
    }
    None
}

/// Judges a run. Also returns the reports that could be read.
pub fn judge(evidence: &Evidence<'_>) -> (Verdict, Vec<Report>) {
    // A last line without its end is still under way, or was cut off: never a report.
    let complete = evidence.reports.rfind('\n').map_or("", |end| &evidence.reports[..end]);
    let (reports, garbled) = match parse_reports(complete) {
        Ok(reports) => (reports, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let verdict = match cause(evidence, &reports, garbled) {
        None => Verdict::Pass,
        Some((kind, mut detail)) => {
            if evidence.console.trim().is_empty() && kind != Kind::Qemu {
                detail += "; the console is empty: boot again with --append \
                           earlycon=pl011,0x9000000 to see what it says before the console works";
            }
            let console_tail = console::tail(evidence.console, TAIL_LINES);
            Verdict::Fail(BootFailure { kind, detail, console_tail })
        }
    };
    (verdict, reports)
}

/// The first of these that holds. What the console shows comes first, as it is the cause of most of
/// the others.
fn cause(
    evidence: &Evidence<'_>,
    reports: &[Report],
    garbled: Option<String>,
) -> Option<(Kind, String)> {
    let timed_out = evidence.end == End::TimedOut;
    if let Some(finding) = console::classify(evidence.console) {
        let mut detail = format!("line {} of the console: {}", finding.line, finding.text);
        if timed_out {
            detail += &format!("; killed at the time limit of {:?}", evidence.limit);
        }
        return Some((Kind::Console(finding.kind), detail));
    }
    let progress = progress(evidence.job, reports);
    if timed_out {
        return Some((Kind::Hang, format!("no end within {:?}: {progress}", evidence.limit)));
    }
    match evidence.end {
        End::Exited(status) if status.success() => {}
        End::Exited(status) => {
            return Some((Kind::Qemu, format!("{status}: {}", qemu_error(evidence.qemu_log))));
        }
        End::Stopped | End::TimedOut => {
            return Some((Kind::Qemu, "was stopped before it ended".to_owned()));
        }
    }
    if let Some(garbled) = garbled {
        return Some((Kind::Incomplete, garbled));
    }
    match reports.first() {
        None => return Some((Kind::NeverReported, format!("QEMU ended; {progress}"))),
        Some(Report::Hello { version }) if *version == VERSION => {}
        Some(first) => {
            return Some((
                Kind::Incomplete,
                format!("first report is {first:?}, not Hello of version {VERSION}"),
            ));
        }
    }
    if let Some(Report::Failed { detail }) =
        reports.iter().find(|report| matches!(report, Report::Failed { .. }))
    {
        return Some((Kind::Incomplete, detail.clone()));
    }
    if reports.last() != Some(&Report::Done) {
        return Some((Kind::Incomplete, format!("QEMU ended; {progress}")));
    }
    let (reported, expected) = (steps(reports).count(), evidence.job.steps.len());
    if reported != expected {
        return Some((Kind::Incomplete, format!("{reported} of {expected} steps were reported")));
    }
    let failed: Vec<String> = steps(reports)
        .filter(|(_, ok, _)| !ok)
        .map(|(index, _, detail)| {
            let action = evidence
                .job
                .steps
                .get(index)
                .map(|step| step.action.to_string())
                .unwrap_or_default();
            format!("step {index} ({action}): {detail}")
        })
        .collect();
    (!failed.is_empty()).then(|| (Kind::Step, failed.join("; ")))
}

fn steps(reports: &[Report]) -> impl Iterator<Item = (usize, bool, &str)> {
    reports.iter().filter_map(|report| match report {
        Report::Step { index, ok, detail, .. } => Some((*index, *ok, detail.as_str())),
        _ => None,
    })
}

/// How far the guest got, in words.
pub fn progress(job: &Job, reports: &[Report]) -> String {
    if reports.is_empty() {
        return "the guest program has not reported anything".to_owned();
    }
    if reports.last() == Some(&Report::Done) {
        return "the guest has done everything, but not powered off".to_owned();
    }
    let done = steps(reports).count();
    match job.steps.get(done) {
        Some(step) => {
            format!("the guest was at step {done} of {} ({})", job.steps.len(), step.action)
        }
        None => "the guest did every step, but did not say that it is done".to_owned(),
    }
}

/// QEMU's last words, explained where they are known to puzzle.
fn qemu_error(log: &str) -> String {
    let words = console::tail(log, 5).join("\n");
    if words.is_empty() {
        return "QEMU said nothing".to_owned();
    }
    if words.contains("GICv3") || words.contains("gic-version") {
        return format!(
            "{words} (this host's KVM offers no GICv3, and a GICv2 ends at 8 CPUs: use --accel tcg)"
        );
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_kernel_begins_with_its_greeting() {
        let hello = Report::Hello { version: VERSION }.to_line().unwrap();
        let done = Report::Done.to_line().unwrap();
        let reports = format!("{hello}{done}{hello}{done}");
        let one = format!("{hello}{done}");
        assert_eq!(of_second(&reports), Some((one.as_str(), one.as_str())));
        assert_eq!(of_second(&format!("{hello}{done}")), None);
    }
    use guest_protocol::Action;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    fn job() -> Job {
        Job { steps: vec![Action::Offline { cpu: 1 }.into(), Action::Online { cpu: 1 }.into()] }
    }

    fn judged(end: End, qemu_log: &str, console: &str, reports: &[Report], rest: &str) -> String {
        let mut text: String = reports.iter().map(|report| report.to_line().unwrap()).collect();
        text.push_str(rest);
        let job = job();
        let limit = Duration::from_secs(5);
        let evidence = Evidence { job: &job, end, limit, qemu_log, console, reports: &text };
        match judge(&evidence).0 {
            Verdict::Pass => "pass".to_owned(),
            Verdict::Fail(failure) => {
                let failure = failure.to_failure("x");
                format!("{} {failure}", failure.code())
            }
        }
    }

    fn step(index: usize, ok: bool) -> Report {
        Report::Step { index, ok, detail: "why".into(), elapsed_ns: 1 }
    }

    #[test]
    fn each_way_to_fail_is_told_from_the_others() {
        let exited = End::Exited(ExitStatus::from_raw(0));
        let hello = Report::Hello { version: VERSION };
        let all = [hello.clone(), step(0, true), step(1, true), Report::Done];
        let panic = "ok\n[    1.0] Kernel panic - not syncing: no init\n";
        let texts = [
            judged(exited, "", "ok", &all, ""),
            judged(exited, "", panic, &[], ""),
            judged(End::TimedOut, "", panic, &[], ""),
            judged(exited, "", "[ 1.0] WARNING: kernel/x.c:1 at y", &all, ""),
            judged(End::TimedOut, "", "", &[], ""),
            judged(End::TimedOut, "", "ok", &all[..2], ""),
            judged(End::TimedOut, "", "ok", &all, ""),
            judged(End::Exited(ExitStatus::from_raw(1 << 8)), "qemu: no memory\n", "", &[], ""),
            judged(End::Exited(ExitStatus::from_raw(11)), "", "", &[], ""),
            judged(exited, "", "ok", &[], ""),
            judged(exited, "", "ok", &all[..1], "{\"report\":\"do"),
            judged(exited, "", "ok", &all[..1], "rubbish\n"),
            judged(exited, "", "ok", &[Report::Hello { version: 0 }, Report::Done], ""),
            judged(exited, "", "ok", &[hello.clone(), Report::Failed { detail: "y".into() }], ""),
            judged(exited, "", "ok", &[hello.clone(), step(0, true), Report::Done], ""),
            judged(exited, "", "ok", &[hello, step(0, false), step(1, true), Report::Done], ""),
        ];
        insta::assert_snapshot!(texts.join("\n"), @r"
        pass
        1 x: panic: line 2 of the console: [    1.0] Kernel panic - not syncing: no init
        1 x: panic: line 2 of the console: [    1.0] Kernel panic - not syncing: no init; killed at the time limit of 5s
        1 x: warning: line 1 of the console: [ 1.0] WARNING: kernel/x.c:1 at y
        124 x: hang: no end within 5s: the guest program has not reported anything; the console is empty: boot again with --append earlycon=pl011,0x9000000 to see what it says before the console works
        124 x: hang: no end within 5s: the guest was at step 1 of 2 (bring CPU 1 up)
        124 x: hang: no end within 5s: the guest has done everything, but not powered off
        1 x: qemu: exit status: 1: qemu: no memory
        1 x: qemu: signal: 11 (SIGSEGV): QEMU said nothing
        1 x: never-reported: QEMU ended; the guest program has not reported anything
        1 x: incomplete: QEMU ended; the guest was at step 0 of 2 (take CPU 1 off)
        1 x: incomplete: line 2 of the reports, `rubbish`: expected value at line 1 column 1
        1 x: incomplete: first report is Hello { version: 0 }, not Hello of version 1
        1 x: incomplete: y
        1 x: incomplete: 1 of 2 steps were reported
        1 x: step: step 0 (take CPU 1 off): why
        ");
    }
}
