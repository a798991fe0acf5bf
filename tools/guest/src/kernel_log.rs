// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel log in the format of dmesg, read from /dev/kmsg.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// The longest record that /dev/kmsg hands out (PRINTK_MESSAGE_MAX).
const RECORD_MAX: usize = 2048;

/// The log as text, and how many records at its start had been overwritten before it was read.
pub fn read() -> Result<(String, u64)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = open("/dev/kmsg", flags, Mode::empty())
        .context("cannot open /dev/kmsg; does the kernel have CONFIG_PRINTK?")?;
    let mut device = std::fs::File::from(device);
    let mut log = String::new();
    let mut lost = None;
    let mut record = [0; RECORD_MAX];
    loop {
        match device.read(&mut record) {
            Ok(0) => break,
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]);
                if let Some((sequence, lines)) = format_record(&text) {
                    lost.get_or_insert(sequence);
                    log.push_str(&lines);
                }
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => break,
                // A record was overwritten while we were reading: the next read goes on after it.
                Some(Errno::PIPE | Errno::INTR) => {}
                _ => return Err(error).context("cannot read /dev/kmsg"),
            },
        }
    }
    Ok((log, lost.unwrap_or(0)))
}

/// `6,339,5140900,-;text` becomes `[    5.140900] text`; continuation lines of the record (`KEY=VAL`
/// of the device, indented by a space) are left out as dmesg does. Also gives the sequence number.
fn format_record(record: &str) -> Option<(u64, String)> {
    let (header, body) = record.split_once(';')?;
    let mut fields = header.split(',').skip(1);
    let sequence = fields.next()?.parse().ok()?;
    let microseconds: u64 = fields.next()?.parse().ok()?;
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let text = body.lines().next().unwrap_or("").replace("\\x0a", "\n").replace("\\x09", "\t");
    let lines = text.split('\n').map(|line| format!("[{seconds:5}.{rest:06}] {line}\n")).collect();
    Some((sequence, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_lines_of_dmesg() {
        let (sequence, line) =
            format_record("6,339,5140900,-;NET: Registered\n SUBSYSTEM=x\n").unwrap();
        assert_eq!((sequence, line.as_str()), (339, "[    5.140900] NET: Registered\n"));
        let (_, lines) = format_record("4,0,7,-;a\\x0ab\n").unwrap();
        assert_eq!(lines, "[    0.000007] a\n[    0.000007] b\n");
        assert_eq!(format_record("rubbish"), None);
    }
}
