// SPDX-License-Identifier: GPL-2.0-only

//! The file `timeline`: one line per possible CPU, for programs.

use kernel::{
    cpu_bringup::{
        cpu_ids,
        is_parallel,
        window,
        Outcome,
        Phase,
        Record,
        Window, //
    },
    fmt,
    prelude::*, //
};

/// Writes the whole file. Columns may be added, none is ever renamed or dropped.
pub(crate) fn show(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let parallel = u8::from(is_parallel());
    let window = DisplayWindow(window());
    f.write_fmt(fmt!(
        "# cpu_bringup timeline v1 unit=ns parallel={parallel} window={window}\n"
    ))?;

    f.write_str("cpu\tmpidr\tnode")?;
    for phase in Phase::ALL {
        write!(f, "\t{}", phase.name())?;
    }
    f.write_str("\toutcome\n")?;

    for cpu in cpu_ids() {
        // The numbers may have gaps: not every one is a possible CPU.
        let Ok(record) = Record::of(cpu) else {
            continue;
        };

        write!(f, "{}\t{:#x}", cpu.as_u32(), record.hwid())?;
        match record.node() {
            Some(node) => write!(f, "\t{node}")?,
            None => f.write_str("\t-")?,
        }
        for phase in Phase::ALL {
            match record.time_ns(phase) {
                Some(time) => write!(f, "\t{time}")?,
                None => f.write_str("\t-")?,
            }
        }
        f.write_fmt(fmt!("\t{}\n", DisplayOutcome(record.outcome())))?;
    }

    Ok(())
}

/// A window as the `cpuhp.window=` parameter has it, or 0 if CPUs boot one after the other.
pub(crate) struct DisplayWindow(pub(crate) Window);

impl fmt::Display for DisplayWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Window::Auto => f.write_str("auto"),
            Window::Fixed(ahead) => write!(f, "{ahead}"),
            Window::All => f.write_str("all"),
        }
    }
}

/// An outcome by the name that it has in the file.
pub(crate) struct DisplayOutcome(pub(crate) Outcome);

impl fmt::Display for DisplayOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::NotKicked => f.write_str("not-kicked"),
            Outcome::Boot => f.write_str("boot"),
            Outcome::Online => f.write_str("online"),
            Outcome::Offline => f.write_str("offline"),
            Outcome::NeverArrived => f.write_str("never-arrived"),
            Outcome::Late => f.write_str("late"),
            Outcome::KickError(error) => write!(f, "kick-error({})", error.to_errno()),
            Outcome::Died(reason) => f.write_fmt(fmt!("died({reason})")),
            Outcome::Parked(reason) => f.write_fmt(fmt!("parked({reason})")),
        }
    }
}
