//! What the meter prints, a line for each process (docs/formats.md, "Meter"), for the first look of a command.

use core::fmt;

/// A process: its number, and its start time in clock ticks since boot.
pub type Identity = (i32, u64);

/// The account of a container's main process. All but the faults and resident pages in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MainProcess {
    pub identity: Identity,
    /// Minor faults, major faults and resident pages, as they were before the rest was read.
    pub touched: [u64; 3],
    /// Start and bytes of the region that counts as linear memory; zeroes where there is none.
    pub region: [u64; 2],
    pub parts: Parts,
    /// `None`: it can't be told.
    pub page_tables: Option<u64>,
    /// Read from and written to storage; `None` where that can't be told.
    pub moved: [Option<u64>; 2],
}

/// What its memory is divided into (docs/memory.md): what is its own alone, in the region, executable, and its share of
/// the rest; what is swapped; how much of the region is mapped; and its share of pages of files, of code and the rest.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Parts {
    pub own: u64,
    pub linear: u64,
    pub code: u64,
    pub shared: u64,
    pub swap: u64,
    pub linear_size: u64,
    pub file_pages: u64,
}

/// What a container's keeper has: its share of memory, and its page tables, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keeper {
    pub identity: Identity,
    pub share: u64,
    pub page_tables: u64,
}

struct Told(Option<u64>);

impl fmt::Display for Told {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(out, " {number}"),
            None => out.write_str(" -"),
        }
    }
}

impl fmt::Display for MainProcess {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.parts;
        write!(out, "main {} {}", self.identity.0, self.identity.1)?;
        let numbers = [
            parts.own,
            parts.linear,
            parts.code,
            parts.shared,
            parts.swap,
            parts.linear_size,
            parts.file_pages,
        ];
        for number in self.touched.iter().chain(&self.region).chain(&numbers) {
            write!(out, " {number}")?;
        }
        let [read, written] = self.moved;
        writeln!(out, "{}{}{}", Told(self.page_tables), Told(read), Told(written))
    }
}

impl fmt::Display for Keeper {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pid, start_ticks) = self.identity;
        writeln!(
            out,
            "keeper {pid} {start_ticks} {} {}",
            self.share, self.page_tables
        )
    }
}
