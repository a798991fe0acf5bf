// SPDX-License-Identifier: GPL-2.0-only

//! Exports the timeline of every CPU's bring-up through debugfs.
//!
//! Two read-only files in `/sys/kernel/debug/cpu_bringup`: `timeline` for programs and `summary`
//! for people. Both are made anew at each read, from what the kernel has recorded about the last
//! bring-up of each CPU.

use kernel::prelude::*;

#[cfg(cpu_bringup_abstraction)]
mod summary;
#[cfg(cpu_bringup_abstraction)]
mod timeline;

module! {
    type: CpuBringup,
    name: "cpu_bringup",
    authors: ["The cpu-bringup maintainers"],
    description: "Timeline of every CPU's bring-up in debugfs",
    license: "GPL",
}

/// The files, which go away with the module.
#[cfg(cpu_bringup_abstraction)]
#[pin_data]
struct CpuBringup {
    #[pin]
    _timeline: kernel::debugfs::File<()>,
    #[pin]
    _summary: kernel::debugfs::File<()>,
}

#[cfg(cpu_bringup_abstraction)]
impl kernel::InPlaceModule for CpuBringup {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let directory = kernel::debugfs::Dir::new(c"cpu_bringup");

        try_pin_init!(Self {
            _: {
                if !kernel::cpu_bringup::RECORDED {
                    pr_err!("this kernel records no CPU bring-up: set CONFIG_CPU_BRINGUP_TIMELINE=y\n");
                    return Err(EOPNOTSUPP);
                }
            },
            _timeline <- directory.owned_read_callback_file::<Self, _, _, _>(
                c"timeline", (), &timeline::show,
            ),
            _summary <- directory.owned_read_callback_file::<Self, _, _, _>(
                c"summary", (), &summary::show,
            ),
        })
    }
}

#[cfg(not(cpu_bringup_abstraction))]
struct CpuBringup;

#[cfg(not(cpu_bringup_abstraction))]
impl kernel::Module for CpuBringup {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_err!("this kernel records no CPU bring-up: it lacks the recording patches\n");
        Err(EOPNOTSUPP)
    }
}
