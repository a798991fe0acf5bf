// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The `timeline` file of the kernel module, version 1: when each CPU reached each phase.
//!
//! ```text
//! # cpu_bringup timeline v1 unit=ns parallel=1 window=auto
//! cpu  mpidr  node  kick  kicked  entry  alive  release  starting  online  active  outcome
//! ```
//!
//! then one tab-separated row per possible CPU in logical order. Columns are found by their name;
//! columns and header fields that this version does not know are kept as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// What the first line starts with, up to the version.
const TITLE: &str = "# cpu_bringup timeline";
/// The version that this module reads and writes.
const VERSION: &str = "v1";
/// What stands for a phase that was not reached.
const NOT_REACHED: &str = "-";
/// The columns in the order in which they are written.
const COLUMNS: [&str; 12] = [
    "cpu", "mpidr", "node", "kick", "kicked", "entry", "alive", "release", "starting", "online",
    "active", "outcome",
];

/// A moment in the bring-up of one CPU. All are read from one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stamp {
    /// The control CPU is about to call the enable method.
    Kick,
    /// The call has returned on the control CPU. The CPU itself may be well ahead of it.
    Kicked,
    /// The CPU executes its first kernel instruction.
    Entry,
    /// The CPU reports.
    Alive,
    /// The CPU is let go.
    Release,
    /// The CPU has done its starting callbacks.
    Starting,
    /// The CPU is marked online.
    Online,
    /// The CPU's hotplug thread has brought it to its last state.
    Active,
}

impl Stamp {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 8] = [
        Self::Kick,
        Self::Kicked,
        Self::Entry,
        Self::Alive,
        Self::Release,
        Self::Starting,
        Self::Online,
        Self::Active,
    ];

    /// Those that one CPU reaches one after the other. [`Stamp::Kicked`] is not among them: it is
    /// taken on the control CPU while the kicked CPU already runs.
    pub const SEQUENCE: [Self; 7] = [
        Self::Kick,
        Self::Entry,
        Self::Alive,
        Self::Release,
        Self::Starting,
        Self::Online,
        Self::Active,
    ];

    /// The name of its column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kick => "kick",
            Self::Kicked => "kicked",
            Self::Entry => "entry",
            Self::Alive => "alive",
            Self::Release => "release",
            Self::Starting => "starting",
            Self::Online => "online",
            Self::Active => "active",
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The time of one CPU between two of its stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The enable method's call on the control CPU.
    KickToKicked,
    /// Firmware, hypervisor and interconnect, until the first kernel instruction.
    KickToEntry,
    /// Early boot of the CPU, until it reports.
    EntryToAlive,
    /// Waiting to be let go.
    AliveToRelease,
    /// Starting callbacks.
    ReleaseToStarting,
    /// From the starting callbacks to being marked online.
    StartingToOnline,
    /// The hotplug thread's callbacks.
    OnlineToActive,
}

impl Phase {
    /// All of them, in order of time.
    pub const ALL: [Self; 7] = [
        Self::KickToKicked,
        Self::KickToEntry,
        Self::EntryToAlive,
        Self::AliveToRelease,
        Self::ReleaseToStarting,
        Self::StartingToOnline,
        Self::OnlineToActive,
    ];

    /// Its name in the results file.
    pub fn name(self) -> &'static str {
        match self {
            Self::KickToKicked => "kick_to_kicked",
            Self::KickToEntry => "kick_to_entry",
            Self::EntryToAlive => "entry_to_alive",
            Self::AliveToRelease => "alive_to_release",
            Self::ReleaseToStarting => "release_to_starting",
            Self::StartingToOnline => "starting_to_online",
            Self::OnlineToActive => "online_to_active",
        }
    }

    /// The phase of that name in the results file.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// The stamps at its two ends.
    pub fn ends(self) -> (Stamp, Stamp) {
        match self {
            Self::KickToKicked => (Stamp::Kick, Stamp::Kicked),
            Self::KickToEntry => (Stamp::Kick, Stamp::Entry),
            Self::EntryToAlive => (Stamp::Entry, Stamp::Alive),
            Self::AliveToRelease => (Stamp::Alive, Stamp::Release),
            Self::ReleaseToStarting => (Stamp::Release, Stamp::Starting),
            Self::StartingToOnline => (Stamp::Starting, Stamp::Online),
            Self::OnlineToActive => (Stamp::Online, Stamp::Active),
        }
    }
}

