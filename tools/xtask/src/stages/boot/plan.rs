// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! From what shall be booted to QEMU's command line. Pure: nothing is looked up or run here.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use bringup_model::expect::{self, Situation};
use bringup_model::fault::{self, Fault, Kind};
use bringup_model::profile::Profile;
use camino::{Utf8Path, Utf8PathBuf};
use guest_protocol::{Action, PORT, Step};

use super::accel::{Accel, AccelRequest};
use crate::error::Failure;

/// What the GICv3 of QEMU's virt machine allows.
pub const MAX_CPUS: u32 = 512;

/// What shall be booted, and how.
#[derive(Debug, Clone)]
pub struct BootRequest {
    /// Names the boot in progress lines and results, e.g. `patched`.
    pub label: String,
    /// The kernel image.
    pub image: Utf8PathBuf,
    /// The module to load before the results are read.
    pub module: Option<Utf8PathBuf>,
    /// Number of CPUs, 1 to [`MAX_CPUS`].
    pub cpus: u32,
    /// How the CPUs are laid out; QEMU's default, all cores of one socket, if absent.
    pub topology: Option<Topology>,
    /// Which accelerator is wanted.
    pub accel: AccelRequest,
    /// Deterministic virtual time: 1 ns per instruction.
    pub icount: bool,
    /// Guest memory in MiB; scaled with the CPUs if absent.
    pub memory_mib: Option<u64>,
    /// `cpuhp.parallel=`, if to be given at all.
    pub parallel: Option<bool>,
    /// `cpuhp.window=`, if to be given at all.
    pub window: Option<Window>,
    /// The firmware to imitate; the machine's own if absent and no fault needs another.
    pub firmware: Option<Profile>,
    /// What goes wrong with CPUs.
    pub faults: Vec<Fault>,
    /// Further kernel parameters.
    pub append: String,
    /// What the guest shall do after loading the module and before the results are read.
    pub steps: Vec<Step>,
    /// When QEMU is killed; scaled with the CPUs if absent.
    pub limit: Option<Duration>,
    /// Keep the run's folder also when the boot succeeds. That of a failed boot is always kept.
    pub keep: bool,
    /// The module must refuse to be loaded.
    pub module_refuses: bool,
    /// Show neither QEMU's command nor progress.
    pub quiet: bool,
    /// What starts the kernel, where QEMU does not do so itself.
    pub bios: Option<Utf8PathBuf>,
    /// What the guest of a second kernel shall do, which the steps have started by kexec from
    /// [`super::guest::SECOND_IMAGE`].
    pub second: Option<Vec<Step>>,
    /// What the emulation does otherwise than usual, if anything.
    pub jitter: Option<Jitter>,
    /// The guest's CPUs have EL2, so that it can be a KVM host itself.
    pub hypervisor: bool,
    /// The guest is to be measured from outside: it is held until somebody lets it go, all of its
    /// memory is there by then, and it gets nothing random.
    pub measured: bool,
    /// The seed of all that QEMU draws by lot under icount.
    pub seed: u64,
    /// An archive to be unpacked in front of the rest of the initramfs.
    pub root: Option<Utf8PathBuf>,
    /// Further files of the initramfs.
    pub files: Vec<GuestFile>,
}

/// What makes emulated CPUs start and run at uneven speeds, to look for races.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    /// Decides about all that is random.
    pub seed: u32,
    /// Under icount an instruction is 2 to the power of this in nanoseconds, 0 to 10.
    pub shift: u8,
    /// Without icount: a host thread per CPU, however many there are.
    pub threads: bool,
    /// Without icount: the host's scheduler treats each CPU's thread differently.
    pub nice: bool,
}

/// A file that is packed into the initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestFile {
    /// Its path in the guest, without a leading slash.
    pub path: String,
    /// Whether it can be run.
    pub executable: bool,
    /// Where it is on the host.
    pub source: Utf8PathBuf,
}

impl BootRequest {
    /// A boot of `image` with defaults for all else.
    pub fn new(label: impl Into<String>, image: impl Into<Utf8PathBuf>, cpus: u32) -> Self {
        Self {
            label: label.into(),
            image: image.into(),
            module: None,
            cpus,
            topology: None,
            accel: AccelRequest::Auto,
            icount: false,
            memory_mib: None,
            parallel: None,
            window: None,
            firmware: None,
            faults: Vec::new(),
            append: String::new(),
            steps: Vec::new(),
            limit: None,
            keep: false,
            module_refuses: false,
            quiet: false,
            bios: None,
            second: None,
            jitter: None,
            hypervisor: false,
            measured: false,
            seed: 1,
            root: None,
            files: Vec::new(),
        }
    }

