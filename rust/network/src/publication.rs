//! A published port: a socket of the host, and where it leads to.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// In whose name the container is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The client's, where its address can be used here.
    Client,
    /// This process's.
    Plain,
}

#[derive(Debug)]
pub struct Publication {
    pub container: String,
    pub protocol: Protocol,
    pub target: SocketAddr,
    pub source: Source,
    pub socket: OwnedFd,
}
