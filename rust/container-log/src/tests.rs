use super::*;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("container-log-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    fn c_path(&self) -> CString {
        CString::new(self.0.as_os_str().as_bytes()).unwrap()
    }

    fn entries(&self, name: &str) -> Vec<(String, String, Vec<u8>)> {
        entries_of(&self.0.join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn entries_of(path: &Path) -> Vec<(String, String, Vec<u8>)> {
    let bytes = fs::read(path).unwrap();
    assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
    let lines = bytes.split_inclusive(|&byte| byte == b'\n');
    lines
        .map(|line| {
            let head = String::from_utf8(line[36..HEADER_BYTES].to_vec()).unwrap();
            let (stream, tag) = head.trim_end().split_once(' ').unwrap();
            (
                stream.to_owned(),
                tag.to_owned(),
                line[HEADER_BYTES..line.len() - 1].to_vec(),
            )
        })
        .collect()
}

fn joined(entries: &[(String, String, Vec<u8>)]) -> Vec<u8> {
    let newline = |tag: &str| if tag == "F" { &b"\n"[..] } else { b"" };
    entries
        .iter()
        .flat_map(|(_, tag, content)| [content, newline(tag)].concat())
        .collect()
}

#[test]
fn the_bytes_come_back_exactly() {
    let directory = Directory::new("exact");
    let mut log = LogWriter::open(&directory.c_path(), 0).unwrap();
    let mut given = b"one\n\ntwo".to_vec();
    given.extend(vec![0xff; MAX_CONTENT_BYTES * 2 + 5]);
    given.extend(b"\nend\0 of it\n");
    given.extend(vec![b'x'; MAX_CONTENT_BYTES]);
    given.push(b'\n');
    for piece in given.chunks(7001) {
        assert_eq!(log.write(Stream::Stdout, piece).dropped_entries, 0);
    }
    let entries = directory.entries("container.log");
    assert_eq!(joined(&entries), given);
    assert!(entries
        .iter()
        .all(|(_, _, content)| content.len() <= MAX_CONTENT_BYTES));
}

#[test]
fn a_full_piece_with_its_newline_is_one_entry() {
    let directory = Directory::new("whole");
    let mut log = LogWriter::open(&directory.c_path(), 0).unwrap();
    let outcome = log.write(
        Stream::Stderr,
        &[vec![b'x'; MAX_CONTENT_BYTES], b"\n".to_vec()].concat(),
    );
    let entries = directory.entries("container.log");
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].0.as_str(), entries[0].1.as_str()), ("stderr", "F"));
    assert_eq!(
        outcome.written_bytes,
        fs::metadata(directory.0.join("container.log")).unwrap().len()
    );
}

#[test]
fn rotation_waits_for_the_end_of_a_line_but_not_for_ever() {
    let directory = Directory::new("rotate");
    let mut log = LogWriter::open(&directory.c_path(), 400).unwrap();
    log.write(Stream::Stdout, &[b'a'; 300]);
    log.write(Stream::Stdout, b"b\n");
    assert!(!directory.0.join("container.log.1").exists());
    log.write(Stream::Stdout, b"c\n");
    log.write(Stream::Stdout, b"d\n");
    assert_eq!(joined(&directory.entries("container.log.1")).len(), 304);
    assert_eq!(joined(&directory.entries("container.log")), b"d\n");
    for _ in 0..1000 {
        log.write(Stream::Stdout, &[b'x'; 100]);
        for name in ["container.log", "container.log.1"] {
            assert!(fs::metadata(directory.0.join(name)).unwrap().len() <= 2 * 400 + 200);
        }
    }
}

#[test]
fn a_restart_appends() {
    let directory = Directory::new("append");
    LogWriter::open(&directory.c_path(), 0)
        .unwrap()
        .write(Stream::Stdout, b"one\n");
    LogWriter::open(&directory.c_path(), 0)
        .unwrap()
        .write(Stream::Stdout, b"two\n");
    assert_eq!(joined(&directory.entries("container.log")), b"one\ntwo\n");
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let directory = Directory::new("link");
    std::os::unix::fs::symlink("/dev/null", directory.0.join("container.log")).unwrap();
    assert_eq!(
        LogWriter::open(&directory.c_path(), 0).unwrap_err(),
        Errno(libc::ELOOP)
    );
}

#[test]
fn a_write_that_fails_is_dropped_and_counted() {
    let directory = Directory::new("full");
    let mut log = LogWriter::open(&directory.c_path(), 0).unwrap();
    log.write(Stream::Stdout, b"kept\n");
    // Every write to /dev/full fails with ENOSPC, as on a disk without room.
    let kept = log
        .file
        .replace(files::open(c"/dev/full", libc::O_WRONLY, 0).unwrap());
    assert_eq!(
        log.write(Stream::Stdout, b"lost\nlost\n"),
        Outcome {
            written_bytes: 0,
            dropped_entries: 2
        }
    );
    log.file = kept;
    assert_eq!(log.write(Stream::Stdout, b"back\n").dropped_entries, 0);
    assert_eq!(joined(&directory.entries("container.log")), b"kept\nback\n");
}
