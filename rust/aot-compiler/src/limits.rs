//! Bounds for a process that compiles hostile input.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;

/// A 2.6 MB module takes under a minute at the highest level.
const CPU_SECONDS: u64 = 600;
/// LLVM and a small module.
const BASE_ADDRESS_SPACE_BYTES: u64 = 2 << 30;
/// What LLVM needs for each byte of a module, measured 500 and doubled.
const ADDRESS_SPACE_PER_MODULE_BYTE: u64 = 1000;
const FILE_BYTES: u64 = 1 << 30;
/// The lowest priority there is.
const NICE: i32 = 19;

/// Limits processor time, memory and file size, and silences standard output, where WAMR prints its settings.
///
/// # Errors
/// Those of setrlimit(2) and of opening /dev/null.
pub fn confine(module_bytes: u64, niced: bool) -> io::Result<()> {
    limit(libc::RLIMIT_CORE, 0)?;
    limit(libc::RLIMIT_CPU, CPU_SECONDS)?;
    limit(libc::RLIMIT_FSIZE, FILE_BYTES)?;
    limit(
        libc::RLIMIT_AS,
        BASE_ADDRESS_SPACE_BYTES + module_bytes * ADDRESS_SPACE_PER_MODULE_BYTE,
    )?;
    if niced {
        // SAFETY: nice has no memory preconditions. Its result is not needed: staying at the normal priority
        // is no reason not to compile.
        let _ = unsafe { libc::nice(NICE) };
        lower_own_session();
    }
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    // SAFETY: both descriptors are valid; dup2 replaces standard output, which nothing here owns.
    if unsafe { libc::dup2(null.as_raw_fd(), libc::STDOUT_FILENO) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Where the kernel groups by session (sched(7), autogroup), niceness counts inside of one alone: a compiler with a
/// session of its own would take as much as everybody else's together.
fn lower_own_session() {
    // SAFETY: neither call has preconditions.
    if unsafe { libc::getsid(0) == libc::getpid() } {
        let _ = std::fs::write("/proc/self/autogroup", NICE.to_string());
    }
}

/// Lowers the limit; one that is lower already stays.
fn limit(resource: libc::__rlimit_resource_t, wanted: u64) -> io::Result<()> {
    let mut current = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `current` is a valid rlimit for the call to fill.
    if unsafe { libc::getrlimit(resource, &mut current) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let value = wanted.min(current.rlim_max);
    let lowered = libc::rlimit {
        rlim_cur: value.min(current.rlim_cur),
        rlim_max: value,
    };
    // SAFETY: `lowered` is a valid rlimit.
    if unsafe { libc::setrlimit(resource, &lowered) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
