//! Processes: fork, exec, wait, and what is inherited.

use crate::{system_call, Errno, Fd, Result};
use core::ffi::CStr;

/// An argument or environment vector for [`execute`]: up to `N - 1` strings and the closing null.
pub struct Vector<'a, const N: usize> {
    pointers: [*const libc::c_char; N],
    length: usize,
    strings: core::marker::PhantomData<&'a CStr>,
}

impl<'a, const N: usize> Vector<'a, N> {
    /// No string.
    pub fn new() -> Self {
        Vector {
            pointers: [core::ptr::null(); N],
            length: 0,
            strings: core::marker::PhantomData,
        }
    }

    /// Appends a string. Errors: `E2BIG` where there is no room.
    pub fn push(&mut self, string: &'a CStr) -> Result<()> {
        if self.length + 1 >= N {
            return Err(Errno(libc::E2BIG));
        }
        self.pointers[self.length] = string.as_ptr();
        self.length += 1;
        Ok(())
    }

    /// Appends all of them.
    pub fn extend(&mut self, strings: impl IntoIterator<Item = &'a CStr>) -> Result<()> {
        strings.into_iter().try_for_each(|string| self.push(string))
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl<const N: usize> Default for Vector<'_, N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The environment that the process was started with, passed on as it is.
#[derive(Clone, Copy)]
pub struct Environment(*const *const libc::c_char);

impl Environment {
    /// # Safety
    /// `pointers` is a null-terminated array of C strings that is never changed or freed.
    pub unsafe fn new(pointers: *const *const libc::c_char) -> Self {
        Environment(pointers)
    }
}

/// fork(2): 0 in the child.
///
/// # Safety
/// The process has one thread, and no C library whose state would have to be put right in the child.
pub unsafe fn fork() -> Result<i32> {
    // SAFETY: without CLONE_VM the child gets a copy of everything; all arguments but the flags are 0.
    unsafe { system_call!(libc::SYS_clone, libc::SIGCHLD, 0usize, 0usize, 0usize, 0usize) }
        .map(|pid| pid as i32)
}

/// execve(2). Comes back only with an error.
pub fn execute<const N: usize>(program: &CStr, arguments: &Vector<'_, N>, environment: Environment) -> Errno {
    // SAFETY: `arguments` ends with a null (`push` leaves the last place free) and its strings are
    // borrowed; the environment is its constructor's promise.
    let answer = unsafe {
        system_call!(
            libc::SYS_execve,
            program.as_ptr(),
            arguments.pointers.as_ptr(),
            environment.0
        )
    };
    answer.err().unwrap_or(Errno(libc::EINVAL))
}

/// exit_group(2).
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: does not return; the loop is for the type.
        let _ = unsafe { system_call!(libc::SYS_exit_group, status as isize) };
    }
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// By exit, with this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

impl Ended {
    fn of(status: i32) -> Ended {
        match status & 0x7f {
            0 => Ended::Exited((status >> 8) & 0xff),
            signal => Ended::Signalled(signal),
        }
    }

    /// As a shell says it: the status, or 128 and the signal.
    pub fn code(self) -> i32 {
        match self {
            Ended::Exited(status) => status,
            Ended::Signalled(signal) => 128 + signal,
        }
    }
}

fn wait4(pid: i32, flags: i32) -> Result<(i32, Ended)> {
    let mut status = 0i32;
    loop {
        // SAFETY: the kernel writes one int that lives through the call.
        let got = unsafe {
            system_call!(
                libc::SYS_wait4,
                pid as isize,
                &mut status as *mut i32,
                flags,
                0usize
            )
        };
        match got {
            Err(Errno(libc::EINTR)) => {}
            Ok(pid) => return Ok((pid as i32, Ended::of(status))),
            Err(error) => return Err(error),
        }
    }
}

/// Waits for the child `pid` to end.
pub fn wait_for(pid: i32) -> Result<Ended> {
    wait4(pid, 0).map(|(_, ended)| ended)
}

/// Reaps one child that has ended, `None` where there is none.
pub fn reap_any() -> Option<(i32, Ended)> {
    wait4(-1, libc::WNOHANG).ok().filter(|(pid, _)| *pid > 0)
}

/// kill(2).
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: numbers only.
    unsafe { system_call!(libc::SYS_kill, pid as isize, signal as isize) }.map(drop)
}

/// getpid(2).
pub fn own_pid() -> i32 {
    // SAFETY: no arguments; cannot fail.
    unsafe { system_call!(libc::SYS_getpid) }.unwrap_or(0) as i32
}

