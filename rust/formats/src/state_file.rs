//! The state file, version 1: one page per container, mapped shared by the process that keeps it.
//!
//! # Theory of operation
//! The keeper (runner or monitor) maps the file and stores into it; others map or read it. An exit
//! is a few stores and nothing else, so it works in a signal handler, under Landlock and seccomp,
//! and on a full disk (the file is preallocated). Every field is an atomic, because other processes
//! read while the keeper writes. `phase` is stored last with release ordering: who reads it with
//! acquire ordering sees the fields that belong to it.
//!
//! Who is alive is told by the lock alone (`F_OFD_SETLK`), which the kernel drops with the keeper. The
//! mapping refers to the open file as the descriptor does, so it is kept out of forked children
//! (`MADV_DONTFORK`) and the descriptor is close-on-exec: a child that lingers cannot keep a dead
//! container "alive" after its exec. Take the lock after the last fork that does not exec.

use core::ffi::CStr;
use core::fmt;
use core::mem::{offset_of, size_of};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicU64, AtomicU8, Ordering};

use kernel_calls::text::{decimal, Text};
use kernel_calls::time::{now, Clock};
use kernel_calls::{files, memory, Errno, Fd};

/// The file's size, always.
pub const SIZE_BYTES: usize = 4096;
/// The first eight bytes.
pub const MAGIC: [u8; 8] = *b"WPODSTAT";
/// The version that this module reads and writes.
pub const VERSION: u32 = 1;
/// Room for the reason, the closing NULs included.
pub const REASON_BYTES: usize = 512;

/// What keeps the container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Kind {
    /// The runner.
    Wasm = 1,
    /// The monitor of an OCI runtime's container.
    Native = 2,
}

/// How far the container's life has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Phase {
    /// The file is there.
    Created = 0,
    /// Everything that can fail before the guest runs has been done.
    Ready = 1,
    /// The guest runs.
    Running = 2,
    /// The guest has ended; status and cause are valid.
    Exited = 3,
}

/// Why the container ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Cause {
    /// Not yet.
    None = 0,
    /// It called exit.
    Exited = 1,
    /// A signal ended it.
    Signal = 2,
    /// The wasm guest trapped.
    Trap = 3,
    /// `timeout-seconds` ran out.
    Timeout = 4,
    /// The engine, runtime or keeper failed.
    Engine = 5,
    /// The kernel killed it for want of memory.
    OutOfMemory = 6,
}

/// Which limit of memory refused something, or had the container killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum LimitHit {
    /// None was ever hit.
    None = 0,
    /// The largest size of the linear memory.
    GuestPages = 1,
    /// The limit of a cgroup.
    Cgroup = 2,
}

/// What runs the guest's code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Engine {
    /// Not a wasm container, or not loaded yet.
    None = 0,
    /// The interpreter.
    Interpreter = 1,
    /// Compiled code mapped from the cache file, shared by all containers of the module.
    AotShared = 2,
    /// Compiled code in private memory.
    AotPrivate = 3,
}

/// Bits of the confinement field.
pub mod confinement {
    /// In a user namespace of its own.
    pub const USER_NAMESPACE: u32 = 1;
    /// `no_new_privs` is set.
    pub const NO_NEW_PRIVILEGES: u32 = 2;
    /// Landlock rules are in force.
    pub const LANDLOCK: u32 = 4;
    /// A seccomp filter is in force.
    pub const SECCOMP: u32 = 8;
    /// No capability is left.
    pub const CAPABILITIES_DROPPED: u32 = 16;
    /// In a mount namespace of its own.
    pub const MOUNT_NAMESPACE: u32 = 32;
}

