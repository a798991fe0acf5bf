// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The table that tells the interposer what machine it is on and what each CPU's firmware shall do.
//!
//! All fields are little-endian. A header of [`HEADER`] bytes, then [`ENTRY`] bytes for each CPU, in
//! the kernel's logical order: the boot CPU first. The checksum is FNV-1a over all that follows it.

/// What a table starts with.
pub const MAGIC: u64 = u64::from_le_bytes(*b"EL2table");
/// The version that this module reads and writes.
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER: usize = 96;
/// Bytes of each CPU's entry.
pub const ENTRY: usize = 64;

/// Bytes before the part that the checksum is about.
const SUMMED_FROM: usize = 32;

/// Bytes of a table for so many CPUs.
pub const fn size(cpus: usize) -> usize {
    HEADER + cpus * ENTRY
}

/// What concerns all CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Machine {
    /// Physical address of the kernel's first instruction.
    pub kernel: u64,
    /// Physical address of the device tree.
    pub device_tree: u64,
    /// Physical address of the interrupt controller's distributor.
    pub distributor: u64,
    /// For latencies that are drawn by lot.
    pub seed: u64,
    /// Trace by semihosting. Without a debugger or an emulator that knows it, such a call is fatal.
    pub trace: bool,
    /// Secondary CPUs are started by a spin-table instead of by PSCI.
    pub spin_table: bool,
}

/// What context ID a CPU gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Context {
    /// That of its `CPU_ON`.
    #[default]
    Own,
    /// Zero.
    Zero,
    /// [`GARBAGE`].
    Garbage,
    /// That of the CPU with this number.
    Of(u32),
}

/// A context ID that is neither a CPU's number nor an address of anything.
pub const GARBAGE: u64 = 0xbad0_c0de_dead_beef;

/// What concerns one CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Affinity fields of its MPIDR.
    pub mpidr: u64,
    /// Physical address of its redistributor's first frame.
    pub redistributor: u64,
    /// How long `CPU_ON` holds its caller, in nanoseconds.
    pub block_ns: u64,
    /// From the end of the call to the CPU's entry, in nanoseconds: at least this,
    pub latency_min_ns: u64,
    /// and at most this.
    pub latency_max_ns: u64,
    /// Which context ID it gets.
    pub context: Context,
    /// `CPU_ON` answers this, a PSCI error, and does nothing; 0 if there is no error.
    pub error: i64,
    /// It never gets to the kernel.
    pub never: bool,
}

/// Why bytes are not a table, or no table can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The bytes or the space end too early.
    Short,
    /// It does not start with [`MAGIC`].
    Magic,
    /// It has another version.
    Version(u32),
    /// It has no CPU, or more than [`crate::layout::MAX_CPUS`].
    Cpus(u32),
    /// The checksum is wrong.
    Checksum,
    /// An entry holds what this version does not know.
    Entry(u32),
}

/// Writes a table to the start of `to`; returns how many bytes it has.
///
/// # Errors
///
/// There are no CPUs or too many, or `to` is too small.
pub fn encode(machine: &Machine, cpus: &[Cpu], to: &mut [u8]) -> Result<usize, Error> {
    let count = u32::try_from(cpus.len()).unwrap_or(u32::MAX);
    if cpus.is_empty() || cpus.len() > crate::layout::MAX_CPUS {
        return Err(Error::Cpus(count));
    }
    let length = size(cpus.len());
    let to = to.get_mut(..length).ok_or(Error::Short)?;
    to.fill(0);
    let flags = u64::from(machine.trace) | u64::from(machine.spin_table) << 1;
    let head = [
        MAGIC,
        u64::from(VERSION) | u64::from(count) << 32,
        length as u64,
        0,
        machine.kernel,
        machine.device_tree,
        machine.distributor,
        machine.seed,
        flags,
    ];
    put(to, &head);
    for (entry, cpu) in to[HEADER..].chunks_exact_mut(ENTRY).zip(cpus) {
        let (kind, of) = match cpu.context {
            Context::Own => (0, 0),
            Context::Zero => (1, 0),
            Context::Garbage => (2, 0),
            Context::Of(of) => (3, of),
        };
        let words = [
            cpu.mpidr,
            cpu.redistributor,
            cpu.block_ns,
            cpu.latency_min_ns,
            cpu.latency_max_ns,
            kind | u64::from(of) << 32,
            cpu.error.cast_unsigned(),
            u64::from(cpu.never),
        ];
        put(entry, &words);
    }
    let sum = checksum(&to[SUMMED_FROM..]);
    put(&mut to[SUMMED_FROM - 8..], &[sum]);
    Ok(length)
}

/// A table that was found to be one.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    machine: Machine,
    entries: &'a [u8],
}

