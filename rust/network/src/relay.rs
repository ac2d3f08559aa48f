//! Bytes between a client of the host and a container.
//!
//! A connection is two sockets. What comes from one goes through a pipe into the other, by splice(2): the bytes stay in
//! the kernel. A direction has a pipe only while bytes are under way; one empty pipe is kept for the next that needs
//! one, for making one takes longer than moving what a request has. Both sockets are watched for edges, so after each
//! event everything that can move is moved.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrAny, SocketFlags, SocketType};
use rustix::pipe::{PipeFlags, SpliceFlags};

use crate::publication::{Protocol, Publication, Source};

/// A peer that has gone is an error of the call, not a signal; nothing here ever waits.
pub const QUIET: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
/// Rules of the firewall bring the answers to connections with this mark back here (wpod/net/links.py, RELAY_MARK).
const MARK: u32 = 0x7770_6f64;
const PIPE_BYTES: usize = 1 << 16;
/// A megabyte or two, and the next connection gets its turn.
const ROUNDS_AT_ONCE: usize = 32;
const LARGEST_DATAGRAM: usize = 65_535;
const DATAGRAMS_AT_ONCE: usize = 64;

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

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// How a connection is after its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// An event will tell when there is more to do.
    Waiting,
    /// Others had to get their turn.
    More,
    Over,
}

/// Its ends: for reading and for writing.
type Pipe = (OwnedFd, OwnedFd);

/// An empty pipe that nobody uses, if there is one.
#[derive(Default)]
pub struct SparePipe(Option<Pipe>);

impl SparePipe {
    fn take(&mut self) -> Result<Pipe, Errno> {
        match self.0.take() {
            Some(pipe) => Ok(pipe),
            None => rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK),
        }
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Flow {
    pipe: Option<Pipe>,
    held: usize,
    /// The source has said its last word.
    ended: bool,
    /// And so it was passed on.
    finished: bool,
}

/// A client and the container's end.
pub struct Pair {
    client: OwnedFd,
    server: OwnedFd,
    up: Flow,
    down: Flow,
}

impl Pair {
    pub fn new(client: OwnedFd, server: OwnedFd) -> Pair {
        let _ = rustix::net::sockopt::set_tcp_nodelay(&client, true);
        let _ = rustix::net::sockopt::set_tcp_nodelay(&server, true);
        Pair {
            client,
            server,
            up: Flow::default(),
            down: Flow::default(),
        }
    }

    pub fn socket(&self, side: Side) -> BorrowedFd<'_> {
        match side {
            Side::Client => self.client.as_fd(),
            Side::Server => self.server.as_fd(),
        }
    }

    /// Moves what can be moved, up to a limit.
    pub fn pump(&mut self, spare: &mut SparePipe) -> Progress {
        let up = self.up.pump(&self.client, &self.server, spare);
        let down = self.down.pump(&self.server, &self.client, spare);
        match (up, down) {
            (Ok(_), Ok(_)) if self.up.finished && self.down.finished => Progress::Over,
            (Ok(false), Ok(false)) => Progress::Waiting,
            (Ok(_), Ok(_)) => Progress::More,
            _ => Progress::Over,
        }
    }
}

impl Flow {
    /// Whether it stopped because others shall get their turn.
    fn pump(&mut self, from: &OwnedFd, to: &OwnedFd, spare: &mut SparePipe) -> Result<bool, Errno> {
        let mut moved = true;
        for _ in 0..ROUNDS_AT_ONCE {
            moved = false;
            if !self.ended && self.held < PIPE_BYTES {
                let pipe = match self.pipe.take() {
                    Some(pipe) => pipe,
                    None => spare.take()?,
                };
                match step(from, &pipe.1, PIPE_BYTES - self.held)? {
                    Some(0) => self.ended = true,
                    Some(count) => {
                        self.held += count;
                        moved = true;
                    }
                    None => {}
                }
                self.pipe = Some(pipe);
            }
            if self.held > 0 {
                if let Some((reader, _)) = &self.pipe {
                    if let Some(count) = step(reader, to, self.held)? {
                        self.held -= count.min(self.held);
                        moved |= count > 0;
                    }
                }
            }
            if !moved {
                break;
            }
        }
        if self.held == 0 {
            spare.0 = self.pipe.take().or(spare.0.take());
            if self.ended && !self.finished {
                self.finished = true;
                // One that has gone already is seen by the other direction.
                let _ = rustix::net::shutdown(to, Shutdown::Write);
            }
        }
        Ok(moved)
    }
}

/// One splice: how much, `None` where it would have to wait.
fn step(from: &OwnedFd, to: &OwnedFd, most: usize) -> Result<Option<usize>, Errno> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    match rustix::pipe::splice(from, None, to, None, most, flags) {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        // The connection to the container is still being made.
        Err(Errno::NOTCONN) => Ok(None),
        Err(error) => Err(error),
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

/// A datagram of a published port, with whom it comes from; `None` where none waits.
pub fn receive_from(socket: &OwnedFd) -> Option<(Vec<u8>, Peer)> {
    // Not zeroed: pages that no datagram has reached cost nothing.
    let mut buffer = Vec::with_capacity(LARGEST_DATAGRAM);
    let space = rustix::buffer::spare_capacity(&mut buffer);
    let (_, _, address) = rustix::net::recvfrom(socket, space, RecvFlags::DONTWAIT).ok()?;
    Some((buffer, Peer::of(address?)?))
}

/// The datagrams that a container has sent; empty where the socket is of no use any more.
pub fn receive_all(socket: &OwnedFd) -> Vec<Vec<u8>> {
    let mut received = Vec::new();
    while received.len() < DATAGRAMS_AT_ONCE {
        let mut buffer = Vec::with_capacity(LARGEST_DATAGRAM);
        match rustix::net::recv(
            socket,
            rustix::buffer::spare_capacity(&mut buffer),
            RecvFlags::DONTWAIT,
        ) {
            Ok(_) => {
                buffer.shrink_to_fit();
                received.push(buffer);
            }
            Err(_) => break,
        }
    }
    received
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

    /// Two connections of Unix sockets with a pair between them: what a client writes, half-closed, arrives whole.
    #[test]
    fn everything_arrives_and_the_end_too() {
        use std::io::{Read, Write};
        use std::os::unix::net::UnixStream;
        let (mut client, ours) = UnixStream::pair().unwrap();
        let (mut server, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let mut pair = Pair::new(ours.into(), theirs.into());
        let sent: Vec<u8> = (0..100_000u32).map(|number| number as u8).collect();
        let copy = sent.clone();
        let writer = std::thread::spawn(move || {
            client.write_all(&copy).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            answer
        });
        let reader = std::thread::spawn(move || {
            let mut received = Vec::new();
            server.read_to_end(&mut received).unwrap();
            server.write_all(b"thanks").unwrap();
            received
        });
        let mut spare = SparePipe::default();
        while pair.pump(&mut spare) != Progress::Over {
            std::thread::yield_now();
        }
        drop(pair);
        assert_eq!(reader.join().unwrap(), sent);
        assert_eq!(writer.join().unwrap(), b"thanks");
        let (reader, _writer) = spare.0.expect("the pipe is kept for the next connection");
        assert_eq!(
            rustix::io::read(reader, &mut [0u8; 1]),
            Err(Errno::AGAIN),
            "and empty"
        );
    }
}