/// The file as it lies in memory. All little endian, which both supported architectures are.
#[repr(C)]
struct Layout {
    magic: [AtomicU8; 8],
    version: AtomicU32,
    kind: AtomicU32,
    boot_id: [AtomicU8; 16],
    main_pid: AtomicI32,
    keeper_pid: AtomicI32,
    main_start_time: AtomicU64,
    keeper_start_time: AtomicU64,
    phase: AtomicU32,
    exit_status: AtomicI32,
    cause: AtomicU32,
    signal: AtomicU32,
    started_realtime: AtomicI64,
    finished_realtime: AtomicI64,
    started_boottime: AtomicU64,
    finished_boottime: AtomicU64,
    memory_address: AtomicU64,
    memory_used: AtomicU64,
    memory_max: AtomicU64,
    code_address: AtomicU64,
    code_bytes: AtomicU64,
    engine: AtomicU32,
    confinement: AtomicU32,
    log_bytes: AtomicU64,
    log_dropped: AtomicU64,
    limit_hit: AtomicU32,
    limit_hits: AtomicU32,
    limit_used: AtomicU64,
    limit_bytes: AtomicU64,
    near_anonymous: AtomicU64,
    near_file: AtomicU64,
    near_kernel: AtomicU64,
    unused: [AtomicU8; 40],
    reason: [AtomicU8; REASON_BYTES],
}

const _: () = {
    assert!(cfg!(target_endian = "little"));
    assert!(offset_of!(Layout, boot_id) == 16);
    assert!(offset_of!(Layout, phase) == 56);
    assert!(offset_of!(Layout, started_realtime) == 72);
    assert!(offset_of!(Layout, memory_address) == 104);
    assert!(offset_of!(Layout, engine) == 144);
    assert!(offset_of!(Layout, log_dropped) == 160);
    assert!(offset_of!(Layout, limit_hit) == 168);
    assert!(offset_of!(Layout, limit_bytes) == 184);
    assert!(offset_of!(Layout, near_anonymous) == 192);
    assert!(offset_of!(Layout, reason) == 256);
    assert!(size_of::<Layout>() <= SIZE_BYTES);
};

/// Bytes that a memory cgroup counts, in its own kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Account {
    pub anonymous: u64,
    pub file: u64,
    pub kernel: u64,
}

impl Account {
    /// All of them.
    pub fn sum(self) -> u64 {
        self.anonymous
            .saturating_add(self.file)
            .saturating_add(self.kernel)
    }
}

/// Why a state file cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateError {
    /// A system call failed; what was being done, and the error.
    System(&'static str, Errno),
    /// Not a regular file of 4096 bytes, or another magic.
    NotAStateFile,
    /// Written by another version.
    Version(u32),
    /// Another process keeps this container.
    Locked,
}

impl fmt::Display for StateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::System(what, error) => write!(out, "cannot {what} the state file: {error}"),
            StateError::NotAStateFile => out.write_str("not a state file"),
            StateError::Version(found) => {
                write!(out, "state file of version {found}, this is version {VERSION}")
            }
            StateError::Locked => out.write_str("the container is running already"),
        }
    }
}

/// A state file, mapped.
pub struct StateFile {
    base: NonNull<Layout>,
    file: Fd,
    ended: AtomicBool,
}

// SAFETY: the mapping is only reached through the atomics of `Layout` and lives as long as `self`.
unsafe impl Send for StateFile {}
// SAFETY: as above; atomics may be used from several threads and from a signal handler at once.
unsafe impl Sync for StateFile {}

impl StateFile {
    /// Opens and maps the file at `path`, which must be a regular file of 4096 bytes (a symbolic link
    /// is not followed) with this version's header, or zeroes throughout its header.
    ///
    /// Errors: [`StateError::System`], [`StateError::NotAStateFile`], [`StateError::Version`].
    pub fn open(path: &CStr) -> Result<StateFile, StateError> {
        Self::open_near(path, 0)
    }

