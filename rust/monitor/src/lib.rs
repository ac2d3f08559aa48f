//! What the program `wpod-monitor` does: keeps one native container, from its creation by an OCI runtime
//! to its end.
//!
//! # Theory of operation
//! The monitor stays in the host's namespaces and only waits: it is the subreaper, so the container's first
//! process becomes its child. Whatever needs other namespaces is done by short-lived children:
//!
//! * The **launcher** joins the cgroups, enters a user namespace (as a user), makes a private mount namespace,
//!   hides the unified cgroup mount, mounts the overlay, and runs the runtime's `create` and `start` there.
//!   The runtime copies that mount namespace for the container and pivots in the copy; when the launcher has
//!   ended, the overlay lives in the container's own mount namespace and nowhere else. Nothing of it is left
//!   on the host, whoever is killed when.
//! * Later commands of the runtime (`delete`, and `exec`, `kill`, `state` by `wpod-monitor --runtime`) enter
//!   an environment of the same kind for as long as they run ([`transient`]).
//!
//! There is one monitor per running container, so its memory counts: no C library, no heap, everything
//! within one page table, and whatever was touched while starting is given back before the long wait.
#![cfg_attr(not(test), no_std)]
// There is no heap to put a failure's text into, and failures are not on any path that is run often.
#![allow(clippy::result_large_err)]

mod cgroup_files;
mod failure;
mod finish;
mod keep;
mod launcher;
mod memory_watch;
mod overlay;
mod plan;
mod relay;
mod runtime;
mod streams;
pub mod transient;

pub use plan::stack_place;

use core::ffi::CStr;

use kernel_calls::files;
use kernel_calls::process::Environment;
use kernel_calls::text::decimal;

const USAGE: &[u8] = b"usage: wpod-monitor FD | wpod-monitor --runtime [--hide-unified-cgroup] \
[--map-self | --join PID] -- PROGRAM [ARGUMENT...]\n";

/// Runs the program with its arguments (by index, the program's own name first); gives the exit status.
pub fn run<'a>(argument: &dyn Fn(usize) -> Option<&'a CStr>, environment: Environment) -> i32 {
    let first = argument(1).map(CStr::to_bytes).unwrap_or_default();
    if first == b"--runtime" {
        return transient::command(argument, environment);
    }
    match (decimal(first), argument(2)) {
        (Some(number @ 3..=0x7fff_ffff), None) => keep::run(number as i32, environment),
        _ => {
            let _ = files::write_all(2, USAGE);
            125
        }
    }
}
