//! The holder: one process in the user and network namespace that the containers of a user share.
//!
//! # Theory of operation
//! It keeps the namespaces alive, relays published ports, and ends, with the processes that serve the namespace (pasta,
//! the name server), when the last container that it was told of has ended and no command is connected any more.
//! Whatever it waits for is in one epoll: commands on the control socket, the ends of containers (pidfds), sockets of
//! published ports, and the connections under way. The sockets of ports were made by the commands, in the host's
//! network namespace, which this process can't enter; those to the containers it makes itself.

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{epoll, Timespec};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::process::{pidfd_send_signal, Signal};

use crate::connect::{self, Peer};
use crate::control::{self, Request};
use crate::datagrams::{self, Datagrams};
use crate::filter;
use crate::namespaces;
use crate::plan::Plan;
use crate::publication::{Protocol, Publication};
use crate::relay::{self, Means, Pair, Progress, Readiness, Side};

/// How long nobody needs it before it ends: a container may be stopped and started again.
const LINGER: Duration = Duration::from_secs(2);
/// How often idle datagram peers are looked for, where there are any.
const DATAGRAM_ROUND: Duration = Duration::from_secs(5);
const EVENTS: usize = 64;
/// Accepted at once from one port before others get their turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// `hold FD`: the plan is in a memfd.
pub fn run(fd: &str) -> Result<(), String> {
    let fd: i32 = fd
        .parse()
        .ok()
        .filter(|fd| *fd > 2)
        .ok_or("hold needs a descriptor")?;
    let plan = Plan::read(fd)?;
    match namespaces::enter(&plan)? {
        namespaces::Role::Parent => Ok(()),
        namespaces::Role::Holder => {
            let ready = take(plan.ready);
            let made = Holder::new(take(plan.control)).and_then(|holder| filter::install().map(|()| holder));
            match made {
                Ok(holder) => {
                    let told = format!("R{}", std::process::id());
                    let _ = std::fs::File::from(ready).write_all(told.as_bytes());
                    holder.serve()
                }
                Err(error) => {
                    let told = format!("E1\nit cannot be set up: {error}");
                    let _ = std::fs::File::from(ready).write_all(told.as_bytes());
                    Ok(())
                }
            }
        }
    }
}

fn take(fd: i32) -> OwnedFd {
    // SAFETY: the plan names descriptors that were left open for this process, each taken once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// What an entry of the epoll is about.
enum Watched {
    Control,
    Client(OwnedFd),
    /// A container's keeper.
    Keeper {
        container: String,
        process: OwnedFd,
    },
    Port(Publication),
    Pair(Box<Pair>),
    /// A datagram peer's socket to a container.
    Answers {
        port: usize,
        peer: Peer,
        socket: OwnedFd,
    },
}

impl Watched {
    /// The one that a request or an answer came with; both of a pair were made here, and leave by being closed.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Watched::Control | Watched::Pair(_) => None,
            Watched::Client(socket) | Watched::Answers { socket, .. } => Some(socket.as_fd()),
            Watched::Keeper { process, .. } => Some(process.as_fd()),
            Watched::Port(publication) => Some(publication.socket.as_fd()),
        }
    }
}

struct Holder {
    epoll: OwnedFd,
    control: OwnedFd,
    watched: Vec<Option<Watched>>,
    free: Vec<usize>,
    /// Free as soon as the events at hand are done with: one of them may still be about the entry that was there.
    freed: Vec<usize>,
    datagrams: Datagrams,
    datagram_round: Instant,
    helpers: HashMap<String, OwnedFd>,
    clients: usize,
    containers: usize,
    unneeded_since: Option<Instant>,
    /// Given up for a moment where descriptors run out, so that a connection can be taken and closed.
    spare: Option<OwnedFd>,
    means: Means,
}

