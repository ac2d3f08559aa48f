//! Clocks.

use crate::system_call;

/// Which clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Since 1970, set by the administrator.
    Realtime,
    /// Since boot, never set, suspended time included.
    Boottime,
    /// Since boot, never set, suspended time excluded.
    Monotonic,
}

/// The clock's time in nanoseconds.
pub fn now(clock: Clock) -> i64 {
    let number = match clock {
        Clock::Realtime => libc::CLOCK_REALTIME,
        Clock::Boottime => libc::CLOCK_BOOTTIME,
        Clock::Monotonic => libc::CLOCK_MONOTONIC,
    };
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes a `struct timespec` that lives through the call. These clocks exist
    // on every kernel since 2.6.39, so the call cannot fail; if it did, the time would be 0.
    let _ = unsafe { system_call!(libc::SYS_clock_gettime, number, &mut time as *mut libc::timespec) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
