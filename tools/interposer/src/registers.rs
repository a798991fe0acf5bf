// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! System registers, device registers, and the time.

/// Reads a system register by its name.
macro_rules! read {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reading a register that EL2 may read changes nothing that Rust relies on. A
        // register that is not there ends in the vectors, not in undefined behaviour.
        unsafe {
            core::arch::asm!(
                concat!("mrs {}, ", $name), out(reg) value, options(nostack, preserves_flags)
            );
        }
        value
    }};
}

/// Writes a system register by its name.
macro_rules! write {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: none of the registers written here changes how EL2 itself runs or sees memory:
        // its MMU stays off, and its vectors and its stack are set before any call from EL1.
        unsafe {
            core::arch::asm!(
                concat!("msr ", $name, ", {}"), in(reg) value, options(nostack, preserves_flags)
            );
        }
    }};
}

pub(crate) use {read, write};

/// What was written to system registers is in effect after this.
pub fn synchronise() {
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) }
}

/// What was written to memory and devices is in effect after this.
pub fn complete() {
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("dsb sy", options(nostack, preserves_flags)) }
}

/// Sleeps until an interrupt is pending, which is never taken here.
pub fn wait_for_interrupt() {
    // SAFETY: a hint that only takes time.
    unsafe { core::arch::asm!("dsb sy", "wfi", options(nostack, preserves_flags)) }
}

/// The counter, in ticks.
pub fn now() -> u64 {
    synchronise();
    read!("cntpct_el0")
}

/// The counter's frequency in Hz.
pub fn frequency() -> u64 {
    read!("cntfrq_el0")
}

/// The registers of a device that are mapped at this address.
#[derive(Clone, Copy)]
pub struct Device(u64);

impl Device {
    /// # Safety
    ///
    /// The registers that are used lie at `address` plus their offsets, and to read or write them as
    /// it is done has no effect on memory.
    pub unsafe fn new(address: u64) -> Self {
        Self(address)
    }

    /// Reads 32 bits.
    pub fn read(self, offset: u64) -> u32 {
        // SAFETY: as promised to `new`; EL2's MMU is off, so an address is what it is.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    /// Writes 32 bits.
    pub fn write(self, offset: u64, value: u32) {
        // SAFETY: as above.
        unsafe { ((self.0 + offset) as *mut u32).write_volatile(value) }
    }

    /// Reads 8 bits.
    pub fn read_byte(self, offset: u64) -> u8 {
        // SAFETY: as above.
        unsafe { ((self.0 + offset) as *const u8).read_volatile() }
    }

    /// Writes 8 bits.
    pub fn write_byte(self, offset: u64, value: u8) {
        // SAFETY: as above.
        unsafe { ((self.0 + offset) as *mut u8).write_volatile(value) }
    }
}