impl Holder {
    fn new(control: OwnedFd) -> Result<Holder, Errno> {
        rustix::io::ioctl_fionbio(&control, true)?;
        let mut holder = Holder {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            control,
            watched: Vec::new(),
            free: Vec::new(),
            freed: Vec::new(),
            datagrams: Datagrams::default(),
            datagram_round: Instant::now(),
            helpers: HashMap::new(),
            clients: 0,
            containers: 0,
            unneeded_since: Some(Instant::now()),
            spare: spare(),
            means: Means::default(),
        };
        let token = holder.insert(Watched::Control);
        holder.watch_level(holder.control.as_fd(), token)?;
        Ok(holder)
    }

    fn serve(mut self) -> Result<(), String> {
        loop {
            let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
            let timeout = self.patience().map(|left| Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: i64::from(left.subsec_nanos()),
            });
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                timeout.as_ref(),
            ) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(format!("waiting fails: {error}")),
            }
            for event in &events {
                let (token, side) = of_data(event.data);
                self.handle(token, readiness(side, event.flags));
            }
            self.drop_idle_peers();
            self.free.append(&mut self.freed);
            if self.is_over() {
                for process in self.helpers.values() {
                    let _ = pidfd_send_signal(process, Signal::TERM);
                }
                return Ok(());
            }
        }
    }

    /// How long nothing needs to happen before this process has something to do of its own.
    fn patience(&self) -> Option<Duration> {
        let linger = self
            .unneeded_since
            .map(|since| LINGER.saturating_sub(since.elapsed()));
        let round = (!self.datagrams.is_empty()).then_some(DATAGRAM_ROUND);
        match (linger, round) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    fn is_over(&self) -> bool {
        self.unneeded_since.is_some_and(|since| since.elapsed() >= LINGER)
    }

    fn note_need(&mut self) {
        let needed = self.clients > 0 || self.containers > 0;
        self.unneeded_since = match (needed, self.unneeded_since) {
            (true, _) => None,
            (false, None) => Some(Instant::now()),
            (false, since) => since,
        };
    }

    fn insert(&mut self, watched: Watched) -> usize {
        if let Some(token) = self.free.pop() {
            self.watched[token] = Some(watched);
            return token;
        }
        self.watched.push(Some(watched));
        self.watched.len() - 1
    }

    /// Takes an entry out. Its descriptors close with it, but what a command has sent stays in the epoll as long as
    /// the command has it open as well.
    fn remove(&mut self, token: usize) {
        if let Some(removed) = self.watched.get_mut(token).and_then(Option::take) {
            if let Some(descriptor) = removed.descriptor() {
                let _ = epoll::delete(&self.epoll, descriptor);
            }
            match removed {
                Watched::Client(_) => self.clients -= 1,
                Watched::Keeper { .. } => self.containers -= 1,
                Watched::Answers { port, peer, .. } => self.datagrams.forget(port, peer),
                _ => {}
            }
            self.freed.push(token);
            self.note_need();
        }
    }

    /// What comes after a connection's turn.
    fn go_on(&mut self, progress: Progress, token: usize) {
        let again = match (progress, self.watched.get(token)) {
            (Progress::More, Some(Some(Watched::Pair(pair)))) => {
                // Changing an entry has the kernel look at it afresh: it comes again, after all others.
                let again =
                    |side| epoll::modify(&self.epoll, pair.socket(side), data(token, side), pair_events());
                again(Side::Client).and_then(|()| again(Side::Server)).is_ok()
            }
            (Progress::Waiting, _) => true,
            _ => false,
        };
        if !again {
            self.remove(token);
        }
    }

    /// Enters what is watched for something to read, or leaves no trace of it.
    fn take_in(&mut self, watched: Watched) -> Result<usize, Errno> {
        let token = self.insert(watched);
        let entered = match self.watched.get(token).and_then(Option::as_ref) {
            Some(entry) => entry
                .descriptor()
                .map_or(Err(Errno::BADF), |source| self.watch_level(source, token)),
            None => Err(Errno::BADF),
        };
        match entered {
            Ok(()) => Ok(token),
            Err(error) => {
                self.remove(token);
                Err(error)
            }
        }
    }

    fn watch_level(&self, source: impl AsFd, token: usize) -> Result<(), Errno> {
        epoll::add(
            &self.epoll,
            source,
            data(token, Side::Client),
            epoll::EventFlags::IN,
        )
    }

    fn handle(&mut self, token: usize, ready: Readiness) {
        match self.watched.get_mut(token).and_then(Option::as_mut) {
            Some(Watched::Control) => self.greet(),
            Some(Watched::Client(_)) => self.hear(token),
            Some(Watched::Keeper { container, .. }) => {
                let ended = container.clone();
                self.forget(&ended);
            }
            Some(Watched::Port(publication)) => match publication.protocol {
                Protocol::Tcp => self.accept(token),
                Protocol::Udp => self.pass_datagrams(token),
            },
            Some(Watched::Pair(pair)) => {
                let progress = pair.pump(ready, &mut self.means);
                self.go_on(progress, token);
            }
            Some(Watched::Answers { port, peer, socket }) => {
                let (port, peer) = (*port, *peer);
                let received = datagrams::receive_all(socket);
                if received.is_empty() {
                    self.remove(token);
                } else if let Some(Some(Watched::Port(publication))) = self.watched.get(port) {
                    self.datagrams.heard(port, peer);
                    for datagram in received {
                        let _ = rustix::net::sendto(
                            &publication.socket,
                            &datagram,
                            relay::QUIET,
                            &peer.address(),
                        );
                    }
                }
            }
            None => {}
        }
    }

    fn greet(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        while let Ok(client) = rustix::net::accept_with(&self.control, flags) {
            // Whoever can open the socket's file is this user or root; root has no number here.
            let own = rustix::process::geteuid();
            if !rustix::net::sockopt::socket_peercred(&client).is_ok_and(|peer| peer.uid == own) {
                continue;
            }
            self.clients += 1;
            self.note_need();
            // One that can't be watched is gone again, which its other end sees.
            let _ = self.take_in(Watched::Client(client));
        }
    }

    fn hear(&mut self, token: usize) {
        let Some(Some(Watched::Client(client))) = self.watched.get(token) else {
            return;
        };
        let answer = match control::receive(client) {
            Ok(Some(request)) => match self.obey(request) {
                Ok(answer) => answer,
                Err(error) => format!("error {error}"),
            },
            Ok(None) => return self.remove(token),
            Err(error) if error.is_empty() => return,
            Err(error) => format!("error {error}"),
        };
        if let Some(Some(Watched::Client(client))) = self.watched.get(token) {
            if rustix::net::send(client, answer.as_bytes(), relay::QUIET).is_err() {
                self.remove(token);
            }
        }
    }

    fn obey(&mut self, request: Request) -> Result<String, String> {
        let failed = |error: Errno| error.to_string();
        match request {
            Request::Use { container, process } => {
                let before = self
                    .find(|one| matches!(one, Watched::Keeper { container: own, .. } if *own == container));
                for token in before {
                    self.remove(token);
                }
                self.containers += 1;
                self.note_need();
                self.take_in(Watched::Keeper { container, process })
                    .map_err(failed)?;
            }
            Request::Publish(publication) => {
                rustix::io::ioctl_fionbio(&publication.socket, true).map_err(failed)?;
                self.take_in(Watched::Port(publication)).map_err(failed)?;
            }
            Request::Forget { container } => self.forget(&container),
            Request::Helper { name, process } => {
                self.helpers.insert(name, process);
            }
            Request::List => {
                let mut words = vec!["ok".to_owned(), std::process::id().to_string()];
                words.extend(self.watched.iter().flatten().filter_map(|one| match one {
                    Watched::Keeper { container, .. } => Some(container.clone()),
                    _ => None,
                }));
                return Ok(words.join("\0"));
            }
        }
        Ok("ok".to_owned())
    }

    fn find(&self, wanted: impl Fn(&Watched) -> bool) -> Vec<usize> {
        let entries = self.watched.iter().enumerate();
        entries
            .filter(|(_, one)| one.as_ref().is_some_and(&wanted))
            .map(|(token, _)| token)
            .collect()
    }

    /// A container has ended: its ports close. Connections under way end when its own sockets do.
    fn forget(&mut self, container: &str) {
        let own = self.find(|one| match one {
            Watched::Keeper { container: of, .. } => of == container,
            Watched::Port(publication) => publication.container == container,
            _ => false,
        });
        for token in own {
            let peers = self.find(|one| matches!(one, Watched::Answers { port, .. } if *port == token));
            for peer in peers {
                self.remove(peer);
            }
            self.remove(token);
        }
    }

    fn accept(&mut self, token: usize) {
        for _ in 0..ACCEPTED_AT_ONCE {
            let Some(Some(Watched::Port(publication))) = self.watched.get(token) else {
                return;
            };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match rustix::net::acceptfrom_with(&publication.socket, flags) {
                Ok((client, address)) => {
                    let peer = address.and_then(Peer::of);
                    if let Ok(server) = connect::connect(publication, peer) {
                        self.join(client, server);
                    }
                }
                Err(Errno::MFILE | Errno::NFILE) => {
                    // The connection would wait, and wake this process, for ever: it is taken and closed.
                    self.spare = None;
                    let _ = rustix::net::accept_with(&publication.socket, flags);
                    self.spare = spare();
                    return;
                }
                Err(_) => return,
            }
        }
    }

    fn join(&mut self, client: OwnedFd, server: OwnedFd) {
        let token = self.insert(Watched::Pair(Box::new(Pair::new(client, server))));
        let Some(Some(Watched::Pair(pair))) = self.watched.get(token) else {
            return;
        };
        let watch = |side| epoll::add(&self.epoll, pair.socket(side), data(token, side), pair_events());
        if watch(Side::Client).and_then(|()| watch(Side::Server)).is_err() {
            self.remove(token);
        }
    }

    fn pass_datagrams(&mut self, token: usize) {
        for _ in 0..ACCEPTED_AT_ONCE {
            let Some(Some(Watched::Port(publication))) = self.watched.get(token) else {
                return;
            };
            let Some((datagram, peer)) = datagrams::receive_from(&publication.socket) else {
                return;
            };
            if let Some(known) = self.datagrams.known(token, peer) {
                if let Some(Some(Watched::Answers { socket, .. })) = self.watched.get(known) {
                    let _ = rustix::net::send(socket, &datagram, relay::QUIET);
                }
                continue;
            }
            let Ok(socket) = connect::connect(publication, Some(peer)) else {
                continue;
            };
            let _ = rustix::net::send(&socket, &datagram, relay::QUIET);
            if let Some(oldest) = self.datagrams.too_many() {
                self.remove(oldest);
            }
            let answers = Watched::Answers {
                port: token,
                peer,
                socket,
            };
            if let Ok(entry) = self.take_in(answers) {
                self.datagrams.remember(token, peer, entry);
            }
        }
    }

    fn drop_idle_peers(&mut self) {
        if self.datagrams.is_empty() || self.datagram_round.elapsed() < DATAGRAM_ROUND {
            return;
        }
        self.datagram_round = Instant::now();
        for token in self.datagrams.idle() {
            self.remove(token);
        }
    }
}

/// What the epoll keeps of an entry; of two sockets, which one it is. Entries of one are all a client's side.
fn data(token: usize, side: Side) -> epoll::EventData {
    epoll::EventData::new_u64(((token as u64) << 1) | u64::from(side == Side::Server))
}

fn of_data(data: epoll::EventData) -> (usize, Side) {
    let kept = data.u64();
    let side = if kept & 1 == 1 { Side::Server } else { Side::Client };
    ((kept >> 1) as usize, side)
}

fn readiness(side: Side, flags: epoll::EventFlags) -> Readiness {
    let ending = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
    Readiness {
        side,
        readable: flags.intersects(ending | epoll::EventFlags::IN),
        ending: flags.intersects(ending),
        writable: flags.contains(epoll::EventFlags::OUT),
    }
}

fn pair_events() -> epoll::EventFlags {
    epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET
}

fn spare() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}
