//! Moving what exec left on the stack, and the stack with it, to another address.
//!
//! # Theory of operation
//! The kernel puts the stack at the far end of the address space. For a process that does little that alone takes
//! three page tables, 12 kB, as much as all that it has on the stack. So the first instructions of a program can
//! have its stack made near the program's own pages: arguments, environment and auxiliary vector are copied there,
//! the pointers among them are corrected, the caller changes the stack pointer to what [`move_to`] gives, and
//! [`drop_old`] unmaps the kernel's stack. `ps` and `/proc/PID/environ` are told the new addresses where the kernel
//! allows it (prctl(2), PR_SET_MM_MAP); else the command line reads as empty. Wherever something is not as
//! expected, the stack stays where it is.
//!
//! This runs before any C library has been set up, so nothing here may call memcpy or touch thread-local storage.

use crate::system_call;

const PAGE_BYTES: usize = 4096;
/// Below the initial stack the kernel keeps at least this much free (`stack_guard_gap`).
const OLD_BYTES: usize = 1 << 20;
const AUXILIARY_WORDS: usize = 2;
const PR_SET_MM: i32 = 35;
const PR_SET_MM_MAP: i32 = 14;
const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const PF_W: u32 = 2;

/// Where the new stack is mapped: whole pages. The lowest is left without permissions.
#[derive(Clone, Copy)]
pub struct Place {
    pub base: usize,
    pub length: usize,
}

/// What the kernel left there, found by walking over it.
struct Initial {
    start: usize,
    argument_count: usize,
    environment_count: usize,
    /// Address of the first pair of the auxiliary vector.
    auxiliary: usize,
    /// Address of the last string, the program's name.
    name: usize,
    /// The end of the stack's mapping.
    end: usize,
}

/// Copies what exec left at `stack` to the upper end of a new mapping; gives its address there, which is the stack
/// pointer to go on with. Gives `stack` back where that is not possible.
///
/// # Safety
/// To be called with the stack pointer of the program's first instruction, while nothing else has happened.
pub unsafe fn move_to(stack: usize, place: Place) -> usize {
    // SAFETY: the caller's promise: this is the kernel's layout.
    let Some(initial) = (unsafe { Initial::find(stack) }) else {
        return stack;
    };
    let bytes = initial.end - initial.start;
    if bytes > place.length / 4 || !map(place) {
        return stack;
    }
    let new = place.base + place.length - bytes;
    for offset in (0..bytes).step_by(size_of::<usize>()) {
        // SAFETY: both ranges are mapped, aligned and apart. Volatile: the compiler would make a memcpy of it.
        unsafe {
            ((new + offset) as *mut usize).write_volatile(((stack + offset) as *const usize).read_volatile())
        };
    }
    // SAFETY: the copy has the layout that was found, as many bytes further on.
    unsafe { initial.correct(new.wrapping_sub(stack)) };
    // SAFETY: as above.
    unsafe { initial.announce(new) };
    new
}

/// Unmaps the stack from which [`move_to`] has moved. Does nothing where it has not.
///
/// # Safety
/// `stack` and `new` are what `move_to` was given and gave; the stack pointer is in the new stack.
pub unsafe fn drop_old(stack: usize, new: usize) {
    if stack == new {
        return;
    }
    // The kernel's stack ends where its mapping does, which was found the same way before.
    // SAFETY: the old stack is still mapped and unchanged.
    if let Some(initial) = unsafe { Initial::find(stack) } {
        // SAFETY: nothing refers to the old stack any more, and the kernel maps nothing else that near below it.
        let _ = unsafe { system_call!(libc::SYS_munmap, initial.end - OLD_BYTES, OLD_BYTES) };
    }
}

/// The value of an entry of the auxiliary vector; `None` where there is no such.
///
/// # Safety
/// `stack` is what exec left, or what [`move_to`] made of it.
pub unsafe fn auxiliary(stack: usize, kind: libc::c_ulong) -> Option<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        Initial::find(stack)?
            .pair(kind)
            .map(|pair| word(pair + size_of::<usize>()))
    }
}

/// Changes the value of an entry of the auxiliary vector, where there is one; 0 takes the entry away.
///
/// # Safety
/// As [`auxiliary`]; nothing has read the vector yet.
pub unsafe fn set_auxiliary(stack: usize, kind: libc::c_ulong, value: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(pair) = Initial::find(stack).and_then(|initial| initial.pair(kind)) {
            ((pair + size_of::<usize>()) as *mut usize).write_volatile(value);
            if value == 0 {
                (pair as *mut usize).write_volatile(libc::AT_IGNORE as usize);
            }
        }
    }
}

fn map(place: Place) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let (base, length) = (place.base + PAGE_BYTES, place.length - PAGE_BYTES);
    // SAFETY: a new mapping, which replaces none.
    let mapped = unsafe {
        system_call!(
            libc::SYS_mmap,
            base,
            length,
            protection,
            flags,
            usize::MAX,
            0usize
        )
    };
    match mapped {
        // A kernel that does not know MAP_FIXED_NOREPLACE takes the address as a hint.
        Ok(address) if address != base => {
            // SAFETY: the mapping that has just been made.
            let _ = unsafe { system_call!(libc::SYS_munmap, address, length) };
            false
        }
        Ok(_) => true,
        Err(_) => false,
    }
}

/// # Safety
/// `address` is mapped and aligned.
unsafe fn word(address: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (address as *const usize).read_volatile() }
}

