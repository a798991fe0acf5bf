// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A spin-table's release addresses: the kernel's writes to them have to be seen, and the CPUs that
//! wait for them must not cost instructions. So the page that they lie in is read-only to EL1, by a
//! second stage of translation that is otherwise the identity. There are no CPUs in a loop: a CPU is
//! off until its address is written.

use interposer_core::layout;

use crate::registers::{complete, synchronise, write};
use crate::state::base;

/// Entries of a table.
const ENTRIES: u64 = 512;
/// The sizes of what one entry of levels 1 to 3 maps.
const SIZES: [u64; 3] = [1 << 30, 1 << 21, 1 << 12];
/// The intermediate physical addresses: 40 bits, in two tables of level 1.
const BITS: u64 = 40;

const VALID: u64 = 1;
/// Points to a table; on level 3, maps a page.
const TABLE_OR_PAGE: u64 = 1 << 1;
/// Normal memory, write-back. What stage 1 says is device memory stays that.
const NORMAL: u64 = 0xf << 2;
const READ: u64 = 1 << 6;
const WRITE: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
const PLAIN: u64 = VALID | NORMAL | READ | WRITE | INNER_SHAREABLE | ACCESSED;

/// Writes the tables. To be called once.
pub fn prepare() {
    let page = release_page();
    let [level1, level2, level3] = [0, 2, 3].map(|index| base() + layout::STAGE2 + index * 0x1000);
    let put = |table: u64, index: u64, value: u64| {
        // SAFETY: within the tables' memory, which is the interposer's own and which nothing reads
        // before `enable`.
        unsafe { ((table + index * 8) as *mut u64).write_volatile(value) }
    };
    for index in 0..2 * ENTRIES {
        put(level1, index, (index * SIZES[0]) | PLAIN);
    }
    put(level1, page / SIZES[0], level2 | TABLE_OR_PAGE | VALID);
    let start = page & !(SIZES[0] - 1);
    for index in 0..ENTRIES {
        put(level2, index, (start + index * SIZES[1]) | PLAIN);
    }
    put(level2, page / SIZES[1] % ENTRIES, level3 | TABLE_OR_PAGE | VALID);
    let start = page & !(SIZES[1] - 1);
    for index in 0..ENTRIES {
        let address = start + index * SIZES[2];
        let right = if address == page { PLAIN & !WRITE } else { PLAIN };
        put(level3, index, address | right | TABLE_OR_PAGE);
    }
    complete();
}

/// Turns the calling CPU's second stage on; takes effect with `HCR_EL2.VM`.
pub fn enable() {
    let start_level_1 = 1 << 6;
    let write_back_inner_shareable = 1 << 8 | 1 << 10 | 3 << 12;
    let output_40_bits = 2 << 16;
    let reserved_one = 1 << 31;
    write!(
        "vtcr_el2",
        (64 - BITS) | start_level_1 | write_back_inner_shareable | output_40_bits | reserved_one
    );
    write!("vttbr_el2", base() + layout::STAGE2);
    synchronise();
    // SAFETY: discards cached translations of EL1, of which there are none yet that matter.
    unsafe {
        core::arch::asm!("tlbi vmalls12e1", "dsb sy", "isb", options(nostack, preserves_flags));
    }
}

/// Where the release addresses are.
pub fn release_page() -> u64 {
    base() + layout::RELEASE
}
