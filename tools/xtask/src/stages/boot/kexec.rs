// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A second kernel, the same one again, that the first one starts by kexec. Pure.

use bringup_model::fault;
use camino::Utf8PathBuf;
use guest_protocol::{Expect, Step};

use super::BootRequest;
use super::guest::{SECOND_IMAGE, SECOND_INITRD, run_program};

/// What the program said that loads the second kernel, as the guest sends it.
pub const SAID: &str = "kexec-load";

/// The boot that the second kernel of `request` makes: on the same firmware with the same faults. It
/// is not told to inject those that the first kernel had to inject into itself.
pub fn second(request: &BootRequest) -> BootRequest {
    let mut second = request.clone();
    second.faults = fault::of_firmware(&request.faults);
    second.steps.clear();
    second.second = None;
    second
}

/// Has the guest, after the steps that it has so far, load a second kernel, which must end as
/// `expect` says, and start it where it can be loaded. That one's guest does `steps` then. `root`
/// has the program for it.
pub fn add(request: &mut BootRequest, root: Utf8PathBuf, expect: Expect, steps: Vec<Step>) {
    request.root = Some(root);
    // The image and its initramfs are in memory three times.
    request.memory_mib = Some(1536);
    let initrd = format!("--initrd={SECOND_INITRD}");
    let parameters = format!("--command-line={}", second(request).kernel_parameters());
    let load = run_program(SAID, &["/bin/kexec", "--load", SECOND_IMAGE, &initrd, &parameters]);
    request.steps.push(Step { expect, ..load });
    if expect == Expect::Success {
        request.steps.push(run_program("kexec-exec", &["/bin/kexec", "--exec"]));
    }
    request.second = Some(steps);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_kernel_injects_nothing() {
        let mut request = BootRequest::new("p1", "/k/Image", 4);
        request.faults = ["cpu=1,kind=ctx-zero", "cpu=2,kind=die-early"]
            .map(|fault| fault.parse().unwrap())
            .to_vec();
        request.parallel = Some(true);
        add(&mut request, "/root.cpio".into(), Expect::Success, Vec::new());
        let steps: Vec<String> = request.steps.iter().map(|step| step.action.to_string()).collect();
        insta::assert_snapshot!(steps.join("\n"), @r"
        run /bin/kexec --load /second-image --initrd=/second-initrd --command-line=console=ttyAMA0 panic=-1 oops=panic log_buf_len=256K cpuhp.parallel=1
        run /bin/kexec --exec
        ");
        assert!(request.kernel_parameters().ends_with("cpuhp.fault=2:die-early"));
        assert_eq!(second(&request).faults, request.faults[..1]);
    }

    #[test]
    fn what_cannot_be_loaded_is_not_started() {
        let mut request = BootRequest::new("p1", "/k/Image", 4);
        add(&mut request, "/root.cpio".into(), Expect::Failure, Vec::new());
        let expected: Vec<Expect> = request.steps.iter().map(|step| step.expect).collect();
        assert_eq!(expected, [Expect::Failure]);
    }
}