/// geteuid(2) and getegid(2).
pub fn effective_ids() -> (u32, u32) {
    // SAFETY: no arguments; cannot fail.
    let uid = unsafe { system_call!(libc::SYS_geteuid) }.unwrap_or(0);
    // SAFETY: as above.
    let gid = unsafe { system_call!(libc::SYS_getegid) }.unwrap_or(0);
    (uid as u32, gid as u32)
}

/// Makes orphaned descendants children of this process (`PR_SET_CHILD_SUBREAPER`).
pub fn adopt_orphans() -> Result<()> {
    // SAFETY: numbers only.
    unsafe {
        system_call!(
            libc::SYS_prctl,
            libc::PR_SET_CHILD_SUBREAPER,
            1usize,
            0usize,
            0usize,
            0usize
        )
    }
    .map(drop)
}

/// Has this process killed when its parent ends (`PR_SET_PDEATHSIG`, SIGKILL).
pub fn die_with_parent() -> Result<()> {
    // SAFETY: numbers only.
    unsafe {
        system_call!(
            libc::SYS_prctl,
            libc::PR_SET_PDEATHSIG,
            libc::SIGKILL,
            0usize,
            0usize,
            0usize
        )
    }
    .map(drop)
}

/// pipe2(2), close-on-exec: the end to read from, the end to write to.
pub fn pipe() -> Result<(Fd, Fd)> {
    let mut ends = [0i32; 2];
    // SAFETY: the kernel writes two ints that live through the call.
    unsafe { system_call!(libc::SYS_pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC)? };
    Ok((Fd::own(ends[0]), Fd::own(ends[1])))
}

/// dup3(2) without flags: `to` becomes a copy of `from` that survives an exec; also where both are equal.
pub fn put_at(from: i32, to: i32) -> Result<()> {
    if from == to {
        // SAFETY: numbers only.
        return unsafe { system_call!(libc::SYS_fcntl, from as isize, libc::F_SETFD, 0usize) }.map(drop);
    }
    // SAFETY: numbers only; what `to` was before is closed, as asked.
    unsafe { system_call!(libc::SYS_dup3, from as isize, to as isize, 0usize) }.map(drop)
}

/// A copy of a descriptor, not below 3, close-on-exec.
pub fn duplicate(fd: i32) -> Result<Fd> {
    // SAFETY: numbers only.
    let copy = unsafe { system_call!(libc::SYS_fcntl, fd as isize, libc::F_DUPFD_CLOEXEC, 3usize)? };
    Ok(Fd::own(copy as i32))
}

/// Closes the descriptors `first..=last` (close_range(2)).
pub fn close_range(first: u32, last: u32) {
    if first > last {
        return;
    }
    // SAFETY: numbers only; that nothing else owns them is the caller's promise.
    if unsafe { system_call!(libc::SYS_close_range, first, last, 0usize) }.is_err() {
        // Before Linux 5.9 there is no such call; nothing is open beyond a small number here.
        (first..last.min(1024)).for_each(|fd| crate::files::close(fd as i32));
    }
}

/// chdir(2).
pub fn change_directory(path: &CStr) -> Result<()> {
    // SAFETY: `path` is NUL-terminated and lives through the call.
    unsafe { system_call!(libc::SYS_chdir, path.as_ptr()) }.map(drop)
}

/// umask(2).
pub fn set_umask(mask: u32) -> u32 {
    // SAFETY: numbers only; cannot fail.
    unsafe { system_call!(libc::SYS_umask, mask) }.unwrap_or(0) as u32
}

/// Whether the child `pid` has ended; it is not reaped.
pub fn has_ended(pid: i32) -> bool {
    // SAFETY: all-zero is a valid value of this plain struct.
    let mut information: libc::siginfo_t = unsafe { core::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let information_pointer = &mut information as *mut libc::siginfo_t;
    // SAFETY: the kernel writes a `siginfo_t` that lives through the call.
    let asked = unsafe {
        system_call!(
            libc::SYS_waitid,
            libc::P_PID,
            pid as isize,
            information_pointer,
            flags,
            0usize
        )
    };
    // Without a child in that state the struct stays zero.
    asked.is_err() || information.si_signo != 0
}

/// Becomes user and group 0 of the user namespace, in all three IDs.
pub fn become_root() -> Result<()> {
    // SAFETY: numbers only.
    unsafe { system_call!(libc::SYS_setresgid, 0usize, 0usize, 0usize)? };
    // SAFETY: numbers only.
    unsafe { system_call!(libc::SYS_setresuid, 0usize, 0usize, 0usize) }.map(drop)
}
