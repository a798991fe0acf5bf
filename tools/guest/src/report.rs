// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The two ways out: reports for the host's program, lines on the console for people.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use fs_err::File;
use guest_protocol::{PORT, Report};

/// Where the kernel lists the virtio-serial ports.
const PORTS: &str = "/sys/class/virtio-ports";

/// Guest time that the port may take to appear: the kernel adds it in a work item of its own, which
/// may run after PID 1 has started.
const PORT_WAIT: Duration = Duration::from_secs(10);

/// Writes a line to the console. There is nowhere to report an error of the console itself.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "guest: {text}");
}

/// The channel to the host.
pub struct Reporter {
    port: File,
    /// Of the port, in [`PORTS`].
    name: String,
}

impl Reporter {
    /// Finds the port by its name and opens it.
    pub fn open() -> Result<Self> {
        let start = Instant::now();
        let name = loop {
            match find_port() {
                Some(name) => break name,
                None if start.elapsed() >= PORT_WAIT => bail!(
                    "no virtio-serial port is named {PORT}; the kernel needs CONFIG_VIRTIO_MMIO \
                     and CONFIG_VIRTIO_CONSOLE, and QEMU a virtserialport of that name"
                ),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let port = fs_err::OpenOptions::new().write(true).open(format!("/dev/{name}"))?;
        Ok(Self { port, name })
    }

    /// Does `work` while the port's device has no driver, so that it takes no part in a suspend.
    /// virtio_console of Linux 7.3 asks the host whether somebody listens before it can take the
    /// answer when it comes back, and waits for ever to write then.
    pub fn away<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let device = fs_err::canonicalize(Path::new(PORTS).join(&self.name).join("device"))?;
        let name = device.file_name().context("the port's device has no name")?.to_owned();
        let driver = fs_err::canonicalize(device.join("driver"))?;
        fs_err::write(driver.join("unbind"), name.as_bytes())?;
        let result = work();
        fs_err::write(driver.join("bind"), name.as_bytes())?;
        *self = Self::open()?;
        result
    }

    /// Sends `report`. The host has it, in its buffers at the latest, when this returns.
    pub fn send(&mut self, report: &Report) -> Result<()> {
        let line = report.to_line().context("cannot encode a report")?;
        self.port.write_all(line.as_bytes())?;
        Ok(())
    }
}

/// The device name of our port, e.g. `vport0p1`, once the kernel knows its name.
fn find_port() -> Option<String> {
    fs_err::read_dir(PORTS).ok()?.flatten().find_map(|entry| {
        let name = fs_err::read_to_string(entry.path().join("name")).ok()?;
        (name.trim_end() == PORT).then(|| entry.file_name().to_string_lossy().into_owned())
    })
}
