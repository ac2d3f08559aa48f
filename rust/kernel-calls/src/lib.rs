//! System calls straight to the kernel, without a C library.
//!
//! # Theory of operation
//! The processes that stay resident for as long as a container lives must cost as little as can be.
//! A C library brings a heap, thread-local storage and relocated tables, some 20 kB of private
//! memory before `main`. These wrappers need none of it. They touch neither `errno` nor any other
//! state of the process, so they may be called after `fork` and from signal handlers, in a program
//! that is linked with a C library as well as in one that is not.
//!
//! Only what this project calls is here. A raw descriptor is an `i32`; [`Fd`] is one that closes
//! itself.
#![cfg_attr(not(test), no_std)]

mod arch;
pub mod events;
pub mod files;
pub mod initial_stack;
pub mod memory;
pub mod namespaces;
pub mod process;
pub mod sockets;
pub mod terminal;
pub mod text;
pub mod time;
pub mod vdso;

use core::fmt;

/// A kernel error number (errno(3)), always positive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

/// What a system call gives.
pub type Result<T> = core::result::Result<T, Errno>;

impl Errno {
    /// The message of strerror(3) for the errors that a user is likely to meet, else `None`.
    pub fn message(self) -> Option<&'static str> {
        Some(match self.0 {
            libc::EPERM => "operation not permitted",
            libc::ENOENT => "no such file or directory",
            libc::ESRCH => "no such process",
            libc::EINTR => "interrupted",
            libc::EIO => "input/output error",
            libc::E2BIG => "argument list too long",
            libc::ENOEXEC => "exec format error",
            libc::EBADF => "bad file descriptor",
            libc::ECHILD => "no child processes",
            libc::EAGAIN => "resource temporarily unavailable",
            libc::ENOMEM => "cannot allocate memory",
            libc::EACCES => "permission denied",
            libc::EBUSY => "device or resource busy",
            libc::EEXIST => "file exists",
            libc::ENODEV => "no such device",
            libc::ENOTDIR => "not a directory",
            libc::EISDIR => "is a directory",
            libc::EINVAL => "invalid argument",
            libc::EMFILE => "too many open files",
            libc::ENFILE => "too many open files in system",
            libc::EFBIG => "file too large",
            libc::ENOSPC => "no space left on device",
            libc::EROFS => "read-only file system",
            libc::EPIPE => "broken pipe",
            libc::ENOSYS => "function not implemented",
            libc::ELOOP => "too many levels of symbolic links",
            libc::EOPNOTSUPP => "operation not supported",
            libc::ETIMEDOUT => "timed out",
            libc::EUSERS => "too many users",
            libc::EDQUOT => "disk quota exceeded",
            _ => return None,
        })
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => out.write_str(message),
            None => write!(out, "error {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Errno({}: {self})", self.0)
    }
}

/// Turns the kernel's raw answer into a result.
fn check(answer: isize) -> Result<usize> {
    if (-4095..0).contains(&answer) {
        Err(Errno(-answer as i32))
    } else {
        Ok(answer as usize)
    }
}

/// A system call whose arguments are numbers and pointers made by the wrappers of this crate.
macro_rules! system_call {
    ($number:expr $(, $arg:expr)*) => {{
        let given = [$($arg as usize),*];
        let mut args = [0usize; 6];
        args[..given.len()].copy_from_slice(&given);
        $crate::check($crate::arch::call($number, args))
    }};
}
pub(crate) use system_call;

/// A descriptor that is closed when dropped.
#[derive(Debug)]
pub struct Fd(i32);

impl Fd {
    /// Takes over `raw`, which nothing else may close.
    pub fn own(raw: i32) -> Fd {
        Fd(raw)
    }

    /// The descriptor's number, still owned by `self`.
    pub fn raw(&self) -> i32 {
        self.0
    }

    /// The descriptor's number; closing it is the caller's business from now on.
    pub fn release(self) -> i32 {
        let raw = self.0;
        core::mem::forget(self);
        raw
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        files::close(self.0);
    }
}
