//! Clocks.

use wamr::GuestMemory;

use crate::abi::{check, Errno, Result};
use crate::context::Context;

/// The host's clock for one of the guest's.
pub(crate) fn host_clock(identifier: u32) -> Result<libc::clockid_t> {
    match identifier {
        0 => Ok(libc::CLOCK_REALTIME),
        1 => Ok(libc::CLOCK_MONOTONIC),
        2 => Ok(libc::CLOCK_PROCESS_CPUTIME_ID),
        3 => Ok(libc::CLOCK_THREAD_CPUTIME_ID),
        _ => Err(Errno::INVAL),
    }
}

/// The time of a clock in nanoseconds.
pub(crate) fn now(clock: libc::clockid_t) -> Result<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel fills the timespec in.
    check(unsafe { libc::clock_gettime(clock, &mut time) } as isize)?;
    Ok(as_nanoseconds(&time))
}

fn as_nanoseconds(time: &libc::timespec) -> u64 {
    u64::try_from(time.tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec as u64)
}

pub(crate) fn clock_res_get(_context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let mut resolution = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel fills the timespec in.
    check(unsafe { libc::clock_getres(host_clock(a[0] as u32)?, &mut resolution) } as isize)?;
    memory
        .write_u64(a[1] as u32, as_nanoseconds(&resolution))
        .ok_or(Errno::FAULT)
}

pub(crate) fn clock_time_get(_context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let time = now(host_clock(a[0] as u32)?)?;
    memory.write_u64(a[2] as u32, time).ok_or(Errno::FAULT)
}
