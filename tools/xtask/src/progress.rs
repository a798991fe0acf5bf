// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Progress of long work: a bar or spinner on a terminal, plain lines elsewhere (CI, a pipe).

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};

/// Between two plain lines about the same piece of work.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);

/// One piece of work under way: say what, how far, how long. Goes to standard error.
pub struct Progress {
    what: String,
    start: Instant,
    bar: Option<ProgressBar>,
    last_line: Cell<Instant>,
    bytes: bool,
    total: Option<u64>,
}

impl Progress {
    /// Work of unknown length.
    pub fn spinner(what: impl Into<String>) -> Self {
        Self::new(what.into(), None, false)
    }

    /// Work that shows nothing, since what it is a part of shows its progress.
    pub fn hidden() -> Self {
        let now = Instant::now();
        Self {
            what: String::new(),
            start: now,
            bar: Some(ProgressBar::hidden()),
            last_line: Cell::new(now),
            bytes: false,
            total: None,
        }
    }

    /// Work of unknown length that is of no interest but to somebody who waits at a terminal.
    pub fn on_terminal(what: impl Into<String>) -> Self {
        if std::io::stderr().is_terminal() { Self::spinner(what) } else { Self::hidden() }
    }

    /// A transfer of `total` bytes.
    pub fn bytes(what: impl Into<String>, total: Option<u64>) -> Self {
        Self::new(what.into(), total, true)
    }

    /// Work of `total` steps.
    pub fn steps(what: impl Into<String>, total: u64) -> Self {
        Self::new(what.into(), Some(total), false)
    }

    fn new(what: String, total: Option<u64>, bytes: bool) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = match total {
                Some(total) => ProgressBar::new(total),
                None => ProgressBar::new_spinner(),
            };
            let template = match (total.is_some(), bytes) {
                (true, true) => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
                (true, false) => "{msg} [{bar:30}] {pos}/{len} {elapsed}",
                (false, true) => "{spinner} {msg} {bytes} {elapsed}",
                (false, false) => "{spinner} {msg} {elapsed}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(what.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        if bar.is_none() {
            eprintln!("{what} ...");
        }
        let now = Instant::now();
        Self { what, start: now, bar, last_line: Cell::new(now), bytes, total }
    }

    /// The work stands at `position` (steps or bytes) now.
    pub fn set(&self, position: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        } else if self.due() {
            let elapsed = HumanDuration(self.start.elapsed());
            let show = |n: u64| if self.bytes { HumanBytes(n).to_string() } else { n.to_string() };
            let position = show(position);
            match self.total {
                Some(total) => eprintln!("{}: {position} of {}, {elapsed}", self.what, show(total)),
                None => eprintln!("{}: {position}, {elapsed}", self.what),
            }
        }
    }

    /// The work is at the stage `note` now.
    pub fn note(&self, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {note}", self.what));
        } else if self.due() {
            eprintln!("{}: {note}, {}", self.what, HumanDuration(self.start.elapsed()));
        }
    }

    /// The work is done; `result` says what came of it.
    pub fn done(self, result: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            if bar.is_hidden() {
                return;
            }
        }
        eprintln!("{}: {result} ({:.1} s)", self.what, self.start.elapsed().as_secs_f64());
    }

    fn due(&self) -> bool {
        let due = self.last_line.get().elapsed() >= PLAIN_INTERVAL;
        if due {
            self.last_line.set(Instant::now());
        }
        due
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
