// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The cover letter: its words are ours, its lists git's. Pure.

use super::text::{PatchText, without_prefix};

/// Marks in the template that git writes.
const SUBJECT: &str = "*** SUBJECT HERE ***";
const BLURB: &str = "*** BLURB HERE ***";

/// Puts author, date, subject and text of the letter `old` into the `template` that `git
/// format-patch --cover-letter` has written, and the version of the base at its end.
pub fn fill(template: &str, old: &str, base_version: &str) -> Result<String, String> {
    let header_end = template.find("\n\n").ok_or("git's cover letter has no header")?;
    let (_, rest) = template.split_at(header_end);
    let first = template.lines().next().unwrap_or_default();
    let prefix = template
        .lines()
        .find_map(|line| line.strip_prefix("Subject: ")?.strip_suffix(SUBJECT))
        .ok_or("git's cover letter has no place for a subject")?;
    if rest.matches(BLURB).count() != 1 {
        return Err("git's cover letter has no place for a text".to_owned());
    }
    let header = old_header(old)?;
    let subject = without_prefix(&PatchText::parse(old).subject).to_owned();
    if subject.is_empty() {
        return Err("the cover letter has no subject".to_owned());
    }
    let body = old_body(old)?;
    let subject = fold(&format!("Subject: {prefix}{subject}"));
    let rest = rest.replacen(BLURB, &body, 1);
    let rest = rest.trim_end();
    Ok(format!("{first}\n{header}{subject}{rest}\n\nbase-version: Linux {base_version}\n"))
}

/// The lines From and Date, folded as they are.
fn old_header(old: &str) -> Result<String, String> {
    let mut header = String::new();
    let mut kept = false;
    for line in old.lines().skip(1).take_while(|line| !line.is_empty()) {
        if !line.starts_with([' ', '\t']) {
            kept = line.starts_with("From: ") || line.starts_with("Date: ");
        }
        if kept {
            header.push_str(line);
            header.push('\n');
        }
    }
    match header.contains("From: ") && header.contains("Date: ") {
        true => Ok(header),
        false => Err("the cover letter has no From and Date".to_owned()),
    }
}

/// The text between the header and git's list of commits, which begins with `NAME (COUNT):`.
fn old_body(old: &str) -> Result<String, String> {
    let (_, rest) = old.split_once("\n\n").ok_or("the cover letter has no text")?;
    let is_list = |line: &str| {
        let name = line.strip_suffix("):").and_then(|rest| rest.rsplit_once(" ("));
        name.is_some_and(|(_, count)| count.parse::<u32>().is_ok())
    };
    let mut body: Vec<&str> = rest.lines().take_while(|line| !is_list(line)).collect();
    while body.last().is_some_and(|line| line.trim().is_empty()) {
        body.pop();
    }
    match body.is_empty() {
        true => Err("the cover letter has no text".to_owned()),
        false => Ok(body.join("\n")),
    }
}

/// A header line, broken where it would be longer than 78 characters.
fn fold(line: &str) -> String {
    let mut folded = String::new();
    let mut width = 0;
    for (index, word) in line.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 {
            // A continuation begins with the blank that it was broken at.
            if width + 1 + length > 78 {
                folded.push('\n');
                width = 0;
            }
            folded.push(' ');
            width += 1;
        }
        folded.push_str(word);
        width += length;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: cpu-bringup <cpu-bringup@localhost>
Date: Thu, 1 Jan 2026 00:00:00 +0000
Subject: [PATCH 0/2] *** SUBJECT HERE ***

*** BLURB HERE ***

A U Thor (2):
  one
  two

 a | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

";
    const OLD: &str = "\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A U Thor
 <author@example.com>
Date: Mon, 23 Nov 2026 12:00:00 +0000
Subject: [PATCH 00/15] arm64: Words

Text (of 2
paragraphs):

second.

A U Thor (15):
  old

 old | 2 +-

base-version: Linux 7.3.4
";

    #[test]
    fn words_are_kept_and_lists_are_new() {
        let filled = fill(TEMPLATE, OLD, "7.3.5").unwrap();
        insta::assert_snapshot!(filled, @r"
            From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
            From: A U Thor
             <author@example.com>
            Date: Mon, 23 Nov 2026 12:00:00 +0000
            Subject: [PATCH 0/2] arm64: Words

            Text (of 2
            paragraphs):

            second.

            A U Thor (2):
              one
              two

             a | 2 +-
             1 file changed, 1 insertion(+), 1 deletion(-)

            base-version: Linux 7.3.5
        ");
        // Once more changes nothing.
        assert_eq!(fill(TEMPLATE, &filled, "7.3.5").unwrap(), filled);
    }

    #[test]
    fn what_is_missing_is_said() {
        for (template, old) in [(TEMPLATE, ""), ("", OLD), (TEMPLATE, "From x\nSubject: y\n\nz\n")]
        {
            fill(template, old, "7.3.4").unwrap_err();
        }
    }

    #[test]
    fn a_long_subject_is_folded_as_git_does() {
        let folded = fold(&format!("Subject: [PATCH 00/15] {}", "word ".repeat(20).trim()));
        assert!(folded.lines().all(|line| line.len() <= 78), "{folded}");
        assert_eq!(folded.replace("\n ", " ").matches("word").count(), 20);
    }
}
