//! Mounts the container's root.

use core::ffi::CStr;

use formats::launch_plan::LaunchPlan;
use kernel_calls::namespaces::mount;
use kernel_calls::process::{change_directory, execute, exit, fork, put_at, Environment, Vector};
use kernel_calls::text::Text;
use kernel_calls::{events, files, time, Errno};

use crate::failure::Failure;
use crate::plan::{base_name, has_user_namespace};

/// mount(2) takes one page.
type Options = Text<4096>;

/// How long fuse-overlayfs may take until the mount is there.
const MOUNTER_TIMEOUT_NANOSECONDS: i64 = 10_000_000_000;

/// Mounts the plan's overlay on `root-path`, where the plan has one. Gives the pid of fuse-overlayfs where
/// that serves the mount.
///
/// The working directory is changed to the directory of the unpacked layers: relative names keep many layers
/// within the one page that mount(2) takes.
pub fn mount_root(plan: &LaunchPlan<'_>, environment: Environment) -> Result<Option<i32>, Failure> {
    if plan.optional("root-lower").is_none() {
        return Ok(None);
    }
    let options = options(plan)?;
    let target = plan.one("root-path");
    match plan
        .optional("root-mounter")
        .filter(|mounter| mounter.to_bytes() != b"native")
    {
        Some(mounter) => mount_by_program(mounter, target, options.c_str(), environment).map(Some),
        None => mount(c"overlay", target, c"overlay", 0, options.c_str())
            .map(|()| None)
            .map_err(|error| Failure::of(format_args!("the overlay cannot be mounted: {error}"))),
    }
}

fn options(plan: &LaunchPlan<'_>) -> Result<Options, Failure> {
    let parent = parent_of(plan.one("root-lower"));
    let shortened = change_directory(parent.c_str()).is_ok() && !parent.is_cut();
    let mut options = Options::new();
    options.push(b"lowerdir=");
    for (index, lower) in plan.all("root-lower").enumerate() {
        if index > 0 {
            options.push(b":");
        }
        let beside = shortened && parent_of(lower).bytes() == parent.bytes();
        push_escaped(
            &mut options,
            if beside {
                base_name(lower)
            } else {
                lower.to_bytes()
            },
        );
    }
    for (name, key) in [(&b",upperdir="[..], "root-upper"), (b",workdir=", "root-work")] {
        if let Some(path) = plan.optional(key) {
            options.push(name);
            push_escaped(&mut options, path.to_bytes());
        }
    }
    let by_kernel = plan
        .optional("root-mounter")
        .is_none_or(|mounter| mounter.to_bytes() == b"native");
    if has_user_namespace(plan) && by_kernel {
        options.push(b",userxattr");
    }
    if options.is_cut() {
        return Err(Failure::of(format_args!(
            "the image has more layers than one overlay mount can name"
        )));
    }
    Ok(options)
}

fn parent_of(path: &CStr) -> Text<1024> {
    let bytes = path.to_bytes();
    let mut parent = Text::new();
    parent.push(&bytes[..bytes.len() - base_name(path).len()]);
    parent
}

/// Colons and commas separate, so they are escaped in names (ovl_parse_opt and fuse-overlayfs agree).
fn push_escaped(options: &mut Options, path: &[u8]) {
    for &byte in path {
        if matches!(byte, b':' | b',' | b'\\') {
            options.push(b"\\");
        }
        options.push(&[byte]);
    }
}

fn mount_by_program(
    mounter: &CStr,
    target: &CStr,
    options: &CStr,
    environment: Environment,
) -> Result<i32, Failure> {
    let failed = |error: Errno| Failure::of(format_args!("fuse-overlayfs cannot be started: {error}"));
    let before = files::device_of(target).map_err(failed)?;
    // SAFETY: one thread, no C library.
    let pid = unsafe { fork() }.map_err(failed)?;
    if pid == 0 {
        exit(become_mounter(mounter, target, options, environment));
    }
    let deadline = time::now(time::Clock::Monotonic) + MOUNTER_TIMEOUT_NANOSECONDS;
    while files::device_of(target).map_err(failed)? == before {
        if kernel_calls::process::has_ended(pid) || time::now(time::Clock::Monotonic) > deadline {
            let _ = kernel_calls::process::kill(pid, libc::SIGKILL);
            return Err(Failure::of(format_args!(
                "fuse-overlayfs did not mount the container's root"
            )));
        }
        let _ = events::poll(&mut [], Some(2_000_000));
    }
    Ok(pid)
}

/// In the child: fuse-overlayfs in the foreground, without the container's streams.
fn become_mounter(mounter: &CStr, target: &CStr, options: &CStr, environment: Environment) -> i32 {
    let Ok(null) = files::open(c"/dev/null", libc::O_RDWR, 0) else {
        return 125;
    };
    for number in 0..3 {
        if put_at(null.raw(), number).is_err() {
            return 125;
        }
    }
    let mut arguments = Vector::<8>::new();
    let filled = arguments.extend([mounter, c"-f", c"-o", options, target]);
    let unblocked = events::block_signals(events::SignalSet::EMPTY);
    if filled.is_ok() && unblocked.is_ok() {
        execute(mounter, &arguments, environment);
    }
    127
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_names_are_escaped() {
        let mut options = Options::new();
        push_escaped(&mut options, b"/a:b,c\\d");
        assert_eq!(options.bytes(), b"/a\\:b\\,c\\\\d");
    }

    #[test]
    fn parents() {
        assert_eq!(parent_of(c"/a/b/c").bytes(), b"/a/b/");
        assert_eq!(parent_of(c"/c").bytes(), b"/");
    }
}
