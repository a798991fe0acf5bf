// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask doctor`: what the host has and lacks.

use anyhow::Result;
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};

use crate::context::Context;
use crate::error::Failure;
use crate::host::{self, Check, Report};

/// Check the host and say how to fix what it lacks
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print the report as JSON, for scripts
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        let report = host::report(context);
        if self.json {
            say!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            say!("{}", render(&report, terminal_width()));
        }
        if report.ok {
            return Ok(());
        }
        let missing = report.checks.iter().filter(|check| check.required && !check.ok);
        let names: Vec<_> = missing.map(|check| check.name).collect();
        let names = names.join(", ");
        Err(Failure::Host(format!("this host lacks: {names}; run: cargo xtask setup")).into())
    }
}

/// The width of the terminal that standard output is, if it is one.
fn terminal_width() -> Option<u16> {
    rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col)
}

/// A table no wider than `width`; as wide as it likes without.
fn render(report: &Report, width: Option<u16>) -> String {
    let mut table = Table::new();
    if let Some(width) = width.filter(|width| *width > 0) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.load_style(presets::NOTHING);
    table.set_header(["", "what", "found", "at least", "minimum from", "purpose / fix"]);
    for check in &report.checks {
        let minimum_from = check.minimum_from.as_deref().unwrap_or_default();
        table.add_row([
            state(check),
            check.name,
            check.found.as_deref().unwrap_or("missing"),
            check.minimum.as_deref().unwrap_or_default(),
            minimum_from,
            check.mend.as_deref().unwrap_or(check.need),
        ]);
    }
    table.trim_fmt()
}

fn state(check: &Check) -> &'static str {
    match (check.ok, check.required) {
        (true, _) => "ok",
        (false, true) => "LACKS",
        (false, false) => "note",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let check = Check {
            name: "flex",
            need: "builds Kconfig",
            found: Some("2.6.4".to_owned()),
            minimum: None,
            minimum_from: None,
            ok: true,
            required: true,
            mend: None,
        };
        let missing = Check {
            name: "rustc",
            found: None,
            minimum: Some("1.85.0".to_owned()),
            minimum_from: Some("built in".to_owned()),
            ok: false,
            mend: Some("rustup update".to_owned()),
            ..check.clone()
        };
        let optional = Check { name: "ccache", required: false, ..missing.clone() };
        Report { schema: 1, ok: false, checks: vec![check, missing, optional] }
    }

    #[test]
    fn the_table_shows_state_and_mend() {
        insta::assert_snapshot!(render(&report(), None), @r"
               what    found    at least  minimum from  purpose / fix
        ok     flex    2.6.4                            builds Kconfig
        LACKS  rustc   missing  1.85.0    built in      rustup update
        note   ccache  missing  1.85.0    built in      rustup update
        ");
    }

    #[test]
    fn the_table_keeps_to_the_terminal() {
        for width in [0, 1, 40, 80] {
            let table = render(&report(), Some(width));
            let widest = table.lines().map(|line| line.chars().count()).max();
            assert!(width < 40 || widest <= Some(width.into()), "{table}");
        }
    }

    #[test]
    fn the_json_form_is_stable() {
        insta::assert_snapshot!(serde_json::to_string(&report()).unwrap(), @r#"{"schema":1,"ok":false,"checks":[{"name":"flex","need":"builds Kconfig","found":"2.6.4","minimum":null,"minimum_from":null,"ok":true,"required":true,"mend":null},{"name":"rustc","need":"builds Kconfig","found":null,"minimum":"1.85.0","minimum_from":"built in","ok":false,"required":true,"mend":"rustup update"},{"name":"ccache","need":"builds Kconfig","found":null,"minimum":"1.85.0","minimum_from":"built in","ok":false,"required":false,"mend":"rustup update"}]}"#);
    }
}
