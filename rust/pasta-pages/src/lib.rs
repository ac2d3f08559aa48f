//! Makes pasta small: loaded before its C library (LD_PRELOAD, ld.so(8)), gives back what its start has only zeroed.
//!
//! At its start passt copies whole empty tables and packet buffers over others that are empty already. What was 23 MB of
//! pages full of zeroes stays, though one pasta for a few containers hardly ever fills any of it. A page of zeroes that
//! is given back reads as zeroes again, so nothing changes but the memory. Later it is too late: pasta confines itself
//! by a system call filter that allows no madvise(2), and is not to be looked into from outside (PR_SET_DUMPABLE). So
//! this stands in for prctl(3), and does its work at the moment when the filter is installed: everything has been set
//! up then, no second thread was ever started, and /proc is out of reach, which is why the tables are found by the
//! program's headers. Where a library can't be loaded (a static pasta, AppArmor), pasta works as ever.
#![no_std]

use core::ffi::{c_int, c_ulong, c_void};
use core::sync::atomic::{AtomicBool, Ordering};

const PAGE_BYTES: usize = 4096;
const ZEROES: [u64; PAGE_BYTES / 8] = [0; PAGE_BYTES / 8];
/// How many pages mincore(2) is asked about at once.
const ROW: usize = 1024;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: abort(3) may be called at any time.
    unsafe { libc::abort() }
}

/// prctl(2) for the program: as the C library's, with the pages given back before a filter is installed.
///
/// # Safety
/// As prctl(2). Which arguments are there depends on `option`; the others are whatever their registers hold, which the
/// kernel doesn't look at, as with the C library's own.
#[no_mangle]
pub unsafe extern "C" fn prctl(
    option: c_int,
    second: c_ulong,
    third: c_ulong,
    fourth: c_ulong,
    fifth: c_ulong,
) -> c_int {
    static DONE: AtomicBool = AtomicBool::new(false);
    // A second filter would be installed under the first one, which may end a process that calls madvise.
    if option == libc::PR_SET_SECCOMP && !DONE.swap(true, Ordering::Relaxed) {
        // SAFETY: the callback matches its type, and needs no data.
        unsafe { libc::dl_iterate_phdr(Some(give_back_tables), core::ptr::null_mut()) };
        give_back_stack();
    }
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_prctl, option, second, third, fourth, fifth) as c_int }
}

/// Gives back pages of zeroes of the program's uninitialised data: what its headers map beyond the file. The program is
/// the first that is told of; anything but 0 ends the telling.
unsafe extern "C" fn give_back_tables(info: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    // SAFETY: the C library gives a valid description for the time of the call.
    let info = unsafe { &*info };
    // SAFETY: so many headers stand there as long as the program is loaded, which is for ever.
    let headers = unsafe { core::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W == 0 {
            continue;
        }
        let begin = info.dlpi_addr as usize + header.p_vaddr as usize;
        let first = (begin + header.p_filesz as usize).next_multiple_of(PAGE_BYTES);
        let end = (begin + header.p_memsz as usize) & !(PAGE_BYTES - 1);
        give_back(first, end);
    }
    1
}

/// Gives back pages of zeroes of a mapped, writable range of pages.
fn give_back(mut page: usize, end: usize) {
    while page < end {
        let length = (end - page).min(ROW * PAGE_BYTES);
        give_back_row(page, length);
        page += length;
    }
}

/// At most ROW pages of it.
fn give_back_row(begin: usize, length: usize) {
    let mut resident = [0u8; ROW];
    // SAFETY: the row has a byte for each page of the range; mincore changes nothing else.
    if unsafe { libc::mincore(begin as *mut c_void, length, resident.as_mut_ptr()) } != 0 {
        return;
    }
    for (index, state) in resident[..length / PAGE_BYTES].iter().enumerate() {
        let page = begin + index * PAGE_BYTES;
        // What isn't resident isn't read: that would only make tables for it.
        // SAFETY: the page is mapped, readable and writable, and nobody else runs who could change it meanwhile.
        if state & 1 == 1 && *unsafe { &*(page as *const [u64; PAGE_BYTES / 8]) } == ZEROES {
            // SAFETY: private memory without a file reads as zeroes after that, as it does now.
            unsafe { libc::madvise(page as *mut c_void, PAGE_BYTES, libc::MADV_DONTNEED) };
        }
    }
}

/// Gives back pages of zeroes of the stack, where a copied table lies, too: in frames that are in use as below them. A
/// page with a frame of these functions has return addresses.
fn give_back_stack() {
    let here = 0u8;
    let mut begin = &raw const here as usize & !(PAGE_BYTES - 1);
    let mut end = begin;
    // The mapping ends where nothing is mapped: what is next to it lies beyond a gap that the kernel keeps.
    while is_mapped(begin - PAGE_BYTES) {
        begin -= PAGE_BYTES;
    }
    while is_mapped(end) {
        end += PAGE_BYTES;
    }
    give_back(begin, end);
}

fn is_mapped(page: usize) -> bool {
    let mut resident = 0u8;
    // SAFETY: one page, one byte; mincore changes nothing else.
    unsafe { libc::mincore(page as *mut c_void, PAGE_BYTES, &raw mut resident) == 0 }
}