impl<'a> Table<'a> {
    /// Reads the table at the start of `bytes`.
    ///
    /// # Errors
    ///
    /// It is none, or not one that this version knows.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        if word(bytes, 0)? != MAGIC {
            return Err(Error::Magic);
        }
        let second = word(bytes, 1)?;
        let (version, count) = (second as u32, (second >> 32) as u32);
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let cpus = count as usize;
        if cpus == 0 || cpus > crate::layout::MAX_CPUS {
            return Err(Error::Cpus(count));
        }
        let bytes = bytes.get(..size(cpus)).ok_or(Error::Short)?;
        if word(bytes, 2)? != bytes.len() as u64
            || word(bytes, 3)? != checksum(&bytes[SUMMED_FROM..])
        {
            return Err(Error::Checksum);
        }
        let flags = word(bytes, 8)?;
        let machine = Machine {
            kernel: word(bytes, 4)?,
            device_tree: word(bytes, 5)?,
            distributor: word(bytes, 6)?,
            seed: word(bytes, 7)?,
            trace: flags & 1 != 0,
            spin_table: flags & 2 != 0,
        };
        let table = Self { machine, entries: &bytes[HEADER..] };
        for index in 0..table.len() {
            table.cpu(index)?;
        }
        Ok(table)
    }

    /// What concerns all CPUs.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// The number of CPUs, never 0.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.entries.len() / ENTRY
    }

    /// The CPU of that logical number.
    ///
    /// # Errors
    ///
    /// There is none. [`Self::decode`] has read all that are.
    pub fn cpu(&self, index: usize) -> Result<Cpu, Error> {
        let entry = self.entries.chunks_exact(ENTRY).nth(index).ok_or(Error::Short)?;
        let context = word(entry, 5)?;
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let context = match (context as u32, (context >> 32) as u32) {
            (0, 0) => Context::Own,
            (1, 0) => Context::Zero,
            (2, 0) => Context::Garbage,
            (3, of) if (of as usize) < self.len() => Context::Of(of),
            _ => return Err(Error::Entry(number)),
        };
        let flags = word(entry, 7)?;
        if flags > 1 {
            return Err(Error::Entry(number));
        }
        Ok(Cpu {
            mpidr: word(entry, 0)?,
            redistributor: word(entry, 1)?,
            block_ns: word(entry, 2)?,
            latency_min_ns: word(entry, 3)?,
            latency_max_ns: word(entry, 4)?,
            context,
            error: word(entry, 6)?.cast_signed(),
            never: flags != 0,
        })
    }
}

fn put(to: &mut [u8], words: &[u64]) {
    for (bytes, word) in to.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

fn word(bytes: &[u8], index: usize) -> Result<u64, Error> {
    let bytes = bytes.get(index * 8..index * 8 + 8).ok_or(Error::Short)?;
    bytes.try_into().map(u64::from_le_bytes).map_err(|_| Error::Short)
}

/// FNV-1a (Fowler, Noll, Vo), 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn sample() -> (Machine, Vec<Cpu>) {
        let machine = Machine {
            kernel: 0x4020_0000,
            device_tree: 0x4800_0000,
            distributor: 0x0800_0000,
            seed: 7,
            trace: true,
            spin_table: false,
        };
        let cpus = [Context::Own, Context::Zero, Context::Garbage, Context::Of(1)]
            .into_iter()
            .zip(0..)
            .map(|(context, mpidr)| Cpu {
                mpidr,
                redistributor: 0x080a_0000 + mpidr * 0x2_0000,
                block_ns: 45_000_000,
                latency_min_ns: 1,
                latency_max_ns: u64::MAX,
                context,
                error: -2,
                never: mpidr == 3,
            });
        (machine, cpus.collect())
    }

    fn encoded() -> Vec<u8> {
        let (machine, cpus) = sample();
        let mut bytes = vec![0xff; 1000];
        let length = encode(&machine, &cpus, &mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let (machine, cpus) = sample();
        let bytes = encoded();
        assert_eq!(bytes.len(), size(4));
        let table = Table::decode(&bytes).unwrap();
        assert_eq!(table.machine(), machine);
        let read: Vec<Cpu> = (0..table.len()).map(|index| table.cpu(index).unwrap()).collect();
        assert_eq!(read, cpus);
        assert_eq!(table.cpu(4), Err(Error::Short));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let bytes = encoded();
        let error = |change: fn(&mut Vec<u8>)| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            Table::decode(&bytes).unwrap_err()
        };
        assert_eq!(error(|bytes| bytes.clear()), Error::Short);
        assert_eq!(error(|bytes| bytes[0] ^= 1), Error::Magic);
        assert_eq!(error(|bytes| bytes[8] = 2), Error::Version(2));
        assert_eq!(error(|bytes| bytes[12] = 0), Error::Cpus(0));
        assert_eq!(error(|bytes| bytes[13] = 8), Error::Cpus(2052));
        assert_eq!(error(|bytes| bytes[12] = 5), Error::Short);
        assert_eq!(error(|bytes| bytes[12] = 3), Error::Checksum);
        assert_eq!(error(|bytes| bytes[HEADER] ^= 1), Error::Checksum);
        let (machine, mut cpus) = sample();
        cpus[0].context = Context::Of(4);
        let mut wrong = vec![0; 1000];
        encode(&machine, &cpus, &mut wrong).unwrap();
        assert_eq!(Table::decode(&wrong).unwrap_err(), Error::Entry(0));
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let (machine, cpus) = sample();
        let mut bytes = vec![0; size(4) - 1];
        assert_eq!(encode(&machine, &cpus, &mut bytes), Err(Error::Short));
        assert_eq!(encode(&machine, &[], &mut bytes), Err(Error::Cpus(0)));
        let many = vec![Cpu::default(); 513];
        let mut bytes = vec![0; size(513)];
        assert_eq!(encode(&machine, &many, &mut bytes), Err(Error::Cpus(513)));
        assert_eq!(encode(&machine, &many[1..], &mut bytes), Ok(size(512)));
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum(b"foobar"), 0x85944171f73967e8);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>, at in 0..size(4), bit in 0..8) {
            let _ = Table::decode(&bytes);
            // And no single bit of a table can be wrong without being noticed.
            let mut bytes = encoded();
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(Table::decode(&bytes).is_err());
        }
    }
}
