//! Accepting and transferring: the socket calls of WASI preview 1, and those of WAMR's extension that name an address.

use std::net::SocketAddr;
use std::os::fd::RawFd;

use wamr::GuestMemory;

use crate::abi::{check, fdflags, filetype, rights, Errno, Result};
use crate::address::{encode, read_address, End, HostAddress, ADDRESS_BYTES};
use crate::context::Context;
use crate::descriptor::{Descriptor, Object};
use crate::input_output::{retry, Pieces};
use crate::socket_open::{address_of, own_socket, reach};

const RECEIVE_PEEK: u32 = 1;
const RECEIVE_WAITALL: u32 = 2;
/// `roflags`: the rest of a message was thrown away.
const DATA_TRUNCATED: u16 = 1;

fn connected(descriptor: &Descriptor) -> Result<RawFd> {
    match &descriptor.object {
        Object::Socket { .. } => descriptor.stream().ok_or(Errno::BADF),
        Object::Unreachable(_) => Err(Errno::NOTCONN),
        _ => Err(Errno::NOTSOCK),
    }
}

pub(crate) fn sock_accept(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    accept(context, memory, a[0] as u32, a[1], a[2] as u32)
}

/// The next connection of a listener; its number goes to `output`. `flags` are `fdflags`.
pub(crate) fn accept(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    number: u32,
    flags: u64,
    output: u32,
) -> Result {
    let descriptor = context.table.with_rights(number, rights::SOCK_ACCEPT)?;
    let (listener, family) = match &descriptor.object {
        Object::Listener { listener, family, .. } => (listener, *family),
        // Not listening: accept(2).
        Object::Socket { .. } | Object::Unreachable(_) => return Err(Errno::INVAL),
        _ => return Err(Errno::NOTSOCK),
    };
    let granted = descriptor.inheriting;
    memory.slice(output, 4).ok_or(Errno::FAULT)?;
    let nonblock = match u16::try_from(flags) {
        Ok(0) => 0,
        Ok(fdflags::NONBLOCK) => libc::SOCK_NONBLOCK,
        _ => return Err(Errno::INVAL),
    };
    let socket = listener.accept(nonblock)?;
    let number = context
        .table
        .insert(Descriptor::accepted(socket, family, granted))?;
    memory.write_u32(output, number).ok_or(Errno::FAULT)
}

/// What came in.
pub(crate) struct Received {
    pub count: u32,
    /// The rest of a datagram was thrown away.
    pub truncated: bool,
    /// Who sent it; of a stream the other end.
    pub from: Option<SocketAddr>,
}

/// A guest's list of buffers: its address and length.
pub(crate) type List = (u32, u32);

/// Receives into a list of buffers. `wanted` are `riflags`.
pub(crate) fn receive(
    context: &mut Context,
    memory: &GuestMemory<'_>,
    number: u32,
    list: List,
    wanted: u32,
) -> Result<Received> {
    let descriptor = context.table.with_rights(number, rights::FD_READ)?;
    let socket = connected(descriptor)?;
    if wanted & !(RECEIVE_PEEK | RECEIVE_WAITALL) != 0 {
        return Err(Errno::INVAL);
    }
    let mut flags = 0;
    if wanted & RECEIVE_PEEK != 0 {
        flags |= libc::MSG_PEEK;
    }
    if wanted & RECEIVE_WAITALL != 0 {
        flags |= libc::MSG_WAITALL;
    }
    let mut pieces = Pieces::read(memory, list.0, list.1)?;
    let mut message = message(&mut pieces);
    let mut room = HostAddress::room();
    message.msg_name = room.as_mut_ptr().cast();
    message.msg_namelen = room.length();
    // SAFETY: the message's pieces lie inside the guest's memory; the address has the length given.
    let count = retry(|| unsafe { libc::recvmsg(socket, &mut message, flags) })?;
    let family = match descriptor.object {
        Object::Socket { family, .. } => family,
        _ => None,
    };
    let from = room.address();
    Ok(Received {
        count: count as u32,
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        from: from.map(|address| family.map_or(address, |family| family.shown(address))),
    })
}

