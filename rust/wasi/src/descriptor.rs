//! What a guest's descriptor stands for.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::abi::{filetype, rights, Errno, Result};
use crate::address::Family;
use crate::listener::Listener;
use crate::resolve::Directory;

/// Where standard output or error goes.
pub trait Sink: Send {
    /// Takes bytes and says how many it took; at least one of a non-empty slice, unless it fails.
    fn write(&mut self, bytes: &[u8]) -> std::result::Result<usize, Errno>;

    /// The terminal behind it, if there is one: the guest may then treat it as one.
    fn terminal(&self) -> Option<RawFd>;
}

/// What a socket carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Stream,
    Datagram,
}

impl Transport {
    pub fn of_host(self) -> i32 {
        match self {
            Transport::Stream => libc::SOCK_STREAM,
            Transport::Datagram => libc::SOCK_DGRAM,
        }
    }

    fn filetype(self) -> u8 {
        match self {
            Transport::Stream => filetype::SOCKET_STREAM,
            Transport::Datagram => filetype::SOCKET_DGRAM,
        }
    }
}

/// A socket that the guest has asked for and that is no socket of the host (yet).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub transport: Transport,
    pub family: Family,
    pub nonblocking: bool,
}

/// The thing behind a descriptor.
pub(crate) enum Object {
    /// A regular file, or another thing that was opened by path.
    File { file: OwnedFd, kind: u8 },
    /// A directory; with a name where it was there from the start.
    Directory {
        directory: Directory,
        preopen_name: Option<Vec<u8>>,
    },
    /// Standard input.
    Input(OwnedFd),
    /// Standard output or error.
    Output(Box<dyn Sink>),
    /// A socket that transfers, or that may come to it.
    Socket {
        socket: OwnedFd,
        transport: Transport,
        /// The version of IP that the guest made it for; `None` where it came with a listener that was given.
        family: Option<Family>,
        /// Whether it has an address already.
        bound: bool,
    },
    /// What accepts.
    Listener {
        listener: Arc<Listener>,
        /// As with a socket.
        family: Option<Family>,
        /// The address that the guest believes it has: it bound to a published port.
        believed: Option<SocketAddr>,
    },
    /// A socket of a guest that may use no address: none of the host's is behind it.
    Unreachable(Wanted),
}

/// A descriptor of the host for the time of one call.
pub(crate) enum Handle {
    Borrowed(RawFd),
    Opened(OwnedFd),
}

impl Handle {
    pub fn raw(&self) -> RawFd {
        match self {
            Handle::Borrowed(raw) => *raw,
            Handle::Opened(file) => file.as_raw_fd(),
        }
    }
}

/// An entry of the table.
pub(crate) struct Descriptor {
    pub object: Object,
    /// What may be done with it.
    pub rights: u64,
    /// What may be done with what is opened through it.
    pub inheriting: u64,
}

impl Descriptor {
    pub fn preopen(directory: Directory, name: Vec<u8>) -> Descriptor {
        // Each call looks at the place that its path means; rights are taken away where that would always refuse:
        // on the directory itself, and through it where nothing that it leads to may be changed.
        let own = if directory.is_writable() {
            0
        } else {
            rights::WRITING & !rights::WRITING_BY_PATH
        };
        let through = if directory.leads_to_writable() {
            0
        } else {
            rights::WRITING
        };
        Descriptor {
            object: Object::Directory {
                directory,
                preopen_name: Some(name),
            },
            rights: rights::DIRECTORY & !(own | through),
            inheriting: (rights::DIRECTORY | rights::FILE) & !through,
        }
    }

    pub fn input(file: OwnedFd) -> Descriptor {
        Descriptor {
            object: Object::Input(file),
            rights: rights::STREAM & !rights::FD_WRITE,
            inheriting: 0,
        }
    }

    pub fn output(sink: Box<dyn Sink>) -> Descriptor {
        Descriptor {
            object: Object::Output(sink),
            rights: rights::STREAM & !rights::FD_READ,
            inheriting: 0,
        }
    }

