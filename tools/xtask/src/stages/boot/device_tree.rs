// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the machine's device tree says that the interposer has to know, and the one change that a
//! profile may ask for. Pure.

use anyhow::{Context as _, Result, ensure};
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::model::{DeviceTree, DeviceTreeProperty};
use dtoolkit::{Node, Property};

/// Bytes of a CPU's two redistributor frames without virtual LPIs.
const REDISTRIBUTOR: u64 = 0x2_0000;

/// What a device tree says.
#[derive(Debug, PartialEq, Eq)]
pub struct Machine {
    /// Where the kernel looks for its initramfs.
    pub initrd: u64,
    /// Address of the interrupt controller's distributor.
    pub distributor: u64,
    /// In the kernel's order.
    pub cpus: Vec<Cpu>,
}

/// A CPU.
#[derive(Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Affinity fields of its MPIDR.
    pub mpidr: u64,
    /// Address of its redistributor: they are in the order of the CPUs.
    pub redistributor: u64,
}

/// Reads the device tree of QEMU's virt machine with a GICv3.
pub fn read(blob: &[u8]) -> Result<Machine> {
    let tree = Fdt::new(blob).context("QEMU's device tree cannot be read")?;
    let chosen = tree.find_node("/chosen").context("the device tree has no /chosen")?;
    let initrd = number(&chosen, "linux,initrd-start")?;

    let controller = tree
        .root()
        .children()
        .find(|node| {
            let compatible = node.property("compatible");
            compatible.is_some_and(|found| found.value().starts_with(b"arm,gic-v3\0"))
        })
        .context("the device tree has no GICv3")?;
    let mut regions = pairs(&value(&controller, "reg")?);
    ensure!(regions.len() >= 2, "the GICv3 has no redistributors");
    let (distributor, _) = regions.remove(0);
    let count = number(&controller, "#redistributor-regions").unwrap_or(1);
    regions.truncate(usize::try_from(count)?);
    let frames = regions.iter().flat_map(|&(start, size)| {
        (0..size / REDISTRIBUTOR).map(move |index| start + index * REDISTRIBUTOR)
    });

    let nodes = tree.find_node("/cpus").context("the device tree has no /cpus")?;
    let mpidrs: Vec<u64> = nodes
        .children()
        .filter(|node| node.name_without_address() == "cpu")
        .map(|node| number(&node, "reg"))
        .collect::<Result<_>>()?;
    let cpus: Vec<Cpu> = mpidrs
        .iter()
        .zip(frames)
        .map(|(&mpidr, redistributor)| Cpu { mpidr, redistributor })
        .collect();
    ensure!(cpus.len() == mpidrs.len(), "there are fewer redistributors than CPUs");
    Ok(Machine { initrd, distributor, cpus })
}

/// The device tree with a spin-table for all CPUs; `release` is the address of the first CPU's
/// release address, that of the next one lies eight bytes after it. The boot CPU has one as well:
/// by its method the kernel tells whether it can take CPUs off.
pub fn with_spin_table(blob: &[u8], release: u64) -> Result<Vec<u8>> {
    let tree = Fdt::new(blob).context("QEMU's device tree cannot be read")?;
    let mut tree = DeviceTree::from_fdt(&tree);
    let cpus = tree.find_node_mut("/cpus").context("the device tree has no /cpus")?;
    let nodes = cpus.children_mut().filter(|node| (**node).name_without_address() == "cpu");
    for (node, address) in nodes.zip((release..).step_by(8)) {
        node.remove_property("enable-method");
        for (name, value) in [
            ("enable-method", b"spin-table\0".as_slice()),
            ("cpu-release-addr", &address.to_be_bytes()),
        ] {
            node.add_property(DeviceTreeProperty::new(name, value)?);
        }
    }
    Ok(tree.to_dtb())
}

