//! Opening what the container was given: state file, log, root, volumes, standard streams.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex};

use container_log::LogWriter;
use formats::launch_plan::{LaunchPlan, Volume};
use formats::log_line::Stream;
use formats::state_file::{own_identity, Kind, LimitHit, StateError, StateFile};
use wasi::{Access, Context, ContextBuilder, RootDirectory};

use crate::entry;
use crate::failure::{shown, Failure};
use crate::load::Loaded;
use crate::output::Output;
use crate::{mounts, network};

/// A directory or file that the confined process goes on using, for Landlock.
pub struct Grant {
    pub descriptor: RawFd,
    pub access: Access,
    /// Open for Landlock's sake only, to be closed when the rules are made.
    pub temporary: bool,
}

/// What has been opened.
pub struct Opened {
    pub context: Context,
    pub state: &'static StateFile,
    pub output: Output,
    pub grants: Vec<Grant>,
    pub timeout: Option<u64>,
}

/// Opens everything in the plan, with the rights of whoever started this; namespaces are entered on the way.
pub fn open(plan: &LaunchPlan<'_>, loaded: &Loaded) -> Result<Opened, Failure> {
    let state = open_state(plan)?;
    describe_engine(state, loaded);
    let mut grants = Vec::new();
    let log = open_log(plan, &mut grants)?;
    let output = Output {
        log,
        terminal: plan.flag("terminal"),
        state,
    };
    state.add_confinement(mounts::enter_namespaces(plan)?);
    let root = open_root(plan, &mut grants)?;
    // SAFETY: descriptor 0 is open (startup) and nothing else owns it.
    let input = unsafe { OwnedFd::from_raw_fd(0) };
    let builder = ContextBuilder::new(input, output.sink(Stream::Stdout), output.sink(Stream::Stderr))
        .arguments(plan.all("argument").map(|value| value.to_bytes().to_vec()))
        .environment(environment(plan))
        .memory_watcher(Box::new(|bytes| state.set_linear_memory_used(bytes)));
    let context = network::add(plan, &output, builder)?
        .root(root, plan.one("workdir").to_bytes())
        .map_err(|_| Failure::own("the working directory's path is too long"))?
        .build();
    Ok(Opened {
        context,
        state,
        output,
        grants,
        timeout: plan.number("timeout-seconds"),
    })
}

/// What the plan says, and which ports the guest has: the descriptors from 3 on (sd_listen_fds(3)).
fn environment(plan: &LaunchPlan<'_>) -> Vec<Vec<u8>> {
    let mut variables: Vec<Vec<u8>> = plan
        .all("environment")
        .map(|value| value.to_bytes().to_vec())
        .collect();
    let ports = network::ports(plan);
    if !ports.is_empty() {
        let names: Vec<&[u8]> = ports.iter().map(|port| port.name).collect();
        variables.push(format!("LISTEN_FDS={}", names.len()).into_bytes());
        variables.push([b"LISTEN_FDNAMES=", names.join(&b":"[..]).as_slice()].concat());
    }
    variables
}

