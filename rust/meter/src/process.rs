//! One process, known by its number and start time.

use std::fs::File;
use std::io::Read;

use formats::meter::{Identity, Keeper, MainProcess};

use crate::mappings::{divide, field, Region, Sums, KIBIBYTE};

/// Where the first of the fields of /proc/PID/stat after the command's name (state) stands: proc_pid_stat(5) counts
/// from 1.
const FIRST_FIELD: usize = 3;

/// A process that had this number and start time.
pub struct Process {
    identity: Identity,
}

impl Process {
    pub fn of(identity: Identity) -> Process {
        Process { identity }
    }

    /// What is told of a container's main process; `None` where it has ended, or may not be looked at.
    pub fn account(&self, region: Region, buffer: &mut Vec<u8>) -> Option<MainProcess> {
        let touched = self.fields(buffer, [10, 12, 24])?;
        let whole = Sums::of(self.read("smaps_rollup", buffer)?)?;
        let parts = divide(self.read("smaps", buffer)?, whole, region);
        let page_tables = self.read("status", buffer).and_then(page_tables);
        let moved = self
            .read("io", buffer)
            .map(|text| [&b"\nread_bytes:"[..], b"\nwrite_bytes:"].map(|name| field(text, name)));
        self.fields(buffer, [])?; // the number was its own all that time
        Some(MainProcess {
            identity: self.identity,
            touched,
            region: [region.start, region.bytes],
            parts,
            page_tables,
            moved: moved.unwrap_or_default(),
        })
    }

    /// What is told of a container's keeper.
    pub fn share(&self, buffer: &mut Vec<u8>) -> Option<Keeper> {
        let share = Sums::of(self.read("smaps_rollup", buffer)?)?.share * KIBIBYTE;
        let page_tables = page_tables(self.read("status", buffer)?)?;
        self.fields(buffer, [])?;
        Some(Keeper {
            identity: self.identity,
            share,
            page_tables,
        })
    }

    /// Fields of its `stat`, by proc_pid_stat(5)'s numbers; `None` where it has ended, also as a zombie.
    fn fields<const N: usize>(&self, buffer: &mut Vec<u8>, wanted: [usize; N]) -> Option<[u64; N]> {
        let text = self.read("stat", buffer)?;
        let after_name = text.iter().rposition(|&byte| byte == b')')? + 1;
        let words: Vec<&str> = std::str::from_utf8(&text[after_name..])
            .ok()?
            .split_ascii_whitespace()
            .collect();
        let number = |field: usize| words.get(field - FIRST_FIELD)?.parse::<u64>().ok();
        if matches!(*words.first()?, "Z" | "X") || number(22)? != self.identity.1 {
            return None;
        }
        let mut found = [0; N];
        for (place, field) in found.iter_mut().zip(wanted) {
            *place = number(field)?;
        }
        Some(found)
    }

    /// A file of its directory, whole; the buffer is used again and again. The kernel gives smaps a page at a time, so
    /// only the end of the file tells that it is whole.
    fn read<'b>(&self, name: &str, buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
        buffer.clear();
        File::open(format!("/proc/{}/{name}", self.identity.0))
            .ok()?
            .read_to_end(buffer)
            .ok()?;
        Some(buffer)
    }
}

/// In bytes.
fn page_tables(status: &[u8]) -> Option<u64> {
    field(status, b"\nVmPTE:").map(|kilobytes| kilobytes * KIBIBYTE)
}
