//! Asking name servers: by UDP from a port and with a number that nobody can guess, by TCP what does not fit.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::abi::{check, Errno, Result};
use crate::address::{bind_socket, connect_socket, Family};
use crate::clock::now;
use crate::descriptor::Transport;
use crate::dns_message::{Answer, Asked};
use crate::input_output::retry;
use crate::listener::set_nonblocking;
use crate::network::OwnAddresses;
use crate::socket_open::host_socket;

/// Where name servers listen.
pub(crate) const DNS_PORT: u16 = 53;
/// A longer answer by UDP is cut, and then no answer.
const UDP_BYTES: usize = 4096;
const NANOSECONDS: u64 = 1_000_000_000;

/// How servers are asked (resolv.conf(5)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Patience {
    pub timeout_seconds: u8,
    pub attempts: u8,
}

/// Servers, and the own address from which they are asked.
pub(crate) struct Client<'c> {
    pub servers: &'c [IpAddr],
    pub port: u16,
    pub own: OwnAddresses,
    pub patience: Patience,
}

impl Client<'_> {
    /// The addresses of a name, those of IPv4 first; none where it has none.
    ///
    /// Errors: `TIMEDOUT` without any answer, `AGAIN` where no server could tell.
    pub fn ask(&self, name: &str, families: &[Family]) -> Result<Vec<IpAddr>> {
        let mut worst = Errno::TIMEDOUT;
        for _ in 0..self.patience.attempts {
            for server in self.servers {
                match self.ask_server(*server, name, families) {
                    Ok(addresses) => return Ok(addresses),
                    Err(Errno::TIMEDOUT) => {}
                    Err(error) => worst = error,
                }
            }
        }
        Err(worst)
    }

    fn ask_server(&self, server: IpAddr, name: &str, families: &[Family]) -> Result<Vec<IpAddr>> {
        let end = now(libc::CLOCK_MONOTONIC)? + u64::from(self.patience.timeout_seconds) * NANOSECONDS;
        let socket = self.connected(server, Transport::Datagram, end)?;
        let mut questions = Vec::with_capacity(families.len());
        for family in families {
            let asked = Asked {
                identifier: random_number()?,
                name,
                family: *family,
            };
            let message = asked.message().ok_or(Errno::INVAL)?;
            // What became of the question before may be told by this call: that nobody listens there.
            send(socket.as_raw_fd(), &message).map_err(|_| Errno::AGAIN)?;
            questions.push((asked, message, None));
        }
        let mut buffer = vec![0; UDP_BYTES];
        while questions.iter().any(|(_, _, answer)| answer.is_none()) {
            wait(socket.as_raw_fd(), libc::POLLIN, end)?;
            let count = match receive(socket.as_raw_fd(), &mut buffer) {
                Err(Errno::AGAIN) => continue,
                // Nobody listens there, or nobody gets there.
                Err(_) => return Err(Errno::AGAIN),
                Ok(count) => count,
            };
            for (asked, _, answer) in questions.iter_mut().filter(|(_, _, answer)| answer.is_none()) {
                *answer = asked.answer(&buffer[..count]);
            }
        }
        let mut addresses = Vec::new();
        for (asked, message, answer) in questions {
            let answer = match answer {
                Some(Answer::Truncated) => self.ask_by_tcp(server, &asked, &message, end)?,
                other => other.unwrap_or(Answer::Failure),
            };
            match answer {
                Answer::Addresses(found) => addresses.extend(found),
                Answer::Truncated | Answer::Failure => return Err(Errno::AGAIN),
            }
        }
        Ok(addresses)
    }

    fn ask_by_tcp(&self, server: IpAddr, asked: &Asked<'_>, message: &[u8], end: u64) -> Result<Answer> {
        let socket = self.connected(server, Transport::Stream, end)?;
        let socket = socket.as_raw_fd();
        let length = u16::try_from(message.len()).map_err(|_| Errno::MSGSIZE)?;
        let framed = [&length.to_be_bytes()[..], message].concat();
        if send(socket, &framed)? != framed.len() {
            // A fresh connection takes as little as this at once.
            return Err(Errno::AGAIN);
        }
        let mut prefix = [0; 2];
        receive_all(socket, &mut prefix, end)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(prefix))];
        receive_all(socket, &mut answer, end)?;
        Ok(asked.answer(&answer).unwrap_or(Answer::Failure))
    }

    /// A socket to a server, which takes packets from nobody else. Its port is the kernel's choice, which is random.
    fn connected(&self, server: IpAddr, transport: Transport, end: u64) -> Result<OwnedFd> {
        let family = Family::of(server);
        let socket = host_socket(family, transport)?;
        if !self.own.is_empty() {
            let own = self.own.towards(family, server).ok_or(Errno::AGAIN)?;
            bind_socket(socket.as_raw_fd(), SocketAddr::new(own, 0)).map_err(|_| Errno::AGAIN)?;
        }
        set_nonblocking(socket.as_raw_fd(), true)?;
        match connect_socket(socket.as_raw_fd(), SocketAddr::new(server, self.port)) {
            Ok(()) => {}
            // What became of it is seen by the first transfer.
            Err(Errno::INPROGRESS) => wait(socket.as_raw_fd(), libc::POLLOUT, end)?,
            Err(_) => return Err(Errno::AGAIN),
        }
        Ok(socket)
    }
}

