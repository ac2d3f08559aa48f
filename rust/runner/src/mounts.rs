//! Namespaces and mounts.
//!
//! Mounts are made detached (fsopen, fsmount): they hang on a descriptor and on no path. So root needs no mount
//! namespace for them, which would cost some 20 kB for each container, and nobody else ever sees them; they go
//! with the process. A user needs a namespace all the same, to have the right to mount in it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use formats::launch_plan::LaunchPlan;
use formats::state_file::confinement;

use crate::failure::{check, last_error, shown, Failure};
use crate::startup;

// From linux/mount.h.
const FSOPEN_CLOEXEC: u32 = 1;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSMOUNT_CLOEXEC: u32 = 1;
const MOUNT_ATTR_NOSUID: u32 = 2;
const MOUNT_ATTR_NODEV: u32 = 4;
/// The kernel's limit of one string option, its NUL included.
const OPTION_BYTES: usize = 256;

/// Enters the network namespace of the plan, if it has one, through the user namespace that owns it. A user then
/// enters a user namespace of its own, below that one where it is in it, which maps one id, and a mount namespace
/// where something is to be mounted. Gives the bits of what holds. Root enters no namespace of its own.
///
/// Errors: where the plan's namespaces cannot be entered, and where own ones are needed and not to be had: for
/// mounting, and below a shared one, whose root the guest must not stay.
pub fn enter_namespaces(plan: &LaunchPlan<'_>) -> Result<u32, Failure> {
    let shared = plan.optional("user-namespace");
    if let Some(path) = plan.optional("held-namespace") {
        // Open for as long as this process lives: it keeps the network where the bridges are.
        std::mem::forget(open_namespace(path)?);
    }
    if let Some(path) = shared {
        join(open_namespace(path)?.raw(), libc::CLONE_NEWUSER, path)?;
    }
    if let Some(path) = plan.optional("network-namespace") {
        join(open_namespace(path)?.raw(), libc::CLONE_NEWNET, path)?;
    }
    if let Some(number) = startup::network_descriptor(plan) {
        join(number, libc::CLONE_NEWNET, c"of the network")?;
        kernel_calls::files::close(number);
    }
    // SAFETY: plain queries.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    if user == 0 && shared.is_none() {
        return Ok(0);
    }
    let mounting = plan.one("root").to_bytes() == b"overlay" || plan.tmpfs().next().is_some();
    let mut flags = libc::CLONE_NEWUSER;
    let mut held = confinement::USER_NAMESPACE;
    if mounting {
        flags |= libc::CLONE_NEWNS;
        held |= confinement::MOUNT_NAMESPACE;
    }
    // SAFETY: this process has one thread.
    if unsafe { libc::unshare(flags) } < 0 {
        if !mounting && shared.is_none() {
            return Ok(0);
        }
        let failure = Failure::system("make the namespaces that the container needs");
        return Err(if mounting {
            failure.with_hint(
                "user namespaces are forbidden here; use --read-only, or a volume instead of --tmpfs",
            )
        } else {
            failure.with_hint("user namespaces are forbidden here; --network none needs none")
        });
    }
    map_ids(plan, user, group)?;
    Ok(held)
}

fn open_namespace(path: &CStr) -> Result<kernel_calls::Fd, Failure> {
    kernel_calls::files::open(path, libc::O_RDONLY, 0)
        .map_err(|error| Failure::own(format!("cannot open the namespace {}: {error}", shown(path))))
}

fn join(namespace: RawFd, kind: i32, name: &CStr) -> Result<(), Failure> {
    kernel_calls::namespaces::join(namespace, kind)
        .map_err(|error| Failure::own(format!("cannot enter the namespace {}: {error}", shown(name))))
}

fn map_ids(plan: &LaunchPlan<'_>, user: u32, group: u32) -> Result<(), Failure> {
    let number = |key| plan.number(key).unwrap_or(0);
    let files: [(&CStr, String); 3] = [
        (c"/proc/self/setgroups", "deny".into()),
        (c"/proc/self/uid_map", format!("{} {user} 1", number("user-id"))),
        (c"/proc/self/gid_map", format!("{} {group} 1", number("group-id"))),
    ];
    for (path, text) in files {
        kernel_calls::files::open(path, libc::O_WRONLY, 0)
            .and_then(|file| kernel_calls::files::write_all(file.raw(), text.as_bytes()))
            .map_err(|error| Failure::own(format!("cannot write {}: {error}", shown(path))))?;
    }
    Ok(())
}

/// A file system that is being configured.
struct Configuration {
    descriptor: OwnedFd,
    name: &'static CStr,
}