    /// As [`StateFile::open`], mapped at the address `hint` where that is free.
    pub fn open_near(path: &CStr, hint: usize) -> Result<StateFile, StateError> {
        let file = files::open(path, libc::O_RDWR | libc::O_NOFOLLOW | libc::O_NONBLOCK, 0)
            .map_err(|error| StateError::System("open", error))?;
        let status = files::status(file.raw()).map_err(|error| StateError::System("examine", error))?;
        if status.mode & libc::S_IFMT != libc::S_IFREG || status.size_bytes != SIZE_BYTES as u64 {
            return Err(StateError::NotAStateFile);
        }
        let base = memory::map_shared(file.raw(), SIZE_BYTES, hint)
            .map_err(|error| StateError::System("map", error))?;
        // SAFETY: exactly the mapping made above.
        let kept = unsafe { memory::keep_from_children(base, SIZE_BYTES) };
        let state = StateFile {
            base: base.cast(),
            file,
            ended: AtomicBool::new(false),
        };
        kept.map_err(|error| StateError::System("map", error))?;
        let magic: [u8; 8] = core::array::from_fn(|i| state.layout().magic[i].load(Ordering::Relaxed));
        let version = state.layout().version.load(Ordering::Relaxed);
        match (magic, version) {
            (MAGIC, VERSION) => Ok(state),
            ([0, 0, 0, 0, 0, 0, 0, 0], 0) => Ok(state),
            (MAGIC, other) => Err(StateError::Version(other)),
            _ => Err(StateError::NotAStateFile),
        }
    }

    fn layout(&self) -> &Layout {
        // SAFETY: `base` is page-aligned and maps SIZE_BYTES >= size_of::<Layout>() bytes until drop;
        // every bit pattern is a valid Layout, and all access is atomic. The file cannot shrink under
        // the mapping except by its owner's hand, which is a SIGBUS and not undefined behaviour.
        unsafe { self.base.as_ref() }
    }

    /// Takes the keeper's lock, not waiting; held until the process ends or `self` is dropped.
    ///
    /// Errors: [`StateError::Locked`] where another process has it.
    pub fn lock(&self) -> Result<(), StateError> {
        files::lock_whole(self.file.raw()).map_err(|error| match error.0 {
            libc::EAGAIN | libc::EACCES => StateError::Locked,
            _ => StateError::System("lock", error),
        })
    }

    /// Whether another process holds the lock. Takes nothing.
    pub fn is_locked_elsewhere(&self) -> Result<bool, StateError> {
        files::is_locked_elsewhere(self.file.raw()).map_err(|error| StateError::System("test", error))
    }

    /// Begins a new life: forgets the fields of an earlier run and writes header, boot id and the
    /// calling process as the keeper, phase `created`. Call it with the lock held.
    ///
    /// Errors: [`StateError::System`] where /proc does not tell boot id or start time.
    pub fn begin(&self, kind: Kind) -> Result<(), StateError> {
        let layout = self.layout();
        layout.phase.store(Phase::Created as u32, Ordering::Release);
        for number in [&layout.main_pid, &layout.exit_status] {
            number.store(0, Ordering::Relaxed);
        }
        for number in [
            &layout.cause,
            &layout.signal,
            &layout.engine,
            &layout.confinement,
            &layout.limit_hit,
            &layout.limit_hits,
        ] {
            number.store(0, Ordering::Relaxed);
        }
        for number in [
            &layout.main_start_time,
            &layout.started_boottime,
            &layout.finished_boottime,
            &layout.memory_address,
            &layout.memory_used,
            &layout.memory_max,
            &layout.code_address,
            &layout.code_bytes,
            &layout.log_bytes,
            &layout.log_dropped,
            &layout.limit_used,
            &layout.limit_bytes,
            &layout.near_anonymous,
            &layout.near_file,
            &layout.near_kernel,
        ] {
            number.store(0, Ordering::Relaxed);
        }
        layout.started_realtime.store(0, Ordering::Relaxed);
        layout.finished_realtime.store(0, Ordering::Relaxed);
        self.set_reason("");
        self.ended.store(false, Ordering::Relaxed);
        store_bytes(
            &layout.boot_id,
            &boot_id().map_err(|error| StateError::System("read the boot id for", error))?,
        );
        layout.version.store(VERSION, Ordering::Relaxed);
        layout.kind.store(kind as u32, Ordering::Relaxed);
        let (pid, start) =
            own_identity().map_err(|error| StateError::System("read /proc/self/stat for", error))?;
        self.set_keeper(pid, start);
        store_bytes(&layout.magic, &MAGIC);
        layout.phase.store(Phase::Created as u32, Ordering::Release);
        Ok(())
    }

