//! Sockets that the guest opens itself: the socket extension of WAMR (core/iwasm/libraries/lib-socket), TCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use wamr::GuestMemory;

use crate::abi::{check, rights, Errno, Result};
use crate::context::Context;
use crate::descriptor::{Descriptor, Object};
use crate::pool::effective;

/// `__wasi_addr_t`: a kind, then 4 bytes and a port (IPv4), or 8 groups and a port (IPv6), in the guest's byte order.
const ADDRESS_BYTES: u32 = 24;
const KIND_IPV4: u32 = 0;
const KIND_IPV6: u32 = 1;
/// `__wasi_sock_type_t`.
const TYPE_STREAM: u32 = 1;

pub(crate) fn sock_open(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    memory.slice(a[3] as u32, 4).ok_or(Errno::FAULT)?;
    let family = match a[1] as u32 {
        KIND_IPV4 => libc::AF_INET,
        KIND_IPV6 => libc::AF_INET6,
        _ => return Err(Errno::AFNOSUPPORT),
    };
    if a[2] as u32 != TYPE_STREAM {
        return Err(Errno::NOTSUP);
    }
    let descriptor = if context.pool.is_empty() {
        // The call that names an address is the one that is refused, with a word about it.
        Descriptor::unreachable_socket()
    } else {
        // SAFETY: a plain call.
        let socket =
            check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) } as isize)?;
        // SAFETY: a fresh descriptor that nobody else knows.
        Descriptor::socket(unsafe { OwnedFd::from_raw_fd(socket as RawFd) }, rights::SOCKET)
    };
    let number = context.table.insert(descriptor)?;
    memory.write_u32(a[3] as u32, number).ok_or(Errno::FAULT)
}

pub(crate) fn sock_connect(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let descriptor = context.table.get(a[0] as u32)?;
    let socket = match descriptor.object {
        Object::UnreachableSocket => None,
        Object::Socket { .. } => descriptor.stream(),
        _ => return Err(Errno::NOTSOCK),
    };
    let target = effective(read_address(memory, a[1] as u32)?);
    let Some(socket) = socket.filter(|_| context.pool.allows(target)) else {
        context.refuse(target);
        return Err(Errno::ACCES);
    };
    let (name, length) = to_host(target);
    // SAFETY: an address of the length given, in memory of this function: nobody changes it after the check.
    check(unsafe { libc::connect(socket, (&raw const name).cast(), length) } as isize).map(|_| ())
}

/// Waiting for connections and datagrams, and names: not offered. Without a pool they are refused like the others.
pub(crate) fn not_offered(context: &mut Context, _memory: &mut GuestMemory<'_>, _a: &[u64; 9]) -> Result {
    Err(if context.pool.is_empty() {
        Errno::ACCES
    } else {
        Errno::NOTSUP
    })
}

pub(crate) fn sock_addr_local(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    tell_address(context, memory, a, libc::getsockname)
}

pub(crate) fn sock_addr_remote(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    tell_address(context, memory, a, libc::getpeername)
}

type Query = unsafe extern "C" fn(i32, *mut libc::sockaddr, *mut libc::socklen_t) -> i32;

fn tell_address(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9], query: Query) -> Result {
    let descriptor = context.table.get(a[0] as u32)?;
    // Those that were given to the guest come without these calls where there is no pool (the seccomp filter).
    if context.pool.is_empty() {
        return Err(Errno::ACCES);
    }
    let (Object::Socket { .. } | Object::Listener(_)) = descriptor.object else {
        return Err(Errno::NOTSOCK);
    };
    let socket = descriptor.stream().ok_or(Errno::BADF)?;
    memory.slice(a[1] as u32, ADDRESS_BYTES).ok_or(Errno::FAULT)?;
    // SAFETY: all zeroes is a valid address of no family.
    let mut name: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    let mut length = std::mem::size_of_val(&name) as libc::socklen_t;
    // SAFETY: the kernel writes at most the length given.
    check(unsafe { query(socket, (&raw mut name).cast(), &mut length) } as isize)?;
    let bytes = encode(from_host(&name).ok_or(Errno::AFNOSUPPORT)?);
    memory.write(a[1] as u32, &bytes).ok_or(Errno::FAULT)
}

fn read_address(memory: &GuestMemory<'_>, at: u32) -> Result<SocketAddr> {
    let bytes = memory.slice(at, ADDRESS_BYTES).ok_or(Errno::FAULT)?;
    let short = |offset: usize| u16::from_le_bytes([bytes[offset], bytes[offset + 1]]);
    match u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) {
        KIND_IPV4 => {
            let address = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            Ok(SocketAddr::new(IpAddr::V4(address), short(8)))
        }
        KIND_IPV6 => {
            let groups: [u16; 8] = std::array::from_fn(|index| short(4 + 2 * index));
            Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(groups)), short(20)))
        }
        _ => Err(Errno::AFNOSUPPORT),
    }
}

fn encode(address: SocketAddr) -> [u8; ADDRESS_BYTES as usize] {
    let mut bytes = [0u8; ADDRESS_BYTES as usize];
    let port = address.port().to_le_bytes();
    match address.ip() {
        IpAddr::V4(plain) => {
            bytes[4..8].copy_from_slice(&plain.octets());
            bytes[8..10].copy_from_slice(&port);
        }
        IpAddr::V6(plain) => {
            bytes[0] = KIND_IPV6 as u8;
            for (index, group) in plain.segments().iter().enumerate() {
                bytes[4 + 2 * index..6 + 2 * index].copy_from_slice(&group.to_le_bytes());
            }
            bytes[20..22].copy_from_slice(&port);
        }
    }
    bytes
}

/// Either family's address at the start of the larger struct, and its length.
fn to_host(address: SocketAddr) -> (libc::sockaddr_in6, libc::socklen_t) {
    // SAFETY: all zeroes is a valid address of no family.
    let mut name: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    let port = address.port().to_be();
    match address.ip() {
        IpAddr::V4(plain) => {
            let narrow = libc::sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: port,
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(plain.octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: the larger struct has room for the smaller one, and the alignment that it needs.
            unsafe { (&raw mut name).cast::<libc::sockaddr_in>().write(narrow) };
            (name, std::mem::size_of::<libc::sockaddr_in>() as libc::socklen_t)
        }
        IpAddr::V6(plain) => {
            name.sin6_family = libc::AF_INET6 as u16;
            name.sin6_port = port;
            name.sin6_addr.s6_addr = plain.octets();
            (name, std::mem::size_of_val(&name) as libc::socklen_t)
        }
    }
}

fn from_host(name: &libc::sockaddr_in6) -> Option<SocketAddr> {
    match i32::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: the kernel wrote an address of this family, which is smaller.
            let narrow = unsafe { (&raw const *name).cast::<libc::sockaddr_in>().read() };
            let plain = Ipv4Addr::from(narrow.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::new(IpAddr::V4(plain), u16::from_be(narrow.sin_port)))
        }
        libc::AF_INET6 => {
            let plain = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddr::new(IpAddr::V6(plain), u16::from_be(name.sin6_port)))
        }
        _ => None,
    }
}
