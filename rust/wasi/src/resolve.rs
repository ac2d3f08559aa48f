//! Paths of the guest, resolved inside what it was given.
//!
//! # Theory of operation
//! A [`Directory`] is a base (a descriptor that the kernel is told not to leave) and a prefix below it. The
//! container's root and everything reached by name from it share one base, resolved with `RESOLVE_IN_ROOT`: an
//! absolute link in an image means the image's root, and `..` stops there. A volume is a base of its own,
//! resolved with `RESOLVE_BENEATH`: a link out of it is an error. A directory that the guest opened is a base of
//! its own too, also `RESOLVE_BENEATH`, for whoever holds it may only go down from it.
//!
//! Paths are looked at as text for two reasons only, neither of which safety rests on: to answer a path that
//! plainly climbs out with `ENOTCAPABLE` and not with the root itself, and to find the volume that is mounted at
//! a place of the root (there is no real mount; the kernel could not know).

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::abi::{check, Errno, Result};

/// Linux' PATH_MAX, its NUL included.
const MAX_PATH_BYTES: usize = 4096;

/// Whether a directory may be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// How the kernel is told to stay inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Containment {
    InRoot,
    Beneath,
}

/// Whose files these are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// The image's and the container's.
    Container,
    /// The user's, given as a volume.
    Volume,
}

/// A directory that is mounted somewhere in the container's root, in name only.
struct Mount {
    /// The components of the target.
    target: Vec<Vec<u8>>,
    directory: Directory,
    /// Only this file of the directory is mounted, and the target names it.
    file: Option<Vec<u8>>,
}

/// The container's root and what is mounted in it.
pub struct RootDirectory {
    base: Arc<OwnedFd>,
    access: Access,
    mounts: Vec<Mount>,
}

impl RootDirectory {
    /// Takes a directory as the root.
    pub fn new(directory: OwnedFd, access: Access) -> RootDirectory {
        RootDirectory {
            base: Arc::new(directory),
            access,
            mounts: Vec::new(),
        }
    }

    /// Mounts a directory at an absolute path of the guest; a later mount hides an earlier one.
    pub fn mount(&mut self, target: &[u8], source: OwnedFd, access: Access) {
        self.add(target, source, access, None);
    }

    /// Mounts one file of a directory at an absolute path of the guest.
    pub fn mount_file(&mut self, target: &[u8], parent: OwnedFd, name: Vec<u8>, access: Access) {
        self.add(target, parent, access, Some(name));
    }

    fn add(&mut self, target: &[u8], source: OwnedFd, access: Access, file: Option<Vec<u8>>) {
        let directory = Directory {
            base: Arc::new(source),
            access,
            origin: Origin::Volume,
            containment: Containment::Beneath,
            prefix: Vec::new(),
            root: None,
            ambiguous: false,
        };
        let target = components(target).map(<[u8]>::to_vec).collect();
        self.mounts.insert(
            0,
            Mount {
                target,
                directory,
                file,
            },
        );
        // The longest target first; the sort keeps later mounts before earlier ones of the same length.
        self.mounts
            .sort_by_key(|mount| std::cmp::Reverse(mount.target.len()));
    }
}

/// A directory of the guest.
#[derive(Clone)]
pub(crate) struct Directory {
    base: Arc<OwnedFd>,
    access: Access,
    origin: Origin,
    containment: Containment,
    /// Components below the base, joined by slashes.
    prefix: Vec<u8>,
    /// The root whose mounts may lie below.
    root: Option<Arc<RootDirectory>>,
    /// The guest's library may mean the root by it, see [`Directory::choose`].
    ambiguous: bool,
}

/// Where a path leads: a base, and a path below it for the kernel.
pub(crate) struct Target {
    base: Arc<OwnedFd>,
    containment: Containment,
    access: Access,
    origin: Origin,
    /// The path leads to a mount itself, whose name cannot be taken away.
    is_mountpoint: bool,
    path: Vec<u8>,
}

/// A place in a directory: the directory and one name in it, without slashes.
pub(crate) struct Place {
    pub parent: OwnedFd,
    pub name: CString,
    /// The guest's path ended with a slash: what is there must be a directory.
    pub must_be_directory: bool,
}

