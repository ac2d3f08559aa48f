//! One loaded module, forked for many containers.
//!
//! # Theory of operation
//! This process loads and instantiates the module of its first plan, which must be the module of all, and forks
//! once for each plan. Pages that loading has dirtied (the engine's tables, the guest's data) then belong to all of
//! them together until one of them writes to its copy. The children are strangers to each other: each opens its own
//! state file, log and root, joins its own cgroup, confines itself and says so under its own number. The template
//! never confines itself, holds nothing of any container, and ends when the last child has been forked, so that
//! nothing of it stays. What siblings share beside memory is the layout of their address spaces: who learns an
//! address in one knows it in all, as with the children of any forking server.
//!
//! The children begin at once, while others are still being forked: what cannot be forked any more is told for each
//! of the missing ones, and whoever started this takes back the others.

use formats::launch_plan::LaunchPlan;

use crate::failure::Failure;
use crate::startup::ReadyPipe;
use crate::{fill, load, run, startup};

/// What is decided when the module is loaded; the rest of a plan is each container's own.
const COMMON: [&str; 7] = [
    "ready-fd",
    "module",
    "module-digest",
    "aot",
    "aot-file",
    "memory-max-bytes",
    "rlimit",
];

/// Forks for each plan. Returns in the children, each with its container and its own voice, and in the template
/// where it fails before the first fork. The template ends in here otherwise.
pub fn start_all(
    first: &LaunchPlan<'_>,
    others: &[LaunchPlan<'_>],
    ready: ReadyPipe,
) -> (Result<run::Container, Failure>, ReadyPipe) {
    let plans = || std::iter::once(first).chain(others);
    let loaded = match check_common(first, plans()).and_then(|()| load::load(first)) {
        Ok(loaded) => loaded,
        Err(failure) => return (Err(failure), ready),
    };
    for (number, plan) in plans().enumerate() {
        let ready = ready.of_member(number);
        // SAFETY: this process has one thread, so the child is whole.
        match unsafe { libc::fork() } {
            0 => {
                startup::close_listeners_of_others(plan, plans());
                return (fill_child(plan, loaded), ready);
            }
            -1 => ready.refuse(&Failure::system("start another process")),
            _ => {}
        }
    }
    // SAFETY: ends the process; runs nothing else.
    unsafe { libc::_exit(0) }
}

fn check_common<'p>(
    first: &LaunchPlan<'_>,
    plans: impl Iterator<Item = &'p LaunchPlan<'p>>,
) -> Result<(), Failure> {
    for plan in plans {
        let other = COMMON.into_iter().find(|&key| !plan.all(key).eq(first.all(key)));
        if let Some(key) = other {
            return Err(Failure::own(format!(
                "the launch plans of one file differ in {key}"
            )));
        }
        if plan.flag("terminal") || plan.flag("stdin") {
            return Err(Failure::own("several containers cannot share a terminal"));
        }
    }
    Ok(())
}

fn fill_child(plan: &LaunchPlan<'_>, loaded: load::Loaded) -> Result<run::Container, Failure> {
    startup::become_independent(plan)?;
    startup::join_cgroups(plan)?;
    fill(plan, loaded)
}