    /// A listener that is there from the start.
    pub fn listener(listener: Arc<Listener>) -> Descriptor {
        Descriptor {
            object: Object::Listener {
                listener,
                family: None,
                believed: None,
            },
            rights: rights::LISTENER,
            inheriting: rights::SOCKET,
        }
    }

    /// A connection that was accepted.
    pub fn accepted(socket: OwnedFd, family: Option<Family>, granted: u64) -> Descriptor {
        Descriptor {
            object: Object::Socket {
                socket,
                transport: Transport::Stream,
                family,
                bound: true,
            },
            rights: rights::SOCKET & granted,
            inheriting: 0,
        }
    }

    /// A socket that the guest asked for, with the host's behind it where there is one.
    pub fn opened(wanted: Wanted, socket: Option<OwnedFd>) -> Descriptor {
        let object = match socket {
            Some(socket) => Object::Socket {
                socket,
                transport: wanted.transport,
                family: Some(wanted.family),
                bound: false,
            },
            None => Object::Unreachable(wanted),
        };
        Descriptor {
            object,
            rights: rights::OPENED_SOCKET,
            inheriting: rights::SOCKET,
        }
    }

    /// The host's descriptor of a file, a stream or a socket; of a listener any of its sockets. `None` for a sink
    /// without a terminal and for a directory.
    pub fn stream(&self) -> Option<RawFd> {
        match &self.object {
            Object::File { file, .. } | Object::Input(file) => Some(file.as_raw_fd()),
            Object::Socket { socket, .. } => Some(socket.as_raw_fd()),
            Object::Listener { listener, .. } => Some(listener.any()),
            Object::Output(sink) => sink.terminal(),
            Object::Directory { .. } | Object::Unreachable(_) => None,
        }
    }

    /// The host's descriptor for calls about the file as such; a directory is opened for the call.
    pub fn host(&self) -> Result<Handle> {
        match &self.object {
            Object::Output(_) => Err(Errno::INVAL),
            Object::Directory { directory, .. } => directory.open_self(libc::O_RDONLY).map(Handle::Opened),
            _ => self.stream().map(Handle::Borrowed).ok_or(Errno::BADF),
        }
    }

    /// The directory, for calls with a path.
    pub fn directory(&self) -> Result<&Directory> {
        match &self.object {
            Object::Directory { directory, .. } => Ok(directory),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// The kind that `fd_fdstat_get` tells.
    pub fn kind(&self) -> u8 {
        match &self.object {
            Object::File { kind, .. } => *kind,
            Object::Directory { .. } => filetype::DIRECTORY,
            Object::Socket { transport, .. } => transport.filetype(),
            Object::Unreachable(wanted) => wanted.transport.filetype(),
            Object::Listener { .. } => filetype::SOCKET_STREAM,
            Object::Output(sink) if sink.terminal().is_some() => filetype::CHARACTER_DEVICE,
            Object::Output(_) => filetype::UNKNOWN,
            Object::Input(file) => input_kind(file.as_raw_fd()),
        }
    }

    /// Refuses a call that needs a right that this descriptor lacks.
    pub fn require(&self, needed: u64) -> Result {
        if self.rights & needed == needed {
            return Ok(());
        }
        match &self.object {
            // The answer that programs know what to do with.
            Object::Directory { directory, .. }
                if !directory.is_writable() && needed & rights::WRITING != 0 =>
            {
                Err(Errno::ROFS)
            }
            _ => Err(Errno::NOTCAPABLE),
        }
    }
}

/// A guest takes what is a character device for a terminal, so only a terminal is told as one.
fn input_kind(file: RawFd) -> u8 {
    // SAFETY: a plain query on an open descriptor.
    if unsafe { libc::isatty(file) } == 1 {
        return filetype::CHARACTER_DEVICE;
    }
    match crate::status::host_status(file).map(|status| filetype::of_mode(status.st_mode)) {
        Ok(filetype::CHARACTER_DEVICE) | Err(_) => filetype::UNKNOWN,
        Ok(kind) => kind,
    }
}
