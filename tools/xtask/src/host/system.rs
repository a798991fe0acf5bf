// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the checks may ask of the machine. Behind a trait, so that tests can make up machines
//! that lack things.

use camino::{Utf8Path, Utf8PathBuf};
use std::process::{Command, Stdio};
use xshell::{Shell, cmd};

/// A machine, as far as the checks look at it.
pub trait System: Sync {
    /// What `program` prints to standard output, or to standard error if it printed nothing
    /// there. `None` if it cannot be started or fails.
    fn output(&self, program: &str, arguments: &[&str]) -> Option<String>;
    /// Whether there is a file or folder at `path`.
    fn exists(&self, path: &Utf8Path) -> bool;
    /// The names in the folder `dir`; none if it cannot be read.
    fn names(&self, dir: &Utf8Path) -> Vec<String>;
    /// The text of a file.
    fn read(&self, path: &Utf8Path) -> Option<String>;
    /// An environment variable; `None` also if it is empty.
    fn variable(&self, key: &str) -> Option<String>;

    /// The folders of `PATH`.
    fn path(&self) -> Vec<Utf8PathBuf> {
        let path = self.variable("PATH").unwrap_or_default();
        path.split(':').filter(|dir| !dir.is_empty()).map(Utf8PathBuf::from).collect()
    }

    /// Where `program` is: itself if it is a path, else the first hit in `PATH`.
    fn find(&self, program: &str) -> Option<Utf8PathBuf> {
        if program.contains('/') {
            return self.exists(program.into()).then(|| program.into());
        }
        self.path().into_iter().map(|dir| dir.join(program)).find(|file| self.exists(file))
    }
}

/// The machine that we run on.
pub struct ThisMachine;

impl System for ThisMachine {
    fn output(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let sh = Shell::new().ok()?;
        let output = Command::from(cmd!(sh, "{program} {arguments...}"))
            // Version lines are read; they must not be translated.
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        let stream = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        Some(String::from_utf8_lossy(&stream).into_owned())
    }

    fn exists(&self, path: &Utf8Path) -> bool {
        path.exists()
    }

    fn names(&self, dir: &Utf8Path) -> Vec<String> {
        let Ok(entries) = dir.read_dir_utf8() else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_owned()).collect()
    }

    fn read(&self, path: &Utf8Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    fn variable(&self, key: &str) -> Option<String> {
        std::env::var(key).ok().filter(|value| !value.is_empty())
    }
}

/// A machine made up for a test.
#[cfg(test)]
#[derive(Default, Clone)]
pub struct MadeUp {
    /// Command line to output; a program named here also exists in /usr/bin.
    pub commands: std::collections::BTreeMap<String, String>,
    /// Files and their text.
    pub files: std::collections::BTreeMap<Utf8PathBuf, String>,
    /// Environment variables besides `PATH`.
    pub variables: std::collections::BTreeMap<String, String>,
}

#[cfg(test)]
impl MadeUp {
    /// Adds a command with its output.
    pub fn command(mut self, line: &str, output: &str) -> Self {
        let program = line.split(' ').next().unwrap_or_default();
        if !program.contains('/') {
            self.files.insert(Utf8Path::new("/usr/bin").join(program), String::new());
        }
        self.commands.insert(line.to_owned(), output.to_owned());
        self
    }

    /// Adds a file.
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.to_owned());
        self
    }

    /// Sets an environment variable.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.variables.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Takes a program and everything it would print away.
    pub fn without(mut self, program: &str) -> Self {
        self.files.remove(&Utf8Path::new("/usr/bin").join(program));
        self.commands.retain(|line, _| line.split(' ').next() != Some(program));
        self
    }
}

#[cfg(test)]
impl System for MadeUp {
    fn output(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let mut line = program.to_owned();
        for argument in arguments {
            line.push(' ');
            line.push_str(argument);
        }
        self.commands.get(&line).cloned()
    }

    fn exists(&self, path: &Utf8Path) -> bool {
        self.files.keys().any(|file| file.starts_with(path))
    }

    fn names(&self, dir: &Utf8Path) -> Vec<String> {
        let below = self.files.keys().filter_map(|file| file.strip_prefix(dir).ok());
        below.filter_map(|path| path.iter().next()).map(str::to_owned).collect()
    }

    fn read(&self, path: &Utf8Path) -> Option<String> {
        self.files.get(path).cloned()
    }

    fn variable(&self, key: &str) -> Option<String> {
        match key {
            "PATH" => Some("/usr/bin".to_owned()),
            _ => self.variables.get(key).cloned(),
        }
    }
}
