//! The launcher: the short-lived child that makes the container's surroundings and runs `create` and `start`.
//!
//! It talks with the monitor over two pipes, one byte for each step (and a pid or a status where it says so):
//! up: `U` it is in its new user namespace and waits for the maps; `F` and four bytes, the pid of
//! fuse-overlayfs; `C` and one byte, the status of `create`. Down: `m` the maps are there, `g` start the guest.
//! An end of file from the monitor ends it, and it dies with the monitor.

use core::ffi::CStr;

use formats::launch_plan::LaunchPlan;
use kernel_calls::namespaces::{forbid_devices, join, leave};
use kernel_calls::process::{
    change_directory, close_range, die_with_parent, effective_ids, exit, fork, pipe, put_at, wait_for, Ended,
    Environment, Vector,
};
use kernel_calls::text::{decimal, Text};
use kernel_calls::{files, Errno, Fd};

use crate::failure::{Failure, FAILED};
use crate::overlay::mount_root;
use crate::plan::has_user_namespace;
use crate::runtime::{arguments, become_program, run_program};
use crate::streams::{GuestEnds, CONSOLE_SOCKET};
use crate::transient::{hide_unified_cgroup, leave_mount_namespace, map_self};

/// What the launcher is told to make.
pub struct Order<'p> {
    pub plan: LaunchPlan<'p>,
    pub id: &'p CStr,
    pub pid_file: &'p CStr,
    pub environment: Environment,
}

/// The monitor's side of a running launcher.
pub struct Launcher {
    pub pid: i32,
    up: Fd,
    down: Fd,
    /// fuse-overlayfs, once it serves the root.
    pub mounter: Option<i32>,
}

impl Launcher {
    /// Starts it. The guest's ends of the streams are closed in the monitor.
    pub fn start(order: &Order<'_>, guest: GuestEnds) -> Result<Launcher, Failure> {
        let failed = |error: Errno| Failure::of(format_args!("the launcher cannot be started: {error}"));
        let (up, child_up) = pipe().map_err(failed)?;
        let (child_down, down) = pipe().map_err(failed)?;
        // SAFETY: one thread, no C library.
        let pid = unsafe { fork() }.map_err(failed)?;
        if pid == 0 {
            drop((up, down));
            let errors = guest.errors.raw();
            let Err(failure) = Child {
                order,
                up: child_up,
                down: child_down,
            }
            .work(guest);
            complain(errors, &failure);
            exit(FAILED);
        }
        Ok(Launcher {
            pid,
            up,
            down,
            mounter: None,
        })
    }

    /// Sees the launcher through until `create` has ended; gives its status, `None` where the launcher itself
    /// failed.
    pub fn created(&mut self, order: &Order<'_>) -> Result<Option<i32>, Failure> {
        let mut byte = [0u8; 1];
        loop {
            match read_exactly(self.up.raw(), &mut byte).map(|()| byte[0]) {
                Ok(b'U') => {
                    write_maps(order, self.pid)?;
                    self.tell(b'm');
                }
                Ok(b'F') => {
                    let mut pid = [0u8; 4];
                    if read_exactly(self.up.raw(), &mut pid).is_ok() {
                        self.mounter = Some(i32::from_ne_bytes(pid));
                    }
                }
                Ok(b'C') => {
                    let status = read_exactly(self.up.raw(), &mut byte).map(|()| i32::from(byte[0]));
                    return Ok(status.ok());
                }
                _ => return Ok(None),
            }
        }
    }

    /// Has the guest started; gives how `start` ended.
    pub fn start_guest(self) -> Ended {
        self.tell(b'g');
        self.wait()
    }

    /// Waits for the launcher's end; without having been told to start the guest it ends by itself.
    pub fn wait(self) -> Ended {
        let pid = self.pid;
        drop(self);
        wait_for(pid).unwrap_or(Ended::Exited(FAILED))
    }

    fn tell(&self, step: u8) {
        // A launcher that has gone away is seen by its end of file.
        let _ = files::write_all(self.down.raw(), &[step]);
    }
}

fn read_exactly(fd: i32, buffer: &mut [u8]) -> Result<(), Errno> {
    let mut length = 0;
    while length < buffer.len() {
        match files::read(fd, &mut buffer[length..])? {
            0 => return Err(Errno(libc::EPIPE)),
            got => length += got,
        }
    }
    Ok(())
}

/// The process that the runtime has written to its pid file.
pub fn read_pid(path: &CStr) -> Option<i32> {
    let mut buffer = [0u8; 16];
    let file = files::open(path, libc::O_RDONLY, 0).ok()?;
    let length = files::read(file.raw(), &mut buffer).ok()?;
    let pid = decimal(buffer[..length].trim_ascii())?;
    i32::try_from(pid).ok().filter(|pid| *pid > 1)
}

