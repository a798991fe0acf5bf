// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The EL2 interposer's side of a boot: its program, its table, and what lies where in the machine.
//!
//! It lies above the memory that the device tree names, as the memory of firmware does on hardware:
//! the machine has [`HIDDEN_MIB`] more than the kernel is told.

use std::io::Read as _;

use anyhow::{Result, anyhow, ensure};
use bringup_model::fault::{self, Kind};
use bringup_model::profile::{EnableMethod, Profile};
use camino::{Utf8Path, Utf8PathBuf};
use interposer_core::layout;
use interposer_core::table::{self, Cpu, Machine};

use super::BootRequest;
use super::device_tree;
use super::program::{self, Program};
use crate::context::Context;
use crate::error::Failure;

/// The interposer's name.
const PROGRAM: &str = "interposer";

/// What the interposer is built for: it must not touch the floating point registers, which are the
/// kernel's.
pub const TARGET: &str = "aarch64-unknown-none-softfloat";

/// MiB of memory that the kernel is not told of.
pub const HIDDEN_MIB: u64 = layout::SIZE >> 20;

/// Where the memory of QEMU's virt machine starts.
const MEMORY: u64 = 0x4000_0000;
/// Boot protocol: the device tree is aligned to, and not larger than, this.
const DEVICE_TREE: u64 = 0x20_0000;

/// The name of the firmware profile that the boot has, if it has one.
pub fn profile_name(request: &BootRequest) -> Option<String> {
    match &request.firmware {
        Some(profile) => Some(profile.name.clone()),
        None => request.needs_interposer().then(|| Profile::none().name),
    }
}

/// Writes what the interposer needs into `folder`. `tree` is the device tree of the machine as QEMU
/// would give it to the kernel. Returns what is to be loaded and where, the interposer first.
pub fn prepare(
    context: &Context,
    request: &BootRequest,
    folder: &Utf8Path,
    tree: &[u8],
) -> Result<Vec<(Utf8PathBuf, u64)>> {
    let program = if context.has_sources() {
        let (folder, arguments) = (PROGRAM, &[][..]);
        program::build(context, &Program { name: PROGRAM, target: TARGET, folder, arguments })?
    } else {
        // A tool that was carried to another machine has it beside itself.
        context.repo.join(PROGRAM)
    };

    let [table_file, tree_file, initrd] =
        ["interposer.table", "kernel.dtb", "initrd.cpio"].map(|name| folder.join(name));
    let base = MEMORY + (request.memory_mib() << 20);
    let kernel = kernel_address(&request.image)?;
    let machine = device_tree::read(tree)?;
    let initrd_address = machine.initrd;
    let initrd_end = initrd_address + fs_err::metadata(&initrd)?.len();
    let device_tree = initrd_end.next_multiple_of(DEVICE_TREE);
    ensure!(
        device_tree + DEVICE_TREE <= base,
        "{} MiB of memory is too little for the kernel, its initramfs and its device tree; \
         give more with --memory",
        request.memory_mib()
    );

    let none = Profile::none();
    let profile = request.firmware.as_ref().unwrap_or(&none);
    let spin_table = profile.enable_method == EnableMethod::SpinTable;
    if spin_table {
        let changed = device_tree::with_spin_table(tree, base + layout::RELEASE)?;
        fs_err::write(&tree_file, changed)?;
    } else {
        fs_err::write(&tree_file, tree)?;
    }
    let cpus: Vec<Cpu> = machine
        .cpus
        .iter()
        .zip(0..)
        .map(|(cpu, number)| entry(cpu, fault::of(&request.faults, number), profile))
        .collect();
    let machine = Machine {
        kernel,
        device_tree,
        distributor: machine.distributor,
        seed: profile.seed,
        trace: true,
        spin_table,
    };
    let mut bytes = vec![0; table::size(cpus.len())];
    table::encode(&machine, &cpus, &mut bytes)
        .map_err(|error| anyhow!("the interposer's table cannot be written: {error:?}"))?;
    fs_err::write(&table_file, bytes)?;
    Ok(vec![
        (program, base + layout::IMAGE),
        (table_file, base + layout::TABLE),
        (request.image.clone(), kernel),
        (tree_file, device_tree),
        (initrd, initrd_address),
    ])
}

