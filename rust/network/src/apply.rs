//! Sends link messages: first those for the network namespace that this was started in, then, having entered it,
//! those for the container's.
//!
//! It is a hook of the OCI runtime (runtime-spec, config.md, `createRuntime`): the container's process is named in
//! the state document on standard input, unless the command line names one.

use std::io::Read;

use rustix::io::Errno;
use rustix::net::{netlink, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::{move_into_link_name_space, LinkNameSpaceType};

use crate::link_messages::{parse, LinkMessage, Where, HEADER_BYTES};

/// The state document has annotations, which may be long; nothing of wpod's comes near.
const STATE_LIMIT_BYTES: u64 = 1 << 20;
/// NLMSG_ERROR (netlink(7)): its payload begins with an error number, 0 for an acknowledgement.
const ERROR_MESSAGE: u16 = 2;

/// `apply FILE [PID]`; the error is one line.
pub fn run(file: &str, pid: Option<&str>) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
    let messages = parse(&text).map_err(|error| format!("{file}: {error}"))?;
    let needs_process = messages
        .iter()
        .any(|one| one.place == Where::There || one.pid_offset.is_some());
    let pid = match pid {
        Some(word) => Some(word.parse().map_err(|_| format!("{word} is not a process"))?),
        None if needs_process => Some(process_of_state()?),
        None => None,
    };
    send_all(
        messages.iter().filter(|one| one.place == Where::Here),
        pid.unwrap_or(0),
    )?;
    if messages.iter().any(|one| one.place == Where::There) {
        enter(pid.unwrap_or(0))?;
        send_all(messages.iter().filter(|one| one.place == Where::There), 0)?;
    }
    Ok(())
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

fn enter(pid: u32) -> Result<(), String> {
    let path = format!("/proc/{pid}/ns/net");
    let failed = |error: &dyn std::fmt::Display| {
        format!("the container's network namespace cannot be entered: {error}")
    };
    let namespace = std::fs::File::open(path).map_err(|error| failed(&error))?;
    move_into_link_name_space(
        std::os::fd::AsFd::as_fd(&namespace),
        Some(LinkNameSpaceType::Network),
    )
    .map_err(|error| failed(&error))
}

/// One after another, each acknowledged before the next is sent.
fn send_all<'m>(messages: impl Iterator<Item = &'m LinkMessage>, pid: u32) -> Result<(), String> {
    let mut socket = None;
    for message in messages {
        let socket = match &socket {
            Some(opened) => opened,
            None => socket.insert(open().map_err(|error| format!("links cannot be made: {error}"))?),
        };
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

fn open() -> Result<rustix::fd::OwnedFd, Errno> {
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
fn ask(socket: &rustix::fd::OwnedFd, message: &[u8]) -> Result<i32, Errno> {
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
