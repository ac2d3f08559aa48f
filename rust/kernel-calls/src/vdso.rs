//! Moving the kernel's functions in user space (vdso(7)) near the program.
//!
//! They read pages of data at a fixed distance from their code, so all of these mappings move together. A process
//! that asks for the time then needs no page tables at the far end of its address space. As `initial_stack`, this runs
//! before any C library has been set up, and calls nothing that one would bring.

use crate::system_call;

const READ_BYTES: usize = 4096;
const MOST_BYTES: usize = 64 << 10;

/// Where they are: the data's mappings (one or more), then the code's.
struct Found {
    start: usize,
    code: usize,
    end: usize,
    /// Where each mapping ends but the last one.
    borders: [usize; 3],
    count: usize,
}

/// Moves them to `target`, which has 64 KiB of room; gives the new address of the code, 0 where there is none to
/// use any more, or `code` where nothing has been moved. `code` is the auxiliary vector's `AT_SYSINFO_EHDR`.
///
/// # Safety
/// Nothing has called these functions yet or looked for them, and nothing is mapped at `target`.
pub unsafe fn move_to(code: usize, target: usize) -> usize {
    let Some(found) = find().filter(|found| found.code == code && found.end - found.start <= MOST_BYTES)
    else {
        return code;
    };
    let mut start = found.start;
    for index in 0..=found.count {
        let end = if index == found.count {
            found.end
        } else {
            found.borders[index]
        };
        let new = target + (start - found.start);
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // SAFETY: the kernel's own mapping, to a range that is free by the caller's promise.
        let moved = unsafe { system_call!(libc::SYS_mremap, start, end - start, end - start, flags, new) };
        match moved {
            Ok(_) => {}
            Err(_) if index == 0 => return code,
            // Code and data are apart: the C library has to make system calls instead.
            Err(_) => return 0,
        }
        start = end;
    }
    target + (code - found.start)
}

/// Reads /proc/self/maps line by line: `START-END … [vvar]`, perhaps `[vvar_vclock]`, `[vdso]`, one after the other.
fn find() -> Option<Found> {
    // SAFETY: a terminated path.
    let file = unsafe {
        system_call!(
            libc::SYS_openat,
            libc::AT_FDCWD,
            c"/proc/self/maps".as_ptr(),
            libc::O_RDONLY,
            0usize
        )
    };
    let file = file.ok()?;
    let mut text = core::mem::MaybeUninit::<[u8; READ_BYTES]>::uninit();
    // SAFETY: the kernel writes at most as many bytes as there is room; the descriptor was opened above.
    let length = unsafe {
        let length = system_call!(libc::SYS_read, file, text.as_mut_ptr(), READ_BYTES);
        let _ = system_call!(libc::SYS_close, file);
        length.ok()?
    };
    // SAFETY: the kernel has written that many.
    let text = unsafe { core::slice::from_raw_parts(text.as_ptr().cast::<u8>(), length) };
    let mut found = Found {
        start: 0,
        code: 0,
        end: 0,
        borders: [0; 3],
        count: 0,
    };
    let mut line = 0;
    while line < text.len() {
        let mut end = line;
        while end < text.len() && text[end] != b'\n' {
            end += 1;
        }
        note(&mut found, &text[line..end])?;
        line = end + 1;
    }
    (found.code != 0 && found.start < found.code).then_some(found)
}

/// `None`: not the layout that is known.
fn note(found: &mut Found, line: &[u8]) -> Option<()> {
    let is_code = ends_with(line, b"[vdso]");
    if !is_code && !ends_with(line, b"[vvar]") && !ends_with(line, b"[vvar_vclock]") {
        return Some(());
    }
    let (start, rest) = hexadecimal(line, 0);
    let (end, _) = hexadecimal(line, rest + 1);
    if found.start == 0 {
        found.start = start;
    } else if start != found.end || found.code != 0 || found.count == found.borders.len() {
        return None;
    } else {
        found.borders[found.count] = start;
        found.count += 1;
    }
    if is_code {
        found.code = start;
    }
    found.end = end;
    Some(())
}

fn ends_with(line: &[u8], name: &[u8]) -> bool {
    if line.len() < name.len() {
        return false;
    }
    let offset = line.len() - name.len();
    for index in 0..name.len() {
        // Volatile: the compiler would make a call of memcmp of the loop.
        // SAFETY: references to live bytes.
        let (a, b) = unsafe {
            (
                (&raw const line[offset + index]).read_volatile(),
                (&raw const name[index]).read_volatile(),
            )
        };
        if a != b {
            return false;
        }
    }
    true
}

/// The number at `position`, and where it ends.
fn hexadecimal(line: &[u8], mut position: usize) -> (usize, usize) {
    let mut number = 0;
    while position < line.len() {
        let digit = match line[position] {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            _ => break,
        };
        number = number << 4 | usize::from(digit);
        position += 1;
    }
    (number, position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_this_process_s_own() {
        let found = find().expect("every kernel has them");
        // SAFETY: a plain query.
        assert_eq!(found.code, unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) }
            as usize);
        assert!(found.start < found.code && found.code < found.end && found.end - found.start <= MOST_BYTES);
    }

    #[test]
    fn an_unknown_layout_is_left_alone() {
        let empty = || Found {
            start: 0,
            code: 0,
            end: 0,
            borders: [0; 3],
            count: 0,
        };
        let mut apart = empty();
        assert!(note(&mut apart, b"1000-3000 r--p 00000000 00:00 0   [vvar]").is_some());
        assert!(note(&mut apart, b"5000-7000 r-xp 00000000 00:00 0   [vdso]").is_none());
        let mut together = empty();
        for line in [
            "1000-3000 r--p 0 [vvar]",
            "3000-4000 r--p 0 /x/y",
            "3000-5000 r-xp 0 [vdso]",
        ] {
            assert!(note(&mut together, line.as_bytes()).is_some());
        }
        assert_eq!(
            (together.start, together.code, together.end, together.count),
            (0x1000, 0x3000, 0x5000, 1)
        );
    }
}