    /// The process that holds the lock and stores here.
    pub fn set_keeper(&self, pid: i32, start_time: u64) {
        self.layout().keeper_pid.store(pid, Ordering::Relaxed);
        self.layout()
            .keeper_start_time
            .store(start_time, Ordering::Relaxed);
    }

    /// The container's main process; `start_time` as [`start_time`] gives it.
    pub fn set_main_process(&self, pid: i32, start_time: u64) {
        self.layout().main_start_time.store(start_time, Ordering::Relaxed);
        self.layout().main_pid.store(pid, Ordering::Relaxed);
    }

    /// Stores now as the container's start, on both clocks.
    pub fn set_started_now(&self) {
        self.layout()
            .started_realtime
            .store(now(Clock::Realtime), Ordering::Relaxed);
        self.layout()
            .started_boottime
            .store(now(Clock::Boottime) as u64, Ordering::Relaxed);
    }

    /// Stores the phase, after (release) everything stored before. For the end use [`StateFile::exited`].
    pub fn set_phase(&self, phase: Phase) {
        self.layout().phase.store(phase as u32, Ordering::Release);
    }

    /// The linear memory: its address, the bytes in use, the bytes it may grow to.
    pub fn set_linear_memory(&self, address: u64, used_bytes: u64, max_bytes: u64) {
        self.layout().memory_address.store(address, Ordering::Relaxed);
        self.layout().memory_used.store(used_bytes, Ordering::Relaxed);
        self.layout().memory_max.store(max_bytes, Ordering::Relaxed);
    }

    /// The linear memory has grown.
    pub fn set_linear_memory_used(&self, used_bytes: u64) {
        self.layout().memory_used.store(used_bytes, Ordering::Relaxed);
    }

    /// A limit of memory was hit, at this use of what it allows; counted.
    pub fn add_limit_hit(&self, limit: LimitHit, used_bytes: u64, limit_bytes: u64) {
        self.layout().limit_hits.fetch_add(1, Ordering::Relaxed);
        self.layout().limit_used.store(used_bytes, Ordering::Relaxed);
        self.layout().limit_bytes.store(limit_bytes, Ordering::Relaxed);
        self.layout().limit_hit.store(limit as u32, Ordering::Relaxed);
    }

    /// What the memory was made of when it was last near the limit of its cgroup.
    pub fn set_near_limit(&self, account: Account) {
        let layout = self.layout();
        layout.near_anonymous.store(account.anonymous, Ordering::Relaxed);
        layout.near_file.store(account.file, Ordering::Relaxed);
        layout.near_kernel.store(account.kernel, Ordering::Relaxed);
    }

    /// What runs the guest, and the machine code's address and size (0 for the interpreter).
    pub fn set_engine(&self, engine: Engine, code_address: u64, code_bytes: u64) {
        self.layout().engine.store(engine as u32, Ordering::Relaxed);
        self.layout().code_address.store(code_address, Ordering::Relaxed);
        self.layout().code_bytes.store(code_bytes, Ordering::Relaxed);
    }

    /// Adds [`confinement`] bits that are in force now.
    pub fn add_confinement(&self, bits: u32) {
        self.layout().confinement.fetch_or(bits, Ordering::Relaxed);
    }

    /// Counts what a write to the log did: bytes that are in the file, entries that were dropped.
    pub fn add_log(&self, written_bytes: u64, dropped_entries: u64) {
        self.layout()
            .log_bytes
            .fetch_add(written_bytes, Ordering::Relaxed);
        self.layout()
            .log_dropped
            .fetch_add(dropped_entries, Ordering::Relaxed);
    }

