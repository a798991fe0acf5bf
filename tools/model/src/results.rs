// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The results file: one JSON document per command, schema 1.
//!
//! All times are nanoseconds. Fields that this version does not know are passed over on reading;
//! those that a run cannot have are null.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::bench::{Machine, Plan};
use crate::stats::Spread;
use crate::timeline::{self, Cpu, Phase, Timeline};

/// The schema that this module reads and writes.
pub const SCHEMA: u64 = 1;

/// A results file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    // The first field, so that it is the first thing in every file.
    schema: Schema,
    /// What was measured, with what and where.
    pub manifest: Manifest,
    /// The runs in the order in which they were made.
    pub runs: Vec<Run>,
    /// What a bench was to measure; absent in the results of other commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bench: Option<Plan>,
}

/// Always [`SCHEMA`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Schema;

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(SCHEMA)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(from)? {
            found if found == SCHEMA => Ok(Self),
            found => Err(de::Error::custom(ReadError::Schema { found: found.to_string() })),
        }
    }
}

/// Why a text is not a results file that can be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It is no JSON.
    #[error("results: not JSON")]
    Json(#[source] serde_json::Error),
    /// It is JSON of something else.
    #[error("results: not a results file, it has no field `schema`")]
    NoSchema,
    /// It was written by another version.
    #[error("results: schema {found}, but only schema {SCHEMA} can be read here")]
    Schema {
        /// The schema as it was written.
        found: String,
    },
    /// It says schema 1 and is not.
    #[error("results: does not match schema {SCHEMA}")]
    Shape(#[source] serde_json::Error),
}

impl Results {
    /// A results file with those runs.
    pub fn new(manifest: Manifest, runs: Vec<Run>) -> Self {
        Self { schema: Schema, manifest, runs, bench: None }
    }

    /// Reads a results file.
    ///
    /// # Errors
    ///
    /// It is no JSON, of another schema, or not as schema 1 has it.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        // The schema first: what else is wrong with the file of another schema is of no interest.
        let value: serde_json::Value = serde_json::from_str(text).map_err(ReadError::Json)?;
        match value.get("schema") {
            None => return Err(ReadError::NoSchema),
            Some(schema) if *schema == SCHEMA => {}
            Some(schema) => return Err(ReadError::Schema { found: schema.to_string() }),
        }
        // From the text again, so that errors have their line.
        serde_json::from_str(text).map_err(ReadError::Shape)
    }

    /// The file's text, indented and with a line end.
    ///
    /// # Errors
    ///
    /// None that these types can cause.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

/// What was measured, with what and where; enough to repeat it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The kernel that the series is applied to.
    pub base: Base,
    /// The series; null where only the base was run.
    pub series: Option<Series>,
    /// SHA-256 of the kernel's configuration.
    pub config_sha256: Option<String>,
    /// Versions of the tools that built it, by tool.
    pub toolchain: BTreeMap<String, String>,
    /// Version of QEMU; null on real hardware.
    pub qemu: Option<String>,
    /// `tcg`, `kvm` or `none`; with commas between them where runs differ.
    pub accel: String,
    /// The machine: its kernel, architecture and CPUs.
    pub host: String,
    /// The command line that was given.
    pub command: String,
    /// When it was started, by RFC 3339, in UTC.
    pub started: String,
    /// What else is known, by name: what the owner of a machine says of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
}

/// The kernel that a series is applied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its version, as `7.3.4`.
    pub version: String,
    /// SHA-256 of its tarball; null for a tree of the user's.
    pub sha256: Option<String>,
}

/// A patch series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Its folder under `patches/`.
    pub name: String,
    /// SHA-256 over all patches.
    pub sha256: String,
    /// The file names of the patches in order.
    pub patches: Vec<String>,
}

