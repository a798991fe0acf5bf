// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A patch file as `git format-patch` writes it, taken apart. Pure.

use std::collections::BTreeSet;

/// What is said about a change, and which files it touches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatchText {
    /// Name and address of the author.
    pub from: String,
    /// The first line of the changelog, without `[PATCH ...]`.
    pub subject: String,
    /// The lines of the changelog below the subject, up to the `---` or the end.
    pub body: Vec<String>,
    /// Paths of the files that it changes, adds or removes.
    pub files: BTreeSet<String>,
}

impl PatchText {
    /// Takes `text` apart. What is missing is left empty.
    pub fn parse(text: &str) -> Self {
        let mut patch = Self::default();
        let mut lines = text.lines().peekable();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(": ") {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let mut header = |name: &str| {
            let found = headers.iter_mut().find(|(key, _)| key == name);
            found.map(|(_, value)| std::mem::take(value)).unwrap_or_default()
        };
        patch.from = header("From");
        patch.subject = without_prefix(&header("Subject")).to_owned();
        patch.body = lines.by_ref().take_while(|line| *line != "---").map(str::to_owned).collect();
        patch.files = lines.filter_map(touched).flatten().map(str::to_owned).collect();
        patch
    }
}

/// A subject without its `[PATCH ...]`.
pub fn without_prefix(subject: &str) -> &str {
    match subject.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_, rest)) => rest,
        None => subject,
    }
}

/// The two paths of a line `diff --git a/X b/Y`.
fn touched(line: &str) -> Option<[&str; 2]> {
    let (old, new) = line.strip_prefix("diff --git a/")?.split_once(" b/")?;
    Some([old, new])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATCH: &str = "\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A U Thor
 <author@example.com>
Date: Mon, 23 Nov 2026 13:14:15 +0000
Subject: [PATCH 01/15] kernel: Do what is
 needed: now

Why.

Signed-off-by: A U Thor <author@example.com>
---
 kernel/cpu.c | 2 +-

diff --git a/kernel/cpu.c b/kernel/cpu.c
--- a/kernel/cpu.c
+++ b/kernel/cpu.c
@@ -1 +1 @@
-a
+b
diff --git a/old.c b/new.c
";

    #[test]
    fn a_patch_is_taken_apart() {
        let patch = PatchText::parse(PATCH);
        assert_eq!(patch.from, "A U Thor <author@example.com>");
        assert_eq!(patch.subject, "kernel: Do what is needed: now");
        assert_eq!(patch.body, ["Why.", "", "Signed-off-by: A U Thor <author@example.com>"]);
        let files: Vec<_> = patch.files.iter().map(String::as_str).collect();
        assert_eq!(files, ["kernel/cpu.c", "new.c", "old.c"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            PatchText::parse(&text);
        }
    }
}
