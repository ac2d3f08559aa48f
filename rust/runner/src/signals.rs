//! Signals: each ends the container at once, whatever the guest is doing.
//!
//! The handlers store the end into the state file and leave. They call nothing of the engine, which only looks
//! for a wish to stop where guest code calls the host; a guest that loops never does.

use std::sync::atomic::{AtomicPtr, Ordering};

use formats::state_file::{Cause, StateFile};

/// podman's exit status for `--timeout`.
const TIMEOUT_STATUS: i32 = 255;

static STATE: AtomicPtr<StateFile> = AtomicPtr::new(std::ptr::null_mut());

/// Signals that end a process by default and whose meaning is "end": all but faults (the engine turns some of
/// them into traps), those that nobody can catch, and those that are ignored below.
fn ending() -> impl Iterator<Item = i32> {
    let named = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTRAP,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGTERM,
        libc::SIGSTKFLT,
        libc::SIGXCPU,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGIO,
        libc::SIGPWR,
    ];
    named.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
}

/// Faults of the engine itself: the guest's own are caught by the engine, whose handlers come before these.
const FAULTS: [i32; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGSYS,
];

/// Installs the handlers for faults. Called before the engine starts, which then passes on what is not its own.
pub fn install_fault_handlers() {
    for signal in FAULTS {
        install(signal, handler_address(end_by_fault));
    }
}

/// Installs all other handlers. From here on a signal is an end that is recorded.
pub fn install_ending_handlers(state: &'static StateFile) {
    STATE.store(std::ptr::from_ref(state).cast_mut(), Ordering::Release);
    for signal in ending() {
        install(signal, handler_address(end_by_signal_handler));
    }
    install(libc::SIGALRM, handler_address(end_by_timeout));
    for signal in [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGTTOU] {
        // Writing calls give an error instead.
        install(signal, libc::SIG_IGN);
    }
    // Whoever started this may have blocked signals.
    // SAFETY: an empty set, made so by sigemptyset.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

fn handler_address(handler: extern "C" fn(i32)) -> libc::sighandler_t {
    handler as libc::sighandler_t
}

fn install(signal: i32, handler: libc::sighandler_t) {
    // SAFETY: all zeroes is a valid sigaction; the handlers below only do what a handler may.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

/// Ends the timer's time.
pub fn start_timer(seconds: u64) {
    // SAFETY: setitimer reads the struct; ITIMER_REAL sends SIGALRM once.
    unsafe {
        let mut timer: libc::itimerval = std::mem::zeroed();
        timer.it_value.tv_sec = i64::try_from(seconds).unwrap_or(i64::MAX);
        let none = std::ptr::null_mut::<libc::itimerval>();
        libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &timer, none);
    }
}

fn state() -> Option<&'static StateFile> {
    // SAFETY: null, or stored from a reference that lives for the rest of the process.
    unsafe { STATE.load(Ordering::Acquire).as_ref() }
}

fn end(status: i32, cause: Cause, signal: i32) -> ! {
    if let Some(state) = state() {
        state.exited(status, cause, signal as u32);
    }
    // SAFETY: ends the process; runs nothing else.
    unsafe { libc::_exit(status) }
}

/// Ends the container as the signal would have ended a program.
pub fn end_by_signal(signal: i32) -> ! {
    end(128 + signal, Cause::Signal, signal)
}

extern "C" fn end_by_signal_handler(signal: i32) {
    end_by_signal(signal)
}

extern "C" fn end_by_timeout(_signal: i32) {
    end(TIMEOUT_STATUS, Cause::Timeout, 0)
}

extern "C" fn end_by_fault(signal: i32) {
    if let Some(state) = state() {
        state.set_reason("the engine failed");
    }
    end_by_signal(signal)
}