/// One boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What is compared: kernel and mode, as `base`, `p0`, `p1`.
    pub arm: String,
    /// Possible CPUs of the guest.
    pub cpus: u32,
    /// Whether CPUs were brought up in parallel, 0 or 1; null where the kernel has no such mode or
    /// it is not known.
    #[serde(with = "zero_or_one", default)]
    pub parallel: Option<bool>,
    /// How many CPUs were kicked ahead: `auto`, `all` or a number; null as for `parallel`.
    pub window: Option<String>,
    /// `tcg`, `kvm` or `none`.
    pub accel: String,
    /// What the figures are counted in.
    pub clock: Clock,
    /// Firmware profile; null for the machine's own.
    pub firmware: Option<String>,
    /// Whether everything went as it was to.
    pub ok: bool,
    /// What went wrong; null if nothing did.
    pub failure: Option<Failure>,
    /// From the first kick to the last CPU active; null without a timeline.
    pub bringup_ns: Option<u64>,
    /// Between the log's two `smp:` lines; null if they or their stamps are missing.
    pub smp_ns: Option<u64>,
    /// Each phase over all CPUs.
    #[serde(default)]
    pub phases: Phases,
    /// The rows of the timeline; empty without one.
    #[serde(default)]
    pub per_cpu: Vec<Cpu>,
    /// What the console put out.
    pub console_bytes: u64,
    /// CPU time that the run took on the host.
    pub host_cpu_ns: Option<u64>,
    /// What the hypervisor counted; null where nobody did.
    pub kvm: Option<Kvm>,
    /// Set where [`Run::per_cpu`] is no timeline but what the kernel log says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarse: Option<LogSpan>,
    /// How the CPUs are laid out, as QEMU has it; absent for its default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<String>,
    /// Which repeat of the same it is, from 0; absent outside of a bench.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// QEMU's seed; absent where it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What was wrong with which CPU on purpose, as `--fault` takes it; empty for a sound machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Whether CPUs were taken off or brought up between the boot and the reading of the timeline;
    /// see [`Run::has_hotplug`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hotplug: bool,
}

/// The bring-up by the kernel log alone, which every kernel has. Of each CPU the log says only when
/// it spoke, which is right before it is marked online: that is in the column `online`, to the
/// microsecond and with all that a slow console adds. The other columns are null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpan {
    /// The stamp of the line `smp: Bringing up`, in nanoseconds of the log's clock, which is that of
    /// [`Run::per_cpu`] here.
    pub bringing_up: u64,
    /// The stamp of the line `smp: Brought up`, not before the other.
    pub brought_up: u64,
}

/// What the stamps of the log's two lines may lack, which are cut to microseconds.
const LOG_ROUNDING_NS: u64 = 2_000;

/// What is settled about a run before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// See [`Run::arm`].
    pub arm: String,
    /// See [`Run::cpus`].
    pub cpus: u32,
    /// See [`Run::parallel`].
    pub parallel: Option<bool>,
    /// See [`Run::window`].
    pub window: Option<String>,
    /// See [`Run::accel`].
    pub accel: String,
    /// See [`Run::clock`].
    pub clock: Clock,
    /// See [`Run::firmware`].
    pub firmware: Option<String>,
}

impl Run {
    /// A run of which nothing is known yet but its setup; it counts as one that went well.
    pub fn new(setup: Setup) -> Self {
        let Setup { arm, cpus, parallel, window, accel, clock, firmware } = setup;
        Self {
            arm,
            cpus,
            parallel,
            window,
            accel,
            clock,
            firmware,
            ok: true,
            failure: None,
            bringup_ns: None,
            smp_ns: None,
            phases: Phases::default(),
            per_cpu: Vec::new(),
            console_bytes: 0,
            host_cpu_ns: None,
            kvm: None,
            coarse: None,
            topology: None,
            repeat: None,
            seed: None,
            faults: Vec::new(),
            hotplug: false,
        }
    }

    /// The CPUs and their layout.
    pub fn machine(&self) -> Machine {
        Machine { cpus: self.cpus, topology: self.topology.clone() }
    }

    /// The run with what its timeline says. That includes the mode: the kernel may not have taken
    /// the one that was asked for.
    #[must_use]
    pub fn with_timeline(mut self, timeline: &Timeline) -> Self {
        self.parallel = Some(timeline.parallel);
        self.window = Some(timeline.window.clone());
        self.bringup_ns = timeline.bringup_ns();
        self.phases = Phases::of(&timeline.cpus);
        self.per_cpu = timeline.cpus.clone();
        self
    }

    /// The run as one that failed.
    #[must_use]
    pub fn with_failure(mut self, failure: Failure) -> Self {
        self.ok = false;
        self.failure = Some(failure);
        self
    }

