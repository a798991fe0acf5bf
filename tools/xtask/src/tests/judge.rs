// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a case must have come to. Pure; an `Err` says what is wrong.

use std::collections::BTreeSet;

use bringup_model::results::Run;
use bringup_model::timeline::Outcome;

/// What a judgement comes to.
pub type Judgement = Result<(), String>;

/// A command must end with `expected` and have said all of `words`.
pub fn exit(code: Option<i32>, output: &str, expected: i32, words: &[&str]) -> Judgement {
    let said = || output.trim_end().lines().rev().take(6).collect::<Vec<_>>();
    let last = || said().into_iter().rev().collect::<Vec<_>>().join("\n");
    if code != Some(expected) {
        let found = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
        return Err(format!("ended with {found} instead of {expected}:\n{}", last()));
    }
    match words.iter().find(|word| !output.contains(**word)) {
        Some(word) => Err(format!("does not say `{word}`:\n{}", last())),
        None => Ok(()),
    }
}

/// The boot must have gone well.
pub fn healthy(run: &Run) -> Judgement {
    match &run.failure {
        None => Ok(()),
        Some(failure) => {
            let tail = failure.console_tail.join("\n  | ");
            let tail = if tail.is_empty() { tail } else { format!("\n  | {tail}") };
            Err(format!("{}: {}{tail}", failure.kind, failure.detail))
        }
    }
}

/// Exactly `online` must be up, and whoever is not must have the outcome `others`.
pub fn up(run: &Run, online: impl IntoIterator<Item = u32>, others: &Outcome) -> Judgement {
    let online: BTreeSet<u32> = online.into_iter().collect();
    for cpu in &run.per_cpu {
        let is_right = match (&cpu.outcome, online.contains(&cpu.cpu)) {
            (Outcome::Boot, _) => cpu.cpu == 0,
            (outcome, true) => *outcome == Outcome::Online,
            (outcome, false) => outcome == others,
        };
        if !is_right {
            let expected = if online.contains(&cpu.cpu) { "online" } else { &others.to_string() };
            return Err(format!("CPU {} is {} instead of {expected}", cpu.cpu, cpu.outcome));
        }
    }
    let expected = usize::try_from(run.cpus).unwrap_or(usize::MAX);
    match run.per_cpu.len() {
        found if found == expected => Ok(()),
        found => Err(format!("the timeline has {found} CPUs instead of {expected}")),
    }
}

/// The kernel must have used this mode.
pub fn mode(run: &Run, parallel: bool) -> Judgement {
    if run.parallel == Some(parallel) {
        return Ok(());
    }
    let found = run.parallel.map_or("-".to_owned(), |found| u8::from(found).to_string());
    Err(format!("the timeline says parallel={found} instead of {}", u8::from(parallel)))
}

/// The timeline's total must lie within that of the log, which is coarser.
pub fn totals_agree(run: &Run) -> Judgement {
    /// The log's two stamps are cut to microseconds.
    const GRAIN: u64 = 1_000;
    match (run.bringup_ns, run.smp_ns) {
        (_, None) => Err("the log has no time between its two smp: lines".to_owned()),
        (Some(timeline), Some(log)) if timeline > log + GRAIN => Err(format!(
            "the bring-up took {timeline} ns by the timeline, but only {log} ns by the log"
        )),
        _ => Ok(()),
    }
}

/// Two runs of the same must take the same time, to 0.1 %.
pub fn repeats(first: Option<u64>, second: Option<u64>) -> Judgement {
    let (Some(first), Some(second)) = (first, second) else {
        return Err("a run has no time by the timeline".to_owned());
    };
    if first.abs_diff(second) <= first / 1000 {
        return Ok(());
    }
    Err(format!("took {first} ns and then {second} ns, which differ by more than 0.1 %"))
}

/// The text, named `what`, must hold `words`.
pub fn says(what: &str, text: Option<&str>, words: &str) -> Judgement {
    match text {
        None => Err(format!("there is no {what}")),
        Some(text) if text.contains(words) => Ok(()),
        Some(_) => Err(format!("{what} does not say `{words}`")),
    }
}

