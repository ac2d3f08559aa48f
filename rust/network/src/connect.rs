//! Sockets to containers, in a client's name where that can be.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType};

use crate::publication::{Protocol, Publication, Source};

/// Rules of the firewall bring the answers to connections with this mark back here (wpod/net/links.py, RELAY_MARK).
const MARK: u32 = 0x7770_6f64;

/// A client's address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Peer(SocketAddr);

impl Peer {
    pub fn of(address: SocketAddrAny) -> Option<Peer> {
        SocketAddr::try_from(address).ok().map(Peer)
    }

    /// As the socket that it came from has it.
    pub fn address(self) -> SocketAddr {
        self.0
    }

    /// The address that a connection to `target` can be made from in this client's name: not where it is the host's
    /// own loopback, and not of another version of IP.
    fn usable_for(self, target: &SocketAddr) -> Option<IpAddr> {
        let plain = self.0.ip().to_canonical();
        let fits = plain.is_ipv4() == target.is_ipv4() && !plain.is_loopback() && !plain.is_unspecified();
        let local = matches!(plain, IpAddr::V6(six) if six.is_unicast_link_local());
        (fits && !local).then_some(plain)
    }
}

/// A socket to the container, in the client's name where that is wished and can be.
pub fn connect(publication: &Publication, peer: Option<Peer>) -> Result<OwnedFd, Errno> {
    let target = &publication.target;
    let peer = peer.filter(|_| publication.source == Source::Client);
    if let Some(address) = peer.and_then(|peer| peer.usable_for(target)) {
        if let Ok(socket) = open(publication).and_then(|socket| {
            pose_as(&socket, address)?;
            begin(&socket, target)?;
            Ok(socket)
        }) {
            return Ok(socket);
        }
    }
    let socket = open(publication)?;
    begin(&socket, target)?;
    Ok(socket)
}

fn open(publication: &Publication) -> Result<OwnedFd, Errno> {
    let family = if publication.target.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let kind = match publication.protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

fn begin(socket: &OwnedFd, target: &SocketAddr) -> Result<(), Errno> {
    match rustix::net::connect(socket, target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Binds to an address that isn't this machine's (ip(7), IP_TRANSPARENT), and marks what is sent.
fn pose_as(socket: &OwnedFd, address: IpAddr) -> Result<(), Errno> {
    let (level, option) = match address {
        IpAddr::V4(_) => (libc::SOL_IP, libc::IP_TRANSPARENT),
        IpAddr::V6(_) => (libc::SOL_IPV6, libc::IPV6_TRANSPARENT),
    };
    set(socket, level, option, 1)?;
    set(socket, libc::SOL_SOCKET, libc::SO_MARK, MARK)?;
    rustix::net::bind(socket, &SocketAddr::new(address, 0))
}

fn set(socket: &OwnedFd, level: i32, option: i32, value: u32) -> Result<(), Errno> {
    let length = std::mem::size_of::<u32>() as libc::socklen_t;
    // SAFETY: the kernel reads four bytes of `value`, which lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    if result == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn peer(text: &str) -> Peer {
        Peer(text.parse().unwrap())
    }

    #[test]
    fn in_whose_name() {
        let four: SocketAddr = "10.88.0.2:80".parse().unwrap();
        let six: SocketAddr = "[fd00::2]:80".parse().unwrap();
        let own = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        assert_eq!(peer("192.0.2.7:5").usable_for(&four), Some(own));
        assert_eq!(peer("[::ffff:192.0.2.7]:5").usable_for(&four), Some(own));
        for unusable in ["127.0.0.1:5", "[::1]:5", "[fd00::7]:5", "[::ffff:127.0.0.1]:5"] {
            assert_eq!(peer(unusable).usable_for(&four), None, "{unusable}");
        }
        assert!(peer("[fd00::7]:5").usable_for(&six).is_some());
        assert_eq!(peer("[fe80::7]:5").usable_for(&six), None);
    }
}