    /// The CPUs of which the timeline says that they failed.
    pub fn failed_cpus(&self) -> impl Iterator<Item = &Cpu> {
        self.per_cpu.iter().filter(|cpu| cpu.outcome.is_failure())
    }

    /// The time of the first kick, in nanoseconds of the timeline's clock.
    pub fn first_kick(&self) -> Option<u64> {
        timeline::first_kick(&self.per_cpu)
    }

    /// Whether the timeline goes beyond the boot: it shows the last bring-up of each CPU, which is not
    /// that of the boot for one that went off and on. Files from before [`Run::hotplug`] was kept show
    /// it as a timeline that is longer than all of the bring-up by the log.
    pub fn has_hotplug(&self) -> bool {
        let longer = self
            .bringup_ns
            .zip(self.smp_ns)
            .is_some_and(|(timeline, log)| timeline > log.saturating_add(LOG_ROUNDING_NS));
        self.hotplug || longer
    }

    /// [`Run::bringup_ns`] where that is of the boot alone.
    pub fn boot_ns(&self) -> Option<u64> {
        self.bringup_ns.filter(|_| !self.has_hotplug())
    }

    /// Whether the figures are instructions of a run that another seed alone could change. In the
    /// KVM lab instructions are counted too, but each repeat starts at another point of the host's
    /// tick, and its scheduler does the rest: those are samples.
    pub fn is_counted(&self) -> bool {
        self.clock == Clock::Icount && self.kvm.is_none()
    }
}

/// What a run's figures are counted in, which says what they may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Virtual time of QEMU: one instruction is one nanosecond.
    Icount,
    /// The emulator's clock, which follows the host's.
    Host,
    /// The architected counter of a real CPU.
    Counter,
}

impl Clock {
    /// Its name in the results file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Icount => "icount",
            Self::Host => "host",
            Self::Counter => "counter",
        }
    }

    /// What a reader of its figures must know; `None` if they are what they seem to be.
    pub fn caution(self) -> Option<&'static str> {
        match self {
            Self::Icount => Some(
                "icount: one instruction is 1 ns and all CPUs take turns on one core; the figures count \
                 work, and of the gain from parallelism they show only firmware delays that overlap.",
            ),
            Self::Host => Some(
                "host: emulated CPUs timed by the host's clock; \
                 the figures show the order of events and are no measure of performance.",
            ),
            Self::Counter => None,
        }
    }
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, in one word that does not change: a [`crate::console::Kind`] or one of the boot's.
    pub kind: String,
    /// The line that shows it, or what was waited for.
    pub detail: String,
    /// The last lines of the console.
    #[serde(default)]
    pub console_tail: Vec<String>,
}

/// The spread of each phase that some CPU went through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, serde_json::Value>")]
pub struct Phases(BTreeMap<Phase, Spread>);

impl Phases {
    /// The phases of these CPUs.
    pub fn of(cpus: &[Cpu]) -> Self {
        let spread = |phase| Some((phase, Spread::of_phase(cpus, phase)?));
        Self(Phase::ALL.into_iter().filter_map(spread).collect())
    }

    /// The spread of `phase`; `None` if no CPU went through it.
    pub fn get(&self, phase: Phase) -> Option<&Spread> {
        self.0.get(&phase)
    }
}

impl From<BTreeMap<String, serde_json::Value>> for Phases {
    /// Phases that are not known, or not a spread, are of a later version: left out.
    fn from(fields: BTreeMap<String, serde_json::Value>) -> Self {
        let known = fields.into_iter().filter_map(|(name, spread)| {
            Some((Phase::from_name(&name)?, serde_json::from_value(spread).ok()?))
        });
        Self(known.collect())
    }
}