/// The value of a property that has to be there.
fn value(node: &FdtNode<'_>, name: &str) -> Result<Vec<u8>> {
    let property = node.property(name);
    Ok(property
        .with_context(|| format!("the device tree's node {} has no {name}", node.name()))?
        .value()
        .to_vec())
}

/// A property that is a number of one or two cells.
fn number(node: &FdtNode<'_>, name: &str) -> Result<u64> {
    let bytes = value(node, name)?;
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Ok(u32::from_be_bytes(bytes).into());
    }
    let bytes = <[u8; 8]>::try_from(bytes.as_slice());
    Ok(u64::from_be_bytes(bytes.ok().with_context(|| {
        format!("{name} of the device tree's node {} is not a number", node.name())
    })?))
}

/// Pairs of numbers of two cells each.
fn pairs(value: &[u8]) -> Vec<(u64, u64)> {
    let (words, _) = value.as_chunks::<8>();
    let numbers: Vec<u64> = words.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect();
    numbers.as_chunks::<2>().0.iter().map(|&[address, size]| (address, size)).collect()
}

#[cfg(test)]
mod tests {
    use dtoolkit::model::DeviceTreeNode;

    use super::*;

    fn node(name: &str, properties: &[(&str, &[u8])]) -> DeviceTreeNode {
        let mut node = DeviceTreeNode::new(name).unwrap();
        for (name, value) in properties {
            node.add_property(DeviceTreeProperty::new(*name, *value).unwrap());
        }
        node
    }

    /// Three CPUs, two of which have their redistributors in a region of their own.
    fn sample() -> Vec<u8> {
        let mut tree = DeviceTree::new();
        tree.root
            .add_child(node("chosen", &[("linux,initrd-start", &0x4800_0000_u32.to_be_bytes())]));
        let reg = [0x0800_0000, 0x1_0000, 0x080a_0000, 0x2_0000, 0x40_0000_0000, 0x4_0000_u64];
        let reg: Vec<u8> = reg.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut controller =
            node("intc@8000000", &[("compatible", b"arm,gic-v3\0"), ("reg", &reg)]);
        let regions = DeviceTreeProperty::new("#redistributor-regions", 2_u32).unwrap();
        controller.add_property(regions);
        tree.root.add_child(controller);
        let mut cpus = node("cpus", &[]);
        cpus.add_child(node("cpu-map", &[]));
        for (name, reg) in [("cpu@0", 0_u32), ("cpu@1", 1), ("cpu@100", 0x100)] {
            let reg = reg.to_be_bytes();
            cpus.add_child(node(name, &[("reg", &reg), ("enable-method", b"psci\0")]));
        }
        tree.root.add_child(cpus);
        tree.to_dtb()
    }

    #[test]
    fn a_machine_is_read() {
        let machine = read(&sample()).unwrap();
        assert_eq!((machine.initrd, machine.distributor), (0x4800_0000, 0x0800_0000));
        let cpus: Vec<_> = machine.cpus.iter().map(|cpu| (cpu.mpidr, cpu.redistributor)).collect();
        assert_eq!(cpus, [(0, 0x080a_0000), (1, 0x40_0000_0000), (0x100, 0x40_0002_0000)]);
        assert!(read(b"rubbish").is_err());
    }

    #[test]
    fn a_spin_table_changes_nothing_else() {
        let before = sample();
        let after = with_spin_table(&before, 0x7000_0000).unwrap();
        assert_eq!(read(&after).unwrap(), read(&before).unwrap());
        let tree = Fdt::new(&after).unwrap();
        let property = |cpu: &str, name: &str| {
            let node = tree.find_node(&format!("/cpus/{cpu}")).unwrap();
            value(&node, name).ok()
        };
        for (cpu, address) in [("cpu@0", 0x7000_0000_u64), ("cpu@100", 0x7000_0010)] {
            assert_eq!(property(cpu, "enable-method").unwrap(), b"spin-table\0");
            assert_eq!(property(cpu, "cpu-release-addr").unwrap(), address.to_be_bytes());
        }
    }
}