/// What the firmware does with a CPU: what the profile says, changed by the CPU's faults.
fn entry(cpu: &device_tree::Cpu, kinds: impl Iterator<Item = Kind>, profile: &Profile) -> Cpu {
    /// Nanoseconds of a millisecond.
    const MS: u64 = 1_000_000;
    let mut entry = Cpu {
        mpidr: cpu.mpidr,
        redistributor: cpu.redistributor,
        block_ns: profile.block_ns,
        latency_min_ns: profile.latency.min_ns,
        latency_max_ns: profile.latency.max_ns,
        ..Cpu::default()
    };
    for kind in kinds {
        match kind {
            Kind::Never => entry.never = true,
            Kind::Late(ms) => {
                entry.latency_min_ns = u64::from(ms) * MS;
                entry.latency_max_ns = entry.latency_min_ns;
            }
            Kind::CtxZero => entry.context = table::Context::Zero,
            Kind::CtxGarbage => entry.context = table::Context::Garbage,
            Kind::CtxSwap(other) => entry.context = table::Context::Of(other),
            Kind::OnError(error) => entry.error = error.into(),
            Kind::OnBlock(ms) => entry.block_ns += u64::from(ms) * MS,
            // The kernel's own affair.
            Kind::No52BitVa | Kind::NoGranule | Kind::DieEarly | Kind::Panic => {}
        }
    }
    entry
}

/// Where the kernel has to be loaded: 2 MiB above the start of memory, plus what its header asks
/// for (Documentation/arch/arm64/booting.rst).
fn kernel_address(image: &Utf8Path) -> Result<u64> {
    let mut header = Vec::new();
    fs_err::File::open(image)?.take(64).read_to_end(&mut header)?;
    text_offset(&header).map(|offset| MEMORY + DEVICE_TREE + offset).ok_or_else(|| {
        let text = format!(
            "--firmware and --fault need a plain arm64 Image; {image} is compressed: unpack it"
        );
        Failure::Usage(text).into()
    })
}

/// The field of that name; `None` if it is no plain Image.
fn text_offset(header: &[u8]) -> Option<u64> {
    (header.get(56..60)? == b"ARM\x64").then_some(())?;
    header.get(8..16)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_has_its_profile_and_its_faults() {
        let text = "description = \"\"\nlatency_ms = { min = 5, max = 6 }\nblock_ms = 45\n";
        let profile = Profile::parse("x", text).unwrap();
        let cpu = device_tree::Cpu { mpidr: 0x101, redistributor: 0x080a_0000 };
        let entry = |kinds: &[Kind]| entry(&cpu, kinds.iter().copied(), &profile);
        let plain = Cpu {
            mpidr: 0x101,
            redistributor: 0x080a_0000,
            block_ns: 45_000_000,
            latency_min_ns: 5_000_000,
            latency_max_ns: 6_000_000,
            ..Cpu::default()
        };
        assert_eq!(entry(&[]), plain);
        assert_eq!(entry(&[Kind::Panic]), plain);
        let late = entry(&[Kind::Late(100), Kind::CtxSwap(3), Kind::OnBlock(5)]);
        assert_eq!((late.latency_min_ns, late.latency_max_ns), (100_000_000, 100_000_000));
        assert_eq!((late.context, late.block_ns), (table::Context::Of(3), 50_000_000));
        assert_eq!(entry(&[Kind::OnError(-2)]).error, -2);
        assert!(entry(&[Kind::Never]).never);
    }

    #[test]
    fn only_a_plain_image_says_where_it_goes() {
        let mut header = vec![0; 64];
        assert_eq!(text_offset(&header), None);
        header[56..60].copy_from_slice(b"ARM\x64");
        assert_eq!(text_offset(&header), Some(0));
        header[10] = 8;
        assert_eq!(text_offset(&header), Some(0x8_0000));
        assert_eq!(text_offset(&header[..20]), None);
    }
}
