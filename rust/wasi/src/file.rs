//! Calls on descriptors that are neither transfers nor about paths.

use wamr::GuestMemory;

use crate::abi::{check, fdflags, rights, Errno, Result, Version};
use crate::context::Context;
use crate::descriptor::{Descriptor, Object};
use crate::listener::status_flags;

pub(crate) fn fd_close(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    context.table.remove(a[0] as u32).map(drop)
}

pub(crate) fn fd_renumber(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    context.table.renumber(a[0] as u32, a[1] as u32)
}

pub(crate) fn fd_sync(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let file = context.table.with_rights(a[0] as u32, rights::FD_SYNC)?.host()?;
    // SAFETY: a plain call on a live descriptor.
    check(unsafe { libc::fsync(file.raw()) } as isize).map(|_| ())
}

pub(crate) fn fd_datasync(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let file = context
        .table
        .with_rights(a[0] as u32, rights::FD_DATASYNC)?
        .host()?;
    // SAFETY: a plain call on a live descriptor.
    check(unsafe { libc::fdatasync(file.raw()) } as isize).map(|_| ())
}

pub(crate) fn fd_advise(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let descriptor = context.table.with_rights(a[0] as u32, rights::FD_ADVISE)?;
    if let Object::Directory { .. } = descriptor.object {
        return Err(Errno::BADF);
    }
    let advice = match a[3] as u32 {
        0 => libc::POSIX_FADV_NORMAL,
        1 => libc::POSIX_FADV_SEQUENTIAL,
        2 => libc::POSIX_FADV_RANDOM,
        3 => libc::POSIX_FADV_WILLNEED,
        4 => libc::POSIX_FADV_DONTNEED,
        5 => libc::POSIX_FADV_NOREUSE,
        _ => return Err(Errno::INVAL),
    };
    let (offset, length) = range(a[1], a[2])?;
    let file = descriptor.host()?;
    // SAFETY: a plain call on a live descriptor; it gives an error number.
    match unsafe { libc::posix_fadvise(file.raw(), offset, length, advice) } {
        0 => Ok(()),
        error => Err(Errno::from_host(error)),
    }
}

pub(crate) fn fd_allocate(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let descriptor = context.table.with_rights(a[0] as u32, rights::FD_ALLOCATE)?;
    let (offset, length) = range(a[1], a[2])?;
    let file = descriptor.host()?;
    // SAFETY: a plain call on a live descriptor.
    check(unsafe { libc::fallocate(file.raw(), 0, offset, length) } as isize).map(|_| ())
}

fn range(offset: u64, length: u64) -> Result<(i64, i64)> {
    let offset = i64::try_from(offset).map_err(|_| Errno::INVAL)?;
    let length = i64::try_from(length).map_err(|_| Errno::INVAL)?;
    offset.checked_add(length).ok_or(Errno::INVAL)?;
    Ok((offset, length))
}

fn seek(descriptor: &Descriptor, offset: i64, whence: i32) -> Result<u64> {
    let file = match &descriptor.object {
        Object::File { .. } => descriptor.stream().ok_or(Errno::BADF)?,
        Object::Directory { .. } => return Err(Errno::BADF),
        _ => return Err(Errno::SPIPE),
    };
    // SAFETY: a plain call on a live descriptor.
    check(unsafe { libc::lseek(file, offset, whence) } as isize).map(|position| position as u64)
}

pub(crate) fn fd_seek(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    version: Version,
) -> Result {
    let descriptor = context.table.get(a[0] as u32)?;
    let whence = match (version, a[2] as u32) {
        (Version::Preview1, 0) | (Version::Unstable, 2) => libc::SEEK_SET,
        (Version::Preview1, 1) | (Version::Unstable, 0) => libc::SEEK_CUR,
        (Version::Preview1, 2) | (Version::Unstable, 1) => libc::SEEK_END,
        _ => return Err(Errno::INVAL),
    };
    let offset = a[1] as i64;
    if let Object::File { .. } = descriptor.object {
        let needed = if whence == libc::SEEK_CUR && offset == 0 {
            rights::FD_TELL
        } else {
            rights::FD_SEEK
        };
        descriptor.require(needed)?;
    }
    let position = seek(descriptor, offset, whence)?;
    memory.write_u64(a[3] as u32, position).ok_or(Errno::FAULT)
}

pub(crate) fn fd_tell(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let descriptor = context.table.get(a[0] as u32)?;
    let position = seek(descriptor, 0, libc::SEEK_CUR)?;
    descriptor.require(rights::FD_TELL)?;
    memory.write_u64(a[1] as u32, position).ok_or(Errno::FAULT)
}

