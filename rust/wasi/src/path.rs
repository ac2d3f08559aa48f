//! Calls that name files by path.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

use wamr::GuestMemory;

use crate::abi::{check, fdflags, filetype, oflags, rights, Errno, Result, SYMLINK_FOLLOW};
use crate::context::Context;
use crate::descriptor::{Descriptor, Object};
use crate::resolve::{Access, Directory, Origin, Target};
use crate::status::host_status;

/// The guest's path. It is copied: what is checked must be what is used.
pub(crate) fn read_path(memory: &GuestMemory<'_>, address: u32, length: u32) -> Result<Vec<u8>> {
    let bytes = memory.slice(address, length).ok_or(Errno::FAULT)?;
    if bytes.len() >= libc::PATH_MAX as usize {
        return Err(Errno::NAMETOOLONG);
    }
    Ok(bytes.to_vec())
}

/// What `path_open` was asked for.
struct OpenRequest {
    follow: bool,
    oflags: u16,
    rights: u64,
    fdflags: u16,
}

impl OpenRequest {
    fn has(&self, flag: u16) -> bool {
        self.oflags & flag != 0
    }

    fn host_flags(&self) -> i32 {
        let writing = self.rights & rights::OPENED_FOR_WRITING != 0 && !self.has(oflags::DIRECTORY);
        let reading = self.rights & (rights::FD_READ | rights::FD_READDIR) != 0 || !writing;
        let mut flags = match (reading, writing) {
            (true, true) => libc::O_RDWR,
            (false, true) => libc::O_WRONLY,
            _ => libc::O_RDONLY,
        };
        let pairs = [
            (self.has(oflags::CREAT), libc::O_CREAT),
            (self.has(oflags::DIRECTORY), libc::O_DIRECTORY),
            (self.has(oflags::EXCL), libc::O_EXCL),
            (self.has(oflags::TRUNC), libc::O_TRUNC),
            (!self.follow, libc::O_NOFOLLOW),
            (self.fdflags & fdflags::APPEND != 0, libc::O_APPEND),
            (self.fdflags & fdflags::DSYNC != 0, libc::O_DSYNC),
            (self.fdflags & (fdflags::SYNC | fdflags::RSYNC) != 0, libc::O_SYNC),
        ];
        for (wanted, flag) in pairs {
            if wanted {
                flags |= flag;
            }
        }
        // A FIFO without a peer must not hold the guest in open(2), where only a signal reaches it.
        flags | libc::O_NONBLOCK | libc::O_NOCTTY
    }
}

pub(crate) fn path_open(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let parent = context.table.with_rights(a[0] as u32, rights::PATH_OPEN)?;
    let path = read_path(memory, a[2] as u32, a[3] as u32)?;
    memory.slice(a[8] as u32, 4).ok_or(Errno::FAULT)?;
    let request = OpenRequest {
        follow: a[1] as u32 & SYMLINK_FOLLOW != 0,
        oflags: u16::try_from(a[4]).map_err(|_| Errno::INVAL)?,
        rights: a[5] & parent.inheriting,
        fdflags: u16::try_from(a[7]).map_err(|_| Errno::INVAL)?,
    };
    let inheriting = a[6] & parent.inheriting;
    if request.oflags & !oflags::ALL != 0 || request.fdflags & !fdflags::ALL != 0 {
        return Err(Errno::INVAL);
    }
    if request.has(oflags::CREAT) && request.has(oflags::DIRECTORY) {
        return Err(Errno::INVAL);
    }
    let directory = parent.directory()?;
    let target = directory.target(&path)?;
    let mut request = request;
    let mut inheriting = inheriting;
    if target.access() == Access::ReadOnly {
        // The right to write may have been cut off above: what was asked for counts.
        refuse_writing(
            &target,
            &OpenRequest {
                rights: a[5],
                ..request
            },
        )?;
        request.rights &= !rights::WRITING;
        inheriting &= !rights::WRITING;
        request.oflags &= !oflags::CREAT;
    }
    if request.has(oflags::CREAT) {
        parent.require(rights::PATH_CREATE_FILE)?;
    }
    if request.has(oflags::TRUNC) {
        parent.require(rights::PATH_FILESTAT_SET_SIZE)?;
    }
    let descriptor = open(&target, &request, inheriting)?;
    let number = context.table.insert(descriptor)?;
    memory.write_u32(a[8] as u32, number).ok_or(Errno::FAULT)
}

