use super::*;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A directory of the test's own, gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("wasi-resolve-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("root/etc")).unwrap();
        fs::create_dir_all(path.join("outside")).unwrap();
        fs::write(path.join("root/etc/passwd"), "inside").unwrap();
        fs::write(path.join("outside/secret"), "secret").unwrap();
        Scratch(path)
    }

    fn open(&self, name: &str) -> OwnedFd {
        fs::File::open(self.0.join(name)).unwrap().into()
    }

    fn root(&self, access: Access) -> RootDirectory {
        RootDirectory::new(self.open("root"), access)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn whole(root: RootDirectory) -> Directory {
    Directory::in_root(&Arc::new(root), b"/", false)
}

fn read(directory: &Directory, path: &str) -> Result<String> {
    use std::io::Read;
    let mut file = fs::File::from(directory.target(path.as_bytes())?.open(libc::O_RDONLY, 0)?);
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map(|_| text)
        .map_err(|error| Errno::from_host(error.raw_os_error().unwrap_or(0)))
}

fn error(directory: &Directory, path: &str) -> Errno {
    match read(directory, path) {
        Ok(text) => panic!("{path} gave {text:?}"),
        Err(error) => error,
    }
}

#[test]
fn texts_that_are_no_paths() {
    let scratch = Scratch::new("texts");
    let root = whole(scratch.root(Access::ReadWrite));
    assert_eq!(error(&root, ""), Errno::NOENT);
    assert_eq!(error(&root, "/etc/passwd"), Errno::NOTCAPABLE);
    assert_eq!(error(&root, ".."), Errno::NOTCAPABLE);
    assert_eq!(error(&root, "etc/../../outside/secret"), Errno::NOTCAPABLE);
    assert_eq!(error(&root, "a\0b"), Errno::INVAL);
    assert_eq!(error(&root, &"x".repeat(65536)), Errno::NAMETOOLONG);
    assert_eq!(error(&root, &"x/".repeat(2000)), Errno::NOENT);
    assert_eq!(root.target(b"\xff").err(), Some(Errno::ILSEQ));
}

#[test]
fn links_of_an_image_mean_its_root() {
    let scratch = Scratch::new("image");
    symlink("/etc", scratch.path("root/absolute")).unwrap();
    symlink("../../../../etc", scratch.path("root/climbing")).unwrap();
    symlink("/proc/self/root", scratch.path("root/magic")).unwrap();
    let root = whole(scratch.root(Access::ReadWrite));
    for path in [
        "absolute/passwd",
        "climbing/passwd",
        "absolute//passwd",
        "absolute/./passwd",
        "climbing/../etc/passwd",
    ] {
        assert_eq!(read(&root, path).as_deref(), Ok("inside"), "{path}");
    }
    assert_eq!(error(&root, "magic/etc/passwd"), Errno::NOENT);
}

#[test]
fn links_out_of_a_volume_are_refused() {
    let scratch = Scratch::new("volume");
    fs::create_dir(scratch.path("volume")).unwrap();
    fs::write(scratch.path("volume/own"), "own").unwrap();
    symlink("/", scratch.path("volume/slash")).unwrap();
    symlink(scratch.path("outside"), scratch.path("volume/absolute")).unwrap();
    symlink("../outside", scratch.path("volume/relative")).unwrap();
    symlink("own", scratch.path("volume/link")).unwrap();
    let mut root = scratch.root(Access::ReadWrite);
    root.mount(b"/data", scratch.open("volume"), Access::ReadWrite);
    let root = whole(root);
    assert_eq!(read(&root, "data/own").as_deref(), Ok("own"));
    assert_eq!(read(&root, "etc/../data/./link").as_deref(), Ok("own"));
    for path in [
        "absolute/secret",
        "relative/secret",
        "absolute/",
        "relative/.",
        "slash/etc/hostname",
        "relative//secret",
    ] {
        assert_eq!(error(&root, &format!("data/{path}")), Errno::NOTCAPABLE, "{path}");
    }
}

#[test]
fn a_directory_that_was_opened_leads_down_only() {
    let scratch = Scratch::new("opened");
    let root = whole(scratch.root(Access::ReadWrite));
    let etc = root
        .target(b"etc")
        .unwrap()
        .open(libc::O_RDONLY | libc::O_DIRECTORY, 0)
        .unwrap();
    let etc = Directory::opened(etc, Access::ReadWrite, Origin::Container);
    assert_eq!(read(&etc, "passwd").as_deref(), Ok("inside"));
    assert_eq!(error(&etc, "../etc/passwd"), Errno::NOTCAPABLE);
    symlink("../../outside/secret", scratch.path("root/etc/out")).unwrap();
    assert_eq!(error(&etc, "out"), Errno::NOTCAPABLE);
}

#[test]
fn a_mounted_file_is_the_only_one_of_its_directory() {
    let scratch = Scratch::new("file");
    fs::write(scratch.path("outside/other"), "other").unwrap();
    let mut root = scratch.root(Access::ReadWrite);
    root.mount_file(
        b"/etc/secret",
        scratch.open("outside"),
        b"secret".to_vec(),
        Access::ReadOnly,
    );
    let root = whole(root);
    assert_eq!(read(&root, "etc/secret").as_deref(), Ok("secret"));
    assert_eq!(error(&root, "etc/other"), Errno::NOENT);
    assert_eq!(error(&root, "etc/secret/../other"), Errno::NOENT);
    assert_eq!(error(&root, "etc/secret/x"), Errno::NOTDIR);
    assert_eq!(root.place_to_change(b"etc/secret").err(), Some(Errno::ROFS));
    assert_eq!(root.place(b"etc/secret").err(), Some(Errno::BUSY));
}

#[test]
fn what_changes_a_name_never_follows_it() {
    let scratch = Scratch::new("place");
    symlink(scratch.path("outside"), scratch.path("root/link")).unwrap();
    let root = whole(scratch.root(Access::ReadWrite));
    let place = root.place_to_change(b"link/").unwrap();
    assert_eq!(place.name.to_bytes(), b"link");
    assert_eq!(place.check_directory().err(), Some(Errno::NOTDIR));
    for path in [&b"."[..], b"..", b"etc/.", b"etc/..", b"./"] {
        assert!(root.place(path).is_err(), "{path:?}");
    }
    assert_eq!(root.place(b"link/secret").err(), Some(Errno::NOENT));
}

#[test]
fn a_read_only_root_changes_no_name() {
    let scratch = Scratch::new("read-only");
    let root = whole(scratch.root(Access::ReadOnly));
    assert_eq!(root.place_to_change(b"new").err(), Some(Errno::ROFS));
    assert_eq!(read(&root, "etc/passwd").as_deref(), Ok("inside"));
}

#[test]
fn the_working_directory_is_looked_at_before_the_root() {
    let scratch = Scratch::new("workdir");
    fs::create_dir_all(scratch.path("root/app/lib")).unwrap();
    fs::write(scratch.path("root/app/own"), "own").unwrap();
    let root = Arc::new(scratch.root(Access::ReadWrite));
    let here = Directory::in_root(&root, b"/app", true);
    assert_eq!(read(&here, "own").as_deref(), Ok("own"));
    assert_eq!(read(&here, "etc/passwd").as_deref(), Ok("inside"));
    assert_eq!(read(&here, "../etc/passwd").as_deref(), Ok("inside"));
    assert_eq!(error(&here, "../../etc/passwd"), Errno::NOTCAPABLE);
    let place = here.place_to_change(b"new").unwrap();
    let parent =
        fs::read_link(Path::new("/proc/self/fd").join(place.parent.as_raw_fd().to_string())).unwrap();
    assert!(parent.ends_with("root/app"));
}