pub(crate) fn fd_fdstat_get(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let descriptor = context.table.get(a[0] as u32)?;
    let mut bytes = [0u8; 24];
    bytes[0] = descriptor.kind();
    bytes[2..4].copy_from_slice(&flags_of(descriptor)?.to_le_bytes());
    bytes[8..16].copy_from_slice(&descriptor.rights.to_le_bytes());
    bytes[16..24].copy_from_slice(&descriptor.inheriting.to_le_bytes());
    memory.write(a[1] as u32, &bytes).ok_or(Errno::FAULT)
}

fn flags_of(descriptor: &Descriptor) -> Result<u16> {
    let nonblocking = match &descriptor.object {
        Object::Listener { listener, .. } => Some(listener.is_nonblocking()?),
        Object::Unreachable(wanted) => Some(wanted.nonblocking),
        _ => None,
    };
    if let Some(nonblocking) = nonblocking {
        return Ok(if nonblocking { fdflags::NONBLOCK } else { 0 });
    }
    let Some(file) = descriptor.stream() else {
        return Ok(0);
    };
    let host = status_flags(file)?;
    let pairs = [
        (libc::O_APPEND, fdflags::APPEND),
        (libc::O_NONBLOCK, fdflags::NONBLOCK),
        (libc::O_DSYNC, fdflags::DSYNC),
    ];
    let mut flags = pairs
        .iter()
        .filter(|(bit, _)| host & bit != 0)
        .fold(0, |all, (_, flag)| all | flag);
    // O_SYNC is O_DSYNC and another bit.
    if host & libc::O_SYNC == libc::O_SYNC {
        flags |= fdflags::SYNC | fdflags::RSYNC;
    }
    Ok(flags)
}

pub(crate) fn fd_fdstat_set_flags(
    context: &mut Context,
    _memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
) -> Result {
    let descriptor = context.table.get_mut(a[0] as u32)?;
    descriptor.require(rights::FD_FDSTAT_SET_FLAGS)?;
    let flags = u16::try_from(a[1]).map_err(|_| Errno::INVAL)?;
    if flags & !fdflags::ALL != 0 {
        return Err(Errno::INVAL);
    }
    match &descriptor.object {
        // Not the guest's to change: the terminal and the pipe behind them belong to others too.
        Object::Output(_) => return Ok(()),
        Object::Directory { .. } => return Err(Errno::BADF),
        _ => {}
    }
    if flags & (fdflags::DSYNC | fdflags::SYNC | fdflags::RSYNC) != 0 {
        return Err(Errno::NOTSUP);
    }
    let nonblocking = flags & fdflags::NONBLOCK != 0;
    match &mut descriptor.object {
        Object::Listener { listener, .. } => return listener.set_nonblocking(nonblocking),
        Object::Unreachable(wanted) => {
            wanted.nonblocking = nonblocking;
            return Ok(());
        }
        _ => {}
    }
    let mut host = 0;
    if flags & fdflags::APPEND != 0 {
        host |= libc::O_APPEND;
    }
    if nonblocking {
        host |= libc::O_NONBLOCK;
    }
    let file = descriptor.stream().ok_or(Errno::BADF)?;
    // SAFETY: a plain call on a live descriptor.
    check(unsafe { libc::fcntl(file, libc::F_SETFL, host) } as isize).map(|_| ())
}

pub(crate) fn fd_fdstat_set_rights(
    context: &mut Context,
    _memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
) -> Result {
    let descriptor = context.table.get_mut(a[0] as u32)?;
    if a[1] & !descriptor.rights != 0 || a[2] & !descriptor.inheriting != 0 {
        return Err(Errno::NOTCAPABLE);
    }
    descriptor.rights = a[1];
    descriptor.inheriting = a[2];
    Ok(())
}

/// The tag of a preopen that is not a directory. Guests' libraries know tag 0 only, pass over others and go on
/// with the next number; an error would end their search.
const NOT_A_DIRECTORY: u8 = 1;

pub(crate) fn fd_prestat_get(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let mut bytes = [0u8; 8];
    match &context.table.get(a[0] as u32)?.object {
        Object::Directory {
            preopen_name: Some(name),
            ..
        } => {
            bytes[4..8].copy_from_slice(&(name.len() as u32).to_le_bytes());
        }
        // Those that are there from the start.
        Object::Listener { family: None, .. } => bytes[0] = NOT_A_DIRECTORY,
        _ => return Err(Errno::BADF),
    }
    memory.write(a[1] as u32, &bytes).ok_or(Errno::FAULT)
}

pub(crate) fn fd_prestat_dir_name(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
) -> Result {
    match &context.table.get(a[0] as u32)?.object {
        Object::Directory {
            preopen_name: Some(name),
            ..
        } => {
            if (a[2] as u32 as usize) < name.len() {
                return Err(Errno::NAMETOOLONG);
            }
            memory.write(a[1] as u32, name).ok_or(Errno::FAULT)
        }
        Object::Directory { .. } => Err(Errno::BADF),
        _ => Err(Errno::NOTDIR),
    }
}
