//! Keeps one container from its launch to its end.

use core::ffi::CStr;

use container_log::{LogWriter, DEFAULT_MAX_BYTES};
use formats::launch_plan::LaunchPlan;
use formats::state_file::{start_time, Cause, Kind, Phase, StateFile};
use kernel_calls::events::{block_signals, signal_descriptor, SignalSet};
use kernel_calls::process::{
    adopt_orphans, change_directory, close_range, kill, set_umask, wait_for, Ended, Environment,
};
use kernel_calls::text::Text;
use kernel_calls::{files, Fd};

use crate::failure::{Failure, FAILED};
use crate::finish;
use crate::launcher::{read_pid, Launcher, Order};
use crate::plan::{self, runtime_name, state_address};
use crate::relay::Relay;
use crate::streams::{self, Streams};

/// Left to their defaults: what stops and continues a job of the shell, and the program's own faults.
const NOT_RELAYED: [i32; 9] = [
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCONT,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
];
/// Everything else arrives through a descriptor: no handler, no interrupted call, nothing lost.
const RELAYED: SignalSet = SignalSet::all_but(&NOT_RELAYED);

/// What the monitor holds while the container lives.
pub struct Keeper<'p> {
    pub plan: LaunchPlan<'p>,
    pub state: StateFile,
    pub log: Option<LogWriter>,
    pub signals: Fd,
    pub environment: Environment,
    /// fuse-overlayfs, where it serves the root.
    pub mounter: Option<i32>,
    /// The network namespace that containers share: it lives at least as long as they do, and is found again here
    /// (through /proc/PID/fd) where the helper that made it was killed.
    _network: Option<Fd>,
}

/// `wpod-monitor FD`: gives the exit status.
pub fn run(plan_fd: i32, environment: Environment) -> i32 {
    let mut copy = [0; plan::COPY_BYTES];
    let plan = match plan::read(plan_fd, &mut copy) {
        Ok(plan) => plan,
        // Where to say it is in the plan itself.
        Err(error) => {
            let text = Text::<256>::of(format_args!("wpod-monitor: {error}\n"));
            let _ = files::write_all(2, text.bytes());
            return FAILED;
        }
    };
    let ready = plan
        .number("ready-fd")
        .and_then(|fd| i32::try_from(fd).ok())
        .unwrap_or(-1);
    if ready < 3 {
        let _ = files::write_all(2, b"wpod-monitor: ready-fd is not a descriptor of its own\n");
        return FAILED;
    }
    close_range(3, ready as u32 - 1);
    close_range(ready as u32 + 1, u32::MAX);
    let ready = Fd::own(ready);
    match prepare(plan, environment) {
        Ok(keeper) => keep(keeper, ready),
        Err(failure) => refuse(&ready, &failure),
    }
}

/// Everything before the launcher: signals, state file, lock, log.
#[inline(never)] // its frame, like those of the two below, must not stay below the one that waits for the guest's end
fn prepare<'p>(plan: LaunchPlan<'p>, environment: Environment) -> Result<Keeper<'p>, Failure> {
    let failed = |error| Failure::of(format_args!("the monitor cannot be set up: {error}"));
    set_umask(0o022);
    block_signals(RELAYED).map_err(failed)?;
    let signals = signal_descriptor(RELAYED).map_err(failed)?;
    adopt_orphans().map_err(failed)?;
    change_directory(c"/").map_err(failed)?;
    let of_state = |error| Failure::of(format_args!("{error}"));
    let state = StateFile::open_near(plan.one("state"), state_address()).map_err(of_state)?;
    state.lock().map_err(of_state)?;
    state.begin(Kind::Native).map_err(of_state)?;
    let max_bytes = plan.number("log-max-bytes").unwrap_or(DEFAULT_MAX_BYTES);
    let log = plan
        .optional("log-directory")
        .map(|directory| LogWriter::open(directory, max_bytes))
        .transpose()
        .map_err(|error| Failure::of(format_args!("the log cannot be opened: {error}")))?;
    let _network = plan
        .optional("network-namespace")
        .map(|path| files::open(path, libc::O_RDONLY, 0))
        .transpose()
        .map_err(|error| Failure::of(format_args!("the shared network cannot be opened: {error}")))?;
    Ok(Keeper {
        plan,
        state,
        log,
        signals,
        environment,
        mounter: None,
        _network,
    })
}

