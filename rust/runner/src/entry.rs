//! The program's first instructions: everything that stays goes into one corner of the address space.
//!
//! # Theory of operation
//! A page table serves two megabytes, and each level above it is a page too. Left alone, a process has its program,
//! its heap, its mappings, the guest's memory and its stack in five corners, which takes twelve tables or 48 kB: a
//! quarter of what an idle container costs. Therefore stack, time functions, state file, machine code and the
//! beginning of the guest's memory are put side by side, above the heap and in the same gigabyte as the program:
//!
//! ```text
//! 0x400000     program
//! random       heap: where the kernel put it, with room to grow
//! + 64 MiB…    stack (8 MiB, its upper end touched), the kernel's functions, the state file,
//!              then what asks for a place near (`wamr::place_mappings_at`): machine code, linear memory
//! ```
//!
//! The corner's place follows the heap's, which the kernel chooses at random, and is varied by some bits more. Where
//! anything is in the way it stays where the kernel put it; nothing relies on the places.

use std::sync::atomic::{AtomicUsize, Ordering};

const MEBIBYTE: usize = 1 << 20;
/// What one page table serves.
const TABLE_BYTES: usize = 2 * MEBIBYTE;
/// The engine takes no more of a stack than this (`APP_THREAD_STACK_SIZE_MAX`).
#[cfg(own_entry)]
const STACK_BYTES: usize = 8 * MEBIBYTE;
/// Room for the heap.
#[cfg(own_entry)]
const HEAP_BYTES: usize = 64 * MEBIBYTE;
/// Of the stack, in the corner's own two megabytes.
#[cfg(own_entry)]
const STACK_TOP: usize = 64 << 10;
#[cfg(own_entry)]
const TIME_FUNCTIONS: usize = STACK_TOP;
const PLAN: usize = 96 << 10;
const STATE_FILE: usize = 128 << 10;
const MAPPINGS: usize = STATE_FILE + (4 << 10);

/// Where the corner is; 0: there is none.
static CORNER: AtomicUsize = AtomicUsize::new(0);

/// Where a launch plan is mapped for a while, if there is room: tables that it leaves behind far away would stay.
pub fn plan_address(descriptor: i32) -> usize {
    let fits = kernel_calls::files::status(descriptor)
        .is_ok_and(|file| file.size_bytes <= (STATE_FILE - PLAN) as u64);
    if fits {
        offset(PLAN)
    } else {
        0
    }
}

/// Where the state file is mapped, if there is room.
pub fn state_address() -> usize {
    offset(STATE_FILE)
}

/// From where on the engine's mappings lie, if there is room.
pub fn mappings_address() -> usize {
    offset(MAPPINGS)
}

fn offset(distance: usize) -> usize {
    match CORNER.load(Ordering::Relaxed) {
        0 => 0,
        corner => {
            debug_assert_eq!(corner % TABLE_BYTES, 0);
            corner + distance
        }
    }
}

#[cfg(own_entry)]
mod begin {
    use super::*;
    use kernel_calls::{initial_stack, vdso};

    // The C library's own `_start` wants the stack pointer at argc, and in rdx what atexit(3) shall call.
    core::arch::global_asm!(
        ".globl wpod_start",
        "wpod_start:",
        "xor ebp, ebp",
        "mov rbx, rsp",
        "mov rdi, rsp",
        "and rsp, -16",
        "call {move_stack}",
        "mov r12, rax",
        "mov rdi, rbx",
        "mov rsi, rax",
        "mov rsp, rax",
        "and rsp, -16",
        "call {settle}",
        "mov rsp, r12",
        "xor edx, edx",
        "jmp _start",
        move_stack = sym move_stack,
        settle = sym settle,
    );

    /// # Safety
    /// `stack` is the stack pointer of the first instruction.
    unsafe extern "C" fn move_stack(stack: usize) -> usize {
        // SAFETY: the caller's promise; and a plain question for the heap's end.
        let (random, heap) = unsafe {
            (
                initial_stack::auxiliary(stack, libc::AT_RANDOM),
                kernel_calls::memory::heap_end(),
            )
        };
        let (Some(random), Some(heap)) = (random, heap) else {
            return stack;
        };
        // SAFETY: 16 random bytes by the kernel, of which the C library takes the first eight for its own use.
        let varied = usize::from(unsafe { *((random + 15) as *const u8) } % 32);
        let corner = (heap + HEAP_BYTES + STACK_BYTES).next_multiple_of(TABLE_BYTES) + varied * TABLE_BYTES;
        let place = initial_stack::Place {
            base: corner + STACK_TOP - STACK_BYTES,
            length: STACK_BYTES,
        };
        // SAFETY: the caller's promise.
        let new = unsafe { initial_stack::move_to(stack, place) };
        if new != stack {
            CORNER.store(corner, Ordering::Relaxed);
        }
        new
    }

    /// # Safety
    /// `old` is the stack pointer of the first instruction, `new` what `move_stack` made of it, which is in use.
    unsafe extern "C" fn settle(old: usize, new: usize) {
        let corner = CORNER.load(Ordering::Relaxed);
        if corner == 0 {
            return;
        }
        // SAFETY: the caller's promise; nothing is mapped in the corner but the stack, and no C library has been there
        // to look for the kernel's functions.
        unsafe {
            initial_stack::drop_old(old, new);
            if let Some(code) = initial_stack::auxiliary(new, libc::AT_SYSINFO_EHDR) {
                let moved = vdso::move_to(code, corner + TIME_FUNCTIONS);
                initial_stack::set_auxiliary(new, libc::AT_SYSINFO_EHDR, moved);
            }
        }
    }
}
