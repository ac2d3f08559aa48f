//! What accepts: one port of a guest, by however many sockets of the host its connections come in.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::abi::{check, Errno, Result};
use crate::input_output::retry;

/// Listening sockets of the host that are one to the guest. A single one is used as it is; several are made
/// non-blocking, and waiting for them is done here.
pub(crate) struct Listener {
    sockets: Vec<OwnedFd>,
    /// Whether the guest wants `EAGAIN` in the place of waiting; of several sockets only, one keeps that itself.
    nonblocking: AtomicBool,
    /// Which of several is asked first, so that a busy one does not starve the others.
    turn: AtomicUsize,
}

impl Listener {
    /// Errors: those of fcntl(2) for what is no descriptor; `INVAL` without a socket.
    pub fn new(sockets: Vec<OwnedFd>) -> Result<Listener> {
        let first = sockets.first().ok_or(Errno::INVAL)?;
        let nonblocking = status_flags(first.as_raw_fd())? & libc::O_NONBLOCK != 0;
        if sockets.len() > 1 {
            for socket in &sockets {
                set_nonblocking(socket.as_raw_fd(), true)?;
            }
        }
        Ok(Listener {
            sockets,
            nonblocking: AtomicBool::new(nonblocking),
            turn: AtomicUsize::new(0),
        })
    }

    /// The host's sockets, at least one.
    pub fn sockets(&self) -> &[OwnedFd] {
        &self.sockets
    }

    /// One of the sockets, for questions whose answer is the same for all.
    pub fn any(&self) -> RawFd {
        self.sockets[0].as_raw_fd()
    }

    pub fn is_nonblocking(&self) -> Result<bool> {
        match self.sockets.as_slice() {
            [only] => Ok(status_flags(only.as_raw_fd())? & libc::O_NONBLOCK != 0),
            _ => Ok(self.nonblocking.load(Ordering::Relaxed)),
        }
    }

    pub fn set_nonblocking(&self, wanted: bool) -> Result {
        match self.sockets.as_slice() {
            [only] => set_nonblocking(only.as_raw_fd(), wanted),
            _ => {
                self.nonblocking.store(wanted, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// The next connection, from whichever socket has one. `flags` are those of accept4(2).
    pub fn accept(&self, flags: i32) -> Result<OwnedFd> {
        if let [only] = self.sockets.as_slice() {
            return accept_on(only, flags);
        }
        loop {
            let first = self.turn.load(Ordering::Relaxed);
            for step in 0..self.sockets.len() {
                let index = (first + step) % self.sockets.len();
                match accept_on(&self.sockets[index], flags) {
                    Err(Errno::AGAIN) => {}
                    result => {
                        self.turn.store(index + 1, Ordering::Relaxed);
                        return result;
                    }
                }
            }
            if self.nonblocking.load(Ordering::Relaxed) {
                return Err(Errno::AGAIN);
            }
            self.wait()?;
        }
    }

    /// Until one of several has a connection.
    fn wait(&self) -> Result {
        let mut polls: Vec<libc::pollfd> = self
            .sockets
            .iter()
            .map(|socket| libc::pollfd {
                fd: socket.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            })
            .collect();
        let count = polls.len() as libc::nfds_t;
        retry(|| {
            // SAFETY: an array of the length given; no end of the wait and no signal mask.
            let result =
                unsafe { libc::ppoll(polls.as_mut_ptr(), count, std::ptr::null(), std::ptr::null()) };
            result as isize
        })
        .map(|_| ())
    }
}

fn accept_on(socket: &OwnedFd, flags: i32) -> Result<OwnedFd> {
    let accepted = retry(|| {
        // SAFETY: the peer's address is not asked for.
        let result = unsafe {
            libc::accept4(
                socket.as_raw_fd(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                libc::SOCK_CLOEXEC | flags,
            )
        };
        result as isize
    })?;
    // SAFETY: a fresh descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(accepted as RawFd) })
}

/// The flags of an open file (fcntl(2), F_GETFL).
pub(crate) fn status_flags(file: RawFd) -> Result<i32> {
    // SAFETY: a plain query.
    check(unsafe { libc::fcntl(file, libc::F_GETFL) } as isize).map(|flags| flags as i32)
}

/// Changes one of them.
pub(crate) fn set_nonblocking(socket: RawFd, wanted: bool) -> Result {
    let flags = status_flags(socket)? & !libc::O_NONBLOCK;
    let flags = if wanted { flags | libc::O_NONBLOCK } else { flags };
    // SAFETY: a plain call on a live descriptor.
    check(unsafe { libc::fcntl(socket, libc::F_SETFL, flags) } as isize).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;

    fn several(count: usize) -> (Listener, Vec<SocketAddr>) {
        let sockets: Vec<TcpListener> = (0..count)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses = sockets.iter().map(|socket| socket.local_addr().unwrap());
        let addresses = addresses.collect();
        let sockets = sockets.into_iter().map(OwnedFd::from).collect();
        (Listener::new(sockets).unwrap(), addresses)
    }

    /// The socket's own port of the next connection.
    fn port(listener: &Listener) -> u16 {
        let accepted = TcpStream::from(listener.accept(0).unwrap());
        accepted.local_addr().unwrap().port()
    }

    #[test]
    fn connections_come_in_by_each_socket_in_turn() {
        let (listener, addresses) = several(3);
        let connect = |index: usize| TcpStream::connect(addresses[index]).unwrap();
        let clients: Vec<TcpStream> = [0, 0, 0, 2].into_iter().map(connect).collect();
        let order: Vec<u16> = clients.iter().map(|_| port(&listener)).collect();
        let expected = [0, 2, 0, 0].map(|index: usize| addresses[index].port());
        assert_eq!(order, expected);
    }

    #[test]
    fn waiting_ends_at_the_first_connection() {
        let (listener, addresses) = several(2);
        let late = addresses[1];
        let client = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            TcpStream::connect(late).unwrap()
        });
        assert_eq!(port(&listener), late.port());
        client.join().unwrap();
    }

    #[test]
    fn the_guests_wish_not_to_wait_is_kept_by_one_and_by_several() {
        for count in [1, 2] {
            let (listener, addresses) = several(count);
            assert_eq!(listener.is_nonblocking(), Ok(false));
            listener.set_nonblocking(true).unwrap();
            assert_eq!(listener.is_nonblocking(), Ok(true));
            assert_eq!(listener.accept(0).err(), Some(Errno::AGAIN));
            listener.set_nonblocking(false).unwrap();
            let _client = TcpStream::connect(addresses[0]).unwrap();
            assert_eq!(port(&listener), addresses[0].port());
        }
        assert_eq!(Listener::new(Vec::new()).err(), Some(Errno::INVAL));
    }
}
