//! The container's standard streams: pipes, or a terminal that the runtime hands over.

use formats::launch_plan::LaunchPlan;
use kernel_calls::process::{change_directory, pipe, set_umask};
use kernel_calls::{files, sockets, terminal, Fd};

use crate::failure::Failure;

/// The socket, relative to the bundle: the runtime is started there, so a long path does no harm.
pub const CONSOLE_SOCKET: &core::ffi::CStr = c"console.sock";

/// The monitor's ends.
pub struct Streams {
    /// Standard output; absent with a terminal and once it has ended.
    pub output: Option<Fd>,
    /// Standard error, and what the runtime says until the guest runs.
    pub errors: Option<Fd>,
    /// The terminal's main side.
    pub terminal: Option<Fd>,
    /// Where the runtime connects to hand the terminal over.
    pub console: Option<Fd>,
}

/// The ends that the launcher gives to the runtime.
pub struct GuestEnds {
    /// Absent with a terminal: the runtime's own output goes to `errors` then.
    pub output: Option<Fd>,
    pub errors: Fd,
}

/// Makes the streams that the plan asks for.
pub fn make(plan: &LaunchPlan<'_>) -> Result<(Streams, GuestEnds), Failure> {
    let failed = |error| Failure::of(format_args!("the container's streams cannot be made: {error}"));
    let (errors, guest_errors) = pipe().map_err(failed)?;
    files::set_not_blocking(errors.raw()).map_err(failed)?;
    let mut streams = Streams {
        output: None,
        errors: Some(errors),
        terminal: None,
        console: None,
    };
    let mut guest = GuestEnds {
        output: None,
        errors: guest_errors,
    };
    if plan.flag("pty") {
        change_directory(plan.one("bundle")).map_err(failed)?;
        let _ = files::remove(CONSOLE_SOCKET);
        let mask = set_umask(0o177);
        let console = sockets::listen(CONSOLE_SOCKET.to_bytes());
        set_umask(mask);
        change_directory(c"/").map_err(failed)?;
        streams.console = Some(console.map_err(failed)?);
    } else {
        let (output, guest_output) = pipe().map_err(failed)?;
        files::set_not_blocking(output.raw()).map_err(failed)?;
        streams.output = Some(output);
        guest.output = Some(guest_output);
    }
    Ok((streams, guest))
}

impl Streams {
    /// Takes the terminal that the runtime has sent by the time `create` has succeeded.
    pub fn receive_terminal(&mut self) -> Result<(), Failure> {
        let Some(console) = self.console.take() else {
            return Ok(());
        };
        let received = sockets::accept(console.raw())
            .and_then(|connection| sockets::receive_descriptor(connection.raw()))
            .and_then(|terminal| files::set_not_blocking(terminal.raw()).map(|()| terminal));
        let terminal = received
            .map_err(|error| Failure::of(format_args!("the runtime handed over no terminal: {error}")))?;
        self.terminal = Some(terminal);
        // Before the guest runs: its first look at the size must be the right one.
        self.copy_window_size();
        Ok(())
    }

    /// Gives the guest's terminal the size of whichever of the caller's descriptors is a terminal.
    pub fn copy_window_size(&self) {
        if let Some(main) = &self.terminal {
            let _ = (0..3).find(|fd| terminal::copy_window_size(*fd, main.raw()).is_ok());
        }
    }

    /// What is in the error pipe now: before the guest runs, that is the runtime's own.
    pub fn take_complaint<'b>(&self, buffer: &'b mut [u8]) -> &'b [u8] {
        let mut length = 0;
        if let Some(errors) = &self.errors {
            while let Ok(got @ 1..) = files::read(errors.raw(), &mut buffer[length..]) {
                length += got;
                if length == buffer.len() {
                    // The end of a long complaint says most: start over with the last half.
                    let half = buffer.len() / 2;
                    buffer.copy_within(half.., 0);
                    length = buffer.len() - half;
                }
            }
        }
        &buffer[..length]
    }
}