/// Opens, locks and begins the state file. It lives as long as the process: signal handlers store into it.
fn open_state(plan: &LaunchPlan<'_>) -> Result<&'static StateFile, Failure> {
    let told = |error: StateError| Failure::own(error.to_string());
    let state = StateFile::open_near(plan.one("state"), entry::state_address()).map_err(told)?;
    state.lock().map_err(told)?;
    state.begin(Kind::Wasm).map_err(told)?;
    let (pid, start) =
        own_identity().map_err(|error| Failure::own(format!("cannot read /proc/self/stat: {error}")))?;
    state.set_main_process(pid, start);
    Ok(Box::leak(Box::new(state)))
}

fn describe_engine(state: &'static StateFile, loaded: &Loaded) {
    state.set_engine(loaded.engine, loaded.code.0, loaded.code.1);
    if let Some((address, used, max)) = loaded.instance.memory_figures() {
        state.set_linear_memory(address, used, max);
        wamr::watch_refused_growth(Box::new(move |used| {
            state.set_linear_memory_used(used);
            state.add_limit_hit(LimitHit::GuestPages, used, max);
        }));
    }
    if let Some(reason) = &loaded.interpreter_reason {
        state.set_reason(reason);
    }
}

fn open_log(
    plan: &LaunchPlan<'_>,
    grants: &mut Vec<Grant>,
) -> Result<Option<Arc<Mutex<LogWriter>>>, Failure> {
    let Some(path) = plan.optional("log-directory") else {
        return Ok(None);
    };
    let refused = |error| Failure::own(format!("cannot open the log in {}: {error}", shown(path)));
    let directory = kernel_calls::files::open(path, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)
        .map_err(refused)?;
    give_to_user(plan, directory.raw());
    grants.push(Grant {
        descriptor: directory.raw(),
        access: Access::ReadWrite,
        temporary: false,
    });
    let max_bytes = plan
        .number("log-max-bytes")
        .unwrap_or(container_log::DEFAULT_MAX_BYTES);
    let log = LogWriter::open_in(directory, max_bytes).map_err(refused)?;
    Ok(Some(Arc::new(Mutex::new(log))))
}

/// Where root becomes another user, that one must still be able to rotate the log.
fn give_to_user(plan: &LaunchPlan<'_>, directory: RawFd) {
    let id = |key| {
        plan.number(key)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(0)
    };
    // SAFETY: plain calls on a live descriptor.
    unsafe {
        if libc::geteuid() == 0 && id("user-id") != 0 {
            libc::fchown(directory, id("user-id"), id("group-id"));
        }
    }
}

fn open_root(plan: &LaunchPlan<'_>, grants: &mut Vec<Grant>) -> Result<RootDirectory, Failure> {
    let path = plan.one("root-path");
    let (directory, access) = match plan.one("root").to_bytes() {
        b"overlay" => (mounts::overlay(plan)?, Access::ReadWrite),
        b"copy" => (open_directory(path, "the container's root")?, Access::ReadWrite),
        _ => (open_directory(path, "the container's root")?, Access::ReadOnly),
    };
    let descriptor = directory.as_raw_fd();
    grants.push(Grant {
        descriptor,
        access,
        temporary: false,
    });
    let mut root = RootDirectory::new(directory, access);
    for tmpfs in plan.tmpfs() {
        let mounted = mounts::tmpfs(tmpfs.size_bytes)?;
        grants.push(Grant {
            descriptor: mounted.as_raw_fd(),
            access: Access::ReadWrite,
            temporary: false,
        });
        root.mount(tmpfs.target, mounted, Access::ReadWrite);
        show_mountpoint(descriptor, access, tmpfs.target);
    }
    for volume in plan.volumes() {
        mount_volume(&mut root, &volume, grants)?;
        show_mountpoint(descriptor, access, volume_directory(&volume));
    }
    show_mountpoint(descriptor, access, plan.one("workdir").to_bytes());
    Ok(root)
}

/// The directory that must be there for a volume to be seen: its target, or the target's parent.
fn volume_directory<'a>(volume: &Volume<'a>) -> &'a [u8] {
    if volume.directory {
        return volume.target;
    }
    let slash = volume.target.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    &volume.target[..slash]
}

/// Makes the directories of a mount's target, so that listings show it. The mount itself works without; in a
/// read-only root it is found by its name only.
fn show_mountpoint(root: RawFd, access: Access, target: &[u8]) {
    if access == Access::ReadWrite {
        mounts::make_directories(root, target);
    }
}

fn mount_volume(
    root: &mut RootDirectory,
    volume: &Volume<'_>,
    grants: &mut Vec<Grant>,
) -> Result<(), Failure> {
    let access = if volume.read_only {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    let source = CString::new(volume.source).map_err(|_| Failure::own("a volume's path has a NUL in it"))?;
    if volume.directory {
        let directory = open_directory(&source, "the volume")?;
        grants.push(Grant {
            descriptor: directory.as_raw_fd(),
            access,
            temporary: false,
        });
        root.mount(volume.target, directory, access);
        return Ok(());
    }
    let (parent, name) = split_file(&source)?;
    // Landlock gets the file alone, although the way to it is its directory.
    let file = open_path(&source, 0, "the volume")?;
    grants.push(Grant {
        descriptor: file.into_raw_fd(),
        access,
        temporary: true,
    });
    root.mount_file(volume.target, parent, name, access);
    Ok(())
}

/// The directory of a file, without links on the way, and the file's name.
fn split_file(source: &CStr) -> Result<(OwnedFd, Vec<u8>), Failure> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let path = std::ffi::OsStr::from_bytes(source.to_bytes());
    let real = std::fs::canonicalize(path)
        .map_err(|_| Failure::system(format!("open the volume {}", shown(source))))?;
    let real = real.into_os_string().into_vec();
    let slash = real.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    let parent =
        CString::new(&real[..slash.max(1)]).map_err(|_| Failure::own("a volume's path has a NUL in it"))?;
    Ok((open_directory(&parent, "the volume")?, real[slash + 1..].to_vec()))
}

fn open_directory(path: &CStr, what: &str) -> Result<OwnedFd, Failure> {
    open_path(path, libc::O_DIRECTORY, what)
}

fn open_path(path: &CStr, flags: i32, what: &str) -> Result<OwnedFd, Failure> {
    // SAFETY: a terminated path.
    let descriptor = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC | flags) };
    if descriptor < 0 {
        return Err(Failure::system(format!("open {what} {}", shown(path))));
    }
    // SAFETY: fresh, nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
