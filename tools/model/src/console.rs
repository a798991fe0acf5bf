// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a guest's console says about the health of its kernel.
//!
//! The console is only searched for signs of trouble: results leave the guest on another channel.

/// A kind of trouble, the most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The kernel has given up.
    Panic,
    /// `kernel BUG at`: an assertion of the kernel. Before [`Kind::Oops`], since it names the cause
    /// of the oops that follows it.
    Bug,
    /// A fault in the kernel.
    Oops,
    /// A CPU or a task makes no progress.
    Lockup,
    /// RCU waits for a CPU or a task.
    RcuStall,
    /// KASAN, KCSAN, KFENCE, KMSAN or UBSAN has found something.
    Sanitizer,
    /// Locks, RCU or the context of a call are used against their rules.
    LockdepSplat,
    /// `WARN()` and its like.
    Warning,
}

impl Kind {
    /// Its name in the results file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Bug => "bug",
            Self::Oops => "oops",
            Self::Lockup => "lockup",
            Self::RcuStall => "rcu-stall",
            Self::Sanitizer => "sanitizer",
            Self::LockdepSplat => "lockdep",
            Self::Warning => "warning",
        }
    }

    /// The kind of trouble that `line` shows.
    fn of(line: &str) -> Option<Self> {
        // The last line of a panic or an oops repeats its first.
        if line.contains("---[ end ") {
            return None;
        }
        let has = |signs: &[&str]| signs.iter().any(|sign| line.contains(sign));
        if has(PANIC) {
            Some(Self::Panic)
        } else if has(BUG) {
            Some(Self::Bug)
        } else if has(OOPS) {
            Some(Self::Oops)
        } else if has(LOCKUP) || (line.contains("INFO: task ") && line.contains(" blocked")) {
            Some(Self::Lockup)
        } else if line.contains("rcu") && has(RCU_STALL) {
            Some(Self::RcuStall)
        } else if has(SANITIZER) {
            Some(Self::Sanitizer)
        } else if has(LOCKDEP) {
            Some(Self::LockdepSplat)
        } else if is_bug(line) {
            // What is left of the kernel's own "BUG: ..." lines, as bad page states.
            Some(Self::Bug)
        } else if is_warning(line) {
            Some(Self::Warning)
        } else {
            None
        }
    }
}

const PANIC: &[&str] = &["Kernel panic - not syncing"];
const BUG: &[&str] = &["kernel BUG at "];
const OOPS: &[&str] = &["Internal error: ", "Unable to handle kernel ", "Oops: ", "Bad mode in "];
const LOCKUP: &[&str] = &["BUG: soft lockup", "hard LOCKUP", "BUG: workqueue lockup"];
const RCU_STALL: &[&str] = &["detected stall", "self-detected stall", "detected expedited stalls"];
const SANITIZER: &[&str] = &["BUG: KASAN", "BUG: KCSAN", "BUG: KFENCE", "BUG: KMSAN", "UBSAN: "];
const LOCKDEP: &[&str] = &[
    "possible circular locking dependency",
    "possible recursive locking",
    "possible irq lock inversion dependency",
    "-unsafe lock order detected",
    "inconsistent lock state",
    "Invalid wait context",
    "Nested lock was not taken",
    "bad unlock balance",
    "bad contention detected",
    "held lock freed",
    "still has locks held",
    "lock held when returning to user space",
    "trying to register non-static key",
    "suspicious RCU usage",
    "BUG: sleeping function called",
    "BUG: scheduling while atomic",
    "BUG: spinlock ",
    "BUG: rwlock ",
    // Lockdep has run out of room and checks no more.
    "BUG: MAX_LOCK",
];

/// Whether the line has `BUG: ` as a word of its own: firmware prints `DEBUG: `.
fn is_bug(line: &str) -> bool {
    line.match_indices("BUG: ").any(|(at, _)| {
        line.get(..at).is_some_and(|before| !before.ends_with(|char: char| char.is_alphanumeric()))
    })
}

