//! Sockets that the guest makes itself: the socket extension of WAMR (core/iwasm/libraries/lib-socket).
//!
//! The functions without `memory` do the work, whichever interface the guest was built for.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use wamr::GuestMemory;

use crate::abi::{check, Errno, Result};
use crate::address::{self, bind_socket, connect_socket, encode, end_of, read_address, End, Family};
use crate::context::Context;
use crate::descriptor::{Descriptor, Object, Transport, Wanted};
use crate::listener::Listener;
use crate::network::Refusal;
use crate::socket_options::{set_on, CHOOSE_PORT_LATE};

/// `__wasi_sock_type_t`.
const TYPE_DATAGRAM: u32 = 0;
const TYPE_STREAM: u32 = 1;

pub(crate) fn sock_open(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    memory.slice(a[3] as u32, 4).ok_or(Errno::FAULT)?;
    let family = match a[1] as u32 {
        address::KIND_IPV4 => Family::V4,
        address::KIND_IPV6 => Family::V6,
        _ => return Err(Errno::AFNOSUPPORT),
    };
    let transport = match a[2] as u32 {
        TYPE_DATAGRAM => Transport::Datagram,
        TYPE_STREAM => Transport::Stream,
        _ => return Err(Errno::NOTSUP),
    };
    let number = open(context, family, transport)?;
    memory.write_u32(a[3] as u32, number).ok_or(Errno::FAULT)
}

pub(crate) fn sock_bind(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    context.table.get(a[0] as u32)?.require_socket()?;
    bind(context, a[0] as u32, read_address(memory, a[1] as u32)?)
}

pub(crate) fn sock_listen(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    listen(context, a[0] as u32, a[1] as u32)
}

pub(crate) fn sock_connect(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    context.table.get(a[0] as u32)?.require_socket()?;
    connect(context, a[0] as u32, read_address(memory, a[1] as u32)?)
}

pub(crate) fn sock_addr_local(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let address = address_of(context, a[0] as u32, End::Local)?;
    memory.write(a[1] as u32, &encode(address)).ok_or(Errno::FAULT)
}

pub(crate) fn sock_addr_remote(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let address = address_of(context, a[0] as u32, End::Remote)?;
    memory.write(a[1] as u32, &encode(address)).ok_or(Errno::FAULT)
}

impl Descriptor {
    /// Errors: `NOTSOCK`.
    pub(crate) fn require_socket(&self) -> Result {
        match self.object {
            Object::Socket { .. } | Object::Listener { .. } | Object::Unreachable(_) => Ok(()),
            _ => Err(Errno::NOTSOCK),
        }
    }
}

/// A new socket; gives its number.
pub(crate) fn open(context: &mut Context, family: Family, transport: Transport) -> Result<u32> {
    let wanted = Wanted {
        transport,
        family,
        nonblocking: false,
    };
    // Without a pool the call that names an address is the one that is refused, with a word about it, or that makes
    // this the listener of a published port.
    let socket = if context.network.pool.is_empty() {
        None
    } else {
        Some(host_socket(family, transport)?)
    };
    context.table.insert(Descriptor::opened(wanted, socket))
}

/// A new socket of the host.
pub(crate) fn host_socket(family: Family, transport: Transport) -> Result<OwnedFd> {
    let kind = transport.of_host() | libc::SOCK_CLOEXEC;
    // SAFETY: a plain call.
    let socket = check(unsafe { libc::socket(family.of_host(), kind, 0) } as isize)?;
    // SAFETY: a fresh descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(socket as RawFd) })
}

/// What an unbound socket of the guest is. Errors: `INVAL` for one that has an address, `NOTSOCK`.
fn unbound(descriptor: &Descriptor) -> Result<Wanted> {
    match &descriptor.object {
        Object::Socket {
            socket,
            transport,
            family: Some(family),
            bound: false,
        } => Ok(Wanted {
            transport: *transport,
            family: *family,
            nonblocking: crate::listener::status_flags(socket.as_raw_fd())? & libc::O_NONBLOCK != 0,
        }),
        Object::Unreachable(wanted) => Ok(*wanted),
        Object::Socket { .. } | Object::Listener { .. } => Err(Errno::INVAL),
        _ => Err(Errno::NOTSOCK),
    }
}

/// Gives a socket an address: a published port's sockets, or an address that the pool holds.
pub(crate) fn bind(context: &mut Context, number: u32, wanted: SocketAddr) -> Result {
    let own = unbound(context.table.get(number)?)?;
    if Family::of(wanted.ip()) != own.family {
        return Err(Errno::AFNOSUPPORT);
    }
    if own.transport == Transport::Stream {
        if let Some(listener) = context.network.published_at(wanted) {
            return take_published(context, number, &listener, own, wanted);
        }
    }
    let address = match context.network.bindable(own.family, wanted) {
        Err(Errno::ACCES) => {
            context.refuse(&Refusal::Listen(wanted));
            return Err(Errno::ACCES);
        }
        result => result?,
    };
    bind_to(context, number, address)
}

