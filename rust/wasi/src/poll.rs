//! `poll_oneoff`: waiting for clocks and descriptors at once.
//!
//! The subscriptions stay in the guest's memory and are read twice: once to know what to wait for (the earliest
//! clock, and each descriptor once however often it is named), once to tell which of them came true. So the host
//! needs memory for as many descriptors as there are, not for as many subscriptions as the guest writes down.

use std::os::fd::{AsRawFd, RawFd};

use wamr::GuestMemory;

use crate::abi::{filetype, rights, Errno, Result, Version};
use crate::clock::{host_clock, now};
use crate::context::Context;
use crate::descriptor::Object;
use crate::listener::Listener;
use crate::status::host_status;

const EVENT_BYTES: u32 = 32;

/// What a subscription waits for.
enum Wait {
    Clock {
        clock: libc::clockid_t,
        timeout: u64,
        absolute: bool,
    },
    Read(u32),
    Write(u32),
}

struct Subscription {
    user_data: [u8; 8],
    /// The `eventtype` that the event repeats.
    kind: u8,
    wait: Result<Wait>,
}

fn subscription_bytes(version: Version) -> u32 {
    match version {
        Version::Preview1 => 48,
        Version::Unstable => 56,
    }
}

fn read_subscription(memory: &GuestMemory<'_>, address: u32, version: Version) -> Result<Subscription> {
    let bytes = memory
        .slice(address, subscription_bytes(version))
        .ok_or(Errno::FAULT)?;
    let u64_at = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or(0);
    let u32_at = |at: usize| u64_at(at) as u32;
    let clock = match version {
        Version::Preview1 => 16,
        // An identifier stands before the clock; nobody reads it.
        Version::Unstable => 24,
    };
    let wait = match bytes[8] {
        0 => {
            let timeout = u64_at(clock + 8);
            let absolute = u64_at(clock + 24) & 1 != 0;
            host_clock(u32_at(clock)).map(|clock| Wait::Clock {
                clock,
                timeout,
                absolute,
            })
        }
        1 => Ok(Wait::Read(u32_at(16))),
        2 => Ok(Wait::Write(u32_at(16))),
        _ => Err(Errno::INVAL),
    };
    Ok(Subscription {
        user_data: u64_at(0).to_le_bytes(),
        kind: bytes[8],
        wait,
    })
}

/// How a descriptor is waited for.
enum Readiness<'c> {
    /// The host can tell.
    Host(RawFd),
    /// One of the host's sockets can tell.
    Accepting(&'c Listener),
    /// It never blocks.
    Always,
}

fn readiness(context: &Context, number: u32) -> Result<Readiness<'_>> {
    let descriptor = context.table.with_rights(number, rights::POLL_FD_READWRITE)?;
    match &descriptor.object {
        Object::File {
            kind: filetype::REGULAR_FILE,
            ..
        }
        | Object::Directory { .. }
        | Object::Output(_) => Ok(Readiness::Always),
        Object::Listener { listener, .. } => Ok(Readiness::Accepting(listener)),
        _ => descriptor.stream().map(Readiness::Host).ok_or(Errno::BADF),
    }
}

/// What is waited for, all subscriptions together.
#[derive(Default)]
struct Waiting {
    /// Each descriptor of the host once, with the guest's number, which several may have.
    polls: Vec<(u32, libc::pollfd)>,
    /// Earliest end of the wait, nanoseconds of CLOCK_MONOTONIC.
    deadline: Option<u64>,
}

impl Waiting {
    fn add(&mut self, context: &Context, subscription: &Subscription) {
        match &subscription.wait {
            Err(_) => self.deadline = Some(0),
            Ok(Wait::Clock {
                clock,
                timeout,
                absolute,
            }) => {
                let end = monotonic_end(*clock, *timeout, *absolute);
                self.deadline = Some(self.deadline.map_or(end, |earliest| earliest.min(end)));
            }
            Ok(Wait::Read(number)) => self.add_descriptor(context, *number, libc::POLLIN),
            Ok(Wait::Write(number)) => self.add_descriptor(context, *number, libc::POLLOUT),
        }
    }

