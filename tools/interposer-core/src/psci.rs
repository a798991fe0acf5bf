// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The calls of PSCI and of the SMC calling convention, as far as the interposer or its trace has to
//! know them (Arm DEN 0022 and DEN 0028).

/// Success.
pub const SUCCESS: i64 = 0;
/// `CPU_ON` of a CPU that runs.
pub const ALREADY_ON: i64 = -4;
/// `CPU_ON` of a CPU that is on its way.
pub const ON_PENDING: i64 = -5;
/// What `AFFINITY_INFO` says of a CPU that is on its way.
pub const AFFINITY_ON_PENDING: i64 = 2;

/// Asks whether there is a trusted OS that can move between CPUs.
pub const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
/// `CPU_ON` with 64-bit arguments.
pub const CPU_ON_64: u32 = 0xc400_0003;

/// The errors that PSCI defines, by their number.
pub const ERRORS: [(i64, &str); 9] = [
    (-1, "NOT_SUPPORTED"),
    (-2, "INVALID_PARAMETERS"),
    (-3, "DENIED"),
    (ALREADY_ON, "ALREADY_ON"),
    (ON_PENDING, "ON_PENDING"),
    (-6, "INTERNAL_FAILURE"),
    (-7, "NOT_PRESENT"),
    (-8, "DISABLED"),
    (-9, "INVALID_ADDRESS"),
];

/// The bits of an MPIDR that name a CPU.
pub const AFFINITY: u64 = 0xff_00ff_ffff;

/// A call of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Start a CPU.
    CpuOn {
        /// Affinity fields of its MPIDR.
        target: u64,
        /// Physical address of its first instruction.
        entry: u64,
        /// What it shall find in its first register.
        context: u64,
    },
    /// Ask whether a CPU is on.
    AffinityInfo {
        /// Affinity fields of its MPIDR.
        target: u64,
        /// The lowest affinity level that counts.
        level: u64,
    },
    /// Turn the caller off. Does not return if it succeeds.
    CpuOff,
    /// Turn the machine off, or reset it. Does not return.
    End,
    /// Anything else.
    Other,
}

impl Call {
    /// Reads the registers `x0` to `x3` of a call. The upper halves of the arguments of a 32-bit
    /// call do not count.
    pub fn decode(registers: [u64; 4]) -> Self {
        let function = function(registers);
        let is_64 = function & 1 << 30 != 0;
        let [_, first, second, third] =
            registers.map(|value| if is_64 { value } else { value & 0xffff_ffff });
        match function {
            0x8400_0003 | CPU_ON_64 => {
                Self::CpuOn { target: first & AFFINITY, entry: second, context: third }
            }
            0x8400_0004 | 0xc400_0004 => {
                Self::AffinityInfo { target: first & AFFINITY, level: second }
            }
            0x8400_0002 => Self::CpuOff,
            0x8400_0008 | 0x8400_0009 | 0x8400_0012 | 0xc400_0012 => Self::End,
            _ => Self::Other,
        }
    }
}

/// The function identifier of a call. The upper half of `x0` does not count.
pub fn function(registers: [u64; 4]) -> u32 {
    // The lower half is what is wanted.
    (registers[0] & 0xffff_ffff) as u32
}

/// The name of a function; `None` if it is none of these standards'.
pub fn name(function: u32) -> Option<&'static str> {
    Some(match function & !(1 << 30) {
        0x8000_0000 => "SMCCC_VERSION",
        0x8000_0001 => "SMCCC_ARCH_FEATURES",
        0x8000_0002 => "SMCCC_ARCH_SOC_ID",
        0x8000_7fff => "SMCCC_ARCH_WORKAROUND_2",
        0x8000_8000 => "SMCCC_ARCH_WORKAROUND_1",
        0x8000_3fff => "SMCCC_ARCH_WORKAROUND_3",
        0x8400_0000 => "PSCI_VERSION",
        0x8400_0001 => "CPU_SUSPEND",
        0x8400_0002 => "CPU_OFF",
        0x8400_0003 => "CPU_ON",
        0x8400_0004 => "AFFINITY_INFO",
        0x8400_0005 => "MIGRATE",
        0x8400_0006 => "MIGRATE_INFO_TYPE",
        0x8400_0007 => "MIGRATE_INFO_UP_CPU",
        0x8400_0008 => "SYSTEM_OFF",
        0x8400_0009 => "SYSTEM_RESET",
        0x8400_000a => "PSCI_FEATURES",
        0x8400_000b => "CPU_FREEZE",
        0x8400_000c => "CPU_DEFAULT_SUSPEND",
        0x8400_000d => "NODE_HW_STATE",
        0x8400_000e => "SYSTEM_SUSPEND",
        0x8400_000f => "PSCI_SET_SUSPEND_MODE",
        0x8400_0012 => "SYSTEM_RESET2",
        0x8400_0013 => "MEM_PROTECT",
        0x8400_0014 => "MEM_PROTECT_CHECK_RANGE",
        0x8400_0015 => "SYSTEM_OFF2",
        0x8400_0050 => "TRNG_VERSION",
        0x8400_0051 => "TRNG_FEATURES",
        0x8400_0052 => "TRNG_GET_UUID",
        0x8400_0053 => "TRNG_RND",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart() {
        let decode = |function: u64| Call::decode([function, 0x8000_0101, 0x4020_0000, 5]);
        // Bit 31 of an MPIDR is no affinity.
        let on = Call::CpuOn { target: 0x101, entry: 0x4020_0000, context: 5 };
        assert_eq!(decode(0xc400_0003), on);
        assert_eq!(decode(0x8400_0003), on);
        let info = Call::AffinityInfo { target: 0x101, level: 0x4020_0000 };
        assert_eq!(decode(0xc400_0004), info);
        assert_eq!(decode(0x8400_0002), Call::CpuOff);
        // There is no 64-bit CPU_OFF.
        assert_eq!(decode(0xc400_0002), Call::Other);
        assert_eq!(decode(0x8400_0008), Call::End);
        assert_eq!(decode(0x8400_0000), Call::Other);
        assert_eq!(decode(0xffff_ffff_8400_0009), Call::End);
    }

    #[test]
    fn a_32_bit_call_has_32_bit_arguments() {
        let junk = 0xdead_0000_0000_0000;
        let call = Call::decode([junk | 0x8400_0003, junk | 1, junk | 0x4020_0000, junk | 7]);
        assert_eq!(call, Call::CpuOn { target: 1, entry: 0x4020_0000, context: 7 });
        let call = Call::decode([0xc400_0003, 0xff_0000_0001, 1 << 40, 1 << 63]);
        assert_eq!(call, Call::CpuOn { target: 0xff_0000_0001, entry: 1 << 40, context: 1 << 63 });
    }

    #[test]
    fn functions_have_names() {
        assert_eq!(name(0xc400_0003), Some("CPU_ON"));
        assert_eq!(name(0x8400_000a), Some("PSCI_FEATURES"));
        assert_eq!(name(0x8000_0000), Some("SMCCC_VERSION"));
        assert_eq!(name(0xc600_0000), None);
    }
}
