//! `wpod-runner FD`: runs one wasm container, as the launch plan in the sealed memfd FD says.
//!
//! # Theory of operation
//! Phases: parse, load, instantiate, open, restrict, ready, run, report (a module each where it is more than a
//! few lines). Load and instantiate touch nothing of the container, so that a loaded process could be forked for
//! many containers. What can fail does so before `ready`, and is told through the readiness pipe alone. From
//! `ready` on there is one process with one thread, confined to what the container was given, whose only voice is
//! the container's log (and terminal) and whose end is a store into the state file. `run` never returns to a
//! caller that would clean up: the kernel does that when the process ends.
//!
//! The program is static and its heap small: everything that is written to before the guest starts counts for
//! each of a thousand idle containers.

mod confinement;
mod entry;
mod failure;
mod files;
mod filter;
mod landlock;
mod load;
mod mounts;
mod network;
mod output;
mod run;
mod signals;
mod startup;
mod template;

use failure::Failure;
use formats::launch_plan::{self, LaunchPlan, PlanFile, Program};

fn main() {
    keep_together();
    let descriptor = match startup::plan_descriptor(std::env::args_os()) {
        Ok(descriptor) => descriptor,
        Err(failure) => {
            // Started by hand: there is no readiness pipe to tell.
            eprintln!("error: {}", failure.cause);
            std::process::exit(failure.code);
        }
    };
    startup::complete_standard_streams();
    let file =
        PlanFile::map(descriptor, entry::plan_address(descriptor)).unwrap_or_else(|error| refuse_plan(error));
    kernel_calls::files::close(descriptor);
    let plans: Vec<LaunchPlan<'_>> = launch_plan::split(file.bytes())
        .map(|bytes| LaunchPlan::parse(bytes, Program::Runner).unwrap_or_else(|error| refuse_plan(error)))
        .collect();
    let Some((plan, others)) = plans.split_first() else {
        unreachable!("an empty file is refused when it is mapped");
    };
    let ready = startup::ReadyPipe::take(plan);
    signals::install_fault_handlers();
    if let Err(failure) = startup::close_inherited(&ready, &plans) {
        ready.fail(&failure);
    }
    let (started, ready) = if others.is_empty() {
        (start(plan), ready)
    } else {
        template::start_all(plan, others, ready)
    };
    match started {
        Ok(container) => {
            drop(plans);
            drop(file);
            container.run(ready)
        }
        Err(failure) => ready.fail(&failure),
    }
}

/// Everything that stays lies near together (`entry`): also what malloc(3) would give a mapping of its own.
fn keep_together() {
    // SAFETY: a plain call, before anything has been allocated that it could concern.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, i32::MAX) };
    wamr::place_mappings_at(entry::mappings_address());
}

fn refuse_plan(error: formats::launch_plan::PlanError) -> ! {
    eprintln!("error: {error}");
    std::process::exit(failure::WPOD_FAILED)
}

/// All phases before the guest runs, of the only container.
fn start(plan: &LaunchPlan<'_>) -> Result<run::Container, Failure> {
    startup::become_independent(plan)?;
    startup::join_cgroups(plan)?;
    let loaded = load::load(plan)?;
    fill(plan, loaded)
}

/// From a loaded module to a container whose guest can start: opens what it was given and gives up the rest.
fn fill(plan: &LaunchPlan<'_>, mut loaded: load::Loaded) -> Result<run::Container, Failure> {
    let opened = files::open(plan, &loaded)?;
    confinement::restrict(plan, &opened)?;
    loaded.instance.set_context(Box::new(opened.context));
    Ok(run::Container {
        instance: loaded.instance,
        state: opened.state,
        output: opened.output,
        timeout: opened.timeout,
    })
}
