//! Mappings.

use crate::{system_call, Result};
use core::ptr::NonNull;

/// Maps the first `length` bytes of `fd`, shared and writable; at `hint` where that is free, 0 for anywhere.
/// A mapping near others shares their page tables.
pub fn map_shared(fd: i32, length: usize, hint: usize) -> Result<NonNull<u8>> {
    map(
        fd,
        length,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED,
        hint,
    )
}

/// Maps the first `length` bytes of `fd`, private and read-only; `hint` as in [`map_shared`].
pub fn map_read_only(fd: i32, length: usize, hint: usize) -> Result<NonNull<u8>> {
    map(fd, length, libc::PROT_READ, libc::MAP_PRIVATE, hint)
}

fn map(fd: i32, length: usize, protection: i32, flags: i32, hint: usize) -> Result<NonNull<u8>> {
    // SAFETY: without MAP_FIXED the kernel chooses an unused range, so no existing mapping changes.
    let address = unsafe {
        system_call!(
            libc::SYS_mmap,
            hint,
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

/// Gives the pages of a range back to the kernel; private ones read as zeroes afterwards.
///
/// # Safety
/// Nothing in the range is needed any more. Parts that are not mapped are passed over.
pub unsafe fn forget(address: usize, length: usize) {
    // SAFETY: the caller's promise.
    let _ = unsafe { system_call!(libc::SYS_madvise, address, length, libc::MADV_DONTNEED) };
}

/// The end of the heap (brk(2)).
pub fn heap_end() -> Option<usize> {
    // SAFETY: 0 is below every heap, so the call changes nothing and tells the present end.
    unsafe { system_call!(libc::SYS_brk, 0usize) }.ok()
}

/// Gives back the pages of the stack that earlier, deeper calls have touched.
pub fn forget_unused_stack() {
    const MOST_BYTES: usize = 256 << 10;
    const PAGE_BYTES: usize = 4096;
    // The red zone, and what this function and the call below may use under the pointer.
    const IN_USE_BYTES: usize = 1024;
    let pointer: usize;
    // SAFETY: reads the stack pointer and nothing else.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        core::arch::asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    let end = (pointer - IN_USE_BYTES) & !(PAGE_BYTES - 1);
    // SAFETY: everything further below the stack pointer is unused: between it and the system call lie the frames
    // of two functions without arrays. Nothing else lies within MOST_BYTES below it, for the kernel keeps a gap of
    // a megabyte under a stack.
    unsafe { forget(end - MOST_BYTES, MOST_BYTES) };
}
