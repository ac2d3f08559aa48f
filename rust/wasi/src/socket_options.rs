//! Options of sockets: those of WAMR's extension that concern nobody but the guest.

use std::os::fd::{AsRawFd, RawFd};

use wamr::GuestMemory;

use crate::abi::{check, Errno, Result};
use crate::context::Context;
use crate::descriptor::{Descriptor, Object};

/// An option of setsockopt(2): its level and its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketOption {
    pub level: i32,
    pub name: i32,
}

const fn option(level: i32, name: i32) -> SocketOption {
    SocketOption { level, name }
}

pub(crate) const REUSE_ADDRESS: SocketOption = option(libc::SOL_SOCKET, libc::SO_REUSEADDR);
pub(crate) const REUSE_PORT: SocketOption = option(libc::SOL_SOCKET, libc::SO_REUSEPORT);
pub(crate) const BROADCAST: SocketOption = option(libc::SOL_SOCKET, libc::SO_BROADCAST);
pub(crate) const KEEP_ALIVE: SocketOption = option(libc::SOL_SOCKET, libc::SO_KEEPALIVE);
pub(crate) const LINGER: SocketOption = option(libc::SOL_SOCKET, libc::SO_LINGER);
pub(crate) const RECEIVE_BUFFER: SocketOption = option(libc::SOL_SOCKET, libc::SO_RCVBUF);
pub(crate) const SEND_BUFFER: SocketOption = option(libc::SOL_SOCKET, libc::SO_SNDBUF);
pub(crate) const RECEIVE_TIMEOUT: SocketOption = option(libc::SOL_SOCKET, libc::SO_RCVTIMEO);
pub(crate) const SEND_TIMEOUT: SocketOption = option(libc::SOL_SOCKET, libc::SO_SNDTIMEO);
pub(crate) const NO_DELAY: SocketOption = option(libc::SOL_TCP, libc::TCP_NODELAY);
pub(crate) const QUICK_ACKNOWLEDGEMENT: SocketOption = option(libc::SOL_TCP, libc::TCP_QUICKACK);
pub(crate) const FAST_OPEN_CONNECT: SocketOption = option(libc::SOL_TCP, libc::TCP_FASTOPEN_CONNECT);
pub(crate) const KEEP_IDLE: SocketOption = option(libc::SOL_TCP, libc::TCP_KEEPIDLE);
pub(crate) const KEEP_INTERVAL: SocketOption = option(libc::SOL_TCP, libc::TCP_KEEPINTVL);
pub(crate) const TIME_TO_LIVE: SocketOption = option(libc::SOL_IP, libc::IP_TTL);
pub(crate) const MULTICAST_TIME_TO_LIVE: SocketOption = option(libc::SOL_IP, libc::IP_MULTICAST_TTL);
pub(crate) const MULTICAST_LOOP: SocketOption = option(libc::SOL_IP, libc::IP_MULTICAST_LOOP);
pub(crate) const MULTICAST_LOOP_V6: SocketOption = option(libc::SOL_IPV6, libc::IPV6_MULTICAST_LOOP);
pub(crate) const V6_ONLY: SocketOption = option(libc::SOL_IPV6, libc::IPV6_V6ONLY);
pub(crate) const CHOOSE_PORT_LATE: SocketOption = option(libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT);

/// Every option that this crate sets, for a filter of system calls.
pub const SETTABLE: [SocketOption; 20] = [
    REUSE_ADDRESS,
    REUSE_PORT,
    BROADCAST,
    KEEP_ALIVE,
    LINGER,
    RECEIVE_BUFFER,
    SEND_BUFFER,
    RECEIVE_TIMEOUT,
    SEND_TIMEOUT,
    NO_DELAY,
    QUICK_ACKNOWLEDGEMENT,
    FAST_OPEN_CONNECT,
    KEEP_IDLE,
    KEEP_INTERVAL,
    TIME_TO_LIVE,
    MULTICAST_TIME_TO_LIVE,
    MULTICAST_LOOP,
    MULTICAST_LOOP_V6,
    V6_ONLY,
    CHOOSE_PORT_LATE,
];

const MICROSECONDS: u64 = 1_000_000;

/// Which sockets of the host an option is about; none for one that the guest only believes to have.
fn sockets(descriptor: &Descriptor) -> Result<Vec<RawFd>> {
    match &descriptor.object {
        Object::Socket { socket, .. } => Ok(vec![socket.as_raw_fd()]),
        Object::Listener { listener, .. } => Ok(listener.sockets().iter().map(AsRawFd::as_raw_fd).collect()),
        Object::Unreachable(_) => Ok(Vec::new()),
        _ => Err(Errno::NOTSOCK),
    }
}

/// Sets an option of one socket of the host.
pub(crate) fn set_on<T: Copy>(socket: RawFd, option: SocketOption, value: T) -> Result {
    // SAFETY: a live value of the length given; a length that the option does not have is an error.
    let result = unsafe {
        libc::setsockopt(
            socket,
            option.level,
            option.name,
            (&raw const value).cast(),
            std::mem::size_of::<T>() as libc::socklen_t,
        )
    };
    check(result as isize).map(|_| ())
}

