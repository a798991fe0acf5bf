// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What Documentation/process/submitting-patches.rst asks of every changelog, as far as a program
//! can tell. Pure.

use super::text::PatchText;

/// Characters of a line.
const WIDTH: usize = 75;

/// Tags that speak for somebody else, who has to give them: a series cannot bring them along.
const FOREIGN: [&str; 7] = [
    "Acked-by",
    "Reviewed-by",
    "Tested-by",
    "Reported-by",
    "Suggested-by",
    "Co-developed-by",
    "Cc",
];

/// What is wrong with the patch in the file `name`, one line each. `author` is whose series it is.
pub fn check(name: &str, patch: &PatchText, author: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut problem = |text: String| problems.push(format!("{name}: {text}"));
    if patch.from != author {
        problem(format!("is from `{}`, the series from `{author}`", patch.from));
    }
    if patch.subject.chars().count() > WIDTH {
        problem(format!("its subject is longer than {WIDTH} characters"));
    }
    if patch.subject.ends_with('.') {
        problem("its subject ends with a full stop".to_owned());
    }
    if !patch.subject.contains(": ") {
        problem("its subject names no subsystem".to_owned());
    }
    let (text, tags) = split_tags(&patch.body);
    if text.iter().all(|line| line.trim().is_empty()) {
        problem("has no changelog".to_owned());
    }
    for line in text {
        // A line that cannot be broken, such as a link, may be longer.
        if line.chars().count() > WIDTH && line.trim().contains(' ') {
            problem(format!("a line of its changelog is longer than {WIDTH}: `{line}`"));
        }
    }
    let sign_offs: Vec<&str> = tags
        .iter()
        .filter_map(|(tag, value)| (*tag == "Signed-off-by").then_some(*value))
        .collect();
    match sign_offs.as_slice() {
        [sign_off] if *sign_off == patch.from => {}
        [] => problem("has no Signed-off-by".to_owned()),
        others => problem(format!("is signed off by `{}`", others.join("`, `"))),
    }
    if tags.last().is_some_and(|(tag, _)| *tag != "Signed-off-by") {
        problem("does not end with its Signed-off-by".to_owned());
    }
    for (tag, value) in tags {
        if FOREIGN.iter().any(|foreign| foreign.eq_ignore_ascii_case(tag)) {
            problem(format!("has a tag that speaks for somebody else: `{tag}: {value}`"));
        }
    }
    problems
}

/// The text of a changelog, and the tags at its end as name and value.
fn split_tags(body: &[String]) -> (&[String], Vec<(&str, &str)>) {
    let tag = |line: &'_ String| -> bool { as_tag(line).is_some() };
    let end = body.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
    let start = body[..end].iter().rposition(|line| !tag(line)).map_or(0, |last| last + 1);
    (&body[..start], body[start..end].iter().filter_map(|line| as_tag(line)).collect())
}

fn as_tag(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(": ")?;
    let is_name = name.chars().next().is_some_and(|first| first.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    is_name.then_some((name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHOR: &str = "A U Thor <author@example.com>";

    fn patch(subject: &str, body: &str) -> PatchText {
        PatchText {
            from: AUTHOR.to_owned(),
            subject: subject.to_owned(),
            body: body.lines().map(str::to_owned).collect(),
            ..PatchText::default()
        }
    }

    #[test]
    fn a_good_changelog_passes() {
        let long = format!("Link: https://example.com/{}", "x".repeat(80));
        let body = format!(
            "Why: so.\n\n  https://x/{}\n\n{long}\nSigned-off-by: {AUTHOR}\n",
            "y".repeat(80)
        );
        assert_eq!(check("0001", &patch("arm64: smp: Do it", &body), AUTHOR), [""; 0]);
    }

    #[test]
    fn everything_else_is_named() {
        let mut texts = Vec::new();
        let long = format!("{} word", "x".repeat(75));
        texts.extend(check("1", &patch("Do it.", &format!("Signed-off-by: {AUTHOR}")), AUTHOR));
        texts.extend(check("2", &patch(&format!("x: {long}"), &long), "B <b@example.com>"));
        let body = format!("Why.\n\nSigned-off-by: {AUTHOR}\nReviewed-by: B <b@example.com>");
        texts.extend(check("3", &patch("x: y", &body), AUTHOR));
        let body = format!("Why.\n\nSigned-off-by: B <b@example.com>\nSigned-off-by: {AUTHOR}");
        texts.extend(check("4", &patch("x: y", &body), AUTHOR));
        insta::assert_snapshot!(texts.join("\n"), @r"
            1: its subject ends with a full stop
            1: its subject names no subsystem
            1: has no changelog
            2: is from `A U Thor <author@example.com>`, the series from `B <b@example.com>`
            2: its subject is longer than 75 characters
            2: a line of its changelog is longer than 75: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx word`
            2: has no Signed-off-by
            3: does not end with its Signed-off-by
            3: has a tag that speaks for somebody else: `Reviewed-by: B <b@example.com>`
            4: is signed off by `B <b@example.com>`, `A U Thor <author@example.com>`
        ");
    }
}
