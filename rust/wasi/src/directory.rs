//! Listing directories.
//!
//! The guest's cookie is the kernel's own position in the directory, so that nothing has to be remembered
//! between calls: each call seeks there and reads on.

use std::os::fd::AsRawFd;

use wamr::GuestMemory;

use crate::abi::{check, filetype, rights, Errno, Result};
use crate::context::Context;

/// Read from the kernel at once, on the host's stack.
const BATCH_BYTES: usize = 4096;
/// `dirent`, without the name that follows it.
const ENTRY_BYTES: usize = 24;
/// Offsets in the kernel's `linux_dirent64`.
const KERNEL_NAME: usize = 19;

/// The guest's buffer, filled from its beginning; what does not fit is cut.
struct Output<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Output<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let count = bytes.len().min(self.room.len() - self.used);
        self.room[self.used..self.used + count].copy_from_slice(&bytes[..count]);
        self.used += count;
    }

    fn is_full(&self) -> bool {
        self.used == self.room.len()
    }
}

pub(crate) fn fd_readdir(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let descriptor = context.table.with_rights(a[0] as u32, rights::FD_READDIR)?;
    let directory = descriptor.directory()?.open_self(libc::O_RDONLY)?;
    memory.slice(a[4] as u32, 4).ok_or(Errno::FAULT)?;
    let own = crate::status::host_status(directory.as_raw_fd())?.st_ino;
    let room = memory.slice_mut(a[1] as u32, a[2] as u32).ok_or(Errno::FAULT)?;
    let mut output = Output { room, used: 0 };
    let position = i64::try_from(a[3]).map_err(|_| Errno::INVAL)?;
    // SAFETY: a plain call on a live descriptor.
    check(unsafe { libc::lseek(directory.as_raw_fd(), position, libc::SEEK_SET) } as isize)?;
    let mut batch = [0u8; BATCH_BYTES];
    while !output.is_full() {
        // SAFETY: the kernel writes at most the buffer's length.
        let count = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                directory.as_raw_fd(),
                batch.as_mut_ptr(),
                BATCH_BYTES,
            )
        };
        let count = check(count as isize)?;
        if count == 0 {
            break;
        }
        put_batch(&mut output, &batch[..count], own);
    }
    let used = output.used;
    memory.write_u32(a[4] as u32, used as u32).ok_or(Errno::FAULT)
}

fn put_batch(output: &mut Output<'_>, mut batch: &[u8], own: u64) {
    while let (Some(inode), Some(next), Some(length)) =
        (number(batch, 0), number(batch, 8), batch.get(16..18))
    {
        if output.is_full() {
            return;
        }
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        let name = batch.get(KERNEL_NAME..length).unwrap_or_default();
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        // The parent of a directory may be outside of what the guest may know.
        let inode = if name == b".." { own } else { inode };
        let mut entry = [0u8; ENTRY_BYTES];
        entry[0..8].copy_from_slice(&next.to_le_bytes());
        entry[8..16].copy_from_slice(&inode.to_le_bytes());
        entry[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
        entry[20] = filetype::of_entry(batch[18]);
        output.put(&entry);
        output.put(name);
        batch = batch.get(length.max(1)..).unwrap_or_default();
    }
}

fn number(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes
        .get(offset..offset + 8)?
        .try_into()
        .ok()
        .map(u64::from_le_bytes)
}