/// Refuses to create, cut or write in a read-only place. Creating what is there already is opening it.
fn refuse_writing(target: &Target, request: &OpenRequest) -> Result {
    let creates =
        request.has(oflags::CREAT) && (request.has(oflags::EXCL) || target.open(libc::O_PATH, 0).is_err());
    let writes = request.rights & rights::OPENED_FOR_WRITING != 0 && !request.has(oflags::DIRECTORY);
    if creates || writes || request.has(oflags::TRUNC) || request.fdflags & fdflags::APPEND != 0 {
        return Err(Errno::ROFS);
    }
    Ok(())
}

fn open(target: &Target, request: &OpenRequest, inheriting: u64) -> Result<Descriptor> {
    let flags = request.host_flags();
    let mut access = target.access();
    let mode = if flags & libc::O_CREAT != 0 { 0o666 } else { 0 };
    let file = target.open(flags, mode)?;
    let status = host_status(file.as_raw_fd())?;
    let kind = filetype::of_mode(status.st_mode);
    if kind == filetype::DIRECTORY {
        if request.rights & rights::DIRECTORY & rights::WRITING == 0 && inheriting & rights::WRITING == 0 {
            access = Access::ReadOnly;
        }
        return Ok(Descriptor {
            object: Object::Directory {
                directory: Directory::opened(file, access, target.origin()),
                preopen_name: None,
            },
            rights: request.rights & rights::DIRECTORY,
            inheriting,
        });
    }
    // Devices in a volume are there because the user put them there, those of an image are not.
    if matches!(kind, filetype::BLOCK_DEVICE | filetype::CHARACTER_DEVICE)
        && target.origin() == Origin::Container
    {
        return Err(Errno::ACCES);
    }
    if request.fdflags & fdflags::NONBLOCK == 0 {
        clear_nonblock(&file)?;
    }
    let possible = if kind == filetype::REGULAR_FILE {
        rights::FILE
    } else {
        rights::FILE & !rights::FD_ALLOCATE
    };
    Ok(Descriptor {
        object: Object::File { file, kind },
        rights: request.rights & possible,
        inheriting: 0,
    })
}

fn clear_nonblock(file: &OwnedFd) -> Result {
    // SAFETY: plain calls on a live descriptor.
    unsafe {
        let flags = check(libc::fcntl(file.as_raw_fd(), libc::F_GETFL) as isize)? as i32;
        check(libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK) as isize)?;
    }
    Ok(())
}

pub(crate) fn path_create_directory(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
) -> Result {
    let descriptor = context
        .table
        .with_rights(a[0] as u32, rights::PATH_CREATE_DIRECTORY)?;
    let path = read_path(memory, a[1] as u32, a[2] as u32)?;
    let place = descriptor
        .directory()?
        .place_to_change(&path)
        .map_err(|error| match error {
            Errno::BUSY | Errno::INVAL => Errno::EXIST,
            other => other,
        })?;
    // SAFETY: a terminated name without slashes, a live descriptor.
    check(unsafe { libc::mkdirat(place.parent.as_raw_fd(), place.name.as_ptr(), 0o777) } as isize).map(|_| ())
}

fn unlink(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    right: u64,
    flags: i32,
) -> Result {
    let descriptor = context.table.with_rights(a[0] as u32, right)?;
    let path = read_path(memory, a[1] as u32, a[2] as u32)?;
    let place = descriptor.directory()?.place_to_change(&path)?;
    place.check_directory()?;
    // SAFETY: a terminated name without slashes, a live descriptor.
    check(unsafe { libc::unlinkat(place.parent.as_raw_fd(), place.name.as_ptr(), flags) } as isize)
        .map(|_| ())
}

pub(crate) fn path_remove_directory(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
) -> Result {
    unlink(
        context,
        memory,
        a,
        rights::PATH_REMOVE_DIRECTORY,
        libc::AT_REMOVEDIR,
    )
}

pub(crate) fn path_unlink_file(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    unlink(context, memory, a, rights::PATH_UNLINK_FILE, 0)
}

