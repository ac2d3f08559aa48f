//! The seccomp filter: the system calls that a running guest needs, and no others.
//!
//! # Theory of operation
//! A program for the kernel's classic packet filter, assembled here: it is a straight list. Another architecture
//! or calling convention kills the process. A call on the list goes through, some of them only with harmless
//! arguments. A few others that the C library tries and can do without get `ENOSYS`. Whatever is left kills the
//! process: neither the guest nor this program makes such calls, so whoever does has broken out of the engine.

use libc::{sock_filter, sock_fprog};

const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_BITS: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const JUMP_FROM: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

// Offsets in `struct seccomp_data`; the lower half of an argument comes first.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;
/// x86-64's second convention marks its numbers with this bit; no other architecture has numbers so high.
const X32_BIT: u32 = 0x4000_0000;

/// Calls that go through with any arguments.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_pread64,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_lseek,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_setitimer,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_getrandom,
    libc::SYS_ppoll,
    libc::SYS_fcntl,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_getdents64,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_readlinkat,
    libc::SYS_utimensat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What a guest with a socket needs beside them. It can't make sockets: there are those that it was given, and what
/// they accept.
const SOCKETS: &[libc::c_long] = &[
    libc::SYS_accept4,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
];

/// What a guest that makes sockets needs beside both.
const CONNECTING: &[libc::c_long] = &[libc::SYS_connect, libc::SYS_bind, libc::SYS_listen];

/// Which sockets a guest has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sockets {
    None,
    /// Those that it was given, and what they accept.
    Given,
    /// It makes some itself, of TCP and UDP alone. Which addresses they use is checked before the call (crate `wasi`).
    Connecting,
}

/// Calls that the C library tries and can do without.
const UNKNOWN: &[libc::c_long] = &[
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_membarrier,
    libc::SYS_statx,
    libc::SYS_prlimit64,
    libc::SYS_sysinfo,
    libc::SYS_getcpu,
    libc::SYS_uname,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_nanosleep,
    libc::SYS_getcwd,
    libc::SYS_faccessat,
];

/// `ioctl` requests that only ask: bytes to read, terminal settings, window size.
const QUERIES: [u32; 3] = [
    libc::FIONREAD as u32,
    libc::TCGETS as u32,
    libc::TIOCGWINSZ as u32,
];

/// A list of instructions.
struct Program(Vec<sock_filter>);

impl Program {
    fn push(&mut self, code: u16, jumps: (u8, u8), k: u32) {
        self.0.push(sock_filter {
            code,
            jt: jumps.0,
            jf: jumps.1,
            k,
        });
    }

    fn give(&mut self, action: u32) {
        self.push(RETURN, (0, 0), action);
    }

    /// Where the loaded word is `value`, gives the action.
    fn give_if_equal(&mut self, value: u32, action: u32) {
        self.push(JUMP_EQUAL, (0, 1), value);
        self.give(action);
    }

    /// Where the call is `number`, runs `body`, which must end by giving an action in every case.
    fn for_call(&mut self, number: libc::c_long, body: impl FnOnce(&mut Program)) {
        let mut inner = Program(Vec::new());
        body(&mut inner);
        self.push(JUMP_EQUAL, (0, inner.0.len() as u8), number as u32);
        self.0.append(&mut inner.0);
    }
}

const fn error(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number as u32
}

