//! The seccomp filter of the holder: it passes bytes on and closes what it was given, and can do nothing else.
//!
//! A call that isn't on the list fails with EPERM and does no harm; another architecture's convention ends the process.

use libc::{sock_filter, sock_fprog};
use rustix::io::Errno;

// Offsets in `struct seccomp_data` (seccomp(2)).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// What it does while it serves; x86-64's second convention has other numbers, which are refused by that.
const ALLOWED: &[libc::c_long] = &[
    // Events and bytes.
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_splice,
    libc::SYS_pipe2,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_ioctl,
    libc::SYS_fcntl,
    // The spare descriptor; there are no capabilities for files that aren't the user's own.
    libc::SYS_openat,
    // Sockets.
    libc::SYS_accept4,
    libc::SYS_socket,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    // Processes: who it is, the helpers' end, its own.
    libc::SYS_getpid,
    libc::SYS_geteuid,
    libc::SYS_pidfd_send_signal,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // The allocator, the library, and coming back from being stopped.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
];

const fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// The next instruction where the loaded word is `k`, else the one after.
const fn if_equal(k: u32) -> sock_filter {
    sock_filter {
        code: EQUAL,
        jt: 0,
        jf: 1,
        k,
    }
}

fn program() -> Vec<sock_filter> {
    let mut program = vec![
        statement(LOAD, ARCHITECTURE),
        sock_filter {
            code: EQUAL,
            jt: 1,
            jf: 0,
            k: NATIVE,
        },
        statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
        statement(LOAD, NUMBER),
    ];
    for number in ALLOWED {
        program.push(if_equal(*number as u32));
        program.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
    }
    program.push(statement(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    program
}

/// Confines this process; `no_new_privs` is set already.
pub fn install() -> Result<(), Errno> {
    let mut program = program();
    let filter = sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program, which lives through the call.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if result == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel does.
    fn verdict(architecture: u32, number: libc::c_long) -> u32 {
        let (program, mut loaded, mut at) = (program(), 0, 0);
        loop {
            let one = program[at];
            at += 1;
            match one.code {
                LOAD if one.k == NUMBER => loaded = number as u32,
                LOAD => loaded = architecture,
                EQUAL => at += usize::from(if loaded == one.k { one.jt } else { one.jf }),
                _ => return one.k,
            }
        }
    }

    #[test]
    fn what_goes_through() {
        for number in ALLOWED {
            assert_eq!(verdict(NATIVE, *number), libc::SECCOMP_RET_ALLOW);
        }
        for number in [
            libc::SYS_execve,
            libc::SYS_clone,
            libc::SYS_setns,
            libc::SYS_ptrace,
            libc::SYS_mount,
            libc::SYS_unlinkat,
        ] {
            assert_eq!(
                verdict(NATIVE, number),
                libc::SECCOMP_RET_ERRNO | libc::EPERM as u32
            );
        }
        assert_eq!(
            verdict(0x4000_0003, libc::SYS_close),
            libc::SECCOMP_RET_KILL_PROCESS
        );
    }
}
