//! The first steps: descriptors, session, cgroups, and the readiness pipe.

use std::ffi::{CString, OsString};
use std::fmt::Write as _;

use formats::launch_plan::LaunchPlan;

use crate::failure::{check, shown, Failure};

/// The descriptor that the command line names.
pub fn plan_descriptor(arguments: impl Iterator<Item = OsString>) -> Result<i32, Failure> {
    let words: Vec<OsString> = arguments.skip(1).collect();
    let number = match words.as_slice() {
        [word] => word
            .to_str()
            .and_then(|text| text.parse::<i32>().ok())
            .filter(|number| *number > 2),
        _ => None,
    };
    number.ok_or_else(|| Failure::own("usage: wpod-runner FD (the descriptor of a sealed launch plan)"))
}

/// Opens /dev/null wherever one of the descriptors 0 to 2 is closed: the next file opened would take its place,
/// and the guest's output would land in it.
pub fn complete_standard_streams() {
    for number in 0..=2 {
        // SAFETY: plain queries; open takes the lowest free number, which is this one.
        unsafe {
            if libc::fcntl(number, libc::F_GETFD) < 0 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
}

/// The pipe through which the one word of readiness goes.
#[derive(Clone, Copy)]
pub struct ReadyPipe {
    descriptor: i32,
    /// Which of several containers speaks; `None` where there is one, or where it goes for all.
    member: Option<usize>,
}

impl ReadyPipe {
    /// Takes over the plan's descriptor.
    pub fn take(plan: &LaunchPlan<'_>) -> ReadyPipe {
        let descriptor = plan
            .number("ready-fd")
            .and_then(|number| i32::try_from(number).ok())
            .unwrap_or(-1);
        // SAFETY: a plain call; a wrong descriptor is an error without effect.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
        ReadyPipe {
            descriptor,
            member: None,
        }
    }

    /// The same pipe for one of several containers, counted from 0.
    pub fn of_member(self, number: usize) -> ReadyPipe {
        ReadyPipe {
            member: Some(number),
            ..self
        }
    }

    /// One write, which a pipe takes whole or not at all up to PIPE_BUF (pipe(7)): others write to it as well.
    fn tell(&self, words: &str) {
        let message = match self.member {
            Some(number) => {
                let mut record = format!("{number}:{words}");
                let mut end = record.len().min(libc::PIPE_BUF - 1);
                while !record.is_char_boundary(end) {
                    end -= 1;
                }
                record.truncate(end);
                record.push('\0');
                record
            }
            None => words.to_owned(),
        };
        // Whoever started this may be gone; the container runs all the same.
        let _ = kernel_calls::files::write_all(self.descriptor, message.as_bytes());
    }

    pub fn raw(&self) -> i32 {
        self.descriptor
    }

    /// Says that the guest is about to run.
    pub fn ready(self) {
        // In the foreground there is a child, which ends at the word (see `fail`): it shall not stay as a zombie.
        // SAFETY: a plain call; from here on there are no children to wait for.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        self.tell("R");
        kernel_calls::files::close(self.descriptor);
    }

    /// Says why this one could not be started, while the process goes on with the others.
    pub fn refuse(&self, failure: &Failure) {
        self.tell(&told(failure));
    }

    /// Says why there will be no guest, and ends with the code that was told.
    pub fn fail(self, failure: &Failure) -> ! {
        self.tell(&told(failure));
        kernel_calls::files::close(self.descriptor);
        // In the foreground the process that started this was replaced by it, and a child of that one waits for
        // the word above to undo the container. The shell gets its prompt after that.
        // SAFETY: waits for any child; its status is not asked for.
        while unsafe { libc::wait(std::ptr::null_mut()) } > 0 {}
        std::process::exit(failure.code)
    }
}

/// A failure in the words of the readiness protocol.
fn told(failure: &Failure) -> String {
    let mut text = format!("E{}\n{}", failure.code, failure.cause.replace(['\n', '\0'], " "));
    if let Some(hint) = failure.hint {
        let _ = write!(text, "\n{hint}");
    }
    text
}

/// The network namespace that the plan hands over, open.
pub fn network_descriptor(plan: &LaunchPlan<'_>) -> Option<i32> {
    i32::try_from(plan.number("network-fd")?).ok()
}

/// Closes whatever else was inherited: the guest could not reach it, but it would be held open.
pub fn close_inherited(ready: &ReadyPipe, plans: &[LaunchPlan<'_>]) -> Result<(), Failure> {
    let ready = u32::try_from(ready.raw()).map_err(|_| Failure::own("the readiness pipe is not open"))?;
    let mut kept: Vec<u32> = plans
        .iter()
        .flat_map(LaunchPlan::listeners)
        .map(|listener| listener.descriptor as u32)
        .chain(
            plans
                .iter()
                .filter_map(network_descriptor)
                .map(|number| number as u32),
        )
        .chain([ready])
        .collect();
    kept.sort_unstable();
    let begins = std::iter::once(3).chain(kept.iter().map(|number| number.max(&2) + 1));
    let ends = kept
        .iter()
        .map(|number| number.saturating_sub(1))
        .chain([u32::MAX]);
    for (first, last) in begins.zip(ends) {
        if first <= last {
            // SAFETY: descriptors of this process that no object here owns yet.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            check(closed, "close inherited files")?;
        }
    }
    Ok(())
}

/// In one of several containers: closes the sockets of the others.
pub fn close_listeners_of_others<'p>(own: &LaunchPlan<'_>, plans: impl Iterator<Item = &'p LaunchPlan<'p>>) {
    for listener in plans.flat_map(LaunchPlan::listeners) {
        if own.listeners().all(|mine| mine.descriptor != listener.descriptor) {
            kernel_calls::files::close(listener.descriptor);
        }
    }
}

/// Leaves what ties the process to whoever started it.
pub fn become_independent(plan: &LaunchPlan<'_>) -> Result<(), Failure> {
    // SAFETY: plain calls. SIGCHLD must have its default, else children could not be waited for.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        libc::umask(0o022);
        check(i64::from(libc::chdir(c"/".as_ptr())), "enter /")?;
    }
    let detached = !plan.flag("terminal");
    let null = (detached || !plan.flag("stdin")).then(open_null).transpose()?;
    if let Some(null) = null {
        let first = if plan.flag("stdin") { 1 } else { 0 };
        let last = if detached { 2 } else { 0 };
        for number in first..=last {
            // SAFETY: replaces a standard stream, which no object here owns yet.
            let replaced = unsafe { libc::dup2(null, number) };
            check(i64::from(replaced), "redirect a standard stream")?;
        }
        kernel_calls::files::close(null);
    }
    if detached {
        // Fails where the process leads a group already, which is as good.
        // SAFETY: a plain call.
        unsafe { libc::setsid() };
    }
    Ok(())
}

fn open_null() -> Result<i32, Failure> {
    // SAFETY: a terminated path.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    check(i64::from(null), "open /dev/null").map(|_| null)
}

/// Joins the plan's cgroups, before anything of the guest is loaded: what it costs then counts for it.
pub fn join_cgroups(plan: &LaunchPlan<'_>) -> Result<(), Failure> {
    for directory in plan.all("cgroup") {
        let path = [directory.to_bytes(), b"/cgroup.procs"].concat();
        let path = CString::new(path).map_err(|_| Failure::own("the cgroup's path has a NUL in it"))?;
        let joined = kernel_calls::files::open(&path, libc::O_WRONLY, 0)
            .and_then(|file| kernel_calls::files::write_all(file.raw(), b"0"));
        joined
            .map_err(|error| Failure::own(format!("cannot join the cgroup {}: {error}", shown(directory))))?;
    }
    Ok(())
}
