//! Namespaces and mounts.

use crate::{system_call, Result};
use core::ffi::CStr;

/// unshare(2) with `libc::CLONE_NEW…` flags.
///
/// Safe because namespaces do not touch memory; flags that do (`CLONE_VM`) are masked out.
pub fn leave(flags: i32) -> Result<()> {
    let namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    // SAFETY: numbers only.
    unsafe { system_call!(libc::SYS_unshare, flags & namespaces) }.map(drop)
}

/// setns(2): enters the namespace that `fd` (of /proc/PID/ns/…) refers to; `kind` as in [`leave`].
pub fn join(fd: i32, kind: i32) -> Result<()> {
    // SAFETY: numbers only.
    unsafe { system_call!(libc::SYS_setns, fd as isize, kind as isize) }.map(drop)
}

/// mount(2). `kind` and `options` may be empty.
pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: libc::c_ulong, options: &CStr) -> Result<()> {
    let (source, target) = (source.as_ptr(), target.as_ptr());
    // SAFETY: all are NUL-terminated and live through the call.
    unsafe {
        system_call!(
            libc::SYS_mount,
            source,
            target,
            kind.as_ptr(),
            flags,
            options.as_ptr()
        )
    }
    .map(drop)
}

/// umount2(2).
pub fn unmount(target: &CStr, flags: i32) -> Result<()> {
    // SAFETY: `target` is NUL-terminated and lives through the call.
    unsafe { system_call!(libc::SYS_umount2, target.as_ptr(), flags) }.map(drop)
}

/// Forbids device files on the mount that `path` is the root of, whatever else is set on it (mount_setattr(2),
/// since Linux 5.12).
pub fn forbid_devices(path: &CStr) -> Result<()> {
    // `struct mount_attr`: attr_set, attr_clr, propagation, userns_fd.
    let attributes = [libc::MOUNT_ATTR_NODEV, 0u64, 0, 0];
    let size = core::mem::size_of_val(&attributes);
    let (at, pointer) = (libc::AT_FDCWD as isize, attributes.as_ptr());
    // SAFETY: path and attributes live through the call; the size is that of the struct's first version.
    unsafe { system_call!(libc::SYS_mount_setattr, at, path.as_ptr(), 0usize, pointer, size) }.map(drop)
}
