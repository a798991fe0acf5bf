// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What lies where in the interposer's memory: byte offsets from its base, which is aligned to
//! [`ALIGNMENT`] and otherwise free.

/// The most CPUs that there is room for.
pub const MAX_CPUS: usize = 512;
/// The base has to be a multiple of this.
pub const ALIGNMENT: u64 = 0x10_0000;

/// Code and constants, as they were linked. Execution starts here.
pub const IMAGE: u64 = 0;
/// The table, see [`crate::table`].
pub const TABLE: u64 = 0x4_0000;
/// What the interposer knows of each CPU at run time, [`STATE_SIZE`] for each, after one such
/// piece for all of them.
pub const STATE: u64 = 0x8_0000;
/// Bytes of a CPU's state.
pub const STATE_SIZE: u64 = 128;
/// The name of the file that the trace goes to, [`NAME_SIZE`] bytes at most.
pub const NAME: u64 = 0xa_0000;
/// As long as a name may be on most hosts.
pub const NAME_SIZE: u64 = 0x1000;
/// The release addresses of a spin-table: one page, eight bytes for each CPU.
pub const RELEASE: u64 = 0xb_0000;
/// Translation tables for stage 2: two concatenated ones of level 1, one of levels 2 and 3 each.
pub const STAGE2: u64 = 0xc_0000;
/// The CPUs' stacks.
pub const STACKS: u64 = 0x10_0000;
/// Bytes of a CPU's stack.
pub const STACK_SIZE: u64 = 0x2000;
/// Bytes of all of it.
pub const SIZE: u64 = 0x80_0000;

const _: () = {
    let cpus = MAX_CPUS as u64;
    assert!(crate::table::size(MAX_CPUS) as u64 <= STATE - TABLE);
    assert!((cpus + 1) * STATE_SIZE <= NAME - STATE && NAME + NAME_SIZE <= RELEASE);
    assert!(cpus * 8 <= 0x1000 && RELEASE.is_multiple_of(0x1000) && STAGE2.is_multiple_of(0x2000));
    assert!(STACKS + cpus * STACK_SIZE <= SIZE);
    assert!(SIZE.is_multiple_of(ALIGNMENT));
};
