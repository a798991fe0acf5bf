// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What comes from EL1: SMCs, and writes to a spin-table.

use interposer_core::psci::{self, Call};
use interposer_core::schedule::latency_ns;
use interposer_core::trace::{Kind, Record};

use crate::boot::{self, Frame, call_firmware, secondary_start};
use crate::registers::{now, read, write};
use crate::state::{self, common, cpu, get, nanoseconds, set, this_cpu};
use crate::{semihosting, stage2, wait};

/// Exception classes of ESR_EL2.
const CLASS_SMC: u64 = 0x17;
const CLASS_DATA_ABORT: u64 = 0x24;

/// A synchronous exception from EL1.
pub extern "C" fn synchronous(frame: &mut Frame) {
    let syndrome = read!("esr_el2");
    match syndrome >> 26 & 0x3f {
        CLASS_SMC => smc(frame),
        CLASS_DATA_ABORT => release(frame, syndrome),
        _ => {
            boot::unexpected();
        }
    }
    // Neither a trapped SMC nor an abort has stepped past its instruction.
    write!("elr_el2", read!("elr_el2") + 4);
}

fn smc(frame: &mut Frame) {
    let since = now();
    let [function, first, second, third, ..] = frame.x;
    let registers = [function, first, second, third];
    let mut record = Record {
        kind: Kind::Call,
        cpu: this_cpu() as u16,
        function: psci::function(registers),
        arguments: [first, second, third],
        answer: 0,
        since_ns: nanoseconds(since),
        at_ns: nanoseconds(since),
    };
    let answer = match Call::decode(registers) {
        Call::CpuOn { target, entry, context } => match common().find(target) {
            Some(index) => {
                [start(index, entry, context, since).cast_unsigned(), first, second, third]
            }
            None => forward(registers),
        },
        Call::AffinityInfo { target, level: 0 } => match common().find(target) {
            // To the firmware below it is on.
            Some(index) if get(&cpu(index).held) != 0 => {
                [psci::AFFINITY_ON_PENDING.cast_unsigned(), first, second, third]
            }
            _ => forward(registers),
        },
        Call::CpuOff | Call::End => {
            record.kind = Kind::LastCall;
            semihosting::record(&record);
            record.kind = Kind::Call;
            forward(registers)
        }
        Call::AffinityInfo { .. } | Call::Other => forward(registers),
    };
    frame.x[..4].copy_from_slice(&answer);
    record.answer = answer[0].cast_signed();
    record.at_ns = nanoseconds(now());
    semihosting::record(&record);
}

/// Starts a CPU as the table says. Returns PSCI's answer.
fn start(index: usize, entry: u64, context: u64, since: u64) -> i64 {
    let target = cpu(index);
    if get(&target.held) != 0 {
        return psci::ON_PENDING;
    }
    wait::until(since.saturating_add(get(&target.block)));
    let error = get(&target.error).cast_signed();
    if error != 0 {
        return error;
    }
    let starts = get(&target.starts);
    let (min, max) = (get(&target.latency_min), get(&target.latency_max));
    let latency = latency_ns(min, max, common().seed(), index as u64, starts);
    // What a CPU that runs already was started with stays as it is, should this be a mistake.
    let before = [&target.entry, &target.context_id, &target.asked, &target.due].map(get);
    set(&target.entry, entry);
    set(&target.context_id, context);
    set(&target.has_context_id, 1);
    set(&target.asked, since);
    set(&target.due, now().saturating_add(state::ticks(latency)));
    set(&target.held, 1);
    let registers = [
        u64::from(psci::CPU_ON_64),
        get(&target.mpidr),
        secondary_start as *const () as u64,
        index as u64,
    ];
    let answer = forward(registers)[0].cast_signed();
    if answer == psci::SUCCESS {
        set(&target.starts, starts + 1);
    } else {
        set(&target.held, 0);
        let fields = [&target.entry, &target.context_id, &target.asked, &target.due];
        for (field, value) in fields.into_iter().zip(before) {
            set(field, value);
        }
    }
    answer
}

/// Passes a call on to the firmware below; returns its answer.
fn forward(mut registers: [u64; 4]) -> [u64; 4] {
    // SAFETY: the firmware gets what the kernel would have given it, and the entry point of a CPU
    // is `secondary_start`.
    unsafe { call_firmware(&raw mut registers) };
    registers
}

/// The kernel has written to the page of the release addresses.
fn release(frame: &Frame, syndrome: u64) {
    let since = now();
    let page = (read!("hpfar_el2") & 0xfff_ffff_fff0) << 8;
    let offset = read!("far_el2") & 0xfff;
    let is_described = syndrome & 1 << 24 != 0;
    let is_write_of_8_bytes = syndrome & 1 << 6 != 0 && syndrome >> 22 & 3 == 3;
    let is_ours = common().has_spin_table() && page == stage2::release_page() && offset % 8 == 0;
    if !(is_ours && is_described && is_write_of_8_bytes) {
        boot::unexpected();
    }
    let register = (syndrome >> 16 & 0x1f) as usize;
    // Register 31 is zero here.
    let value = frame.x.get(register).copied().unwrap_or(0);
    // SAFETY: within that page, which is the interposer's own and aligned.
    unsafe { ((page + offset) as *mut u64).write_volatile(value) };

    let index = (offset / 8) as usize;
    let target = cpu(index);
    let mut answer = psci::SUCCESS;
    if value != 0 && index != 0 && index < common().cpus() && get(&target.starts) == 0 {
        answer = start(index, value, 0, since);
    }
    semihosting::record(&Record {
        kind: Kind::Release,
        cpu: this_cpu() as u16,
        function: 0,
        arguments: [index as u64, value, 0],
        answer,
        since_ns: nanoseconds(since),
        at_ns: nanoseconds(now()),
    });
}