/// Enters the namespace that a file of /proc/PID/ns refers to.
fn enter(path: &CStr, kind: i32) -> Result<(), Failure> {
    files::open(path, libc::O_RDONLY, 0)
        .and_then(|namespace| join(namespace.raw(), kind))
        .map_err(|error| {
            let name = path.to_str().unwrap_or("of another process");
            Failure::of(format_args!("the namespace {name} cannot be entered: {error}"))
        })
}

fn complain(errors: i32, failure: &Failure) {
    let _ = files::write_all(errors, b"wpod-monitor: ");
    let _ = files::write_all(errors, failure.cause.bytes());
    let _ = files::write_all(errors, b"\n");
}

/// Whether the plan's map is the caller alone, which needs neither newuidmap nor a line in /etc/subuid.
fn maps_only_the_caller(plan: &LaunchPlan<'_>) -> bool {
    let alone = |key, own: u32| {
        let mut lines = plan.id_map(key);
        let first = lines.next();
        first.is_some_and(|map| map.inside == 0 && map.outside == own && map.count == 1)
            && lines.next().is_none()
    };
    let (uid, gid) = effective_ids();
    alone("uid-map", uid) && alone("gid-map", gid)
}

/// In the monitor: writes the launcher's maps with the programs that may (newuidmap(1), newgidmap(1)).
fn write_maps(order: &Order<'_>, pid: i32) -> Result<(), Failure> {
    let pid = Text::<16>::of(format_args!("{pid}"));
    let tools: [(&'static str, &CStr, [&CStr; 2]); 2] = [
        (
            "uid-map",
            c"newuidmap",
            [c"/usr/bin/newuidmap", c"/usr/local/bin/newuidmap"],
        ),
        (
            "gid-map",
            c"newgidmap",
            [c"/usr/bin/newgidmap", c"/usr/local/bin/newgidmap"],
        ),
    ];
    for (key, name, places) in tools {
        let mut numbers: [[Text<16>; 3]; 8] = core::array::from_fn(|_| core::array::from_fn(|_| Text::new()));
        let mut lines = 0;
        for map in order.plan.id_map(key) {
            let Some(line) = numbers.get_mut(lines) else {
                return Err(Failure::of(format_args!("{key} has more than 8 lines")));
            };
            *line = [map.inside, map.outside, map.count].map(|number| Text::of(format_args!("{number}")));
            lines += 1;
        }
        let mut vector = Vector::<32>::new();
        let filled = vector
            .extend([name, pid.c_str()])
            .and_then(|()| vector.extend(numbers[..lines].iter().flatten().map(Text::c_str)));
        let ran = filled.and_then(|()| {
            let place = places.into_iter().find(|place| files::device_of(place).is_ok());
            run_program(place.unwrap_or(places[0]), &vector, order.environment)
        });
        match ran {
            Ok(Ended::Exited(0)) => {}
            Ok(ended) => {
                return Err(Failure::of(format_args!(
                    "{} refused the container's IDs (status {}): /etc/subuid and /etc/subgid must allow them",
                    name.to_str().unwrap_or("newuidmap"),
                    ended.code()
                )))
            }
            Err(error) => return Err(Failure::of(format_args!("newuidmap cannot be started: {error}"))),
        }
    }
    Ok(())
}

/// The launcher itself.
struct Child<'o, 'p> {
    order: &'o Order<'p>,
    up: Fd,
    down: Fd,
}

impl Child<'_, '_> {
    /// Does everything and becomes the runtime's `start`; comes back only with a failure.
    fn work(&self, guest: GuestEnds) -> Result<core::convert::Infallible, Failure> {
        let plan = &self.order.plan;
        let _ = die_with_parent();
        self.join_cgroups()?;
        self.enter_user_namespace()?;
        if let Some(path) = plan.optional("network-namespace") {
            enter(path, libc::CLONE_NEWNET)?;
        }
        let in_user_namespace = has_user_namespace(plan);
        leave_mount_namespace()?;
        if plan.flag("hide-unified-cgroup") {
            hide_unified_cgroup(in_user_namespace)?;
        }
        if let Some(pid) = mount_root(plan, self.order.environment)? {
            self.say(b"F")?;
            self.say(&pid.to_ne_bytes())?;
        }
        self.take_streams(guest)?;
        let status = self.create()?;
        if status == 0 && !in_user_namespace {
            self.forbid_devices()?;
        }
        self.say(&[b'C', status.clamp(0, 255) as u8])?;
        self.hear(b'g')?;
        let failed = |error: Errno| Failure::of(format_args!("the runtime cannot be started: {error}"));
        let arguments = arguments(plan, &[c"start", self.order.id]).map_err(failed)?;
        Err(failed(become_program(
            plan.one("runtime"),
            &arguments,
            self.order.environment,
        )))
    }

    fn join_cgroups(&self) -> Result<(), Failure> {
        for directory in self.order.plan.all("cgroup") {
            let mut path = Text::<4096>::new();
            path.push(directory.to_bytes());
            path.push(b"/cgroup.procs");
            files::write_once(path.c_str(), b"0").map_err(|error| {
                Failure::of(format_args!(
                    "the cgroup {} cannot be joined: {error}",
                    directory.to_str().unwrap_or("of the container")
                ))
            })?;
        }
        Ok(())
    }

    fn enter_user_namespace(&self) -> Result<(), Failure> {
        let plan = &self.order.plan;
        let failed = |error: Errno| Failure::of(format_args!("a user namespace cannot be made: {error}"));
        if let Some(path) = plan.optional("user-namespace") {
            enter(path, libc::CLONE_NEWUSER)?;
            return kernel_calls::process::become_root().map_err(failed);
        }
        if !has_user_namespace(plan) {
            return Ok(());
        }
        if maps_only_the_caller(plan) {
            return map_self().map_err(failed);
        }
        leave(libc::CLONE_NEWUSER).map_err(failed)?;
        self.say(b"U")?;
        self.hear(b'm')?;
        // The maps came after the namespace: become its root, or an exec would drop all capabilities.
        kernel_calls::process::become_root().map_err(failed)
    }

    /// Makes the guest's ends the standard streams, for the runtime and so for the guest.
    fn take_streams(&self, guest: GuestEnds) -> Result<(), Failure> {
        let plan = &self.order.plan;
        let failed =
            |error: Errno| Failure::of(format_args!("the container's streams cannot be made: {error}"));
        if plan.flag("pty") || !plan.flag("stdin") {
            let null = files::open(c"/dev/null", libc::O_RDONLY, 0).map_err(failed)?;
            put_at(null.raw(), 0).map_err(failed)?;
        }
        put_at(guest.output.as_ref().unwrap_or(&guest.errors).raw(), 1).map_err(failed)?;
        put_at(guest.errors.raw(), 2).map_err(failed)?;
        change_directory(plan.one("bundle")).map_err(failed)?;
        // All of the monitor's are close-on-exec; this also keeps them from a runtime's careless child.
        let (low, high) = (
            self.up.raw().min(self.down.raw()) as u32,
            self.up.raw().max(self.down.raw()) as u32,
        );
        core::mem::forget(guest);
        close_range(3, low - 1);
        close_range(low + 1, high - 1);
        close_range(high + 1, u32::MAX);
        Ok(())
    }

    fn create(&self) -> Result<i32, Failure> {
        let plan = &self.order.plan;
        let failed = |error: Errno| Failure::of(format_args!("the runtime cannot be started: {error}"));
        // A keyring for each container would run into the limit of 200 per user.
        let mut arguments = arguments(
            plan,
            &[c"create", c"--no-new-keyring", c"--bundle", plan.one("bundle")],
        )
        .map_err(failed)?;
        let pid_file = [c"--pid-file", self.order.pid_file];
        arguments.extend(pid_file).map_err(failed)?;
        if plan.flag("pty") {
            arguments
                .extend([c"--console-socket", CONSOLE_SOCKET])
                .map_err(failed)?;
        }
        arguments.push(self.order.id).map_err(failed)?;
        run_program(plan.one("runtime"), &arguments, self.order.environment)
            .map(Ended::code)
            .map_err(failed)
    }

    /// No device file of an image or of the guest opens, except those on the container's own /dev: there is no
    /// device cgroup (it would cost more than all of the monitor), so it would be the host's device.
    ///
    /// Done in the container's mount namespace, after `create`: crun mounts the root over itself and drops
    /// such a flag. In a user namespace the kernel does the same for every mount.
    fn forbid_devices(&self) -> Result<(), Failure> {
        let failed =
            |error: Errno| Failure::of(format_args!("devices cannot be forbidden on the root: {error}"));
        let main = read_pid(self.order.pid_file)
            .ok_or_else(|| Failure::of(format_args!("the runtime named no process")))?;
        let path = Text::<32>::of(format_args!("/proc/{main}/ns/mnt"));
        // SAFETY: one thread, no C library.
        let pid = unsafe { fork() }.map_err(failed)?;
        if pid == 0 {
            let done = files::open(path.c_str(), libc::O_RDONLY, 0)
                .and_then(|namespace| join(namespace.raw(), libc::CLONE_NEWNS))
                .and_then(|()| forbid_devices(c"/"));
            exit(done.err().map_or(0, |error| error.0));
        }
        match wait_for(pid) {
            Ok(Ended::Exited(0)) => Ok(()),
            Ok(ended) => Err(failed(Errno(ended.code()))),
            Err(error) => Err(failed(error)),
        }
    }

    fn say(&self, step: &[u8]) -> Result<(), Failure> {
        files::write_all(self.up.raw(), step).map_err(|_| Failure::of(format_args!("the monitor has gone")))
    }

    fn hear(&self, step: u8) -> Result<(), Failure> {
        let mut byte = [0u8; 1];
        match read_exactly(self.down.raw(), &mut byte) {
            Ok(()) if byte[0] == step => Ok(()),
            _ => Err(Failure::of(format_args!("the monitor has gone"))),
        }
    }
}
