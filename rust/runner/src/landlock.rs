//! Landlock: the process may reach the files that it was given, and no others.

use wasi::Access;

use crate::files::Grant;

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;

// Rights of linux/landlock.h, with the version of the interface that brought them.
const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
/// Everything of the first version: execute to make_sym.
const FIRST_VERSION: u64 = (1 << 13) - 1;
const REFER: (i64, u64) = (2, 1 << 13);
const TRUNCATE: (i64, u64) = (3, 1 << 14);
const IOCTL_DEVICE: (i64, u64) = (5, 1 << 15);
/// Rights that a rule on something other than a directory may hold.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE.1 | IOCTL_DEVICE.1;

const NETWORK_VERSION: i64 = 4;
const BIND_TCP: u64 = 1;
const CONNECT_TCP: u64 = 2;
const SCOPE_VERSION: i64 = 6;
/// Abstract sockets and signals beyond the own domain.
const SCOPES: u64 = 3;

#[repr(C)]
#[derive(Default)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// Rules that are ready to be enforced.
pub struct Ruleset {
    descriptor: i32,
}

impl Ruleset {
    /// Enforces the rules on this process for good. Needs `no_new_privs`. Gives whether they hold.
    pub fn enforce(self) -> bool {
        // SAFETY: a plain call on a live descriptor.
        let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.descriptor, 0) };
        kernel_calls::files::close(self.descriptor);
        result == 0
    }
}

/// The newest version of the interface that the kernel has; `None` without Landlock.
fn version() -> Option<i64> {
    let none = std::ptr::null::<RulesetAttributes>();
    // SAFETY: with this flag the kernel wants no struct.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, CREATE_RULESET_VERSION) };
    (version > 0).then_some(version)
}

/// Makes rules that allow the grants and nothing else. `None` where the kernel has no Landlock, or where a rule
/// cannot be added (what the container was given must stay reachable). Which addresses the guest uses is not for these
/// rules, which know ports and no addresses; `makes_sockets` says whether it may use any but those of what it was given.
pub fn prepare(grants: &[Grant], makes_sockets: bool) -> Option<Ruleset> {
    let version = version()?;
    let mut handled = FIRST_VERSION;
    for (since, right) in [REFER, TRUNCATE, IOCTL_DEVICE] {
        if version >= since {
            handled |= right;
        }
    }
    let network = if makes_sockets { 0 } else { BIND_TCP | CONNECT_TCP };
    let attributes = RulesetAttributes {
        handled_access_fs: handled,
        handled_access_net: if version >= NETWORK_VERSION { network } else { 0 },
        scoped: if version >= SCOPE_VERSION { SCOPES } else { 0 },
    };
    // Older kernels know a shorter struct; longer ones must be zero beyond, which `scoped` then is.
    let size = match version {
        1..=3 => 8,
        4..=5 => 16,
        _ => std::mem::size_of::<RulesetAttributes>(),
    };
    // SAFETY: a live struct of at least the size given.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &attributes, size, 0) };
    let ruleset = Ruleset {
        descriptor: i32::try_from(result).ok().filter(|descriptor| *descriptor >= 0)?,
    };
    for grant in grants {
        if !allow(&ruleset, grant, handled) {
            kernel_calls::files::close(ruleset.descriptor);
            return None;
        }
    }
    Some(ruleset)
}

fn allow(ruleset: &Ruleset, grant: &Grant, handled: u64) -> bool {
    let wanted = match grant.access {
        Access::ReadOnly => READ_FILE | READ_DIR | IOCTL_DEVICE.1,
        // Nothing is executed, and no devices are made.
        Access::ReadWrite => !(EXECUTE | MAKE_CHAR | MAKE_BLOCK),
    };
    let possible = if is_directory(grant.descriptor) {
        handled
    } else {
        handled & OF_FILES
    };
    let rule = PathBeneath {
        allowed_access: wanted & possible,
        parent_fd: grant.descriptor,
    };
    // SAFETY: a live struct of the type that the rule's kind wants.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.descriptor,
            RULE_PATH_BENEATH,
            &rule,
            0,
        )
    };
    result == 0
}

fn is_directory(descriptor: i32) -> bool {
    kernel_calls::files::status(descriptor).is_ok_and(|status| status.mode & libc::S_IFMT == libc::S_IFDIR)
}
