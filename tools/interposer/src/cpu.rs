// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! From a CPU's first instruction at EL2 to the kernel's at EL1.

use interposer_core::table::{Error, Table};
use interposer_core::trace::{self, Kind, Record};
use interposer_core::{layout, psci};

use crate::boot::{enter_el1, vectors};
use crate::registers::{Device, frequency, now, read, synchronise, write};
use crate::state::{common, cpu, get, nanoseconds, set, stack_top, this_cpu};
use crate::{semihosting, stage2, wait};

/// EL1 is in AArch64.
const HCR_RW: u64 = 1 << 31;
/// SMC of EL1 comes here.
const HCR_TSC: u64 = 1 << 19;
/// HVC is undefined, as it is on a machine without EL2.
const HCR_HCD: u64 = 1 << 29;
/// EL1 may use pointer authentication, tags, and the software context number register.
const HCR_FEATURES: u64 = 1 << 40 | 1 << 41 | 1 << 53 | 1 << 56;
/// Stage 2 is on.
const HCR_VM: u64 = 1;

/// The boot CPU.
pub extern "C" fn first(base: u64) -> ! {
    write!("tpidr_el2", 0);
    write!("vbar_el2", vectors as *const () as u64);
    synchronise();
    // SAFETY: that memory is the interposer's, nobody writes to it, and it is as long.
    let bytes = unsafe {
        let length = (layout::STATE - layout::TABLE) as usize;
        core::slice::from_raw_parts((base + layout::TABLE) as *const u8, length)
    };
    let table = match Table::decode(bytes) {
        Ok(table) => table,
        Err(error) => no_table(error),
    };
    let machine = table.machine();
    common().fill(&machine, table.len());
    if machine.trace {
        match semihosting::open() {
            Some(handle) => common().set_trace(handle),
            // The run ends, rather than hang until its time limit.
            None => semihosting::exit(),
        }
    }
    for index in 0..table.len() {
        match table.cpu(index) {
            Ok(entry) => cpu(index).fill(&entry),
            Err(error) => no_table(error),
        }
    }
    if machine.spin_table {
        stage2::prepare();
    }
    prepare();
    let at_ns = nanoseconds(now());
    semihosting::record(&Record {
        kind: Kind::Start,
        cpu: 0,
        function: 0,
        arguments: [base, table.len() as u64, frequency()],
        answer: 0,
        since_ns: 0,
        at_ns,
    });
    // SAFETY: the table says that the kernel starts there, and this CPU's stack is not used any more.
    unsafe { enter_el1(machine.kernel, machine.device_tree, stack_top()) }
}

/// There is nothing to go by, so tracing is tried in any case.
fn no_table(error: Error) -> ! {
    let [kind, detail] = match error {
        Error::Short => [1, 0],
        Error::Magic => [2, 0],
        Error::Version(version) => [3, u64::from(version)],
        Error::Cpus(count) => [4, u64::from(count)],
        Error::Checksum => [5, 0],
        Error::Entry(index) => [6, u64::from(index)],
    };
    if let Some(handle) = semihosting::open() {
        common().set_trace(handle);
    }
    semihosting::fatal(trace::NO_TABLE, [kind, detail, 0])
}

/// Every other CPU, whenever it is started.
pub extern "C" fn secondary(_base: u64, index: usize) -> ! {
    write!("tpidr_el2", index as u64);
    write!("vbar_el2", vectors as *const () as u64);
    synchronise();
    prepare();
    let me = cpu(index);
    let delivered = me.delivered_context_id(index);
    let mut record = Record {
        kind: Kind::Park,
        cpu: index as u16,
        function: 0,
        arguments: [get(&me.entry), get(&me.context_id), delivered],
        answer: 0,
        since_ns: nanoseconds(get(&me.asked)),
        at_ns: nanoseconds(now()),
    };
    if get(&me.never) != 0 {
        semihosting::record(&record);
        wait::for_ever();
    }
    wait::until(get(&me.due));
    set(&me.held, 0);
    // Once more: the other one of a swap may have been started meanwhile.
    let delivered = me.delivered_context_id(index);
    (record.kind, record.arguments[2], record.at_ns) = (Kind::Enter, delivered, nanoseconds(now()));
    semihosting::record(&record);
    // SAFETY: the kernel has asked for its CPU to start there, and this one's stack is not used any
    // more.
    unsafe { enter_el1(get(&me.entry), delivered, stack_top()) }
}

