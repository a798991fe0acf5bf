// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reading make's output: how far it is, what went wrong first, how many warnings.

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _, SeekFrom};

use camino::Utf8Path;

/// How many errors are shown, and how many lines of each.
const ERRORS: usize = 3;
const ERROR_LINES: usize = 10;

/// Follows a growing log.
#[derive(Debug, Default)]
pub struct Watch {
    position: u64,
    steps: usize,
}

impl Watch {
    /// Reads what has been added to `file`; says how far the build is if there was a new step.
    pub fn read_on(&mut self, file: &Utf8Path) -> Option<String> {
        let mut file = fs_err::File::open(file).ok()?;
        file.seek(SeekFrom::Start(self.position)).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        // The last line may still be being written.
        let complete = bytes.iter().rposition(|&byte| byte == b'\n')? + 1;
        self.position += complete as u64;
        self.add(&String::from_utf8_lossy(&bytes[..complete]))
    }

    fn add(&mut self, lines: &str) -> Option<String> {
        let mut last = None;
        for object in lines.lines().filter_map(step) {
            self.steps += 1;
            last = Some(object);
        }
        last.map(|object| format!("{} done, {object}", self.steps))
    }
}

/// The object of a line like `  CC      kernel/cpu.o` or `  CC [M]  drivers/x.o`.
fn step(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("  ")?;
    let command = rest.split(' ').next()?;
    let is_command = !command.is_empty() && command.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_command {
        return None;
    }
    rest.split_whitespace().next_back().filter(|object| *object != command)
}

/// One line about a build that went well.
pub fn result(log: &str) -> String {
    let steps = log.lines().filter_map(step).count();
    match warnings(log) {
        0 => format!("{steps} steps"),
        1 => format!("{steps} steps, 1 warning"),
        warnings => format!("{steps} steps, {warnings} warnings"),
    }
}

/// How many different warnings there are in `log`.
fn warnings(log: &str) -> usize {
    let is_warning = |line: &&str| {
        line.contains(": warning: ")
            || line.starts_with("warning: ")
            || line.starts_with("warning[")
            || line.starts_with("WARNING: ")
    };
    log.lines().filter(is_warning).collect::<BTreeSet<_>>().len()
}

/// The first errors in `log` with the lines that belong to them; its last lines if there is none.
pub fn first_errors(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let starts: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| is_error(line)).map(|(at, _)| at).collect();
    if starts.is_empty() {
        return indent(&lines[lines.len().saturating_sub(2 * ERROR_LINES)..]);
    }
    let mut shown = Vec::new();
    for &start in starts.iter().take(ERRORS) {
        let block = lines[start + 1..].iter().take(ERROR_LINES - 1);
        shown.push(lines[start]);
        shown.extend(block.take_while(belongs));
    }
    let mut text = indent(&shown);
    if starts.len() > ERRORS {
        text += &format!("\n  ... and {} more errors", starts.len() - ERRORS);
    }
    text
}

/// A line with which a compiler, a linker, Kconfig or a script begins to report an error.
fn is_error(line: &str) -> bool {
    [": error: ", ": fatal error: ", "ld.lld: error: ", ": Error: "]
        .iter()
        .any(|mark| line.contains(mark))
        || ["error: ", "error[", "ERROR: ", "*** "].iter().any(|mark| line.starts_with(mark))
}

/// Whether `line`, below the first line of an error, still belongs to it.
fn belongs(line: &&&str) -> bool {
    !(is_error(line)
        || line.trim().is_empty()
        || step(line).is_some()
        || line.starts_with("make")
        || line.contains(" generated."))
}

fn indent(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
make[1]: Entering directory '/o'
  CC      kernel/cpu.o
  RUSTC L rust/core.o
../kernel/cpu.c:10:2: warning: unused variable 'x' [-Wunused-variable]
   10 |         int x;
../kernel/cpu.c:12:9: error: use of undeclared identifier 'y'
   12 |         return y;
      |                ^
1 warning and 1 error generated.
make[4]: *** [../scripts/Makefile.build:287: kernel/cpu.o] Error 1
  CC      kernel/smp.o
error[E0425]: cannot find value `z` in this scope
 --> rust/kernel/cpu.rs:3:5
  |
3 |     z
  |     ^

error: aborting due to 1 previous error

make[4]: *** [../rust/Makefile:1: rust/kernel.o] Error 1
";

    #[test]
    fn the_first_errors_are_shown_with_their_lines() {
        assert_eq!(
            first_errors(LOG),
            "  ../kernel/cpu.c:12:9: error: use of undeclared identifier 'y'
     12 |         return y;
        |                ^
  error[E0425]: cannot find value `z` in this scope
   --> rust/kernel/cpu.rs:3:5
    |
  3 |     z
    |     ^
  error: aborting due to 1 previous error"
        );
    }

    #[test]
    fn without_an_error_the_end_of_the_log_is_shown() {
        assert_eq!(first_errors("one\ntwo\n"), "  one\n  two");
        assert_eq!(first_errors(""), "");
    }

    #[test]
    fn steps_and_warnings_are_counted() {
        assert_eq!(result(LOG), "3 steps, 1 warning");
        assert_eq!(step("  CC [M]  drivers/x.o"), Some("drivers/x.o"));
        for line in ["CC x.o", "  |  ^", "    CC x", "  10 | int x;"] {
            assert_eq!(step(line), None);
        }
    }

    #[test]
    fn a_growing_log_is_followed() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = Utf8Path::from_path(dir.path()).unwrap().join("log");
        fs_err::write(&file, "  CC      a.o\n  CC      b").unwrap();
        let mut watch = Watch::default();
        assert_eq!(watch.read_on(&file).as_deref(), Some("1 done, a.o"));
        fs_err::write(&file, "  CC      a.o\n  CC      b.o\n").unwrap();
        assert_eq!(watch.read_on(&file).as_deref(), Some("2 done, b.o"));
        assert_eq!(watch.read_on(&file), None);
    }
}
