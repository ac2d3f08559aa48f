//! `wpod-meter CONTAINERS`: what the main processes and the monitors of all running containers have in memory, read
//! side by side, and printed (docs/formats.md, "Meter").
//!
//! # Theory of operation
//! The kernel's account of a process costs it 0.1 to 0.3 ms, most of a look at a hundred containers, and it is made
//! for whoever asks, on his processor. A command that looks once starts this program first, and reads its own modules
//! and the records of the containers meanwhile; this reads the accounts with a thread for each processor. It decides
//! nothing: the caller takes a line where process, start time, region and page faults are those that it knows, and
//! reads itself what isn't here. So whatever can't be read, or ends meanwhile, is left out.

mod mappings;
mod process;

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use formats::state_file::{Kind, Phase, Snapshot, StateFile};

use crate::mappings::Region;
use crate::process::Process;

/// More than this only wait for each other: the kernel's locks are per process, but the output is short.
const MOST_THREADS: usize = 4;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let (Some(directory), None) = (words.next(), words.next()) else {
        eprintln!("usage: wpod-meter CONTAINERS");
        return ExitCode::FAILURE;
    };
    let directories = match containers(&directory) {
        Ok(found) => found,
        Err(error) => {
            eprintln!("wpod-meter: {}: {error}", Path::new(&directory).display());
            return ExitCode::FAILURE;
        }
    };
    match io::stdout().write_all(read_all(&directories).as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE, // nobody wants it any more
    }
}

fn containers(directory: &OsStr) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(directory)?
        .map(|entry| entry.map(|found| found.path()))
        .collect()
}

/// The lines of all containers, in no order.
fn read_all(directories: &[PathBuf]) -> String {
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS);
    let work = || {
        let (mut text, mut buffer) = (String::new(), Vec::new());
        while let Some(directory) = directories.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(state) = running(directory) {
                add_lines(&state, &mut text, &mut buffer);
            }
        }
        text
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut text = work();
        for other in others {
            text += &other.join().unwrap_or_default();
        }
        text
    })
}

/// What the state file says, where the container runs. It is unmapped again before the account of its keeper is read,
/// which would share a page with this program otherwise.
fn running(directory: &Path) -> Option<Snapshot> {
    let path = CString::new(directory.join("state").into_os_string().as_bytes()).ok()?;
    let state = StateFile::open(&path).ok()?.snapshot();
    (state.phase == Phase::Running as u32).then_some(state)
}

fn add_lines(state: &Snapshot, text: &mut String, buffer: &mut Vec<u8>) {
    let [address, used, most] = state.memory;
    let region = Region {
        start: address,
        bytes: if address == 0 { 0 } else { used.max(most) },
    };
    if let Some(account) = Process::of(state.main_process).account(region, buffer) {
        *text += &account.to_string();
    }
    if state.kind == Kind::Native as u32 && state.keeper != state.main_process {
        if let Some(share) = Process::of(state.keeper).share(buffer) {
            *text += &share.to_string();
        }
    }
}
