// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the interposer tells of what it did: records of [`SIZE`] bytes, little-endian, one after
//! the other. Of a fixed size, so that writing one costs the interposer next to nothing.

/// Bytes of a record.
pub const SIZE: usize = 64;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The interposer starts. Arguments: its base, the number of CPUs, the counter's frequency in Hz.
    Start,
    /// The kernel has called. Function and arguments as it gave them; `answer` is what it was told.
    Call,
    /// A call that will not return. Written before it is passed on.
    LastCall,
    /// A CPU goes to the kernel. Arguments: the entry point, the context ID that the kernel chose,
    /// the one that the CPU gets. `since_ns` is when its start was asked for.
    Enter,
    /// A CPU is held for ever. Arguments as for [`Kind::Enter`].
    Park,
    /// The kernel has written a release address of a spin-table. Arguments: the CPU that it belongs
    /// to, the value.
    Release,
    /// The interposer cannot go on. Arguments: the syndrome, the address of the instruction, the
    /// address of the data; or for [`NO_TABLE`] as function, what is wrong with the table.
    Fatal,
}

/// As the function of a [`Kind::Fatal`]: an exception that the interposer does not expect.
pub const UNEXPECTED: u32 = 1;
/// As the function of a [`Kind::Fatal`]: there is no table, or a wrong one.
pub const NO_TABLE: u32 = 2;
/// As the function of a [`Kind::Fatal`]: the redistributor is not this CPU's. Arguments: its
/// address, the affinity that it has, the one that it should have.
pub const WRONG_REDISTRIBUTOR: u32 = 3;

const KINDS: [Kind; 7] =
    [Kind::Start, Kind::Call, Kind::LastCall, Kind::Enter, Kind::Park, Kind::Release, Kind::Fatal];

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub kind: Kind,
    /// The CPU on which it happened, by logical number.
    pub cpu: u16,
    /// The function of a call.
    pub function: u32,
    /// What its kind says.
    pub arguments: [u64; 3],
    /// The answer to a call.
    pub answer: i64,
    /// When it began, in nanoseconds of the architected counter.
    pub since_ns: u64,
    /// When it ended: the moment of the record.
    pub at_ns: u64,
}

impl Record {
    /// The record as bytes.
    pub fn encode(&self) -> [u8; SIZE] {
        let kind = KINDS.iter().zip(1..).find(|(kind, _)| **kind == self.kind);
        let kind: u64 = kind.map_or(0, |(_, number)| number);
        let words = [
            kind | u64::from(self.cpu) << 16 | u64::from(self.function) << 32,
            self.arguments[0],
            self.arguments[1],
            self.arguments[2],
            self.answer.cast_unsigned(),
            self.since_ns,
            self.at_ns,
        ];
        let mut bytes = [0; SIZE];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads a record; `None` if it is of no kind that this version knows.
    pub fn decode(bytes: &[u8; SIZE]) -> Option<Self> {
        let mut words = [0; 7];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().ok()?);
        }
        let [first, one, two, three, answer, since_ns, at_ns] = words;
        let kind = usize::from(first as u16).checked_sub(1)?;
        Some(Self {
            kind: *KINDS.get(kind)?,
            cpu: (first >> 16) as u16,
            function: (first >> 32) as u32,
            arguments: [one, two, three],
            answer: answer.cast_signed(),
            since_ns,
            at_ns,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind in 0..KINDS.len(), cpu: u16, function: u32, arguments: [u64; 3], answer: i64,
            since_ns: u64, at_ns: u64,
        ) {
            let kind = KINDS[kind];
            let record = Record { kind, cpu, function, arguments, answer, since_ns, at_ns };
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }
    }

    #[test]
    fn what_is_no_record_is_told() {
        assert_eq!(Record::decode(&[0; SIZE]), None);
        assert_eq!(Record::decode(&[0xff; SIZE]), None);
    }
}