/// What became of a CPU.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Outcome {
    /// The CPU that the kernel was started on.
    Boot,
    /// It came up.
    Online,
    /// It is down, and nothing went wrong.
    Offline,
    /// Nobody asked for it, for example because of `maxcpus=`.
    NotKicked,
    /// It was kicked and never arrived.
    NeverArrived,
    /// It arrived after the control CPU had given up.
    Late,
    /// The enable method returned this error.
    KickError(i32),
    /// It arrived and died, for this reason.
    Died(String),
    /// It arrived and was parked, for this reason.
    Parked(String),
    /// An outcome that this version does not know, as it was written.
    Other(String),
}

impl Outcome {
    /// Whether something went wrong. An outcome that is not known counts as a failure, since every
    /// later outcome is to be one.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Boot | Self::Online | Self::Offline | Self::NotKicked)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot => f.write_str("boot"),
            Self::Online => f.write_str("online"),
            Self::Offline => f.write_str("offline"),
            Self::NotKicked => f.write_str("not-kicked"),
            Self::NeverArrived => f.write_str("never-arrived"),
            Self::Late => f.write_str("late"),
            Self::KickError(error) => write!(f, "kick-error({error})"),
            Self::Died(reason) => write!(f, "died({reason})"),
            Self::Parked(reason) => write!(f, "parked({reason})"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<&str> for Outcome {
    fn from(text: &str) -> Self {
        let argument = |name: &str| {
            text.strip_prefix(name).and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'))
        };
        match text {
            "boot" => Self::Boot,
            "online" => Self::Online,
            "offline" => Self::Offline,
            "not-kicked" => Self::NotKicked,
            "never-arrived" => Self::NeverArrived,
            "late" => Self::Late,
            _ => {
                if let Some(error) = argument("kick-error").and_then(canonical_i32) {
                    Self::KickError(error)
                } else if let Some(reason) = argument("died") {
                    Self::Died(reason.into())
                } else if let Some(reason) = argument("parked") {
                    Self::Parked(reason.into())
                } else {
                    Self::Other(text.into())
                }
            }
        }
    }
}

impl From<String> for Outcome {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Outcome> for String {
    fn from(outcome: Outcome) -> Self {
        outcome.to_string()
    }
}

/// A number that is written as we would write it, so that nothing is lost by reading it.
fn canonical_i32(text: &str) -> Option<i32> {
    text.parse::<i32>().ok().filter(|number| number.to_string() == text)
}

/// One row: one possible CPU. Times are nanoseconds of the timeline's clock, `None` where the CPU
/// did not get to that point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Logical number.
    pub cpu: u32,
    /// Affinity fields of MPIDR_EL1, the hardware's name of the CPU.
    #[serde(with = "hexadecimal")]
    pub mpidr: u64,
    /// NUMA node, where there is one.
    #[serde(default)]
    pub node: Option<u32>,
    /// See [`Stamp::Kick`].
    #[serde(default)]
    pub kick: Option<u64>,
    /// See [`Stamp::Kicked`].
    #[serde(default)]
    pub kicked: Option<u64>,
    /// See [`Stamp::Entry`].
    #[serde(default)]
    pub entry: Option<u64>,
    /// See [`Stamp::Alive`].
    #[serde(default)]
    pub alive: Option<u64>,
    /// See [`Stamp::Release`].
    #[serde(default)]
    pub release: Option<u64>,
    /// See [`Stamp::Starting`].
    #[serde(default)]
    pub starting: Option<u64>,
    /// See [`Stamp::Online`].
    #[serde(default)]
    pub online: Option<u64>,
    /// See [`Stamp::Active`].
    #[serde(default)]
    pub active: Option<u64>,
    /// What became of it.
    pub outcome: Outcome,
    /// Columns that this version does not know, by name.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Cpu {
    /// The time of `stamp`, in nanoseconds.
    pub fn stamp(&self, stamp: Stamp) -> Option<u64> {
        match stamp {
            Stamp::Kick => self.kick,
            Stamp::Kicked => self.kicked,
            Stamp::Entry => self.entry,
            Stamp::Alive => self.alive,
            Stamp::Release => self.release,
            Stamp::Starting => self.starting,
            Stamp::Online => self.online,
            Stamp::Active => self.active,
        }
    }

    /// How long `phase` took, in nanoseconds. `None` if an end was not reached, or if the stamps
    /// run backwards, which [`Timeline::check`] reports.
    pub fn duration(&self, phase: Phase) -> Option<u64> {
        let (from, to) = phase.ends();
        self.stamp(to)?.checked_sub(self.stamp(from)?)
    }
}

/// The time from the first kick to the last CPU active, in nanoseconds; the boot CPU is left out,
/// since nobody kicks it. `None` where no CPU was kicked or none became active.
pub fn bringup_ns(cpus: &[Cpu]) -> Option<u64> {
    let secondaries = || cpus.iter().filter(|cpu| cpu.outcome != Outcome::Boot);
    let first = first_kick(cpus)?;
    secondaries().filter_map(|cpu| cpu.active).max()?.checked_sub(first)
}

/// The time of the first kick, in nanoseconds of the timeline's clock.
pub fn first_kick(cpus: &[Cpu]) -> Option<u64> {
    cpus.iter().filter(|cpu| cpu.outcome != Outcome::Boot).filter_map(|cpu| cpu.kick).min()
}

/// A timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Whether the kernel brought its CPUs up in parallel.
    pub parallel: bool,
    /// How many CPUs it would kick ahead of the one being released: `auto`, `all` or a number.
    pub window: String,
    /// Header fields that this version does not know, by name.
    pub extra: BTreeMap<String, String>,
    /// One entry per possible CPU.
    pub cpus: Vec<Cpu>,
}

/// Why a text is not a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("timeline, line {line}: expected {expected}, found {found}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// What should have been there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Something that a timeline says and that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Inconsistency {
    /// A CPU reached `later` before `earlier`.
    #[error("CPU {cpu}: {later} ({later_ns} ns) is before {earlier} ({earlier_ns} ns)")]
    Backwards {
        /// Logical number.
        cpu: u32,
        /// The stamp that must come first.
        earlier: Stamp,
        /// Its time.
        earlier_ns: u64,
        /// The stamp that must come after it.
        later: Stamp,
        /// Its time.
        later_ns: u64,
    },
    /// A CPU is said to have come up without ever reaching `stamp`.
    #[error("CPU {cpu}: outcome is online, but it has no time for {stamp}")]
    Missing {
        /// Logical number.
        cpu: u32,
        /// The stamp that is not there.
        stamp: Stamp,
    },
    /// The rows are not in logical order.
    #[error("CPU {cpu} comes after CPU {after}")]
    Disorder {
        /// Logical number.
        cpu: u32,
        /// That of the row before.
        after: u32,
    },
}

