//! The long wait: the guest's output to the log and the terminal, signals and input to the guest, its end.

use formats::log_line::Stream;
use kernel_calls::events::{next_signal, poll, Interest};
use kernel_calls::process::{kill, reap_any, Ended};
use kernel_calls::terminal::{self, Settings};
use kernel_calls::time::{now, Clock};
use kernel_calls::{files, memory, Errno, Fd};

use crate::keep::Keeper;
use crate::memory_watch::MemoryWatch;
use crate::streams::Streams;

/// How the container ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    pub ended: Ended,
    pub timed_out: bool,
}

const BUFFER_BYTES: usize = 16384;
const INPUT_BYTES: usize = 1024;
/// After this long without output the buffers are given back.
const QUIET_NANOSECONDS: i64 = 500_000_000;
/// poll(2) promises room for as much in a pipe, so that a write does not block.
const PIPE_ROOM_BYTES: usize = 4096;
const END_OF_INPUT: u8 = 4;

/// The relay of one container.
pub struct Relay<'k, 'p> {
    keeper: &'k mut Keeper<'p>,
    streams: Streams,
    main: i32,
    ended: Option<Ended>,
    deadline: Option<i64>,
    timed_out: bool,
    /// The caller's terminal before it was made raw.
    restore: Option<Settings>,
    /// Whether descriptor 0 is still read for the guest's terminal.
    reads_input: bool,
    input: [u8; INPUT_BYTES],
    input_range: (usize, usize),
    /// Whether the caller still wants output on descriptors 1 and 2.
    wanted: [bool; 2],
    memory: Option<MemoryWatch<'p>>,
}