    /// The reason in words, cut at a character's start to fit. Safe in a signal handler.
    pub fn set_reason(&self, reason: &str) {
        let mut length = reason.len().min(REASON_BYTES - 1);
        while !reason.is_char_boundary(length) {
            length -= 1;
        }
        let bytes = &reason.as_bytes()[..length];
        for (index, cell) in self.layout().reason.iter().enumerate() {
            cell.store(bytes.get(index).copied().unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Stores the end: status (0 to 255), cause, signal (0 unless the cause is a signal), both clocks,
    /// and last the phase `exited`. The first call counts, later ones change nothing; gives whether
    /// this was the first. Safe in a signal handler.
    pub fn exited(&self, status: i32, cause: Cause, signal: u32) -> bool {
        if self.ended.swap(true, Ordering::AcqRel) {
            return false;
        }
        let layout = self.layout();
        layout.exit_status.store(status, Ordering::Relaxed);
        layout.cause.store(cause as u32, Ordering::Relaxed);
        layout.signal.store(signal, Ordering::Relaxed);
        layout
            .finished_realtime
            .store(now(Clock::Realtime), Ordering::Relaxed);
        layout
            .finished_boottime
            .store(now(Clock::Boottime) as u64, Ordering::Relaxed);
        layout.phase.store(Phase::Exited as u32, Ordering::Release);
        true
    }

    /// What the file says now, numbers as they stand in it. For tests and for looking at oneself.
    pub fn snapshot(&self) -> Snapshot {
        let layout = self.layout();
        let phase = layout.phase.load(Ordering::Acquire);
        Snapshot {
            phase,
            kind: layout.kind.load(Ordering::Relaxed),
            boot_id: core::array::from_fn(|i| layout.boot_id[i].load(Ordering::Relaxed)),
            main_process: (
                layout.main_pid.load(Ordering::Relaxed),
                layout.main_start_time.load(Ordering::Relaxed),
            ),
            keeper: (
                layout.keeper_pid.load(Ordering::Relaxed),
                layout.keeper_start_time.load(Ordering::Relaxed),
            ),
            exit_status: layout.exit_status.load(Ordering::Relaxed),
            cause: layout.cause.load(Ordering::Relaxed),
            signal: layout.signal.load(Ordering::Relaxed),
            started: (
                layout.started_realtime.load(Ordering::Relaxed),
                layout.started_boottime.load(Ordering::Relaxed),
            ),
            finished: (
                layout.finished_realtime.load(Ordering::Relaxed),
                layout.finished_boottime.load(Ordering::Relaxed),
            ),
            memory: [&layout.memory_address, &layout.memory_used, &layout.memory_max]
                .map(|cell| cell.load(Ordering::Relaxed)),
            code: (
                layout.code_address.load(Ordering::Relaxed),
                layout.code_bytes.load(Ordering::Relaxed),
            ),
            engine: layout.engine.load(Ordering::Relaxed),
            confinement: layout.confinement.load(Ordering::Relaxed),
            log_bytes: layout.log_bytes.load(Ordering::Relaxed),
            log_dropped: layout.log_dropped.load(Ordering::Relaxed),
            limit_hit: layout.limit_hit.load(Ordering::Relaxed),
            limit_hits: layout.limit_hits.load(Ordering::Relaxed),
            near_limit: Account {
                anonymous: layout.near_anonymous.load(Ordering::Relaxed),
                file: layout.near_file.load(Ordering::Relaxed),
                kernel: layout.near_kernel.load(Ordering::Relaxed),
            },
            limit: [&layout.limit_used, &layout.limit_bytes].map(|number| number.load(Ordering::Relaxed)),
            reason: core::array::from_fn(|i| layout.reason[i].load(Ordering::Relaxed)),
        }
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `open_near`; no reference outlives `self`.
        unsafe { memory::unmap(self.base.cast(), SIZE_BYTES) };
    }
}

/// A copy of the fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    pub phase: u32,
    pub kind: u32,
    pub boot_id: [u8; 16],
    /// Pid and start time.
    pub main_process: (i32, u64),
    /// Pid and start time.
    pub keeper: (i32, u64),
    pub exit_status: i32,
    pub cause: u32,
    pub signal: u32,
    /// Nanoseconds since 1970, nanoseconds of CLOCK_BOOTTIME.
    pub started: (i64, u64),
    /// As `started`.
    pub finished: (i64, u64),
    /// Address, used bytes, maximal bytes.
    pub memory: [u64; 3],
    /// Address, bytes.
    pub code: (u64, u64),
    pub engine: u32,
    pub confinement: u32,
    pub log_bytes: u64,
    pub log_dropped: u64,
    pub limit_hit: u32,
    pub limit_hits: u32,
    pub near_limit: Account,
    /// What was used of the limit that was hit, and that limit.
    pub limit: [u64; 2],
    /// UTF-8, NUL-padded.
    pub reason: [u8; REASON_BYTES],
}

fn store_bytes(cells: &[AtomicU8], bytes: &[u8]) {
    for (cell, byte) in cells.iter().zip(bytes) {
        cell.store(*byte, Ordering::Relaxed);
    }
}

/// The boot id's hex digits as bytes.
pub fn boot_id() -> kernel_calls::Result<[u8; 16]> {
    let file = files::open(c"/proc/sys/kernel/random/boot_id", libc::O_RDONLY, 0)?;
    let mut text = [0u8; 64];
    let length = files::read(file.raw(), &mut text)?;
    let mut id = [0u8; 16];
    let mut digits = text[..length]
        .iter()
        .filter_map(|&byte| (byte as char).to_digit(16));
    for byte in &mut id {
        let (Some(high), Some(low)) = (digits.next(), digits.next()) else {
            return Err(Errno(libc::EINVAL));
        };
        *byte = (high * 16 + low) as u8;
    }
    Ok(id)
}

/// Field 22 of `/proc/PID/stat`: when the process started, in clock ticks since boot. With the pid it
/// names a process for good. Errors: `ENOENT` where there is no such process.
pub fn start_time(pid: i32) -> kernel_calls::Result<u64> {
    let path = Text::<32>::of(format_args!("/proc/{pid}/stat"));
    read_stat(path.c_str()).map(|(_, start)| start)
}

/// Pid and start time of the calling process, the pid as /proc's own namespace numbers it.
pub fn own_identity() -> kernel_calls::Result<(i32, u64)> {
    read_stat(c"/proc/self/stat")
}

fn read_stat(path: &CStr) -> kernel_calls::Result<(i32, u64)> {
    let file = files::open(path, libc::O_RDONLY, 0)?;
    let mut text = [0u8; 1024];
    let length = files::read(file.raw(), &mut text)?;
    parse_stat(&text[..length]).ok_or(Errno(libc::EINVAL))
}

/// The name in parentheses may hold anything, spaces and parentheses included: fields are counted from
/// its last closing one.
fn parse_stat(text: &[u8]) -> Option<(i32, u64)> {
    let pid = decimal(text.split(|&byte| byte == b' ').next()?)?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    // The word after ") " is field 3.
    let start = text.get(close + 2..)?.split(|&byte| byte == b' ').nth(19)?;
    Some((i32::try_from(pid).ok()?, decimal(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = b"77 (a) b (c)) S 1 77 77 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1 1\n";
        assert_eq!(parse_stat(text), Some((77, 4242)));
        assert_eq!(parse_stat(b"77 (a) S 1"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn own_identity_agrees_with_the_process_id() {
        let (pid, start) = own_identity().unwrap();
        assert_eq!(pid as u32, std::process::id());
        assert_eq!(start_time(pid).unwrap(), start);
    }
}