/// Tells the readiness pipe why not. Gives the exit status.
#[inline(never)]
fn refuse(ready: &Fd, failure: &Failure) -> i32 {
    let mut report = Text::<640>::of(format_args!("E{}\n", failure.code));
    report.push(failure.cause.bytes());
    let _ = files::write_all(ready.raw(), report.bytes());
    failure.code
}

fn keep(mut keeper: Keeper<'_>, ready: Fd) -> i32 {
    let started = launch(&mut keeper);
    let (main, streams) = match started {
        Ok(started) => started,
        Err(failure) => {
            finish::stop_mounter(&keeper);
            keeper
                .state
                .set_reason(core::str::from_utf8(failure.cause.bytes()).unwrap_or("the start failed"));
            keeper.state.exited(failure.code, Cause::Engine, 0);
            return refuse(&ready, &failure);
        }
    };
    let _ = files::write_all(ready.raw(), b"R");
    drop(ready);
    let end = Relay::new(&mut keeper, streams, main).run();
    finish::finish(keeper, end)
}

/// Has the runtime create and start the container; gives its main process. On failure nothing of it is left.
#[inline(never)]
fn launch(keeper: &mut Keeper<'_>) -> Result<(i32, Streams), Failure> {
    let (mut streams, guest) = streams::make(&keeper.plan)?;
    let mut pid_file = Text::<4096>::new();
    pid_file.push(keeper.plan.one("bundle").to_bytes());
    pid_file.push(b"/pid");
    let _ = files::remove(pid_file.c_str());
    let order = Order {
        plan: keeper.plan,
        id: keeper.plan.one("id"),
        pid_file: pid_file.c_str(),
        environment: keeper.environment,
    };
    let mut launcher = Launcher::start(&order, guest)?;
    let created = launcher.created(&order);
    keeper.mounter = launcher.mounter;
    let status = match created {
        Ok(status) => status,
        Err(failure) => {
            launcher.wait();
            finish::delete(keeper);
            return Err(failure);
        }
    };
    if status != Some(0) {
        let ended = launcher.wait();
        finish::delete(keeper);
        return Err(complaint(keeper, &streams, status.unwrap_or(ended.code())));
    }
    let main = match begun(keeper, &mut streams, pid_file.c_str()) {
        Ok(main) => main,
        Err(failure) => {
            launcher.wait();
            finish::delete(keeper);
            return Err(failure);
        }
    };
    let ended = launcher.start_guest();
    if ended != Ended::Exited(0) {
        let failure = complaint(keeper, &streams, ended.code());
        let _ = kill(main, libc::SIGKILL);
        let _ = wait_for(main);
        finish::delete(keeper);
        return Err(failure);
    }
    keeper.state.set_started_now();
    keeper.state.set_phase(Phase::Running);
    Ok((main, streams))
}

/// Between `create` and `start`: the terminal, the main process, phase `ready`.
fn begun(keeper: &Keeper<'_>, streams: &mut Streams, pid_file: &CStr) -> Result<i32, Failure> {
    // What the runtime warned of is not the guest's output.
    let mut buffer = [0u8; 1024];
    streams.take_complaint(&mut buffer);
    streams.receive_terminal()?;
    let main = read_pid(pid_file).ok_or_else(|| Failure::of(format_args!("the runtime named no process")))?;
    let start =
        start_time(main).map_err(|_| Failure::of(format_args!("the container's process has gone")))?;
    keeper.state.set_main_process(main, start);
    keeper.state.set_phase(Phase::Ready);
    Ok(main)
}

fn complaint(keeper: &Keeper<'_>, streams: &Streams, status: i32) -> Failure {
    let mut buffer = [0u8; 2048];
    let text = streams.take_complaint(&mut buffer);
    Failure::of_runtime(runtime_name(&keeper.plan), status, text)
}
