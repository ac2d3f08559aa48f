//! Addresses of sockets: the guest's layout (WAMR's extension) and the host's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;

use wamr::GuestMemory;

use crate::abi::{check, Errno, Result};

/// `__wasi_addr_t`: a kind, then 4 bytes and a port (IPv4), or 8 groups and a port (IPv6), in the guest's byte order.
pub(crate) const ADDRESS_BYTES: u32 = 24;
pub(crate) const KIND_IPV4: u32 = 0;
pub(crate) const KIND_IPV6: u32 = 1;

/// The version of IP that a socket was made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    pub fn of_host(self) -> i32 {
        match self {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        }
    }

    pub fn unspecified(self) -> IpAddr {
        match self {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }

    /// An address as a socket of this version has it. An IPv6 address that an IPv4 socket cannot have, as of a client
    /// that came in by another socket of the same port, is told as the unspecified one: guests have room for theirs.
    pub fn shown(self, address: SocketAddr) -> SocketAddr {
        let shown = match (self, address.ip().to_canonical()) {
            (Family::V4, plain @ IpAddr::V4(_)) => plain,
            (Family::V4, IpAddr::V6(_)) => self.unspecified(),
            (Family::V6, IpAddr::V4(plain)) => IpAddr::V6(plain.to_ipv6_mapped()),
            (Family::V6, wide @ IpAddr::V6(_)) => wide,
        };
        SocketAddr::new(shown, address.port())
    }
}

/// Reads a guest's `__wasi_addr_t`.
pub(crate) fn read_address(memory: &GuestMemory<'_>, at: u32) -> Result<SocketAddr> {
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

/// An address as a guest's `__wasi_addr_t`.
pub(crate) fn encode(address: SocketAddr) -> [u8; ADDRESS_BYTES as usize] {
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

/// An address of the host's layout: either family's at the start of the larger struct, and its length.
pub(crate) struct HostAddress {
    name: libc::sockaddr_in6,
    length: libc::socklen_t,
}

impl HostAddress {
    /// Room for the kernel to write an address into.
    pub fn room() -> HostAddress {
        // SAFETY: all zeroes is a valid address of no family.
        let name: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
        let length = std::mem::size_of_val(&name) as libc::socklen_t;
        HostAddress { name, length }
    }

    pub fn new(address: SocketAddr) -> HostAddress {
        let mut host = HostAddress::room();
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
                unsafe { (&raw mut host.name).cast::<libc::sockaddr_in>().write(narrow) };
                host.length = std::mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            IpAddr::V6(plain) => {
                host.name.sin6_family = libc::AF_INET6 as u16;
                host.name.sin6_port = port;
                host.name.sin6_addr.s6_addr = plain.octets();
            }
        }
        host
    }

    pub fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.name).cast()
    }

    pub fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        (&raw mut self.name).cast()
    }

    pub fn length(&self) -> libc::socklen_t {
        self.length
    }

    /// What the kernel wrote; `None` for neither version of IP.
    pub fn address(&self) -> Option<SocketAddr> {
        match i32::from(self.name.sin6_family) {
            libc::AF_INET => {
                // SAFETY: an address of this family, which is smaller, was written here.
                let narrow = unsafe { (&raw const self.name).cast::<libc::sockaddr_in>().read() };
                let plain = Ipv4Addr::from(narrow.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddr::new(IpAddr::V4(plain), u16::from_be(narrow.sin_port)))
            }
            libc::AF_INET6 => {
                let plain = Ipv6Addr::from(self.name.sin6_addr.s6_addr);
                Some(SocketAddr::new(
                    IpAddr::V6(plain),
                    u16::from_be(self.name.sin6_port),
                ))
            }
            _ => None,
        }
    }
}

/// Which end of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Local,
    Remote,
}

/// The address of one end of a socket of the host.
pub(crate) fn end_of(socket: RawFd, end: End) -> Result<SocketAddr> {
    let mut room = HostAddress::room();
    let mut length = room.length();
    // SAFETY: the kernel writes at most the length given.
    let result = unsafe {
        match end {
            End::Local => libc::getsockname(socket, room.as_mut_ptr(), &mut length),
            End::Remote => libc::getpeername(socket, room.as_mut_ptr(), &mut length),
        }
    };
    check(result as isize)?;
    room.address().ok_or(Errno::AFNOSUPPORT)
}

/// Binds a socket of the host.
pub(crate) fn bind_socket(socket: RawFd, address: SocketAddr) -> Result {
    let host = HostAddress::new(address);
    // SAFETY: an address of the length given.
    check(unsafe { libc::bind(socket, host.as_ptr(), host.length()) } as isize).map(|_| ())
}

/// Connects a socket of the host. The address is the caller's own copy: nobody changes it after a check.
pub(crate) fn connect_socket(socket: RawFd, address: SocketAddr) -> Result {
    let host = HostAddress::new(address);
    // SAFETY: an address of the length given.
    check(unsafe { libc::connect(socket, host.as_ptr(), host.length()) } as isize).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_both_layouts() {
        for text in ["192.0.2.7:443", "[2001:db8::1:2]:65535", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(HostAddress::new(address).address(), Some(address));
            let mut bytes = encode(address);
            let memory = wamr::GuestMemory::over(&mut bytes);
            assert_eq!(read_address(&memory, 0), Ok(address));
            assert_eq!(read_address(&memory, 1), Err(Errno::FAULT));
        }
    }

    #[test]
    fn each_version_sees_its_own_addresses() {
        let shown = |family: Family, text: &str| family.shown(text.parse().unwrap()).to_string();
        assert_eq!(shown(Family::V4, "[::ffff:192.0.2.7]:1"), "192.0.2.7:1");
        assert_eq!(shown(Family::V4, "[2001:db8::1]:2"), "0.0.0.0:2");
        assert_eq!(shown(Family::V6, "192.0.2.7:3"), "[::ffff:192.0.2.7]:3");
        assert_eq!(shown(Family::V6, "[2001:db8::1]:4"), "[2001:db8::1]:4");
    }
}
