//! Where the guest's standard output and error go: the log, the terminal, or both.

use std::sync::{Arc, Mutex};

use container_log::LogWriter;
use formats::log_line::Stream;
use formats::state_file::{Cause, StateFile};
use wasi::{Errno, Sink};

use crate::signals;

/// The container's log, shared by its two streams.
pub type SharedLog = Arc<Mutex<LogWriter>>;

/// Both streams of a container, for the guest and for the runner's own last words.
#[derive(Clone)]
pub struct Output {
    pub log: Option<SharedLog>,
    /// Whether descriptors 1 and 2 are the user's.
    pub terminal: bool,
    pub state: &'static StateFile,
}

impl Output {
    /// The sink of one stream.
    pub fn sink(&self, stream: Stream) -> Box<dyn Sink> {
        let descriptor = match stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        };
        Box::new(StreamSink {
            stream,
            terminal: self.terminal.then_some(descriptor),
            output: self.clone(),
        })
    }

    /// Writes to the log; what became of it is counted in the state file.
    fn write_log(&self, stream: Stream, bytes: &[u8]) {
        let Some(log) = &self.log else { return };
        // One thread, and no panic while the lock is held: it cannot be poisoned.
        let Ok(mut log) = log.lock() else { return };
        let outcome = log.write(stream, bytes);
        drop(log);
        self.state.add_log(outcome.written_bytes, outcome.dropped_entries);
    }

    /// A line of the runner's own on standard error.
    pub fn say(&self, line: &str) {
        let mut sink = self.sink(Stream::Stderr);
        let bytes = format!("{line}\n").into_bytes();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match sink.write(rest) {
                Ok(count) if count > 0 => rest = &rest[count..],
                _ => return,
            }
        }
    }
}

struct StreamSink {
    stream: Stream,
    terminal: Option<i32>,
    output: Output,
}

impl Sink for StreamSink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let Some(terminal) = self.terminal else {
            self.output.write_log(self.stream, bytes);
            return Ok(bytes.len());
        };
        // The terminal decides how much is taken, so that log and terminal show the same.
        let taken = write_terminal(terminal, bytes);
        match taken {
            Ok(count) => {
                self.output.write_log(self.stream, &bytes[..count]);
                Ok(count)
            }
            Err(libc::EPIPE) => {
                // The reader is gone. A program in the guest's place would get SIGPIPE and end by it.
                signals::end_by_signal(libc::SIGPIPE)
            }
            Err(error) => {
                self.output.write_log(self.stream, bytes);
                Err(Errno::from_host(error))
            }
        }
    }

    fn terminal(&self) -> Option<i32> {
        // SAFETY: a plain query.
        self.terminal
            .filter(|descriptor| unsafe { libc::isatty(*descriptor) } == 1)
    }
}

/// Writes some bytes, waiting where the descriptor was made non-blocking by somebody else who shares it.
fn write_terminal(descriptor: i32, bytes: &[u8]) -> Result<usize, i32> {
    loop {
        match kernel_calls::files::write(descriptor, bytes) {
            Ok(count) => return Ok(count),
            Err(error) if error.0 == libc::EINTR => {}
            Err(error) if error.0 == libc::EAGAIN => {
                let mut poll = libc::pollfd {
                    fd: descriptor,
                    events: libc::POLLOUT,
                    revents: 0,
                };
                // SAFETY: one pollfd; waits until there is room.
                unsafe { libc::ppoll(&mut poll, 1, std::ptr::null(), std::ptr::null()) };
            }
            Err(error) => return Err(error.0),
        }
    }
}

/// Stores an end and a reason.
pub fn store_end(state: &StateFile, status: i32, cause: Cause, reason: &str) {
    state.set_reason(reason);
    state.exited(status, cause, 0);
}
