//! What the kernel tells of one cgroup: small files of numbers below its directory.

use kernel_calls::text::{decimal, Text};
use kernel_calls::{files, Fd};

/// The most of a file that is looked at; what is wanted stands at its beginning.
const BYTES: usize = 512;

pub type Content = [u8; BYTES];
pub const EMPTY: Content = [0; BYTES];

/// `None` where it isn't there or may not be opened.
pub fn open(directory: &[u8], name: &[u8], flags: i32) -> Option<Fd> {
    let mut path = Text::<4096>::new();
    path.push(directory);
    path.push(name);
    files::open(path.c_str(), flags, 0).ok()
}

/// The beginning of a file; nothing where there is none.
pub fn read<'a>(directory: &[u8], name: &[u8], content: &'a mut Content) -> &'a [u8] {
    let length = open(directory, name, libc::O_RDONLY)
        .and_then(|file| files::read(file.raw(), content).ok())
        .unwrap_or(0);
    &content[..length]
}

/// The number that is all of a file; 0 where there is none.
pub fn number(directory: &[u8], name: &[u8]) -> u64 {
    decimal(read(directory, name, &mut { EMPTY }).trim_ascii()).unwrap_or(0)
}

/// The number behind a name (with its blank) at the beginning of a line; 0 where there is none.
pub fn field(content: &[u8], name: &[u8]) -> u64 {
    content
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(name))
        .and_then(decimal)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_account() {
        let stat = b"anon 8192\nfile 4096\nkernel 100\nkernel_stack 16\nfile_mapped 1\n";
        assert_eq!(field(stat, b"anon "), 8192);
        assert_eq!(field(stat, b"file "), 4096);
        assert_eq!(field(stat, b"kernel "), 100);
        assert_eq!(field(stat, b"rss "), 0);
        assert_eq!(field(b"cache 5\nrss 7", b"rss "), 7);
    }

    #[test]
    fn the_kernel_s_counters() {
        assert_eq!(field(b"low 0\noom 1\noom_kill 2\n", b"oom_kill "), 2);
        let none = b"oom_kill_disable 0\nunder_oom 0\noom_kill 0\n";
        assert_eq!(field(none, b"oom_kill "), 0);
        assert_eq!(field(b"", b"oom_kill "), 0);
    }
}
