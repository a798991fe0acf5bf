// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Signs of failure in a console's text.

/// The first sign of failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `panic`, `oops`, `bug`, `warn`, `lockdep` or `rcu`.
    pub kind: &'static str,
    /// Its line's number, from 1.
    pub line: usize,
    /// That line.
    pub text: String,
}

/// In this order: a line may hold several.
const SIGNS: [(&str, &str); 13] = [
    ("Kernel panic - not syncing", "panic"),
    ("Internal error: ", "oops"),
    ("Unable to handle kernel ", "oops"),
    ("WARNING: possible circular locking", "lockdep"),
    ("WARNING: possible recursive locking", "lockdep"),
    ("WARNING: suspicious RCU usage", "lockdep"),
    ("WARNING: inconsistent lock state", "lockdep"),
    ("WARNING: bad unlock balance", "lockdep"),
    ("detected stalls on CPUs", "rcu"),
    ("self-detected stall on CPU", "rcu"),
    ("BUG: ", "bug"),
    ("kernel BUG at ", "bug"),
    ("WARNING: ", "warn"),
];

/// The first sign of failure in `text`, if any.
pub fn classify(text: &str) -> Option<Finding> {
    text.lines().enumerate().find_map(|(index, line)| {
        let (_, kind) = SIGNS.iter().find(|(sign, _)| line.contains(sign))?;
        Some(Finding { kind, line: index + 1, text: line.trim_end().to_owned() })
    })
}

/// The last `n` lines of `text` that are not empty.
pub fn tail(text: &str, n: usize) -> String {
    let lines: Vec<&str> =
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(n)..].join("\n")
}
