// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The interposer's trace: from its records to lines of JSON. Pure.

use interposer_core::psci;
use interposer_core::trace::{self, Kind, Record, SIZE};
use serde::Serialize;

/// A line of the trace. Times are nanoseconds of the architected counter, the clock of the
/// timeline.
#[derive(Debug, Serialize)]
struct Line {
    at_ns: u64,
    since_ns: u64,
    cpu: u16,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    arguments: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<i64>,
}

/// Reads records; returns them and the same as lines of JSON. What is cut off at the end, or of no
/// kind that is known, is left out.
pub fn read(bytes: &[u8]) -> (Vec<Record>, String) {
    let (chunks, _) = bytes.as_chunks::<SIZE>();
    let records: Vec<Record> = chunks.iter().filter_map(Record::decode).collect();
    // Numbers and strings, which can always be encoded.
    let lines = records.iter().filter_map(|record| serde_json::to_string(&line(record)).ok());
    let text = lines.map(|line| line + "\n").collect();
    (records, text)
}

/// The records of the first kernel, and those of a second one that it has started. Each asks once,
/// when it finds PSCI, whether there is a trusted OS; the question for the version comes again later.
pub fn of_kernels(records: &[Record]) -> (&[Record], &[Record]) {
    let begins =
        |record: &Record| record.kind == Kind::Call && record.function == psci::MIGRATE_INFO_TYPE;
    let second = (0..records.len()).filter(|&at| begins(&records[at])).nth(1);
    records.split_at(second.unwrap_or(records.len()))
}

fn line(record: &Record) -> Line {
    let (event, is_call) = match record.kind {
        Kind::Start => ("start", false),
        Kind::Call => ("call", true),
        Kind::LastCall => ("last-call", true),
        Kind::Enter => ("enter", false),
        Kind::Park => ("park", false),
        Kind::Release => ("release", false),
        Kind::Fatal => ("fatal", false),
    };
    let function = is_call.then(|| {
        let id = record.function;
        psci::name(id).map_or_else(|| format!("{id:#010x}"), str::to_owned)
    });
    let has_answer = matches!(record.kind, Kind::Call | Kind::Release);
    Line {
        at_ns: record.at_ns,
        since_ns: record.since_ns,
        cpu: record.cpu,
        event,
        function,
        arguments: record.arguments.iter().map(|value| format!("{value:#x}")).collect(),
        answer: has_answer.then_some(record.answer),
    }
}

/// Why the interposer could not go on, if that is how it ended.
pub fn fatal(records: &[Record]) -> Option<String> {
    let record = records.iter().find(|record| record.kind == Kind::Fatal)?;
    let [first, second, third] = record.arguments;
    let cpu = record.cpu;
    Some(match record.function {
        trace::NO_TABLE => {
            format!("the interposer has no table that it can read ({first}, {second})")
        }
        trace::WRONG_REDISTRIBUTOR => format!(
            "the redistributor at {first:#x} is not that of CPU {cpu}: it has the affinity \
             {second:#x} instead of {third:#x}"
        ),
        _ => format!(
            "the interposer cannot go on: exception on CPU {cpu} with syndrome {first:#x} at \
             {second:#x}, address {third:#x}"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: Kind, function: u32) -> Record {
        let arguments = [1, 0x4030_0000, 5];
        Record { kind, cpu: 3, function, arguments, answer: -4, since_ns: 10, at_ns: 20 }
    }

    #[test]
    fn a_kernel_asks_once_for_a_trusted_os() {
        let call = |function| record(Kind::Call, function);
        let [asks, on] = [psci::MIGRATE_INFO_TYPE, psci::CPU_ON_64].map(call);
        let start = record(Kind::Start, 0);
        let records = [start, asks, on, asks, on, on];
        assert_eq!(of_kernels(&records), records.split_at(3));
        assert_eq!(of_kernels(&records[..3]), (&records[..3], &[][..]));
    }

    #[test]
    fn a_trace_reads_as_lines() {
        let mut bytes = Vec::new();
        for (kind, function) in [
            (Kind::Call, psci::CPU_ON_64),
            (Kind::LastCall, 0x8400_0008),
            (Kind::Call, 0xc600_0001),
            (Kind::Enter, 0),
        ] {
            bytes.extend(record(kind, function).encode());
        }
        // Cut off.
        bytes.extend([1; 10]);
        let (records, text) = read(&bytes);
        assert_eq!(records.len(), 4);
        insta::assert_snapshot!(text, @r#"
        {"at_ns":20,"since_ns":10,"cpu":3,"event":"call","function":"CPU_ON","arguments":["0x1","0x40300000","0x5"],"answer":-4}
        {"at_ns":20,"since_ns":10,"cpu":3,"event":"last-call","function":"SYSTEM_OFF","arguments":["0x1","0x40300000","0x5"]}
        {"at_ns":20,"since_ns":10,"cpu":3,"event":"call","function":"0xc6000001","arguments":["0x1","0x40300000","0x5"],"answer":-4}
        {"at_ns":20,"since_ns":10,"cpu":3,"event":"enter","arguments":["0x1","0x40300000","0x5"]}
        "#);
        assert_eq!(fatal(&records), None);
    }

    #[test]
    fn the_end_of_the_interposer_is_told() {
        let of = |function| fatal(&[record(Kind::Start, 0), record(Kind::Fatal, function)]);
        insta::assert_snapshot!(
            [1, 2, 3].map(|function| of(function).unwrap()).join("\n"),
            @r"
        the interposer cannot go on: exception on CPU 3 with syndrome 0x1 at 0x40300000, address 0x5
        the interposer has no table that it can read (1, 1076887552)
        the redistributor at 0x1 is not that of CPU 3: it has the affinity 0x40300000 instead of 0x5
        "
        );
    }
}