    /// Refuses what no host could run.
    pub fn validate(&self) -> Result<(), Failure> {
        let usage = |text: String| Err(Failure::Usage(text));
        if !(1..=MAX_CPUS).contains(&self.cpus) {
            return usage(format!(
                "{} CPUs: QEMU's virt machine with a GICv3 has 1 to {MAX_CPUS}",
                self.cpus
            ));
        }
        if let Some(topology) = &self.topology
            && topology.cpus() != u64::from(self.cpus)
        {
            return usage(format!(
                "--topology {topology} makes {} CPUs, but {} are asked for; make them agree",
                topology.cpus(),
                self.cpus
            ));
        }
        if self.icount && self.accel == AccelRequest::Kvm {
            return usage("--icount counts instructions in TCG, which KVM cannot; drop one".into());
        }
        let none = Profile::none();
        let profile = self.firmware.as_ref().unwrap_or(&none);
        fault::check(&self.faults, self.cpus, profile).map_err(Failure::Usage)?;
        if self.needs_interposer() && self.accel == AccelRequest::Kvm {
            return usage(
                "firmware is imitated at EL2, which KVM does not give to a guest here; \
                 drop --accel kvm, or --firmware and --fault"
                    .into(),
            );
        }
        if self.needs_interposer() && (self.hypervisor || self.measured || self.bios.is_some()) {
            return usage("an imitated firmware leaves no room for another one below it".into());
        }
        if self.memory_mib == Some(0) {
            return usage("a guest needs memory: give a number of MiB above 0".into());
        }
        Ok(())
    }

    /// Whether something at EL2 has to stand between the kernel and the machine's firmware.
    pub fn needs_interposer(&self) -> bool {
        self.firmware.is_some()
            || self.faults.iter().any(|fault| !fault.kind.is_injected_by_kernel())
    }

    /// Whether only emulation has what is asked for: KVM neither counts instructions nor gives a
    /// guest EL2.
    pub fn needs_tcg(&self) -> bool {
        self.icount || self.hypervisor || self.needs_interposer()
    }

    /// What is to be expected of such a kernel that starts CPUs in parallel, or does not.
    pub fn situation<'a>(
        &'a self,
        kernel: expect::Kernel,
        profile: &'a Profile,
        parallel: bool,
    ) -> Situation<'a> {
        Situation { cpus: self.cpus, kernel, profile, faults: &self.faults, parallel }
    }

    /// Lets the guest wait, before it reads anything, until every CPU that comes at all has come.
    pub fn settle(&mut self, kernel: expect::Kernel) {
        let none = Profile::none();
        let profile = self.firmware.as_ref().unwrap_or(&none);
        let milliseconds = self.situation(kernel, profile, true).settle_ms();
        if milliseconds > 0 {
            self.steps.insert(0, Action::Sleep { milliseconds }.into());
        }
    }

    /// Guest memory in MiB: what a small kernel and its log need, and room for per-CPU data.
    pub fn memory_mib(&self) -> u64 {
        self.memory_mib.unwrap_or(512 + 4 * u64::from(self.cpus))
    }

    /// The time limit. Serial bring-up is quadratic in the CPUs, and emulation slow.
    pub fn limit(&self) -> Duration {
        let cpus = u64::from(self.cpus);
        let healthy = Duration::from_secs(60 + 2 * cpus + cpus * cpus / 256);
        self.limit.unwrap_or(healthy + self.firmware_limit())
    }

    /// What firmware and faults may add to that. Under icount the ticks of CPUs that idle meanwhile
    /// take the host far longer than the guest's clock shows.
    fn firmware_limit(&self) -> Duration {
        if self.firmware.is_none() && self.faults.is_empty() {
            return Duration::ZERO;
        }
        let none = Profile::none();
        let profile = self.firmware.as_ref().unwrap_or(&none);
        let serial = self.situation(expect::Kernel::Patched, profile, false);
        let longest = Duration::from_nanos(serial.duration_ns(true).1);
        (longest + Duration::from_millis(serial.settle_ms())) * if self.icount { 30 } else { 3 }
    }

    /// The kernel's command line.
    pub fn kernel_parameters(&self) -> String {
        let mut words = vec![
            // The virt machine's UART. No earlycon: writing each line to it while CPUs come up
            // would be most of what is measured.
            "console=ttyAMA0".to_owned(),
            // Reset at once on a panic, which ends QEMU because of -no-reboot.
            "panic=-1".to_owned(),
            // A kernel that has oopsed proves nothing more, and might hang until the time limit.
            "oops=panic".to_owned(),
            // Five lines per CPU do not fit the default buffer.
            format!("log_buf_len={}", if self.cpus <= 64 { "256K" } else { "2M" }),
        ];
        if let Some(parallel) = self.parallel {
            words.push(format!("cpuhp.parallel={}", u8::from(parallel)));
        }
        if let Some(window) = self.window {
            words.push(format!("cpuhp.window={window}"));
        }
        words.extend(fault::kernel_parameter(&self.faults));
        if self.faults.iter().any(|fault| fault.kind == Kind::Panic) {
            // The kernel panics before it has a console.
            words.push("earlycon=pl011,0x9000000".to_owned());
        }
        let append = self.append.trim();
        if !append.is_empty() {
            words.push(append.to_owned());
        }
        words.join(" ")
    }
}

