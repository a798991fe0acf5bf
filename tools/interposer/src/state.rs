// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the interposer knows at run time. It lies in the memory that [`layout`] gives to it, not in
//! statics: the image is read-only once it is relocated.
//!
//! CPUs share it with the MMU off, where exclusive accesses need not work. So every field is an
//! atomic that is only loaded and stored. There is one writer at a time: the boot CPU at the start,
//! then for a CPU that is off whoever starts it, then that CPU itself. The kernel does not start one
//! CPU from two others at once.

use core::sync::atomic::{AtomicU64, Ordering};

use interposer_core::layout;
use interposer_core::schedule::{ns_to_ticks, ticks_to_ns};
use interposer_core::table::{self, Context, Machine};

use crate::registers::{self, read};

/// What concerns all CPUs.
#[repr(C)]
pub struct Common {
    cpus: AtomicU64,
    frequency: AtomicU64,
    distributor: AtomicU64,
    seed: AtomicU64,
    traces: AtomicU64,
    trace_handle: AtomicU64,
    spin_table: AtomicU64,
}

/// What concerns one CPU.
#[repr(C)]
pub struct Cpu {
    /// Affinity fields of its MPIDR.
    pub mpidr: AtomicU64,
    /// Address of its redistributor.
    pub redistributor: AtomicU64,
    /// How long its start holds the caller, in ticks.
    pub block: AtomicU64,
    /// Bounds of its latency in nanoseconds.
    pub latency_min: AtomicU64,
    /// See above.
    pub latency_max: AtomicU64,
    /// See [`context_code`].
    context: AtomicU64,
    /// The answer to its start, 0 if it is started.
    pub error: AtomicU64,
    /// Not 0 if it never gets to the kernel.
    pub never: AtomicU64,
    /// How often it was started.
    pub starts: AtomicU64,
    /// Not 0 from its start until it goes to the kernel.
    pub held: AtomicU64,
    /// The kernel's entry point.
    pub entry: AtomicU64,
    /// The context ID that the kernel chose.
    pub context_id: AtomicU64,
    /// Not 0 once the kernel has chosen one.
    pub has_context_id: AtomicU64,
    /// When its start was asked for, in ticks.
    pub asked: AtomicU64,
    /// When it may go to the kernel, in ticks.
    pub due: AtomicU64,
}

const _: () = assert!(size_of::<Cpu>() <= layout::STATE_SIZE as usize);
const _: () = assert!(size_of::<Common>() <= layout::STATE_SIZE as usize);

/// Where the interposer lies.
pub fn base() -> u64 {
    let base: u64;
    // SAFETY: computes an address.
    unsafe {
        core::arch::asm!(
            "adrp {0}, _start", "add {0}, {0}, :lo12:_start", out(reg) base,
            options(nomem, nostack, preserves_flags)
        );
    }
    base
}

/// What concerns all CPUs.
pub fn common() -> &'static Common {
    // SAFETY: that memory is the interposer's alone, lives as long as the machine, is aligned and
    // big enough (see the assertions), and any bytes are a valid value: all fields are atomics.
    unsafe { &*((base() + layout::STATE) as *const Common) }
}

/// What concerns the CPU of that logical number; below [`layout::MAX_CPUS`], or the last one's.
pub fn cpu(index: usize) -> &'static Cpu {
    let index = index.min(layout::MAX_CPUS - 1) as u64;
    // SAFETY: as above.
    unsafe { &*((base() + layout::STATE + (index + 1) * layout::STATE_SIZE) as *const Cpu) }
}

/// The logical number of the calling CPU, which it has kept in `TPIDR_EL2` since its start.
pub fn this_cpu() -> usize {
    read!("tpidr_el2") as usize
}

/// The top of the calling CPU's stack.
pub fn stack_top() -> u64 {
    base() + layout::STACKS + (this_cpu() as u64 + 1) * layout::STACK_SIZE
}

