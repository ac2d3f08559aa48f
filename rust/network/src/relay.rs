//! Bytes between a client of the host and a container.
//!
//! A connection is two sockets. Most of what comes is short: it is received and sent, two calls. What fills the buffer
//! for that goes on through a pipe, by splice(2): its bytes stay in the kernel. A direction has a pipe only while bytes
//! are under way; one empty pipe is kept for the next that needs one, for making one takes longer than moving what a
//! request has. Both sockets are watched for edges, so after each event everything that can move in the direction that
//! it is about is moved. Where one end resets the connection, what it has sent before still reaches the other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use rustix::pipe::{PipeFlags, SpliceFlags};

/// A peer that has gone is an error of the call, not a signal; nothing here ever waits.
pub const QUIET: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
/// What a pipe shall hold: at 64 KiB, the kernel's own size, a megabyte took a quarter longer (bench/README.md).
const PIPE_BYTES: usize = 1 << 18;
/// A request or a short answer; what is longer is better off in a pipe.
const SHORT_BYTES: usize = 1 << 12;
/// Some megabytes, and the next connection gets its turn.
const ROUNDS_AT_ONCE: usize = 32;

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

/// What every connection moves its bytes with.
pub struct Means {
    /// An empty pipe that nobody uses, if there is one.
    spare: Option<Pipe>,
    /// Where short messages are received.
    buffer: Box<[u8; SHORT_BYTES]>,
}

impl Default for Means {
    fn default() -> Means {
        Means {
            spare: None,
            buffer: Box::new([0; SHORT_BYTES]),
        }
    }
}

impl Means {
    fn pipe(&mut self) -> Result<Pipe, Errno> {
        match self.spare.take() {
            Some(pipe) => Ok(pipe),
            None => {
                let pipe = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
                // A user has so many pages for pipes (pipe(7)); without them it is a smaller one.
                let _ = rustix::pipe::fcntl_setpipe_size(&pipe.0, PIPE_BYTES);
                Ok(pipe)
            }
        }
    }
}

/// What an event says about one of the two sockets.
#[derive(Clone, Copy)]
pub struct Readiness {
    pub side: Side,
    /// Something came from it, or its end did.
    pub readable: bool,
    /// Its end, or its failure, is known already: there is no event to come that would tell.
    pub ending: bool,
    /// It takes more.
    pub writable: bool,
}

/// One direction of a connection.
#[derive(Default)]
struct Flow {
    /// What is under way.
    pipe: Option<Pipe>,
    held: usize,
    /// The source has said its last word.
    ended: bool,
    /// By a reset, or because bytes were lost here.
    broken: bool,
    /// And so it was passed on, or there is nobody left to pass it on to.
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

    /// Moves what can be moved by now, up to a limit.
    pub fn pump(&mut self, ready: Readiness, means: &mut Means) -> Progress {
        let (readable, writable) = (ready.readable, ready.writable);
        let (up, down) = match ready.side {
            Side::Client => (readable, writable && self.down.held > 0),
            Side::Server => (writable && self.up.held > 0, readable),
        };
        let mut more = false;
        if up {
            more |= self.up.pump(&self.client, &self.server, ready.ending, means);
        }
        if down {
            more |= self.down.pump(&self.server, &self.client, ready.ending, means);
        }
        let broken = |flow: &Flow| flow.broken && flow.finished;
        if (self.up.finished && self.down.finished) || broken(&self.up) || broken(&self.down) {
            return Progress::Over;
        }
        if more {
            Progress::More
        } else {
            Progress::Waiting
        }
    }
}

/// How one step of a direction went.
enum Step {
    /// Bytes were moved, and there may be more.
    Moved,
    /// All is moved that was there.
    Drained,
    /// Nothing can be moved before another event.
    Blocked,
}

impl Flow {
    /// Whether it stopped because others shall get their turn. `ending`: it must be read until there is an answer of
    /// nothing, for the end may be there already.
    fn pump(&mut self, from: &OwnedFd, to: &OwnedFd, ending: bool, means: &mut Means) -> bool {
        let mut last = Step::Moved;
        for round in 0..ROUNDS_AT_ONCE {
            if self.finished || !matches!(last, Step::Moved) {
                break;
            }
            last = if round == 0 && self.held == 0 && !self.ended {
                self.pass_short(from, to, ending, means)
            } else {
                self.pass_through_pipe(from, to, means)
            };
        }
        if self.held == 0 {
            means.spare = self.pipe.take().or(means.spare.take());
            if self.ended && !self.finished {
                self.finished = true;
                // One that has gone already is seen by the other direction.
                let _ = rustix::net::shutdown(to, Shutdown::Write);
            }
        }
        matches!(last, Step::Moved) && !self.finished
    }