/// The files of one run that QEMU reads or writes.
#[derive(Debug)]
pub struct RunFiles<'a> {
    /// The initramfs.
    pub initrd: &'a Utf8Path,
    /// Where the console goes.
    pub console: &'a Utf8Path,
    /// Where the guest's reports go.
    pub report: &'a Utf8Path,
    /// Where QEMU says which process it is, if it is to.
    pub pid: &'a Utf8Path,
    /// QEMU's monitor, a socket, where the guest is measured.
    pub monitor: &'a Utf8Path,
    /// What stands between the kernel and the firmware, if anything.
    pub interposer: Option<Interposed<'a>>,
}

/// Who starts the kernel, and from where.
#[derive(Debug)]
pub enum Interposed<'a> {
    /// Nobody yet: only the device tree of such a machine is wanted, in this file.
    DeviceTree(&'a Utf8Path),
    /// The interposer.
    Started {
        /// What is put into memory before the start: the file and its address. The first one is the
        /// program, at its first instruction.
        loaded: &'a [(Utf8PathBuf, u64)],
        /// MiB of memory that the kernel is not told of.
        hidden_mib: u64,
        /// Where its trace goes.
        trace: &'a Utf8Path,
    },
}

/// QEMU's arguments for `request` on a host with `host_cores` cores.
pub fn arguments(
    request: &BootRequest,
    accel: Accel,
    host_cores: u32,
    files: &RunFiles<'_>,
) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));

    // Only what is named here: no configuration files of the user's, no network card (whose option
    // ROM need not be installed), no monitor.
    add(&["-no-user-config", "-nodefaults", "-display", "none"]);
    // A reset of the guest, e.g. after a panic, ends QEMU.
    add(&["-no-reboot"]);

    // GICv3 always, under KVM too: GICv2 ends at 8 CPUs.
    let mut machine = "virt,gic-version=3".to_owned();
    if request.icount || request.measured || request.second.is_some() {
        // No random seeds in the device tree: they would make runs differ. And kexec refuses a
        // tree whose seed for KASLR nobody has used.
        machine += ",dtb-randomness=off";
    }
    if request.second.is_some() {
        // Redistributors cannot be told to forget the tables of the first kernel, and without EFI
        // nothing reserves their memory: what the second kernel has there would be overwritten.
        machine += ",its=off";
    }
    if request.hypervisor || files.interposer.is_some() {
        machine += ",virtualization=on";
    }
    if request.measured {
        machine += ",memory-backend=memory";
    }
    if let Some(Interposed::DeviceTree(file)) = files.interposer {
        machine += &format!(",dumpdtb={}", option_value(file));
    }
    add(&["-machine", &machine]);

    match accel {
        Accel::Kvm => add(&["-accel", "kvm", "-cpu", "host"]),
        Accel::Tcg => {
            // One host thread per CPU makes them fight once they outnumber the host's cores: 128
            // CPUs on 2 cores take 175 s, with a single thread 10 s. icount has one thread anyway.
            let single = match request.jitter {
                Some(jitter) => !jitter.threads,
                None => request.cpus > host_cores,
            };
            if request.icount || single {
                add(&["-accel", "tcg,thread=single"]);
            } else {
                add(&["-accel", "tcg,thread=multi"]);
            }
            // The architected pointer authentication algorithm is very slow to emulate.
            add(&["-cpu", "max,pauth-impdef=on"]);
        }
    }
    if request.icount {
        // One instruction is 1 ns, and idle time is skipped instead of slept through.
        let shift = request.jitter.map_or(0, |jitter| jitter.shift);
        add(&["-icount", &format!("shift={shift},sleep=off")]);
        // The real-time clock and the CPU's random numbers (RNDR) are the same in every run.
        let seed = request.jitter.map_or(request.seed, |jitter| jitter.seed.into()).to_string();
        add(&["-rtc", "base=2026-01-01T00:00:00,clock=vm", "-seed", &seed]);
    }
    if request.jitter.is_some_and(|jitter| jitter.nice) {
        // So that the threads of the CPUs can be found and told apart.
        add(&["-name", "guest,debug-threads=on"]);
        add(&["-pidfile", files.pid.as_str()]);
    }

    match &request.topology {
        Some(topology) => add(&["-smp", &format!("{},{topology}", request.cpus)]),
        None => add(&["-smp", &request.cpus.to_string()]),
    }
    let hidden_mib = match files.interposer {
        Some(Interposed::Started { hidden_mib, .. }) => hidden_mib,
        _ => 0,
    };
    let memory = format!("{}M", request.memory_mib() + hidden_mib);
    add(&["-m", &memory]);
    if request.measured {
        // The host shall not look for memory while the guest is measured.
        add(&["-object", &format!("memory-backend-ram,id=memory,size={memory},prealloc=on")]);
        // Held until it is let go by way of the monitor, which also tells the threads of its CPUs.
        let monitor = format!("unix:{},server=on,wait=off", option_value(files.monitor));
        add(&["-S", "-qmp", &monitor]);
    }

    // The console has a file of its own; nothing is parsed out of it but the signs of failure.
    add(&["-chardev", &format!("file,id=console,path={}", option_value(files.console))]);
    add(&["-serial", "chardev:console"]);
    // Results leave the guest on a channel of their own. On virtio-mmio, so that the guest's
    // kernel needs no PCI.
    add(&["-chardev", &format!("file,id=report,path={}", option_value(files.report))]);
    add(&["-device", "virtio-serial-device"]);
    add(&["-device", &format!("virtserialport,chardev=report,name={PORT}")]);

    if let Some(Interposed::Started { loaded, trace, .. }) = files.interposer {
        for (index, (file, address)) in loaded.iter().enumerate() {
            // CPU 0 starts at the first one.
            let start = if index == 0 { ",cpu-num=0" } else { "" };
            let file = option_value(file);
            let value = format!("loader,file={file},addr={address:#x},force-raw=on{start}");
            add(&["-device", &value]);
        }
        // The interposer's trace: by semihosting, as it may not touch the machine's devices.
        let value = format!("enable=on,target=native,arg={}", option_value(trace));
        add(&["-semihosting-config", &value]);
    } else {
        if let Some(bios) = &request.bios {
            add(&["-bios", bios.as_str()]);
        }
        add(&["-kernel", request.image.as_str(), "-initrd", files.initrd.as_str()]);
        add(&["-append", &request.kernel_parameters()]);
    }
    arguments
}

