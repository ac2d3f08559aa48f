//! Accepting and transferring: the socket calls of WASI preview 1.

use std::os::fd::RawFd;

use wamr::GuestMemory;

use crate::abi::{check, fdflags, rights, Errno, Result};
use crate::context::Context;
use crate::descriptor::{Descriptor, Object};
use crate::input_output::{retry, Pieces};

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
    let descriptor = context.table.with_rights(a[0] as u32, rights::SOCK_ACCEPT)?;
    let (listener, family) = match &descriptor.object {
        Object::Listener { listener, family, .. } => (listener, *family),
        // Not listening: accept(2).
        Object::Socket { .. } | Object::Unreachable(_) => return Err(Errno::INVAL),
        _ => return Err(Errno::NOTSOCK),
    };
    let granted = descriptor.inheriting;
    memory.slice(a[2] as u32, 4).ok_or(Errno::FAULT)?;
    let nonblock = match u16::try_from(a[1]) {
        Ok(0) => 0,
        Ok(fdflags::NONBLOCK) => libc::SOCK_NONBLOCK,
        _ => return Err(Errno::INVAL),
    };
    let socket = listener.accept(nonblock)?;
    let number = context
        .table
        .insert(Descriptor::accepted(socket, family, granted))?;
    memory.write_u32(a[2] as u32, number).ok_or(Errno::FAULT)
}

pub(crate) fn sock_recv(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let socket = connected(context.table.with_rights(a[0] as u32, rights::FD_READ)?)?;
    memory.slice(a[4] as u32, 4).ok_or(Errno::FAULT)?;
    memory.slice(a[5] as u32, 2).ok_or(Errno::FAULT)?;
    let wanted = a[3] as u32;
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
    let mut pieces = Pieces::read(memory, a[1] as u32, a[2] as u32)?;
    let mut message = message(&mut pieces);
    // SAFETY: the message's pieces lie inside the guest's memory.
    let count = retry(|| unsafe { libc::recvmsg(socket, &mut message, flags) })?;
    let truncated = if message.msg_flags & libc::MSG_TRUNC != 0 {
        DATA_TRUNCATED
    } else {
        0
    };
    memory.write_u32(a[4] as u32, count as u32).ok_or(Errno::FAULT)?;
    memory
        .write(a[5] as u32, &truncated.to_le_bytes())
        .ok_or(Errno::FAULT)
}

pub(crate) fn sock_send(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let socket = connected(context.table.with_rights(a[0] as u32, rights::FD_WRITE)?)?;
    memory.slice(a[4] as u32, 4).ok_or(Errno::FAULT)?;
    if a[3] != 0 {
        return Err(Errno::INVAL);
    }
    let mut pieces = Pieces::read(memory, a[1] as u32, a[2] as u32)?;
    let message = message(&mut pieces);
    // SAFETY: the message's pieces lie inside the guest's memory, which the kernel only reads.
    let count = retry(|| unsafe { libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) })?;
    memory.write_u32(a[4] as u32, count as u32).ok_or(Errno::FAULT)
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