/// Sets the calling CPU's EL2 up so that the kernel at EL1 sees the machine as it is, as
/// Documentation/arch/arm64/booting.rst asks for, and does not notice that EL2 is there.
fn prepare() {
    check_redistributor();
    let field = |register: u64, shift: u32| register >> shift & 0xf;
    let (pfr0, pfr1) = (read!("id_aa64pfr0_el1"), read!("id_aa64pfr1_el1"));
    let (mmfr0, mmfr1) = (read!("id_aa64mmfr0_el1"), read!("id_aa64mmfr1_el1"));

    let mut hcr = HCR_RW | HCR_TSC | HCR_HCD | HCR_FEATURES;
    if common().has_spin_table() {
        hcr |= HCR_VM;
        stage2::enable();
    }
    write!("hcr_el2", hcr);
    write!("hstr_el2", 0);
    // No floating point, SVE or SME instruction is trapped.
    write!("cptr_el2", 0x22ff);
    synchronise();
    if field(pfr0, 32) != 0 {
        // SVE: the longest vectors.
        write!("S3_4_C1_C2_0", 0x1ff);
    }
    if field(pfr1, 24) != 0 {
        // SME: the longest vectors; all instructions and ZT0 where there are such.
        write!("S3_4_C1_C2_6", 0x1ff | 1 << 30 | 1 << 31);
    }
    if field(mmfr1, 40) != 0 {
        // HCRX: 64-byte loads and stores (0 to 2), memory copies (11), TCR2 (14), SCTLR2 (15),
        // 128-bit system registers (17), guarded control stacks (22), FPMR (23), PACM (24), masks
        // of control registers (26). Bits of features that are not there are reserved, and zero.
        let enabled = 7 | 1 << 11 | 3 << 14 | 1 << 17 | 7 << 22 | 1 << 26;
        write!("S3_4_C1_C2_2", enabled);
    }
    if field(mmfr0, 56) != 0 {
        // Fine-grained traps: none, which is a one for the younger of them.
        let none = 1 << 50 | 0xfff << 52;
        write!("S3_4_C1_C1_4", none);
        write!("S3_4_C1_C1_5", none);
        write!("S3_4_C1_C1_6", 7 << 57 | 3 << 55);
        write!("S3_4_C3_C1_4", 7 << 59 | 1 << 62);
        write!("S3_4_C3_C1_5", 7 << 59 | 1 << 62);
    }
    if field(mmfr0, 56) > 1 {
        // The second set of them.
        write!("S3_4_C3_C1_0", (1 << 25) - 1);
        write!("S3_4_C3_C1_1", (1 << 25) - 1);
        write!("S3_4_C3_C1_2", (1 << 15) - 1);
        write!("S3_4_C3_C1_3", (1 << 15) - 1);
        write!("S3_4_C3_C1_7", 1 << 1);
    }
    // The identity of the CPU is the real one.
    write!("vpidr_el2", read!("midr_el1"));
    write!("vmpidr_el2", read!("mpidr_el1"));
    // EL1 has the physical counter and timer, and its virtual ones are not shifted.
    write!("cnthctl_el2", 3);
    write!("cntvoff_el2", 0);
    write!("cnthp_ctl_el2", 0);
    // EL1 has the system registers of the interrupt controller, and no virtual interrupts.
    write!("icc_sre_el2", 0xf);
    synchronise();
    write!("ich_hcr_el2", 0);
    // EL1 starts with its MMU and its caches off.
    write!("sctlr_el1", 0x30d0_0800);
    synchronise();
}

/// The redistributor that the table gives to this CPU has to be this CPU's.
fn check_redistributor() {
    let affinity = read!("mpidr_el1") & psci::AFFINITY;
    let expected = (affinity & 0xff_ffff) | (affinity >> 8 & 0xff00_0000);
    let address = get(&cpu(this_cpu()).redistributor);
    // SAFETY: GICR_TYPER, whose upper half is read, has no side effects.
    let found = u64::from(unsafe { Device::new(address) }.read(0xc));
    if found != expected {
        semihosting::fatal(trace::WRONG_REDISTRIBUTOR, [address, found, expected]);
    }
}