impl Timeline {
    /// Reads a timeline.
    ///
    /// # Errors
    ///
    /// The first thing that is not as it should be, with its line. Stamps that run backwards are no
    /// error here; see [`Timeline::check`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut lines = text.trim_end_matches(['\n', '\r']).lines().zip(1..);
        let (header, _) = lines.next().unwrap_or(("", 1));
        let (parallel, window, extra) = parse_header(header)?;
        let (names, _) = lines.next().ok_or_else(|| at_end(2, "the names of the columns"))?;
        let columns = Columns::parse(names)?;

        let mut seen = BTreeSet::new();
        let mut cpus = Vec::new();
        for (row, line) in lines {
            let cpu = columns.parse_row(row, line)?;
            if !seen.insert(cpu.cpu) {
                return Err(error(line, "each CPU once", format!("CPU {} again", cpu.cpu)));
            }
            cpus.push(cpu);
        }
        if cpus.is_empty() {
            return Err(at_end(3, "a row for each possible CPU"));
        }
        Ok(Self { parallel, window, extra, cpus })
    }

    /// The time from the first kick to the last CPU active, in nanoseconds; see [`bringup_ns`].
    pub fn bringup_ns(&self) -> Option<u64> {
        bringup_ns(&self.cpus)
    }

    /// What the timeline says and cannot be. Empty for a sound timeline.
    pub fn check(&self) -> Vec<Inconsistency> {
        let mut found = Vec::new();
        for pair in self.cpus.windows(2) {
            if let [before, cpu] = pair
                && cpu.cpu <= before.cpu
            {
                found.push(Inconsistency::Disorder { cpu: cpu.cpu, after: before.cpu });
            }
        }
        for cpu in &self.cpus {
            check_order(cpu, &Stamp::SEQUENCE, &mut found);
            check_order(cpu, &[Stamp::Kick, Stamp::Kicked], &mut found);
            if cpu.outcome == Outcome::Online {
                let missing = Stamp::ALL.into_iter().filter(|stamp| cpu.stamp(*stamp).is_none());
                found.extend(missing.map(|stamp| Inconsistency::Missing { cpu: cpu.cpu, stamp }));
            }
        }
        found
    }
}