pub(crate) fn path_rename(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let source = context
        .table
        .with_rights(a[0] as u32, rights::PATH_RENAME_SOURCE)?;
    let target = context
        .table
        .with_rights(a[3] as u32, rights::PATH_RENAME_TARGET)?;
    let from = source
        .directory()?
        .place_to_change(&read_path(memory, a[1] as u32, a[2] as u32)?)?;
    let to = target
        .directory()?
        .place_to_change(&read_path(memory, a[4] as u32, a[5] as u32)?)?;
    from.check_directory()?;
    if to.must_be_directory {
        let moved = crate::status::host_status_at(from.parent.as_raw_fd(), &from.name)?;
        if moved.st_mode & libc::S_IFMT != libc::S_IFDIR {
            return Err(Errno::NOTDIR);
        }
    }
    // SAFETY: terminated names without slashes, live descriptors.
    let result = unsafe {
        libc::renameat(
            from.parent.as_raw_fd(),
            from.name.as_ptr(),
            to.parent.as_raw_fd(),
            to.name.as_ptr(),
        )
    };
    check(result as isize).map(|_| ())
}

pub(crate) fn path_link(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let source = context.table.with_rights(a[0] as u32, rights::PATH_LINK_SOURCE)?;
    let target = context.table.with_rights(a[4] as u32, rights::PATH_LINK_TARGET)?;
    if a[1] as u32 & SYMLINK_FOLLOW != 0 {
        return Err(Errno::INVAL);
    }
    // The source too must be one that may be changed: a second name in a writable place would let the guest
    // write to the file.
    let from = source
        .directory()?
        .place_to_change(&read_path(memory, a[2] as u32, a[3] as u32)?)?;
    let to = target
        .directory()?
        .place_to_change(&read_path(memory, a[5] as u32, a[6] as u32)?)?;
    from.check_directory()?;
    if to.must_be_directory {
        return Err(Errno::NOENT);
    }
    // SAFETY: terminated names without slashes, live descriptors; no link is followed without a flag.
    let result = unsafe {
        libc::linkat(
            from.parent.as_raw_fd(),
            from.name.as_ptr(),
            to.parent.as_raw_fd(),
            to.name.as_ptr(),
            0,
        )
    };
    check(result as isize).map(|_| ())
}

pub(crate) fn path_symlink(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let descriptor = context.table.with_rights(a[2] as u32, rights::PATH_SYMLINK)?;
    let text = read_path(memory, a[0] as u32, a[1] as u32)?;
    let path = read_path(memory, a[3] as u32, a[4] as u32)?;
    let directory = descriptor.directory()?;
    let in_volume = directory.target(&path)?.origin() == Origin::Volume;
    // In a volume an absolute link would mean something else to the host, and to other containers, than to the
    // guest; in the root it means the root.
    if text.starts_with(b"/") && in_volume {
        return Err(Errno::NOTCAPABLE);
    }
    let text = CString::new(text).map_err(|_| Errno::INVAL)?;
    let place = directory.place_to_change(&path)?;
    if place.must_be_directory {
        return Err(Errno::NOENT);
    }
    // SAFETY: terminated strings, a live descriptor.
    let result = unsafe { libc::symlinkat(text.as_ptr(), place.parent.as_raw_fd(), place.name.as_ptr()) };
    check(result as isize).map(|_| ())
}

pub(crate) fn path_readlink(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let descriptor = context.table.with_rights(a[0] as u32, rights::PATH_READLINK)?;
    let path = read_path(memory, a[1] as u32, a[2] as u32)?;
    memory.slice(a[5] as u32, 4).ok_or(Errno::FAULT)?;
    let link = descriptor
        .directory()?
        .target(&path)?
        .open(libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    if host_status(link.as_raw_fd())?.st_mode & libc::S_IFMT != libc::S_IFLNK {
        return Err(Errno::INVAL);
    }
    let mut text = [0u8; libc::PATH_MAX as usize];
    // SAFETY: an empty terminated path names the link itself; the kernel writes at most the buffer's length.
    let length = unsafe {
        libc::readlinkat(
            link.as_raw_fd(),
            c"".as_ptr(),
            text.as_mut_ptr().cast(),
            text.len(),
        )
    };
    let length = check(length)?.min(a[4] as u32 as usize);
    memory.write(a[3] as u32, &text[..length]).ok_or(Errno::FAULT)?;
    memory.write_u32(a[5] as u32, length as u32).ok_or(Errno::FAULT)
}