impl Initial {
    /// # Safety
    /// `start` is where exec left argc.
    unsafe fn find(start: usize) -> Option<Initial> {
        const WORD: usize = size_of::<usize>();
        // SAFETY: the layout of the ABI: argc, argv, null, environment, null, pairs up to AT_NULL, strings.
        unsafe {
            let argument_count = word(start);
            let environment = start + (argument_count + 2) * WORD;
            let mut environment_count = 0;
            while word(environment + environment_count * WORD) != 0 {
                environment_count += 1;
            }
            let auxiliary = environment + (environment_count + 1) * WORD;
            let (mut pair, mut last_string) = (auxiliary, 0);
            while word(pair) != libc::AT_NULL as usize {
                if word(pair) == libc::AT_EXECFN as usize {
                    last_string = word(pair + WORD);
                }
                pair += AUXILIARY_WORDS * WORD;
            }
            if last_string < start || start % 16 != 0 {
                return None;
            }
            // The program's name is the last string; a null word and the end of the stack follow.
            let mut end = last_string;
            while (end as *const u8).read_volatile() != 0 {
                end += 1;
            }
            Some(Initial {
                start,
                argument_count,
                environment_count,
                auxiliary,
                name: last_string,
                end: (end + 1 + WORD).next_multiple_of(PAGE_BYTES),
            })
        }
    }

    /// Where the entry of a kind is.
    ///
    /// # Safety
    /// The vector is as it was found.
    unsafe fn pair(&self, kind: libc::c_ulong) -> Option<usize> {
        let mut pair = self.auxiliary;
        // SAFETY: the vector ends with AT_NULL.
        unsafe {
            while word(pair) != libc::AT_NULL as usize {
                if word(pair) == kind as usize {
                    return Some(pair);
                }
                pair += AUXILIARY_WORDS * size_of::<usize>();
            }
        }
        None
    }

    /// Corrects the pointers of a copy that lies `offset` further on.
    ///
    /// # Safety
    /// There is such a copy, and nothing else refers to it yet.
    unsafe fn correct(&self, offset: usize) {
        const WORD: usize = size_of::<usize>();
        let correct = |address: usize| {
            // SAFETY: a word of the copy.
            let pointer = unsafe { word(address.wrapping_add(offset)) };
            if (self.start..self.end).contains(&pointer) {
                // SAFETY: as above.
                unsafe {
                    (address.wrapping_add(offset) as *mut usize).write_volatile(pointer.wrapping_add(offset))
                };
            }
        };
        for index in 0..=self.argument_count + self.environment_count {
            correct(self.start + (1 + index) * WORD);
        }
        let mut pair = self.auxiliary;
        // SAFETY: the vector ends with AT_NULL, as found.
        while unsafe { word(pair) } != libc::AT_NULL as usize {
            correct(pair + WORD);
            pair += AUXILIARY_WORDS * WORD;
        }
    }

    /// Tells the kernel where `ps` finds the arguments now. That it may refuse is no loss but that.
    ///
    /// # Safety
    /// There is a corrected copy at `new`.
    unsafe fn announce(&self, new: usize) {
        const WORD: usize = size_of::<usize>();
        let string = |index: usize| {
            // SAFETY: a word of the copy.
            unsafe { word(new + (1 + index) * WORD) }
        };
        let strings_end = self.name - self.start + new;
        let environment_start = match self.environment_count {
            0 => strings_end,
            _ => string(self.argument_count + 1),
        };
        let mut code = (0, 0);
        let mut data = (0, 0);
        // SAFETY: the kernel's own pointer to the program's headers, which are mapped with the program.
        unsafe {
            for header in self.program_headers() {
                let start = header.address as usize;
                if header.kind == PT_LOAD && header.flags & PF_X != 0 {
                    code = (start, start + header.memory_bytes as usize);
                } else if header.kind == PT_LOAD && header.flags & PF_W != 0 {
                    data = (start, start + header.file_bytes as usize);
                }
            }
            let Some(heap_end) = crate::memory::heap_end() else {
                return;
            };
            let map = MemoryMap {
                start_code: code.0,
                end_code: code.1,
                start_data: data.0,
                end_data: data.1,
                start_brk: heap_end,
                brk: heap_end,
                start_stack: new,
                arg_start: string(0),
                arg_end: environment_start,
                env_start: environment_start,
                env_end: strings_end,
                auxv: 0,
                auxv_size: 0,
                exe_fd: u32::MAX,
            };
            let _ = system_call!(
                libc::SYS_prctl,
                PR_SET_MM,
                PR_SET_MM_MAP,
                &raw const map,
                size_of::<MemoryMap>(),
                0usize
            );
        }
    }

    /// # Safety
    /// The auxiliary vector is the kernel's; the program is at the addresses that it was linked for.
    unsafe fn program_headers(&self) -> &'static [ProgramHeader] {
        const WORD: usize = size_of::<usize>();
        // SAFETY: the kernel's own values.
        unsafe {
            let value = |kind| self.pair(kind).map(|pair| word(pair + WORD));
            match (value(libc::AT_PHDR), value(libc::AT_PHNUM)) {
                (Some(address), Some(count)) if address != 0 => {
                    core::slice::from_raw_parts(address as *const ProgramHeader, count)
                }
                _ => &[],
            }
        }
    }
}

/// `Elf64_Phdr` (elf(5)).
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical_address: u64,
    file_bytes: u64,
    memory_bytes: u64,
    alignment: u64,
}

/// `struct prctl_mm_map` of linux/prctl.h.
#[repr(C)]
struct MemoryMap {
    start_code: usize,
    end_code: usize,
    start_data: usize,
    end_data: usize,
    start_brk: usize,
    brk: usize,
    start_stack: usize,
    arg_start: usize,
    arg_end: usize,
    env_start: usize,
    env_end: usize,
    auxv: usize,
    auxv_size: u32,
    exe_fd: u32,
}