impl Directory {
    /// The directory at an absolute path of the root.
    pub fn in_root(root: &Arc<RootDirectory>, path: &[u8], ambiguous: bool) -> Directory {
        Directory {
            base: Arc::clone(&root.base),
            access: root.access,
            origin: Origin::Container,
            containment: Containment::InRoot,
            prefix: components(path).collect::<Vec<_>>().join(&b'/'),
            root: Some(Arc::clone(root)),
            ambiguous,
        }
    }

    /// A directory that the guest has opened.
    pub fn opened(directory: OwnedFd, access: Access, origin: Origin) -> Directory {
        Directory {
            base: Arc::new(directory),
            access,
            origin,
            containment: Containment::Beneath,
            prefix: Vec::new(),
            root: None,
            ambiguous: false,
        }
    }

    /// Whether the directory itself may be changed: it may lie in a mount with another access than its root's.
    pub fn is_writable(&self) -> bool {
        self.target(b".")
            .is_ok_and(|target| target.access == Access::ReadWrite)
    }

    /// Whether a path through it may lead to a place that may be changed.
    pub fn leads_to_writable(&self) -> bool {
        let mounts = self.root.as_ref().map_or(&[][..], |root| &root.mounts);
        let writable = |mount: &Mount| mount.directory.access == Access::ReadWrite;
        self.access == Access::ReadWrite || mounts.iter().any(writable)
    }

    /// Opens the directory itself, for listing and status.
    pub fn open_self(&self, flags: i32) -> Result<OwnedFd> {
        self.target(b".")?.open(flags | libc::O_DIRECTORY, 0)
    }

    /// Where a path of the guest leads.
    pub fn target(&self, path: &[u8]) -> Result<Target> {
        check_text(path)?;
        let directory = self.choose(path);
        let mut full = directory.prefix.clone();
        if !full.is_empty() {
            full.push(b'/');
        }
        full.extend_from_slice(path);
        if full.len() >= MAX_PATH_BYTES {
            return Err(Errno::NAMETOOLONG);
        }
        if climbs_out(&full) {
            return Err(Errno::NOTCAPABLE);
        }
        if let Some(target) = directory.root.as_ref().and_then(|root| mounted(root, &full)) {
            return Ok(target);
        }
        Ok(Target {
            base: Arc::clone(&directory.base),
            containment: directory.containment,
            access: directory.access,
            origin: directory.origin,
            is_mountpoint: false,
            path: full,
        })
    }

    /// wasi-libc takes `.` and `/` for the same directory and strips a path's leading slash, so that for the
    /// working directory's descriptor `etc/passwd` may be what the program called `/etc/passwd`. Where the first
    /// component is not in the working directory but is in the root, the root is meant.
    fn choose(&self, path: &[u8]) -> Directory {
        let (Some(root), true, Some(first)) = (&self.root, self.ambiguous, components(path).next()) else {
            return self.clone();
        };
        let certain = Directory {
            ambiguous: false,
            ..self.clone()
        };
        let whole = Directory::in_root(root, b"/", false);
        if first != b".." && !certain.has(first) && whole.has(first) {
            whole
        } else {
            certain
        }
    }

    fn has(&self, name: &[u8]) -> bool {
        self.target(name)
            .and_then(|target| target.open(libc::O_PATH | libc::O_NOFOLLOW, 0))
            .is_ok()
    }

    /// The parent and the name of a path, for calls that make, remove or move a name. The last component may not
    /// be `.` or `..`.
    pub fn place(&self, path: &[u8]) -> Result<Place> {
        let target = self.target(path)?;
        if target.is_mountpoint {
            return Err(Errno::BUSY);
        }
        let end = target
            .path
            .iter()
            .rposition(|&byte| byte != b'/')
            .map_or(0, |last| last + 1);
        let must_be_directory = end < target.path.len();
        let start = target.path[..end]
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |slash| slash + 1);
        let name = &target.path[start..end];
        if name.is_empty() || name == b"." || name == b".." {
            return Err(if path.is_empty() {
                Errno::NOENT
            } else {
                Errno::INVAL
            });
        }
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let parent_path = match &target.path[..start] {
            b"" => b".".to_vec(),
            parent => parent.to_vec(),
        };
        let parent = Target {
            path: parent_path,
            ..target
        }
        .open(libc::O_PATH | libc::O_DIRECTORY, 0)?;
        Ok(Place {
            parent,
            name,
            must_be_directory,
        })
    }

    /// As [`Directory::place`], refused where what the path leads to may not be changed.
    pub fn place_to_change(&self, path: &[u8]) -> Result<Place> {
        if self.target(path)?.access == Access::ReadOnly {
            return Err(Errno::ROFS);
        }
        self.place(path)
    }
}