/// What the hypervisor counted while the guest ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kvm {
    /// Exits by class: `IRQ`, `WFx`, `HVC64`, `SYS64`, `DABT_LOW`, `IABT_LOW`.
    pub exits: BTreeMap<String, Exits>,
    /// Trapped reads of the GICv3 redistributors' type register.
    pub gicr_typer_reads: Option<u64>,
    /// Physical CPUs that the guest's CPUs ran on.
    #[serde(default)]
    pub pcpus: Option<u32>,
    /// Whether each of the guest's CPUs was bound to a physical one.
    #[serde(default)]
    pub pinned: Option<bool>,
    /// Ticks per second of the host's kernel, where it is known.
    #[serde(default)]
    pub host_hz: Option<u32>,
    /// Which repetition of the same it is, from 0; each starts at another time.
    #[serde(default)]
    pub repetition: Option<u32>,
    /// How long the part of the run is that all these figures are of: from the first kick to the
    /// last CPU active, by the host's clock.
    #[serde(default)]
    pub window_ns: Option<u64>,
    /// From the first to the last call of PSCI's CPU_ON, by the host's clock.
    #[serde(default)]
    pub cpu_on_span_ns: Option<u64>,
    /// The "hot" figure: how long APs that waited for their release had a physical CPU execute
    /// their code, all together.
    #[serde(default)]
    pub waiting_ns: Option<u64>,
    /// How long physical CPUs executed the guest's code, all together.
    #[serde(default)]
    pub guest_ns: Option<u64>,
    /// How often threads of the guest's CPUs gave up their physical CPU.
    #[serde(default)]
    pub switches: Option<Switches>,
}

/// Context switches of the threads of a guest's CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switches {
    /// The thread could have run on.
    #[serde(default)]
    pub preempted: u64,
    /// The thread had nothing to do.
    #[serde(default)]
    pub blocked: u64,
}

/// The exits of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exits {
    /// How many.
    #[serde(default)]
    pub count: u64,
    /// The time until the guest ran again, all together.
    pub time_ns: Option<u64>,
}

impl Exits {
    /// So many, with their time.
    pub fn timed(count: u64, time_ns: u64) -> Self {
        Self { count, time_ns: Some(time_ns) }
    }

    /// One more, with its time.
    pub fn add(&mut self, time_ns: u64) {
        self.count += 1;
        self.time_ns = Some(self.time_ns.unwrap_or(0).saturating_add(time_ns));
    }
}

/// A switch as 0 or 1, the way the boot parameter and the timeline have it.
mod zero_or_one {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Switch {
        Number(u64),
        Bool(bool),
    }

