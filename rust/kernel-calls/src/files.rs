//! Descriptors and files.

use crate::{system_call, Errno, Fd, Result};
use core::ffi::CStr;

/// What of stat(2) is needed here.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// `st_mode`: type and permissions.
    pub mode: u32,
    /// `st_size`.
    pub size_bytes: u64,
}

/// openat(2). `directory` is a descriptor or `libc::AT_FDCWD`; `O_CLOEXEC` is always added.
pub fn open_at(directory: i32, path: &CStr, flags: i32, mode: u32) -> Result<Fd> {
    // SAFETY: `path` is NUL-terminated and lives through the call.
    let raw = unsafe {
        system_call!(
            libc::SYS_openat,
            directory as isize,
            path.as_ptr(),
            flags | libc::O_CLOEXEC,
            mode
        )?
    };
    Ok(Fd::own(raw as i32))
}

/// [`open_at`] from the working directory.
pub fn open(path: &CStr, flags: i32, mode: u32) -> Result<Fd> {
    open_at(libc::AT_FDCWD, path, flags, mode)
}

/// close(2); its error is of no use to anyone and is not given.
pub fn close(fd: i32) {
    // SAFETY: closing a number is memory-safe; that it is the caller's own is the caller's promise.
    let _ = unsafe { system_call!(libc::SYS_close, fd as isize) };
}

/// fstat(2).
pub fn status(fd: i32) -> Result<Status> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the kernel fills a `struct stat` of exactly this layout (x86_64 and aarch64, 64 bit).
    unsafe { system_call!(libc::SYS_fstat, fd as isize, stat.as_mut_ptr())? };
    // SAFETY: all-zero is a valid value, and the call has filled it.
    let stat = unsafe { stat.assume_init() };
    Ok(Status {
        mode: stat.st_mode,
        size_bytes: stat.st_size as u64,
    })
}

/// read(2), repeated after an interruption.
pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: the kernel writes at most `len` bytes into the exclusively borrowed buffer.
        let got = unsafe { system_call!(libc::SYS_read, fd as isize, buffer.as_mut_ptr(), buffer.len()) };
        if got != Err(Errno(libc::EINTR)) {
            return got;
        }
    }
}

/// write(2), repeated after an interruption; may write less than all.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    loop {
        // SAFETY: the kernel reads `len` bytes of the borrowed slice.
        let put = unsafe { system_call!(libc::SYS_write, fd as isize, bytes.as_ptr(), bytes.len()) };
        if put != Err(Errno(libc::EINTR)) {
            return put;
        }
    }
}

/// write(2) until all is written.
pub fn write_all(fd: i32, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match write(fd, bytes)? {
            0 => return Err(Errno(libc::EIO)),
            put => bytes = &bytes[put..],
        }
    }
    Ok(())
}

/// writev(2) of three parts as one write, repeated after an interruption.
pub fn write_parts(fd: i32, parts: [&[u8]; 3]) -> Result<usize> {
    let vectors = parts.map(|part| libc::iovec {
        iov_base: part.as_ptr() as *mut libc::c_void,
        iov_len: part.len(),
    });
    loop {
        // SAFETY: the vectors describe borrowed slices, which the kernel only reads.
        let put = unsafe { system_call!(libc::SYS_writev, fd as isize, vectors.as_ptr(), vectors.len()) };
        if put != Err(Errno(libc::EINTR)) {
            return put;
        }
    }
}

/// ftruncate(2).
pub fn truncate(fd: i32, size_bytes: u64) -> Result<()> {
    // SAFETY: numbers only.
    unsafe { system_call!(libc::SYS_ftruncate, fd as isize, size_bytes) }.map(drop)
}

/// renameat2(2) without flags, both names in the same directory.
pub fn rename_in(directory: i32, from: &CStr, to: &CStr) -> Result<()> {
    let directory = directory as isize;
    // SAFETY: both names are NUL-terminated and live through the call.
    unsafe {
        system_call!(
            libc::SYS_renameat2,
            directory,
            from.as_ptr(),
            directory,
            to.as_ptr(),
            0usize
        )
    }
    .map(drop)
}

/// The kernel's `struct flock`.
fn whole_file(kind: i32) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Takes an open-file-description write lock on the whole file (`F_OFD_SETLK`), not waiting.
///
/// Errors: `EAGAIN` or `EACCES` where another description holds a lock.
pub fn lock_whole(fd: i32) -> Result<()> {
    let lock = whole_file(libc::F_WRLCK);
    // SAFETY: the kernel reads a `struct flock` that lives through the call.
    unsafe {
        system_call!(
            libc::SYS_fcntl,
            fd as isize,
            libc::F_OFD_SETLK,
            &lock as *const libc::flock
        )
    }
    .map(drop)
}

/// Whether another open file description holds a lock on the file (`F_OFD_GETLK`); takes nothing.
pub fn is_locked_elsewhere(fd: i32) -> Result<bool> {
    let mut lock = whole_file(libc::F_WRLCK);
    // SAFETY: the kernel reads and writes a `struct flock` that lives through the call.
    unsafe {
        system_call!(
            libc::SYS_fcntl,
            fd as isize,
            libc::F_OFD_GETLK,
            &mut lock as *mut libc::flock
        )?
    };
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// The seals of a memfd (`F_GET_SEALS`). Errors: `EINVAL` where the file cannot be sealed.
pub fn seals(fd: i32) -> Result<i32> {
    // SAFETY: numbers only.
    unsafe { system_call!(libc::SYS_fcntl, fd as isize, libc::F_GET_SEALS, 0usize) }.map(|bits| bits as i32)
}

/// Makes reads and writes of the open file description give `EAGAIN` rather than wait.
pub fn set_not_blocking(fd: i32) -> Result<()> {
    // SAFETY: numbers only.
    let flags = unsafe { system_call!(libc::SYS_fcntl, fd as isize, libc::F_GETFL, 0usize)? };
    // SAFETY: numbers only.
    unsafe {
        system_call!(
            libc::SYS_fcntl,
            fd as isize,
            libc::F_SETFL,
            flags as i32 | libc::O_NONBLOCK
        )
    }
    .map(drop)
}

/// unlink(2).
pub fn remove(path: &CStr) -> Result<()> {
    // SAFETY: `path` is NUL-terminated and lives through the call.
    unsafe { system_call!(libc::SYS_unlinkat, libc::AT_FDCWD as isize, path.as_ptr(), 0usize) }.map(drop)
}

/// The device number of the file system that `path` lies on, symbolic links followed.
pub fn device_of(path: &CStr) -> Result<u64> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    let at = libc::AT_FDCWD as isize;
    // SAFETY: the kernel fills a `struct stat` of exactly this layout; `path` lives through the call.
    unsafe { system_call!(libc::SYS_newfstatat, at, path.as_ptr(), stat.as_mut_ptr(), 0usize)? };
    // SAFETY: all-zero is a valid value, and the call has filled it.
    Ok(unsafe { stat.assume_init() }.st_dev)
}

/// Opens, writes all in one write, closes. For files of /proc and cgroups, which act on each write.
pub fn write_once(path: &CStr, content: &[u8]) -> Result<()> {
    let file = open(path, libc::O_WRONLY, 0)?;
    write(file.raw(), content).map(drop)
}
