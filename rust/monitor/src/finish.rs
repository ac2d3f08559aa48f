//! The end: the runtime's traces, the exit in the state file, and what was asked to run afterwards.

use core::ffi::CStr;

use formats::state_file::{Cause, LimitHit};
use kernel_calls::process::{close_range, kill, wait_for, Ended};

use crate::cgroup_files::{field, number, read, EMPTY};
use crate::keep::Keeper;
use crate::plan::has_user_namespace;
use crate::relay::End;
use crate::runtime::{arguments, become_program, run_program, Arguments};
use crate::transient::{run_silently, UserNamespace};

/// podman's status of a container that its `--timeout` ended.
const TIMED_OUT_STATUS: i32 = 255;

/// Stores the end and cleans up; gives the exit status of the program.
///
/// The runtime's state goes first and the lock last: whoever sees the container exited may start it again
/// at once, under the same ID.
#[inline(never)] // its list of arguments would be part of the frame that waits for the guest's end
pub fn finish(keeper: Keeper<'_>, end: End) -> i32 {
    delete(&keeper);
    stop_mounter(&keeper);
    let (status, cause, signal) = match (end.timed_out, end.ended) {
        (true, _) => (TIMED_OUT_STATUS, Cause::Timeout, 0),
        (false, Ended::Exited(status)) => (status, Cause::Exited, 0),
        (false, Ended::Signalled(signal)) => {
            let cause = if signal == libc::SIGKILL && ran_out_of_memory(&keeper) {
                Cause::OutOfMemory
            } else {
                Cause::Signal
            };
            (128 + signal, cause, signal as u32)
        }
    };
    keeper.state.exited(status, cause, signal);
    let Keeper {
        plan,
        state,
        log,
        environment,
        ..
    } = keeper;
    drop(log);
    drop(state);
    let mut cleanup = Arguments::new();
    if cleanup.extend(plan.all("cleanup")).is_ok() && !cleanup.is_empty() {
        let program = plan.one("cleanup");
        if plan.flag("terminal") {
            let _ = run_program(program, &cleanup, environment);
        } else {
            close_range(3, u32::MAX);
            become_program(program, &cleanup, environment);
        }
    }
    status
}

/// Has the runtime forget the container, killing what is left of it.
pub fn delete(keeper: &Keeper<'_>) {
    let plan = &keeper.plan;
    let Ok(command) = arguments(plan, &[c"delete", c"--force", plan.one("id")]) else {
        return;
    };
    let users = if has_user_namespace(plan) {
        UserNamespace::MapSelf
    } else {
        UserNamespace::Same
    };
    let hide = plan.flag("hide-unified-cgroup");
    run_silently(users, hide, plan.one("runtime"), &command, keeper.environment);
}

/// Ends fuse-overlayfs. It is this process's child, for the launcher that started it has ended.
pub fn stop_mounter(keeper: &Keeper<'_>) {
    if let Some(pid) = keeper.mounter {
        let _ = kill(pid, libc::SIGKILL);
        let _ = wait_for(pid);
    }
}

/// Whether the kernel has killed in one of the container's own cgroups for want of memory; its limit and the most that
/// was ever used are stored then.
fn ran_out_of_memory(keeper: &Keeper<'_>) -> bool {
    for directory in keeper.plan.all("cgroup").map(CStr::to_bytes) {
        for (events, peak, limit) in COUNTERS {
            if field(read(directory, events, &mut { EMPTY }), b"oom_kill ") > 0 {
                let (peak, limit) = (number(directory, peak), number(directory, limit));
                keeper.state.add_limit_hit(LimitHit::Cgroup, peak, limit);
                return true;
            }
        }
    }
    false
}

/// Kills, the most that was used, and the limit; of cgroup v2 and v1.
const COUNTERS: [(&[u8], &[u8], &[u8]); 2] = [
    (b"/memory.events", b"/memory.peak", b"/memory.max"),
    (
        b"/memory.oom_control",
        b"/memory.max_usage_in_bytes",
        b"/memory.limit_in_bytes",
    ),
];
