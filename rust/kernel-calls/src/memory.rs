//! Mappings.

use crate::{system_call, Result};
use core::ptr::NonNull;

/// Maps the first `length` bytes of `fd`, shared and writable.
pub fn map_shared(fd: i32, length: usize) -> Result<NonNull<u8>> {
    map(fd, length, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED)
}

/// Maps the first `length` bytes of `fd`, private and read-only.
pub fn map_read_only(fd: i32, length: usize) -> Result<NonNull<u8>> {
    map(fd, length, libc::PROT_READ, libc::MAP_PRIVATE)
}

fn map(fd: i32, length: usize, protection: i32, flags: i32) -> Result<NonNull<u8>> {
    // SAFETY: without MAP_FIXED the kernel chooses an unused range, so no existing mapping changes.
    let address = unsafe {
        system_call!(
            libc::SYS_mmap,
            0usize,
            length,
            protection,
            flags,
            fd as isize,
            0usize
        )?
    };
    // The kernel never gives address 0 without MAP_FIXED.
    NonNull::new(address as *mut u8).ok_or(crate::Errno(libc::ENOMEM))
}

/// Keeps a mapping out of the children of `fork` (`MADV_DONTFORK`).
///
/// # Safety
/// `address` and `length` are one mapping of this process.
pub unsafe fn keep_from_children(address: NonNull<u8>, length: usize) -> Result<()> {
    // SAFETY: the caller's promise; the advice changes what a child sees only.
    unsafe { system_call!(libc::SYS_madvise, address.as_ptr(), length, libc::MADV_DONTFORK) }.map(drop)
}

/// munmap(2).
///
/// # Safety
/// Nothing uses the range afterwards.
pub unsafe fn unmap(address: NonNull<u8>, length: usize) {
    // SAFETY: the caller's promise.
    let _ = unsafe { system_call!(libc::SYS_munmap, address.as_ptr(), length) };
}