    pub(super) fn serialize<S: Serializer>(value: &Option<bool>, to: S) -> Result<S::Ok, S::Error> {
        value.map(u8::from).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<bool>, D::Error> {
        match Option::<Switch>::deserialize(from)? {
            None => Ok(None),
            Some(Switch::Number(0) | Switch::Bool(false)) => Ok(Some(false)),
            Some(Switch::Number(1) | Switch::Bool(true)) => Ok(Some(true)),
            Some(Switch::Number(other)) => {
                Err(de::Error::invalid_value(de::Unexpected::Unsigned(other), &"0 or 1"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::samples;

    fn full_run() -> Run {
        let mut run = samples::run("p1", &samples::with_failure(8)).with_failure(Failure {
            kind: "panic".into(),
            detail: "Kernel panic - not syncing: x".into(),
            console_tail: vec!["---[ end".into()],
        });
        run.host_cpu_ns = Some(9);
        run.kvm = Some(Kvm {
            exits: BTreeMap::from([("IRQ".into(), Exits { count: 205, time_ns: Some(17) })]),
            gicr_typer_reads: Some(322),
            pcpus: Some(4),
            pinned: Some(true),
            host_hz: Some(250),
            repetition: Some(0),
            window_ns: Some(1000),
            cpu_on_span_ns: Some(900),
            waiting_ns: Some(33),
            guest_ns: Some(700),
            switches: Some(Switches { preempted: 12, blocked: 3 }),
        });
        run
    }

    #[test]
    fn writes_schema_1_as_it_is_fixed() {
        let mut run = samples::run("p1", &samples::parallel(2));
        run.kvm = full_run().kvm;
        run.failure = full_run().failure;
        let results = Results::new(samples::manifest(), vec![run]);
        samples::assert_snapshot("results", &results.to_json().unwrap());
    }

    #[test]
    fn reads_what_it_writes() {
        let bare = Run::new(Setup {
            arm: "pristine".into(),
            cpus: 1,
            parallel: None,
            window: None,
            accel: "kvm".into(),
            clock: Clock::Counter,
            firmware: Some("slow".into()),
        });
        let results = Results::new(samples::manifest(), vec![full_run(), bare]);
        let text = results.to_json().unwrap();
        assert!(text.starts_with("{\n  \"schema\": 1,"));
        assert_eq!(Results::from_json(&text).unwrap(), results);
    }

    #[test]
    fn passes_over_fields_it_does_not_know() {
        let results = Results::new(samples::manifest(), vec![full_run()]);
        let mut value = serde_json::to_value(&results).unwrap();
        value["colour"] = json!("blue");
        value["manifest"]["moon"] = json!({"phase": "full"});
        value["runs"][0]["joules"] = json!(3);
        value["runs"][0]["phases"]["lunch"] = json!("long");
        value["runs"][0]["phases"]["kick_to_entry"]["p99"] = json!(3);
        value["runs"][0]["kvm"]["exits"]["SMC64"] = json!({"count": 1, "time_ns": null});
        value["runs"][0]["kvm"]["exits"]["WFx"] = json!({});
        value["runs"][0]["parallel"] = json!(true);
        let read = Results::from_json(&value.to_string()).unwrap();
        assert_eq!(read.runs[0].phases, results.runs[0].phases);
        assert_eq!(read.runs[0].parallel, Some(true));

        value["runs"][0]["per_cpu"][1]["joules"] = json!(4);
        let read = Results::from_json(&value.to_string()).unwrap();
        assert_eq!(read.runs[0].per_cpu[1].extra["joules"], 4);
    }

    #[test]
    fn says_why_a_file_cannot_be_read() {
        let message = |text: &str| Results::from_json(text).expect_err("refused").to_string();
        assert_eq!(message("{\"schema\": 1,"), "results: not JSON");
        assert_eq!(message("[1]"), "results: not a results file, it has no field `schema`");
        assert_eq!(message("{}"), "results: not a results file, it has no field `schema`");
        assert_eq!(
            message("{\"schema\": 2, \"all\": \"else differs\"}"),
            "results: schema 2, but only schema 1 can be read here"
        );
        assert_eq!(
            message("{\"schema\": \"one\"}"),
            "results: schema \"one\", but only schema 1 can be read here"
        );
        assert_eq!(message("{\"schema\": 1}"), "results: does not match schema 1");
        let direct = serde_json::from_str::<Results>("{\"schema\": 2}").expect_err("refused");
        assert!(direct.to_string().contains("only schema 1 can be read"), "{direct}");
    }

    #[test]
    fn refuses_a_switch_that_is_none() {
        let mut value =
            serde_json::to_value(Results::new(samples::manifest(), vec![full_run()])).unwrap();
        value["runs"][0]["parallel"] = json!(2);
        let Err(ReadError::Shape(error)) = Results::from_json(&value.to_string()) else {
            panic!("refused")
        };
        assert!(error.to_string().contains("expected 0 or 1"), "{error}");
    }

    #[test]
    fn a_timeline_beyond_the_boot_is_found() {
        let mut run = samples::run("p1", &samples::parallel(4));
        assert_eq!((run.has_hotplug(), run.boot_ns()), (false, run.bringup_ns));
        // The log's stamps are cut, so that its total may look a little shorter.
        run.smp_ns = run.bringup_ns.map(|ns| ns - 1_000);
        assert!(!run.has_hotplug());
        run.smp_ns = run.bringup_ns.map(|ns| ns - 9_000);
        assert_eq!((run.has_hotplug(), run.boot_ns()), (true, None));
        run.smp_ns = run.bringup_ns;
        run.hotplug = true;
        assert_eq!((run.has_hotplug(), run.boot_ns()), (true, None));
        let text = serde_json::to_string(&run).unwrap();
        assert!(serde_json::from_str::<Run>(&text).unwrap().hotplug);
    }

    #[test]
    fn takes_the_mode_from_the_timeline() {
        let mut run = samples::run("p1", &samples::serial(3));
        assert_eq!(run.parallel, Some(false));
        run = run.with_timeline(&samples::parallel(3));
        assert_eq!((run.parallel, run.window.as_deref()), (Some(true), Some("auto")));
        assert!(run.bringup_ns.is_some());
        assert_eq!(run.failed_cpus().count(), 0);
        assert_eq!(full_run().failed_cpus().count(), 2);
        for clock in [Clock::Icount, Clock::Host, Clock::Counter] {
            assert_eq!(json!(clock), json!(clock.name()));
        }
    }
}