fn assemble(pid: u32, sockets: Sockets) -> Vec<sock_filter> {
    // One instruction each for most of the list; made at its full size at once.
    // Made at its full size at once.
    let size = if sockets == Sockets::None { 192 } else { 256 };
    let mut program = Program(Vec::with_capacity(size));
    program.push(LOAD_WORD, (0, 0), ARCHITECTURE);
    program.push(JUMP_EQUAL, (1, 0), NATIVE);
    program.give(libc::SECCOMP_RET_KILL_PROCESS);
    program.push(LOAD_WORD, (0, 0), NUMBER);
    program.push(JUMP_FROM, (0, 1), X32_BIT);
    program.give(libc::SECCOMP_RET_KILL_PROCESS);
    let (given, connecting): (&[libc::c_long], &[libc::c_long]) = match sockets {
        Sockets::None => (&[], &[]),
        Sockets::Given => (SOCKETS, &[]),
        Sockets::Connecting => (SOCKETS, CONNECTING),
    };
    for number in ALLOWED.iter().chain(given).chain(connecting) {
        program.give_if_equal(*number as u32, libc::SECCOMP_RET_ALLOW);
    }
    #[cfg(target_arch = "x86_64")]
    program.give_if_equal(libc::SYS_poll as u32, libc::SECCOMP_RET_ALLOW);
    // All code has been loaded: nothing becomes executable any more.
    for number in [libc::SYS_mmap, libc::SYS_mprotect] {
        program.for_call(number, |body| {
            body.push(LOAD_WORD, (0, 0), argument(2));
            body.push(JUMP_BITS, (0, 1), libc::PROT_EXEC as u32);
            body.give(error(libc::EPERM));
            body.give(libc::SECCOMP_RET_ALLOW);
        });
    }
    program.for_call(libc::SYS_ioctl, |body| {
        body.push(LOAD_WORD, (0, 0), argument(1));
        for request in QUERIES {
            body.give_if_equal(request, libc::SECCOMP_RET_ALLOW);
        }
        body.give(error(libc::ENOTTY));
    });
    match sockets {
        Sockets::None => {}
        Sockets::Given => allow_options(&mut program),
        Sockets::Connecting => {
            allow_options(&mut program);
            allow_making(&mut program);
        }
    }
    // abort(3) of this process, and no signal to others.
    program.for_call(libc::SYS_tgkill, |body| {
        body.push(LOAD_WORD, (0, 0), argument(0));
        body.give_if_equal(pid, libc::SECCOMP_RET_ALLOW);
        body.give(error(libc::EPERM));
    });
    for number in UNKNOWN {
        program.give_if_equal(*number as u32, error(libc::ENOSYS));
    }
    program.give(libc::SECCOMP_RET_KILL_PROCESS);
    program.0
}

/// Reading any option of a socket, and setting those that the crate `wasi` sets.
fn allow_options(program: &mut Program) {
    program.give_if_equal(libc::SYS_getsockopt as u32, libc::SECCOMP_RET_ALLOW);
    program.for_call(libc::SYS_setsockopt, |body| {
        for level in [libc::SOL_SOCKET, libc::SOL_TCP, libc::SOL_IP, libc::SOL_IPV6] {
            body.push(LOAD_WORD, (0, 0), argument(1));
            let names = wasi::SETTABLE.iter().filter(|option| option.level == level);
            let mut inner = Program(Vec::new());
            inner.push(LOAD_WORD, (0, 0), argument(2));
            for option in names {
                inner.give_if_equal(option.name as u32, libc::SECCOMP_RET_ALLOW);
            }
            inner.give(libc::SECCOMP_RET_KILL_PROCESS);
            body.push(JUMP_EQUAL, (0, inner.0.len() as u8), level as u32);
            body.0.append(&mut inner.0);
        }
        body.give(libc::SECCOMP_RET_KILL_PROCESS);
    });
}

/// Making sockets of TCP and UDP.
fn allow_making(program: &mut Program) {
    program.for_call(libc::SYS_socket, |body| {
        body.push(LOAD_WORD, (0, 0), argument(0));
        body.push(JUMP_EQUAL, (2, 0), libc::AF_INET as u32);
        body.push(JUMP_EQUAL, (1, 0), libc::AF_INET6 as u32);
        body.give(libc::SECCOMP_RET_KILL_PROCESS);
        body.push(LOAD_WORD, (0, 0), argument(1));
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            body.give_if_equal((kind | libc::SOCK_CLOEXEC) as u32, libc::SECCOMP_RET_ALLOW);
        }
        body.give(libc::SECCOMP_RET_KILL_PROCESS);
    });
}

