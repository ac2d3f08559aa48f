//! Arguments, environment, exit, randomness.

use wamr::GuestMemory;

use crate::abi::{check, Errno, Result};
use crate::context::{Context, ExitRequest};

/// Stores the strings one after another, each terminated, and a pointer to each.
fn store_strings(memory: &mut GuestMemory<'_>, strings: &[Vec<u8>], pointers: u32, buffer: u32) -> Result {
    let mut pointer = u64::from(pointers);
    let mut position = u64::from(buffer);
    for string in strings {
        let place = u32::try_from(pointer).map_err(|_| Errno::FAULT)?;
        let start = u32::try_from(position).map_err(|_| Errno::FAULT)?;
        memory.write_u32(place, start).ok_or(Errno::FAULT)?;
        memory.write(start, string).ok_or(Errno::FAULT)?;
        let end = u32::try_from(position + string.len() as u64).map_err(|_| Errno::FAULT)?;
        memory.write(end, &[0]).ok_or(Errno::FAULT)?;
        pointer += 4;
        position = u64::from(end) + 1;
    }
    Ok(())
}

fn store_sizes(memory: &mut GuestMemory<'_>, strings: &[Vec<u8>], count: u32, size: u32) -> Result {
    let bytes: u64 = strings.iter().map(|string| string.len() as u64 + 1).sum();
    let number = u32::try_from(strings.len()).map_err(|_| Errno::OVERFLOW)?;
    memory.write_u32(count, number).ok_or(Errno::FAULT)?;
    memory
        .write_u32(size, u32::try_from(bytes).map_err(|_| Errno::OVERFLOW)?)
        .ok_or(Errno::FAULT)
}

pub(crate) fn args_get(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    store_strings(memory, &context.arguments, a[0] as u32, a[1] as u32)
}

pub(crate) fn args_sizes_get(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    store_sizes(memory, &context.arguments, a[0] as u32, a[1] as u32)
}

pub(crate) fn environ_get(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    store_strings(memory, &context.environment, a[0] as u32, a[1] as u32)
}

pub(crate) fn environ_sizes_get(context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    store_sizes(memory, &context.environment, a[0] as u32, a[1] as u32)
}

pub(crate) fn proc_exit(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    context.exit = Some(ExitRequest::Code(a[0] as u32));
    Ok(())
}

/// Signals of WASI have Linux' numbers. Those that a process survives by default do nothing; the others end the
/// guest as they would a process.
pub(crate) fn proc_raise(context: &mut Context, _memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    const LAST: u64 = 30;
    match a[0] {
        0 => Ok(()),
        signal if signal > LAST => Err(Errno::INVAL),
        signal => {
            let survived = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
            if !survived.contains(&(signal as i32)) {
                context.exit = Some(ExitRequest::Signal(signal as u8));
            }
            Ok(())
        }
    }
}

pub(crate) fn sched_yield(_context: &mut Context, _memory: &mut GuestMemory<'_>, _a: &[u64; 9]) -> Result {
    // SAFETY: no arguments.
    check(unsafe { libc::sched_yield() } as isize).map(|_| ())
}

pub(crate) fn random_get(_context: &mut Context, memory: &mut GuestMemory<'_>, a: &[u64; 9]) -> Result {
    let mut buffer = memory.slice_mut(a[0] as u32, a[1] as u32).ok_or(Errno::FAULT)?;
    while !buffer.is_empty() {
        // SAFETY: the kernel writes at most the slice's length.
        let result = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        match check(result) {
            Ok(count) => buffer = &mut buffer[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