/// A comma ends a value inside of a QEMU option unless it is doubled.
fn option_value(path: &Utf8Path) -> String {
    path.as_str().replace(',', ",,")
}

/// How CPUs are laid out. Displayed as QEMU's `-smp` wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topology {
    sockets: NonZeroU32,
    clusters: NonZeroU32,
    cores: NonZeroU32,
    threads: NonZeroU32,
}

impl Topology {
    /// Whether a core has several.
    #[cfg(test)]
    pub fn has_threads(&self) -> bool {
        self.threads.get() > 1
    }

    /// The number of CPUs that it makes.
    pub fn cpus(&self) -> u64 {
        [self.sockets, self.clusters, self.cores, self.threads]
            .iter()
            .fold(1, |product: u64, &factor| product.saturating_mul(u64::from(factor.get())))
    }
}

impl FromStr for Topology {
    type Err = String;

    /// `sockets=2,clusters=2,cores=4,threads=1` in any order; what is left out is 1.
    fn from_str(text: &str) -> Result<Self, String> {
        let [mut sockets, mut clusters, mut cores, mut threads] = [None; 4];
        for word in text.split(',') {
            let (key, value) = word.split_once('=').ok_or_else(|| {
                format!("`{word}` is not KEY=NUMBER; write sockets=,clusters=,cores=,threads=")
            })?;
            let slot = match key {
                "sockets" => &mut sockets,
                "clusters" => &mut clusters,
                "cores" => &mut cores,
                "threads" => &mut threads,
                _ => return Err(format!("`{key}` is none of sockets, clusters, cores, threads")),
            };
            let number = value
                .parse::<NonZeroU32>()
                .map_err(|_| format!("`{value}` for {key} is not a number above 0"))?;
            if slot.replace(number).is_some() {
                return Err(format!("{key} is given twice"));
            }
        }
        let or_one = |slot: Option<NonZeroU32>| slot.unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            sockets: or_one(sockets),
            clusters: or_one(clusters),
            cores: or_one(cores),
            threads: or_one(threads),
        })
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sockets, clusters, cores, threads } = self;
        write!(f, "sockets={sockets},clusters={clusters},cores={cores},threads={threads}")
    }
}

