//! Who sends datagrams to which port: each client has a socket to the container, so that answers find their way back.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;

use crate::connect::Peer;

const LARGEST_DATAGRAM: usize = 65_535;
const DATAGRAMS_AT_ONCE: usize = 64;
const MOST_PEERS: usize = 1024;
const IDLE: Duration = Duration::from_secs(30);

/// The peers, by the token of the port that they send to.
#[derive(Default)]
pub struct Datagrams {
    peers: HashMap<(usize, Peer), (usize, Instant)>,
}

impl Datagrams {
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The token of a peer's socket, which is in use now.
    pub fn known(&mut self, port: usize, peer: Peer) -> Option<usize> {
        let (token, seen) = self.peers.get_mut(&(port, peer))?;
        *seen = Instant::now();
        Some(*token)
    }

    /// It was answered.
    pub fn heard(&mut self, port: usize, peer: Peer) {
        self.known(port, peer);
    }

    pub fn remember(&mut self, port: usize, peer: Peer, token: usize) {
        self.peers.insert((port, peer), (token, Instant::now()));
    }

    pub fn forget(&mut self, port: usize, peer: Peer) {
        self.peers.remove(&(port, peer));
    }

    /// The one that was silent for longest, where there is no room for another.
    pub fn too_many(&self) -> Option<usize> {
        if self.peers.len() < MOST_PEERS {
            return None;
        }
        self.peers
            .values()
            .min_by_key(|(_, seen)| *seen)
            .map(|(token, _)| *token)
    }

    /// The tokens of those that have been silent for too long.
    pub fn idle(&self) -> Vec<usize> {
        let values = self.peers.values();
        values
            .filter(|(_, seen)| seen.elapsed() > IDLE)
            .map(|(token, _)| *token)
            .collect()
    }
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
    use std::net::SocketAddr;

    fn peer(number: usize) -> Peer {
        let address = SocketAddr::from(([127, 0, 0, 1], number as u16));
        Peer::of(address.into()).unwrap()
    }

    #[test]
    fn the_one_that_was_silent_for_longest_goes_where_there_are_too_many() {
        let mut datagrams = Datagrams::default();
        for number in 0..MOST_PEERS {
            assert_eq!(datagrams.too_many(), None);
            datagrams.remember(7, peer(number), number);
        }
        assert_eq!(datagrams.too_many(), Some(0));
        datagrams.heard(7, peer(0));
        assert_eq!(datagrams.too_many(), Some(1));
        datagrams.forget(7, peer(1));
        assert_eq!(datagrams.too_many(), None);
        assert_eq!(datagrams.known(7, peer(1)), None);
        assert_eq!(datagrams.known(8, peer(2)), None, "another port's");
        assert_eq!(datagrams.known(7, peer(2)), Some(2));
        assert!(datagrams.idle().is_empty());
    }
}