/// Ticks as nanoseconds.
pub fn nanoseconds(ticks: u64) -> u64 {
    ticks_to_ns(ticks, registers::frequency())
}

/// Nanoseconds as ticks.
pub fn ticks(nanoseconds: u64) -> u64 {
    ns_to_ticks(nanoseconds, registers::frequency())
}

/// Loads a field.
pub fn get(field: &AtomicU64) -> u64 {
    field.load(Ordering::Acquire)
}

/// Stores a field.
pub fn set(field: &AtomicU64, value: u64) {
    field.store(value, Ordering::Release);
}

impl Common {
    /// Takes over what the table says.
    pub fn fill(&self, machine: &Machine, cpus: usize) {
        set(&self.cpus, cpus as u64);
        set(&self.distributor, machine.distributor);
        set(&self.seed, machine.seed);
        set(&self.spin_table, u64::from(machine.spin_table));
    }

    /// Records go to this handle from now on.
    pub fn set_trace(&self, handle: u64) {
        set(&self.trace_handle, handle);
        set(&self.traces, 1);
    }

    /// Whether records are wanted.
    pub fn traces(&self) -> bool {
        get(&self.traces) != 0
    }

    /// Where records go.
    pub fn trace_handle(&self) -> u64 {
        get(&self.trace_handle)
    }

    /// The number of CPUs.
    pub fn cpus(&self) -> usize {
        get(&self.cpus) as usize
    }

    /// Address of the distributor.
    pub fn distributor(&self) -> u64 {
        get(&self.distributor)
    }

    /// For latencies that are drawn by lot.
    pub fn seed(&self) -> u64 {
        get(&self.seed)
    }

    /// Whether release addresses start CPUs.
    pub fn has_spin_table(&self) -> bool {
        get(&self.spin_table) != 0
    }

    /// The logical number of the CPU with those affinity fields.
    pub fn find(&self, mpidr: u64) -> Option<usize> {
        // Sixteen CPUs in each cluster, as QEMU's machine has them: one look is enough there.
        let guess = ((mpidr & 0xf) | ((mpidr >> 8 & 0xff) << 4)) as usize;
        let is_it = |index: &usize| get(&cpu(*index).mpidr) == mpidr;
        Some(guess)
            .filter(|guess| *guess < self.cpus())
            .filter(is_it)
            .or_else(|| (0..self.cpus()).find(is_it))
    }
}

impl Cpu {
    /// Takes over what the table says.
    pub fn fill(&self, from: &table::Cpu) {
        let (code, of) = match from.context {
            Context::Own => (0, 0),
            Context::Zero => (1, 0),
            Context::Garbage => (2, 0),
            Context::Of(of) => (3, u64::from(of)),
        };
        set(&self.mpidr, from.mpidr);
        set(&self.redistributor, from.redistributor);
        set(&self.block, ticks(from.block_ns));
        set(&self.latency_min, from.latency_min_ns);
        set(&self.latency_max, from.latency_max_ns);
        set(&self.context, code | of << 8);
        set(&self.error, from.error.cast_unsigned());
        set(&self.never, u64::from(from.never));
        for field in [&self.starts, &self.held, &self.has_context_id] {
            set(field, 0);
        }
    }

    /// The context ID that this CPU, whose number is `index`, gets.
    pub fn delivered_context_id(&self, index: usize) -> u64 {
        let own = get(&self.context_id);
        let code = get(&self.context);
        match code & 0xff {
            1 => 0,
            2 => table::GARBAGE,
            3 => {
                let other = (code >> 8) as usize;
                if get(&cpu(other).has_context_id) != 0 {
                    get(&cpu(other).context_id)
                } else {
                    // Not started yet: what it will get where context IDs are numbered as CPUs are.
                    own.wrapping_add(other as u64).wrapping_sub(index as u64)
                }
            }
            _ => own,
        }
    }
}