fn bind_to(context: &mut Context, number: u32, address: SocketAddr) -> Result {
    match &mut context.table.get_mut(number)?.object {
        Object::Socket { socket, bound, .. } => {
            bind_socket(socket.as_raw_fd(), address)?;
            *bound = true;
            Ok(())
        }
        _ => Err(Errno::ACCES),
    }
}

/// Makes a socket the listener of a published port, which one socket at a time can be.
fn take_published(
    context: &mut Context,
    number: u32,
    listener: &Arc<Listener>,
    own: Wanted,
    wanted: SocketAddr,
) -> Result {
    let taken = context.table.all().any(|other| match &other.object {
        Object::Listener {
            listener: known,
            believed: Some(_),
            ..
        } => Arc::ptr_eq(known, listener),
        _ => false,
    });
    if taken {
        return Err(Errno::ADDRINUSE);
    }
    listener.set_nonblocking(own.nonblocking)?;
    context.table.get_mut(number)?.object = Object::Listener {
        listener: Arc::clone(listener),
        family: Some(own.family),
        believed: Some(wanted),
    };
    Ok(())
}

/// Makes a socket accept.
pub(crate) fn listen(context: &mut Context, number: u32, backlog: u32) -> Result {
    let descriptor = context.table.get(number)?;
    let transport = match &descriptor.object {
        // It does so already.
        Object::Listener { .. } => return Ok(()),
        Object::Socket { transport, .. } => *transport,
        Object::Unreachable(wanted) => wanted.transport,
        _ => return Err(Errno::NOTSOCK),
    };
    if transport == Transport::Datagram {
        return Err(Errno::NOTSUP);
    }
    if let Ok(wanted) = unbound(descriptor) {
        // The kernel would choose a port of all addresses.
        bind(context, number, SocketAddr::new(wanted.family.unspecified(), 0))?;
    }
    let descriptor = context.table.get_mut(number)?;
    let Object::Socket {
        socket,
        family: Some(family),
        ..
    } = &descriptor.object
    else {
        return Err(Errno::INVAL);
    };
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    // SAFETY: a plain call on a live descriptor.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) } as isize)?;
    let nothing = Object::Unreachable(Wanted {
        transport,
        family: *family,
        nonblocking: false,
    });
    if let Object::Socket { socket, family, .. } = std::mem::replace(&mut descriptor.object, nothing) {
        descriptor.object = Object::Listener {
            listener: Arc::new(Listener::new(vec![socket])?),
            family,
            believed: None,
        };
    }
    Ok(())
}

/// Connects a socket to where the pool allows it.
pub(crate) fn connect(context: &mut Context, number: u32, wanted: SocketAddr) -> Result {
    match context.table.get(number)?.object {
        Object::Socket { .. } | Object::Unreachable(_) => {}
        Object::Listener { .. } => return Err(Errno::ISCONN),
        _ => return Err(Errno::NOTSOCK),
    }
    let target = reach(context, wanted)?;
    let socket = own_socket(context, number, target)?;
    connect_socket(socket, target)
}

/// Where the guest reaches what it wants. Errors: `ACCES`, and the watcher is told.
pub(crate) fn reach(context: &mut Context, wanted: SocketAddr) -> Result<SocketAddr> {
    context.network.reachable(wanted).ok_or_else(|| {
        context.refuse(&Refusal::Reach(crate::pool::effective(wanted)));
        Errno::ACCES
    })
}

/// The host's socket, bound to the guest's own address where it has one and the socket has none yet.
pub(crate) fn own_socket(context: &mut Context, number: u32, target: SocketAddr) -> Result<RawFd> {
    let own = context.network.own;
    let Object::Socket {
        socket,
        transport,
        family,
        bound,
    } = &mut context.table.get_mut(number)?.object
    else {
        return Err(Errno::ACCES);
    };
    let socket = socket.as_raw_fd();
    if let (false, false, Some(family)) = (own.is_empty(), *bound, *family) {
        let address = own.towards(family, target.ip()).ok_or(Errno::ADDRNOTAVAIL)?;
        if *transport == Transport::Stream {
            // The port is chosen when it is known to where, so that as many fit as without binding.
            set_on(socket, CHOOSE_PORT_LATE, 1i32)?;
        }
        bind_socket(socket, SocketAddr::new(address, 0))?;
        *bound = true;
    }
    Ok(socket)
}

/// The address of one end of a socket, in the version of IP that the guest made it for.
pub(crate) fn address_of(context: &Context, number: u32, end: End) -> Result<SocketAddr> {
    let descriptor = context.table.get(number)?;
    let family = match &descriptor.object {
        Object::Listener {
            believed: Some(address),
            ..
        } if end == End::Local => return Ok(*address),
        Object::Listener { family, .. } | Object::Socket { family, .. } => *family,
        Object::Unreachable(wanted) if end == End::Local => {
            return Ok(SocketAddr::new(wanted.family.unspecified(), 0));
        }
        Object::Unreachable(_) => return Err(Errno::NOTCONN),
        _ => return Err(Errno::NOTSOCK),
    };
    let address = end_of(descriptor.stream().ok_or(Errno::BADF)?, end)?;
    Ok(family.map_or(address, |family| family.shown(address)))
}