impl<'k, 'p> Relay<'k, 'p> {
    pub fn new(keeper: &'k mut Keeper<'p>, streams: Streams, main: i32) -> Relay<'k, 'p> {
        let seconds = keeper.plan.number("timeout-seconds");
        let deadline = seconds.map(|seconds| {
            let nanoseconds = i64::try_from(seconds)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000_000_000);
            now(Clock::Monotonic).saturating_add(nanoseconds)
        });
        let foreground = keeper.plan.flag("terminal");
        let reads_input = streams.terminal.is_some() && keeper.plan.flag("stdin");
        Relay {
            memory: MemoryWatch::open(&keeper.plan),
            keeper,
            streams,
            main,
            ended: None,
            deadline,
            timed_out: false,
            restore: None,
            reads_input,
            input: [0; INPUT_BYTES],
            input_range: (0, 0),
            wanted: [foreground; 2],
        }
    }

    /// Relays until the container's main process has ended and its output is written.
    pub fn run(mut self) -> End {
        self.take_over_terminal();
        // What the launch needed: a guest that never writes would leave it here for good.
        self.give_memory_back();
        let mut quiet = true;
        while self.ended.is_none() {
            let busy = self.step(quiet);
            if !busy && !quiet {
                self.give_memory_back();
            }
            quiet = !busy;
        }
        self.drain();
        if let Some(settings) = self.restore {
            let _ = terminal::apply(0, &settings);
        }
        End {
            ended: self.ended.unwrap_or(Ended::Exited(0)),
            timed_out: self.timed_out,
        }
    }

    /// Waits for one round of events; gives whether data passed.
    fn step(&mut self, quiet: bool) -> bool {
        let raw = |fd: &Option<Fd>| fd.as_ref().map_or(-1, Fd::raw);
        let pending = self.input_range.0 < self.input_range.1;
        let terminal = raw(&self.streams.terminal);
        let mut interests = [
            Interest::read(self.keeper.signals.raw()),
            Interest::read(raw(&self.streams.output)),
            Interest::read(raw(&self.streams.errors)),
            Interest::read(terminal),
            Interest::read(if self.reads_input && !pending { 0 } else { -1 }),
            Interest::write(if pending { terminal } else { -1 }),
            self.memory
                .as_ref()
                .map_or(Interest::read(-1), MemoryWatch::interest),
        ];
        let left = self.deadline.map(|deadline| deadline - now(Clock::Monotonic));
        let patience = if quiet { None } else { Some(QUIET_NANOSECONDS) };
        let timeout = match (left, patience) {
            (Some(left), Some(patience)) => Some(left.min(patience)),
            (left, patience) => left.or(patience),
        };
        let _ = poll(&mut interests, timeout);
        self.check_deadline();
        let [signals, output, errors, screen, keys, room, near] =
            interests.map(|interest| interest.happened());
        if near {
            if let Some(memory) = &mut self.memory {
                memory.note(&self.keeper.state);
            }
        }
        if signals {
            self.take_signals();
        }
        if output {
            self.pass(Source::Output);
        }
        if errors {
            self.pass(Source::Errors);
        }
        if screen {
            self.pass(Source::Terminal);
        }
        if keys {
            self.read_input();
        }
        if room || keys {
            self.write_input();
        }
        output || errors || screen || keys || room
    }

    fn check_deadline(&mut self) {
        if self
            .deadline
            .is_some_and(|deadline| now(Clock::Monotonic) >= deadline)
        {
            self.deadline = None;
            self.timed_out = true;
            let _ = kill(self.main, libc::SIGKILL);
        }
    }

    fn take_signals(&mut self) {
        while let Some(signal) = next_signal(self.keeper.signals.raw()) {
            match signal {
                libc::SIGCHLD => {
                    while let Some((pid, ended)) = reap_any() {
                        if pid == self.main {
                            self.ended = Some(ended);
                        }
                    }
                }
                libc::SIGPIPE | libc::SIGXFSZ | libc::SIGURG => {}
                libc::SIGWINCH if self.streams.terminal.is_some() => self.streams.copy_window_size(),
                _ if self.ended.is_none() => {
                    let _ = kill(self.main, signal);
                }
                // The guest has ended and somebody wants us to go: no more waiting for a slow reader.
                libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT => self.wanted = [false; 2],
                _ => {}
            }
        }
    }

    /// Passes on what one source has now, at most one buffer. Gives whether there was something.
    #[inline(never)] // its frame is large, and must not be part of the one that waits
    fn pass(&mut self, source: Source) -> bool {
        // On the stack, which is given back when it is quiet: static memory would make the kernel write to the
        // program's page of data, one more for each container.
        let mut buffer = [0; BUFFER_BYTES];
        let place = match source {
            Source::Output => &mut self.streams.output,
            Source::Errors => &mut self.streams.errors,
            Source::Terminal => &mut self.streams.terminal,
        };
        let Some(fd) = place else { return false };
        match files::read(fd.raw(), &mut buffer) {
            Ok(length @ 1..) => {
                self.emit(source, &buffer[..length]);
                true
            }
            Err(Errno(libc::EAGAIN)) => false,
            // End of file; a terminal without anybody on its other side says EIO.
            Ok(0) | Err(_) => {
                *place = None;
                false
            }
        }
    }

    fn emit(&mut self, source: Source, bytes: &[u8]) {
        let (stream, index) = match source {
            Source::Output | Source::Terminal => (Stream::Stdout, 0),
            Source::Errors => (Stream::Stderr, 1),
        };
        if let Some(log) = &mut self.keeper.log {
            let outcome = log.write(stream, bytes);
            self.keeper
                .state
                .add_log(outcome.written_bytes, outcome.dropped_entries);
        }
        if self.wanted[index] && !self.show(index, bytes) {
            self.wanted[index] = false;
            // Nobody reads: the guest shall see a closed pipe, as it would without us (`| head -1`).
            match source {
                Source::Output => self.streams.output = None,
                Source::Errors => self.streams.errors = None,
                Source::Terminal => {}
            }
        }
    }

    /// Writes to descriptor 1 or 2, taking signals while the reader is slow. False where it is closed.
    fn show(&mut self, index: usize, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() && self.wanted[index] {
            let fd = index as i32 + 1;
            let mut interests = [Interest::write(fd), Interest::read(self.keeper.signals.raw())];
            let left = self.deadline.map(|deadline| deadline - now(Clock::Monotonic));
            let _ = poll(&mut interests, left);
            self.check_deadline();
            if interests[1].happened() {
                self.take_signals();
            }
            if interests[0].happened() {
                match files::write(fd, &bytes[..bytes.len().min(PIPE_ROOM_BYTES)]) {
                    Ok(put) => bytes = &bytes[put..],
                    Err(Errno(libc::EAGAIN)) => {}
                    // A full disk loses output; only a closed reader is told to the guest.
                    Err(error) => return error != Errno(libc::EPIPE),
                }
            }
        }
        true
    }

    /// After the end: what is still in the pipes. Never waits: whoever else holds them open may do so for ever.
    fn drain(&mut self) {
        for source in [Source::Output, Source::Errors, Source::Terminal] {
            while self.pass(source) {}
        }
    }

    fn read_input(&mut self) {
        match files::read(0, &mut self.input) {
            Ok(length @ 1..) => self.input_range = (0, length),
            Err(Errno(libc::EAGAIN)) => {}
            Ok(0) | Err(_) => {
                self.reads_input = false;
                self.input[0] = END_OF_INPUT;
                self.input_range = (0, 1);
            }
        }
    }

    fn write_input(&mut self) {
        let (from, to) = self.input_range;
        let Some(terminal) = self.streams.terminal.as_ref().filter(|_| from < to) else {
            return;
        };
        match files::write(terminal.raw(), &self.input[from..to]) {
            Ok(put) => self.input_range.0 += put,
            Err(Errno(libc::EAGAIN)) => {}
            Err(_) => self.input_range = (0, 0),
        }
    }

    fn take_over_terminal(&mut self) {
        if !self.reads_input {
            return;
        }
        if let Ok(settings) = terminal::settings(0) {
            if terminal::apply(0, &settings.raw()).is_ok() {
                self.restore = Some(settings);
            }
        }
    }

    fn give_memory_back(&self) {
        memory::forget_unused_stack();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Output,
    Errors,
    Terminal,
}
