// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! First instructions and exception vectors.

use core::arch::global_asm;
use core::panic::PanicInfo;

use interposer_core::{layout, trace};

use crate::registers::read;
use crate::semihosting;

/// The registers of the kernel at an exception; what is changed here is changed there.
#[repr(C, align(16))]
pub struct Frame {
    /// `x0` to `x30`.
    pub x: [u64; 31],
    _padding: u64,
}

const _: () = assert!(size_of::<Frame>() == 256);

global_asm!(
    r#"
    .section .text.boot, "ax"

    // The boot CPU's first instruction, at EL2 with the MMU off. Needs nothing in registers.
    .global _start
_start:
    adr     x20, _start
    // The image was linked to 0: add its base to every address that it holds.
    adrp    x0, __relocations_start
    add     x0, x0, :lo12:__relocations_start
    adrp    x1, __relocations_end
    add     x1, x1, :lo12:__relocations_end
1:  cmp     x0, x1
    b.hs    2f
    ldp     x2, x3, [x0], #16
    ldr     x4, [x0], #8
    cmp     w3, #0x403              // R_AARCH64_RELATIVE
    b.ne    hang
    add     x4, x4, x20
    str     x4, [x2, x20]
    b       1b
2:  dsb     sy
    ic      iallu
    dsb     sy
    isb
    mov     x0, x20
    mov     x1, xzr
    bl      set_stack
    bl      {first}
    b       hang

    // Every other CPU's first instruction, at EL2 with the MMU off.
    // In: x0 = its logical number
    .global secondary_start
secondary_start:
    mov     x1, x0
    adr     x0, _start
    bl      set_stack
    bl      {secondary}
hang:
    wfi
    b       hang

    // In: x0 = base, x1 = logical number. Out: sp. Corrupts x2, x3.
set_stack:
    movz    x2, #({stacks} >> 16), lsl #16
    add     x2, x2, x0
    add     x3, x1, #1
    add     x2, x2, x3, lsl #{stack_shift}
    mov     sp, x2
    ret

    // To EL1, never to return but by an exception.
    // In: x0 = entry point, x1 = what the kernel finds in x0, x2 = top of the stack for exceptions
    .global enter_el1
enter_el1:
    mov     sp, x2
    msr     elr_el2, x0
    mov     x2, #0x3c5              // EL1h, all exceptions masked
    msr     spsr_el2, x2
    mov     x0, x1
    .irp    n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    mov     x\n, xzr
    .endr
    isb
    eret

    // Passes a call on to the firmware below.
    // In: x0 = the registers x0 to x3, which are replaced by the answer
    .global call_firmware
call_firmware:
    stp     x29, x30, [sp, #-32]!
    str     x0, [sp, #16]
    mov     x8, x0
    ldp     x0, x1, [x8]
    ldp     x2, x3, [x8, #16]
    smc     #0
    ldr     x8, [sp, #16]
    stp     x0, x1, [x8]
    stp     x2, x3, [x8, #16]
    ldp     x29, x30, [sp], #32
    ret

    // A semihosting call (Arm's "Semihosting for AArch32 and AArch64").
    // In: x0 = operation, x1 = its arguments. Out: x0
    .global semihosting_call
semihosting_call:
    hlt     #0xf000
    ret

    // What is not expected at EL2 ends the machine.
    .macro unexpected
    .balign 128
    mov     x0, sp
    b       unexpected_exception
    .endm

    .section .vectors, "ax"
    .balign 2048
    .global vectors
vectors:
    .rept 8                         // from EL2 itself
    unexpected
    .endr
    .balign 128                     // synchronous, from EL1 or EL0 in AArch64
    sub     sp, sp, #256
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    b       synchronous
    .rept 7
    unexpected
    .endr

    .section .text
synchronous:
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    str     x30, [sp, #240]
    mov     x0, sp
    bl      {synchronous}
    ldp     x0, x1, [sp, #0]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldr     x30, [sp, #240]
    add     sp, sp, #256
    eret

unexpected_exception:
    bl      {unexpected}
    b       hang
    "#,
    first = sym crate::cpu::first,
    secondary = sym crate::cpu::secondary,
    synchronous = sym crate::calls::synchronous,
    unexpected = sym unexpected,
    stacks = const layout::STACKS,
    stack_shift = const layout::STACK_SIZE.trailing_zeros(),
);

unsafe extern "C" {
    /// See above. Never returns.
    pub fn enter_el1(entry: u64, argument: u64, stack: u64) -> !;
    /// See above. Does not return from calls that end the CPU or the machine.
    pub fn call_firmware(registers: *mut [u64; 4]);
    /// See above. Reads and writes what the operation's definition says.
    pub fn semihosting_call(operation: u64, arguments: *const u64) -> u64;
    /// The first instruction of secondary CPUs.
    pub fn secondary_start();
    /// The vector table.
    pub fn vectors();
}

/// An exception that is none of the kernel's calls: says so and ends the machine.
pub extern "C" fn unexpected() -> ! {
    semihosting::fatal(trace::UNEXPECTED, [read!("esr_el2"), read!("elr_el2"), read!("far_el2")])
}

/// Nothing here is meant to panic; should it, the machine ends all the same.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    semihosting::fatal(trace::UNEXPECTED, [0; 3])
}
