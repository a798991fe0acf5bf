// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Why a patch did not apply: read from what `git am` printed, and made exact with the patch.

/// One place where a patch does not fit the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The file, as the patch names it.
    pub file: String,
    /// The first line of the hunk in the old file; none if the file as a whole is the matter.
    pub line: Option<u32>,
    /// What git says about the file.
    pub reason: String,
}

/// The places that `messages` (standard error of `git am`) complains about.
pub fn parse(messages: &str) -> Vec<Reject> {
    let mut rejects: Vec<Reject> = Vec::new();
    for message in messages.lines().filter_map(|line| line.strip_prefix("error: ")) {
        if let Some(place) = message.strip_prefix("patch failed: ") {
            if let Some((file, line)) = place.rsplit_once(':') {
                rejects.push(Reject {
                    file: file.to_owned(),
                    line: line.parse().ok(),
                    reason: "the tree has other lines there".to_owned(),
                });
            }
        } else if let Some((file, reason)) = message.split_once(": ") {
            // Git names the file again after it has named the hunk.
            if !rejects.iter().any(|reject| reject.file == file) {
                rejects.push(Reject {
                    file: file.to_owned(),
                    line: None,
                    reason: reason.to_owned(),
                });
            }
        }
    }
    rejects
}

/// Which hunk of `file` in `patch` begins at `line` of the old file: its number from 1, how many
/// there are, and its header.
pub fn find_hunk(patch: &str, file: &str, line: u32) -> Option<(usize, usize, String)> {
    let mut current = false;
    let mut hunks = Vec::new();
    for text in patch.lines() {
        if text.starts_with("diff --git ") {
            current = false;
        } else if let Some(name) =
            text.strip_prefix("--- a/").or_else(|| text.strip_prefix("+++ b/"))
        {
            current = current || name.trim_end() == file;
        } else if current && text.starts_with("@@ -") {
            hunks.push(text);
        }
    }
    let position = hunks.iter().position(|hunk| old_line(hunk) == Some(line))?;
    Some((position + 1, hunks.len(), hunks[position].to_owned()))
}

/// The old file's line in a hunk header `@@ -LINE,COUNT +LINE,COUNT @@`.
fn old_line(header: &str) -> Option<u32> {
    let range = header.strip_prefix("@@ -")?.split(' ').next()?;
    range.split(',').next()?.parse().ok()
}

/// `rejects` of `patch` for people, one line each.
pub fn describe(rejects: &[Reject], patch: &str) -> String {
    let mut text = String::new();
    for Reject { file, line, reason } in rejects {
        let hunk = line.and_then(|line| find_hunk(patch, file, line));
        text += &match (line, hunk) {
            (_, Some((number, count, header))) => {
                format!("\n  {file}: hunk {number} of {count}, `{header}`: {reason}")
            }
            (Some(line), None) => format!("\n  {file}: the hunk at line {line}: {reason}"),
            (None, None) => format!("\n  {file}: {reason}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "\
diff --git a/kernel/cpu.c b/kernel/cpu.c
index 1..2 100644
--- a/kernel/cpu.c
+++ b/kernel/cpu.c
@@ -10,3 +10,4 @@ int a(void)
 context
+new
@@ -200,7 +201,6 @@ int b(void)
-old
diff --git a/kernel/smp.c b/kernel/smp.c
--- a/kernel/smp.c
+++ b/kernel/smp.c
@@ -200,1 +200,2 @@
+x
";

    #[test]
    fn a_hunk_that_fails_is_named() {
        let messages = "\
error: patch failed: kernel/cpu.c:200
error: kernel/cpu.c: patch does not apply
error: kernel/gone.c: does not exist in index
hint: Use 'git am --show-current-patch=diff' to see the failed patch
";
        let rejects = parse(messages);
        assert_eq!(rejects.len(), 2);
        assert_eq!(rejects[0].file, "kernel/cpu.c");
        assert_eq!(rejects[0].line, Some(200));
        assert_eq!(
            describe(&rejects, PATCH),
            "\n  kernel/cpu.c: hunk 2 of 2, `@@ -200,7 +201,6 @@ int b(void)`: the tree has other \
             lines there\n  kernel/gone.c: does not exist in index"
        );
    }

    #[test]
    fn hunks_of_other_files_are_not_counted() {
        assert_eq!(
            find_hunk(PATCH, "kernel/smp.c", 200),
            Some((1, 1, "@@ -200,1 +200,2 @@".to_owned()))
        );
        assert_eq!(find_hunk(PATCH, "kernel/smp.c", 10), None);
    }

    #[test]
    fn other_messages_name_no_place() {
        assert_eq!(parse("fatal: empty ident name\nPatch is empty.\n"), []);
    }
}
