//! Giving up rights, so that a guest that breaks out of the engine finds nothing.
//!
//! Each step says in the state file that it holds; a kernel without one of them runs the container with the
//! others. What must never fail silently does not: becoming another user, dropping capabilities, limits.

use formats::launch_plan::{LaunchPlan, Rlimit};
use formats::state_file::confinement;

use crate::failure::{check, Failure};
use crate::files::Opened;
use crate::filter::Sockets;
use crate::{filter, landlock, network};

/// Confines the process. Nothing may be opened by path after this but what Landlock's grants cover.
pub fn restrict(plan: &LaunchPlan<'_>, opened: &Opened) -> Result<(), Failure> {
    let state = opened.state;
    set_limits(plan)?;
    let ruleset = landlock::prepare(&opened.grants, network::makes_sockets(plan));
    close_temporary(opened);
    // SAFETY: a plain query.
    let root = unsafe { libc::geteuid() } == 0 && !in_own_namespace(opened);
    drop_bounding_set();
    if root {
        become_user(plan)?;
    }
    drop_capabilities()?;
    state.add_confinement(confinement::CAPABILITIES_DROPPED);
    // SAFETY: prctl with constant arguments.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    check(i64::from(result), "give up new privileges")?;
    state.add_confinement(confinement::NO_NEW_PRIVILEGES);
    if ruleset.is_some_and(landlock::Ruleset::enforce) {
        state.add_confinement(confinement::LANDLOCK);
    }
    if !root {
        // Entering a namespace made the process invisible to the user whose it is: no figures for `stats`.
        // SAFETY: prctl with constant arguments.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
    }
    let sockets = if network::makes_sockets(plan) {
        Sockets::Connecting
    } else if plan.listeners().next().is_some() {
        Sockets::Given
    } else {
        Sockets::None
    };
    if filter::install(sockets) {
        state.add_confinement(confinement::SECCOMP);
    }
    Ok(())
}

fn in_own_namespace(opened: &Opened) -> bool {
    opened.state.snapshot().confinement & confinement::USER_NAMESPACE != 0
}

/// Files of volumes were opened for Landlock's rules only.
fn close_temporary(opened: &Opened) {
    for grant in opened.grants.iter().filter(|grant| grant.temporary) {
        kernel_calls::files::close(grant.descriptor);
    }
}

/// Limits of the plan; core dumps would write the guest's memory into the host's file system.
fn set_limits(plan: &LaunchPlan<'_>) -> Result<(), Failure> {
    let mut core = true;
    for limit in plan.rlimits() {
        core &= limit.name != b"core";
        set_limit(&limit)?;
    }
    if core {
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: a live struct.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
    }
    Ok(())
}

fn set_limit(limit: &Rlimit<'_>) -> Result<(), Failure> {
    let name = String::from_utf8_lossy(limit.name).into_owned();
    let resource = match limit.name {
        b"as" => libc::RLIMIT_AS,
        b"core" => libc::RLIMIT_CORE,
        b"cpu" => libc::RLIMIT_CPU,
        b"data" => libc::RLIMIT_DATA,
        b"fsize" => libc::RLIMIT_FSIZE,
        b"locks" => libc::RLIMIT_LOCKS,
        b"memlock" => libc::RLIMIT_MEMLOCK,
        b"msgqueue" => libc::RLIMIT_MSGQUEUE,
        b"nice" => libc::RLIMIT_NICE,
        b"nofile" => libc::RLIMIT_NOFILE,
        b"nproc" => libc::RLIMIT_NPROC,
        b"rss" => libc::RLIMIT_RSS,
        b"rtprio" => libc::RLIMIT_RTPRIO,
        b"rttime" => libc::RLIMIT_RTTIME,
        b"sigpending" => libc::RLIMIT_SIGPENDING,
        b"stack" => libc::RLIMIT_STACK,
        _ => return Err(Failure::own(format!("there is no limit of the name {name}"))),
    };
    let value = libc::rlimit {
        rlim_cur: limit.soft,
        rlim_max: limit.hard,
    };
    // SAFETY: a live struct.
    check(
        i64::from(unsafe { libc::setrlimit(resource, &value) }),
        format_args!("set the limit {name}"),
    )
    .map(|_| ())
}

/// As root: groups, group and user of the plan. From user 0 too the capabilities go, below.
fn become_user(plan: &LaunchPlan<'_>) -> Result<(), Failure> {
    let number = |key| plan.number(key).and_then(|number| u32::try_from(number).ok());
    let wrong = || Failure::own("a user or group id is out of range");
    let (user, group) = (
        number("user-id").ok_or_else(wrong)?,
        number("group-id").ok_or_else(wrong)?,
    );
    let groups: Vec<u32> = plan
        .all("supplementary-group")
        .filter_map(|text| text.to_str().ok()?.parse().ok())
        .collect();
    // exec of a set-user-id program is impossible anyway; this holds for user 0 as such.
    let bits = libc::SECBIT_NOROOT
        | libc::SECBIT_NOROOT_LOCKED
        | libc::SECBIT_NO_SETUID_FIXUP_LOCKED
        | libc::SECBIT_KEEP_CAPS_LOCKED
        | libc::SECBIT_NO_CAP_AMBIENT_RAISE
        | libc::SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    // SAFETY: plain calls; the array is as long as is said.
    unsafe {
        // Refused where this root lacks the capability, who then has few others to lose.
        libc::prctl(libc::PR_SET_SECUREBITS, bits, 0, 0, 0);
        check(
            i64::from(libc::setgroups(groups.len(), groups.as_ptr())),
            "set the supplementary groups",
        )?;
        check(
            i64::from(libc::setresgid(group, group, group)),
            format_args!("become group {group}"),
        )?;
        check(
            i64::from(libc::setresuid(user, user, user)),
            format_args!("become user {user}"),
        )?;
    }
    Ok(())
}

/// Empties the set of capabilities that exec could give. Fails without a capability to lose.
fn drop_bounding_set() {
    for capability in 0..=63 {
        // SAFETY: prctl with plain arguments; numbers beyond the kernel's last are an error without effect.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            break;
        }
    }
}

/// `struct __user_cap_header_struct` and two `struct __user_cap_data_struct`.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

fn drop_capabilities() -> Result<(), Failure> {
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let nothing = [0u32; 6];
    // SAFETY: the structs of version 3: effective, permitted and inheritable, twice.
    let result = unsafe { libc::syscall(libc::SYS_capset, &header, nothing.as_ptr()) };
    check(result, "drop the capabilities")?;
    // SAFETY: prctl with constant arguments.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    Ok(())
}
