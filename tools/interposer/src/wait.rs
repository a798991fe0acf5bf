// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Lets time pass without executing instructions: EL2's own timer and WFI.
//!
//! WFI ends when an interrupt is pending at the CPU interface, masked or not. So the timer's
//! interrupt has to get there, and nothing else may, or the wait would become a busy loop as soon as
//! the kernel has an interrupt to take. For the time of the wait this CPU's redistributor lets the
//! timer's interrupt through at the highest priority, and the CPU interface nothing below that. No
//! interrupt is ever taken or acknowledged here, and all is put back afterwards: what was pending
//! for the kernel still is.

use crate::registers::{Device, complete, now, read, synchronise, wait_for_interrupt, write};
use crate::state::{common, cpu, get, this_cpu};

/// The interrupt of EL2's physical timer (Arm BSA).
const TIMER: u64 = 26;
const TIMER_BIT: u32 = 1 << TIMER;

/// Registers of the redistributor: its own frame, then that of the private interrupts.
const WAKER: u64 = 0x14;
const WAKER_SLEEP: u32 = 1 << 1;
const WAKER_ASLEEP: u32 = 1 << 2;
const PRIVATE: u64 = 0x1_0000;
const GROUP: u64 = PRIVATE + 0x80;
const ENABLE: u64 = PRIVATE + 0x100;
const DISABLE: u64 = PRIVATE + 0x180;
const PRIORITY: u64 = PRIVATE + 0x400 + TIMER;

/// Registers of the distributor.
const CONTROL: u64 = 0;
const CONTROL_GROUP_1: u32 = 1 << 1;

/// Above every priority that Linux uses: its pseudo-NMIs have 0x20.
const HIGHEST: u8 = 0;
const ONLY_HIGHEST: u64 = 0x20;

/// Waits until the counter has reached `deadline`, in ticks.
pub fn until(deadline: u64) {
    if now() >= deadline {
        return;
    }
    // SAFETY: the table says that these are the distributor and this CPU's redistributor, the
    // latter was checked at this CPU's start, and neither reads or writes memory because of what is
    // done here.
    let (distributor, redistributor) = unsafe {
        (Device::new(common().distributor()), Device::new(get(&cpu(this_cpu()).redistributor)))
    };

    let waker = redistributor.read(WAKER);
    if waker & WAKER_SLEEP != 0 {
        redistributor.write(WAKER, waker & !WAKER_SLEEP);
        while redistributor.read(WAKER) & WAKER_ASLEEP != 0 {}
    }
    let group = redistributor.read(GROUP);
    let enabled = redistributor.read(ENABLE) & TIMER_BIT;
    let priority = redistributor.read_byte(PRIORITY);
    let mask = read!("icc_pmr_el1");
    let groups = read!("icc_igrpen1_el1");

    write!("icc_pmr_el1", ONLY_HIGHEST);
    write!("icc_igrpen1_el1", 1);
    write!("cnthp_cval_el2", deadline);
    write!("cnthp_ctl_el2", 1);
    redistributor.write_byte(PRIORITY, HIGHEST);
    redistributor.write(GROUP, group | TIMER_BIT);
    redistributor.write(ENABLE, TIMER_BIT);
    complete();
    synchronise();

    while now() < deadline {
        // Before the kernel has set the distributor up, nothing would wake us.
        if distributor.read(CONTROL) & CONTROL_GROUP_1 != 0 {
            wait_for_interrupt();
        }
    }

    write!("cnthp_ctl_el2", 0);
    synchronise();
    if enabled == 0 {
        redistributor.write(DISABLE, TIMER_BIT);
    }
    redistributor.write(GROUP, group);
    redistributor.write_byte(PRIORITY, priority);
    complete();
    write!("icc_igrpen1_el1", groups);
    write!("icc_pmr_el1", mask);
    if waker & WAKER_SLEEP != 0 {
        redistributor.write(WAKER, waker);
        while redistributor.read(WAKER) & WAKER_ASLEEP == 0 {}
    }
    complete();
    synchronise();
}

/// Waits for ever.
pub fn for_ever() -> ! {
    loop {
        wait_for_interrupt();
    }
}
