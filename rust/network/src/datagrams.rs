//! Who sends datagrams to which port: each client has a socket to the container, so that answers find their way back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::relay::Peer;

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