/// Adds to `found` each neighbouring pair of the given stamps that runs backwards.
fn check_order(cpu: &Cpu, sequence: &[Stamp], found: &mut Vec<Inconsistency>) {
    let mut previous: Option<(Stamp, u64)> = None;
    for &later in sequence {
        let Some(later_ns) = cpu.stamp(later) else { continue };
        if let Some((earlier, earlier_ns)) = previous
            && later_ns < earlier_ns
        {
            let cpu = cpu.cpu;
            found.push(Inconsistency::Backwards { cpu, earlier, earlier_ns, later, later_ns });
        }
        previous = Some((later, later_ns));
    }
}

/// Writes the file as the kernel module does; columns of its own come after those of version 1.
impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parallel = u8::from(self.parallel);
        write!(f, "{TITLE} {VERSION} unit=ns parallel={parallel} window={}", self.window)?;
        for (key, value) in &self.extra {
            write!(f, " {key}={value}")?;
        }
        let extra: BTreeSet<&str> =
            self.cpus.iter().flat_map(|cpu| cpu.extra.keys()).map(String::as_str).collect();
        let names: Vec<&str> = COLUMNS.into_iter().chain(extra.iter().copied()).collect();
        writeln!(f, "\n{}", names.join("\t"))?;
        for cpu in &self.cpus {
            write!(f, "{}\t{:#x}\t{}", cpu.cpu, cpu.mpidr, or_dash(cpu.node))?;
            for stamp in Stamp::ALL {
                write!(f, "\t{}", or_dash(cpu.stamp(stamp)))?;
            }
            write!(f, "\t{}", cpu.outcome)?;
            for name in &extra {
                match cpu.extra.get(*name) {
                    None | Some(Value::Null) => write!(f, "\t{NOT_REACHED}")?,
                    Some(Value::String(text)) => write!(f, "\t{text}")?,
                    Some(value) => write!(f, "\t{value}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn or_dash(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| NOT_REACHED.into(), |value| value.to_string())
}

/// Reads the first line into `parallel`, `window` and the fields that are not known.
fn parse_header(line: &str) -> Result<(bool, String, BTreeMap<String, String>), ParseError> {
    let expected = format!("`{TITLE} {VERSION} unit=ns parallel=0|1 window=...`");
    let rest = line.strip_prefix(TITLE).ok_or_else(|| error(1, expected, quoted(line)))?;
    let mut words = rest.split_whitespace();
    let version = words.next().unwrap_or_default();
    if version != VERSION {
        return Err(error(1, format!("version {VERSION}"), quoted(version)));
    }
    let mut fields = BTreeMap::new();
    for word in words {
        let (key, value) =
            word.split_once('=').ok_or_else(|| error(1, "key=value", quoted(word)))?;
        if fields.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(error(1, "each field once", format!("{} again", quoted(key))));
        }
    }
    let mut take = |key: &str, expected: &str| {
        fields.remove(key).ok_or_else(|| error(1, expected, format!("no field `{key}`")))
    };
    let unit = take("unit", "unit=ns")?;
    if unit != "ns" {
        return Err(error(1, "unit=ns", quoted(&format!("unit={unit}"))));
    }
    let parallel = match take("parallel", "parallel=0|1")?.as_str() {
        "0" => false,
        "1" => true,
        other => return Err(error(1, "parallel=0|1", quoted(&format!("parallel={other}")))),
    };
    let window = take("window", "window=...")?;
    Ok((parallel, window, fields))
}

/// Which column holds what.
struct Columns<'a>(Vec<&'a str>);

impl<'a> Columns<'a> {
    /// Reads the second line.
    fn parse(line: &'a str) -> Result<Self, ParseError> {
        let names: Vec<&str> = line.split_whitespace().collect();
        let mut seen = BTreeSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(**name)) {
            return Err(error(2, "each column once", format!("{} again", quoted(name))));
        }
        if let Some(missing) = COLUMNS.into_iter().find(|name| !seen.contains(name)) {
            return Err(error(2, format!("a column `{missing}`"), quoted(line)));
        }
        Ok(Self(names))
    }

    /// Reads the row at `line`.
    fn parse_row(&self, row: &str, line: usize) -> Result<Cpu, ParseError> {
        let fields: Vec<&str> = row.split('\t').collect();
        if fields.len() != self.0.len() {
            let expected = format!("{} tab-separated fields", self.0.len());
            return Err(error(line, expected, format!("{} in {}", fields.len(), quoted(row))));
        }
        let mut cells: BTreeMap<&str, &str> = self.0.iter().copied().zip(fields).collect();
        // Columns::parse has seen to it that each of them is there.
        let mut take = |name: &str| cells.remove(name).unwrap_or_default();
        let mut number = |name: &str| -> Result<Option<u64>, ParseError> {
            match take(name) {
                NOT_REACHED => Ok(None),
                text => text.parse().map(Some).map_err(|_| {
                    error(line, format!("nanoseconds or `-` as {name}"), quoted(text))
                }),
            }
        };
        let [kick, kicked, entry, alive, release, starting, online, active] = [
            number("kick")?,
            number("kicked")?,
            number("entry")?,
            number("alive")?,
            number("release")?,
            number("starting")?,
            number("online")?,
            number("active")?,
        ];
        let cpu = take("cpu");
        let cpu = cpu.parse().map_err(|_| error(line, "a logical CPU number", quoted(cpu)))?;
        let mpidr = take("mpidr");
        let mpidr = hexadecimal::parse(mpidr)
            .ok_or_else(|| error(line, "mpidr as 0x and hexadecimal digits", quoted(mpidr)))?;
        let node = match take("node") {
            // The kernel's NUMA_NO_NODE.
            NOT_REACHED | "-1" => None,
            text => Some(
                text.parse().map_err(|_| error(line, "a NUMA node number or `-`", quoted(text)))?,
            ),
        };
        let outcome = take("outcome").into();
        let extra =
            cells.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect();
        Ok(Cpu {
            cpu,
            mpidr,
            node,
            kick,
            kicked,
            entry,
            alive,
            release,
            starting,
            online,
            active,
            outcome,
            extra,
        })
    }
}