fn random_number() -> Result<u16> {
    let mut bytes = [0u8; 2];
    // SAFETY: the kernel writes at most the length given; so few bytes are never cut.
    check(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) })?;
    Ok(u16::from_ne_bytes(bytes))
}

/// Until the socket is ready. Errors: `TIMEDOUT` at the end, nanoseconds of the monotonic clock.
fn wait(socket: RawFd, events: i16, end: u64) -> Result {
    let mut poll = libc::pollfd {
        fd: socket,
        events,
        revents: 0,
    };
    loop {
        let remaining = end.saturating_sub(now(libc::CLOCK_MONOTONIC)?);
        let timeout = libc::timespec {
            tv_sec: (remaining / NANOSECONDS) as i64,
            tv_nsec: (remaining % NANOSECONDS) as i64,
        };
        // SAFETY: one live pollfd and a live timespec; no signal mask.
        let result = unsafe { libc::ppoll(&mut poll, 1, &timeout, std::ptr::null()) };
        match check(result as isize) {
            Ok(0) if remaining == 0 => return Err(Errno::TIMEDOUT),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn send(socket: RawFd, bytes: &[u8]) -> Result<usize> {
    // A broken connection is an error here, and no signal: sendmsg(2), which the filter of calls knows.
    let mut piece = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: all zeroes is a valid msghdr: no address, no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut piece;
    message.msg_iovlen = 1;
    // SAFETY: one piece, which the kernel only reads.
    retry(|| unsafe { libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) })
}

fn receive(socket: RawFd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most the slice's length.
    retry(|| unsafe { libc::read(socket, buffer.as_mut_ptr().cast(), buffer.len()) })
}

fn receive_all(socket: RawFd, mut buffer: &mut [u8], end: u64) -> Result {
    while !buffer.is_empty() {
        wait(socket, libc::POLLIN, end)?;
        match receive(socket, buffer) {
            Ok(0) => return Err(Errno::AGAIN),
            Ok(count) => buffer = &mut buffer[count..],
            Err(Errno::AGAIN) => {}
            Err(_) => return Err(Errno::AGAIN),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
    use std::thread;

    use simple_dns::rdata::{RData, A, AAAA};
    use simple_dns::{Packet, PacketFlag, ResourceRecord, CLASS, QTYPE, RCODE, TYPE};

    use super::*;

    const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const BOTH: [Family; 2] = [Family::V4, Family::V6];

    fn client(port: u16) -> Client<'static> {
        Client {
            servers: &[SERVER],
            port,
            own: OwnAddresses::default(),
            patience: Patience {
                timeout_seconds: 1,
                attempts: 1,
            },
        }
    }

    /// The answer to a query, changed by `change`.
    fn reply(query: &[u8], change: impl FnOnce(&mut Packet<'_>)) -> Vec<u8> {
        let mut packet = Packet::parse(query).unwrap().into_reply();
        let name = packet.questions[0].qname.clone();
        let data = match packet.questions[0].qtype {
            QTYPE::TYPE(TYPE::A) => RData::A(A { address: 0xc000_0201 }),
            _ => RData::AAAA(AAAA { address: 1 }),
        };
        packet
            .answers
            .push(ResourceRecord::new(name, CLASS::IN, 60, data));
        change(&mut packet);
        packet.build_bytes_vec().unwrap()
    }

    /// A server by UDP that answers each query with these messages; it ends with the test's process.
    fn server(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> (UdpSocket, u16) {
        let socket = UdpSocket::bind((SERVER, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let own = socket.try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((count, from)) = own.recv_from(&mut buffer) {
                for answer in answers(&buffer[..count]) {
                    let _ = own.send_to(&answer, from);
                }
            }
        });
        (socket, port)
    }

    fn both() -> Result<Vec<IpAddr>> {
        Ok(vec![
            Ipv4Addr::new(192, 0, 2, 1).into(),
            Ipv6Addr::LOCALHOST.into(),
        ])
    }

    #[test]
    fn both_versions_are_asked_for_at_once() {
        let (_socket, port) = server(|query| vec![reply(query, |_| ())]);
        assert_eq!(client(port).ask("web.example", &BOTH), both());
    }

    #[test]
    fn forged_and_late_answers_are_passed_over() {
        let (_socket, port) = server(|query| {
            let mut other_number = reply(query, |_| ());
            other_number[0] ^= 1;
            let other_name = reply(query, |packet| {
                packet.questions[0].qname = "evil.example".try_into().unwrap();
            });
            vec![
                other_number,
                other_name,
                b"junk".to_vec(),
                query.to_vec(),
                reply(query, |_| ()),
            ]
        });
        assert_eq!(client(port).ask("web.example", &BOTH), both());
    }

    #[test]
    fn strangers_are_not_heard() {
        let (_socket, port) = server(|query| {
            // Nothing comes from the server's own port.
            let stranger = UdpSocket::bind((SERVER, 0)).unwrap();
            let forged = reply(query, |_| ());
            for port in 32768..33024 {
                let _ = stranger.send_to(&forged, (SERVER, port));
            }
            Vec::new()
        });
        assert_eq!(
            client(port).ask("web.example", &[Family::V4]),
            Err(Errno::TIMEDOUT)
        );
    }

    #[test]
    fn servers_that_cannot_tell() {
        let (_socket, port) =
            server(|query| vec![reply(query, |packet| *packet.rcode_mut() = RCODE::ServerFailure)]);
        assert_eq!(client(port).ask("web.example", &BOTH), Err(Errno::AGAIN));
        let closed = UdpSocket::bind((SERVER, 0)).unwrap().local_addr().unwrap().port();
        assert_eq!(client(closed).ask("web.example", &BOTH), Err(Errno::AGAIN));
    }

    #[test]
    fn the_next_server_is_asked() {
        let (_socket, port) = server(|query| vec![reply(query, |_| ())]);
        let servers = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9)), SERVER];
        let asking = Client {
            servers: &servers,
            ..client(port)
        };
        assert_eq!(asking.ask("web.example", &BOTH), both());
    }

    /// A server by TCP at the port of `socket`, which answers one query whose answer did not fit.
    fn server_by_tcp(
        port: u16,
        answer: impl FnOnce(&[u8]) -> Vec<u8> + Send + 'static,
    ) -> thread::JoinHandle<()> {
        let listener = TcpListener::bind((SERVER, port)).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).unwrap();
            let _ = stream.write_all(&answer(&query));
        })
    }

    fn framed(message: Vec<u8>) -> Vec<u8> {
        [&(message.len() as u16).to_be_bytes()[..], &message].concat()
    }

    #[test]
    fn what_does_not_fit_is_asked_for_by_tcp() {
        let cut = |query: &[u8]| vec![reply(query, |packet| packet.set_flags(PacketFlag::TRUNCATION))];
        type Answering = fn(&[u8]) -> Vec<u8>;
        let whole: Answering = |query| framed(reply(query, |_| ()));
        let nothing: Answering = |_| Vec::new();
        let half: Answering = |query| framed(reply(query, |_| ()))[..20].to_vec();
        let other: Answering = |_| framed(b"junk".to_vec());
        let found = Ok(vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))]);
        for (answer, expected) in [
            (whole, found),
            (nothing, Err(Errno::AGAIN)),
            (half, Err(Errno::AGAIN)),
            (other, Err(Errno::AGAIN)),
        ] {
            let (_socket, port) = server(cut);
            let serving = server_by_tcp(port, answer);
            assert_eq!(client(port).ask("web.example", &[Family::V4]), expected);
            serving.join().unwrap();
        }
    }
}
