//! Entering the namespaces that the holder keeps: new ones, or those of a holder that was killed.

use std::ffi::CString;
use std::io::Write;
use std::process::Command;

use kernel_calls::namespaces::{join, leave};
use kernel_calls::process::{become_root, close_range, effective_ids, fork, pipe, put_at};
use kernel_calls::{files, Errno, Fd};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::apply;
use crate::plan::{Namespaces, Plan};

/// Which of the two processes this is after `enter`.
pub enum Role {
    /// The one that was started: it has written the id maps, and ends.
    Parent,
    /// Its child, in the namespaces.
    Holder,
}

/// RTM_NEWLINK for the interface 1, lo, to set it up (rtnetlink(7)).
const LOOPBACK_UP: [u8; 32] = [
    32, 0, 0, 0, 16, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
];
/// The containers' packets are forwarded here; addresses of bridges need no second to prove that they are free.
const SETTINGS: [(&str, &[u8]); 3] = [
    ("/proc/sys/net/ipv4/ip_forward", b"1"),
    ("/proc/sys/net/ipv6/conf/all/forwarding", b"1"),
    ("/proc/sys/net/ipv6/conf/default/accept_dad", b"0"),
];

/// Forks; the child is in the namespaces, confined, with nothing else open, when this returns there. What fails there is
/// told on the readiness pipe.
pub fn enter(plan: &Plan) -> Result<Role, String> {
    let failed = |error: Errno| format!("the holder cannot be started: {error}");
    let (up, child_up) = pipe().map_err(failed)?;
    let (child_down, down) = pipe().map_err(failed)?;
    // SAFETY: this process has one thread, and no lock of the C library is held.
    let pid = unsafe { fork() }.map_err(failed)?;
    if pid != 0 {
        drop((child_up, child_down));
        parent(plan, pid, &up, &down)?;
        return Ok(Role::Parent);
    }
    drop((up, down));
    match child(plan, &child_up, &child_down) {
        Ok(()) => Ok(Role::Holder),
        Err(cause) => {
            refuse(plan.ready, &cause);
            std::process::exit(1)
        }
    }
}

fn refuse(ready: i32, cause: &str) {
    let _ = files::write_all(ready, format!("E1\n{cause}").as_bytes());
}

/// Writes the id maps of the child, where it asks for them, with the programs that may (newuidmap(1)).
fn parent(plan: &Plan, pid: i32, up: &Fd, down: &Fd) -> Result<(), String> {
    let mut byte = [0u8; 1];
    if files::read(up.raw(), &mut byte).unwrap_or(0) == 0 {
        return Ok(()); // it needs none, or has failed and said so
    }
    if let Namespaces::New { users, groups } = &plan.namespaces {
        for (program, lines) in [("newuidmap", users), ("newgidmap", groups)] {
            let words = lines.iter().flat_map(|line| line.split(':'));
            let done = Command::new(program).arg(pid.to_string()).args(words).status();
            if !done.is_ok_and(|status| status.success()) {
                let cause = format!("{program} refused the IDs: /etc/subuid and /etc/subgid must allow them");
                refuse(plan.ready, &cause);
                let _ = kernel_calls::process::kill(pid, 9);
                return Err(cause);
            }
        }
    }
    let _ = files::write_all(down.raw(), b"m");
    Ok(())
}

fn child(plan: &Plan, up: &Fd, down: &Fd) -> Result<(), String> {
    match &plan.namespaces {
        Namespaces::Of { user, network } => {
            // Opened from here: in the user namespace the paths of others may not be readable any more.
            let network = open(network)?;
            let user = open(user)?;
            join(user.raw(), libc::CLONE_NEWUSER)
                .map_err(|error| format!("the user namespace cannot be entered: {error}"))?;
            become_root().map_err(|error| format!("the user namespace has no root: {error}"))?;
            join(network.raw(), libc::CLONE_NEWNET)
                .map_err(|error| format!("the network namespace cannot be entered: {error}"))?;
        }
        Namespaces::New { users, groups } => {
            let own = effective_ids();
            leave(libc::CLONE_NEWUSER)
                .map_err(|error| format!("a user namespace cannot be made: {error}"))?;
            map(users, groups, own, (up, down))?;
            become_root().map_err(|error| format!("the user namespace has no root: {error}"))?;
            leave(libc::CLONE_NEWNET)
                .map_err(|error| format!("a network namespace cannot be made: {error}"))?;
            apply::ask_once(&LOOPBACK_UP).map_err(|error| format!("lo cannot be set up: {error}"))?;
        }
    }
    for (path, value) in SETTINGS {
        // Without IPv6 there is nothing to set.
        let _ = std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(value));
    }
    confine(plan)
}

fn open(path: &str) -> Result<Fd, String> {
    let path = CString::new(path).map_err(|_| "a path with a NUL")?;
    files::open(&path, libc::O_RDONLY, 0)
        .map_err(|error| format!("{} cannot be opened: {error}", path.to_string_lossy()))
}

/// The caller alone needs nobody's help; ranges are written by the parent.
fn map(users: &[String], groups: &[String], own: (u32, u32), (up, down): (&Fd, &Fd)) -> Result<(), String> {
    let failed = |error: Errno| format!("the IDs cannot be mapped: {error}");
    if users == [format!("0:{}:1", own.0)] && groups == [format!("0:{}:1", own.1)] {
        files::write_once(c"/proc/self/setgroups", b"deny").map_err(failed)?;
        for (path, line) in [
            (c"/proc/self/uid_map", &users[0]),
            (c"/proc/self/gid_map", &groups[0]),
        ] {
            files::write_once(path, line.replace(':', " ").as_bytes()).map_err(failed)?;
        }
        return Ok(());
    }
    files::write_all(up.raw(), b"U").map_err(failed)?;
    let mut byte = [0u8; 1];
    match files::read(down.raw(), &mut byte) {
        Ok(1) => Ok(()),
        _ => Err("the IDs were refused".to_owned()),
    }
}

/// Leaves the session, closes what was inherited, and keeps of its capabilities those that relaying needs.
fn confine(plan: &Plan) -> Result<(), String> {
    let failed = |error: rustix::io::Errno| format!("the holder cannot be confined: {error}");
    let _ = rustix::process::setsid();
    if let Ok(null) = files::open(c"/dev/null", libc::O_RDWR, 0) {
        for stream in 0..3 {
            let _ = put_at(null.raw(), stream);
        }
    }
    let (low, high) = (
        plan.control.min(plan.ready) as u32,
        plan.control.max(plan.ready) as u32,
    );
    close_range(3, low - 1);
    if high > low + 1 {
        close_range(low + 1, high - 1);
    }
    close_range(high + 1, u32::MAX);
    let most = rustix::process::getrlimit(Resource::Nofile).maximum;
    let _ = rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit {
            current: most,
            maximum: most,
        },
    );
    rustix::thread::set_no_new_privs(true).map_err(failed)?;
    let kept = CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).map_err(failed)?;
    debug_assert_eq!(effective_ids().0, 0);
    Ok(())
}
