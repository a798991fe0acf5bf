// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Which accelerator a boot runs on, and why.

use std::fmt;
use std::io;

use crate::error::Failure;

/// What the user asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AccelRequest {
    /// KVM where it is usable, else TCG.
    #[default]
    Auto,
    /// KVM or an error.
    Kvm,
    /// Emulation, also where KVM is usable.
    Tcg,
}

/// What a boot runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    /// The host's CPUs.
    Kvm,
    /// Emulation.
    Tcg,
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

/// What decides whether KVM is usable.
#[derive(Debug, Clone)]
pub struct Host {
    /// As in `uname -m`, e.g. `x86_64`.
    pub architecture: String,
    /// How opening /dev/kvm for reading and writing ends.
    pub kvm_device: Result<(), io::ErrorKind>,
}

impl Host {
    /// The host that we run on.
    pub fn probe() -> Self {
        let device = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm");
        Self {
            architecture: std::env::consts::ARCH.to_owned(),
            kvm_device: device.map(drop).map_err(|error| error.kind()),
        }
    }

    /// Why KVM cannot run an arm64 guest here, with the mend where there is one.
    pub fn kvm_obstacle(&self) -> Option<String> {
        if self.architecture != "aarch64" {
            return Some(format!(
                "this host is {}, and KVM runs arm64 guests on arm64 hosts only; use --accel tcg",
                self.architecture
            ));
        }
        match self.kvm_device {
            Ok(()) => None,
            Err(io::ErrorKind::NotFound) => Some(
                "there is no /dev/kvm: the kernel lacks KVM or was not started at EL2 (in a \
                 virtual machine: nested virtualization is off); use --accel tcg"
                    .to_owned(),
            ),
            Err(io::ErrorKind::PermissionDenied) => Some(
                "this user may not open /dev/kvm; run sudo usermod -aG kvm \"$USER\", then log \
                 in again"
                    .to_owned(),
            ),
            Err(kind) => Some(format!("/dev/kvm cannot be opened: {kind}; use --accel tcg")),
        }
    }
}

/// Chooses; also says why it is not KVM when nobody forbade it, so that KVM is never silently absent.
/// `needs_tcg` says that something was asked for that KVM does not have, such as icount.
pub fn choose(
    request: AccelRequest,
    needs_tcg: bool,
    host: &Host,
) -> Result<(Accel, Option<String>), Failure> {
    match request {
        AccelRequest::Tcg => Ok((Accel::Tcg, None)),
        AccelRequest::Auto if needs_tcg => Ok((Accel::Tcg, None)),
        AccelRequest::Auto => Ok(match host.kvm_obstacle() {
            None => (Accel::Kvm, None),
            Some(why) => (Accel::Tcg, Some(why)),
        }),
        AccelRequest::Kvm => match host.kvm_obstacle() {
            None => Ok((Accel::Kvm, None)),
            Some(why) => Err(Failure::Host(format!("--accel kvm: {why}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(architecture: &str, kvm_device: Result<(), io::ErrorKind>) -> Host {
        Host { architecture: architecture.to_owned(), kvm_device }
    }

    #[test]
    fn kvm_is_taken_where_it_is_usable() {
        let usable = host("aarch64", Ok(()));
        assert_eq!(choose(AccelRequest::Auto, false, &usable).unwrap(), (Accel::Kvm, None));
        assert_eq!(choose(AccelRequest::Kvm, false, &usable).unwrap(), (Accel::Kvm, None));
        assert_eq!(choose(AccelRequest::Auto, true, &usable).unwrap(), (Accel::Tcg, None));
        assert_eq!(choose(AccelRequest::Tcg, false, &usable).unwrap(), (Accel::Tcg, None));
    }

    #[test]
    fn where_it_is_not_the_reason_is_told() {
        let hosts = [
            host("x86_64", Ok(())),
            host("aarch64", Err(io::ErrorKind::NotFound)),
            host("aarch64", Err(io::ErrorKind::PermissionDenied)),
            host("aarch64", Err(io::ErrorKind::ResourceBusy)),
        ];
        let mut texts = Vec::new();
        for host in &hosts {
            let (accel, why) = choose(AccelRequest::Auto, false, host).unwrap();
            assert_eq!(accel, Accel::Tcg);
            let failure = choose(AccelRequest::Kvm, false, host).unwrap_err();
            assert_eq!(failure.code(), 3);
            assert_eq!(failure.to_string(), format!("--accel kvm: {}", why.unwrap()));
            texts.push(failure.to_string());
        }
        insta::assert_snapshot!(texts.join("\n"), @r#"
        --accel kvm: this host is x86_64, and KVM runs arm64 guests on arm64 hosts only; use --accel tcg
        --accel kvm: there is no /dev/kvm: the kernel lacks KVM or was not started at EL2 (in a virtual machine: nested virtualization is off); use --accel tcg
        --accel kvm: this user may not open /dev/kvm; run sudo usermod -aG kvm "$USER", then log in again
        --accel kvm: /dev/kvm cannot be opened: resource busy; use --accel tcg
        "#);
    }
}
