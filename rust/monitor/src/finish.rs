//! The end: the runtime's traces, the exit in the state file, and what was asked to run afterwards.

use core::ffi::CStr;

use formats::state_file::{Cause, LimitHit};
use kernel_calls::files;
use kernel_calls::process::{close_range, kill, wait_for, Ended};
use kernel_calls::text::{decimal, Text};

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
            let mut content = [0u8; 512];
            if has_killed(read(directory, events, &mut content)) {
                let mut number =
                    |name| decimal(read(directory, name, &mut content).trim_ascii()).unwrap_or(0);
                let (peak, limit) = (number(peak), number(limit));
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

/// The beginning of a file of a cgroup; nothing where there is none.
pub fn read<'a>(directory: &[u8], name: &[u8], content: &'a mut [u8; 512]) -> &'a [u8] {
    let mut path = Text::<4096>::new();
    path.push(directory);
    path.push(name);
    let file = files::open(path.c_str(), libc::O_RDONLY, 0);
    let length = file
        .and_then(|file| files::read(file.raw(), content))
        .unwrap_or(0);
    &content[..length]
}

/// Whether the line `oom_kill N` has an N above 0.
fn has_killed(content: &[u8]) -> bool {
    content
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"oom_kill "))
        .any(|count| decimal(count).is_some_and(|count| count > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_counters() {
        assert!(has_killed(b"low 0\noom 1\noom_kill 2\n"));
        assert!(!has_killed(b"oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"));
        assert!(!has_killed(b""));
    }
}
