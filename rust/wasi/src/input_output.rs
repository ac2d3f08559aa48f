//! Reading and writing.

use wamr::GuestMemory;

use crate::abi::{check, rights, Errno, Result};
use crate::context::Context;
use crate::descriptor::Object;

/// Pieces of one transfer that are passed on at once; a guest with more gets a short count and goes on.
const MAX_PIECES: usize = 64;
/// The most that one call writes to a sink, which is slower than the guest's memory is large.
const MAX_SINK_BYTES: usize = 1 << 20;
/// Pieces up to this size are written to a sink at once.
const MAX_TOGETHER_BYTES: usize = 1024;

/// The guest's list of buffers, checked, as the host's.
pub(crate) struct Pieces {
    pieces: [libc::iovec; MAX_PIECES],
    count: usize,
}

impl Pieces {
    /// Reads a list at `address`. Every listed buffer that is used lies inside the memory; a list that does not
    /// is `EFAULT`, whatever its length.
    pub fn read(memory: &GuestMemory<'_>, address: u32, count: u32) -> Result<Pieces> {
        let bytes = u32::try_from(u64::from(count) * 8).map_err(|_| Errno::FAULT)?;
        let list = memory.slice(address, bytes).ok_or(Errno::FAULT)?;
        let mut pieces = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; MAX_PIECES];
        let used = (count as usize).min(MAX_PIECES);
        for (piece, entry) in pieces.iter_mut().zip(list.chunks_exact(8)) {
            let start = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let length = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            piece.iov_base = memory.host_range(start, length).ok_or(Errno::FAULT)?.cast();
            piece.iov_len = length as usize;
        }
        Ok(Pieces { pieces, count: used })
    }

    pub fn as_mut_ptr(&mut self) -> *mut libc::iovec {
        self.pieces.as_mut_ptr()
    }

    pub fn as_ptr(&self) -> *const libc::iovec {
        self.pieces.as_ptr()
    }

    pub fn count(&self) -> i32 {
        self.count as i32
    }

    fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.pieces[..self.count].iter().map(|piece| piece.iov_len)
    }
}

fn read_at(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    offset: Option<u64>,
) -> Result<usize> {
    let needed = if offset.is_some() {
        rights::FD_READ | rights::FD_SEEK
    } else {
        rights::FD_READ
    };
    let descriptor = context.table.with_rights(a[0] as u32, needed)?;
    let pieces = Pieces::read(memory, a[1] as u32, a[2] as u32)?;
    let file = match &descriptor.object {
        Object::Directory { .. } => return Err(Errno::ISDIR),
        _ => descriptor.stream().ok_or(Errno::BADF)?,
    };
    retry(|| {
        // SAFETY: every piece lies inside the guest's memory, which the guest does not use while this call lasts.
        unsafe {
            match offset {
                None => libc::readv(file, pieces.as_ptr(), pieces.count()),
                Some(offset) => libc::preadv(file, pieces.as_ptr(), pieces.count(), offset as i64),
            }
        }
    })
}

fn write_at(
    context: &mut Context,
    memory: &mut GuestMemory<'_>,
    a: &[u64; 9],
    offset: Option<u64>,
) -> Result<usize> {
    let needed = if offset.is_some() {
        rights::FD_WRITE | rights::FD_SEEK
    } else {
        rights::FD_WRITE
    };
    let descriptor = context.table.get_mut(a[0] as u32)?;
    descriptor.require(needed)?;
    if let Object::Output(sink) = &mut descriptor.object {
        return write_sink(sink.as_mut(), memory, a[1] as u32, a[2] as u32);
    }
    let pieces = Pieces::read(memory, a[1] as u32, a[2] as u32)?;
    let file = match &descriptor.object {
        Object::Directory { .. } => return Err(Errno::ISDIR),
        _ => descriptor.stream().ok_or(Errno::BADF)?,
    };
    retry(|| {
        // SAFETY: as in `read_at`; the kernel only reads the pieces.
        unsafe {
            match offset {
                None => libc::writev(file, pieces.as_ptr(), pieces.count()),
                Some(offset) => libc::pwritev(file, pieces.as_ptr(), pieces.count(), offset as i64),
            }
        }
    })
}

/// Writes to a sink. C libraries pass a line and its newline as two pieces: what is short is put together, so that
/// the sink sees it as one.
fn write_sink(sink: &mut dyn crate::Sink, memory: &GuestMemory<'_>, list: u32, count: u32) -> Result<usize> {
    // The list is checked wholly first: a bad buffer writes nothing.
    let pieces = Pieces::read(memory, list, count)?;
    let total: usize = pieces.lengths().sum();
    let mut together = [0u8; MAX_TOGETHER_BYTES];
    if total <= together.len() {
        let mut used = 0;
        for bytes in piece_slices(memory, list, pieces.count) {
            let bytes = bytes?;
            together[used..used + bytes.len()].copy_from_slice(bytes);
            used += bytes.len();
        }
        return if used == 0 {
            Ok(0)
        } else {
            sink.write(&together[..used])
        };
    }
    let mut written = 0;
    for bytes in piece_slices(memory, list, pieces.count) {
        let bytes = bytes?;
        let offered = &bytes[..bytes.len().min(MAX_SINK_BYTES - written)];
        let taken = match sink.write(offered) {
            Ok(taken) => taken,
            Err(_) if written > 0 => break,
            Err(error) => return Err(error),
        };
        written += taken;
        if taken < bytes.len() {
            break;
        }
    }
    Ok(written)
}

/// The pieces of a list that has been checked.
fn piece_slices<'a>(
    memory: &'a GuestMemory<'_>,
    list: u32,
    count: usize,
) -> impl Iterator<Item = Result<&'a [u8]>> + 'a {
    (0..count as u32).map(move |index| {
        let start = memory.read_u32(list + index * 8).ok_or(Errno::FAULT)?;
        let length = memory.read_u32(list + index * 8 + 4).ok_or(Errno::FAULT)?;
        memory.slice(start, length).ok_or(Errno::FAULT)
    })
}

/// Repeats a transfer that a signal interrupted before it moved anything.
pub(crate) fn retry(mut transfer: impl FnMut() -> isize) -> Result<usize> {
    loop {
        match check(transfer()) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

fn store_count(memory: &mut GuestMemory<'_>, address: u64, count: usize) -> Result {
    memory.write_u32(address as u32, count as u32).ok_or(Errno::FAULT)
}

fn check_result_place(memory: &GuestMemory<'_>, address: u64) -> Result {
    memory.slice(address as u32, 4).map(|_| ()).ok_or(Errno::FAULT)
}

fn offset(value: u64) -> Result<Option<u64>> {
    i64::try_from(value)
        .map(|_| Some(value))
        .map_err(|_| Errno::INVAL)
}

pub(crate) fn fd_read(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    check_result_place(memory, a[3])?;
    let count = read_at(context, memory, a, None)?;
    store_count(memory, a[3], count)
}

pub(crate) fn fd_pread(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    check_result_place(memory, a[4])?;
    let count = read_at(context, memory, a, offset(a[3])?)?;
    store_count(memory, a[4], count)
}

pub(crate) fn fd_write(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    check_result_place(memory, a[3])?;
    let count = write_at(context, memory, a, None)?;
    store_count(memory, a[3], count)
}

pub(crate) fn fd_pwrite(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    check_result_place(memory, a[4])?;
    let count = write_at(context, memory, a, offset(a[3])?)?;
    store_count(memory, a[4], count)
}
