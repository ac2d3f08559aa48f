//! The last phases: ready, run, report.

use formats::state_file::{Cause, Phase, StateFile};
use wamr::command::START_EXPORT;
use wamr::{CallError, Instance, Trap};
use wasi::{Context, ExitRequest};

use crate::output::{store_end, Output};
use crate::signals;
use crate::startup::ReadyPipe;

/// Exit status of a trap: as of a program that called abort(3).
const TRAP_STATUS: i32 = 134;

/// A container whose guest can start.
pub struct Container {
    pub instance: Instance,
    pub state: &'static StateFile,
    pub output: Output,
    pub timeout: Option<u64>,
}

impl Container {
    /// Says that it is ready, runs the guest and ends the process with the guest's status.
    pub fn run(mut self, ready: ReadyPipe) -> ! {
        signals::install_ending_handlers(self.state);
        self.state.set_phase(Phase::Ready);
        ready.ready();
        if let Some(seconds) = self.timeout {
            signals::start_timer(seconds);
        }
        self.state.set_started_now();
        self.state.set_phase(Phase::Running);
        let result = self.run_guest();
        let status = self.report(result.err());
        // SAFETY: ends the process. Nothing is left to flush, and taking the engine down would only cost time.
        unsafe { libc::_exit(status) }
    }

    /// The module's own start function first, if it has one (it was kept from running until now).
    fn run_guest(&mut self) -> Result<(), CallError> {
        if self.instance.has_function(START_EXPORT) {
            self.instance.call(START_EXPORT, &[])?;
        }
        self.instance.call("_start", &[]).map(drop)
    }

    /// Records the end. Looks for a wish to exit first: it unwinds the guest as a trap does.
    fn report(&mut self, error: Option<CallError>) -> i32 {
        if let Some((_, used, _)) = self.instance.memory_figures() {
            self.state.set_linear_memory_used(used);
        }
        match self
            .instance
            .context_mut::<Context>()
            .and_then(|context| context.exit_request())
        {
            Some(ExitRequest::Code(code)) => return self.exited((code & 0xff) as i32),
            Some(ExitRequest::Signal(signal)) => {
                let status = 128 + i32::from(signal);
                self.state.exited(status, Cause::Signal, u32::from(signal));
                return status;
            }
            None => {}
        }
        match error {
            None => self.exited(0),
            Some(CallError::Trap(trap)) => self.trapped(&trap),
            Some(other) => {
                let reason = other.to_string();
                self.output.say(&format!("error: {reason}"));
                store_end(self.state, crate::failure::NOT_EXECUTABLE, Cause::Engine, &reason);
                crate::failure::NOT_EXECUTABLE
            }
        }
    }

    fn exited(&self, status: i32) -> i32 {
        self.state.exited(status, Cause::Exited, 0);
        status
    }

    fn trapped(&self, trap: &Trap) -> i32 {
        let reason = trap.to_string();
        self.output.say(&format!("error: {reason}"));
        store_end(self.state, TRAP_STATUS, Cause::Trap, &reason);
        TRAP_STATUS
    }
}