    /// Receives and sends what fits the buffer.
    fn pass_short(&mut self, from: &OwnedFd, to: &OwnedFd, ending: bool, means: &mut Means) -> Step {
        let buffer = &mut means.buffer[..];
        let count = match rustix::net::recv(from, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((_, count)) => count,
            Err(error) => return self.not_received(error),
        };
        if count == 0 {
            self.ended = true;
            return Step::Drained;
        }
        let received = &means.buffer[..count];
        let sent = match rustix::net::send(to, received, QUIET) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR | Errno::NOTCONN) => 0,
            Err(_) => return self.given_up(),
        };
        if sent < count {
            let rest = received[sent..].to_vec();
            // An empty pipe takes as much as the buffer has.
            let kept = means.pipe().and_then(|pipe| {
                let kept = rustix::io::write(&pipe.1, &rest);
                self.pipe = Some(pipe);
                kept
            });
            match kept {
                Ok(kept) => self.held = kept,
                Err(_) => return self.lost(),
            }
            return Step::Blocked;
        }
        // Less than was asked for was all that there was (epoll(7)).
        if count < SHORT_BYTES && !ending {
            Step::Drained
        } else {
            Step::Moved
        }
    }

    fn pass_through_pipe(&mut self, from: &OwnedFd, to: &OwnedFd, means: &mut Means) -> Step {
        let mut moved = false;
        if !self.ended && self.held < PIPE_BYTES {
            let pipe = match self.pipe.take().map_or_else(|| means.pipe(), Ok) {
                Ok(pipe) => pipe,
                Err(_) => return self.lost(),
            };
            let taken = step(from, &pipe.1, PIPE_BYTES - self.held);
            self.pipe = Some(pipe);
            match taken {
                Ok(Some(0)) => self.ended = true,
                Ok(Some(count)) => {
                    self.held += count;
                    moved = true;
                }
                Ok(None) => {}
                Err(error) => {
                    self.not_received(error);
                }
            }
        }
        if self.held > 0 {
            if let Some((reader, _)) = &self.pipe {
                match step(reader, to, self.held) {
                    Ok(Some(count)) => {
                        self.held -= count.min(self.held);
                        moved |= count > 0;
                    }
                    Ok(None) => {}
                    Err(_) => return self.given_up(),
                }
            }
        }
        if moved {
            Step::Moved
        } else {
            Step::Blocked
        }
    }

    fn not_received(&mut self, error: Errno) -> Step {
        match error {
            // ENOTCONN: the connection to the container is still being made.
            Errno::AGAIN | Errno::INTR | Errno::NOTCONN => Step::Blocked,
            _ => {
                self.ended = true;
                self.broken = true;
                Step::Drained
            }
        }
    }

    /// There is nothing to keep bytes in: the connection is over, for its peers would wait for them for ever.
    fn lost(&mut self) -> Step {
        self.broken = true;
        self.given_up()
    }

    /// Nobody takes it any more: the other direction may still have something to say.
    fn given_up(&mut self) -> Step {
        self.held = 0;
        // What is left in it is nobody's: it must not become the next connection's.
        self.pipe = None;
        self.ended = true;
        self.finished = true;
        Step::Drained
    }
}

/// One splice: how much, `None` where it would have to wait.
fn step(from: &OwnedFd, to: &OwnedFd, most: usize) -> Result<Option<usize>, Errno> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    match rustix::pipe::splice(from, None, to, None, most, flags) {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR | Errno::NOTCONN) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if every event came all the time.
    fn pump_to_the_end(pair: &mut Pair, means: &mut Means) {
        let ready = |side| Readiness {
            side,
            readable: true,
            ending: true,
            writable: true,
        };
        while pair.pump(ready(Side::Client), means) != Progress::Over
            && pair.pump(ready(Side::Server), means) != Progress::Over
        {
            std::thread::yield_now();
        }
    }

    /// A server that answers and resets the connection, because it has not read all: the answer still arrives.
    #[test]
    fn an_answer_before_a_reset_arrives() {
        use std::io::{Read, Write};
        use std::net::{TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to_server = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(outside.local_addr().unwrap()).unwrap();
        let (from_client, _) = outside.accept().unwrap();
        from_client.set_nonblocking(true).unwrap();
        to_server.set_nonblocking(true).unwrap();
        client.write_all(&[7; 3000]).unwrap();
        let mut pair = Pair::new(from_client.into(), to_server.into());
        let mut means = Means::default();
        let readable = Readiness {
            side: Side::Client,
            readable: true,
            ending: false,
            writable: false,
        };
        assert_eq!(pair.pump(readable, &mut means), Progress::Waiting);
        server.read_exact(&mut [0; 100]).unwrap();
        let answer = vec![9; 20_000]; // less than the other end's window: all of it is there before the reset
        server.write_all(&answer).unwrap();
        drop(server); // with 2900 bytes unread: a reset
        client.write_all(&[7; 10]).unwrap();
        let reader = std::thread::spawn(move || {
            let mut received = Vec::new();
            let _ = client.read_to_end(&mut received);
            received
        });
        pump_to_the_end(&mut pair, &mut means);
        drop(pair);
        assert_eq!(reader.join().unwrap().len(), answer.len());
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
        let mut means = Means::default();
        pump_to_the_end(&mut pair, &mut means);
        drop(pair);
        assert_eq!(reader.join().unwrap(), sent);
        assert_eq!(writer.join().unwrap(), b"thanks");
        let (reader, _writer) = means.spare.expect("the pipe is kept for the next connection");
        assert_eq!(
            rustix::io::read(reader, &mut [0u8; 1]),
            Err(Errno::AGAIN),
            "and empty"
        );
    }
}