pub(crate) fn sock_recv(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    connected(context.table.with_rights(a[0] as u32, rights::FD_READ)?)?;
    memory.slice(a[4] as u32, 4).ok_or(Errno::FAULT)?;
    memory.slice(a[5] as u32, 2).ok_or(Errno::FAULT)?;
    let list = (a[1] as u32, a[2] as u32);
    let received = receive(context, memory, a[0] as u32, list, a[3] as u32)?;
    memory
        .write_u32(a[4] as u32, received.count)
        .ok_or(Errno::FAULT)?;
    memory
        .write(a[5] as u32, &received.output_flags().to_le_bytes())
        .ok_or(Errno::FAULT)
}

impl Received {
    /// `roflags`.
    pub fn output_flags(&self) -> u16 {
        if self.truncated {
            DATA_TRUNCATED
        } else {
            0
        }
    }
}

/// `sock_recv_from` of WAMR's extension.
pub(crate) fn sock_recv_from(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    memory.slice(a[4] as u32, ADDRESS_BYTES).ok_or(Errno::FAULT)?;
    memory.slice(a[5] as u32, 4).ok_or(Errno::FAULT)?;
    let list = (a[1] as u32, a[2] as u32);
    let received = receive(context, memory, a[0] as u32, list, a[3] as u32)?;
    let from = match received.from {
        Some(address) => address,
        None => address_of(context, a[0] as u32, End::Remote)?,
    };
    memory.write(a[4] as u32, &encode(from)).ok_or(Errno::FAULT)?;
    memory.write_u32(a[5] as u32, received.count).ok_or(Errno::FAULT)
}

/// Sends a list of buffers, where a datagram's target is named to there, as far as the pool allows it.
pub(crate) fn send(
    context: &mut Context,
    memory: &GuestMemory<'_>,
    number: u32,
    list: List,
    target: Option<SocketAddr>,
) -> Result<u32> {
    let descriptor = context.table.with_rights(number, rights::FD_WRITE)?;
    // A stream has but one other end, whatever is named.
    let target = target.filter(|_| descriptor.kind() == filetype::SOCKET_DGRAM);
    let mut pieces = Pieces::read(memory, list.0, list.1)?;
    let (socket, name) = match target {
        Some(wanted) => {
            descriptor.require_socket()?;
            let target = reach(context, wanted)?;
            (
                own_socket(context, number, target)?,
                Some(HostAddress::new(target)),
            )
        }
        None => (connected(descriptor)?, None),
    };
    let mut message = message(&mut pieces);
    if let Some(name) = &name {
        message.msg_name = name.as_ptr().cast_mut().cast();
        message.msg_namelen = name.length();
    }
    // SAFETY: the pieces lie inside the guest's memory, and the address lives; the kernel only reads both.
    let count = retry(|| unsafe { libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) })?;
    Ok(count as u32)
}

pub(crate) fn sock_send(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    connected(context.table.with_rights(a[0] as u32, rights::FD_WRITE)?)?;
    memory.slice(a[4] as u32, 4).ok_or(Errno::FAULT)?;
    if a[3] != 0 {
        return Err(Errno::INVAL);
    }
    let count = send(context, memory, a[0] as u32, (a[1] as u32, a[2] as u32), None)?;
    memory.write_u32(a[4] as u32, count).ok_or(Errno::FAULT)
}

/// `sock_send_to` of WAMR's extension.
pub(crate) fn sock_send_to(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    context.table.get(a[0] as u32)?.require_socket()?;
    memory.slice(a[5] as u32, 4).ok_or(Errno::FAULT)?;
    if a[3] != 0 {
        return Err(Errno::INVAL);
    }
    let target = read_address(memory, a[4] as u32)?;
    let count = send(
        context,
        memory,
        a[0] as u32,
        (a[1] as u32, a[2] as u32),
        Some(target),
    )?;
    memory.write_u32(a[5] as u32, count).ok_or(Errno::FAULT)
}

fn message(pieces: &mut Pieces) -> libc::msghdr {
    // SAFETY: all zeroes is a valid msghdr: no address, no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = pieces.as_mut_ptr();
    message.msg_iovlen = pieces.count() as usize;
    message
}

pub(crate) fn sock_shutdown(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let socket = connected(context.table.with_rights(a[0] as u32, rights::SOCK_SHUTDOWN)?)?;
    let how = match a[1] as u32 {
        1 => libc::SHUT_RD,
        2 => libc::SHUT_WR,
        3 => libc::SHUT_RDWR,
        _ => return Err(Errno::INVAL),
    };
    // SAFETY: a plain call on a live descriptor.
    check(unsafe { libc::shutdown(socket, how) } as isize).map(|_| ())
}