impl Configuration {
    fn open(name: &'static CStr) -> Result<Configuration, Failure> {
        // SAFETY: a terminated name.
        let result = unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), FSOPEN_CLOEXEC) };
        let descriptor = check(
            result,
            format_args!("mount a file system of type {}", shown(name)),
        )?;
        // SAFETY: fresh, nobody else knows it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) };
        Ok(Configuration { descriptor, name })
    }

    fn configure(&self, command: u32, key: Option<&CStr>, value: Option<&CStr>) -> Result<(), Failure> {
        let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: null or terminated strings, as the command wants them.
        let result = unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                self.descriptor.as_raw_fd(),
                command,
                pointer(key),
                pointer(value),
                0,
            )
        };
        if result >= 0 {
            return Ok(());
        }
        let error = last_error();
        let told = self.message().unwrap_or_else(|| error.to_string());
        Err(Failure::own(format!(
            "cannot mount a file system of type {}: {told}",
            shown(self.name)
        )))
    }

    fn set(&self, key: &CStr, value: &CStr) -> Result<(), Failure> {
        self.configure(FSCONFIG_SET_STRING, Some(key), Some(value))
    }

    /// The kernel's own words for the last error: `e overlay: …`.
    fn message(&self) -> Option<String> {
        let mut text = [0u8; 256];
        let length = kernel_calls::files::read(self.descriptor.as_raw_fd(), &mut text).ok()?;
        let text = std::str::from_utf8(text.get(2..length)?).ok()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn mount(self) -> Result<OwnedFd, Failure> {
        self.configure(FSCONFIG_CMD_CREATE, None, None)?;
        let attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
        // SAFETY: a plain call on a live descriptor.
        let result = unsafe {
            libc::syscall(
                libc::SYS_fsmount,
                self.descriptor.as_raw_fd(),
                FSMOUNT_CLOEXEC,
                attributes,
            )
        };
        let mounted = check(
            result,
            format_args!("mount a file system of type {}", shown(self.name)),
        )?;
        // SAFETY: fresh, nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(mounted as RawFd) })
    }
}

/// The container's root as an overlay of its image's layers and its own upper directory.
pub fn overlay(plan: &LaunchPlan<'_>) -> Result<OwnedFd, Failure> {
    let missing = || Failure::own("the launch plan asks for an overlay without its directories");
    let (upper, work) = (plan.optional("root-upper"), plan.optional("root-work"));
    let (upper, work) = (upper.ok_or_else(missing)?, work.ok_or_else(missing)?);
    // Descriptors instead of paths: an option is at most 255 bytes, and colons need no escaping.
    let lowers: Vec<OwnedFd> = plan.all("root-lower").map(open_layer).collect::<Result<_, _>>()?;
    if lowers.is_empty() {
        return Err(missing());
    }
    let (upper, work) = (open_layer(upper)?, open_layer(work)?);
    let configuration = Configuration::open(c"overlay")?;
    let joined = lowers.iter().map(magic_path).collect::<Vec<_>>().join(&b':');
    if joined.len() < OPTION_BYTES {
        configuration.set(c"lowerdir", &terminated(joined)?)?;
    } else {
        for layer in &lowers {
            configuration.set(c"lowerdir+", &terminated(magic_path(layer))?)?;
        }
    }
    configuration.set(c"upperdir", &terminated(magic_path(&upper))?)?;
    configuration.set(c"workdir", &terminated(magic_path(&work))?)?;
    // SAFETY: a plain query.
    let in_user_namespace = is_mapped() || unsafe { libc::geteuid() } != 0;
    if in_user_namespace {
        // Without the right to trusted.* attributes, overlayfs keeps its marks in user.* ones.
        configuration.configure(FSCONFIG_SET_FLAG, Some(c"userxattr"), None)?;
    }
    configuration.mount()
}

/// Whether this process is in a user namespace that maps less than everything.
fn is_mapped() -> bool {
    let mut text = [0u8; 64];
    let read = kernel_calls::files::open(c"/proc/self/uid_map", libc::O_RDONLY, 0)
        .and_then(|file| kernel_calls::files::read(file.raw(), &mut text));
    let Ok(length) = read else { return false };
    let whole = String::from_utf8_lossy(&text[..length]);
    whole.split_whitespace().nth(2) != Some("4294967295")
}

fn open_layer(path: &CStr) -> Result<OwnedFd, Failure> {
    // SAFETY: a terminated path.
    let descriptor = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) };
    check(
        i64::from(descriptor),
        format_args!("open the layer {}", shown(path)),
    )?;
    // SAFETY: fresh, nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn magic_path(directory: &OwnedFd) -> Vec<u8> {
    format!("/proc/self/fd/{}", directory.as_raw_fd()).into_bytes()
}

fn terminated(bytes: Vec<u8>) -> Result<CString, Failure> {
    CString::new(bytes).map_err(|_| Failure::own("a mount option has a NUL in it"))
}

/// An empty file system in memory; of 0 bytes: of the kernel's default size.
pub fn tmpfs(size_bytes: u64) -> Result<OwnedFd, Failure> {
    let configuration = Configuration::open(c"tmpfs")?;
    configuration.set(c"mode", c"1777")?;
    if size_bytes > 0 {
        configuration.set(c"size", &terminated(size_bytes.to_string().into_bytes())?)?;
    }
    configuration.mount()
}

/// Makes a directory and its parents inside a root, as far as that is possible; links on the way stay inside.
pub fn make_directories(root: RawFd, path: &[u8]) {
    let components = path
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".");
    let mut parent = b".".to_vec();
    for component in components {
        let (Ok(directory), Ok(name)) = (CString::new(parent.clone()), CString::new(component)) else {
            return;
        };
        // SAFETY: all zeroes is a valid open_how.
        let mut how: libc::open_how = unsafe { std::mem::zeroed() };
        how.flags = (libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) as u64;
        how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
        let size = std::mem::size_of::<libc::open_how>();
        // SAFETY: terminated path, a struct of the size given; the descriptor is fresh where there is one.
        unsafe {
            let opened = libc::syscall(libc::SYS_openat2, root, directory.as_ptr(), &how, size);
            if opened < 0 {
                return;
            }
            let opened = OwnedFd::from_raw_fd(opened as RawFd);
            // It may be there already.
            libc::mkdirat(opened.as_raw_fd(), name.as_ptr(), 0o755);
        }
        parent.push(b'/');
        parent.extend_from_slice(component);
    }
}
