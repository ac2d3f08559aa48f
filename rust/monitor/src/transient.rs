//! The surroundings in which a runtime works on this machine, for as long as one command runs.
//!
//! crun refuses hosts with hybrid cgroups for every command, so it is shown a host without the unified mount;
//! as a user that takes a user namespace, either the container's own (`--join PID`, what `exec` needs) or a
//! passing one with only the caller in it (`--map-self`, enough for files and signals of one's own).

use core::ffi::CStr;

use kernel_calls::namespaces::{join, leave, mount, unmount};
use kernel_calls::process::{effective_ids, Environment};
use kernel_calls::text::{decimal, Text};
use kernel_calls::{files, Errno};

use crate::failure::{Failure, FAILED};
use crate::runtime::{become_program, Arguments};

const UNIFIED: &CStr = c"/sys/fs/cgroup/unified";

/// Which user namespace a command runs in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserNamespace {
    /// The caller's.
    Same,
    /// A new one in which the caller is root and nobody else exists.
    MapSelf,
    /// The one of this process.
    Join(i32),
}

/// Enters the surroundings; the calling process stays there.
pub fn enter(users: UserNamespace, hide_unified: bool) -> Result<(), Failure> {
    match users {
        UserNamespace::Same => {}
        UserNamespace::MapSelf => map_self()
            .map_err(|error| Failure::of(format_args!("a user namespace cannot be made: {error}")))?,
        UserNamespace::Join(pid) => join_user_namespace(pid).map_err(|error| {
            Failure::of(format_args!(
                "the container's user namespace cannot be entered: {error}"
            ))
        })?,
    }
    if hide_unified {
        leave_mount_namespace()?;
        hide_unified_cgroup(users != UserNamespace::Same)?;
    }
    Ok(())
}

/// A mount namespace of one's own, from which nothing spreads.
pub fn leave_mount_namespace() -> Result<(), Failure> {
    leave(libc::CLONE_NEWNS)
        .and_then(|()| mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, c""))
        .map_err(|error| Failure::of(format_args!("a mount namespace cannot be made: {error}")))
}

/// Takes the unified cgroup mount of a hybrid host out of sight, where there is one.
///
/// A mount that came along into a user namespace is locked, so there a tmpfs covers it.
pub fn hide_unified_cgroup(in_user_namespace: bool) -> Result<(), Failure> {
    let hidden = if in_user_namespace {
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RDONLY;
        mount(c"tmpfs", UNIFIED, c"tmpfs", flags, c"size=4k,mode=755")
    } else {
        unmount(UNIFIED, libc::MNT_DETACH)
    };
    match hidden {
        // Not there, or no mount point.
        Ok(()) | Err(Errno(libc::ENOENT | libc::EINVAL)) => Ok(()),
        Err(error) => Err(Failure::of(format_args!(
            "the unified cgroup mount cannot be hidden: {error}"
        ))),
    }
}

/// A user namespace with the caller as its root (user_namespaces(7)).
pub fn map_self() -> Result<(), Errno> {
    let (uid, gid) = effective_ids();
    leave(libc::CLONE_NEWUSER)?;
    files::write_once(c"/proc/self/setgroups", b"deny")?;
    files::write_once(
        c"/proc/self/uid_map",
        Text::<32>::of(format_args!("0 {uid} 1")).bytes(),
    )?;
    files::write_once(
        c"/proc/self/gid_map",
        Text::<32>::of(format_args!("0 {gid} 1")).bytes(),
    )
}

fn join_user_namespace(pid: i32) -> Result<(), Errno> {
    let path = Text::<32>::of(format_args!("/proc/{pid}/ns/user"));
    let namespace = files::open(path.c_str(), libc::O_RDONLY, 0)?;
    match join(namespace.raw(), libc::CLONE_NEWUSER) {
        // Already in it.
        Err(Errno(libc::EINVAL)) => Ok(()),
        other => other,
    }
}

