//! Sends link messages: first those for the network namespace that this was started in, then, having entered it,
//! those for the container's.
//!
//! It is a hook of the OCI runtime (runtime-spec, config.md, `createRuntime`): the container's process is named in
//! the state document on standard input, unless the command line names one, or a namespace by its file.
//! For a namespace that several wasm containers share there is no process yet: it is made here, and handed over.

use std::io::{IoSlice, Read};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    netlink, sendmsg, AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketFlags, SocketType,
};
use rustix::thread::{move_into_link_name_space, unshare_unsafe, LinkNameSpaceType, UnshareFlags};

use crate::link_messages::{parse, LinkMessage, Where, HEADER_BYTES};

/// The state document has annotations, which may be long; nothing of wpod's comes near.
const STATE_LIMIT_BYTES: u64 = 1 << 20;
/// NLMSG_ERROR (netlink(7)): its payload begins with an error number, 0 for an acknowledgement.
const ERROR_MESSAGE: u16 = 2;

/// `apply FILE [PID|PATH]`; the error is one line.
pub fn run(file: &str, target: Option<&str>) -> Result<(), String> {
    let messages = read(file)?;
    let needs_process = messages.iter().any(|one| one.pid_offset.is_some());
    let needs_namespace = messages.iter().any(|one| one.place == Where::There);
    let path = target.filter(|word| word.starts_with('/'));
    if path.is_some() && needs_process {
        return Err(format!(
            "{file}: an interface cannot be moved without its process"
        ));
    }
    let pid = match target {
        Some(_) if path.is_some() => 0,
        Some(word) => word.parse().map_err(|_| format!("{word} is not a process"))?,
        None if needs_process || needs_namespace => process_of_state()?,
        None => 0,
    };
    let here = messages.iter().filter(|one| one.place == Where::Here);
    let there = messages.iter().filter(|one| one.place == Where::There);
    send_all(&Connection::default(), here, pid)?;
    if needs_namespace {
        enter(&path.map_or_else(|| format!("/proc/{pid}/ns/net"), str::to_owned))?;
    }
    send_all(&Connection::default(), there, 0)
}

/// `share FILE FD`: makes a network namespace, sends the messages as if it were a container's, and hands it over on
/// FD, a Unix socket.
///
/// A netlink socket stays in the namespace in which it was opened, so nothing has to go back.
pub fn share(file: &str, descriptor: &str) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("a network namespace cannot be made: {error}");
    let number = descriptor
        .parse::<i32>()
        .ok()
        .filter(|number| *number > 2)
        .ok_or_else(|| format!("{descriptor} is not a descriptor"))?;
    // SAFETY: whoever started this has left it open for this program alone, which opens nothing before.
    let receiver = unsafe { OwnedFd::from_raw_fd(number) };
    let messages = read(file)?;
    let here = Connection::default();
    here.socket().map_err(|error| failed(&error))?;
    // SAFETY: another network namespace concerns no memory and no descriptor table.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(|error| failed(&error))?;
    let namespace = std::fs::File::open("/proc/self/ns/net").map_err(|error| failed(&error))?;
    // Every port of a container's own address is its own, and guests have no capabilities (ip-sysctl).
    std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").map_err(|error| failed(&error))?;
    let (outer, inner): (Vec<_>, Vec<_>) = messages.iter().partition(|one| one.place == Where::Here);
    send_all(&here, outer.into_iter(), std::process::id())?;
    send_all(&Connection::default(), inner.into_iter(), 0)?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let handed = [namespace.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&handed));
    sendmsg(
        &receiver,
        &[IoSlice::new(b"N")],
        &mut ancillary,
        SendFlags::empty(),
    )
    .map(drop)
    .map_err(|error| failed(&error))
}

fn read(file: &str) -> Result<Vec<LinkMessage>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
    parse(&text).map_err(|error| format!("{file}: {error}"))
}

fn process_of_state() -> Result<u32, String> {
    let mut document = String::new();
    std::io::stdin()
        .take(STATE_LIMIT_BYTES)
        .read_to_string(&mut document)
        .map_err(|error| format!("the runtime's state document cannot be read: {error}"))?;
    pid_of(&document).ok_or_else(|| "the runtime's state document names no process".to_owned())
}

/// The state document's `pid` (runtime-spec, runtime.md, "State").
fn pid_of(document: &str) -> Option<u32> {
    let state: serde_json::Value = serde_json::from_str(document).ok()?;
    let pid = state.get("pid")?.as_u64()?;
    u32::try_from(pid).ok().filter(|pid| *pid > 0)
}

fn enter(path: &str) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!("the container's network namespace cannot be entered: {error}")
    };
    let namespace = std::fs::File::open(path).map_err(|error| failed(&error))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|error| failed(&error))
}

/// A netlink socket of the namespace in which it is first asked for.
#[derive(Default)]
struct Connection(std::cell::OnceCell<OwnedFd>);

impl Connection {
    fn socket(&self) -> Result<&OwnedFd, Errno> {
        match self.0.get() {
            Some(opened) => Ok(opened),
            None => {
                let opened = open()?;
                Ok(self.0.get_or_init(|| opened))
            }
        }
    }
}

/// One after another, each acknowledged before the next is sent.
fn send_all<'m>(
    connection: &Connection,
    messages: impl Iterator<Item = &'m LinkMessage>,
    pid: u32,
) -> Result<(), String> {
    for message in messages {
        let socket = connection
            .socket()
            .map_err(|error| format!("links cannot be made: {error}"))?;
        let error = ask(socket, &message.with_process(pid)).map_err(|error| worded(message, error))?;
        if error != 0 && error != message.tolerated {
            return Err(worded(message, Errno::from_raw_os_error(error)));
        }
    }
    Ok(())
}

fn worded(message: &LinkMessage, error: Errno) -> String {
    format!(
        "the kernel refuses the {} of a network: {}",
        message.name.replace('-', " "),
        error
    )
}

/// Sends one message in this network namespace.
pub fn ask_once(message: &[u8]) -> Result<(), Errno> {
    match ask(&open()?, message)? {
        0 => Ok(()),
        error => Err(Errno::from_raw_os_error(error)),
    }
}

fn open() -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None, // NETLINK_ROUTE is protocol 0
    )?;
    rustix::net::connect(&socket, &netlink::SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

/// Sends a message and gives the error number of its acknowledgement.
fn ask(socket: &OwnedFd, message: &[u8]) -> Result<i32, Errno> {
    rustix::net::send(socket, message, SendFlags::empty())?;
    let mut answer = [0u8; 8192];
    loop {
        let (length, _) = rustix::net::recv(socket, &mut answer, RecvFlags::empty())?;
        let told = answer
            .get(..length)
            .and_then(|whole| whole.get(..HEADER_BYTES + 4))
            .ok_or(Errno::BADMSG)?;
        if u16::from_ne_bytes([told[4], told[5]]) == ERROR_MESSAGE {
            let number = [told[16], told[17], told[18], told[19]];
            return Ok(-i32::from_ne_bytes(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_of_a_state_document() {
        let document = r#"{"ociVersion":"1.0","annotations":{"pid": 7, "a\"":"pid"},"id":"pid","pid" : 4711,"status":"x"}"#;
        assert_eq!(pid_of(document), Some(4711));
        assert_eq!(pid_of(r#"{"annotations":{"pid":7}}"#), None);
        assert_eq!(pid_of(r#"{"pid":0}"#), None);
        assert_eq!(pid_of(r#"{"pid":"7"}"#), None);
        assert_eq!(pid_of(""), None);
    }
}
