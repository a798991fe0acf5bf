// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What compilers and checkers say, compared between two trees. Pure.

use std::collections::BTreeMap;

/// Remarks with their numbers of lines and columns taken away, and how often each occurs. An edit
/// moves lines, and a remark that has only moved is not new.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Remarks(BTreeMap<String, usize>);

impl Remarks {
    /// The remarks in `log`: lines like `FILE:LINE:COLUMN: warning: TEXT`, and those of make and
    /// of scripts that begin with `warning: ` or `error: `. `root` is the folder that the files'
    /// names may begin with.
    pub fn parse(log: &str, root: &str) -> Self {
        let mut remarks = Self::default();
        for line in log.lines() {
            if let Some(remark) = remark(line, root) {
                *remarks.0.entry(remark).or_default() += 1;
            }
        }
        remarks
    }

    /// The remarks that a checker gives line by line as `FILE:LINE:COLUMN: TEXT`.
    pub fn parse_plain(log: &str, root: &str) -> Self {
        let mut remarks = Self::default();
        for line in log.lines() {
            let Some((place, text)) = split_place(line) else { continue };
            *remarks.0.entry(format!("{}: {text}", below(place, root))).or_default() += 1;
        }
        remarks
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().sum()
    }

    /// Those that `base` has not, or not as often.
    pub fn new_since(&self, base: &Self) -> Vec<String> {
        let known = |remark: &String| base.0.get(remark).copied().unwrap_or_default();
        let new = self.0.iter().filter(|(remark, count)| **count > known(remark));
        new.map(|(remark, count)| match count - known(remark) {
            1 => remark.clone(),
            more => format!("{remark} ({more} times)"),
        })
        .collect()
    }
}

fn remark(line: &str, root: &str) -> Option<String> {
    let marks = ["warning: ", "error: ", "fatal error: ", "Error: ", "Warning: "];
    if let Some(rest) = marks.iter().find_map(|mark| line.strip_prefix(mark)) {
        return Some(match kernel_doc_place(rest) {
            Some((file, text)) => format!("{}: warning: {text}", below(file, root)),
            None => line.to_owned(),
        });
    }
    let (place, text) = split_place(line)?;
    marks
        .iter()
        .any(|mark| text.starts_with(mark))
        .then(|| format!("{}: {text}", below(place, root)))
}

/// The file and the text of `FILE:LINE TEXT`, which kernel-doc has behind the mark.
fn kernel_doc_place(rest: &str) -> Option<(&str, &str)> {
    let (place, text) = rest.split_once(' ')?;
    let (file, line) = place.rsplit_once(':')?;
    (!line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())).then_some((file, text))
}

/// The file and the text of `FILE:LINE:COLUMN: TEXT` or `FILE:LINE: TEXT`.
fn split_place(line: &str) -> Option<(&str, &str)> {
    let (place, text) = line.split_once(": ")?;
    let mut parts = place.split(':');
    let file = parts.next()?;
    let mut numbers = 0;
    for part in parts {
        // Checkers also give ranges of columns, as 12-17.
        let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if !is_number {
            return None;
        }
        numbers += 1;
    }
    (numbers > 0 && !file.is_empty()).then_some((file, text.trim()))
}

/// `file` as below `root`, or below the build folder inside of it.
fn below<'a>(file: &'a str, root: &str) -> &'a str {
    let file = file.strip_prefix(root).unwrap_or(file).trim_start_matches('/');
    let mut file = file;
    while let Some(rest) = file.strip_prefix("../").or_else(|| file.strip_prefix("./")) {
        file = rest;
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_has_only_moved_is_not_new() {
        let base = "  CC kernel/cpu.o\n/t/kernel/cpu.c:10:5: warning: unused variable 'x'\n";
        let moved = "../kernel/cpu.c:12:5: warning: unused variable 'x'\n";
        let base = Remarks::parse(base, "/t");
        assert_eq!(Remarks::parse(moved, "/t").new_since(&base), [""; 0]);
        let more = format!("{moved}kernel/cpu.c:13: warning: unused variable 'x'\nwarning: y\n");
        let more = Remarks::parse(&more, "/t");
        assert_eq!(more.len(), 3);
        assert_eq!(
            more.new_since(&base),
            ["kernel/cpu.c: warning: unused variable 'x'", "warning: y"]
        );
    }

    #[test]
    fn what_kernel_doc_says_has_its_place_taken_away_too() {
        let of =
            |line: &str, root| Remarks::parse(&format!("Warning: {line} x not described"), root);
        let base = of("/a/kernel/cpu.c:10", "/a");
        assert_eq!(of("/b/kernel/cpu.c:12", "/b").new_since(&base), [""; 0]);
        assert_eq!(
            of("/b/kernel/smp.c:12", "/b").new_since(&base),
            ["kernel/smp.c: warning: x not described"]
        );
    }

    #[test]
    fn a_checkers_lines_need_no_word_before_the_text() {
        let log = "HANDLING: x.c\nkernel/cpu.c:10:5-9: WARNING opportunity for y\n";
        let remarks = Remarks::parse_plain(log, "/t");
        assert_eq!(
            remarks.new_since(&Remarks::default()),
            ["kernel/cpu.c: WARNING opportunity for y"]
        );
    }

    proptest! {
        #[test]
        fn no_log_panics(log in any::<String>()) {
            let remarks = Remarks::parse(&log, "/t");
            prop_assert!(remarks.new_since(&remarks).is_empty());
            Remarks::parse_plain(&log, "");
        }
    }
}