/// `wpod-monitor --runtime [--hide-unified-cgroup] [--map-self | --join PID] -- PROGRAM [ARGUMENT…]`:
/// becomes PROGRAM in those surroundings, with its own standard streams and nothing else open. Comes back
/// with 125 where that fails, the cause on stderr.
#[inline(never)] // as `finish`
pub fn command<'a>(argument: &dyn Fn(usize) -> Option<&'a CStr>, environment: Environment) -> i32 {
    let failure = match parse(argument) {
        Some((users, hide_unified, arguments, program)) => match enter(users, hide_unified) {
            Ok(()) => {
                kernel_calls::process::close_range(3, u32::MAX);
                let error = become_program(program, &arguments, environment);
                Failure::of(format_args!("the runtime cannot be started: {error}"))
            }
            Err(failure) => failure,
        },
        None => Failure::of(format_args!("wrong arguments after --runtime")),
    };
    let _ = files::write_all(2, b"wpod-monitor: ");
    let _ = files::write_all(2, failure.cause.bytes());
    let _ = files::write_all(2, b"\n");
    FAILED
}

type Parsed<'a> = (UserNamespace, bool, Vector<'a>, &'a CStr);
type Vector<'a> = kernel_calls::process::Vector<'a, 512>;

fn parse<'a>(argument: &dyn Fn(usize) -> Option<&'a CStr>) -> Option<Parsed<'a>> {
    let (mut users, mut hide_unified, mut index) = (UserNamespace::Same, false, 2);
    loop {
        match argument(index)?.to_bytes() {
            b"--hide-unified-cgroup" => hide_unified = true,
            b"--map-self" => users = UserNamespace::MapSelf,
            b"--join" => {
                index += 1;
                let pid = decimal(argument(index)?.to_bytes()).and_then(|pid| i32::try_from(pid).ok())?;
                users = UserNamespace::Join(pid);
            }
            b"--" => break,
            _ => return None,
        }
        index += 1;
    }
    let program = argument(index + 1)?;
    let mut arguments = Vector::new();
    let mut at = index + 1;
    while let Some(value) = argument(at) {
        arguments.push(value).ok()?;
        at += 1;
    }
    Some((users, hide_unified, arguments, program))
}

/// Runs a runtime's command as a child in passing surroundings, silent, and waits for it.
pub fn run_silently(
    users: UserNamespace,
    hide_unified: bool,
    program: &CStr,
    arguments: &Arguments<'_>,
    environment: Environment,
) {
    // SAFETY: one thread, no C library.
    let Ok(pid) = (unsafe { kernel_calls::process::fork() }) else {
        return;
    };
    if pid == 0 {
        if let Ok(null) = files::open(c"/dev/null", libc::O_RDWR, 0) {
            for number in 0..3 {
                let _ = kernel_calls::process::put_at(null.raw(), number);
            }
        }
        if enter(users, hide_unified).is_ok() {
            become_program(program, arguments, environment);
        }
        kernel_calls::process::exit(FAILED);
    }
    let _ = kernel_calls::process::wait_for(pid);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&'static CStr]) -> Option<(UserNamespace, bool, &'static CStr)> {
        let found = parse(&|index: usize| words.get(index).copied());
        found.map(|(users, hide, arguments, program)| {
            assert!(!arguments.is_empty());
            (users, hide, program)
        })
    }

    #[test]
    fn the_command_line() {
        let full = [
            c"m",
            c"--runtime",
            c"--hide-unified-cgroup",
            c"--join",
            c"42",
            c"--",
            c"/crun",
            c"--x",
        ];
        assert_eq!(parsed(&full), Some((UserNamespace::Join(42), true, c"/crun")));
        assert_eq!(
            parsed(&[c"m", c"--runtime", c"--", c"/crun"]),
            Some((UserNamespace::Same, false, c"/crun"))
        );
        assert_eq!(parsed(&[c"m", c"--runtime", c"--"]), None);
        assert_eq!(
            parsed(&[c"m", c"--runtime", c"--join", c"x", c"--", c"/crun"]),
            None
        );
        assert_eq!(parsed(&[c"m", c"--runtime", c"/crun"]), None);
    }
}
