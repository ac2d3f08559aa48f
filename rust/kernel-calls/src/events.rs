//! Waiting: poll, and signals as a descriptor.

use crate::{system_call, Errno, Fd, Result};

/// A set of signals in the kernel's own form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalSet(u64);

impl SignalSet {
    /// None.
    pub const EMPTY: SignalSet = SignalSet(0);

    /// Every signal but these.
    pub const fn all_but(signals: &[i32]) -> SignalSet {
        let mut bits = u64::MAX;
        let mut index = 0;
        while index < signals.len() {
            bits &= !(1 << (signals[index] - 1));
            index += 1;
        }
        SignalSet(bits)
    }
}

/// Makes `set` the blocked signals of the process, and nothing else.
pub fn block_signals(set: SignalSet) -> Result<()> {
    // SAFETY: the kernel reads eight bytes that live through the call.
    unsafe {
        system_call!(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &set.0 as *const u64,
            0usize,
            8usize
        )
    }
    .map(drop)
}

/// A descriptor, close-on-exec and not blocking, that tells of the (blocked) signals in `set`.
pub fn signal_descriptor(set: SignalSet) -> Result<Fd> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the kernel reads eight bytes that live through the call.
    let raw = unsafe { system_call!(libc::SYS_signalfd4, -1isize, &set.0 as *const u64, 8usize, flags)? };
    Ok(Fd::own(raw as i32))
}

/// The next signal of a [`signal_descriptor`], `None` where none is pending.
pub fn next_signal(fd: i32) -> Option<i32> {
    const SIZE: usize = core::mem::size_of::<libc::signalfd_siginfo>();
    let mut information = [0u8; SIZE];
    // `ssi_signo` is the first field.
    match crate::files::read(fd, &mut information) {
        Ok(SIZE) => Some(u32::from_ne_bytes(information[..4].try_into().unwrap_or([0; 4])) as i32),
        _ => None,
    }
}

/// An eventfd(2), close-on-exec and not blocking: a read gives how often something happened, and forgets it.
pub fn event_descriptor() -> Result<Fd> {
    let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
    // SAFETY: the call takes no pointers.
    let raw = unsafe { system_call!(libc::SYS_eventfd2, 0usize, flags)? };
    Ok(Fd::own(raw as i32))
}

/// One descriptor to wait for; a negative one is passed over.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Interest(libc::pollfd);

impl Interest {
    /// Waits until there is something to read, or the other end is gone.
    pub fn read(fd: i32) -> Interest {
        Interest(libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        })
    }

    /// Waits until something out of the ordinary is told (POLLPRI), as by files of cgroups.
    pub fn urgent(fd: i32) -> Interest {
        Interest(libc::pollfd {
            fd,
            events: libc::POLLPRI,
            revents: 0,
        })
    }

    /// Waits until there is room to write, or the other end is gone.
    pub fn write(fd: i32) -> Interest {
        Interest(libc::pollfd {
            fd,
            events: libc::POLLOUT,
            revents: 0,
        })
    }

    /// Whether anything happened to it, errors included.
    pub fn happened(&self) -> bool {
        self.0.revents != 0
    }
}

/// ppoll(2) without a signal mask; `None` waits for ever. Gives whether anything happened.
/// An interruption counts as nothing.
pub fn poll(interests: &mut [Interest], timeout_nanoseconds: Option<i64>) -> Result<bool> {
    let time = timeout_nanoseconds.map(|left| libc::timespec {
        tv_sec: left.max(0) / 1_000_000_000,
        tv_nsec: left.max(0) % 1_000_000_000,
    });
    let time_pointer = time
        .as_ref()
        .map_or(core::ptr::null(), |time| time as *const libc::timespec);
    // The kernel may write the remaining time back, so it is a copy on the stack that nobody reads.
    let interests_pointer = interests.as_mut_ptr();
    // SAFETY: the kernel reads and writes `len` pollfds (Interest is transparent), exclusively borrowed.
    let count = unsafe {
        system_call!(
            libc::SYS_ppoll,
            interests_pointer,
            interests.len(),
            time_pointer,
            0usize,
            8usize
        )
    };
    match count {
        Ok(number) => Ok(number > 0),
        Err(Errno(libc::EINTR)) => Ok(false),
        Err(error) => Err(error),
    }
}
