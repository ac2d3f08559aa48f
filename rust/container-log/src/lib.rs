//! Writes a container's log (`container.log`, docs/formats.md).
//!
//! # Theory of operation
//! The guest's bytes are cut at newlines and at 16 KiB; each piece becomes one entry and one `writev`
//! with `O_APPEND`. Nothing is kept back: a piece without newline is written at once as a partial entry,
//! so there is no buffer, and memory stays flat however long a line is.
//!
//! Everything after [`LogWriter::open`] goes through a directory descriptor, so it works under Landlock and
//! after the root has been left. A write that fails is undone (a torn entry is cut off again), dropped and
//! counted; the guest never waits for the disk to have room. A full process file size limit raises SIGXFSZ:
//! the program ignores or blocks that signal.
//!
//! System calls used: `fstat`, `openat`, `close`, `renameat2`, `writev`, `ftruncate`, `clock_gettime`.
#![cfg_attr(not(test), no_std)]

use core::ffi::CStr;

use formats::log_line::{header, Stream, Tag, HEADER_BYTES, MAX_CONTENT_BYTES};
use kernel_calls::time::{now, Clock};
use kernel_calls::{files, Errno, Fd, Result};

/// The file being written.
pub const NAME: &CStr = c"container.log";
/// The file before it, replaced at each rotation.
pub const OLDER_NAME: &CStr = c"container.log.1";
/// The limit where the plan gives none.
pub const DEFAULT_MAX_BYTES: u64 = 10 << 20;

/// What became of the bytes of one [`LogWriter::write`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// Bytes added to the file, entry headers included.
    pub written_bytes: u64,
    /// Entries that could not be written.
    pub dropped_entries: u64,
}

/// The log of one container. One writer per directory.
#[derive(Debug)]
pub struct LogWriter {
    directory: Fd,
    /// `None` after a rotation that could not open the new file; tried again at the next entry.
    file: Option<Fd>,
    max_bytes: u64,
    size_bytes: u64,
    /// Bytes since the last entry that ended a line; 0 right after one.
    line_bytes: u64,
}

impl LogWriter {
    /// Opens or makes the log in the directory at `path`, which exists.
    ///
    /// `max_bytes` is where a rotation is due, 0 for never. Errors: the kernel's.
    pub fn open(path: &CStr, max_bytes: u64) -> Result<LogWriter> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        Self::open_in(files::open(path, flags, 0)?, max_bytes)
    }

    /// As [`LogWriter::open`], in a directory that is open already.
    pub fn open_in(directory: Fd, max_bytes: u64) -> Result<LogWriter> {
        let mut log = LogWriter {
            directory,
            file: None,
            max_bytes,
            size_bytes: 0,
            line_bytes: 0,
        };
        log.reopen()?;
        Ok(log)
    }

    /// Writes what the guest has put out. Never fails: what could not be written is in the outcome.
    pub fn write(&mut self, stream: Stream, mut bytes: &[u8]) -> Outcome {
        let mut outcome = Outcome::default();
        while !bytes.is_empty() {
            let window = &bytes[..bytes.len().min(MAX_CONTENT_BYTES + 1)];
            let (content, tag, used) = match window.iter().position(|&byte| byte == b'\n') {
                Some(end) => (&bytes[..end], Tag::Full, end + 1),
                None => {
                    let end = window.len().min(MAX_CONTENT_BYTES);
                    (&bytes[..end], Tag::Partial, end)
                }
            };
            match self.write_entry(stream, tag, content) {
                Ok(written) => outcome.written_bytes += written,
                Err(_) => outcome.dropped_entries += 1,
            }
            bytes = &bytes[used..];
        }
        outcome
    }

    fn write_entry(&mut self, stream: Stream, tag: Tag, content: &[u8]) -> Result<u64> {
        if self.rotation_is_due() {
            // Where renaming fails the entry is dropped: a log that grows past its limit is worse.
            files::rename_in(self.directory.raw(), NAME, OLDER_NAME)?;
            self.file = None;
        }
        if self.file.is_none() {
            self.reopen()?;
        }
        let Some(file) = &self.file else {
            return Err(Errno(libc::EBADF));
        };
        let length = HEADER_BYTES + content.len() + 1;
        let head = header(now(Clock::Realtime), stream, tag);
        let written = files::write_parts(file.raw(), [&head, content, b"\n"])?;
        if written < length {
            // A torn entry would swallow the next one. Cutting a file shorter needs no room.
            let _ = files::truncate(file.raw(), self.size_bytes);
            return Err(Errno(libc::ENOSPC));
        }
        self.size_bytes += length as u64;
        self.line_bytes = match tag {
            Tag::Full => 0,
            Tag::Partial => self.line_bytes + length as u64,
        };
        Ok(length as u64)
    }

    /// Due at the end of a line, or in the middle of one that is longer than the limit alone.
    fn rotation_is_due(&self) -> bool {
        let full = self.max_bytes > 0 && self.size_bytes >= self.max_bytes;
        full && self.file.is_some() && (self.line_bytes == 0 || self.line_bytes >= self.max_bytes)
    }

    fn reopen(&mut self) -> Result<()> {
        let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = files::open_at(self.directory.raw(), NAME, flags, 0o600)?;
        let status = files::status(file.raw())?;
        if status.mode & libc::S_IFMT != libc::S_IFREG {
            return Err(Errno(libc::EINVAL));
        }
        self.size_bytes = status.size_bytes;
        self.line_bytes = 0;
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