    fn add_descriptor(&mut self, context: &Context, number: u32, events: i16) {
        match readiness(context, number) {
            Ok(Readiness::Host(fd)) => self.add_host(number, fd, events),
            Ok(Readiness::Accepting(listener)) => {
                for socket in listener.sockets() {
                    self.add_host(number, socket.as_raw_fd(), events);
                }
            }
            // Ready, or an error to be told: no waiting either way.
            Ok(Readiness::Always) | Err(_) => self.deadline = Some(0),
        }
    }

    fn add_host(&mut self, number: u32, fd: RawFd, events: i16) {
        let known = self
            .polls
            .iter_mut()
            .find(|(owner, poll)| *owner == number && poll.fd == fd);
        match known {
            Some((_, poll)) => poll.events |= events,
            None => self.polls.push((
                number,
                libc::pollfd {
                    fd,
                    events,
                    revents: 0,
                },
            )),
        }
    }

    fn revents(&self, number: u32) -> i16 {
        self.polls
            .iter()
            .filter(|(known, _)| *known == number)
            .fold(0, |all, (_, poll)| all | poll.revents)
    }

    /// Waits for a descriptor or the deadline, whichever comes first.
    fn wait(&mut self) -> Result {
        let mut polls: Vec<libc::pollfd> = self.polls.iter().map(|(_, poll)| *poll).collect();
        loop {
            let remaining = match self.deadline {
                None => None,
                Some(deadline) => Some(deadline.saturating_sub(now(libc::CLOCK_MONOTONIC)?)),
            };
            let timeout = remaining.map(|nanoseconds| libc::timespec {
                tv_sec: (nanoseconds / 1_000_000_000) as i64,
                tv_nsec: (nanoseconds % 1_000_000_000) as i64,
            });
            let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            // SAFETY: an array of the length given; the timeout is null or a live timespec; no signal mask.
            let result = unsafe {
                libc::ppoll(
                    polls.as_mut_ptr(),
                    polls.len() as libc::nfds_t,
                    timeout,
                    std::ptr::null(),
                )
            };
            match crate::abi::check(result as isize) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        for ((_, known), polled) in self.polls.iter_mut().zip(polls) {
            known.revents = polled.revents;
        }
        Ok(())
    }
}

/// When a clock's wait ends, on the monotonic clock. A time too far away for it is never.
fn monotonic_end(clock: libc::clockid_t, timeout: u64, absolute: bool) -> u64 {
    let base = now(libc::CLOCK_MONOTONIC).unwrap_or(0);
    let wait = if absolute {
        timeout.saturating_sub(now(clock).unwrap_or(0))
    } else {
        timeout
    };
    // The kernel's time is a signed number of nanoseconds.
    base.saturating_add(wait).min(i64::MAX as u64)
}

/// An event to report.
struct Event {
    error: Errno,
    bytes: u64,
    hangup: bool,
}

const HAPPENED: Event = Event {
    error: Errno::SUCCESS,
    bytes: 0,
    hangup: false,
};

pub(crate) fn poll_oneoff(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    version: Version,
) -> Result {
    let (input, output, count, result) = (a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32);
    if count == 0 {
        return Err(Errno::INVAL);
    }
    let size = subscription_bytes(version);
    let whole = |each: u32| u32::try_from(u64::from(count) * u64::from(each)).map_err(|_| Errno::FAULT);
    memory.slice(input, whole(size)?).ok_or(Errno::FAULT)?;
    memory.slice(output, whole(EVENT_BYTES)?).ok_or(Errno::FAULT)?;
    memory.slice(result, 4).ok_or(Errno::FAULT)?;
    let mut waiting = Waiting::default();
    // When the wait began: a clock's end is reckoned from here in both passes.
    let began = now(libc::CLOCK_MONOTONIC)?;
    for index in 0..count {
        waiting.add(
            context,
            &read_subscription(memory, input + index * size, version)?,
        );
    }
    let mut events = 0u32;
    // The kernel may wake a little early, and a realtime clock may be set back: nothing came true, wait again.
    while events == 0 {
        waiting.wait()?;
        let ended = now(libc::CLOCK_MONOTONIC)?;
        for index in 0..count {
            // Input and output may overlap; an event never passes the subscriptions still to be read, which are
            // longer.
            let subscription = read_subscription(memory, input + index * size, version)?;
            if let Some(event) = happened(context, &waiting, &subscription, ended.saturating_sub(began)) {
                store(memory, output + events * EVENT_BYTES, &subscription, &event)?;
                events += 1;
            }
        }
    }
    memory.write_u32(result, events).ok_or(Errno::FAULT)
}

/// The event of a subscription, if it came true. `elapsed` is in nanoseconds since the wait began.
fn happened(
    context: &Context,
    waiting: &Waiting,
    subscription: &Subscription,
    elapsed: u64,
) -> Option<Event> {
    let (number, wanted) = match &subscription.wait {
        Err(error) => {
            return Some(Event {
                error: *error,
                ..HAPPENED
            })
        }
        Ok(Wait::Clock {
            clock,
            timeout,
            absolute,
        }) => {
            let over = if *absolute {
                now(*clock).unwrap_or(0) >= *timeout
            } else {
                elapsed >= *timeout
            };
            return over.then_some(HAPPENED);
        }
        Ok(Wait::Read(number)) => (*number, libc::POLLIN),
        Ok(Wait::Write(number)) => (*number, libc::POLLOUT),
    };
    match readiness(context, number) {
        Err(error) => Some(Event { error, ..HAPPENED }),
        Ok(Readiness::Always) => Some(Event {
            bytes: always_ready_bytes(context, number, wanted),
            ..HAPPENED
        }),
        Ok(Readiness::Accepting(_)) => seen_event(waiting.revents(number), wanted, || 1),
        Ok(Readiness::Host(fd)) => seen_event(waiting.revents(number), wanted, || {
            if wanted == libc::POLLIN {
                pending(fd)
            } else {
                1
            }
        }),
    }
}

/// The event that the kernel's answer means, if any.
fn seen_event(seen: i16, wanted: i16, bytes: impl FnOnce() -> u64) -> Option<Event> {
    if seen & libc::POLLNVAL != 0 {
        return Some(Event {
            error: Errno::BADF,
            ..HAPPENED
        });
    }
    let ready = seen & (wanted | libc::POLLERR | libc::POLLHUP) != 0;
    ready.then(|| Event {
        bytes: bytes(),
        hangup: seen & libc::POLLHUP != 0,
        ..HAPPENED
    })
}

/// What is left of a file; something for the rest.
fn always_ready_bytes(context: &Context, number: u32, wanted: i16) -> u64 {
    let file = context
        .table
        .get(number)
        .ok()
        .and_then(|descriptor| descriptor.stream());
    let (Some(file), true) = (file, wanted == libc::POLLIN) else {
        return 1;
    };
    // SAFETY: a plain query on a live descriptor.
    let position = unsafe { libc::lseek(file, 0, libc::SEEK_CUR) };
    host_status(file).map_or(0, |status| {
        status.st_size.saturating_sub(position.max(0)).max(0) as u64
    })
}

/// Bytes that can be read at once from a pipe, terminal or socket.
fn pending(file: RawFd) -> u64 {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD stores one int.
    let result = unsafe { libc::ioctl(file, libc::FIONREAD, &mut count) };
    if result == 0 {
        count.max(0) as u64
    } else {
        1
    }
}

fn store(memory: &mut GuestMemory<'_>, address: u32, subscription: &Subscription, event: &Event) -> Result {
    let mut bytes = [0u8; EVENT_BYTES as usize];
    bytes[0..8].copy_from_slice(&subscription.user_data);
    bytes[8..10].copy_from_slice(&event.error.0.to_le_bytes());
    bytes[10] = subscription.kind;
    if subscription.kind != 0 {
        bytes[16..24].copy_from_slice(&event.bytes.to_le_bytes());
        bytes[24..26].copy_from_slice(&u16::from(event.hangup).to_le_bytes());
    }
    memory.write(address, &bytes).ok_or(Errno::FAULT)
}
