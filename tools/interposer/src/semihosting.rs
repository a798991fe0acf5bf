// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The way out: trace records by semihosting, so that no device of the machine is touched.

use interposer_core::layout;
use interposer_core::trace::{Kind, Record};

use crate::boot::semihosting_call;
use crate::registers;
use crate::state::{self, base, this_cpu};

const SYS_OPEN: u64 = 0x01;
const SYS_WRITE: u64 = 0x05;
const SYS_GET_CMDLINE: u64 = 0x15;
const SYS_EXIT: u64 = 0x18;

/// The number of fopen's mode "wb".
const MODE_WRITE: u64 = 5;
/// The reason ADP_Stopped_InternalError.
const INTERNAL_ERROR: u64 = 0x2_0024;

/// Opens the file whose name is the semihosting command line; `None` if that does not work.
pub fn open() -> Option<u64> {
    let name = base() + layout::NAME;
    let mut arguments = [name, layout::NAME_SIZE];
    // SAFETY: SYS_GET_CMDLINE writes a text, with a NUL, of no more than so many bytes to memory
    // that is there for that, and its length to the second word.
    let failed = unsafe { semihosting_call(SYS_GET_CMDLINE, (&raw mut arguments).cast()) };
    let [_, length] = arguments;
    if failed != 0 || length == 0 || length >= layout::NAME_SIZE {
        return None;
    }
    let arguments = [name, MODE_WRITE, length];
    // SAFETY: SYS_OPEN reads three words and the name that they point to.
    let handle = unsafe { semihosting_call(SYS_OPEN, arguments.as_ptr()) };
    // The error is -1.
    (handle != u64::MAX).then_some(handle)
}

/// Writes a record, if records are wanted.
pub fn record(record: &Record) {
    let common = state::common();
    if !common.traces() {
        return;
    }
    let bytes = record.encode();
    let arguments = [common.trace_handle(), bytes.as_ptr() as u64, bytes.len() as u64];
    // SAFETY: SYS_WRITE reads three words and the bytes that they point to.
    unsafe { semihosting_call(SYS_WRITE, arguments.as_ptr()) };
}

/// Says why the interposer cannot go on, and ends the machine.
pub fn fatal(function: u32, arguments: [u64; 3]) -> ! {
    let at_ns = state::nanoseconds(registers::now());
    record(&Record {
        kind: Kind::Fatal,
        cpu: this_cpu() as u16,
        function,
        arguments,
        answer: 0,
        since_ns: at_ns,
        at_ns,
    });
    if state::common().traces() {
        exit();
    }
    loop {
        registers::wait_for_interrupt();
    }
}

/// Ends the machine with an error.
pub fn exit() -> ! {
    let arguments = [INTERNAL_ERROR, 1];
    // SAFETY: SYS_EXIT reads two words.
    unsafe { semihosting_call(SYS_EXIT, arguments.as_ptr()) };
    loop {
        registers::wait_for_interrupt();
    }
}
