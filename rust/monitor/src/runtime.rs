//! Running the OCI runtime and other programs.

use core::ffi::CStr;

use formats::launch_plan::LaunchPlan;
use kernel_calls::events::{block_signals, SignalSet};
use kernel_calls::process::{execute, exit, fork, wait_for, Ended, Environment, Vector};
use kernel_calls::{Errno, Result};

/// The most arguments that a program is given here.
pub const MAX_ARGUMENTS: usize = 64;

/// An argument vector.
pub type Arguments<'a> = Vector<'a, MAX_ARGUMENTS>;

/// `RUNTIME GLOBAL-OPTIONS… command…`.
pub fn arguments<'a>(plan: &LaunchPlan<'a>, command: &[&'a CStr]) -> Result<Arguments<'a>> {
    let mut arguments = Arguments::new();
    arguments.push(plan.one("runtime"))?;
    arguments.extend(plan.all("runtime-argument"))?;
    arguments.extend(command.iter().copied())?;
    Ok(arguments)
}

/// Becomes the program, with no signal blocked. Comes back only with an error.
pub fn become_program<const N: usize>(
    program: &CStr,
    arguments: &Vector<'_, N>,
    environment: Environment,
) -> Errno {
    match block_signals(SignalSet::EMPTY) {
        Ok(()) => execute(program, arguments, environment),
        Err(error) => error,
    }
}

/// Runs a program as a child and waits for it; a program that cannot be run ends with 127.
pub fn run_program<const N: usize>(
    program: &CStr,
    arguments: &Vector<'_, N>,
    environment: Environment,
) -> Result<Ended> {
    // SAFETY: one thread, no C library.
    let pid = unsafe { fork() }?;
    if pid == 0 {
        become_program(program, arguments, environment);
        exit(127);
    }
    wait_for(pid)
}
