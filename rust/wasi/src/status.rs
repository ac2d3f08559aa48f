//! `filestat`: what a file is.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, RawFd};

use wamr::GuestMemory;

use crate::abi::{check, filetype, rights, Errno, Result, Version, SYMLINK_FOLLOW};
use crate::context::Context;
use crate::descriptor::Object;
use crate::path::read_path;

pub(crate) fn host_status(file: RawFd) -> Result<libc::stat> {
    // SAFETY: all zeroes is a valid stat, which the kernel fills in.
    unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        check(libc::fstat(file, &mut status) as isize)?;
        Ok(status)
    }
}

/// Of a name in a directory, a link itself and not what it leads to.
pub(crate) fn host_status_at(directory: RawFd, name: &CStr) -> Result<libc::stat> {
    // SAFETY: as above; the name is terminated.
    unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        check(libc::fstatat(directory, name.as_ptr(), &mut status, libc::AT_SYMLINK_NOFOLLOW) as isize)?;
        Ok(status)
    }
}

pub(crate) fn fd_filestat_get(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    version: Version,
) -> Result {
    let descriptor = context.table.with_rights(a[0] as u32, rights::FD_FILESTAT_GET)?;
    if let Object::Output(_) | Object::Input(_) = descriptor.object {
        // The host's pipe or terminal is none of the guest's business.
        // SAFETY: all zeroes is a valid stat.
        let nothing = unsafe { std::mem::zeroed() };
        return store(memory, a[1] as u32, &nothing, descriptor.kind(), version);
    }
    let status = host_status(descriptor.host()?.raw())?;
    let kind = match descriptor.kind() {
        filetype::UNKNOWN => filetype::of_mode(status.st_mode),
        kind => kind,
    };
    store(memory, a[1] as u32, &status, kind, version)
}

pub(crate) fn path_filestat_get(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    version: Version,
) -> Result {
    let descriptor = context
        .table
        .with_rights(a[0] as u32, rights::PATH_FILESTAT_GET)?;
    let path = read_path(memory, a[2] as u32, a[3] as u32)?;
    let follow = if a[1] as u32 & SYMLINK_FOLLOW == 0 {
        libc::O_NOFOLLOW
    } else {
        0
    };
    let file = descriptor
        .directory()?
        .target(&path)?
        .open(libc::O_PATH | follow, 0)?;
    let status = host_status(file.as_raw_fd())?;
    store(
        memory,
        a[4] as u32,
        &status,
        filetype::of_mode(status.st_mode),
        version,
    )
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> u64 {
    u64::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)).unwrap_or(0)
}

fn store(
    memory: &mut GuestMemory<'_>,
    address: u32,
    status: &libc::stat,
    kind: u8,
    version: Version,
) -> Result {
    let mut bytes = [0u8; 64];
    bytes[0..8].copy_from_slice(&status.st_dev.to_le_bytes());
    bytes[8..16].copy_from_slice(&status.st_ino.to_le_bytes());
    bytes[16] = kind;
    let rest = [
        status.st_size as u64,
        nanoseconds(status.st_atime, status.st_atime_nsec),
        nanoseconds(status.st_mtime, status.st_mtime_nsec),
        nanoseconds(status.st_ctime, status.st_ctime_nsec),
    ];
    let mut position = match version {
        Version::Preview1 => {
            bytes[24..32].copy_from_slice(&status.st_nlink.to_le_bytes());
            32
        }
        Version::Unstable => {
            bytes[20..24].copy_from_slice(&(status.st_nlink as u32).to_le_bytes());
            24
        }
    };
    for value in rest {
        bytes[position..position + 8].copy_from_slice(&value.to_le_bytes());
        position += 8;
    }
    memory.write(address, &bytes[..position]).ok_or(Errno::FAULT)
}

/// `fstflags`: which times to set, and whether to now.
const ACCESS: u32 = 1;
const ACCESS_NOW: u32 = 2;
const MODIFICATION: u32 = 4;
const MODIFICATION_NOW: u32 = 8;

fn times(access: u64, modification: u64, flags: u32) -> Result<[libc::timespec; 2]> {
    let both = |set: u32, now: u32| flags & (set | now) == set | now;
    if flags & !15 != 0 || both(ACCESS, ACCESS_NOW) || both(MODIFICATION, MODIFICATION_NOW) {
        return Err(Errno::INVAL);
    }
    let one = |value: u64, set: u32, now: u32| libc::timespec {
        tv_sec: if flags & set == 0 {
            0
        } else {
            (value / 1_000_000_000) as i64
        },
        tv_nsec: match flags & (set | now) {
            0 => libc::UTIME_OMIT,
            bits if bits == now => libc::UTIME_NOW,
            _ => (value % 1_000_000_000) as i64,
        },
    };
    Ok([
        one(access, ACCESS, ACCESS_NOW),
        one(modification, MODIFICATION, MODIFICATION_NOW),
    ])
}

pub(crate) fn fd_filestat_set_times(
    context: &mut Context,
    _memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
) -> Result {
    let descriptor = context
        .table
        .with_rights(a[0] as u32, rights::FD_FILESTAT_SET_TIMES)?;
    let times = times(a[1], a[2], a[3] as u32)?;
    let file = descriptor.host()?;
    // SAFETY: two timespecs and a live descriptor.
    check(unsafe { libc::futimens(file.raw(), times.as_ptr()) } as isize).map(|_| ())
}

pub(crate) fn path_filestat_set_times(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
) -> Result {
    let descriptor = context
        .table
        .with_rights(a[0] as u32, rights::PATH_FILESTAT_SET_TIMES)?;
    let path = read_path(memory, a[2] as u32, a[3] as u32)?;
    let times = times(a[4], a[5], a[6] as u32)?;
    let target = descriptor.directory()?.target(&path)?;
    if target.access() == crate::Access::ReadOnly {
        return Err(Errno::ROFS);
    }
    let follow = if a[1] as u32 & SYMLINK_FOLLOW == 0 {
        libc::O_NOFOLLOW
    } else {
        0
    };
    let file = target.open(libc::O_PATH | follow, 0)?;
    // SAFETY: an empty terminated path with AT_EMPTY_PATH names the descriptor itself.
    let result = unsafe {
        libc::utimensat(
            file.as_raw_fd(),
            c"".as_ptr(),
            times.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    check(result as isize).map(|_| ())
}

pub(crate) fn fd_filestat_set_size(
    context: &mut Context,
    _memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
) -> Result {
    let descriptor = context
        .table
        .with_rights(a[0] as u32, rights::FD_FILESTAT_SET_SIZE)?;
    let size = i64::try_from(a[1]).map_err(|_| Errno::INVAL)?;
    let file = descriptor.host()?;
    // SAFETY: a plain call on a live descriptor.
    check(unsafe { libc::ftruncate(file.raw(), size) } as isize).map(|_| ())
}