/// Installs the filter, for good. Needs `no_new_privs`. Gives whether it holds.
pub fn install(sockets: Sockets) -> bool {
    // SAFETY: a plain query.
    let pid = unsafe { libc::getpid() };
    let mut instructions = assemble(pid as u32, sockets);
    let Ok(length) = u16::try_from(instructions.len()) else {
        return false;
    };
    let program = sock_fprog {
        len: length,
        filter: instructions.as_mut_ptr(),
    };
    // SAFETY: a program of the length given, which the kernel copies.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &program) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program on one call, as the kernel would.
    fn judge(number: libc::c_long, arguments: [u64; 6], architecture: u32) -> u32 {
        verdict(&assemble(77, Sockets::None), number, arguments, architecture)
    }

    fn verdict(program: &[sock_filter], number: libc::c_long, arguments: [u64; 6], architecture: u32) -> u32 {
        let mut data = [0u8; 64];
        data[0..4].copy_from_slice(&(number as u32).to_le_bytes());
        data[4..8].copy_from_slice(&architecture.to_le_bytes());
        for (index, value) in arguments.iter().enumerate() {
            data[16 + 8 * index..24 + 8 * index].copy_from_slice(&value.to_le_bytes());
        }
        let (mut at, mut word) = (0usize, 0u32);
        loop {
            let step = &program[at];
            let taken = match step.code {
                LOAD_WORD => {
                    let offset = step.k as usize;
                    word = u32::from_le_bytes(data[offset..offset + 4].try_into().unwrap());
                    at += 1;
                    continue;
                }
                JUMP_EQUAL => word == step.k,
                JUMP_BITS => word & step.k != 0,
                JUMP_FROM => word >= step.k,
                RETURN => return step.k,
                other => panic!("unknown instruction {other}"),
            };
            at += 1 + usize::from(if taken { step.jt } else { step.jf });
        }
    }

    #[test]
    fn lists_are_obeyed() {
        for number in ALLOWED {
            assert_eq!(
                judge(*number, [0; 6], NATIVE),
                libc::SECCOMP_RET_ALLOW,
                "{number}"
            );
        }
        for number in UNKNOWN {
            assert_eq!(judge(*number, [0; 6], NATIVE), error(libc::ENOSYS), "{number}");
        }
        for number in [
            libc::SYS_execve,
            libc::SYS_ptrace,
            libc::SYS_clone,
            libc::SYS_socket,
            libc::SYS_mount,
        ] {
            assert_eq!(
                judge(number, [0; 6], NATIVE),
                libc::SECCOMP_RET_KILL_PROCESS,
                "{number}"
            );
        }
    }

    #[test]
    fn sockets_are_for_guests_that_have_some() {
        let (with, without) = (assemble(77, Sockets::Given), assemble(77, Sockets::None));
        for number in SOCKETS {
            assert_eq!(
                verdict(&with, *number, [0; 6], NATIVE),
                libc::SECCOMP_RET_ALLOW,
                "{number}"
            );
            assert_eq!(
                verdict(&without, *number, [0; 6], NATIVE),
                libc::SECCOMP_RET_KILL_PROCESS,
                "{number}"
            );
        }
        for number in [
            libc::SYS_socket,
            libc::SYS_bind,
            libc::SYS_connect,
            libc::SYS_listen,
        ] {
            assert_eq!(
                verdict(&with, number, [0; 6], NATIVE),
                libc::SECCOMP_RET_KILL_PROCESS,
                "{number}"
            );
        }
    }

    #[test]
    fn options_are_set_that_concern_nobody_else() {
        let program = assemble(77, Sockets::Given);
        let set = |level: i32, name: i32| {
            let arguments = [3, level as u64, name as u64, 0, 0, 0];
            verdict(&program, libc::SYS_setsockopt, arguments, NATIVE)
        };
        for option in wasi::SETTABLE {
            assert_eq!(
                set(option.level, option.name),
                libc::SECCOMP_RET_ALLOW,
                "{option:?}"
            );
        }
        for (level, name) in [
            (libc::SOL_SOCKET, libc::SO_BINDTODEVICE),
            (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
            (libc::SOL_SOCKET, libc::SO_MARK),
            (libc::SOL_IP, libc::IP_TRANSPARENT),
            (libc::SOL_TCP, libc::TCP_ULP),
            (libc::SOL_UDP, libc::TCP_NODELAY),
        ] {
            assert_eq!(set(level, name), libc::SECCOMP_RET_KILL_PROCESS, "{level} {name}");
        }
        assert_eq!(
            judge(libc::SYS_setsockopt, [0; 6], NATIVE),
            libc::SECCOMP_RET_KILL_PROCESS
        );
    }

    #[test]
    fn guests_that_make_sockets_make_those_of_tcp_and_udp_and_no_others() {
        let program = assemble(77, Sockets::Connecting);
        let socket = |family: i32, kind: i32| {
            verdict(
                &program,
                libc::SYS_socket,
                [family as u64, kind as u64, 0, 0, 0, 0],
                NATIVE,
            )
        };
        let stream = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let datagram = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
        for family in [libc::AF_INET, libc::AF_INET6] {
            assert_eq!(socket(family, stream), libc::SECCOMP_RET_ALLOW);
            assert_eq!(socket(family, datagram), libc::SECCOMP_RET_ALLOW);
        }
        for (family, kind) in [
            (libc::AF_UNIX, stream),
            (libc::AF_NETLINK, stream),
            (libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC),
            (libc::AF_PACKET, datagram),
            (libc::AF_INET, libc::SOCK_STREAM),
        ] {
            assert_eq!(
                socket(family, kind),
                libc::SECCOMP_RET_KILL_PROCESS,
                "{family} {kind}"
            );
        }
        for number in [libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_socketpair] {
            assert_eq!(
                verdict(&program, number, [0; 6], NATIVE),
                libc::SECCOMP_RET_KILL_PROCESS,
                "{number}"
            );
        }
        for number in CONNECTING {
            assert_eq!(
                verdict(&program, *number, [0; 6], NATIVE),
                libc::SECCOMP_RET_ALLOW,
                "{number}"
            );
        }
    }

    #[test]
    fn other_conventions_are_killed() {
        assert_eq!(
            judge(libc::SYS_read, [0; 6], 0x4000_0003),
            libc::SECCOMP_RET_KILL_PROCESS
        );
        let x32 = libc::SYS_read | i64::from(X32_BIT);
        assert_eq!(judge(x32, [0; 6], NATIVE), libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn arguments_are_looked_at() {
        let protect = |bits: i32| judge(libc::SYS_mprotect, [0, 0, bits as u64, 0, 0, 0], NATIVE);
        assert_eq!(
            protect(libc::PROT_READ | libc::PROT_WRITE),
            libc::SECCOMP_RET_ALLOW
        );
        assert_eq!(protect(libc::PROT_READ | libc::PROT_EXEC), error(libc::EPERM));
        let signal = |pid: u64| judge(libc::SYS_tgkill, [pid, 0, 0, 0, 0, 0], NATIVE);
        assert_eq!(signal(77), libc::SECCOMP_RET_ALLOW);
        assert_eq!(signal(1), error(libc::EPERM));
        let control = |request: u64| judge(libc::SYS_ioctl, [0, request, 0, 0, 0, 0], NATIVE);
        assert_eq!(control(libc::FIONREAD), libc::SECCOMP_RET_ALLOW);
        assert_eq!(control(libc::TIOCSTI), error(libc::ENOTTY));
    }
}