fn error(line: usize, expected: impl Into<String>, found: String) -> ParseError {
    ParseError { line, expected: expected.into(), found }
}

fn at_end(line: usize, expected: &str) -> ParseError {
    error(line, expected, "the end of the text".into())
}

/// `text` for an error: shortened, and with everything that is not printable escaped.
fn quoted(text: &str) -> String {
    const LIMIT: usize = 80;
    if text.is_empty() {
        return "nothing".into();
    }
    let mut shown: String = text.chars().take(LIMIT).flat_map(char::escape_debug).collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

/// MPIDR values as `0x...`, in the timeline and in the results alike.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn parse(text: &str) -> Option<u64> {
        let digits = text.strip_prefix("0x")?;
        // from_str_radix would take a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u64::from_str_radix(digits, 16).ok()
    }

    pub(super) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{value:#x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).ok_or_else(|| {
            de::Error::invalid_value(de::Unexpected::Str(&text), &"0x and hexadecimal digits")
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    const HEADER: &str = "# cpu_bringup timeline v1 unit=ns parallel=1 window=auto\n";
    const NAMES: &str = "cpu\tmpidr\tnode\tkick\tkicked\tentry\talive\trelease\tstarting\tonline\tactive\toutcome\n";
    const BOOT: &str = "0\t0x0\t0\t-\t-\t-\t-\t-\t-\t-\t-\tboot\n";

    fn failing(text: &str) -> (usize, String) {
        let error = Timeline::parse(text).expect_err("must be refused");
        (error.line, error.to_string())
    }

    #[test]
    fn reads_a_timeline() {
        let text = format!(
            "{HEADER}{NAMES}{BOOT}1\t0x80000100\t-\t100\t190\t150\t180\t200\t250\t300\t400\tonline\n\
             2\t0x2\t1\t110\t120\t-\t-\t-\t-\t-\t-\tkick-error(-2)\n"
        );
        let timeline = Timeline::parse(&text).unwrap();
        assert!(timeline.parallel);
        assert_eq!(timeline.window, "auto");
        let [boot, cpu1, cpu2] = &timeline.cpus[..] else { panic!("three rows") };
        assert_eq!(boot.outcome, Outcome::Boot);
        assert_eq!((cpu1.cpu, cpu1.mpidr, cpu1.node), (1, 0x8000_0100, None));
        assert_eq!(cpu1.duration(Phase::KickToEntry), Some(50));
        assert_eq!(cpu1.duration(Phase::KickToKicked), Some(90));
        assert_eq!(cpu1.duration(Phase::OnlineToActive), Some(100));
        assert_eq!(cpu2.outcome, Outcome::KickError(-2));
        assert_eq!(cpu2.duration(Phase::KickToEntry), None);
        assert_eq!(timeline.bringup_ns(), Some(300));
        assert_eq!(timeline.check(), []);
        assert_eq!(timeline.to_string(), text);
    }

    #[test]
    fn takes_columns_by_name_and_keeps_what_it_does_not_know() {
        let text = "# cpu_bringup timeline v1 clock=arch unit=ns window=4 parallel=0\n\
                    outcome temp cpu mpidr node kick kicked entry alive release starting online active\n\
                    online\thot\t3\t0x3\t-1\t1\t2\t3\t4\t5\t6\t7\t8\n";
        let timeline = Timeline::parse(text).unwrap();
        assert_eq!(timeline.extra["clock"], "arch");
        assert_eq!(timeline.cpus[0].cpu, 3);
        assert_eq!(timeline.cpus[0].node, None);
        assert_eq!(timeline.cpus[0].active, Some(8));
        assert_eq!(timeline.cpus[0].extra["temp"], "hot");
        assert_eq!(Timeline::parse(&timeline.to_string()).unwrap(), timeline);
    }

    #[test]
    fn says_what_is_wrong_with_the_header() {
        let cases = [
            (
                "",
                "line 1: expected `# cpu_bringup timeline v1 unit=ns parallel=0|1 window=...`, found nothing",
            ),
            ("[    0.0] x", "found `[    0.0] x`"),
            ("# cpu_bringup timeline v2 unit=ns", "line 1: expected version v1, found `v2`"),
            ("# cpu_bringup timeline", "expected version v1, found nothing"),
            (
                "# cpu_bringup timeline v1 unit=us parallel=0 window=1",
                "expected unit=ns, found `unit=us`",
            ),
            (
                "# cpu_bringup timeline v1 parallel=0 window=1",
                "expected unit=ns, found no field `unit`",
            ),
            (
                "# cpu_bringup timeline v1 unit=ns parallel=2 window=1",
                "expected parallel=0|1, found `parallel=2`",
            ),
            ("# cpu_bringup timeline v1 unit=ns window=1", "found no field `parallel`"),
            ("# cpu_bringup timeline v1 unit=ns parallel=0", "found no field `window`"),
            (
                "# cpu_bringup timeline v1 unit=ns unit=ns",
                "expected each field once, found `unit` again",
            ),
            ("# cpu_bringup timeline v1 unit=ns loud", "expected key=value, found `loud`"),
        ];
        for (text, expected) in cases {
            let (line, message) = failing(text);
            assert_eq!(line, 1, "{text}");
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_columns() {
        assert_eq!(
            failing(HEADER).1,
            "timeline, line 2: expected the names of the columns, found the end of the text"
        );
        let (line, message) = failing(&format!("{HEADER}cpu mpidr node kick\n"));
        assert_eq!(line, 2);
        assert!(message.contains("expected a column `kicked`"), "{message}");
        let (line, message) = failing(&format!("{HEADER}cpu cpu\n"));
        assert_eq!(line, 2);
        assert!(message.contains("expected each column once, found `cpu` again"), "{message}");
    }

    #[test]
    fn says_what_is_wrong_with_a_row() {
        let cases = [
            ("", 3, "expected a row for each possible CPU, found the end of the text"),
            ("1\t0x1\n", 3, "expected 12 tab-separated fields, found 2 in `1\\t0x1`"),
            (
                "x\t0x1\t0\t-\t-\t-\t-\t-\t-\t-\t-\tonline\n",
                3,
                "expected a logical CPU number, found `x`",
            ),
            (
                "1\t17\t0\t-\t-\t-\t-\t-\t-\t-\t-\tonline\n",
                3,
                "expected mpidr as 0x and hexadecimal digits, found `17`",
            ),
            ("1\t0x+1\t0\t-\t-\t-\t-\t-\t-\t-\t-\tonline\n", 3, "found `0x+1`"),
            ("1\t0x\t0\t-\t-\t-\t-\t-\t-\t-\t-\tonline\n", 3, "found `0x`"),
            (
                "1\t0x1\ta\t-\t-\t-\t-\t-\t-\t-\t-\tonline\n",
                3,
                "expected a NUMA node number or `-`, found `a`",
            ),
            (
                "1\t0x1\t0\t-5\t-\t-\t-\t-\t-\t-\t-\tonline\n",
                3,
                "expected nanoseconds or `-` as kick, found `-5`",
            ),
            (
                "1\t0x1\t0\t1\t2\t3\t4\t5\t6\t7\t\tonline\n",
                3,
                "expected nanoseconds or `-` as active, found nothing",
            ),
            (
                "0\t0x0\t0\t-\t-\t-\t-\t-\t-\t-\t-\tboot\n0\t0x1\t0\t-\t-\t-\t-\t-\t-\t-\t-\tonline\n",
                4,
                "expected each CPU once, found CPU 0 again",
            ),
            (
                "0\t0x0\t0\t-\t-\t-\t-\t-\t-\t-\t-\tboot\n\n1\t0x1\t0\t-\t-\t-\t-\t-\t-\t-\t-\tonline\n",
                4,
                "found 1 in nothing",
            ),
        ];
        for (rows, line, expected) in cases {
            let (found, message) = failing(&format!("{HEADER}{NAMES}{rows}"));
            assert_eq!(found, line, "{message}");
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn shortens_what_it_found() {
        let (_, message) = failing(&"\u{1b}".repeat(1000));
        assert!(message.len() < 700, "{message}");
        assert!(!message.contains('\u{1b}'));
    }

    #[test]
    fn tells_outcomes_apart() {
        for (text, outcome, failure) in [
            ("boot", Outcome::Boot, false),
            ("online", Outcome::Online, false),
            ("offline", Outcome::Offline, false),
            ("not-kicked", Outcome::NotKicked, false),
            ("never-arrived", Outcome::NeverArrived, true),
            ("late", Outcome::Late, true),
            ("kick-error(-4)", Outcome::KickError(-4), true),
            ("kick-error(0x4)", Outcome::Other("kick-error(0x4)".into()), true),
            ("died(52-bit VA)", Outcome::Died("52-bit VA".into()), true),
            ("parked(a(b))", Outcome::Parked("a(b)".into()), true),
            ("died(", Outcome::Other("died(".into()), true),
            ("melted", Outcome::Other("melted".into()), true),
        ] {
            let parsed = Outcome::from(text);
            assert_eq!(parsed, outcome);
            assert_eq!(parsed.to_string(), text);
            assert_eq!(parsed.is_failure(), failure, "{text}");
        }
    }

    #[test]
    fn reports_what_cannot_be() {
        let mut timeline = samples::parallel(4);
        assert_eq!(timeline.check(), []);
        // The CPU may run before the call that started it returns.
        timeline.cpus[1].kicked = timeline.cpus[1].active;
        assert_eq!(timeline.check(), []);

        timeline.cpus[1].alive = Some(7);
        timeline.cpus[2].kicked = Some(1);
        timeline.cpus[3].online = None;
        timeline.cpus.swap(0, 3);
        let found: Vec<String> = timeline.check().iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(found.join("\n"), @r"
        CPU 1 comes after CPU 3
        CPU 0 comes after CPU 2
        CPU 3: outcome is online, but it has no time for online
        CPU 1: alive (7 ns) is before entry (85120431 ns)
        CPU 2: kicked (1 ns) is before kick (85025574 ns)
        ");
        assert_eq!(timeline.cpus[1].duration(Phase::EntryToAlive), None);
    }

    #[test]
    fn names_phases_both_ways() {
        for phase in Phase::ALL {
            let (from, to) = phase.ends();
            assert_eq!(phase.name(), format!("{from}_to_{to}"));
            assert_eq!(Phase::from_name(phase.name()), Some(phase));
        }
        assert_eq!(Phase::from_name("lunch"), None);
    }

    #[test]
    fn has_no_total_without_a_kick() {
        let mut timeline = samples::parallel(3);
        for cpu in &mut timeline.cpus {
            cpu.kick = None;
        }
        assert_eq!(timeline.bringup_ns(), None);
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        let reason = "[ -~]{0,20}";
        prop_oneof![
            Just(Outcome::Boot),
            Just(Outcome::Online),
            Just(Outcome::Offline),
            Just(Outcome::NotKicked),
            Just(Outcome::NeverArrived),
            Just(Outcome::Late),
            any::<i32>().prop_map(Outcome::KickError),
            reason.prop_map(Outcome::Died),
            reason.prop_map(Outcome::Parked),
            "new-[a-z]{1,10}".prop_map(Outcome::Other),
        ]
    }

    fn cpu(number: u32) -> impl Strategy<Value = Cpu> {
        (any::<u64>(), any::<Option<u32>>(), any::<[Option<u64>; 8]>(), outcome(), "[a-z]{1,5}")
            .prop_map(move |(mpidr, node, stamps, outcome, extra)| {
                let [kick, kicked, entry, alive, release, starting, online, active] = stamps;
                let extra = BTreeMap::from([("extra".to_owned(), Value::from(extra))]);
                Cpu {
                    cpu: number,
                    mpidr,
                    node,
                    kick,
                    kicked,
                    entry,
                    alive,
                    release,
                    starting,
                    online,
                    active,
                    outcome,
                    extra,
                }
            })
    }

    prop_compose! {
        fn timeline()(
            parallel: bool,
            window in "[a-z0-9=]{0,8}",
            extra in prop::collection::btree_map("x[a-z_]{0,8}", "[!-~]{0,8}", 0..3),
            cpus in (1..6u32).prop_flat_map(|count| (0..count).map(cpu).collect::<Vec<_>>()),
        ) -> Timeline {
            Timeline { parallel, window, extra, cpus }
        }
    }

    proptest! {
        #[test]
        fn round_trips(timeline in timeline()) {
            prop_assert_eq!(&Timeline::parse(&timeline.to_string()).unwrap(), &timeline);
            let json = serde_json::to_string(&timeline.cpus).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vec<Cpu>>(&json).unwrap(), timeline.cpus);
        }

        #[test]
        fn any_stamps_can_be_checked(timeline in timeline()) {
            let _ = timeline.check();
            let _ = timeline.bringup_ns();
            for cpu in &timeline.cpus {
                let _ = Phase::ALL.map(|phase| cpu.duration(phase));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), rows in "([0-9a-z\t -]{0,40}\n){0,4}") {
            let _ = Timeline::parse(&text);
            let _ = Timeline::parse(&format!("{HEADER}{text}"));
            let _ = Timeline::parse(&format!("{HEADER}{NAMES}{rows}"));
        }

        #[test]
        fn a_torn_file_is_read_or_refused(timeline in timeline(), cut in any::<prop::sample::Index>()) {
            let text = timeline.to_string();
            let mut end = cut.index(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let _ = Timeline::parse(&text[..end]);
        }
    }
}