/// A build must have ended well and without a warning.
pub fn warning_free(code: Option<i32>, output: &str) -> Judgement {
    exit(code, output, 0, &[])?;
    match output.lines().find(|line| line.to_ascii_lowercase().contains("warning")) {
        Some(line) => Err(format!("warns: {line}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bringup_model::results::{Clock, Failure, Setup};
    use bringup_model::timeline::Timeline;

    use super::*;

    const TIMELINE: &str = "\
# cpu_bringup timeline v1 unit=ns parallel=1 window=all
cpu\tmpidr\tnode\tkick\tkicked\tentry\talive\trelease\tstarting\tonline\tactive\toutcome
0\t0x0\t0\t-\t-\t-\t-\t-\t-\t-\t-\tboot
1\t0x1\t0\t1\t2\t3\t4\t5\t6\t7\t5000\tonline
2\t0x2\t0\t-\t-\t-\t-\t-\t-\t-\t-\tnot-kicked
";

    fn run() -> Run {
        let setup = Setup {
            arm: "p1".to_owned(),
            cpus: 3,
            parallel: None,
            window: None,
            accel: "tcg".to_owned(),
            clock: Clock::Icount,
            firmware: None,
        };
        Run::new(setup).with_timeline(&Timeline::parse(TIMELINE).unwrap())
    }

    fn errors(judgements: impl IntoIterator<Item = Judgement>) -> String {
        let texts = judgements.into_iter().map(|judgement| judgement.unwrap_err());
        texts.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_right_passes() {
        let mut run = run();
        run.smp_ns = Some(4_000);
        exit(Some(2), "error: so\n", 2, &["so"]).unwrap();
        healthy(&run).unwrap();
        up(&run, 0..2, &Outcome::NotKicked).unwrap();
        mode(&run, true).unwrap();
        totals_agree(&run).unwrap();
        repeats(Some(100_000), Some(100_100)).unwrap();
        says("log", Some("a b"), "b").unwrap();
        warning_free(Some(0), "CC x\n").unwrap();
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut run = run();
        let no_log = totals_agree(&run);
        run.smp_ns = Some(3_000);
        let failure = Failure {
            kind: "panic".to_owned(),
            detail: "no init".to_owned(),
            console_tail: vec!["one".to_owned(), "two".to_owned()],
        };
        let failed = run.clone().with_failure(failure);
        let mut few = run.clone();
        few.cpus = 4;
        insta::assert_snapshot!(errors([
            exit(Some(1), "one\ntwo\n", 2, &[]),
            exit(None, "", 2, &[]),
            exit(Some(2), "error: no\n", 2, &["yes"]),
            healthy(&failed),
            up(&run, 0..3, &Outcome::NotKicked),
            up(&run, 0..2, &Outcome::Offline),
            up(&run, 0..1, &Outcome::NotKicked),
            up(&few, 0..2, &Outcome::NotKicked),
            mode(&run, false),
            no_log,
            totals_agree(&run),
            repeats(Some(100_000), Some(100_101)),
            repeats(None, Some(1)),
            says("log", None, "b"),
            says("log", Some("a"), "b"),
            warning_free(Some(0), "x\nWARNING: y\n"),
        ]), @r"
        ended with exit code 1 instead of 2:
        one
        two
        ended with a signal instead of 2:

        does not say `yes`:
        error: no
        panic: no init
          | one
          | two
        CPU 2 is not-kicked instead of online
        CPU 2 is not-kicked instead of offline
        CPU 1 is online instead of not-kicked
        the timeline has 3 CPUs instead of 4
        the timeline says parallel=1 instead of 0
        the log has no time between its two smp: lines
        the bring-up took 4999 ns by the timeline, but only 3000 ns by the log
        took 100000 ns and then 100101 ns, which differ by more than 0.1 %
        a run has no time by the timeline
        there is no log
        log does not say `b`
        warns: WARNING: y
        ");
    }
}