impl Target {
    pub fn access(&self) -> Access {
        self.access
    }

    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Opens what the path leads to, inside the base. `O_CLOEXEC` is added.
    pub fn open(&self, flags: i32, mode: u32) -> Result<OwnedFd> {
        let path = CString::new(match self.path.as_slice() {
            b"" => b".".to_vec(),
            path => path.to_vec(),
        })
        .map_err(|_| Errno::INVAL)?;
        // SAFETY: all zeroes is a valid open_how.
        let mut how: libc::open_how = unsafe { std::mem::zeroed() };
        how.flags = (flags | libc::O_CLOEXEC) as u64;
        how.mode = u64::from(mode);
        how.resolve = libc::RESOLVE_NO_MAGICLINKS
            | match self.containment {
                Containment::InRoot => libc::RESOLVE_IN_ROOT,
                Containment::Beneath => libc::RESOLVE_BENEATH,
            };
        // EAGAIN: a rename somewhere raced the walk and the kernel could not prove that it stayed inside.
        for _ in 0..64 {
            // SAFETY: a terminated path, a struct of the size given, a live descriptor.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_openat2,
                    self.base.as_raw_fd(),
                    path.as_ptr(),
                    &how,
                    std::mem::size_of::<libc::open_how>(),
                )
            };
            match check(result as isize) {
                // SAFETY: a fresh descriptor that nobody else knows.
                Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
                Err(Errno::XDEV) => return Err(Errno::NOTCAPABLE),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::AGAIN)
    }
}

impl Place {
    /// Holds the promise of a trailing slash. Errors: `ENOTDIR`.
    pub fn check_directory(&self) -> Result {
        if !self.must_be_directory {
            return Ok(());
        }
        let status = crate::status::host_status_at(self.parent.as_raw_fd(), &self.name)?;
        if status.st_mode & libc::S_IFMT == libc::S_IFDIR {
            Ok(())
        } else {
            Err(Errno::NOTDIR)
        }
    }
}

/// The mount that holds a path of the root, and the path below it.
fn mounted(root: &RootDirectory, path: &[u8]) -> Option<Target> {
    if root.mounts.is_empty() {
        return None;
    }
    let mut normal: Vec<&[u8]> = Vec::new();
    for component in components(path) {
        match component {
            b".." => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    let found = root.mounts.iter().find(|mount| {
        normal.len() >= mount.target.len()
            && mount.target.iter().zip(&normal).all(|(a, b)| a.as_slice() == *b)
    })?;
    let is_mountpoint = normal.len() == found.target.len();
    let rest = found
        .file
        .as_deref()
        .into_iter()
        .chain(normal[found.target.len()..].iter().copied());
    let mut below = rest.collect::<Vec<_>>().join(&b'/');
    if path.ends_with(b"/") && !below.is_empty() {
        below.push(b'/');
    }
    Some(Target {
        base: Arc::clone(&found.directory.base),
        containment: Containment::Beneath,
        access: found.directory.access,
        origin: found.directory.origin,
        is_mountpoint,
        path: below,
    })
}

/// The components of a path, without empty ones and `.`.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|component| !component.is_empty() && *component != b".")
}

/// Whether the text alone leads above its beginning.
fn climbs_out(path: &[u8]) -> bool {
    let mut depth = 0i32;
    components(path).any(|component| {
        depth += if component == b".." { -1 } else { 1 };
        depth < 0
    })
}

fn check_text(path: &[u8]) -> Result {
    if path.len() >= MAX_PATH_BYTES {
        return Err(Errno::NAMETOOLONG);
    }
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    if path.contains(&0) {
        return Err(Errno::INVAL);
    }
    if path[0] == b'/' {
        return Err(Errno::NOTCAPABLE);
    }
    std::str::from_utf8(path).map(|_| ()).map_err(|_| Errno::ILSEQ)
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