/// Sets an option of a guest's socket.
pub(crate) fn set<T: Copy>(context: &Context, number: u64, option: SocketOption, value: T) -> Result {
    for socket in sockets(context.table.get(number as u32)?)? {
        set_on(socket, option, value)?;
    }
    Ok(())
}

/// The value of an option of plain numbers, zeroes where the host has no socket.
pub(crate) fn get<T: Copy + Default>(context: &Context, number: u64, option: SocketOption) -> Result<T> {
    let mut value = T::default();
    let Some(socket) = sockets(context.table.get(number as u32)?)?.first().copied() else {
        return Ok(value);
    };
    let mut length = std::mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most the length given, into numbers, of which every pattern is one.
    let result = unsafe {
        libc::getsockopt(
            socket,
            option.level,
            option.name,
            (&raw mut value).cast(),
            &mut length,
        )
    };
    check(result as isize)?;
    Ok(value)
}

/// `set` of a switch, or of a number that the kernel checks.
pub(crate) fn set_number(context: &mut Context, a: &[u64; 9], option: SocketOption) -> Result {
    let value = i32::try_from(a[1] as u32).map_err(|_| Errno::INVAL)?;
    set(context, a[0], option, value)
}

/// `get` of a switch: one byte.
pub(crate) fn get_switch(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    option: SocketOption,
) -> Result {
    let value: i32 = get(context, a[0], option)?;
    store(memory, a[1], &[u8::from(value != 0)])
}

/// `get` of a number that fits into one byte.
pub(crate) fn get_byte(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    option: SocketOption,
) -> Result {
    let value: i32 = get(context, a[0], option)?;
    store(memory, a[1], &[value as u8])
}

/// `get` of a number of 32 bits.
pub(crate) fn get_number(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    option: SocketOption,
) -> Result {
    let value: i32 = get(context, a[0], option)?;
    store(memory, a[1], &value.to_le_bytes())
}

/// `set` of a time, in microseconds.
pub(crate) fn set_time(context: &mut Context, a: &[u64; 9], option: SocketOption) -> Result {
    set(context, a[0], option, to_timeval(a[1])?)
}

/// `get` of a time, in microseconds.
pub(crate) fn get_time(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    option: SocketOption,
) -> Result {
    let [seconds, rest]: [i64; 2] = get(context, a[0], option)?;
    let time = (seconds as u64)
        .saturating_mul(MICROSECONDS)
        .saturating_add(rest as u64);
    store(memory, a[1], &time.to_le_bytes())
}

/// `struct timeval` of 64-bit Linux.
fn to_timeval(microseconds: u64) -> Result<[i64; 2]> {
    let seconds = i64::try_from(microseconds / MICROSECONDS).map_err(|_| Errno::DOM)?;
    Ok([seconds, (microseconds % MICROSECONDS) as i64])
}

pub(crate) fn set_linger(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    set(context, a[0], LINGER, [i32::from(a[1] != 0), a[2] as i32])
}

pub(crate) fn get_linger(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let [enabled, seconds]: [i32; 2] = get(context, a[0], LINGER)?;
    store(memory, a[1], &[u8::from(enabled != 0)])?;
    store(memory, a[2], &seconds.to_le_bytes())
}

pub(crate) fn set_multicast_loop(
    context: &mut Context,
    _memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
) -> Result {
    set(context, a[0], multicast_loop(a), i32::from(a[2] != 0))
}

pub(crate) fn get_multicast_loop(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
) -> Result {
    let value: i32 = get(context, a[0], multicast_loop(a))?;
    store(memory, a[2], &[u8::from(value != 0)])
}

fn multicast_loop(a: &[u64; 9]) -> SocketOption {
    if a[1] == 0 {
        MULTICAST_LOOP
    } else {
        MULTICAST_LOOP_V6
    }
}

/// Groups reach beyond what the pool can say.
pub(crate) fn membership(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    sockets(context.table.get(a[0] as u32)?)?;
    Err(Errno::NOTSUP)
}

fn store(memory: &mut GuestMemory<'_>, address: u64, bytes: &[u8]) -> Result {
    memory.write(address as u32, bytes).ok_or(Errno::FAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_into_seconds_and_the_rest() {
        assert_eq!(to_timeval(0), Ok([0, 0]));
        assert_eq!(to_timeval(2_500_000), Ok([2, 500_000]));
        assert_eq!(to_timeval(u64::MAX).map(|time| time[1] < 1_000_000), Ok(true));
    }

    #[test]
    fn the_list_for_the_filter_is_whole_and_has_nothing_twice() {
        for (index, option) in SETTABLE.iter().enumerate() {
            assert_ne!(*option, option_that_none_is());
            assert!(!SETTABLE[..index].contains(option), "{option:?}");
        }
    }

    fn option_that_none_is() -> SocketOption {
        option(libc::SOL_SOCKET, libc::SO_BINDTODEVICE)
    }
}
