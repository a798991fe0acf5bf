// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! QEMU's monitor (QMP): which threads run the guest's CPUs, and to let the guest go.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use serde::Deserialize;
use serde_json::{Value, json};

/// QEMU may be busy allocating the guest's memory.
const ANSWER: Duration = Duration::from_secs(120);

/// How often and after which pause to try to connect.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// A connection to the monitor.
pub struct Monitor {
    stream: BufReader<UnixStream>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct GuestCpu {
    cpu_index: u32,
    thread_id: u32,
}

impl Monitor {
    /// Connects to the socket `path`.
    pub fn connect(path: &Utf8Path) -> Result<Self> {
        // The socket is there a moment before QEMU listens to it.
        let mut tries = 0;
        let stream = loop {
            match UnixStream::connect(path) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(PAUSE);
                }
                result => break result,
            }
        };
        let stream = stream.with_context(|| format!("cannot connect to QEMU's monitor {path}"))?;
        stream.set_read_timeout(Some(ANSWER)).context("cannot set a time limit")?;
        let mut monitor = Self { stream: BufReader::new(stream) };
        let greeting = monitor.read()?;
        if greeting.get("QMP").is_none() {
            bail!("QEMU's monitor greets with {greeting}");
        }
        monitor.execute("qmp_capabilities")?;
        Ok(monitor)
    }

    /// The number of the guest's CPU by the thread that runs it.
    pub fn threads(&mut self) -> Result<HashMap<u32, u32>> {
        let answer = self.execute("query-cpus-fast")?;
        let cpus: Vec<GuestCpu> =
            serde_json::from_value(answer).context("QEMU's list of CPUs is not as expected")?;
        Ok(cpus.into_iter().map(|cpu| (cpu.thread_id, cpu.cpu_index)).collect())
    }

    /// Lets the guest run.
    pub fn go(mut self) -> Result<()> {
        self.execute("cont").map(drop)
    }

    fn execute(&mut self, command: &str) -> Result<Value> {
        let line = json!({ "execute": command }).to_string() + "\n";
        self.stream.get_mut().write_all(line.as_bytes()).context("QEMU's monitor is gone")?;
        loop {
            let mut answer = self.read()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                bail!("QEMU's monitor refuses {command}: {error}");
            }
            // Else it is an event.
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).context("QEMU's monitor does not answer")? == 0 {
            bail!("QEMU has closed its monitor");
        }
        serde_json::from_str(&line).with_context(|| format!("QEMU's monitor says `{line}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A monitor that gives these answers whatever it is asked.
    fn answering(answers: &'static [&'static str]) -> Result<HashMap<u32, u32>> {
        let guard = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(guard.path()).unwrap().join("monitor");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                let mut stream = BufReader::new(stream);
                for (index, answer) in answers.iter().enumerate() {
                    if index > 0 && !answer.contains("event") {
                        stream.read_line(&mut String::new()).unwrap();
                    }
                    writeln!(stream.get_mut(), "{answer}").unwrap();
                }
            });
            let mut monitor = Monitor::connect(&path)?;
            let threads = monitor.threads()?;
            monitor.go()?;
            Ok(threads)
        })
    }

    #[test]
    fn threads_are_told_and_the_guest_goes() {
        let threads = answering(&[
            r#"{"QMP": {"version": {}}}"#,
            r#"{"return": {}}"#,
            r#"{"return": [{"cpu-index": 0, "thread-id": 70, "x": 1}, {"cpu-index": 1, "thread-id": 71}]}"#,
            r#"{"event": "RESUME"}"#,
            r#"{"return": {}}"#,
        ]);
        assert_eq!(threads.unwrap(), HashMap::from([(70, 0), (71, 1)]));
    }

    #[test]
    fn what_is_no_monitor_is_told() {
        let told = |answers| answering(answers).unwrap_err().to_string();
        assert_eq!(told(&[r#"{"x": 1}"#]), r#"QEMU's monitor greets with {"x":1}"#);
        assert_eq!(
            told(&[r#"{"QMP": {}}"#, r#"{"return": {}}"#, r#"{"error": {"class": "x"}}"#]),
            r#"QEMU's monitor refuses query-cpus-fast: {"class":"x"}"#
        );
        // QEMU ends: which call notices it first is a matter of chance.
        answering(&[r#"{"QMP": {}}"#, r#"{"return": {}}"#]).unwrap_err();
    }
}
