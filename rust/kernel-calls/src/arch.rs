//! The one place with machine instructions: a system call with up to six arguments.

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("kernel-calls knows the system call instruction of x86_64 and aarch64 only");

/// Makes system call `number` and returns the kernel's raw answer (-4095..=-1 is an error).
///
/// # Safety
/// The arguments must be what that system call demands: pointers valid for what the kernel reads or
/// writes through them, descriptors that the caller may use in this way.
#[cfg(target_arch = "x86_64")]
#[inline]
pub unsafe fn call(number: libc::c_long, args: [usize; 6]) -> isize {
    let answer: isize;
    // SAFETY: the instruction clobbers rcx and r11 only, both declared; the rest is the caller's promise.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => answer,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer
}

/// Makes system call `number` and returns the kernel's raw answer (-4095..=-1 is an error).
///
/// # Safety
/// As on x86_64: the arguments must be what that system call demands.
#[cfg(target_arch = "aarch64")]
#[inline]
pub unsafe fn call(number: libc::c_long, args: [usize; 6]) -> isize {
    let answer: isize;
    // SAFETY: `svc 0` changes x0 only; the rest is the caller's promise.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") args[0] as isize => answer,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") args[3],
            in("x4") args[4],
            in("x5") args[5],
            options(nostack),
        );
    }
    answer
}