/// `cpuhp.window=`: how many CPUs may be kicked ahead of the one being released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Self-clocked.
    Auto,
    /// Everybody at once.
    All,
    /// This many.
    Fixed(NonZeroU32),
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "all" => Ok(Self::All),
            number => number.parse().map(Self::Fixed).map_err(|_| {
                format!("`{number}` is neither auto, all nor a number from 1 to {}", u32::MAX)
            }),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::All => f.write_str("all"),
            Self::Fixed(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(request: &BootRequest, accel: Accel) -> String {
        let files = RunFiles {
            initrd: "/run/initrd.cpio".into(),
            console: "/run/a,b/console.log".into(),
            report: "/run/report.jsonl".into(),
            pid: "/run/pid".into(),
            monitor: "/run/monitor".into(),
            interposer: None,
        };
        // One option per line.
        arguments(request, accel, 4, &files).join(" ").replace(" -", "\n-")
    }

    #[test]
    fn what_kvm_has_not_is_emulated() {
        let plain = BootRequest::new("patched", "/k/Image", 4);
        assert!(!plain.needs_tcg());
        let firmware = BootRequest { firmware: Some(Profile::none()), ..plain.clone() };
        let faults = vec!["cpu=1,kind=never".parse().unwrap()];
        let broken = BootRequest { faults, ..plain.clone() };
        let counted = BootRequest { icount: true, ..plain };
        assert!([firmware, broken, counted].iter().all(BootRequest::needs_tcg));
    }

    #[test]
    fn icount_is_free_of_chance() {
        let mut request = BootRequest::new("patched", "/k/Image", 16);
        request.icount = true;
        request.parallel = Some(true);
        request.window = Some("4".parse().unwrap());
        request.append = " maxcpus=2 quiet ".into();
        insta::assert_snapshot!(shown(&request, Accel::Tcg), @r"
        -no-user-config
        -nodefaults
        -display none
        -no-reboot
        -machine virt,gic-version=3,dtb-randomness=off
        -accel tcg,thread=single
        -cpu max,pauth-impdef=on
        -icount shift=0,sleep=off
        -rtc base=2026-01-01T00:00:00,clock=vm
        -seed 1
        -smp 16
        -m 576M
        -chardev file,id=console,path=/run/a,,b/console.log
        -serial chardev:console
        -chardev file,id=report,path=/run/report.jsonl
        -device virtio-serial-device
        -device virtserialport,chardev=report,name=org.kernel.cpu-bringup.report
        -kernel /k/Image
        -initrd /run/initrd.cpio
        -append console=ttyAMA0 panic=-1 oops=panic log_buf_len=256K cpuhp.parallel=1 cpuhp.window=4 maxcpus=2 quiet
        ");
    }

    #[test]
    fn kvm_uses_the_hosts_cpu() {
        let mut request = BootRequest::new("base", "/k/Image", 512);
        request.topology = Some("cores=64,sockets=2,threads=2,clusters=2".parse().unwrap());
        request.validate().unwrap();
        insta::assert_snapshot!(shown(&request, Accel::Kvm), @r"
        -no-user-config
        -nodefaults
        -display none
        -no-reboot
        -machine virt,gic-version=3
        -accel kvm
        -cpu host
        -smp 512,sockets=2,clusters=2,cores=64,threads=2
        -m 2560M
        -chardev file,id=console,path=/run/a,,b/console.log
        -serial chardev:console
        -chardev file,id=report,path=/run/report.jsonl
        -device virtio-serial-device
        -device virtserialport,chardev=report,name=org.kernel.cpu-bringup.report
        -kernel /k/Image
        -initrd /run/initrd.cpio
        -append console=ttyAMA0 panic=-1 oops=panic log_buf_len=2M
        ");
    }

    #[test]
    fn a_measured_guest_is_held_and_a_hypervisor_has_el2() {
        let mut request = BootRequest::new("p1", "/k/Image", 8);
        request.measured = true;
        let words = shown(&request, Accel::Kvm);
        let lines: Vec<_> = words
            .lines()
            .filter(|line| {
                ["-machine", "-object", "-S", "-qmp"].iter().any(|o| line.starts_with(o))
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        -machine virt,gic-version=3,dtb-randomness=off,memory-backend=memory
        -object memory-backend-ram,id=memory,size=544M,prealloc=on
        -S
        -qmp unix:/run/monitor,server=on,wait=off
        ");
        request.measured = false;
        (request.hypervisor, request.icount, request.seed) = (true, true, 7);
        let words = shown(&request, Accel::Tcg);
        assert!(words.contains("virt,gic-version=3,dtb-randomness=off,virtualization=on\n"));
        assert!(words.contains("-seed 7"));
        request.second = Some(Vec::new());
        let words = shown(&request, Accel::Tcg);
        assert!(words.contains("dtb-randomness=off,its=off,virtualization=on\n"), "{words}");
    }

    #[test]
    fn tcg_has_a_thread_per_cpu_only_where_the_host_has_the_cores() {
        for (cpus, expected) in [(4, "tcg,thread=multi"), (5, "tcg,thread=single")] {
            let request = BootRequest::new("base", "/k/Image", cpus);
            assert!(shown(&request, Accel::Tcg).contains(expected), "{cpus} CPUs");
        }
    }

    #[test]
    fn a_boot_that_waits_for_a_dead_cpu_has_longer() {
        let mut request = BootRequest::new("patched", "/k/Image", 16);
        let healthy = request.limit();
        request.faults = vec!["cpu=3,kind=never".parse().unwrap()];
        let by_time = request.limit();
        request.icount = true;
        // The kernel's ten seconds, and more where waiting CPUs execute.
        assert!(by_time >= healthy + Duration::from_secs(10));
        assert!(request.limit() > by_time);
    }

    #[test]
    fn what_no_host_could_run_is_bad_usage() {
        let refused = |change: fn(&mut BootRequest)| {
            let mut request = BootRequest::new("base", "/k/Image", 4);
            change(&mut request);
            let failure = request.validate().unwrap_err();
            assert_eq!(failure.code(), 2, "{failure}");
            failure.to_string()
        };
        let texts = [
            refused(|request| request.cpus = 0),
            refused(|request| request.cpus = 513),
            refused(|request| request.topology = Some("cores=3".parse().unwrap())),
            refused(|request| {
                let most = u32::MAX;
                let text = format!("sockets={most},clusters={most},cores={most}");
                request.topology = Some(text.parse().unwrap());
            }),
            refused(|request| (request.icount, request.accel) = (true, AccelRequest::Kvm)),
            refused(|request| request.memory_mib = Some(0)),
        ];
        insta::assert_snapshot!(texts.join("\n"), @r"
        0 CPUs: QEMU's virt machine with a GICv3 has 1 to 512
        513 CPUs: QEMU's virt machine with a GICv3 has 1 to 512
        --topology sockets=1,clusters=1,cores=3,threads=1 makes 3 CPUs, but 4 are asked for; make them agree
        --topology sockets=4294967295,clusters=4294967295,cores=4294967295,threads=1 makes 18446744073709551615 CPUs, but 4 are asked for; make them agree
        --icount counts instructions in TCG, which KVM cannot; drop one
        a guest needs memory: give a number of MiB above 0
        ");
    }

    #[test]
    fn topologies_and_windows_are_checked() {
        let texts = ["", "cores", "dies=2", "cores=0", "cores=x", "cores=2,cores=2"]
            .map(|text| text.parse::<Topology>().unwrap_err());
        insta::assert_snapshot!(texts.join("\n"), @r"
        `` is not KEY=NUMBER; write sockets=,clusters=,cores=,threads=
        `cores` is not KEY=NUMBER; write sockets=,clusters=,cores=,threads=
        `dies` is none of sockets, clusters, cores, threads
        `0` for cores is not a number above 0
        `x` for cores is not a number above 0
        cores is given twice
        ");
        for text in ["auto", "all", "7"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
        for text in ["0", "", "-1", "most"] {
            text.parse::<Window>().unwrap_err();
        }
    }
}