/// Whether the line is the first of a `WARN()`: in Linux 7.x
/// `WARNING: kernel/foo.c:123 at func+0x10/0x20, CPU#3: comm/1`, also without the file; in older
/// kernels `WARNING: CPU: 3 PID: 1 at kernel/foo.c:123 func+0x10/0x20`.
fn is_warning(line: &str) -> bool {
    line.split_once("WARNING: ").is_some_and(|(_, rest)| {
        (rest.starts_with("CPU: ") && rest.contains(" at "))
            || ((rest.starts_with("at ") || rest.contains(" at ")) && rest.contains(", CPU#"))
            || rest.split_once(" at ").is_some_and(|(place, _)| is_place(place))
    })
}

/// Whether `text` is `file:line`.
fn is_place(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(file, line)| {
        file.contains('.') && !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A line of the console that shows trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it shows.
    pub kind: Kind,
    /// The line, counted from 1.
    pub line: usize,
    /// Its text without terminal sequences.
    pub text: String,
}

/// The most severe trouble that the console shows, the first line of it; `None` if it is clean.
pub fn classify(console: &str) -> Option<Finding> {
    findings(console).into_iter().next()
}

/// All lines that show trouble, the most severe first, those of one kind in their order.
pub fn findings(console: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = console
        .split('\n')
        .zip(1..)
        .filter_map(|(raw, line)| {
            let text = clean(raw);
            if let Some(kind) = Kind::of(&text) {
                return Some(Finding { kind, line, text });
            }
            // Garbage before the message can look like a terminal sequence that takes it along.
            let text = printable(raw);
            Kind::of(&text).map(|kind| Finding { kind, line, text })
        })
        .collect();
    found.sort_by_key(|finding| finding.kind);
    found
}

/// The last `count` lines of the console that are not empty, without terminal sequences and
/// control characters.
pub fn tail(console: &str, count: usize) -> Vec<String> {
    let mut lines: Vec<String> = console
        .rsplit('\n')
        .map(|line| clean(line).trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .take(count)
        .collect();
    lines.reverse();
    lines
}

/// A line without terminal sequences and control characters. One line at a time: a sequence that is
/// not ended must not take the following lines along.
fn clean(line: &str) -> String {
    printable(&strip_ansi_escapes::strip_str(line.replace('\t', " ")))
}

/// The line without control characters.
fn printable(line: &str) -> String {
    line.chars()
        .map(|char| if char == '\t' { ' ' } else { char })
        .filter(|char| !char.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLEAN: &str = "\
[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x000f0510]\r
[    0.000000] Kernel command line: console=ttyAMA0 panic=-1 oops=panic\r
[    0.061002] smp: Bringing up secondary CPUs ...\r
[    0.080963] smp: Brought up 1 node, 16 CPUs\r
[    0.090000] rcu: Hierarchical RCU implementation.\r
[    0.090001] rcu: RCU_CPU_STALL_TIMEOUT 21, and a warning that means nothing: WARNING: none\r
DEBUG: nor does this, at the start of a line or [DEBUG: within]\r
WARNING: the firmware's, at no place\r
";

    #[test]
    fn a_clean_console_is_clean() {
        assert_eq!(classify(CLEAN), None);
        assert_eq!(classify(""), None);
    }

    #[test]
    fn knows_each_kind() {
        for (text, kind) in [
            (
                "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
                Kind::Panic,
            ),
            ("kernel BUG at kernel/smpboot.c:91!", Kind::Bug),
            ("BUG: Bad page state in process init  pfn:42000", Kind::Bug),
            ("Internal error: Oops: 0000000096000004 [#1]  SMP", Kind::Oops),
            (
                "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
                Kind::Oops,
            ),
            ("watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [swapper/1:0]", Kind::Lockup),
            ("INFO: task cpuhp/3:31 blocked for more than 120 seconds.", Kind::Lockup),
            ("rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", Kind::RcuStall),
            ("rcu: INFO: rcu_preempt self-detected stall on CPU", Kind::RcuStall),
            (
                "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 3-... }",
                Kind::RcuStall,
            ),
            ("BUG: KASAN: slab-out-of-bounds in foo+0x10/0x20", Kind::Sanitizer),
            ("BUG: KCSAN: data-race in foo / bar", Kind::Sanitizer),
            ("UBSAN: shift-out-of-bounds in kernel/foo.c:12:3", Kind::Sanitizer),
            ("WARNING: possible circular locking dependency detected", Kind::LockdepSplat),
            ("WARNING: inconsistent lock state", Kind::LockdepSplat),
            ("WARNING: suspicious RCU usage", Kind::LockdepSplat),
            ("[ BUG: Invalid wait context ]", Kind::LockdepSplat),
            (
                "BUG: sleeping function called from invalid context at mm/slab.h:300",
                Kind::LockdepSplat,
            ),
            ("WARNING: CPU: 3 PID: 0 at kernel/smp.c:12 foo+0x10/0x20", Kind::Warning),
            ("WARNING: kernel/smp.c:123 at foo+0x10/0x20, CPU#3: swapper/3/0", Kind::Warning),
            ("WARNING: at foo+0x10/0x20, CPU#3: swapper/3/0", Kind::Warning),
            ("WARNING: kernel/smp.c:123 at foo+0x", Kind::Warning),
        ] {
            let found = findings(&format!("{CLEAN}[    0.1][    T1] {text}\r\nmore\r\n"));
            assert_eq!(
                found,
                [Finding { kind, line: 9, text: format!("[    0.1][    T1] {text}") }],
                "{text}"
            );
        }
    }

    #[test]
    fn puts_the_most_severe_first() {
        let console = "\
WARNING: kernel/a.c:1 at a+0x1, CPU#0: init/1
kernel BUG at kernel/b.c:2!
Internal error: Oops - BUG: 00000000f2000800 [#1]  SMP
WARNING: kernel/c.c:3 at c+0x1, CPU#0: init/1
---[ end trace 0000000000000000 ]---
Kernel panic - not syncing: Oops - BUG: Fatal exception
---[ end Kernel panic - not syncing: Oops - BUG: Fatal exception ]---
";
        let found: Vec<(Kind, usize)> =
            findings(console).iter().map(|finding| (finding.kind, finding.line)).collect();
        assert_eq!(
            found,
            [
                (Kind::Panic, 6),
                (Kind::Bug, 2),
                (Kind::Oops, 3),
                (Kind::Warning, 1),
                (Kind::Warning, 4)
            ]
        );
        assert_eq!(classify(console).map(|finding| finding.kind.name()), Some("panic"));
    }

    #[test]
    fn sees_through_terminal_sequences_and_garbage() {
        let found = classify("ok\n\u{1b}[31m[ 1.0] Kernel panic\u{1b}[0m - not syncing: x\r\n");
        assert_eq!(found.unwrap().text, "[ 1.0] Kernel panic - not syncing: x");
        // An operating system command that never ends.
        let found = classify("\u{1b}]0;\u{fffd}Kernel panic - not syncing: x\nnext").unwrap();
        assert_eq!((found.kind, found.line), (Kind::Panic, 1));
    }

    #[test]
    fn keeps_the_last_lines() {
        let console = "one\r\n\r\n\u{1b}[2Jtwo\tx\u{7}\r\n\u{1b}]never ended\r\nthree\r\n\r\n";
        assert_eq!(tail(console, 2), ["two x", "three"]);
        assert_eq!(tail(console, 9), ["one", "two x", "three"]);
        assert_eq!(tail(console, 0), [""; 0]);
        assert_eq!(tail("", 3), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_searched(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let console = String::from_utf8_lossy(&bytes);
            let _ = findings(&console);
            for line in tail(&console, 5) {
                prop_assert!(!line.chars().any(char::is_control));
            }
        }

        #[test]
        fn trouble_is_found_among_noise(noise in "[\\PC\x1b\x07\n]{0,60}") {
            let console = format!("{noise}\nKernel panic - not syncing: x\n{noise}");
            let found = classify(&console).unwrap();
            prop_assert_eq!(found.kind, Kind::Panic);
        }
    }
}
