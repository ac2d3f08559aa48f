//! The program `wpod-monitor`: its start without a C library. What it does is in the library.
#![no_std]
#![no_main]

use core::ffi::{c_char, CStr};

use kernel_calls::initial_stack;
use kernel_calls::process::{exit, Environment};

/// What the compiler calls for copies and comparisons, which a C library would bring.
mod bytes {
    use core::arch::asm;

    /// # Safety
    /// As memcpy(3).
    #[no_mangle]
    pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        // SAFETY: the caller's promise; the direction flag is clear by the ABI.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!("rep movsb", inout("rcx") length => _, inout("rdi") to => _, inout("rsi") from => _,
                 options(nostack, preserves_flags));
        }
        #[cfg(not(target_arch = "x86_64"))]
        for index in 0..length {
            // SAFETY: the caller's promise. Volatile, or the compiler makes a call of memcpy of it.
            unsafe { to.add(index).write_volatile(from.add(index).read()) };
        }
        to
    }

    /// # Safety
    /// As memmove(3).
    #[no_mangle]
    pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        if (to as usize).wrapping_sub(from as usize) >= length {
            // SAFETY: copying upwards never overwrites what is still to be read here.
            return unsafe { memcpy(to, from, length) };
        }
        for index in (0..length).rev() {
            // SAFETY: the caller's promise; downwards, so that the overlap is read before it is written.
            unsafe { to.add(index).write_volatile(from.add(index).read()) };
        }
        to
    }

    /// # Safety
    /// As memset(3).
    #[no_mangle]
    pub unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
        // SAFETY: the caller's promise; the direction flag is clear by the ABI.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!("rep stosb", inout("rcx") length => _, inout("rdi") to => _, in("al") value as u8,
                 options(nostack, preserves_flags));
        }
        #[cfg(not(target_arch = "x86_64"))]
        for index in 0..length {
            // SAFETY: the caller's promise. Volatile, or the compiler makes a call of memset of it.
            unsafe { to.add(index).write_volatile(value as u8) };
        }
        to
    }

    /// # Safety
    /// As memcmp(3).
    #[no_mangle]
    pub unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
        for index in 0..length {
            // SAFETY: the caller's promise. Volatile, or the compiler makes a call of memcmp of it.
            let (a, b) = unsafe { (left.add(index).read_volatile(), right.add(index).read_volatile()) };
            if a != b {
                return i32::from(a) - i32::from(b);
            }
        }
        0
    }

    /// # Safety
    /// As bcmp(3).
    #[no_mangle]
    pub unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
        // SAFETY: the caller's promise.
        unsafe { memcmp(left, right, length) }
    }

    /// # Safety
    /// As strlen(3).
    #[no_mangle]
    pub unsafe extern "C" fn strlen(text: *const u8) -> usize {
        let mut length = 0;
        // SAFETY: the caller's promise: a NUL comes. Volatile, or the compiler makes a call of strlen of it.
        while unsafe { text.add(length).read_volatile() } != 0 {
            length += 1;
        }
        length
    }
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "mov rbx, rsp",
    "and rsp, -16",
    "call {move_stack}",
    "mov rdi, rbx",
    "mov rsi, rax",
    "mov rsp, rax",
    "and rsp, -16",
    "call {begin}",
    "ud2",
    move_stack = sym move_stack,
    begin = sym begin,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "mov x19, x0",
    "and sp, x0, #-16",
    "bl {move_stack}",
    "mov x1, x0",
    "mov x0, x19",
    "and sp, x1, #-16",
    "bl {begin}",
    "brk #1",
    move_stack = sym move_stack,
    begin = sym begin,
);

/// # Safety
/// `stack` is the stack pointer of the first instruction.
unsafe extern "C" fn move_stack(stack: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { initial_stack::move_to(stack, monitor::stack_place()) }
}

/// # Safety
/// `old` is the stack pointer of the first instruction, `stack` what `move_stack` made of it and the stack in use:
/// what the kernel leaves there at exec: argc, argv and a null, the environment and a null.
unsafe extern "C" fn begin(old: usize, stack: *const usize) -> ! {
    // SAFETY: as promised.
    unsafe { initial_stack::drop_old(old, stack as usize) };
    // SAFETY: the kernel's layout, as promised; the strings stay for the life of the process.
    let (count, arguments) = unsafe { (*stack, stack.add(1).cast::<*const c_char>()) };
    // SAFETY: the environment follows the null that ends argv.
    let environment = unsafe { Environment::new(arguments.add(count + 1)) };
    let argument = |index: usize| {
        // SAFETY: `index < count`, and each is a NUL-terminated string.
        (index < count).then(|| unsafe { CStr::from_ptr(*arguments.add(index)) })
    };
    exit(monitor::run(&argument, environment))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    let _ = kernel_calls::files::write_all(2, b"wpod-monitor: internal error\n");
    exit(125)
}
